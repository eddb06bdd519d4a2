// Passes from network to network that keep the logits and make them cheaper.
//
// A network is prepared once, before the executor turns it into tensors:
//
//   Network fast = optimise(network);
#pragma once

#include "stages/network/network.h"

namespace cfp {

/// Folds each BatchNorm that directly follows a convolution into the convolution's weights.
///
/// "Directly": the convolution has that one reader, also across the border of a unit. The folded
/// node keeps the convolution's name and gets a bias. Computed in double, rounded once.
Network fold_batch_norms(const Network& network);

/// Fuses each addition into a convolution that has it as its one reader, so that the convolution
/// adds its second input. The node moves to where the addition stood and keeps its own name.
Network fuse_additions(const Network& network);

/// Fuses each ReLU into the convolution, BatchNorm or addition that has it as its one reader.
Network fuse_relus(const Network& network);

/// All passes, in the order in which they help one another.
Network optimise(const Network& network);

}  // namespace cfp
