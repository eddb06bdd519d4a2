#include "stages/network/checkpoint/normalise.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace cfp {
namespace {

constexpr std::string_view kModule = "module.";
constexpr std::string_view kBatches = "num_batches_tracked";

std::string_view without_module(std::string_view name) {
  while (name.starts_with(kModule)) name.remove_prefix(kModule.size());
  return name;
}

bool is_i3d(const Checkpoint& checkpoint) {
  return std::ranges::any_of(checkpoint.tensors, [](const StoredTensor& tensor) {
    return i3d_name(without_module(tensor.name)) == "conv3d_1a_7x7.conv3d.weight";
  });
}

using Shapes = std::map<std::string_view, const std::vector<std::int64_t>*, std::less<>>;

const std::vector<std::int64_t>* shape_of(const Shapes& shapes, std::string_view name) {
  const auto found = shapes.find(name);
  return found == shapes.end() ? nullptr : found->second;
}

/// Number of rows of the classifier's weight.
std::optional<int> classes_of(const Shapes& shapes) {
  for (const auto* name : {"fc.weight", "classifier.weight", "conv3d_0c_1x1.conv3d.weight"}) {
    const auto* shape = shape_of(shapes, name);
    if (shape != nullptr && !shape->empty() && shape->front() > 0 &&
        shape->front() <= std::numeric_limits<int>::max()) {
      return static_cast<int>(shape->front());
    }
  }
  return std::nullopt;
}

std::vector<int> blocks_of(const Shapes& shapes) {
  std::vector<int> blocks;
  while (true) {
    int count = 0;
    while (shapes.contains(fmt::format("layer{}.{}.conv1.weight", blocks.size() + 1, count))) {
      ++count;
    }
    if (count == 0) return blocks;
    blocks.push_back(count);
  }
}

/// Names a ResNet by its blocks, its width and its groups.
void describe_resnet(const Shapes& shapes, Appearance& appearance) {
  struct Standard {
    std::string_view name;
    std::array<int, 4> blocks;
    std::int64_t width, groups;
  };
  constexpr std::array<Standard, 4> kStandards{{{"resnet50_3d", {3, 4, 6, 3}, 64, 1},
                                                {"resnet101_3d", {3, 4, 23, 3}, 64, 1},
                                                {"resnet152_3d", {3, 8, 36, 3}, 64, 1},
                                                {"resnext101_3d", {3, 4, 23, 3}, 128, 32}}};
  const std::vector<int> blocks = blocks_of(shapes);
  const auto* middle = shape_of(shapes, "layer1.0.conv2.weight");
  const bool bottleneck = shapes.contains("layer1.0.conv3.weight");
  const bool three_axes = middle != nullptr && middle->size() == 5;
  std::int64_t width = 0;
  std::int64_t groups = 1;
  if (three_axes && (*middle)[1] > 0) {
    width = (*middle)[0];
    groups = (*middle)[0] / (*middle)[1];
  }
  for (const Standard& standard : kStandards) {
    if (bottleneck && std::ranges::equal(blocks, standard.blocks) && width == standard.width &&
        groups == standard.groups) {
      appearance.architecture = appearance.description = standard.name;
      return;
    }
  }
  appearance.description =
      fmt::format("a {} of {} blocks {}, {} wide{}",
                  three_axes ? "3D ResNet" : "ResNet for images (its kernels have no time axis)",
                  bottleneck ? "bottleneck" : "basic", fmt::join(blocks, ","), width,
                  groups > 1 ? fmt::format(", in {} groups", groups) : "");
}

bool has_shape(const Shapes& shapes, std::string_view name,
               const std::vector<std::int64_t>& wanted) {
  const auto* shape = shape_of(shapes, name);
  return shape != nullptr && *shape == wanted;
}

}  // namespace

