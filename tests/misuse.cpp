// Sizes that do not agree, wrap or are none: each ends in the contract handler, or in the right result where there is one;
// under sanitizers too. Values of span beside a null or a short one are never read.
#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "quanta/dispatch/packed.hpp"
#include "quanta/error_report.hpp"
#include "quanta/gguf/value.hpp"
#include "quanta/int8.hpp"
#include "quanta/packed/unpack.hpp"
#include "quanta/threads.hpp"
#include "support/violates.hpp"

namespace {

using quanta::q4_0, quanta::q8_0;
using portable = quanta::isa::portable;
using bytes = std::vector<std::byte>;
constexpr std::size_t largest = ~std::size_t{0};
constexpr std::size_t wrapping[] = {std::size_t{1} << 59, std::size_t{1} << 61, std::size_t{1} << 63, largest - 31, largest};

/// A span that claims to be longer than what it points to.
template <class T>
std::span<T> claimed(T& first, std::size_t size) {
  T* volatile hidden = &first; // or a compiler warns of what is tested here
  return {hidden, size};
}

/// Partitions that are none, and one that has an empty piece at its end. All cross one type: the kernels are compiled once.
using parallel = quanta::parallel_reference;
constexpr quanta::serial serial;
constexpr auto too_far = [](std::size_t count, auto&& fn) { fn(std::size_t{0}, count + 1); };
constexpr auto backwards = [](std::size_t, auto&& fn) { fn(std::size_t{1}, std::size_t{0}); };
constexpr auto with_nothing = [](std::size_t count, auto&& fn) { fn(std::size_t{0}, count), fn(count, count); };

/// A matrix of 16 x 64 and 3 tokens, packed.
struct product {
  std::vector<q4_0> blocks = std::vector<q4_0>(16 * 2);
  std::vector<float> x = std::vector<float>(3 * 64, 1.f), y = std::vector<float>(3 * 16);
  bytes weights = bytes(quanta::packed_bytes<q4_0, portable>(16, 64)),
        tokens = bytes(quanta::activation_bytes<q4_0, portable>(3, 64));
  quanta::packed_matrix<q4_0, portable> m =
      quanta::pack<portable>(quanta::matrix_view<q4_0>(blocks, 16, 64), weights, parallel(serial));
  quanta::packed_activations<q4_0, portable> a = quanta::pack_activations<q4_0, portable>(x, 3, 64, tokens, parallel(serial));

  auto multiply(std::size_t stride = 16, parallel by = serial) {
    return [this, stride, by] { quanta::gemm(m, a, y, stride, by); };
  }
  auto unpack(parallel by = serial) {
    return [this, by] { quanta::unpack(m, std::span(blocks), by); };
  }
};

} // namespace

TEST_CASE("rows") {
  std::vector<float> x(64, 1.f), short_x(63);
  std::vector<q4_0> row(2), longer(3);
  std::vector<q8_0> a(2), short_a(1);
  q4_0 block{};
  CHECK(works([] { quanta::quantize(std::span<const float>{}, std::span<q4_0>{}); }));
  CHECK(works([&] { quanta::quantize(x, row, {.importance = x}); }));
  CHECK(violates([&] { quanta::quantize(x, row, {.importance = short_x}); }));
  CHECK(violates([&] { quanta::quantize(std::span<float>{}, std::span<q4_0>{}, {.importance = x}); }));
  CHECK(violates([&] { quanta::quantize(short_x, row); }));
  CHECK(violates([&] { quanta::quantize(x, longer); }));
  CHECK(violates([&] { quanta::dequantize(longer, x); }));
  CHECK(violates([&] { quanta::dequantize(row, std::vector<quanta::f16>(65)); }));
  CHECK(violates([&] { (void)quanta::compare(x, longer); }));
  CHECK(violates([&] { (void)quanta::dot(row, short_a); }));
  CHECK(violates([&] { (void)quanta::dot(row, short_x); }));
  CHECK(works([&] { (void)quanta::dot(row, a); }));
  for (const std::size_t count : wrapping) {
    CHECK(violates([&] { (void)quanta::dot(claimed(block, count), std::span<const float>{}); }));
    CHECK(violates([&] { (void)quanta::dot(claimed(block, count), std::span<const q8_0>{}); }));
    CHECK(violates([&] { quanta::dequantize(claimed(block, count), std::span<float>{}); }));
    CHECK(violates([&] { quanta::quantize(std::span<const float>{}, claimed(block, count)); }));
  }
  CHECK(violates([&] { // 2^59 blocks of 32 are no values, modulo 2^64
    quanta::q4_k super{};
    (void)quanta::dot(claimed(super, std::size_t{1} << 56), std::span<const quanta::q8_k>{});
  }));
}

