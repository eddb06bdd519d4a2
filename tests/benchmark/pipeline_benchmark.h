// What the pipeline makes of its stages, and of the same clips in Python.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace cfp::benchmark {

struct PipelineSettings {
  std::vector<std::string> networks = {"resnet50_3d", "mfnet3d"};  ///< architectures
  std::vector<std::filesystem::path> clips;                        ///< videos that all can be read
  std::string python = "python3";  ///< with PyTorch and OpenCV; empty: goes without
  int rows = 200;                  ///< clips of a run: copies of the videos in turn
  int runs = 3;                    ///< counted all: a run is long enough to warm itself up
  int batch_size = 4;
  std::vector<std::string> overrides;  ///< of our config
};

/// Clips a second of whole runs against the bound that their stages give, and against a usual
/// pipeline in Python that explains nothing: one line a network.
void pipeline(const PipelineSettings& settings);

/// Runs that explain with ten thresholds against runs with one: one line a network.
void sweep(const PipelineSettings& settings);

}  // namespace cfp::benchmark
