// A checked config as the structs that the stages take.
//
//   ResolvedConfig config = resolve_config(load_config("my.yaml", overrides));
//   const Manifest manifest = load_dataset(config.dataset);
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "pipeline/config/loader.h"
#include "results/store/part_header.h"
#include "stages/core/explain_options.h"
#include "stages/core/preprocess.h"
#include "stages/decode/sampling.h"
#include "stages/network/checkpoint/load_network.h"

namespace cfp {

/// `network.class_names` of a user who states that the network's outputs are in the order of the
/// data set's classes.
inline constexpr std::string_view kDataSetsNames = "dataset";

/// How many clips may fail before a run counts as failed: a share of them, or a count.
struct FailureLimit {
  double share = 0.05;                ///< of the rows asked for, rounded down
  std::optional<std::int64_t> count;  ///< instead of the share

  /// @return the greatest number of failures that is accepted
  std::int64_t allowed(std::int64_t rows) const;
};

struct RuntimeOptions {
  std::vector<std::string> devices;  ///< one replica each; empty: what `auto` stands for
  int batch_size = 4;
  int decode_workers = 0;  ///< 0: one a processor
  int max_batches_in_flight = 4;
  int threads_per_device = 0;  ///< 0: the processors shared among the CPU replicas
  double clip_timeout_s = 60;
  double grace_s = 20;  ///< to finish what is in flight when a signal stops the run
};

struct OutputOptions {
  std::string work_dir;
  bool overwrite = false;
  StoreOptions store;   ///< what of the results is kept, and how
  int part_clips = 64;  ///< bound of the clips of a part
  int summary_clips = 8;
  int render = 0;  ///< clips that are rendered at the end
};

/// Everything that a run needs to know. What depends on the checkpoint is filled in later: the
/// preprocessing (resolve_preprocess) and the target class (run/labels.h).
struct ResolvedConfig {
  ConfigValues values;
  std::string name;
  DatasetOptions dataset;
  FailureLimit max_failures;
  SamplingOptions sampling;
  NetworkOptions network;           ///< without class names, which are in a file of their own
  std::string network_class_names;  ///< that file, or kDataSetsNames; empty: the checkpoint's
  ExplainOptions explain;
  std::string target_class;  ///< for TargetKind::kClass: name or number as it was written
  RuntimeOptions runtime;
  OutputOptions output;
};

/// Fills the structs, and checks what a single key cannot tell.
/// @throws ConfigError values that do not go together; names a key and where it was written
ResolvedConfig resolve_config(ConfigValues values);

/// Fills in the steps of preprocessing: the config's preset, else the checkpoint's, and over it
/// each step that the config sets. Writes the steps back into the config, with where they came
/// from.
///
/// @param checkpoint_preset  may be empty
/// @throws ConfigError neither names a preset, or the steps do not go together
PreprocessOptions resolve_preprocess(ConfigValues& values, const std::string& checkpoint_preset);

}  // namespace cfp
