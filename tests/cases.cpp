// What people's files and options turn out to be: each case is of a kind that users of such tools have reported.
#include <algorithm>
#include <map>
#include <vector>

#include "quanta/gguf/gguf.hpp"
#include "support/tool.hpp"

namespace {

namespace gguf = quanta::gguf;
using quanta::tensor_type;
const std::string cases = QUANTA_TEST_DATA "/cases/";

/// A case quantized into a folder of its own.
struct quantized {
  temporary_directory directory;
  outcome result;
  quantized(const std::string& file, const std::string& arguments) {
    result = run("quantize " + cases + file + " " + (directory / "out.gguf") + " " + arguments);
    INFO(result.text);
    CHECK(directory.files() == (result.code == 0 ? 1u : 0u));
  }
  gguf::file open() const {
    INFO(result.text);
    REQUIRE(result.code == 0);
    auto f = gguf::file::open(directory / "out.gguf");
    REQUIRE(f);
    return std::move(*f);
  }
  tensor_type type_of(const std::string& tensor) const {
    const gguf::file f = open();
    const auto* t = f.find_tensor(tensor);
    REQUIRE(t != nullptr);
    return t->type;
  }
  std::vector<std::byte> bytes_of(const std::string& tensor) const {
    const gguf::file f = open();
    std::vector<std::byte> bytes(f.find_tensor(tensor)->bytes);
    REQUIRE(f.read(*f.find_tensor(tensor), 0, bytes));
    return bytes;
  }
  /// Refused, with this said.
  bool refuses(int code, std::string_view word) const {
    UNSCOPED_INFO(result.text);
    return result.code == code && result.says(word);
  }
};

std::vector<std::string> keys_of(const gguf::file& f) {
  std::vector<std::string> keys;
  for (const auto& e : f.metadata())
    keys.push_back(e.key);
  return keys;
}

} // namespace

TEST_CASE("a split model is read whole, or refused") {
  const gguf::file all = quantized("split-00001-of-00002.gguf", "--type Q4_K_M").open();
  CHECK(all.tensors().size() == 2);
  CHECK(all.find("split.count") == nullptr);
  CHECK(quantized("split-00002-of-00002.gguf", "--type Q4_K_M").refuses(2, "split_mismatch"));
  temporary_directory alone;
  std::filesystem::copy(cases + "split-00001-of-00002.gguf", alone / "split-00001-of-00002.gguf");
  const auto r = run("quantize " + (alone / "split-00001-of-00002.gguf") + " " + (alone / "out") + " --type Q8_0");
  CHECK(r.code == 2);
  CHECK(r.says("split_mismatch: split-00002-of-00002.gguf: No such file"));
  CHECK(alone.files() == 1);
  // every part is an input that no output may replace
  std::filesystem::copy(cases + "split-00002-of-00002.gguf", alone / "split-00002-of-00002.gguf");
  const auto over = run("quantize " + (alone / "split-00001-of-00002.gguf") + " " + (alone / "split-00002-of-00002.gguf") +
                        " --type Q8_0 --force");
  CHECK(over.code == 2);
  CHECK(hash_of_file(alone / "split-00002-of-00002.gguf") == hash_of_file(cases + "split-00002-of-00002.gguf"));
}

TEST_CASE("a split model can stay split") {
  temporary_directory d;
  REQUIRE(run("quantize " + cases + "split-00001-of-00002.gguf " + (d / "out.gguf") + " Q4_K_M --keep-split").code == 0);
  CHECK(d.files() == 2);
  const auto m = gguf::model::open(d / "out-00001-of-00002.gguf");
  REQUIRE(m);
  CHECK(m->tensors().size() == 2);
  CHECK(m->find_tensor("blk.1.ffn_up.weight")->info->type == tensor_type::q4_k);
  CHECK(m->parts()[1].metadata().size() == 3);
  CHECK(run("compare " + cases + "split-00001-of-00002.gguf " + (d / "out-00001-of-00002.gguf") + " --max-rms 0.1").code == 0);
}

