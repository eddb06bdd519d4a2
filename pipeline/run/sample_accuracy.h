// Whether a checkpoint, its preprocessing and its order of classes fit a data set: a few labelled
// clips through the network, before a run of days.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "pipeline/run/prepare.h"

namespace cfp {

/// What publications say of a checkpoint.
struct PublishedAccuracy {
  double top1 = 0;     ///< percent of whole videos
  std::string source;  ///< paper, and what the figure is of
};

/// @return the published accuracy of a network on a data set; absent where none is known
std::optional<PublishedAccuracy> published_accuracy(const std::string& architecture,
                                                    const std::string& dataset_type);

struct SampleAccuracy {
  std::int64_t clips = 0;   ///< that went through the network
  std::int64_t top1 = 0;    ///< of them, rightly predicted
  std::int64_t top5 = 0;    ///< of them, with the label among the five largest logits
  std::int64_t failed = 0;  ///< that could not be decoded or computed, besides
};

/// Runs labelled rows of the data set, drawn by a seed, with the config's sampling and
/// preprocessing.
/// @param clips  how many, where there are so many
/// @throws ConfigError no row has a label; SystemError as a run
SampleAccuracy sample_accuracy(const Prepared& prepared, std::int64_t clips);

/// Lines for people: the figures, beside the published ones, and what usually is wrong where they
/// are far below.
std::string describe(const SampleAccuracy& sample,
                     const std::optional<PublishedAccuracy>& published);

}  // namespace cfp
