// The formats that `quantize` writes.
#pragma once

#include <concepts>

#include "quanta/quanta.hpp"

template <class B>
inline constexpr bool has_encoder = !std::derived_from<B, quanta::detail::codebook_block_traits>;

/// f(type_tag<B>{}) for each block format with an encoder.
template <class F>
void for_each_encodable(F&& f) {
  quanta::block_formats::for_each([&](auto tag) {
    using B = typename decltype(tag)::type;
    if constexpr (has_encoder<B>)
      f(tag);
  });
}