std::string i3d_name(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kParts{
      {{"bn", "batch3d"},
       {"b0", "branch_0"},
       {"b1a", "branch_1.0"},
       {"b1b", "branch_1.1"},
       {"b2a", "branch_2.0"},
       {"b2b", "branch_2.1"},
       {"b3b", "branch_3.1"},
       {"logits", "conv3d_0c_1x1"}}};
  std::string out;
  while (true) {
    const std::size_t dot = name.find('.');
    const std::string_view part = name.substr(0, dot);
    const auto* found =
        std::ranges::find(kParts, part, &std::pair<std::string_view, std::string_view>::first);
    std::string renamed(found == kParts.end() ? part : found->second);
    if (out.empty() && !renamed.empty()) {
      renamed[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(renamed[0])));
    }
    out += renamed;
    if (dot == std::string_view::npos) return out;
    out += '.';
    name.remove_prefix(dot + 1);
  }
}

Checkpoint normalised(const Checkpoint& checkpoint) {
  const bool i3d = is_i3d(checkpoint);
  Checkpoint result{checkpoint.path, checkpoint.format, {}, checkpoint.metadata};
  std::map<std::string, std::string_view> original_of;
  for (const StoredTensor& tensor : checkpoint.tensors) {
    const std::string_view bare = without_module(tensor.name);
    if (bare == kBatches || bare.ends_with("." + std::string(kBatches))) continue;
    StoredTensor renamed = tensor;
    renamed.name = i3d ? i3d_name(bare) : std::string(bare);
    const auto [other, fresh] = original_of.emplace(renamed.name, tensor.name);
    if (!fresh) {
      refuse_file(
          checkpoint.path,
          fmt::format("the tensors '{}' and '{}' are both the network's '{}'",
                      printable(other->second), printable(tensor.name), printable(renamed.name)));
    }
    result.tensors.push_back(std::move(renamed));
  }
  return result;
}

std::vector<TensorSpec> tensor_specs(const Checkpoint& checkpoint) {
  std::vector<TensorSpec> specs;
  for (const StoredTensor& tensor : checkpoint.tensors)
    specs.push_back({tensor.name, tensor.shape});
  return specs;
}

std::optional<Appearance> look_at(const std::vector<TensorSpec>& tensors) {
  Shapes shapes;
  for (const TensorSpec& tensor : tensors) shapes.emplace(tensor.name, &tensor.shape);
  Appearance appearance;
  appearance.num_classes = classes_of(shapes);
  if (shapes.contains("layer1.0.conv1.weight")) {
    describe_resnet(shapes, appearance);
  } else if (shapes.contains("conv2.B01.conv_i1.conv.weight")) {
    // First and last unit at full width and depth.
    const bool standard = has_shape(shapes, "conv2.B01.conv_i1.conv.weight", {24, 16, 1, 1, 1}) &&
                          has_shape(shapes, "conv5.B03.conv_m1.conv.weight", {768, 48, 3, 3, 3});
    appearance.architecture = standard ? "mfnet3d" : "";
    appearance.description = standard ? "mfnet3d" : "a Multi-Fiber Net of other widths or depths";
  } else if (shapes.contains("conv3d_1a_7x7.conv3d.weight")) {
    const bool standard = has_shape(shapes, "conv3d_1a_7x7.conv3d.weight", {64, 3, 7, 7, 7}) &&
                          has_shape(shapes, "mixed_5c.branch_0.conv3d.weight", {384, 832, 1, 1, 1});
    appearance.architecture = standard ? "i3d" : "";
    appearance.description = standard ? "i3d" : "an I3D of other widths, depths or inputs";
  } else {
    return std::nullopt;
  }
  return appearance;
}

std::optional<RecognisedArchitecture> recognise_architecture(const Checkpoint& checkpoint) {
  const std::optional<Appearance> appearance = look_at(tensor_specs(normalised(checkpoint)));
  if (!appearance || appearance->architecture.empty() || !appearance->num_classes) {
    return std::nullopt;
  }
  return RecognisedArchitecture{appearance->architecture, *appearance->num_classes};
}

}  // namespace cfp
