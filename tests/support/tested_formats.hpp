// What the level tests that take a minute to compile with every format go over.
#pragma once

#include "quanta/formats.hpp"

namespace tested {

/// Every weight format at the best level of the CPU; one of each kind at the levels below, which the golden tests and those of
/// `dot` and the thorough search cover in full.
#ifdef QUANTA_TEST_EVERY_FORMAT
using weight_formats = quanta::weight_formats;
#else
using weight_formats = quanta::type_list<quanta::q8_0, quanta::q5_1, quanta::q2_k, quanta::q4_k, quanta::q6_k, quanta::iq4_xs,
                                         quanta::iq2_s, quanta::nvfp4>;
#endif
using block_formats = weight_formats::append<quanta::q8_1, quanta::q8_k>;

} // namespace tested
