// Whether a checkpoint, its preprocessing and its order of classes fit a data set: a few labelled
// clips through the network, before a run of days.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/run/media_check.h"
#include "pipeline/run/prepare.h"

namespace cfp {

/// What publications say of a checkpoint.
struct PublishedAccuracy {
  double top1 = 0;      ///< percent of whole videos
  std::string source;   ///< paper, and what the figure is of
  std::string dataset;  ///< data set that it is of, as a type: `kinetics400`
  std::string preset;   ///< preprocessing that the checkpoint was trained with

  bool operator==(const PublishedAccuracy&) const = default;
};

/// What a published figure is looked up by.
struct AccuracyKey {
  std::string architecture;
  int num_classes = 0;  ///< outputs of the network
  std::string preset;   ///< of the preprocessing in use
  std::string dataset;  ///< Manifest::dataset: empty where nobody knows what the clips are of
};

AccuracyKey accuracy_key(const Prepared& prepared);

/// Finds the figure of a network by architecture, number of classes and data set; of several the
/// one of the preset. A figure of another preset is found, too: that the preset in use is not that
/// of the checkpoint is what a sample is to show. Where the data set is not known, the preset takes
/// its place.
/// @return absent where none is known
std::optional<PublishedAccuracy> published_accuracy(const AccuracyKey& key);

struct SampleAccuracy {
  std::int64_t clips = 0;   ///< that went through the network
  std::int64_t top1 = 0;    ///< of them, rightly predicted
  std::int64_t top5 = 0;    ///< of them, with the label among the five largest logits
  std::int64_t failed = 0;  ///< that could not be decoded or computed, besides
};

/// The rows that a sample is made of: labelled ones without a problem, in an order that a hash of
/// the clip decides.
/// @param rows   a manifest's
/// @param check  what a look at their files found; null: none was taken
/// @param clips  how many, where there are so many
/// @throws ConfigError there is none
std::vector<ClipRequest> sample_rows(const std::vector<ClipRequest>& rows, const MediaCheck* check,
                                     std::int64_t clips);

/// Runs rows of the data set, drawn by sample_rows(), with the config's sampling and preprocessing.
/// @throws ConfigError as sample_rows(); SystemError as a run
SampleAccuracy sample_accuracy(const Prepared& prepared, const MediaCheck* check,
                               std::int64_t clips);

/// Lines for people: the figures, beside the published ones, and what usually is wrong where they
/// are far below, or where the network surely does little better than to guess.
std::string describe(const SampleAccuracy& sample, const AccuracyKey& key,
                     const std::optional<PublishedAccuracy>& published);

}  // namespace cfp