TEST_CASE("importance that a weight lacks is said, or refused where its type needs it") {
  const std::string im = " --imatrix " + cases;
  CHECK(
      quantized("two.gguf", "--type IQ2_XXS" + im + "im_partial.gguf").refuses(2, "importance_required: blk.0.attn_k.weight"));
  CHECK(quantized("two.gguf", "--type IQ2_XXS" + im + "im_none.gguf").refuses(2, "importance_required"));
  CHECK(quantized("two.gguf", "--type IQ2_XXS" + im + "im_zero.gguf").refuses(2, "importance_required: blk.0.ffn_up.weight"));
  CHECK(quantized("moe_old_names.gguf", "--type IQ2_M" + im + "im_moe_merged.gguf").refuses(2, "importance_required"));
  const quantized partial("two.gguf", "--type Q4_K_M" + im + "im_partial.gguf");
  CHECK(partial.result.code == 0);
  CHECK(partial.result.says("1 of 2 weights that are quantized go without importance: blk.0.attn_k.weight"));
  CHECK(partial.result.says("importance: 1 of 1 entries used"));
  const quantized zero("two.gguf", "--type Q4_K_M" + im + "im_zero.gguf");
  CHECK(zero.result.says("importance of blk.0.ffn_up.weight is zero in most columns"));
  CHECK(zero.bytes_of("blk.0.ffn_up.weight") == quantized("two.gguf", "--type Q4_K_M").bytes_of("blk.0.ffn_up.weight"));
  CHECK(quantized("two.gguf", "--type Q4_K_M" + im + "im_cntinf.gguf").refuses(2, "bad_importance"));
  CHECK(quantized("two.gguf", "--type Q4_K_M" + im + "two.gguf").refuses(2, "bad_importance"));
  const quantized embedding("emb.gguf", "--type Q4_K_M" + im + "im_emb_size.gguf");
  CHECK(embedding.result.code == 0);
  CHECK(embedding.result.says("importance of token_embd.weight is left out"));
}

TEST_CASE("both forms of an importance matrix give the same file but for its name") {
  const std::string im = "--type Q4_K_M --imatrix " + cases;
  const quantized dat("two.gguf", im + "im.dat"), partial("two.gguf", im + "im_partial.gguf");
  CHECK(dat.bytes_of("blk.0.ffn_up.weight") == partial.bytes_of("blk.0.ffn_up.weight"));
  const gguf::file f = dat.open();
  CHECK(f.text("quantize.imatrix.file") == cases + "im.dat");
  CHECK(f.text("quantize.imatrix.dataset") == "made.txt");
  CHECK(f.find("quantize.imatrix.entries_count")->as<std::uint32_t>() == 2);
  CHECK(f.find("quantize.imatrix.chunks_count")->as<std::uint32_t>() == 1);
  // the reference's order: the input's keys, then those that are set
  const auto keys = keys_of(f);
  CHECK(std::vector<std::string>(keys.end() - 6, keys.end()) ==
        std::vector<std::string>{"general.quantization_version", "general.file_type", "quantize.imatrix.file",
                                 "quantize.imatrix.dataset", "quantize.imatrix.entries_count",
                                 "quantize.imatrix.chunks_count"});
  CHECK(f.find("general.alignment") == nullptr);
  // parts of a matrix
  CHECK(quantized("two.gguf", im + "im.dat --exclude-weights attn").result.says("without importance: blk.0.attn_k.weight"));
  CHECK(quantized("two.gguf", im + "im.dat --include-weights attn").result.says("without importance: blk.0.ffn_up.weight"));
  CHECK(quantized("two.gguf", im + "im.dat --include-weights a --exclude-weights b").result.code == 1);
  CHECK(quantized("two.gguf", im + "im.dat --include-weights none").open().find("quantize.imatrix.file") == nullptr);
}

TEST_CASE("empty tensors and scalars are kept, and trailing ones make no matrix") {
  const gguf::file zero = quantized("zero_dim.gguf", "--type Q4_K_M").open();
  CHECK(zero.tensors().size() == 2);
  CHECK(zero.find_tensor("blk.0.ffn_up.weight")->type == tensor_type::q4_k);
  CHECK(std::ranges::count_if(zero.tensors(), [](const auto& t) { return t.bytes == 0; }) == 1);
  const gguf::file scalar = quantized("no_dim.gguf", "--type Q4_K_M").open();
  CHECK(scalar.find_tensor("logit_scale")->elements() == 1);
  CHECK(scalar.find_tensor("logit_scale")->bytes == 4);
  CHECK(run("compare " + cases + "zero_dim.gguf " + cases + "zero_dim.gguf --max-rms 0").code == 0);
  CHECK(quantized("column_vector.gguf", "--type Q4_K_M").type_of("blk.0.ffn_gate_inp_shexp.weight") == tensor_type::f32);
  CHECK(quantized("mxfp4_3d_of_one.gguf", "--type MXFP4_MOE").type_of("blk.0.ffn_up.weight") == tensor_type::q8_0);
}

