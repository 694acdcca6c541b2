// Perplexity of a text, and text of a model. Both for models with one token a byte.
#pragma once

#include <chrono>
#include <string>

#include "forward.hpp"
#include "quanta/threads.hpp"

namespace engine {

struct evaluation {
  double perplexity = 0;
  std::size_t positions = 0;
  double seconds = 0;
};

/// Negative log likelihood of the token under the logits, in nats.
inline double surprise(std::span<const float> logits, std::size_t token) {
  double largest = -INFINITY, total = 0;
  for (const float l : logits)
    largest = std::fmax(largest, static_cast<double>(l));
  for (const float l : logits)
    total += std::exp(static_cast<double>(l) - largest);
  return std::log(total) + largest - static_cast<double>(logits[token]);
}

/// The text in consecutive chunks of one context; each position predicts the next byte. Chunks are shared among threads and
/// their sums added in order, so the result does not depend on the number of threads.
inline evaluation evaluate(const model& m, std::string_view text, bool quantized_activations, const quanta::threads& threads,
                           std::size_t most_chunks = ~std::size_t{0}) {
  const std::size_t chunks = std::min(most_chunks, text.empty() ? 0 : (text.size() - 1) / m.context);
  std::vector<double> sums(chunks);
  const auto started = std::chrono::steady_clock::now();
  threads(chunks, [&](std::size_t begin, std::size_t end) {
    session s(m, quantized_activations);
    for (std::size_t c = begin; c < end; ++c) {
      s.restart();
      for (std::size_t i = c * m.context; i < (c + 1) * m.context; ++i)
        sums[c] += surprise(s.step(static_cast<unsigned char>(text[i])), static_cast<unsigned char>(text[i + 1]));
    }
  });
  evaluation e;
  e.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  e.positions = chunks * m.context;
  double total = 0;
  for (const double s : sums)
    total += s;
  e.perplexity = e.positions ? std::exp(total / static_cast<double>(e.positions)) : 0;
  return e;
}

/// Continues a prompt. The same seed gives the same text on every machine whose logits are the same.
inline std::string generate(const model& m, std::string_view prompt, std::size_t tokens, double temperature, std::uint64_t seed,
                            bool quantized_activations) {
  session s(m, quantized_activations);
  std::string text(prompt.empty() ? std::string_view("\n") : prompt.substr(0, m.context - 1));
  std::span<const float> logits;
  for (const char c : text)
    logits = s.step(static_cast<unsigned char>(c));
  for (std::size_t n = 0; n < tokens && s.position() < m.context; ++n) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    double draw = static_cast<double>(seed >> 11) * 0x1p-53, total = 0, largest = -INFINITY;
    std::size_t choice = 0;
    for (std::size_t t = 0; t < logits.size(); ++t)
      if (static_cast<double>(logits[t]) > largest) {
        largest = static_cast<double>(logits[t]);
        choice = t;
      }
    if (temperature > 0) {
      for (const float l : logits)
        total += std::exp((static_cast<double>(l) - largest) / temperature);
      draw *= total;
      for (choice = 0; choice + 1 < logits.size(); ++choice)
        if ((draw -= std::exp((static_cast<double>(logits[choice]) - largest) / temperature)) < 0)
          break;
    }
    text += static_cast<char>(choice);
    logits = s.step(choice);
  }
  return text;
}

} // namespace engine
