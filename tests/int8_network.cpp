// A real network in int8 from end to end: TensorFlow Lite's own file, and the float network quantized here.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>
#include <numbers>

#include "quanta/quanta.hpp"
#include "support/tflite.hpp"

namespace {

using quanta::int8_affine;
using bytes = std::vector<std::int8_t>;

/// A network of fully connected layers in int8, on quanta's operations.
struct int8_network {
  struct stage {
    bytes weights;
    std::vector<float> scales;
    std::vector<std::int32_t> bias, offsets;
    std::vector<quanta::fixed_point_multiplier> factors;
    quanta::int8_layer layer;
    quanta::int8_fully_connected<> ready;
  };
  std::vector<stage> stages;

  void add(std::size_t rows, bytes weights, std::vector<float> scales, std::vector<std::int32_t> bias, int8_affine input,
           int8_affine output, tflite::activation activation) {
    stage s{std::move(weights), std::move(scales), std::move(bias), std::vector<std::int32_t>(rows),
            std::vector<quanta::fixed_point_multiplier>(rows), {}, {}};
    s.layer = {{s.weights, s.scales, rows, s.weights.size() / rows}, s.bias, input, output, {}};
    if (activation == tflite::activation::relu)
      s.layer.activation = quanta::activation_range(output, 0.f, std::numeric_limits<float>::infinity());
    s.ready = quanta::prepare(s.layer, s.offsets, s.factors).value();
    stages.push_back(std::move(s)); // vectors keep their memory when they are moved
  }
  float operator()(float x) const {
    bytes in(1), out;
    quanta::quantize(std::vector<float>{x}, in, stages.front().layer.input);
    for (const stage& s : stages) {
      out.assign(s.ready.weights.rows, 0);
      quanta::fully_connected(s.ready, in, out);
      in = out;
    }
    std::vector<float> y(1);
    quanta::dequantize(out, y, stages.back().layer.output);
    return y[0];
  }
};

/// A value of a network over the reals, and how far the integers may be from it.
struct estimate {
  double value, error;
};

/// The real network behind an int8 one, from the input that the first byte stands for: the decoded weights and biases, and
/// activations kept to what a byte can hold. A layer passes its input's error on by its weights and rounds its output: half
/// a step, and 2^shift of another half by the first of the two roundings.
std::vector<estimate> decoded_layer(const int8_network::stage& s, const std::vector<estimate>& in) {
  std::vector<estimate> out;
  const auto& output = s.layer.output;
  for (std::size_t r = 0; r < s.layer.weights.rows; ++r) {
    const double scale = s.layer.weights.scale(r, 0);
    estimate sum{s.bias[r] * double{s.layer.input.scale} * scale, 0.0};
    for (std::size_t c = 0; c < in.size(); ++c) {
      const double w = scale * s.layer.weights.row(r)[c];
      sum.value += w * in[c].value;
      sum.error += std::fabs(w) * in[c].error;
    }
    sum.value = std::clamp(sum.value, double{output.scale} * (s.layer.activation.low - output.zero_point),
                           double{output.scale} * (s.layer.activation.high - output.zero_point));
    sum.error += double{output.scale} * (0.5 + std::ldexp(0.5, s.factors[r].shift) + 0x1p-20); // 2^-20: of the multiplier
    out.push_back(sum);
  }
  return out;
}
/// The float network that an int8 one was made from: each weight, bias and activation may be off by half a step, and an
/// activation at the end of its range by another half, where the zero point was rounded.
std::vector<estimate> float_layer(const int8_network::stage& s, const std::vector<float>& weights,
                                  const std::vector<float>& bias, const std::vector<estimate>& in) {
  std::vector<estimate> out;
  for (std::size_t r = 0; r < bias.size(); ++r) {
    const double half = 0.5 * double{s.layer.weights.scale(r, 0)};
    estimate sum{bias[r], half * double{s.layer.input.scale}};
    for (std::size_t c = 0; c < in.size(); ++c) {
      const double w = weights[r * in.size() + c];
      sum.value += w * in[c].value;
      sum.error += std::fabs(w) * in[c].error + half * (std::fabs(in[c].value) + in[c].error);
    }
    if (s.layer.activation.low == s.layer.output.zero_point) // a ReLU
      sum.value = std::max(sum.value, 0.0);
    sum.error += double{s.layer.output.scale} * (1.0 + std::ldexp(0.5, s.factors[r].shift) + 0x1p-20);
    out.push_back(sum);
  }
  return out;
}
estimate decoded_network(const int8_network& network, float x) {
  bytes in(1);
  const auto& first = network.stages.front().layer.input;
  quanta::quantize(std::vector<float>{x}, in, first);
  std::vector<estimate> values{{double{first.scale} * (in[0] - first.zero_point), 0.0}};
  for (const auto& s : network.stages)
    values = decoded_layer(s, values);
  return values[0];
}

int8_affine parameters_of(const tflite::tensor& t) {
  return int8_affine::checked(t.scales.at(0), t.zero_points.at(0)).value();
}

} // namespace