TEST_CASE("matrices") {
  using view = quanta::matrix_view<q4_0>;
  std::vector<q4_0> blocks(8);
  std::vector<q8_0> x(2);
  std::vector<float> y(4);
  const auto multiply = [&](view m) { return [&, m] { quanta::gemv(m, x, y, parallel(serial)); }; };
  CHECK(works(multiply({blocks, 4, 64})));
  CHECK(violates([&] { view(blocks, 4, 65); }));
  CHECK(violates([&] { view(blocks, 5, 64); }));
  CHECK(violates([&] { (void)view(blocks, 4, 64).row(4); }));
  CHECK(violates(multiply({blocks, 3, 64})));
  CHECK(violates(multiply({blocks, 4, 32})));
  CHECK(works([&] { quanta::gemv(view({}, 4, 0), std::span(x).first(0), y, parallel(serial)); }));
  CHECK(works([&] { quanta::gemv(view({}, 0, 64), x, std::span<float>{}, parallel(serial)); }));
  for (const std::size_t rows : wrapping) {
    CHECK(violates([&] { view(blocks, rows, 512); }));
    CHECK(violates([&] { view(blocks, rows / 32 * 32, rows / 32 * 32); }));
    CHECK(works([&] { view({}, rows, 0); }));
  }
  view changed(blocks, 4, 64);
  changed.rows = 1000;
  CHECK(violates([&] { (void)changed.row(999); }));
  CHECK(violates([&] {
    std::vector<float> out(1000);
    quanta::gemv(changed, x, out, parallel(serial));
  }));
  CHECK(violates([&] { quanta::dequantize_rows(changed, std::vector{999}, std::vector<float>(64)); }));
  CHECK(violates([&] {
    bytes s(100000);
    (void)quanta::pack<portable>(changed, std::span(s), parallel(serial));
  }));
  const view m(blocks, 4, 64);
  CHECK(works([&] { quanta::dequantize_rows(m, std::vector{3, 0}, std::vector<float>(128)); }));
  CHECK(violates([&] { quanta::dequantize_rows(m, std::vector{4}, std::vector<float>(64)); }));
  CHECK(violates([&] { quanta::dequantize_rows(m, std::vector{-1}, std::vector<float>(64)); }));
  CHECK(violates([&] { quanta::dequantize_rows(m, std::vector{3, 0}, std::vector<float>(64)); }));
  int index = 0;
  CHECK(violates([&] { quanta::dequantize_rows(m, claimed(index, std::size_t{1} << 58), std::span<float>{}); }));
}

TEST_CASE("partitions") {
  std::vector<q4_0> blocks(4);
  const quanta::matrix_view<q4_0> m(blocks, 4, 32);
  std::vector<q8_0> x(1);
  std::vector<float> y(4);
  CHECK(works([&] { quanta::gemv(m, x, y, parallel(with_nothing)); }));
  CHECK(violates([&] { quanta::gemv(m, x, y, parallel(too_far)); }));
  CHECK(violates([&] { quanta::gemv(m, x, y, parallel(backwards)); }));
  product p;
  CHECK(works(p.multiply(16, with_nothing)));
  CHECK(violates(p.multiply(16, too_far)));
  CHECK(violates(p.unpack(backwards)));
  CHECK(violates([&] { quanta::pack<portable>(m, std::span(p.weights), parallel(too_far)); }));
  CHECK(violates([&] { quanta::pack_activations<q4_0, portable>(p.x, 3, 64, p.tokens, parallel(too_far)); }));
  // every item once, though all of them are more than a counter of items goes on from
  for (const std::size_t count : {largest, largest - 1, std::size_t{1} << 63}) {
    std::atomic<std::size_t> items = 0, calls = 0;
    quanta::threads(2)(count, [&](std::size_t begin, std::size_t end) { items += end - begin, ++calls; });
    CHECK(items == count);
    CHECK(calls <= 16);
  }
  CHECK(quanta::threads(largest).count() == quanta::threads::most);
}

