// The weights of a Llama as a GGUF file has them: matrices stay quantized, norms are floats.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "quanta/dispatch.hpp"
#include "quanta/gguf/gguf.hpp"

namespace engine {

/// A weight matrix: its bytes, and the kernels that this CPU runs on their type.
struct matrix {
  std::vector<std::byte> bytes;
  std::size_t rows = 0, columns = 0;
  const quanta::dispatch::kernels* kernels = nullptr;

  std::size_t row_bytes() const { return bytes.size() / rows; }
  /// Row r as floats (embedding lookup).
  void row(std::size_t r, float* out) const { kernels->dequantize(bytes.data() + r * row_bytes(), columns, out); }
};

struct layer {
  std::vector<float> attention_norm, ffn_norm;
  matrix q, k, v, output, gate, up, down;
};

struct model {
  std::size_t layers = 0, width = 0, ffn = 0, heads = 0, kv_heads = 0, head_size = 0, context = 0, vocabulary = 0;
  float norm_epsilon = 1e-5f, rope_base = 10000.f;
  std::vector<layer> blocks;
  matrix embedding, output; ///< output is empty where it is tied to the embedding
  std::vector<float> output_norm;
  std::uint64_t weights = 0, weight_bytes = 0, file_bytes = 0;

  const matrix& output_matrix() const { return output.rows ? output : embedding; }
};

/// Reads tensors by name and remembers the first thing that went wrong.
class loader {
public:
  explicit loader(const quanta::gguf::file& file) : file_(file) {}

  std::size_t number(const std::string& key) {
    const auto n = file_.integer(key);
    if (!n || *n <= 0 || *n > (1 << 24))
      fail({quanta::errc::missing_key, quanta::error::nowhere, key});
    return n && *n > 0 ? static_cast<std::size_t>(*n) : 1;
  }
  std::vector<float> vector(const std::string& name, std::size_t size) {
    std::vector<float> x(size);
    const quanta::gguf::tensor_info* t = find(name, size, 1);
    if (t && t->type != quanta::tensor_type::f32)
      fail({quanta::errc::unsupported_type, quanta::error::nowhere, name});
    else if (t)
      read(*t, std::as_writable_bytes(std::span(x)));
    return x;
  }
  quanta::error first_error;
  bool failed = false;

  engine::matrix matrix(const std::string& name, std::size_t columns, std::size_t rows) {
    engine::matrix m;
    const quanta::gguf::tensor_info* t = find(name, columns, rows);
    if (!t)
      return m;
    m.kernels = quanta::dispatch::find(t->type);
    if (!m.kernels) {
      fail({quanta::errc::unsupported_type, quanta::error::nowhere, name});
      return m;
    }
    m.rows = rows;
    m.columns = columns;
    m.bytes.resize(static_cast<std::size_t>(t->bytes));
    read(*t, m.bytes);
    return m;
  }

private:
  void fail(const quanta::error& why) {
    if (!failed)
      first_error = why;
    failed = true;
  }
  void read(const quanta::gguf::tensor_info& t, std::span<std::byte> out) {
    if (const auto done = file_.read(t, 0, out); !done)
      fail(done.error());
  }
  const quanta::gguf::tensor_info* find(const std::string& name, std::size_t columns, std::size_t rows) {
    const quanta::gguf::tensor_info* t = file_.find_tensor(name);
    if (!t)
      fail({quanta::errc::missing_tensor, quanta::error::nowhere, name});
    else if (t->columns() != columns || t->rows() != rows)
      fail({quanta::errc::shape_mismatch, quanta::error::nowhere, name}), t = nullptr;
    return t;
  }
  const quanta::gguf::file& file_;
};

/// Errors: those of the reader; missing_key, missing_tensor, shape_mismatch, unsupported_type, nonfinite_scale.
inline quanta::result<std::unique_ptr<model>> load(const std::string& path) {
  const auto file = quanta::gguf::file::open(path);
  if (!file)
    return file.error();
  if (const auto values = quanta::gguf::validate_values(*file); !values)
    return values.error();
  if (file->text("general.architecture") != "llama")
    return quanta::error(quanta::errc::unsupported_type, quanta::error::nowhere, "general.architecture");
  loader in(*file);
  auto m = std::make_unique<model>();
  m->file_bytes = file->size();
  m->layers = in.number("llama.block_count");
  m->width = in.number("llama.embedding_length");
  m->ffn = in.number("llama.feed_forward_length");
  m->heads = in.number("llama.attention.head_count");
  m->kv_heads = file->find("llama.attention.head_count_kv") ? in.number("llama.attention.head_count_kv") : m->heads;
  m->context = in.number("llama.context_length");
  m->norm_epsilon = static_cast<float>(file->number("llama.attention.layer_norm_rms_epsilon").value_or(1e-5));
  m->rope_base = static_cast<float>(file->number("llama.rope.freq_base").value_or(10000));
  m->head_size = m->width / m->heads;
  if (m->width % m->heads != 0 || m->heads % m->kv_heads != 0 || m->head_size % 2 != 0)
    return quanta::error(quanta::errc::shape_mismatch, quanta::error::nowhere, "llama.attention.head_count");
  const quanta::gguf::tensor_info* embedding = file->find_tensor("token_embd.weight");
  m->vocabulary = embedding ? static_cast<std::size_t>(embedding->rows()) : 1;
  const std::size_t kv_width = m->kv_heads * m->head_size;
  m->embedding = in.matrix("token_embd.weight", m->width, m->vocabulary);
  m->output_norm = in.vector("output_norm.weight", m->width);
  if (file->find_tensor("output.weight"))
    m->output = in.matrix("output.weight", m->width, m->vocabulary);
  for (std::size_t i = 0; i < m->layers && !in.failed; ++i) {
    const std::string name = "blk." + std::to_string(i) + ".";
    layer l;
    l.attention_norm = in.vector(name + "attn_norm.weight", m->width);
    l.ffn_norm = in.vector(name + "ffn_norm.weight", m->width);
    l.q = in.matrix(name + "attn_q.weight", m->width, m->width);
    l.k = in.matrix(name + "attn_k.weight", m->width, kv_width);
    l.v = in.matrix(name + "attn_v.weight", m->width, kv_width);
    l.output = in.matrix(name + "attn_output.weight", m->width, m->width);
    l.gate = in.matrix(name + "ffn_gate.weight", m->width, m->ffn);
    l.up = in.matrix(name + "ffn_up.weight", m->width, m->ffn);
    l.down = in.matrix(name + "ffn_down.weight", m->ffn, m->width);
    m->blocks.push_back(std::move(l));
  }
  if (in.failed)
    return in.first_error;
  for (const quanta::gguf::tensor_info& t : file->tensors()) {
    m->weights += t.elements();
    m->weight_bytes += t.bytes;
  }
  return m;
}

} // namespace engine
