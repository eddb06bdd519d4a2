#include "pipeline/run/run_outputs.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "pipeline/run/environment.h"
#include "pipeline/run/identity.h"
#include "pipeline/run/part_files.h"
#include "results/store/steps.h"
#include "stages/core/output_file.h"

namespace cfp {
namespace {

PartHeader part_header(const Prepared& prepared, const RunRecord& record,
                       const std::string& continues) {
  const ResolvedConfig& config = prepared.config;
  const RunIdentity identity = identity_of(prepared);
  return {.name = config.name,
          .config = config.values.to_yaml(),
          .config_hash = identity.config,
          .manifest_hash = identity.manifest,
          .weights_hash = identity.weights,
          .network = prepared.network->architecture,
          .preset = prepared.preprocess.preset,
          .method = config.explain.method,
          .command = record.command,
          .continues = continues,
          .random_weights = prepared.network->random_weights,
          .class_names = prepared.labels->class_names,
          .versions = library_versions()};
}

/// The config as a file of its own: a note where the network is untrained, hashes, keys.
std::string config_file(const Prepared& prepared) {
  std::string text;
  if (prepared.network->random_weights) text += fmt::format("# {}\n", kRandomWeightsNote);
  text += fmt::format("# config hash {:016x}, manifest hash {:016x}, weights hash {:016x}\n",
                      prepared.config.values.results_hash(), prepared.manifest->hash(),
                      prepared.network->weights_hash);
  return text + prepared.config.values.to_yaml();
}

}  // namespace

int rows_of_a_batch(const ResolvedConfig& config) {
  // batch_size counts clips: with several views a row, fewer rows are decoded at once.
  return std::max(1, config.runtime.batch_size / view_count(config.sampling));
}

std::int64_t rows_of_a_part(const Prepared& prepared) {
  const ResolvedConfig& config = prepared.config;
  const bool averaged = config.explain.views == ViewPyramids::kAveraged;
  const std::int64_t clips_a_row = averaged ? 1 : view_count(config.sampling);
  const std::int64_t batch = rows_of_a_batch(config);
  return std::max<std::int64_t>(1, (config.output.part_clips / clips_a_row + batch - 1) / batch) *
         batch;
}

RunInfo run_info(const Prepared& prepared) {
  return {.name = prepared.config.name,
          .network = prepared.network->architecture,
          .method = prepared.config.explain.method,
          .dataset = prepared.config.dataset.type,
          .class_names = prepared.labels->class_names,
          .random_weights = prepared.network->random_weights};
}

RunOutputs::RunOutputs(const Prepared& prepared, RunRecord record, const WorkDir& folder)
    : prepared_(prepared),
      record_(std::move(record)),
      folder_(folder),
      log_(folder / "log.jsonl"),
      tables_(folder.path(), run_info(prepared), prepared.config.output.summary_clips),
      rows_a_part_(rows_of_a_part(prepared)) {}

EarlierRun RunOutputs::take_earlier(std::span<const ClipRequest> rows, ResumeMode mode,
                                    const std::function<const Clip*(std::int64_t row)>& frames) {
  RowSink sink{.failed = [&](const Failure& failure) { tables_.add(failure); }};
  if (!record_.is_shard || mode == ResumeMode::kForce) {
    sink.explained = [&](const std::vector<ClipResult>& views) {
      tables_.add(views, [&] { return frames(views[0].row); });
    };
  }
  EarlierRun earlier = read_earlier(folder_, prepared_, rows, mode, sink);
  parts_ = earlier.parts;
  continues_ = earlier.continues;
  return earlier;
}

void RunOutputs::begin() {
  const bool random_weights = prepared_.network->random_weights;
  folder_.remove_ends();
  write_file(folder_ / "config.yaml", config_file(prepared_));
  write_file(
      folder_ / "overrides.txt",
      record_.overrides.empty() ? "" : fmt::format("{}\n", fmt::join(record_.overrides, "\n")));
  write_file(folder_ / "environment.json",
             environment_json(record_.command, record_.devices, random_weights));
  if (!record_.is_shard) write_manifest(folder_ / "manifest.csv", *prepared_.manifest);
  log_.write("start", {{"rows", prepared_.manifest->rows.size()},
                       {"dataset", prepared_.manifest->provenance},
                       {"labels", prepared_.labels->how},
                       {"network", prepared_.network->architecture},
                       {"random_weights", random_weights},
                       {"devices", record_.devices}});
}

void RunOutputs::add_to_part(const RowOutcome& row) {
  if (!part_) {
    part_.emplace(folder_ / part_name(parts_), part_header(prepared_, record_, continues_),
                  prepared_.config.output.store);
  }
  if (row.failure) part_->append_failure(*row.failure);
  for (const ClipResult& result : row.results) part_->append(result);
  if ((row.request->row + 1) % rows_a_part_ == 0) finish_part();
}

void RunOutputs::add(RowOutcome& row) {
  folder_.require_own();
  add_to_part(row);
  // Tables and page of this run and those that are made of its parts are the same.
  for (ClipResult& result : row.results) round_as_stored(result, prepared_.config.output.store);
  if (row.failure) {
    const Failure& failure = *row.failure;
    tables_.add(failure);
    log_.write("failure", {{"row", failure.row},
                           {"clip_id", failure.clip_id},
                           {"path", failure.path},
                           {"stage", failure.stage},
                           {"reason", to_string(failure.reason)},
                           {"message", failure.message}});
    return;
  }
  if (!record_.is_shard) tables_.add(row.results, [&] { return &row.clips.front(); });
}

void RunOutputs::finish_part() {
  if (!part_) return;
  const std::int64_t clips = part_->clips(), failures = part_->failures();
  folder_.require_own();
  part_->finish();
  part_.reset();
  log_.write("part", {{"name", part_name(parts_)}, {"clips", clips}, {"failures", failures}});
  ++parts_;
}

void RunOutputs::finish_tables() {
  folder_.require_own();
  if (record_.is_shard) {
    tables_.write_failures();
  } else {
    tables_.write();
  }
}

}  // namespace cfp
