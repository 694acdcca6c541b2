# What quanta and its programs need: an installed package, else a pinned release that is downloaded.
#
# The SHA256 of the releases are those that package recipes state: xsimd from Homebrew's formula, nlohmann_json from
# a Yocto recipe, fmt and benchmark from Bazel rules of other projects, Catch2 and CLI11 from CMake projects that pin them.

include_guard(GLOBAL)
include(FetchContent)

set(QUANTA_XSIMD_MAJORS 14 13 CACHE INTERNAL "Major versions of xsimd that quanta is written for, the best first")

# _quanta_download(NAME VERSION URL SHA256): adds a release's CMake project to this build.
function(_quanta_download name version url sha256)
  string(TOLOWER ${name} lower)
  string(TOUPPER ${name} upper)
  if(NOT FETCHCONTENT_SOURCE_DIR_${upper})
    string(REGEX MATCH "\\.tar\\.[a-z]+$" suffix ${url})
    set(archive ${FETCHCONTENT_BASE_DIR}/${lower}-${version}${suffix})
    set(hash "")
    if(EXISTS ${archive})
      file(SHA256 ${archive} hash)
    endif()
    if(NOT hash STREQUAL sha256)
      message(STATUS "${name}: not installed, downloading ${version}")
      file(DOWNLOAD ${url} ${archive} STATUS status TLS_VERIFY ON INACTIVITY_TIMEOUT 30)
      list(POP_FRONT status code text)
      file(SHA256 ${archive} hash)
      if(NOT code EQUAL 0 OR NOT hash STREQUAL sha256)
        file(REMOVE ${archive})
        if(code EQUAL 0)
          set(text "what came is not the release that is pinned here")
        endif()
        message(FATAL_ERROR
          "quanta needs ${name} (${version} is pinned), which is not installed, and it could not be downloaded:\n"
          "  ${url}\n  ${text}\n"
          "Install it and name its place in CMAKE_PREFIX_PATH, or name a copy of its sources with "
          "-DFETCHCONTENT_SOURCE_DIR_${upper}=... On Debian, scripts/setup gets all that is needed.")
      endif()
    endif()
    FetchContent_Declare(${name} URL ${archive} URL_HASH SHA256=${sha256} SYSTEM)
  else()
    FetchContent_Declare(${name} SYSTEM)
  endif()
  FetchContent_MakeAvailable(${name})
endfunction()

# Found packages are visible to the whole build: a program outside quanta's folder links quanta::quanta, which names them.

macro(quanta_find_xsimd)
  if(NOT TARGET xsimd)
    set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)
    foreach(_quanta_major IN LISTS QUANTA_XSIMD_MAJORS)
      if(NOT xsimd_FOUND)
        find_package(xsimd ${_quanta_major} CONFIG QUIET)
      endif()
    endforeach()
    unset(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL)
    if(xsimd_FOUND)
      message(STATUS "xsimd: ${xsimd_VERSION} of ${xsimd_DIR}")
    else()
      _quanta_download(xsimd 13.2.0 https://github.com/xtensor-stack/xsimd/archive/refs/tags/13.2.0.tar.gz
                       edd8cd3d548c185adc70321c53c36df41abe64c1fe2c67bc6d93c3ecda82447a)
    endif()
  endif()
endmacro()

macro(quanta_find_catch2)
  find_package(Catch2 3.3 CONFIG QUIET)
  if(NOT Catch2_FOUND)
    _quanta_download(Catch2 3.7.1 https://github.com/catchorg/Catch2/archive/refs/tags/v3.7.1.tar.gz
                     c991b247a1a0d7bb9c39aa35faf0fe9e19764213f28ffba3109388e62ee0269c)
    FetchContent_GetProperties(Catch2 SOURCE_DIR _quanta_catch2_source)
    list(APPEND CMAKE_MODULE_PATH ${_quanta_catch2_source}/extras)
  endif()
  include(Catch)
endmacro()

macro(quanta_find_benchmark)
  find_package(benchmark 1.7 CONFIG QUIET)
  if(NOT benchmark_FOUND)
    set(BENCHMARK_ENABLE_TESTING OFF)
    set(BENCHMARK_ENABLE_INSTALL OFF)
    set(CMAKE_POLICY_DEFAULT_CMP0077 NEW) # options of the project below give way to these variables
    _quanta_download(benchmark 1.8.3 https://github.com/google/benchmark/archive/refs/tags/v1.8.3.tar.gz
                     6bc180a57d23d4d9515519f92b0c83d61b05b5bab188961f36ac7b06b0d9e9ce)
  endif()
endmacro()

macro(quanta_find_cli11)
  find_package(CLI11 2.1 CONFIG QUIET)
  if(NOT CLI11_FOUND)
    _quanta_download(CLI11 2.4.2 https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.4.2.tar.gz
                     f2d893a65c3b1324c50d4e682c0cdc021dd0477ae2c048544f39eed6654b699a)
  endif()
endmacro()

macro(quanta_find_json)
  find_package(nlohmann_json 3.11 CONFIG QUIET)
  if(NOT nlohmann_json_FOUND)
    _quanta_download(nlohmann_json 3.11.3 https://github.com/nlohmann/json/releases/download/v3.11.3/json.tar.xz
                     d6c65aca6b1ed68e7a182f4757257b107ae403032760ed6ef121c9d55e81757d)
  endif()
endmacro()

macro(quanta_find_fmt)
  find_package(fmt CONFIG QUIET) # its version file accepts one major version only; 9 and later will do
  if(NOT fmt_FOUND OR fmt_VERSION VERSION_LESS 9)
    _quanta_download(fmt 10.2.1 https://github.com/fmtlib/fmt/archive/refs/tags/10.2.1.tar.gz
                     1250e4cc58bf06ee631567523f48848dc4596133e163f02615c97f78bab6c811)
  endif()
endmacro()
