// Perplexity of a text, and text of a model. Both for models with one token a byte.
#pragma once

#include <chrono>
#include <numeric>
#include <optional>
#include <string>

#include "forward.hpp"
#include "quanta/threads.hpp"

namespace engine {

struct evaluation {
  double perplexity = 0;
  double divergence = 0; ///< mean Kullback-Leibler divergence from the baseline, in nats
  std::size_t positions = 0;
  double seconds = 0;
};

/// The logarithm of the sum of exp(logit): less this, logits are log probabilities.
inline double log_total(std::span<const float> logits) {
  double largest = -INFINITY, total = 0;
  for (const float l : logits)
    largest = std::fmax(largest, static_cast<double>(l));
  for (const float l : logits)
    total += std::exp(static_cast<double>(l) - largest);
  return std::log(total) + largest;
}
/// Negative log likelihood of the token under the logits, in nats.
inline double surprise(std::span<const float> logits, std::size_t token) {
  return log_total(logits) - static_cast<double>(logits[token]);
}
/// sum p (log p - log q) over the tokens, in nats: how far q's prediction is from p's, whatever the text says next.
inline double divergence(std::span<const float> p, std::span<const float> q) {
  const double p_total = log_total(p), q_total = log_total(q);
  double sum = 0;
  for (std::size_t t = 0; t < p.size(); ++t) {
    const double log_p = static_cast<double>(p[t]) - p_total;
    sum += std::exp(log_p) * (log_p - (static_cast<double>(q[t]) - q_total));
  }
  return sum;
}

struct evaluation_options {
  bool quantized_activations = true;
  std::size_t every = 1; ///< only every so many chunks
  const model* baseline = nullptr; ///< of the same vocabulary; a context at least as long
};

/// The text in consecutive chunks of one context; each position predicts the next byte. Chunks are shared among threads and
/// their sums added in order, so the result does not depend on the number of threads.
inline evaluation evaluate(const model& m, std::string_view text, const quanta::threads& threads,
                           const evaluation_options& options = {}) {
  const std::size_t all = text.empty() ? 0 : (text.size() - 1) / m.context, chunks = (all + options.every - 1) / options.every;
  std::vector<double> surprises(chunks), divergences(chunks);
  const auto started = std::chrono::steady_clock::now();
  threads(chunks, [&](std::size_t begin, std::size_t end) {
    session s(m, options.quantized_activations);
    std::optional<session> baseline;
    if (options.baseline)
      baseline.emplace(*options.baseline, options.quantized_activations);
    for (std::size_t c = begin; c < end; ++c) {
      s.restart();
      if (baseline)
        baseline->restart();
      const std::size_t start = c * options.every * m.context;
      for (std::size_t i = start; i < start + m.context; ++i) {
        const auto token = static_cast<unsigned char>(text[i]);
        const auto logits = s.step(token);
        surprises[c] += surprise(logits, static_cast<unsigned char>(text[i + 1]));
        if (baseline)
          divergences[c] += divergence(baseline->step(token), logits);
      }
    }
  });
  evaluation e;
  e.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  e.positions = chunks * m.context;
  if (e.positions == 0)
    return e;
  const auto mean = [&](const std::vector<double>& sums) {
    return std::accumulate(sums.begin(), sums.end(), 0.0) / static_cast<double>(e.positions);
  };
  e.perplexity = std::exp(mean(surprises));
  e.divergence = mean(divergences);
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