TEST_CASE("where a key has a value a layer, the first layer's counts") {
  for (const char* file : {"heads_scalar.gguf", "heads_array.gguf"}) {
    CHECK(quantized(file, "--type Q2_K").type_of("blk.1.attn_v.weight") == tensor_type::q4_k);
    CHECK(quantized(file, "--type IQ4_XS").type_of("blk.0.attn_v.weight") == tensor_type::q5_k);
  }
}

TEST_CASE("rows that no block divides are kept as f16, or as bf16 where f16 overflows") {
  for (const char* type : {"Q8_0", "Q4_K_M", "Q4_0", "MXFP4_MOE"}) {
    const quantized q("rows_of_3.gguf", std::string("--type ") + type);
    CHECK(q.type_of("v.patch.weight") == tensor_type::f16);
    CHECK(q.result.says("v.patch.weight: f16 instead of"));
  }
  const quantized large("large_bf16_odd_row.gguf", "--type Q4_K_M");
  CHECK(large.type_of("blk.0.ffn_up.weight") == tensor_type::bf16);
  CHECK(quantized("large_bf16_odd_row.gguf", "--type F16").refuses(2, "79872 in row 0, column 0 is beyond what f16 holds"));
}

TEST_CASE("layouts that only some loaders take: strict says so, lax converts") {
  for (const char* file : {"no_last_padding.gguf", "trailing_bytes.gguf", "alignment_small.gguf"}) {
    CAPTURE(file);
    const auto shown = run("inspect " + cases + file);
    CHECK(shown.code == 2);
    CHECK(shown.says("blk.0.ffn_up.weight"));
    CHECK(shown.says("--lax accepts it"));
    CHECK(run("inspect --lax " + cases + file).code == 0);
    CHECK(quantized(file, "--type Q4_K_M").refuses(2, "--lax accepts it"));
    CHECK(quantized(file, "--type Q4_K_M --lax").open().alignment() == 32);
  }
}

TEST_CASE("long names are shown, and warned about when they are written") {
  for (const char* file : {"name_of_64_bytes.gguf", "name_of_77_bytes.gguf"}) {
    CHECK(run("inspect " + cases + file).code == 0);
    const quantized q(file, "--type Q8_0");
    CHECK(q.result.code == 0);
    CHECK(q.result.says("many loaders refuse more than 63"));
  }
}

TEST_CASE("infinities that belong there are shown and copied, and said") {
  const auto shown = run("inspect " + cases + "mask_inf.gguf");
  CHECK(shown.code == 2);
  CHECK(shown.says("blk.0.ffn_up.weight"));
  CHECK(shown.says("nonfinite_value"));
  const quantized q("mask_inf.gguf", "--type Q4_K_M");
  CHECK(q.result.code == 0);
  CHECK(q.result.says("attn_mask: copied as it is"));
  CHECK(run("inspect --json " + cases + "copied_nan_norm.gguf").says("\"nonfinite_value\""));
  CHECK(quantized("copied_nan_norm.gguf", "--type Q4_K_M --quiet").result.says("copied as it is"));
}

TEST_CASE("the gate of compare is not opened by NaN") {
  const std::string good = cases + "cmp_a.gguf", bad = cases + "cmp_nan.gguf";
  for (const std::string& both : {good + " " + bad, bad + " " + good}) {
    const auto r = run("compare " + both + " --max-rms 0.1");
    CAPTURE(r.text);
    CHECK(r.code != 0);
    CHECK(run("compare " + both + " --json --max-rms 0.1").code != 0);
  }
}

TEST_CASE("rules are regular expressions, and one that matches nothing is a mistake") {
  const std::string q = "--type Q4_0 --override ";
  CHECK(quantized("override.gguf", q + "ffn_dwon=q8_0").refuses(1, "ffn_dwon=q8_0"));
  CHECK(quantized("override.gguf", q + "ffn_down=q8_k").refuses(1, "no format for weights"));
  CHECK(quantized("override.gguf", q + "'(=q8_0'").refuses(1, "regular expression"));
  const gguf::file exact = quantized("override.gguf", q + "'^output\\.weight$=q8_0'").open();
  CHECK(exact.find_tensor("output.weight")->type == tensor_type::q8_0);
  CHECK(exact.find_tensor("blk.0.attn_output.weight")->type == tensor_type::q4_0);
  const gguf::file layer = quantized("override.gguf", "--type Q4_0 --tensor-type 'blk\\.1\\.FFN_DOWN\\.weight=q8_0'").open();
  CHECK(layer.find_tensor("blk.1.ffn_down.weight")->type == tensor_type::q8_0);
  CHECK(layer.find_tensor("blk.11.ffn_down.weight")->type == tensor_type::q4_0);
  CHECK(quantized("override.gguf", "--type Q4_0 --output-tensor-type q8_k").result.code == 1);
  CHECK(quantized("override.gguf", "--type Q4_0 --output-tensor-type q5_1").type_of("output.weight") == tensor_type::q5_1);
  temporary_directory d;
  std::ofstream(d / "rules") << "attn_output=q5_0\n ffn_down=f16 ";
  const gguf::file listed = quantized("override.gguf", "--type Q4_0 --tensor-type-file " + (d / "rules")).open();
  CHECK(listed.find_tensor("blk.0.attn_output.weight")->type == tensor_type::q5_0);
  CHECK(listed.find_tensor("blk.1.ffn_down_exps.weight")->type == tensor_type::f16);
  CHECK(quantized("override.gguf", "--type Q4_0 --tensor-type-file " + (d / "none")).refuses(2, "No such file"));
}

