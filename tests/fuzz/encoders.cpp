// Any floats and any importance are encoded: to the same bytes at this level and the portable one, as docs/hard_inputs.md says.
#include "kernels.hpp"
#include "quanta/gguf/validate.hpp"
#include "quanta/isa.hpp"
#include "support.hpp"

namespace {

using fuzz::expect;
using numbers = std::vector<float>;
using bytes = std::vector<std::uint8_t>;
using encoder = decltype(fuzz::encoder_kernels::encode);

struct format_case {
  const fuzz::encoder_kernels& format;
  encoder at_level, at_portable;

  bytes encode(encoder f, const numbers& x, const numbers& importance) const {
    bytes blocks(x.size() / format.block_size * format.block_bytes);
    f(x.data(), x.size(), blocks.data(), importance.empty() ? nullptr : importance.data());
    return blocks;
  }
  bool valid(const bytes& blocks) const {
    return !quanta::gguf::find_nonfinite(*quanta::find_type(format.type), std::as_bytes(std::span(blocks)));
  }
};

/// The largest magnitude whose scales fit whatever stands beside it.
float largest_that_fits(quanta::tensor_type type) {
  using enum quanta::tensor_type;
  return type == mxfp4 || type == nvfp4 || type == q8_k ? std::numeric_limits<float>::max()
         : type == q8_1                                 ? 65504.f / 32
                                                        : 65504.f;
}
float largest_of(const float* x, std::size_t count) {
  float most = 0.f;
  for (std::size_t i = 0; i < count; ++i)
    most = std::fmax(most, std::fabs(x[i]));
  return most;
}

void check_values(const format_case& c, const numbers& x, const bytes& blocks) {
  const std::string_view subject = name(c.format.type);
  const float most = largest_of(x.data(), x.size());
  const bool valid = c.valid(blocks);
  expect(valid || most > largest_that_fits(c.format.type), subject, "an infinite scale for numbers that fit");
  if (!valid)
    return;
  numbers y(x.size());
  c.format.decode(blocks.data(), blocks.size() / c.format.block_bytes, y.data());
  const bool at_end = c.format.type == quanta::tensor_type::q8_k && most > std::numeric_limits<float>::max() * 0.97f;
  for (std::size_t b = 0; b < x.size() && !at_end; b += c.format.block_size) {
    const float of_block = largest_of(&x[b], c.format.block_size);
    for (std::size_t i = b; i < b + c.format.block_size; ++i) {
      expect(std::isfinite(y[i]), subject, "a finite scale and a value that is not");
      expect(of_block > 0.f || y[i] == 0.f, subject, "zeros decode to something");
    }
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 6)
    return 0;
  fuzz::input in(data, size);
  const auto native = fuzz::encoders_at<quanta::isa::native>(), portable = fuzz::encoders_at<quanta::isa::portable>();
  const std::size_t which = fuzz::choose(native, in.byte());
  const std::uint8_t options = in.byte();
  const bool thorough = options % 2 != 0 && native[which].encode_thoroughly;
  const fuzz::encoder_kernels& k = native[which];
  const format_case c = thorough ? format_case{k, k.encode_thoroughly, portable[which].encode_thoroughly}
                                 : format_case{k, k.encode, portable[which].encode};
  // Few values, for the searches take long; some lanes of a register stay empty, or a second register is begun.
  const std::size_t most = k.block_size < 256 ? 288 / k.block_size : 1 + (options >> 2) % 8 / 7;
  const std::size_t count = k.block_size * (1 + (options >> 2) % most);
  const numbers x = in.floats(count), importance = options & 2 ? in.floats(count) : numbers{};

  // Not finite: as 0. Importance: 0 to 2^56, and 0 for what is none.
  numbers seen = x, counted = importance;
  for (float& v : seen)
    v = std::isfinite(v) ? v : 0.f;
  for (float& w : counted)
    w = w > 0.f ? std::fmin(w, 0x1p56f) : 0.f;
  const bytes blocks = c.encode(c.at_level, x, importance);
  expect(blocks == c.encode(c.at_portable, x, importance), name(k.type), "other bytes at the portable level");
  if (counted != importance || std::memcmp(seen.data(), x.data(), count * sizeof(float)) != 0)
    expect(blocks == c.encode(c.at_level, seen, counted), name(k.type), "what is no number is not seen as 0");
  check_values(c, seen, blocks);
  return 0;
}