TEST_CASE("packed sizes") {
  const std::vector<float> x(64);
  bytes s(100000);
  const std::span<std::byte> storage = s;
  const quanta::matrix_view<q4_0> none({}, largest, 0);
  CHECK(
      works([&] { quanta::unpack(quanta::pack<portable>(none, {}, parallel(serial)), std::span<q4_0>{}, parallel(serial)); }));
  CHECK(works([&] { (void)quanta::pack_activations<q4_0, portable>({}, largest, 0, {}, parallel(serial)); }));
  CHECK(violates([&] { (void)quanta::pack_activations<q4_0, portable>(x, 2, 64, storage, parallel(serial)); }));
  CHECK(violates([&] { (void)quanta::pack_activations<q4_0, portable>(x, 1, 63, storage, parallel(serial)); }));
  CHECK(violates([&] { (void)quanta::pack_activations<q4_0, portable>(x, 2, 32, storage.first(10), parallel(serial)); }));
  CHECK(violates([&] { (void)quanta::packed_bytes<q4_0, portable>(4, 33); }));
  CHECK(violates([&] { (void)quanta::activation_bytes<q4_0, portable>(4, 33); }));
  for (const std::size_t size : wrapping) {
    const std::size_t columns = size / 32 * 32;
    CHECK(violates([&] { (void)quanta::packed_bytes<q4_0, portable>(size, 64); }));
    CHECK(violates([&] { (void)quanta::packed_bytes<q4_0, portable>(512, columns); }));
    CHECK(violates([&] { (void)quanta::activation_bytes<q4_0, portable>(size, 64); }));
    CHECK(violates([&] { (void)quanta::activation_bytes<q4_0, portable>(512, columns); }));
    CHECK(violates([&] { (void)quanta::pack_activations<q4_0, portable>({}, size, 32, storage, parallel(serial)); }));
    CHECK(violates([&] { (void)quanta::pack_activations<q4_0, portable>({}, 32, columns, storage, parallel(serial)); }));
  }
}

TEST_CASE("packed products") {
  product p;
  CHECK(works(p.multiply()));
  CHECK(works(p.unpack()));
  CHECK(violates(p.multiply(15)));
  for (const std::size_t stride : wrapping)
    CHECK(violates(p.multiply(stride)));
  p.y.pop_back();
  CHECK(violates(p.multiply()));

  const product right;
  for (const std::size_t size : {std::size_t{0}, right.m.bytes.size() / 2, right.m.bytes.size() - 1}) {
    p = {};
    p.m.bytes = p.m.bytes.first(size);
    CHECK(violates(p.multiply()));
    CHECK(violates(p.unpack()));
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{40}, right.a.bytes.size() - 1}) {
    p = {};
    p.a.bytes = p.a.bytes.first(size);
    CHECK(violates(p.multiply()));
  }
  for (const std::size_t size : wrapping) {
    p = {};
    p.m.rows = size;
    CHECK(violates(p.multiply(size)));
    CHECK(violates(p.unpack()));
    p = {};
    p.a.tokens = size;
    CHECK(violates(p.multiply()));
    p = {};
    p.m.columns = p.a.columns = size / 32 * 32;
    CHECK(violates(p.multiply()));
    p.a.tokens = 0;
    CHECK(violates(p.multiply()));
  }
  p = {};
  p.a = {};
  p.a.columns = 64;
  p.y.clear();
  CHECK(works(p.multiply()));
  p.m.columns = p.a.columns = 63;
  CHECK(violates(p.multiply()));

  p = {};
  std::vector<quanta::gemm_part<q4_0, portable>> parts(3, {p.m, p.y, 16});
  const auto all = [&] { quanta::gemm(std::span<const quanta::gemm_part<q4_0, portable>>(parts), p.a, parallel(serial)); };
  CHECK(works(all));
  parts[2].stride = 0;
  CHECK(violates(all));
  parts[2] = {};
  CHECK(violates(all));
}