TEST_CASE("a network quantized by TensorFlow Lite computes its sine") {
  const auto file = tflite::read(QUANTA_TEST_DATA "/tflite/hello_world_int8.tflite");
  REQUIRE(file.layers.size() == 3);
  int8_network network;
  for (const auto& l : file.layers) {
    const auto &weights = file.tensors[l.weights], &bias = file.tensors[l.bias], &input = file.tensors[l.input];
    const auto codes = weights.values<std::int8_t>();
    network.add(static_cast<std::size_t>(weights.shape.at(0)), codes, weights.scales, bias.values<std::int32_t>(),
                parameters_of(input), parameters_of(file.tensors[l.output]), l.activation);
    CHECK(weights.zero_points.at(0) == 0);
    CHECK(bias.scales.at(0) == input.scales.at(0) * weights.scales.at(0)); // the rule of biases
    // The rule of weights: the converter's codes are what we make of the values that they stand for.
    std::vector<float> values(codes.size()), scale(1);
    quanta::dequantize(codes, values, int8_affine{weights.scales.at(0), 0});
    bytes again(codes.size());
    REQUIRE(quanta::quantize_per_channel(quanta::matrix_view<float>(values, 1, values.size()), again, scale));
    CHECK(scale[0] == weights.scales.at(0));
    CHECK(again == codes);
  }
  for (int i = 0; i <= 1000; ++i) {
    const float x = static_cast<float>(2 * std::numbers::pi * i / 1000), y = network(x);
    const estimate real = decoded_network(network, x);
    CAPTURE(x, y, real.value, real.error);
    REQUIRE(std::fabs(static_cast<double>(y) - real.value) <= real.error);
  }
  for (const float x : {0.f, 1.f, 3.f, 5.f}) // the example's own test and its tolerance
    CHECK(std::fabs(network(x) - std::sin(x)) <= 0.05f);
}

TEST_CASE("a network quantized here stays within its steps of the float network") {
  const auto file = tflite::read(QUANTA_TEST_DATA "/tflite/hello_world_float.tflite");
  const std::size_t layers = file.layers.size();
  const auto weights_of = [&](std::size_t l) { return file.tensors[file.layers[l].weights].values<float>(); };
  const auto bias_of = [&](std::size_t l) { return file.tensors[file.layers[l].bias].values<float>(); };
  std::vector<std::vector<float>> seen(layers + 1); // every value of every tensor, over the whole range of inputs
  const auto look = [&](float x) {
    std::vector<float> in{x};
    for (std::size_t l = 0; l < layers; ++l) {
      seen[l].insert(seen[l].end(), in.begin(), in.end());
      const auto w = weights_of(l);
      auto out = bias_of(l);
      for (std::size_t r = 0; r < out.size(); ++r) {
        for (std::size_t c = 0; c < in.size(); ++c)
          out[r] += w[r * in.size() + c] * in[c];
        if (file.layers[l].activation == tflite::activation::relu)
          out[r] = std::max(out[r], 0.f);
      }
      in = out;
    }
    seen[layers].insert(seen[layers].end(), in.begin(), in.end());
  };
  const auto input = [](int i) { return static_cast<float>(2 * std::numbers::pi * i / 1000); };
  for (int i = 0; i <= 1000; ++i)
    look(input(i));
  std::vector<int8_affine> tensors;
  for (const auto& values : seen) {
    const auto range = quanta::range_of(values).value();
    tensors.push_back(int8_affine::from_range(range.min, range.max).value());
  }
  int8_network network;
  for (std::size_t l = 0; l < layers; ++l) {
    const auto w = weights_of(l), b = bias_of(l);
    const std::size_t rows = b.size();
    bytes codes(w.size());
    std::vector<float> scales(rows);
    std::vector<std::int32_t> integers(rows);
    REQUIRE(quanta::quantize_per_channel(quanta::matrix_view<float>(w, rows, w.size() / rows), codes, scales));
    REQUIRE(quanta::quantize_bias(b, tensors[l].scale, scales, integers));
    network.add(rows, codes, scales, integers, tensors[l], tensors[l + 1], file.layers[l].activation);
  }
  double squares = 0;
  for (int i = 0; i <= 1000; ++i) {
    const float x = input(i), y = network(x);
    CAPTURE(x, y);
    const estimate decoded = decoded_network(network, x);
    REQUIRE(std::fabs(static_cast<double>(y) - decoded.value) <= decoded.error);
    std::vector<estimate> values{{x, tensors[0].scale}};
    for (std::size_t l = 0; l < layers; ++l)
      values = float_layer(network.stages[l], weights_of(l), bias_of(l), values);
    REQUIRE(std::fabs(static_cast<double>(y) - values[0].value) <= values[0].error);
    REQUIRE(std::fabs(static_cast<double>(seen[layers][static_cast<std::size_t>(i)]) - values[0].value) <= 0x1p-18);
    squares += std::pow(y - std::sin(x), 2);
  }
  // The bounds are worst cases; what is left of the sine has the tolerance that the example's own test has for four inputs.
  CHECK(std::sqrt(squares / 1001) <= 0.05);
}
