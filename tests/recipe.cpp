// Recipes: sizes of whole models to the byte, and the rules that no Llama shows.
#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <map>
#include <sstream>

#include "quanta/recipe/overrides.hpp"

namespace {

namespace recipe = quanta::recipe;
using quanta::tensor_type;
using recipe::mix;

recipe::plan plan_of(mix id, bool large, bool importance = false) {
  auto p = recipe::make_plan(id, large ? recipe::llama_3_70b_shape() : recipe::llama_3_8b_shape(),
                             large ? recipe::llama_3_70b() : recipe::llama_3_8b(),
                             {.importance = importance, .output = {}, .token_embedding = {}, .overrides = {}});
  REQUIRE(p);
  return *p;
}
std::map<tensor_type, int> counts(const recipe::plan& p) {
  std::map<tensor_type, int> n;
  for (const auto& t : p.tensors)
    ++n[t.type];
  return n;
}

} // namespace

TEST_CASE("Llama 3 has its published sizes") {
  struct row {
    mix id;
    std::uint64_t small, large;
    bool importance = false;
  };
  const row rows[] = {{mix::f16, 16061054976, 141110050816},        {mix::q8_0, 8532934656, 74967187456},
                      {mix::q6_k, 6588170240, 57880281088},         {mix::q5_k_m, 5725151232, 49941954560},
                      {mix::q5_k_s, 5591457792, 48649584640},       {mix::q4_k_m, 4912898048, 42512531456},
                      {mix::q4_k_s, 4684832768, 40339357696},       {mix::q4_0, 4653375488, 39961870336},
                      {mix::q4_0, 4668055552, 40108670976, true},   {mix::iq4_xs, 4476526592, 38261800960},
                      {mix::iq4_xs, 4439826432, 37894799360, true}, {mix::q3_k_l, 4314120192, 37132730368},
                      {mix::q3_k_m, 4011081728, 34259632128},       {mix::q3_k_s, 3656663040, 30904188928},
                      {mix::q2_k, 3171295232, 26367246336},         {mix::q2_k_s, 2980978688, 24464080896, true}};
  for (const row& r : rows) {
    CAPTURE(recipe::info(r.id).name, r.importance);
    CHECK(plan_of(r.id, false, r.importance).bytes == r.small);
    CHECK(plan_of(r.id, true, r.importance).bytes == r.large);
  }
  CHECK(plan_of(mix::q4_k_m, true).elements == 70553706496);
  CHECK(counts(plan_of(mix::q4_k_m, true)) ==
        std::map<tensor_type, int>{
            {tensor_type::q4_k, 441}, {tensor_type::q5_k, 40}, {tensor_type::q6_k, 81}, {tensor_type::f32, 161}});
  CHECK(counts(plan_of(mix::q4_k_m, false)) ==
        std::map<tensor_type, int>{{tensor_type::q4_k, 193}, {tensor_type::q6_k, 33}, {tensor_type::f32, 65}});
}

TEST_CASE("names go both ways") {
  for (const auto& m : recipe::mixes)
    CHECK(recipe::find_mix(m.name) == &m);
  CHECK(recipe::find_mix("q4_k")->id == mix::q4_k_m);
  CHECK(recipe::find_mix("q4_k_s")->id == mix::q4_k_s);
  CHECK(recipe::find_mix("q9") == nullptr);
  CHECK(recipe::info(mix::q4_k_m).file_type == 15);
}

TEST_CASE("rows that are no whole blocks fall back, or are refused") {
  const std::vector<recipe::tensor_shape> tensors{{"blk.0.ffn_up.weight", {64, 10}, tensor_type::f32},
                                                  {"blk.0.ffn_gate.weight", {20, 10}, tensor_type::f32},
                                                  {"output.weight", {64, 10}, tensor_type::f32}};
  auto p = recipe::make_plan(mix::q4_k_m, {"llama", 1, 1, 1, 0}, tensors);
  REQUIRE(p);
  REQUIRE(p->tensors.size() == 3);
  CHECK(p->tensors[0].type == tensor_type::q8_0); // output first: it has no layer
  CHECK(p->tensors[1].type == tensor_type::f16);
  CHECK(p->tensors[1].fallback_from == tensor_type::q4_k);
  CHECK(p->tensors[2].type == tensor_type::q5_0);
  recipe::plan_options strict;
  strict.allow_fallback = false;
  CHECK(recipe::make_plan(mix::q4_k_m, {"llama", 1, 1, 1, 0}, tensors, strict).error().code == quanta::errc::bad_row);
  CHECK(recipe::make_plan(mix::q4_k_m, {"llama", 1, 1, 1, 0}, tensors, strict).error().subject() == "blk.0.ffn_gate.weight");
}

