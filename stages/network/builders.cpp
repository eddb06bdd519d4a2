#include "stages/network/builders.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "stages/core/errors.h"
#include "stages/network/builder_checks.h"

namespace cfp {
namespace builder {

std::string size_text(const Triple& size) {
  return fmt::format("{}x{}x{}", size[0], size[1], size[2]);
}

void check_range(std::string_view family, std::string_view option, int value, int least, int most) {
  if (value >= least && value <= most) return;
  throw ConfigError(
      fmt::format("{}: {} is {}, allowed are {} to {}", family, option, value, least, most));
}

void check_range(std::string_view family, std::string_view option, const Triple& value, int least,
                 int most) {
  if (std::ranges::min(value) >= least && std::ranges::max(value) <= most) return;
  throw ConfigError(fmt::format("{}: {} is {}, allowed are {} to {} each", family, option,
                                size_text(value), least, most));
}

void check_blocks(std::string_view family, const std::vector<int>& blocks, std::size_t stages) {
  // Widths double with every stage; six stages keep them within kMostChannels.
  constexpr std::size_t kMostStages = 6;
  const bool right_count =
      stages == 0 ? !blocks.empty() && blocks.size() <= kMostStages : blocks.size() == stages;
  if (!right_count) {
    throw ConfigError(fmt::format("{}: blocks has {} entries, allowed are {}", family,
                                  blocks.size(),
                                  stages == 0 ? "1 to 6" : fmt::format("{}", stages)));
  }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    check_range(family, fmt::format("blocks[{}]", i), blocks[i], 1, kMostBlocks);
  }
}

void check_multiple(std::string_view family, std::string_view option, int value,
                    std::string_view divisor_name, int divisor) {
  if (value % divisor == 0) return;
  throw ConfigError(fmt::format("{}: {} is {}, but must be a multiple of {} ({})", family, option,
                                value, divisor, divisor_name));
}

void check_odd(std::string_view family, std::string_view option, const Triple& value) {
  if (std::ranges::all_of(value, [](int v) { return v % 2 == 1; })) return;
  throw ConfigError(
      fmt::format("{}: {} is {}, but each must be odd", family, option, size_text(value)));
}

Padding half_padding(const Triple& kernel) {
  const Triple half{kernel[0] / 2, kernel[1] / 2, kernel[2] / 2};
  return {half, half};
}

}  // namespace builder

namespace {

enum class Family { kResNet, kMfNet, kI3d };

struct Architecture {
  std::string_view name;
  Family family;
  Triple input_size;
  std::string_view preset;
};

constexpr Triple kResNetSize{16, 112, 112};
constexpr Triple kLargeSize{16, 224, 224};

/// Sorted by name.
constexpr std::array<Architecture, 6> kArchitectures{{
    {"i3d", Family::kI3d, kLargeSize, "i3d"},
    {"mfnet3d", Family::kMfNet, kLargeSize, "mfnet"},
    {"resnet101_3d", Family::kResNet, kResNetSize, "kenshohara2018"},
    {"resnet152_3d", Family::kResNet, kResNetSize, "kenshohara2018"},
    {"resnet50_3d", Family::kResNet, kResNetSize, "kenshohara2018"},
    {"resnext101_3d", Family::kResNet, kResNetSize, "kenshohara2018"},
}};

const Architecture& find_architecture(std::string_view name) {
  const auto* found = std::ranges::find(kArchitectures, name, &Architecture::name);
  if (found == kArchitectures.end()) {
    throw ConfigError(fmt::format("no architecture is called '{}'; there are: {}", name,
                                  fmt::join(architecture_names(), ", ")));
  }
  return *found;
}

ResNet3dOptions resnet_options(std::string_view name) {
  if (name == "resnext101_3d") return resnext101_options();
  if (name == "resnet101_3d") return {.blocks = {3, 4, 23, 3}};
  if (name == "resnet152_3d") return {.blocks = {3, 8, 36, 3}};
  return {.blocks = {3, 4, 6, 3}};
}

template <class T>
void override_with(const std::optional<T>& value, T& option) {
  if (value) option = *value;
}

/// The overrides that all families know.
template <class Options>
void apply_common(const ArchitectureOverrides& overrides, Options& options) {
  override_with(overrides.num_classes, options.num_classes);
  override_with(overrides.blocks, options.blocks);
  override_with(overrides.base_width, options.base_width);
  override_with(overrides.stem_kernel, options.stem_kernel);
  override_with(overrides.stem_stride, options.stem_stride);
  override_with(overrides.stem_pool, options.stem_pool);
}

template <class T>
void refuse(std::string_view architecture, std::string_view option, const std::optional<T>& value) {
  if (!value) return;
  throw ConfigError(fmt::format("{} has no option '{}'", architecture, option));
}

NetworkGraph build_family(std::string_view name, const ArchitectureOverrides& overrides,
                          const Triple& input_size) {
  switch (find_architecture(name).family) {
    case Family::kMfNet: {
      MfNet3dOptions options{.input_size = input_size};
      apply_common(overrides, options);
      override_with(overrides.groups, options.groups);
      override_with(overrides.stem_channels, options.stem_channels);
      override_with(overrides.final_pool, options.final_pool);
      refuse(name, "expansion", overrides.expansion);
      return build_mfnet3d(options);
    }
    case Family::kI3d: {
      I3dOptions options{.input_size = input_size};
      apply_common(overrides, options);
      override_with(overrides.final_pool, options.final_pool);
      refuse(name, "expansion", overrides.expansion);
      refuse(name, "groups", overrides.groups);
      refuse(name, "stem_channels", overrides.stem_channels);
      return build_i3d(options);
    }
    case Family::kResNet:
      break;
  }
  ResNet3dOptions options = resnet_options(name);
  apply_common(overrides, options);
  override_with(overrides.expansion, options.expansion);
  override_with(overrides.groups, options.groups);
  override_with(overrides.stem_channels, options.stem_channels);
  refuse(name, "final_pool", overrides.final_pool);
  return build_resnet3d(options);
}

void check_parameters(std::string_view name, const NetworkGraph& graph) {
  // 8 GiB of float32; the largest of the published networks has 0.12e9.
  constexpr std::int64_t kMostParameters = std::int64_t{1} << 31;
  std::int64_t parameters = 0;
  for (const TensorSpec& spec : tensor_specs(graph)) {
    std::int64_t elements = 1;
    for (const std::int64_t extent : spec.shape) elements *= extent;
    parameters += elements;
  }
  if (parameters > kMostParameters) {
    throw ConfigError(
        fmt::format("{}: the widths and depths asked for make {} parameters, allowed "
                    "are {}",
                    name, parameters, kMostParameters));
  }
}

}  // namespace

std::vector<std::string> architecture_names() {
  std::vector<std::string> names;
  names.reserve(kArchitectures.size());
  for (const Architecture& architecture : kArchitectures) names.emplace_back(architecture.name);
  return names;
}

ArchitectureDefaults architecture_defaults(std::string_view name) {
  const Architecture& architecture = find_architecture(name);
  return {architecture.input_size, std::string(architecture.preset)};
}

NetworkGraph build_architecture(std::string_view name, const ArchitectureOverrides& overrides,
                                const Triple& input_size) {
  NetworkGraph graph = build_family(name, overrides, input_size);
  infer_shapes(graph, input_size);
  check_parameters(name, graph);
  return graph;
}

}  // namespace cfp