TEST_CASE("experts") {
  product p;
  std::vector<quanta::packed_matrix<q4_0, portable>> experts(3, p.m);
  std::vector<std::uint32_t> chosen{0, 2, 2, 1, 0, 0}, indices(quanta::expert_indices(3, 6));
  std::vector<float> y(6 * 16);
  bytes tiles(quanta::activation_bytes<q4_0, portable>(6, 64));
  quanta::expert_scratch scratch{indices, tiles};
  const auto multiply = [&](std::size_t stride = 16) {
    return [&, stride] {
      const std::span<const quanta::packed_matrix<q4_0, portable>> all(experts);
      quanta::gemm_experts(all, p.a, chosen, y, stride, scratch, parallel(serial));
    };
  };
  CHECK(works(multiply()));
  CHECK(violates(multiply(15)));
  for (const std::size_t stride : wrapping)
    CHECK(violates(multiply(stride)));
  chosen[4] = 3;
  CHECK(violates(multiply()));
  chosen[4] = 0;
  chosen.pop_back();
  CHECK(violates(multiply()));
  chosen.push_back(0);
  scratch.indices = scratch.indices.first(9);
  CHECK(violates(multiply()));
  scratch = {indices, std::span(tiles).first(tiles.size() - 1)};
  CHECK(violates(multiply()));
  scratch = {indices, tiles};
  experts[1].bytes = {};
  CHECK(violates(multiply()));
  experts.clear();
  CHECK(violates(multiply()));
  CHECK(violates([] { (void)quanta::expert_indices(largest, 0); }));
  CHECK(violates([] { (void)quanta::expert_indices(1, largest - 1); }));
}

TEST_CASE("kernels of the dispatch know no ends, but blocks and sizes") {
  const auto& k = quanta::dispatch::detail::entries<portable, q4_0>::table;
  std::vector<q4_0> blocks(8);
  std::vector<q8_0> a(2);
  std::vector<float> x(64), y(4);
  const auto all = [&](std::size_t rows, std::size_t columns, const float* values, void* row, const void* activations) {
    return std::vector{outcome([&] { k.quantize(values, columns, row, nullptr); }),
                       outcome([&] { k.quantize_f16(values, columns, row, nullptr); }),
                       outcome([&] { k.quantize_bf16(values, columns, row, nullptr); }),
                       outcome([&] { k.quantize_thoroughly(values, columns, row, nullptr); }),
                       outcome([&] { k.dequantize(row, columns, x.data()); }),
                       outcome([&] { (void)k.dot(row, activations, columns); }),
                       outcome([&] { (void)k.dot_values(row, values, columns); }),
                       outcome([&] { k.gemv(row, rows, columns, activations, y.data()); }),
                       outcome([&] { k.gemv_values(row, rows, columns, values, y.data()); })};
  };
  CHECK(all(4, 64, x.data(), blocks.data(), a.data()) == std::vector(9, 0));
  CHECK(all(4, 0, nullptr, nullptr, nullptr) == std::vector(9, 0));
  for (const std::size_t columns :
       {std::size_t{1}, std::size_t{31}, std::size_t{33}, std::size_t{1} << 61, std::size_t{1} << 63, largest})
    CHECK(all(4, columns, x.data(), blocks.data(), a.data()) == std::vector(9, 42));
  const auto without_values = all(4, 64, nullptr, blocks.data(), nullptr),
             without_blocks = all(4, 64, x.data(), nullptr, a.data());
  CHECK(without_values == std::vector{42, 42, 42, 42, 0, 42, 42, 42, 42});
  CHECK(without_blocks == std::vector(9, 42));
  for (const std::size_t rows : wrapping) {
    CHECK(violates([&] { k.gemv(blocks.data(), rows, 1024, a.data(), y.data()); }));
    CHECK(violates([&] { k.gemv_values(blocks.data(), rows, 1024, x.data(), y.data()); }));
  }
}

