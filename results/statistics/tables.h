// The tables of a run as files; docs/results.md says what each column means.
#pragma once

#include <filesystem>
#include <string>

#include "results/statistics/run_statistics.h"
#include "stages/core/output_file.h"

namespace cfp {

/// Writes summary.json, summary.csv, per_class.csv, per_layer.csv, per_layer_class.csv,
/// per_kernel.csv, confusion.csv and class_overlap.csv into a folder that exists.
/// @throws SystemError the disk is full or fails
void write_tables(const std::filesystem::path& folder, const RunStatistics& statistics);

/// failures.csv, row by row, in the order of add(); there when finish() is done, not before.
class FailuresCsv {
 public:
  /// @throws SystemError the folder cannot be written
  explicit FailuresCsv(const std::filesystem::path& path, bool random_weights = false);
  /// @throws SystemError the disk is full or fails
  void add(const Failure& failure);
  /// @throws SystemError the disk is full or fails
  void finish() { file_.finish(); }

 private:
  OutputFile file_;
  bool random_weights_;
};

/// How much of a long table the terminal is given.
struct SummaryTextOptions {
  int max_layers = 24;
  int max_classes = 20;
  int max_failures = 5;
};

/// @return the run in a few tables for a terminal of 100 columns, ending with a newline
std::string format_summary(const RunStatistics& statistics, SummaryTextOptions options = {});

/// What every output of a run with random weights says.
inline constexpr const char* kRandomWeightsNote =
    "RANDOM WEIGHTS: the network is untrained, these numbers say nothing about the data";

}  // namespace cfp
