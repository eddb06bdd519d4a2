#include "pipeline/config/options.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipeline/config/scalars.h"
#include "stages/core/errors.h"
#include "stages/decode/resize.h"

namespace cfp {
namespace {

std::string text_or_empty(const ConfigValues& values, std::string_view path) {
  return values.is_set(path) ? values.text(path) : "";
}

/// @return an integer that the schema bounds to what an int holds; 0 where it is unset or `auto`
int number_or_zero(const ConfigValues& values, std::string_view path) {
  if (!values.is_set(path) || values.is_word(path, "auto") || values.is_word(path, "all")) return 0;
  return static_cast<int>(values.integer(path));
}

std::optional<int> optional_number(const ConfigValues& values, std::string_view path) {
  if (!values.is_set(path)) return std::nullopt;
  return static_cast<int>(values.integer(path));
}

std::optional<Triple> optional_triple(const ConfigValues& values, std::string_view path) {
  if (!values.is_set(path)) return std::nullopt;
  const std::vector<double> numbers = values.reals(path);
  return Triple{static_cast<int>(numbers[0]), static_cast<int>(numbers[1]),
                static_cast<int>(numbers[2])};
}

DatasetOptions dataset_options(const ConfigValues& values) {
  DatasetOptions options;
  options.type = values.text("dataset.type");
  options.data_root = text_or_empty(values, "dataset.data_root");
  options.select.classes = values.texts("dataset.classes");
  options.select.max_per_class = number_or_zero(values, "dataset.max_per_class");
  options.select.max_clips = number_or_zero(values, "dataset.max_clips");
  options.select.shuffled = values.is_word("dataset.order", "shuffled");
  options.select.seed = static_cast<std::uint64_t>(values.integer("dataset.order_seed"));
  options.file = text_or_empty(values, "dataset.file");
  options.class_names = text_or_empty(values, "dataset.class_names");
  options.annotations = text_or_empty(values, "dataset.annotations");
  options.split = text_or_empty(values, "dataset.split");
  options.split_id = number_or_zero(values, "dataset.split_id");
  options.head = text_or_empty(values, "dataset.head");
  options.subset = text_or_empty(values, "dataset.subset");
  options.media = values.is_word("dataset.media", "video")      ? MediaKind::kVideo
                  : values.is_word("dataset.media", "pictures") ? MediaKind::kPictures
                                                                : MediaKind::kAny;
  if (values.is_set("dataset.picture_fps")) {
    options.picture_fps = values.real("dataset.picture_fps");
  }
  options.gaze_root = text_or_empty(values, "dataset.gaze_root");
  options.boxes = text_or_empty(values, "dataset.boxes");
  options.masks_root = text_or_empty(values, "dataset.masks_root");
  if (options.data_root.empty() && options.type != "list" && options.type != "manifest") {
    throw ConfigError(
        fmt::format("{}: dataset.data_root: must be given for a data set of type '{}'",
                    values.origin("dataset.type"), options.type));
  }
  if (options.type == "list") options.label_base = number_or_zero(values, "dataset.label_base");
  if ((options.type == "list" || options.type == "manifest") && options.file.empty()) {
    throw ConfigError(fmt::format("{}: dataset.file: must be given for a data set of type '{}'",
                                  values.origin("dataset.type"), options.type));
  }
  if (options.type == "moving_shapes") {
    options.moving_shapes = {.count = number_or_zero(values, "dataset.count"),
                             .clip_len = number_or_zero(values, "dataset.frames"),
                             .size = number_or_zero(values, "dataset.size"),
                             .seed = static_cast<std::uint64_t>(values.integer("dataset.seed")),
                             .split = options.split.empty() ? "test" : options.split};
    if (options.moving_shapes.size % 2 != 0) {
      values.fail("dataset.size", fmt::format("must be even, got {}", options.moving_shapes.size));
    }
    options.moving_shapes.check();
  }
  return options;
}

FailureLimit failure_limit(const ConfigValues& values) {
  const std::string written = values.text("dataset.max_failures");
  FailureLimit limit;
  if (const auto count = scalar_to_integer(written)) {
    limit.count = *count;
  } else {
    limit.share = values.real("dataset.max_failures");
    if (limit.share > 1) {
      values.fail("dataset.max_failures",
                  fmt::format("a share is from 0.0 to 1.0, a count has no point; got {}", written));
    }
  }
  return limit;
}

SamplingOptions sampling_options(const ConfigValues& values) {
  SamplingOptions options;
  options.clip_len = number_or_zero(values, "sampling.clip_len");
  options.frame_interval = number_or_zero(values, "sampling.frame_interval");
  options.num_clips = number_or_zero(values, "sampling.num_clips");
  options.crops = number_or_zero(values, "sampling.crops");
  if (options.crops == 2) values.fail("sampling.crops", "1 or 3 crops can be taken, got 2");
  options.policy = values.is_word("sampling.policy", "uniform") ? SamplingPolicy::kUniform
                   : values.is_word("sampling.policy", "dense") ? SamplingPolicy::kDense
                                                                : SamplingPolicy::kCenter;
  options.out_of_bound = values.is_word("sampling.out_of_bound", "error") ? OutOfBound::kError
                         : values.is_word("sampling.out_of_bound", "repeat_last")
                             ? OutOfBound::kRepeatLast
                             : OutOfBound::kLoop;
  if (values.is_set("sampling.target_fps")) options.target_fps = values.real("sampling.target_fps");
  options.dense_range = number_or_zero(values, "sampling.dense_range");
  options.dense_positions = number_or_zero(values, "sampling.dense_positions");
  if (options.policy == SamplingPolicy::kCenter && options.num_clips != 1) {
    values.fail("sampling.num_clips",
                fmt::format("policy center takes 1 clip of a video, got {}; `uniform` and `dense` "
                            "take several",
                            options.num_clips));
  }
  check(options);
  return options;
}

NetworkOptions network_options(const ConfigValues& values) {
  NetworkOptions options;
  options.type = text_or_empty(values, "network.type");
  options.file = text_or_empty(values, "network.file");
  options.output = static_cast<int>(values.integer("network.output"));
  const bool exported = options.type == kExportedType;
  if (exported != !options.file.empty()) {
    values.fail("network.file", exported ? "must be given with `type: exported`"
                                         : "belongs to `type: exported` alone");
  }
  if (exported == values.is_set("network.checkpoint")) {
    values.fail("network.checkpoint", exported ? "`type: exported` has its weights in network.file"
                                               : "must be given: random, or a file of weights");
  }
  for (const char* key : {"blocks", "base_width", "expansion", "groups", "stem_channels",
                          "stem_kernel", "stem_stride", "stem_pool", "final_pool"}) {
    const std::string path = fmt::format("network.{}", key);
    if (exported && values.is_set(path)) {
      values.fail(path, "changes a built-in architecture, not an exported network");
    }
  }
  options.checkpoint = text_or_empty(values, "network.checkpoint");
  options.num_classes = optional_number(values, "network.num_classes");
  options.seed = static_cast<std::uint64_t>(values.integer("network.seed"));
  if (options.type.empty() && options.checkpoint == kRandomCheckpoint) {
    throw ConfigError(fmt::format("{}: network.type: must be given with `checkpoint: random`",
                                  values.origin("network.checkpoint")));
  }
  ArchitectureOverrides& overrides = options.overrides;
  if (values.is_set("network.blocks")) {
    overrides.blocks.emplace();
    for (const double number : values.reals("network.blocks")) {
      overrides.blocks->push_back(static_cast<int>(number));
    }
  }
  overrides.base_width = optional_number(values, "network.base_width");
  overrides.expansion = optional_number(values, "network.expansion");
  overrides.groups = optional_number(values, "network.groups");
  overrides.stem_channels = optional_number(values, "network.stem_channels");
  overrides.stem_kernel = optional_triple(values, "network.stem_kernel");
  overrides.stem_stride = optional_triple(values, "network.stem_stride");
  if (values.is_set("network.stem_pool")) {
    overrides.stem_pool = values.boolean("network.stem_pool");
  }
  overrides.final_pool = optional_triple(values, "network.final_pool");
  return options;
}

void read_target(ResolvedConfig& config) {
  const ConfigTree& target = config.values.tree("explain.target");
  if (target.scalar == "label") {
    config.explain.target = TargetKind::kLabel;
  } else if (target.scalar == "prediction") {
    config.explain.target = TargetKind::kPrediction;
  } else if (target.scalar == "top_k") {
    config.explain.target = TargetKind::kTopK;
    config.explain.top_k = static_cast<int>(config.values.integer("explain.top_k"));
  } else {
    config.explain.target = TargetKind::kClass;
    config.target_class = target.scalar;
  }
}

ExplainOptions explain_options(const ConfigValues& values) {
  ExplainOptions options;
  options.method = values.text("explain.method");
  options.margin = values.boolean("explain.margin");
  if (options.margin && options.method != "gradient") {
    values.fail("explain.margin", fmt::format("the scorer '{}' explains a class, not a margin; "
                                              "`gradient` can",
                                              options.method));
  }
  options.threshold = values.real("explain.threshold");
  options.balance = values.real("explain.balance");
  options.top_n = number_or_zero(values, "explain.top_n");
  options.edge_threshold = values.real("explain.edge_threshold");
  if (values.is_list("explain.depth")) {
    options.layers = values.texts("explain.depth");
  } else {
    options.depth = number_or_zero(values, "explain.depth");
  }
  options.edges = values.boolean("output.edges");
  options.tubes = values.is_word("explain.tubes", "none")       ? TubeKind::kNone
                  : values.is_word("explain.tubes", "weighted") ? TubeKind::kWeighted
                                                                : TubeKind::kExcitation;
  // What is not kept would be missing when statistics are gathered from the parts.
  if (values.is_word("output.tubes", "none")) options.tubes = TubeKind::kNone;
  options.views = values.is_word("explain.views", "averaged") ? ViewPyramids::kAveraged
                                                              : ViewPyramids::kSeparate;
  return options;
}

StoredAs stored_as(const ConfigValues& values, const std::string& key) {
  if (values.is_word(key, "uint16")) return StoredAs::kUInt16;
  return values.is_word(key, "uint8") ? StoredAs::kUInt8 : StoredAs::kFloat32;
}

StoreOptions store_options(const ConfigValues& values, const ExplainOptions& explain) {
  StoreOptions options{.edges = explain.edges,
                       .tubes = explain.tubes != TubeKind::kNone,
                       .tube_values = stored_as(values, "output.tubes"),
                       .edge_scores = stored_as(values, "output.edge_scores")};
  if (values.is_word("output.compression", "none")) {
    options.deflate = 0;
  } else if (!values.is_word("output.compression", "auto")) {
    options.deflate = number_or_zero(values, "output.compression");
  }
  options.chunk_bytes = 1024 * static_cast<std::size_t>(number_or_zero(values, "output.chunk_kb"));
  return options;
}

/// Lays the steps that the config sets over those of the preset.
void read_steps(const ConfigValues& values, PreprocessOptions& options) {
  if (values.is_set("preprocess.resize_mode")) {
    options.resize_mode = values.is_word("preprocess.resize_mode", "none") ? ResizeMode::kNone
                          : values.is_word("preprocess.resize_mode", "exact")
                              ? ResizeMode::kExact
                              : ResizeMode::kShortSide;
  }
  if (values.is_set("preprocess.resize")) {
    options.resize = number_or_zero(values, "preprocess.resize");
  }
  if (values.is_set("preprocess.interpolation")) {
    options.interpolation = values.is_word("preprocess.interpolation", "bilinear")
                                ? Interpolation::kBilinear
                                : Interpolation::kBilinearAntialias;
  }
  if (values.is_set("preprocess.crop")) {
    options.crop = number_or_zero(values, "preprocess.crop");
  }
  if (values.is_set("preprocess.value_range")) {
    options.range_min = values.reals("preprocess.value_range")[0];
    options.range_max = values.reals("preprocess.value_range")[1];
  }
  if (values.is_set("preprocess.mean")) {
    std::ranges::copy(values.reals("preprocess.mean"), options.mean.begin());
  }
  if (values.is_set("preprocess.std")) {
    std::ranges::copy(values.reals("preprocess.std"), options.std.begin());
  }
}

/// Writes the steps that the config leaves open into it.
void record_steps(const PreprocessOptions& options, ConfigValues& values) {
  const auto flow = [](const auto& numbers) {
    return fmt::format("[{}]", fmt::join(numbers, ", "));
  };
  const std::string mode = options.resize_mode == ResizeMode::kNone    ? "none"
                           : options.resize_mode == ResizeMode::kExact ? "exact"
                                                                       : "short_side";
  const std::string interpolation =
      options.interpolation == Interpolation::kBilinear ? "bilinear" : "bilinear_antialias";
  const std::pair<std::string_view, std::string> steps[] = {
      {"preprocess.resize_mode", mode},
      {"preprocess.resize", options.resize > 0 ? fmt::format("{}", options.resize) : "null"},
      {"preprocess.interpolation", interpolation},
      {"preprocess.crop", fmt::format("{}", options.crop)},
      {"preprocess.value_range", flow(std::array{options.range_min, options.range_max})},
      {"preprocess.mean", flow(options.mean)},
      {"preprocess.std", flow(options.std)}};
  for (const auto& [path, yaml] : steps) {
    if (!values.is_set(path)) values.set(path, yaml, "preset " + options.preset);
  }
}

}  // namespace

std::int64_t FailureLimit::allowed(std::int64_t rows) const {
  return count ? *count : static_cast<std::int64_t>(std::floor(share * static_cast<double>(rows)));
}

ResolvedConfig resolve_config(ConfigValues values) {
  ResolvedConfig config{.values = std::move(values)};
  const ConfigValues& known = config.values;
  config.name = known.text("name");
  if (config.name.find('/') != std::string::npos || config.name == "." || config.name == "..") {
    known.fail("name", fmt::format("'{}' names the folder of the results, and may hold no `/`; "
                                   "output.work_dir puts it elsewhere",
                                   config.name));
  }
  config.dataset = dataset_options(known);
  config.max_failures = failure_limit(known);
  config.sampling = sampling_options(known);
  config.network = network_options(known);
  config.network_class_names = text_or_empty(known, "network.class_names");
  config.explain = explain_options(known);
  read_target(config);
  config.runtime = {.devices = known.texts("runtime.devices"),
                    .batch_size = number_or_zero(known, "runtime.batch_size"),
                    .decode_workers = number_or_zero(known, "runtime.decode_workers"),
                    .max_batches_in_flight = number_or_zero(known, "runtime.max_batches_in_flight"),
                    .threads_per_device = number_or_zero(known, "runtime.threads_per_device"),
                    .clip_timeout_s = known.real("runtime.clip_timeout_s"),
                    .grace_s = known.real("runtime.grace_s")};
  config.output = {.work_dir = known.text("output.work_dir"),
                   .overwrite = known.boolean("output.overwrite"),
                   .store = store_options(known, config.explain),
                   .part_clips = number_or_zero(known, "output.part_clips"),
                   .summary_clips = number_or_zero(known, "output.summary_clips"),
                   .render = number_or_zero(known, "output.render")};
  return config;
}

PreprocessOptions resolve_preprocess(ConfigValues& values, const std::string& checkpoint_preset) {
  std::string name = text_or_empty(values, "preprocess.preset");
  if (name.empty()) {
    if (checkpoint_preset.empty()) {
      values.fail("preprocess.preset",
                  fmt::format("must be given, the checkpoint does not say how it was trained; "
                              "there are: {}",
                              fmt::join(preprocess_preset_names(), ", ")));
    }
    name = checkpoint_preset;
    values.set("preprocess.preset", name, "checkpoint");
  }
  PreprocessOptions options = preprocess_preset(name);
  read_steps(values, options);
  if (options.range_min >= options.range_max) {
    values.fail("preprocess.value_range", "the first number must be below the second");
  }
  if (options.resize_mode != ResizeMode::kNone && options.resize == 0) {
    values.fail("preprocess.resize", "must be given when frames are resized");
  }
  try {
    check(options);
  } catch (const ConfigError& error) {
    values.fail("preprocess.crop", error.what());
  }
  record_steps(options, values);
  return options;
}

}  // namespace cfp
