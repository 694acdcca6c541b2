# The installed package: headers, quantaConfig.cmake with quanta_add_kernels(), and quanta.pc. All of it can be moved.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/quanta)

install(DIRECTORY include/quanta DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")

install(TARGETS quanta quanta_gguf quanta_recipe quanta_convert EXPORT quantaTargets
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT quantaTargets NAMESPACE quanta:: DESTINATION ${package_directory})

configure_package_config_file(cmake/quantaConfig.cmake.in ${PROJECT_BINARY_DIR}/quantaConfig.cmake
                              INSTALL_DESTINATION ${package_directory})
# Before 1.0 a minor version may change the interface.
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(compatibility SameMinorVersion)
else()
  set(compatibility SameMajorVersion)
endif()
write_basic_package_version_file(${PROJECT_BINARY_DIR}/quantaConfigVersion.cmake COMPATIBILITY ${compatibility}
                                 ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/quantaConfig.cmake ${PROJECT_BINARY_DIR}/quantaConfigVersion.cmake
              cmake/QuantaKernels.cmake
        DESTINATION ${package_directory})

# From the place of quanta.pc back to the prefix.
set(pkgconfig_directory ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
string(REGEX REPLACE "[^/]+" ".." pkgconfig_to_prefix ${pkgconfig_directory})
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
  set(pkgconfig_prefix ${CMAKE_INSTALL_PREFIX})
else()
  set(pkgconfig_prefix "\${pcfiledir}/${pkgconfig_to_prefix}")
endif()
if(IS_ABSOLUTE ${CMAKE_INSTALL_INCLUDEDIR})
  set(pkgconfig_includedir ${CMAKE_INSTALL_INCLUDEDIR})
else()
  set(pkgconfig_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file(cmake/quanta.pc.in ${PROJECT_BINARY_DIR}/quanta.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/quanta.pc DESTINATION ${pkgconfig_directory})

install(FILES LICENSE NOTICE DESTINATION ${CMAKE_INSTALL_DOCDIR})