TEST_CASE("packed kernels of the dispatch") {
  const auto& k = quanta::dispatch::detail::packed_entries<portable, q4_0>::table;
  product p;
  const auto multiply = [&](std::span<const std::byte> matrix, std::size_t rows, std::size_t columns,
                            std::span<const std::byte> tokens, std::size_t count) {
    return [=, &p] {
      const quanta::dispatch::packed_part part{matrix, rows, p.y, rows};
      k.gemm(std::span(&part, 1), columns, tokens, count, serial);
    };
  };
  const std::span<const std::byte> m = p.m.bytes, a = p.a.bytes;
  CHECK(works(multiply(m, 16, 64, a, 3)));
  CHECK(violates(multiply(m.first(m.size() - 1), 16, 64, a, 3)));
  CHECK(violates(multiply(m, 16, 64, a.first(a.size() - 1), 3)));
  CHECK(violates(multiply(m, 16, 63, a, 3)));
  for (const std::size_t size : wrapping) {
    CHECK(violates(multiply(m, size, 64, a, 3)));
    CHECK(violates(multiply(m, 16, size / 32 * 32, a, 3)));
    CHECK(violates(multiply(m, 16, 64, a, size)));
    CHECK(violates([&] { (void)k.matrix_bytes(size, 64); }));
    CHECK(violates([&] { (void)k.activation_bytes(size, 64); }));
    CHECK(violates([&] { k.pack(p.blocks.data(), size, 1024, p.weights, serial); }));
    CHECK(violates([&] { k.pack_activations(p.x, size, 1024, p.tokens, serial); }));
    const std::vector<std::uint32_t> chosen(3);
    std::vector<std::uint32_t> indices(5);
    const std::vector<std::span<const std::byte>> experts{m};
    CHECK(violates([&] { k.gemm_experts(experts, size, 64, a, 3, {chosen, p.y, size, indices, p.tokens}, serial); }));
    CHECK(violates([&] { k.gemm_experts(experts, 16, 64, a, size, {chosen, p.y, 16, indices, p.tokens}, serial); }));
    CHECK(violates([&] { k.gemm_experts(experts, 16, 64, a, 3, {chosen, p.y, size, indices, p.tokens}, serial); }));
  }
  CHECK(violates([&] { k.pack(nullptr, 16, 64, p.weights, serial); }));
  CHECK(violates([&] { k.pack(p.blocks.data(), 16, 33, p.weights, serial); }));
  CHECK(violates([&] { k.pack(p.blocks.data(), 16, 64, std::span(p.weights).first(m.size() - 1), serial); }));
}

