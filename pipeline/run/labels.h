// Whose class number is meant: the data set's labels in terms of the network's outputs.
#pragma once

#include <string>
#include <vector>

#include "datasets/manifest.h"

namespace cfp {

/// How a data set's classes meet a network's.
struct LabelJoin {
  std::vector<ClipRequest> rows;  ///< the manifest's rows; `label` is an output of the network
  std::vector<std::string>
      class_names;  ///< of the network's outputs; empty where nobody knows them
  std::string how;  ///< in words, for the log
};

/// Joins by normalised name; by number where the data set or the network has numbers alone, and
/// where that is stated: an order is never assumed. Of numbers nobody knows whether they count what
/// the network's outputs count, unless the network's weights are random and no output means
/// anything.
///
/// Only classes that have a row must be among the network's.
///
/// @param network_names     in the order of the outputs; may be empty
/// @param num_classes       outputs of the network
/// @param is_order_settled  whether output n is known to be the data set's label n: the config says
///                          so, or the network is untrained
/// @throws ConfigError a class has no counterpart (all are listed), a number is out of range, or
///         labels would be joined by number and nothing settles the order
LabelJoin join_labels(const Manifest& manifest, const std::vector<std::string>& network_names,
                      int num_classes, bool is_order_settled = false);

/// @param written      what `explain.target` says: a class name, or a number
/// @param class_names  of the network's outputs; may be empty
/// @return             the network's output that is meant
/// @throws ConfigError there is no such class
int find_target_class(const std::string& written, const std::vector<std::string>& class_names,
                      int num_classes);

}  // namespace cfp
