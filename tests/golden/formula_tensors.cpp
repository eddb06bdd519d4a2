#include "tests/golden/formula_tensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <memory>
#include <stdexcept>

#include <fmt/format.h>

#include "stages/core/formula.h"

namespace cfp::test {
namespace {

using nlohmann::json;

class Stream {
 public:
  Stream(std::uint64_t base_seed, const std::string& name)
      : state_(mix64(base_seed ^ fnv1a64(name))) {}

  std::uint64_t bits(std::uint64_t i) const {
    return mix64(state_ + (i + 1) * 0x9E3779B97F4A7C15ULL);
  }
  double u24(std::uint64_t i) const { return std::ldexp(static_cast<double>(bits(i) >> 40), -24); }
  double u16(std::uint64_t i) const { return std::ldexp(static_cast<double>(bits(i) >> 48), -16); }

 private:
  std::uint64_t state_;
};

FormulaTensor make(std::vector<std::int64_t> shape, const std::string& check,
                   const std::string& name, const std::function<double(std::uint64_t)>& value) {
  std::uint64_t elements = 1, sum = 0;
  for (const std::int64_t d : shape) elements *= static_cast<std::uint64_t>(d);
  FormulaTensor tensor{std::move(shape), {}};
  tensor.values.reserve(elements);
  for (std::uint64_t i = 0; i < elements; ++i) {
    tensor.values.push_back(static_cast<float>(value(i)));
    sum += (i + 1) * std::bit_cast<std::uint32_t>(tensor.values.back());
  }
  if (fmt::format("{:016x}", sum) != check) {
    throw std::runtime_error(
        fmt::format("tensor '{}': check sum {:016x}, the golden file says {}", name, sum, check));
  }
  return tensor;
}

FormulaTensor make(const json& described, const std::function<double(std::uint64_t)>& value) {
  return make(described.at("shape"), described.at("check"), described.at("stream"), value);
}

/// Element i of a network's tensor, by the rule that the golden file names.
double network_value(const Stream& stream, std::uint64_t i, const std::string& rule) {
  const std::size_t colon = rule.find(':');
  const std::string kind = rule.substr(0, colon);
  const int exponent = colon == std::string::npos ? 0 : std::stoi(rule.substr(colon + 1));
  if (kind == "weight") return std::ldexp(stream.u24(i) - 0.5, exponent);
  if (kind == "scale") return std::ldexp(0.75 + stream.u16(i) * 0.5, exponent);
  if (kind == "shift" || kind == "mean") return (stream.u16(i) - 0.5) / 8;
  if (kind == "var") return 0.75 + stream.u16(i) / 2;
  if (kind == "bias") return (stream.u16(i) - 0.5) / 4;
  throw std::runtime_error("a golden file has the unknown rule " + rule);
}

}  // namespace

FormulaTensor formula_weight(const json& described, std::uint64_t base_seed) {
  const Stream stream(base_seed, described.at("stream"));
  const double centre = described.at("centre");
  const int log2 = described.at("log2");
  return make(described, [&](std::uint64_t i) { return std::ldexp(stream.u24(i) - centre, log2); });
}

FormulaTensor formula_activation(const json& described, std::uint64_t base_seed) {
  const std::string name = described.at("stream");
  const Stream stream(base_seed, name), channels(base_seed, name + ".channel");
  const auto shape = described.at("shape").get<std::vector<std::uint64_t>>();
  const std::uint64_t positions = shape[1] * shape[2] * shape[3];
  return make(described, [&](std::uint64_t i) {
    const std::uint64_t r = channels.bits(i / positions) >> 61;
    const double factor = r == 0 ? 0 : std::ldexp(1, -static_cast<int>(r & 3));
    return std::max(0.0, stream.u24(i) - 0.25) * factor;
  });
}

FormulaTensor formula_clip(const json& described, std::uint64_t base_seed) {
  const std::string name = described.at("stream");
  const Stream fine(base_seed, name + ".fine"), coarse(base_seed, name + ".coarse");
  const auto shape = described.at("shape").get<std::vector<std::uint64_t>>();
  const std::uint64_t T = shape[1], H = shape[2], W = shape[3];
  const auto up = [](std::uint64_t n, std::uint64_t by) { return (n + by - 1) / by; };
  return make(described, [&](std::uint64_t i) {
    const std::uint64_t x = i % W, y = i / W % H, t = i / (W * H) % T, c = i / (W * H * T);
    const std::uint64_t k = ((c * up(T, 4) + t / 4) * up(H, 16) + y / 16) * up(W, 16) + x / 16;
    return (fine.u16(i) - 0.5) / 2 + (coarse.u16(k) - 0.5) * 2;
  });
}

Weights formula_tensors(const json& tensors, std::uint64_t base_seed) {
  Weights weights;
  for (const json& entry : tensors) {
    const std::string name = entry.at(0), rule = entry.at(2);
    const Stream stream(base_seed, name);
    const auto tensor =
        std::make_shared<FormulaTensor>(make(entry.at(1), entry.at(3), name, [&](std::uint64_t i) {
          return network_value(stream, i, rule);
        }));
    weights[name] = {tensor->shape, {tensor, tensor->values.data()}};
  }
  return weights;
}

}  // namespace cfp::test
