// The six architectures as graphs, by the names of the public checkpoints.
//
// Each family is one function from a few numbers to a graph; the standard networks are its
// defaults, tiny ones for tests and the demo are the same function with smaller numbers.
// docs/networks.md names the original code of each.
//
//   NetworkGraph graph = build_architecture("i3d", {.num_classes = 400}, {16, 224, 224});
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stages/network/graph.h"

namespace cfp {

/// A 3D ResNet or ResNeXt of bottleneck blocks (1x1x1, 3x3x3, 1x1x1), shortcuts of type B.
struct ResNet3dOptions {
  std::vector<int> blocks{3, 4, 6, 3};  ///< blocks of each stage `layer1`, `layer2`, …; each stage
                                        ///< from the second on halves T, H and W
  int base_width = 64;          ///< channels inside a block of the first stage; doubles every stage
  int expansion = 4;            ///< channels that leave a block / channels inside it
  int groups = 1;               ///< groups of the 3x3x3 convolutions (ResNeXt's cardinality)
  int stem_channels = 64;       ///< channels of `conv1`
  Triple stem_kernel{7, 7, 7};  ///< of `conv1`, odd; padded by half of it
  Triple stem_stride{1, 2, 2};  ///< of `conv1`
  bool stem_pool = true;        ///< a maximum over 3x3x3, stride 2, after the stem
  int num_classes = 400;        ///< logits
};

/// @return the options of ResNeXt-101 with cardinality 32
ResNet3dOptions resnext101_options(int num_classes = 400);

/// Builds a 3D ResNet or ResNeXt; any clip size of at least 1x1x1 fits it.
///
/// @throws ConfigError a number is out of range; the message names it
NetworkGraph build_resnet3d(const ResNet3dOptions& options);

/// Multi-Fiber Net: pre-activation units whose convolutions are cut into fibres.
struct MfNet3dOptions {
  std::vector<int> blocks{3, 4, 6, 3};  ///< units of each stage `conv2`, `conv3`, …; the first
                                        ///< stage halves T, the others H and W
  int base_width = 96;     ///< channels of the first stage, a multiple of 4; doubles every stage
  int groups = 16;         ///< fibres; divides the stem's channels and base_width
  int stem_channels = 16;  ///< channels of `conv1`
  Triple stem_kernel{3, 5, 5};      ///< of `conv1`, odd; padded by half of it
  Triple stem_stride{1, 2, 2};      ///< of `conv1`
  bool stem_pool = true;            ///< a maximum over 1x3x3, stride (1, 2, 2), after the stem
  int num_classes = 400;            ///< logits
  Triple input_size{16, 224, 224};  ///< T, H, W of the clips
  Triple final_pool{8, 7, 7};       ///< what must be left of the clip before the classifier
};

/// Builds a Multi-Fiber Net.
///
/// @throws ConfigError a number is out of range, or input_size does not leave exactly final_pool
///         (with the defaults: T = 16, H and W from 193 to 224)
NetworkGraph build_mfnet3d(const MfNet3dOptions& options);

/// Inflated Inception v1, padded as TensorFlow's SAME over time.
struct I3dOptions {
  std::vector<int> blocks{2, 5, 2};  ///< mixed units of the stages 3, 4 and 5; at most 2, 5 and 2
  int base_width = 64;          ///< channels of the stem; all others keep their proportion to it
  Triple stem_kernel{7, 7, 7};  ///< of `conv3d_1a_7x7`
  Triple stem_stride{2, 2, 2};  ///< of `conv3d_1a_7x7`
  bool stem_pool = true;        ///< the maximum over 1x3x3, stride (1, 2, 2), after the stem
  int num_classes = 400;        ///< logits
  Triple input_size{16, 224, 224};  ///< T, H, W of the clips: the padding over time depends on T
  Triple final_pool{2, 7, 7};       ///< window of the average before the classifier
};

/// Builds an I3D. The padding over time is right for clips of input_size's length only.
///
/// @throws ConfigError a number is out of range, or input_size does not leave exactly one window of
///         final_pool in H and W and at least one in T (with the defaults: T from 9, H and W from
///         194 to 225)
NetworkGraph build_i3d(const I3dOptions& options);

/// What a config may change of an architecture. Absent: as published.
struct ArchitectureOverrides {
  std::optional<int> num_classes;
  std::optional<std::vector<int>> blocks;
  std::optional<int> base_width;
  std::optional<int> expansion;      ///< ResNets only
  std::optional<int> groups;         ///< not for I3D
  std::optional<int> stem_channels;  ///< not for I3D, whose stem is base_width wide
  std::optional<Triple> stem_kernel;
  std::optional<Triple> stem_stride;
  std::optional<bool> stem_pool;
  std::optional<Triple> final_pool;  ///< Multi-Fiber Net and I3D only
};

/// How an architecture is used unless something else is asked for.
struct ArchitectureDefaults {
  Triple input_size;   ///< T, H, W
  std::string preset;  ///< preprocessing of its public checkpoints, see stages/core/preprocess.h
};

/// @return the names that build_architecture() takes, sorted
std::vector<std::string> architecture_names();

/// @throws ConfigError no such architecture; the message lists those there are
ArchitectureDefaults architecture_defaults(std::string_view name);

/// Builds an architecture by name for clips of one size.
///
/// @param input_size  T, H, W
/// @throws ConfigError no such architecture, an override that it does not know or that is out of
///         range, a clip size that it cannot take
NetworkGraph build_architecture(std::string_view name, const ArchitectureOverrides& overrides,
                                const Triple& input_size);

}  // namespace cfp
