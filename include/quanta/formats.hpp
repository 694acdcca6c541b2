// The registry: the one list of formats that run-time lookup, dispatch, tests and benchmarks go through.
#pragma once

#include "quanta/formats/iq1_m.hpp"
#include "quanta/formats/iq1_s.hpp"
#include "quanta/formats/iq2_s.hpp"
#include "quanta/formats/iq2_xs.hpp"
#include "quanta/formats/iq2_xxs.hpp"
#include "quanta/formats/iq3_s.hpp"
#include "quanta/formats/iq3_xxs.hpp"
#include "quanta/formats/iq4_nl.hpp"
#include "quanta/formats/iq4_xs.hpp"
#include "quanta/formats/mxfp4.hpp"
#include "quanta/formats/nvfp4.hpp"
#include "quanta/formats/q1_0.hpp"
#include "quanta/formats/q2_0.hpp"
#include "quanta/formats/q2_k.hpp"
#include "quanta/formats/q3_k.hpp"
#include "quanta/formats/q4_0.hpp"
#include "quanta/formats/q4_1.hpp"
#include "quanta/formats/q4_k.hpp"
#include "quanta/formats/q5_0.hpp"
#include "quanta/formats/q5_1.hpp"
#include "quanta/formats/q5_k.hpp"
#include "quanta/formats/q6_k.hpp"
#include "quanta/formats/q8_0.hpp"
#include "quanta/formats/q8_1.hpp"
#include "quanta/formats/q8_k.hpp"
#include "quanta/formats/tq1_0.hpp"
#include "quanta/formats/tq2_0.hpp"

namespace quanta {

/// Types as a value: what `visit` hands over and lists are made of.
template <class T>
struct type_tag {
  using type = T;
};
template <class... T>
struct type_list {
  static constexpr std::size_t size = sizeof...(T);
  /// f(type_tag<T>{}) for each type in order.
  template <class F>
  static constexpr void for_each(F&& f) {
    (f(type_tag<T>{}), ...);
  }
  template <class... U>
  using append = type_list<T..., U...>;
};

/// Formats that weights are stored in. A new format is one header above and one name here.
using weight_formats = type_list<q8_0, q4_0, q4_1, q5_0, q5_1, q2_k, q3_k, q4_k, q5_k, q6_k, iq4_nl, iq4_xs, iq3_s, iq3_xxs,
                                 iq2_s, iq2_xs, iq2_xxs, iq1_m, iq1_s, tq1_0, tq2_0, mxfp4, nvfp4, q1_0, q2_0>;
/// Formats that only activations are quantized to.
using activation_formats = type_list<q8_1, q8_k>;
/// Every block format.
using block_formats = weight_formats::append<q8_1, q8_k>;
/// Everything that a tensor's rows can be made of and the operations know.
using row_formats = block_formats::append<float, f16, bf16>;

/// Calls f(type_tag<B>{}) with the format of a tensor type; false if no format of the registry has it.
template <class F>
constexpr bool visit(tensor_type type, F&& f) {
  bool found = false;
  row_formats::for_each([&](auto tag) {
    using B = typename decltype(tag)::type;
    if (!found && type_of<B>() == type) {
      found = true;
      f(tag);
    }
  });
  return found;
}

} // namespace quanta
