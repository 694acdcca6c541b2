// Run-time dispatch: every level that this CPU has gives the portable level's bytes and bits.
#include <bit>
#include <catch2/catch_test_macros.hpp>

#include "quanta/dispatch.hpp"
#include "support/golden_data.hpp"

namespace {
using quanta::dispatch::find;
using quanta::isa::level;
} // namespace

TEST_CASE("all levels agree") {
  const std::size_t columns = 2048 + 512;
  const auto x = golden::rows(3, "heavy", 4, columns), importance = golden::importance(3, columns);
  for (const auto& entry : quanta::dispatch::compiled_levels()) {
    if (!quanta::isa::has(entry.level))
      continue;
    for (const auto& k : entry.table()) {
      CAPTURE(quanta::isa::name(entry.level), quanta::name(k.type));
      const auto* p = find(k.type, level::portable);
      REQUIRE(p != nullptr);
      const auto bytes = static_cast<std::size_t>(*quanta::row_bytes(k.type, columns));
      std::vector<std::byte> a(4 * bytes), b(4 * bytes);
      for (std::size_t r = 0; r < 4; ++r) {
        const float* w = r % 2 ? importance.data() : nullptr;
        k.quantize(&x[r * columns], columns, &a[r * bytes], w);
        p->quantize(&x[r * columns], columns, &b[r * bytes], w);
      }
      CHECK(a == b);
      std::vector<float> u(columns), v(columns);
      k.dequantize(a.data(), columns, u.data());
      p->dequantize(a.data(), columns, v.data());
      CHECK(golden::hash_of_floats(u) == golden::hash_of_floats(v));
      const auto* partner = find(k.dot_partner, level::portable);
      std::vector<std::byte> activations(static_cast<std::size_t>(*quanta::row_bytes(k.dot_partner, columns)));
      if (partner)
        partner->quantize(x.data(), columns, activations.data(), nullptr);
      else
        std::memcpy(activations.data(), x.data(), columns * sizeof(float));
      float y[4], z[4];
      k.gemv(a.data(), 4, columns, activations.data(), y);
      p->gemv(a.data(), 4, columns, activations.data(), z);
      for (int r = 0; r < 4; ++r) {
        CHECK(std::bit_cast<std::uint32_t>(y[r]) == std::bit_cast<std::uint32_t>(z[r]));
        CHECK(std::bit_cast<std::uint32_t>(y[r]) ==
              std::bit_cast<std::uint32_t>(k.dot(&a[static_cast<std::size_t>(r) * bytes], activations.data(), columns)));
      }
      k.gemv_values(a.data(), 4, columns, x.data(), y);
      p->gemv_values(a.data(), 4, columns, x.data(), z);
      CHECK(std::memcmp(y, z, sizeof y) == 0);
    }
  }
}

TEST_CASE("types without kernels are not found") {
  CHECK(find(quanta::tensor_type::i32) == nullptr);
  CHECK(find(static_cast<quanta::tensor_type>(31)) == nullptr);
  CHECK(find(quanta::tensor_type::q4_k) != nullptr);
  CHECK(quanta::dispatch::best_level() == quanta::isa::best());
  CHECK(quanta::isa::has(quanta::isa::best()));
}
