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

/// Joins by normalised name where both sides have names, else by number.
///
/// Only classes that have a row must be among the network's. Where the network has no names and the
/// data set has as many classes as the network outputs, the data set's names are taken for them.
///
/// @param network_names  in the order of the outputs; may be empty
/// @param num_classes    outputs of the network
/// @throws ConfigError a class has no counterpart (all are listed), or a number is out of range
LabelJoin join_labels(const Manifest& manifest, const std::vector<std::string>& network_names,
                      int num_classes);

/// @param written      what `explain.target` says: a class name, or a number
/// @param class_names  of the network's outputs; may be empty
/// @return             the network's output that is meant
/// @throws ConfigError there is no such class
int find_target_class(const std::string& written, const std::vector<std::string>& class_names,
                      int num_classes);

}  // namespace cfp