TEST_CASE("importance, quantized sources and overrides") {
  const std::vector<recipe::tensor_shape> tensors{{"token_embd.weight", {256, 10}, tensor_type::f16},
                                                  {"blk.0.ffn_up.weight", {256, 10}, tensor_type::f16},
                                                  {"blk.0.attn_norm.weight", {256}, tensor_type::f32},
                                                  {"blk.0.ffn_gate_inp.weight", {256, 8}, tensor_type::f32}};
  const recipe::model_shape model{"llama", 1, 1, 1, 0};
  CHECK(recipe::make_plan(mix::iq2_xxs, model, tensors).error().code == quanta::errc::importance_required);
  CHECK(recipe::make_plan(mix::q2_k_s, model, tensors).error().subject() == "blk.0.ffn_up.weight");
  recipe::plan_options o;
  o.overrides = {*recipe::parse_override("blk.*up=q8_0"), *recipe::parse_override("up=f16"),
                 *recipe::parse_override("^up=f16")};
  o.token_embedding = tensor_type::q4_0;
  auto p = recipe::make_plan(mix::q4_k_m, model, tensors, o);
  REQUIRE(p);
  CHECK(p->tensors[0].type == tensor_type::q4_0);
  CHECK(p->tensors[1].type == tensor_type::f32);
  CHECK(p->tensors[2].copied);
  CHECK(p->tensors[3].type == tensor_type::q8_0); // the first match wins
  CHECK(p->matches == std::vector<std::size_t>{1, 1, 0});
  for (const char* activations : {"up=q8_k", "up=q8_1", "up=i32", "up=q9", "up="})
    CHECK(recipe::parse_override(activations).error().code == quanta::errc::bad_type);
  for (const char* pattern : {"=q8_0", "q8_0", "*up=q8_0", "(up=q8_0"})
    CHECK(recipe::parse_override(pattern).error().code == quanta::errc::bad_pattern);
  auto quantized = tensors;
  quantized[1].type = tensor_type::q4_0;
  CHECK(recipe::make_plan(mix::q4_k_m, model, quantized).error().code == quanta::errc::unsupported_type);
  // tied embeddings take the output's rule
  CHECK(recipe::make_plan(mix::q4_k_m, model, tensors)->tensors[0].type == tensor_type::q6_k);
}

TEST_CASE("a matrix without an entry for a weight does not count for it") {
  std::vector<recipe::tensor_shape> tensors{{"blk.0.attn_k.weight", {256, 10}, tensor_type::f16},
                                            {"blk.0.ffn_up.weight", {256, 10}, tensor_type::f16, false}};
  recipe::plan_options o;
  o.importance = true;
  const auto p = recipe::make_plan(mix::iq2_xxs, {"llama", 1, 1, 1, 0}, tensors, o);
  REQUIRE(!p);
  CHECK(p.error().code == quanta::errc::importance_required);
  CHECK(p.error().subject() == "blk.0.ffn_up.weight");
  CHECK(recipe::make_plan(mix::q4_k_m, {"llama", 1, 1, 1, 0}, tensors, o));
}

TEST_CASE("trailing dimensions of one do not count, and tensors without elements are kept") {
  const std::vector<recipe::tensor_shape> tensors{
      {"a.weight", {256, 1}, tensor_type::f32},    {"b.weight", {256, 4, 1}, tensor_type::f32},
      {"c.weight", {256, 4, 2}, tensor_type::f32}, {"d.weight", {256, 0}, tensor_type::f16},
      {"e.weight", {}, tensor_type::f32},          {"f.weight", {0, 4}, tensor_type::f32}};
  const auto p = recipe::make_plan(mix::mxfp4_moe, {"llama", 1, 1, 1, 0}, tensors);
  REQUIRE(p);
  const tensor_type wanted[] = {tensor_type::f32, tensor_type::q8_0, tensor_type::mxfp4,
                                tensor_type::f16, tensor_type::f32,  tensor_type::f32};
  for (std::size_t i = 0; i < 6; ++i) {
    CAPTURE(i);
    CHECK(p->tensors[i].type == wanted[i]);
  }
  CHECK(p->tensors[3].bytes == 0);
  CHECK(p->tensors[4].bytes == 4);
}

TEST_CASE("rows that no block divides become f16, whatever the mix") {
  for (const auto& m : recipe::mixes) {
    CAPTURE(m.name);
    recipe::plan_options o;
    o.importance = true;
    const auto p = recipe::make_plan(m.id, {"llama", 1, 1, 1, 0}, {{"a.weight", {3, 3, 4, 8}, tensor_type::f32}}, o);
    REQUIRE(p);
    const bool plain = m.id == mix::f32 || m.id == mix::f16 || m.id == mix::bf16;
    CHECK(p->tensors[0].type == (plain ? m.base : tensor_type::f16));
    CHECK(p->tensors[0].fallback_from.has_value() == !plain);
  }
}

TEST_CASE("sizes beyond 2^60 bytes are refused") {
  const std::vector<recipe::tensor_shape> large(20, {"a.weight", {std::uint64_t{1} << 40, 1 << 15}, tensor_type::f32});
  CHECK(recipe::make_plan(mix::f32, {}, large).error().code == quanta::errc::size_overflow);
  CHECK(recipe::make_plan(mix::f32, {}, {{"a.weight", {std::uint64_t{1} << 40, 1 << 17}, tensor_type::f32}}).error().code ==
        quanta::errc::size_overflow);
}

TEST_CASE("the demo model gets the types of the reference") {
  std::ifstream file(QUANTA_TEST_DATA "/models/expected_hashes.tsv");
  REQUIRE(file.good());
  const auto tensors = recipe::llama_tensors(4, 256, 768, 128, 256);
  int checked = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string name, importance, tensor, type;
    if (line[0] == '#' || !(fields >> name >> importance >> tensor >> type))
      continue;
    const auto p = recipe::make_plan(recipe::find_mix(name)->id, {"llama", 4, 4, 2, 0}, tensors);
    REQUIRE(p);
    for (const auto& t : p->tensors)
      if (t.shape.name == tensor) {
        CAPTURE(line);
        CHECK(quanta::find_format(type)->type == t.type);
        ++checked;
      }
  }
  CHECK(checked == 150);
}