TEST_CASE("int8") {
  using weights = quanta::int8_per_channel;
  std::vector<std::int8_t> codes(8, 1), x(4), y(2);
  std::vector<float> values(8), scales(2, 1.f);
  std::vector<std::int32_t> offsets(2);
  std::vector<quanta::fixed_point_multiplier> factors(2, {1 << 30, 0});
  const quanta::int8_affine wrong{0.f, 0};
  CHECK(works([&] { quanta::quantize(values, codes, quanta::int8_affine{}); }));
  CHECK(violates([&] { quanta::quantize(values, x, quanta::int8_affine{}); }));
  CHECK(violates([&] { quanta::quantize(values, codes, wrong); }));
  CHECK(violates([&] { quanta::dequantize(codes, scales, quanta::int8_affine{}); }));
  CHECK(violates([&] { quanta::dequantize(codes, values, wrong); }));
  CHECK(violates([&] { quanta::quantize(codes, std::vector<q4_0>(1), quanta::int8_affine{}); }));
  CHECK(violates([&] { quanta::repack(codes, 1.f, std::span<q8_0>{}); }));
  CHECK(violates([&] { (void)quanta::quantize_bias(values, 1.f, scales, offsets); }));

  CHECK(works([&] { weights(codes, scales, 2, 4).row(1); }));
  CHECK(violates([&] { weights(codes, scales, 2, 5); }));
  CHECK(violates([&] { weights(codes, scales, 4, 2); }));
  CHECK(violates([&] { weights(codes, scales, 2, 4).row(2); }));
  CHECK(violates([&] { (void)weights(codes, scales, 2, 4).scale(0, 4); }));
  weights changed(codes, scales, 2, 4);
  changed.rows = 3;
  CHECK(violates([&] { (void)changed.row(2); }));
  CHECK(violates([&] { (void)changed.parameters(2); }));
  CHECK(violates([&] { quanta::dequantize(changed, values); }));
  for (const std::size_t rows : wrapping) {
    const weights none({}, std::span(scales).first(1), rows, 0);
    CHECK(violates([&] { weights({}, std::span(scales).first(1), rows, 1024); }));
    CHECK(works([&] { quanta::dequantize(none, std::span<float>{}); }));
    CHECK(works([&] { quanta::fully_connected(quanta::int8_fully_connected<>{{}, {}, {}}, x, std::span<std::int8_t>{}); }));
    CHECK(
        violates([&] { quanta::fully_connected(quanta::int8_fully_connected<>{none, {}, {}}, x, std::span<std::int8_t>{}); }));
    const quanta::matrix_view<float> matrix({}, rows, 0);
    CHECK(works([&] { (void)quanta::quantize_per_channel(matrix, std::span<std::int8_t>{}, std::span(scales).first(1)); }));
  }
  const quanta::matrix_view<float> matrix(values, 2, 4);
  CHECK(works([&] { (void)quanta::quantize_per_channel(matrix, codes, scales); }));
  CHECK(violates([&] { (void)quanta::quantize_per_channel(matrix, x, scales); }));
  CHECK(violates([&] { (void)quanta::quantize_per_channel(matrix, codes, values); }));

  quanta::int8_layer layer{weights(codes, scales, 2, 4), {}, {}, {}};
  const auto prepare = [&](std::size_t size) {
    return [&, size] { (void)quanta::prepare(layer, std::span(offsets).first(size), std::span(factors).first(size)); };
  };
  CHECK(works(prepare(2)));
  CHECK(violates(prepare(1)));
  layer.weights.columns = largest;
  CHECK(violates(prepare(2)));

  quanta::int8_fully_connected<> ready{weights(codes, scales, 2, 4), offsets, factors};
  const auto run = [&] { quanta::fully_connected(ready, x, y); };
  CHECK(works(run));
  y.resize(3);
  CHECK(violates(run));
  y.resize(4);
  CHECK(violates(run));
  y.resize(2);
  ready.offsets = ready.offsets.first(1);
  CHECK(violates(run));
  ready.offsets = offsets;
  offsets[1] = std::numeric_limits<std::int32_t>::max(); // what prepare refuses wraps
  CHECK(works(run));
  factors[1].shift = 31;
  CHECK(violates(run));
  factors[1].shift = 0;
  ready.output_zero_point = std::numeric_limits<std::int32_t>::min();
  CHECK(violates(run));
  CHECK(violates([] { (void)quanta::requantize<quanta::single_rounding>(1, {1, -32}, 0); }));
  CHECK(violates([] { (void)quanta::requantize<quanta::float_rounding>(0, std::numeric_limits<float>::infinity(), 0); }));
}

TEST_CASE("metadata values made by hand") {
  using quanta::gguf::value, quanta::gguf::value_type;
  const value scalar = value::of(std::uint32_t{7}), empty{.type = value_type::uint32, .bytes = {}};
  CHECK(works([&] { (void)scalar.as<std::uint32_t>(), (void)scalar.integer(); }));
  CHECK(violates([&] { (void)empty.as<std::uint32_t>(); }));
  CHECK(violates([&] { (void)empty.integer(); }));
  CHECK(violates([&] { (void)scalar.element_at<std::uint32_t>(1); }));
  CHECK(violates([&] { (void)scalar.element_at<bool>(4); }));
  value array{.type = value_type::array, .element = value_type::uint32, .count = 2, .bytes = bytes(8)};
  CHECK(works([&] { (void)array.array_of<std::uint32_t>(); }));
  for (const std::size_t count : wrapping) {
    array.count = count;
    CHECK(violates([&] { (void)array.array_of<std::uint32_t>(); }));
    CHECK(violates([&] { (void)array.element_at<std::uint32_t>(count); }));
  }
  value strings{.type = value_type::array, .element = value_type::string, .count = 2, .bytes = bytes(8)};
  CHECK(violates([&] { (void)strings.strings(); }));
  strings.bytes.assign(8, std::byte{255});
  CHECK(violates([&] { (void)strings.strings(1); }));
  CHECK(quanta::gguf::name(static_cast<value_type>(13)) == "unknown");
  CHECK(quanta::gguf::fixed_size(static_cast<value_type>(13)) == 0);
  CHECK(quanta::name(static_cast<quanta::errc>(255)) == "unknown");
  CHECK(quanta::isa::name(static_cast<quanta::isa::level>(77)) == "unknown");
}
