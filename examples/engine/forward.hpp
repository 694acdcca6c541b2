// One token through the model. Every matrix product is quanta's gemv on the weights as they are stored.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>

#include "model.hpp"

namespace engine {

/// A vector that enters matrix products: quantized once to each activation format that the matrices ask for, and shared by
/// all of them (q, k and v; gate and up).
class activation {
public:
  explicit activation(bool quantized) : quantized_(quantized) {}
  void set(std::span<const float> x) {
    values_ = x;
    for (auto& [type, entry] : forms_)
      entry.current = false;
  }
  /// y = m x
  void multiply(const matrix& m, std::span<float> y) {
    const quanta::tensor_type partner = m.kernels->dot_partner;
    if (!quantized_ || partner == quanta::tensor_type::f32) {
      m.kernels->gemv_values(m.bytes.data(), m.rows, m.columns, values_.data(), y.data());
      return;
    }
    form& quantized = forms_[partner];
    if (!quantized.current) {
      quantized.blocks.resize(static_cast<std::size_t>(*quanta::row_bytes(partner, values_.size())));
      quanta::dispatch::find(partner)->quantize(values_.data(), values_.size(), quantized.blocks.data(), nullptr);
      quantized.current = true;
    }
    m.kernels->gemv(m.bytes.data(), m.rows, m.columns, quantized.blocks.data(), y.data());
  }

private:
  struct form {
    std::vector<std::byte> blocks;
    bool current = false;
  };
  bool quantized_;
  std::span<const float> values_;
  std::map<quanta::tensor_type, form> forms_;
};

/// One sequence: its keys and values so far, and scratch.
class session {
public:
  session(const model& m, bool quantized_activations)
      : model_(m), kv_width_(m.kv_heads * m.head_size), x_(m.width), normed_(m.width), q_(m.width), attended_(m.width),
        projected_(m.width), key_(kv_width_), gate_(m.ffn), up_(m.ffn), scores_(m.context), logits_(m.vocabulary),
        keys_(m.layers * m.context * kv_width_), values_(keys_.size()), turns_(m.head_size / 2), in_(quantized_activations) {
    for (std::size_t i = 0; i < turns_.size(); ++i)
      turns_[i].frequency = std::pow(m.rope_base, -static_cast<float>(2 * i) / static_cast<float>(m.head_size));
  }

  void restart() { position_ = 0; }
  std::size_t position() const { return position_; }

  /// Logits of the token that follows. Expects: token < vocabulary, position() < context.
  std::span<const float> step(std::size_t token) {
    QUANTA_EXPECTS(token < model_.vocabulary && position_ < model_.context);
    model_.embedding.row(token, x_.data());
    for (turn& t : turns_) {
      const float angle = static_cast<float>(position_) * t.frequency;
      t.cosine = std::cos(angle), t.sine = std::sin(angle);
    }
    for (std::size_t i = 0; i < model_.layers; ++i) {
      attend(model_.blocks[i], i);
      feed_forward(model_.blocks[i]);
    }
    normalize(model_.output_norm);
    in_.multiply(model_.output_matrix(), logits_);
    ++position_;
    return logits_;
  }

private:
  /// in_ = x / rms(x) * weight
  void normalize(const std::vector<float>& weight) {
    float squares = 0;
    for (const float v : x_)
      squares += v * v;
    const float scale = 1.f / std::sqrt(squares / static_cast<float>(x_.size()) + model_.norm_epsilon);
    for (std::size_t i = 0; i < x_.size(); ++i)
      normed_[i] = x_[i] * scale * weight[i];
    in_.set(normed_);
  }
  /// Rotates each pair (2i, 2i+1) of every head by position * base^(-2i / head size).
  void rotate(std::span<float> heads) const {
    for (std::size_t i = 0; i < heads.size(); i += 2) {
      const turn& t = turns_[i % model_.head_size / 2];
      const float a = heads[i], b = heads[i + 1];
      heads[i] = a * t.cosine - b * t.sine;
      heads[i + 1] = a * t.sine + b * t.cosine;
    }
  }
  void attend(const layer& l, std::size_t index) {
    normalize(l.attention_norm);
    const std::size_t first = index * model_.context * kv_width_;
    const auto value = std::span(values_).subspan(first + position_ * kv_width_, kv_width_);
    in_.multiply(l.q, q_);
    in_.multiply(l.k, key_);
    in_.multiply(l.v, value);
    rotate(q_);
    rotate(key_);
    for (std::size_t i = 0; i < kv_width_; ++i)
      keys_[first + i * model_.context + position_] = key_[i];
    const std::size_t size = model_.head_size, group = model_.heads / model_.kv_heads;
    for (std::size_t h = 0; h < model_.heads; ++h) {
      const std::size_t kv = h / group * size;
      attend(&q_[h * size], &keys_[first + kv * model_.context], &values_[first + kv], &attended_[h * size]);
    }
    in_.set(attended_);
    in_.multiply(l.output, projected_);
    add_projected();
  }
  /// One head. Keys lie dimension by dimension and values token by token, so that both inner loops run over neighbours.
  void attend(const float* q, const float* keys, const float* values, float* out) {
    const std::size_t size = model_.head_size, tokens = position_ + 1;
    float* scores = scores_.data();
    std::fill_n(scores, tokens, 0.f);
    for (std::size_t i = 0; i < size; ++i)
      for (std::size_t t = 0; t < tokens; ++t)
        scores[t] += q[i] * keys[i * model_.context + t];
    const float root = std::sqrt(static_cast<float>(size));
    float largest = -INFINITY, total = 0;
    for (std::size_t t = 0; t < tokens; ++t) {
      scores[t] /= root;
      largest = scores[t] > largest ? scores[t] : largest;
    }
    for (std::size_t t = 0; t < tokens; ++t)
      total += scores[t] = std::exp(scores[t] - largest);
    std::fill_n(out, size, 0.f);
    for (std::size_t t = 0; t < tokens; ++t) {
      const float share = scores[t] / total;
      for (std::size_t i = 0; i < size; ++i)
        out[i] += share * values[t * kv_width_ + i];
    }
  }
  /// x += down(silu(gate(x)) * up(x))
  void feed_forward(const layer& l) {
    normalize(l.ffn_norm);
    in_.multiply(l.gate, gate_);
    in_.multiply(l.up, up_);
    for (std::size_t i = 0; i < gate_.size(); ++i)
      gate_[i] = gate_[i] / (1.f + std::exp(-gate_[i])) * up_[i];
    in_.set(gate_);
    in_.multiply(l.down, projected_);
    add_projected();
  }
  void add_projected() {
    for (std::size_t i = 0; i < x_.size(); ++i)
      x_[i] += projected_[i];
  }

  /// How far a pair of a head is rotated: by frequency a position.
  struct turn {
    float frequency, cosine, sine;
  };

  const model& model_;
  std::size_t kv_width_, position_ = 0;
  std::vector<float> x_, normed_, q_, attended_, projected_, key_, gate_, up_, scores_, logits_, keys_, values_;
  std::vector<turn> turns_;
  activation in_;
};

} // namespace engine
