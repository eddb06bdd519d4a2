// A clip of a finished run as a graph in a file.
#pragma once

#include <filesystem>

#include "pipeline/run/finished_run.h"
#include "results/report/graph_export.h"

namespace cfp {

enum class GraphFormat { kJson, kGraphml };

struct GraphExportOptions {
  GraphFormat format = GraphFormat::kJson;
  GraphNodes nodes = GraphNodes::kFound;  ///< of GraphML
  int target = 0;                         ///< position among the targets of the clip
  int view = 0;                           ///< of the clip
  bool routes = true;  ///< with the kernels that made each layer's channels; needs the checkpoint
};

/// @param clip_id  of the manifest
/// @param file     to write; its folder is made where it is missing
/// @throws ConfigError no such clip, view or target; with routes, the network cannot be loaded
/// @throws SystemError disk, a damaged part, or a checkpoint with other weights than the run's
void export_graph(const FinishedRun& run, const std::string& clip_id,
                  const GraphExportOptions& options, const std::filesystem::path& file);

/// @return `<work_dir>/graphs/<clip>….json`: where a graph goes when no file is named
std::filesystem::path usual_graph_file(const FinishedRun& run, const std::string& clip_id,
                                       const GraphExportOptions& options);

}  // namespace cfp
