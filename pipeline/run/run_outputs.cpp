#include "pipeline/run/run_outputs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "pipeline/run/environment.h"
#include "stages/core/output_file.h"
#include "stages/decode/image_codec.h"

namespace cfp {
namespace {

std::string hexadecimal(std::uint64_t hash) { return fmt::format("{:016x}", hash); }

PartHeader part_header(const Prepared& prepared, const RunRecord& record) {
  const ResolvedConfig& config = prepared.config;
  return {.name = config.name,
          .config = config.values.to_yaml(),
          .config_hash = hexadecimal(config.values.results_hash()),
          .manifest_hash = hexadecimal(prepared.manifest.hash()),
          .weights_hash = hexadecimal(prepared.network->weights_hash),
          .network = prepared.network->architecture,
          .preset = prepared.preprocess.preset,
          .method = config.explain.method,
          .command = record.command,
          .random_weights = prepared.network->random_weights,
          .class_names = prepared.labels.class_names,
          .versions = library_versions()};
}

StoreOptions store_options(const ResolvedConfig& config) {
  return {.edges = config.explain.edges,
          .tubes = config.output.tubes && config.explain.tubes != TubeKind::kNone};
}

RunInfo run_info(const Prepared& prepared) {
  return {.name = prepared.config.name,
          .network = prepared.network->architecture,
          .method = prepared.config.explain.method,
          .dataset = prepared.config.dataset.type,
          .class_names = prepared.labels.class_names,
          .random_weights = prepared.network->random_weights};
}

/// The config as a file of its own: a note where the network is untrained, hashes, keys.
std::string config_file(const Prepared& prepared) {
  std::string text;
  if (prepared.network->random_weights) text += fmt::format("# {}\n", kRandomWeightsNote);
  text += fmt::format("# config hash {:016x}, manifest hash {:016x}, weights hash {:016x}\n",
                      prepared.config.values.results_hash(), prepared.manifest.hash(),
                      prepared.network->weights_hash);
  return text + prepared.config.values.to_yaml();
}

}  // namespace

RunOutputs::RunOutputs(const Prepared& prepared, const RunRecord& record, const WorkDir& folder)
    : folder_(folder),
      log_(folder / "log.jsonl"),
      part_(folder / kPartName, part_header(prepared, record), store_options(prepared.config)),
      statistics_(run_info(prepared)),
      failures_(folder / "failures.csv", prepared.network->random_weights),
      report_({.max_examples = prepared.config.output.summary_clips},
              [](const std::uint8_t* rgb, int width, int height) {
                return encode_jpeg(rgb, width, height);
              }) {
  write_file(folder / "config.yaml", config_file(prepared));
  write_file(
      folder / "overrides.txt",
      record.overrides.empty() ? "" : fmt::format("{}\n", fmt::join(record.overrides, "\n")));
  write_file(folder / "environment.json",
             environment_json(record.command, record.devices, prepared.network->random_weights));
  write_manifest(folder / "manifest.csv", prepared.manifest);
  log_.write("start", {{"rows", prepared.manifest.rows.size()},
                       {"dataset", prepared.manifest.provenance},
                       {"labels", prepared.labels.how},
                       {"network", prepared.network->architecture},
                       {"random_weights", prepared.network->random_weights},
                       {"devices", record.devices}});
}

void RunOutputs::add(const RowOutcome& row) {
  if (row.failure) {
    const Failure& failure = *row.failure;
    part_.append_failure(failure);
    statistics_.add_failure(failure);
    failures_.add(failure);
    log_.write("failure", {{"row", failure.row},
                           {"clip_id", failure.clip_id},
                           {"path", failure.path},
                           {"stage", failure.stage},
                           {"reason", to_string(failure.reason)},
                           {"message", failure.message}});
    return;
  }
  for (const ClipResult& result : row.results) part_.append(result);
  statistics_.add(row.results);
  // One view stands for its row, or a video of thirty would fill the page.
  if (report_.wants(row.results.front())) {
    report_.add_example(row.clips.front(), row.results.front());
  }
}

void RunOutputs::finish() {
  part_.finish();
  failures_.finish();
  write_tables(folder_.path(), statistics_);
  report_.write(folder_ / "summary.html", statistics_);
}

}  // namespace cfp