TEST_CASE("blocks of zeros and groups without importance have the reference's bytes") {
  const auto hash_of = [](const quantized& q) {
    const auto bytes = q.bytes_of("blk.0.ffn_up.weight");
    return golden::hash(bytes.data(), bytes.size());
  };
  const std::string im = "--pure --imatrix " + cases + "iq1_zero_importance.gguf --type ";
  CHECK(hash_of(quantized("iq4_nl_zero_blocks.gguf", "--pure --type IQ4_NL")) == 0x0fbacf245efbc4c6);
  CHECK(hash_of(quantized("iq1_base.gguf", im + "IQ1_S")) == 0x3fe3250710f219f6);
  CHECK(hash_of(quantized("iq1_base.gguf", im + "IQ1_M")) == 0x84ff10bc1f53342d);
}

TEST_CASE("options of the reference's tool are understood") {
  CHECK(quantized("override.gguf", "15").open().integer("general.file_type") == 15);
  CHECK(quantized("override.gguf", "--type 15 --threads 1").type_of("blk.0.attn_output.weight") == tensor_type::q4_k);
  CHECK(quantized("override.gguf", "Q4_0 2").type_of("blk.0.attn_output.weight") == tensor_type::q4_0);
  CHECK(quantized("override.gguf", "33").result.code == 1);
  CHECK(quantized("override.gguf", "COPY").type_of("blk.0.attn_output.weight") == tensor_type::f32);
  const gguf::file keys =
      quantized("override.gguf", "Q4_0 --override-kv a.i=int:7 --override-kv a.f=float:0.5 --override-kv a.b=bool:true "
                                 "--override-kv 'a.s=str:x y' --override-kv llama.block_count=int:13")
          .open();
  CHECK(keys.find("a.i")->as<std::uint32_t>() == 7);
  CHECK(keys.find("a.f")->as<float>() == 0.5f);
  CHECK(keys.find("a.b")->as<bool>() == true);
  CHECK(keys.text("a.s") == "x y");
  CHECK(keys.integer("llama.block_count") == 13);
  for (const char* wrong : {"a", "a=", "a=int:x", "a=int:", "a=bool:1", "=int:1", "a=double:1", "general.alignment=int:64"})
    CHECK(quantized("override.gguf", std::string("Q4_0 --override-kv ") + wrong).result.code == 1);
  CHECK(quantized("heads_array.gguf", "Q2_K --prune-layers 0,1").result.code == 1);
  CHECK(quantized("heads_array.gguf", "Q2_K --prune-layers x").result.code == 1);
  const gguf::file pruned = quantized("heads_array.gguf", "Q2_K --prune-layers 0").open();
  CHECK(pruned.tensors().size() == 1);
  CHECK(pruned.tensors()[0].name == "blk.0.attn_v.weight");
  CHECK(pruned.integer("llama.block_count") == 1);
  CHECK(pruned.find("llama.attention.head_count_kv")->array_of<std::uint32_t>()->size() == 1);
}

TEST_CASE("a file of another kind is recognised") {
  temporary_directory d;
  const std::map<std::string, std::string> kinds{{"PK\x03\x04 and so on", "zip"},
                                                 {"\x1f\x8b\x08 and so on", "gzip"},
                                                 {"\x08\x08\x12\x07pytorch", "ONNX"},
                                                 {"\x80\x02}q\x01", "pickle"},
                                                 {"<!DOCTYPE html><html>", "web page"},
                                                 {"{\"a\": 1}", "JSON"},
                                                 {"version https://git-lfs.github.com", "Git LFS"},
                                                 {"tjgg\x01 and so on", "ggml"},
                                                 {"", "empty"}};
  for (const auto& [bytes, kind] : kinds) {
    std::ofstream(d / "file", std::ios::binary) << bytes;
    const auto r = run("inspect " + (d / "file"));
    CAPTURE(kind, r.text);
    CHECK(r.code == 2);
    CHECK(r.says(kind));
    CHECK(std::ranges::count(r.text, '\n') == 1);
  }
  CHECK(run("inspect " QUANTA_TEST_DATA "/tflite/hello_world_int8.tflite").says("TensorFlow Lite"));
  std::ofstream(d / "st", std::ios::binary) << std::string("\x3c\0\0\0\0\0\0\0{\"a\":", 13);
  CHECK(run("quantize " + (d / "st") + " " + (d / "o") + " Q8_0").says("safetensors"));
}

TEST_CASE("a quantized source names the option that accepts it") {
  temporary_directory d;
  REQUIRE(run("quantize " + cases + "two.gguf " + (d / "q8") + " Q8_0").code == 0);
  CHECK(run("quantize " + (d / "q8") + " " + (d / "q4") + " Q4_0").says("--allow-requantize"));
}

namespace {

/// A file with so many keys, and tensors of 64 zeros; `text` is the value of the first key.
void write_large(const std::string& path, std::size_t keys, std::size_t tensors, std::string_view text, bool strings) {
  gguf::writer w;
  w.set("general.architecture", gguf::value::of(std::string_view("llama")));
  w.set("text", gguf::value::of(text));
  // names that differ at their ends only, where comparing takes longest
  for (std::size_t i = 0; i < keys; ++i)
    w.set("some.rather.long.prefix.that.all.keys.share." + std::to_string(i),
          strings ? gguf::value::of(std::string_view("value")) : gguf::value::of(std::uint32_t{7}));
  for (std::size_t i = 0; i < tensors; ++i)
    w.add_tensor("blk.0.some_part_that_all_names_share." + std::to_string(i) + ".weight", {32, 2}, tensor_type::f32);
  gguf::file_writer out(w);
  REQUIRE(out.open(path, true));
  const std::vector<std::byte> zeros(256);
  for (std::size_t i = 0; i < tensors; ++i)
    REQUIRE(out.write(zeros));
  REQUIRE(out.finish());
}

} // namespace

TEST_CASE("the work on large headers does not grow with the square of their size") {
  temporary_directory d;
  const std::string accents(10'000'000, '\xC3');
  std::string text;
  for (int i = 0; i < 5'000'000; ++i)
    text += "\xC3\xA9";
  write_large(d / "keys", 50'000, 1, "", false);
  write_large(d / "strings", 50'000, 1, "", true);
  write_large(d / "tensors", 0, 100'000, "", false);
  write_large(d / "text", 0, 1, text, false);
  write_large(d / "bad_text", 0, 1, accents, false); // no byte of it is a character
  for (const char* file : {"keys", "strings", "tensors", "text", "bad_text"})
    for (const std::string& command :
         {"inspect " + (d / file), "inspect --json " + (d / file), "compare " + (d / file) + " " + (d / file),
          "compare --json " + (d / file) + " " + (d / file), "quantize " + (d / file) + " " + (d / "out") + " Q8_0 --force",
          "quantize " + (d / file) + " " + (d / "out") + " Q4_0 --force --json --imatrix " + cases + "im.dat"}) {
      CAPTURE(command);
      // Each takes less than half a second of CPU; what grows with the square takes minutes.
      CHECK(run(command + " >/dev/null", "ulimit -t 10; ").code == 0);
    }
}

TEST_CASE("a very long row needs little memory") {
  temporary_directory d;
  constexpr std::uint64_t columns = 24'000'000 / 256 * 256; // 96 MB
  gguf::writer w;
  w.add_tensor("a.weight", {columns, 2}, tensor_type::f32);
  std::ofstream(d / "in", std::ios::binary)
      .write(reinterpret_cast<const char*>(w.header().data()), static_cast<std::streamsize>(w.header().size()));
  std::filesystem::resize_file(d / "in", w.header().size() + w.data_size()); // zeros that take no room
  const std::string little = "ulimit -v 90000; ";
  for (const char* type : {"Q8_0", "Q4_K_M"})
    CHECK(run("quantize " + (d / "in") + " " + (d / "out") + " --force --threads 1 " + type, little).code == 0);
  CHECK(run("compare " + (d / "in") + " " + (d / "out") + " --max-rms 0", little).code == 0);
  CHECK(run("inspect " + (d / "out"), little).code == 0);
}
