#include "pipeline/run/disk_space.h"

#include <cmath>
#include <stdexcept>
#include <variant>

#include <sys/statvfs.h>

#include "stages/pyramid/plan.h"

namespace cfp {
namespace {

/// Of a channel: positive, negative and score as float32, found and reached as bytes.
constexpr std::int64_t kBytesAChannel = 3 * 4 + 2;
/// Of an edge, as parts hold it: docs/results.md.
constexpr std::int64_t kBytesAnEdge = 9;

std::int64_t bytes_of(StoredAs stored) {
  switch (stored) {
    case StoredAs::kFloat32:
      return 4;
    case StoredAs::kUInt16:
      return 2;
    case StoredAs::kUInt8:
      return 1;
  }
  throw std::logic_error("StoredAs out of range");
}

/// Share of kernels and of channels that is found; measured shares are 2 to 20 %.
constexpr double kUsuallyFound = 0.1;

std::int64_t groups_of(const Node& node) {
  const auto* convolution = std::get_if<Conv3d>(&node.op);
  return convolution != nullptr ? convolution->groups : 1;
}

}  // namespace

std::optional<DiskNeed> disk_need(const Prepared& prepared) {
  const ResolvedConfig& config = prepared.config;
  const auto size = clip_size(config.sampling, prepared.preprocess);
  if (!size) return std::nullopt;
  const NetworkGraph& graph = prepared.network->graph;
  const std::vector<TensorShape> shapes = infer_shapes(graph, *size);
  const StoreOptions& store = config.output.store;
  std::int64_t certain = 0;
  double edges = 0;
  for (const PyramidPlan::Layer& layer : plan_pyramid(graph, config.explain).layers) {
    const std::int64_t kernels = shapes[layer.node].channels;
    const std::int64_t channels = shapes[layer.entering].channels;
    certain += (kernels + channels) * kBytesAChannel;
    if (store.tubes) certain += shapes[layer.tube].positions() * bytes_of(store.tube_values);
    if (!config.explain.edges) continue;
    edges += kUsuallyFound * static_cast<double>(kernels) * kUsuallyFound *
             static_cast<double>(channels) / static_cast<double>(groups_of(graph.node(layer.node)));
  }
  const bool averaged = config.explain.views == ViewPyramids::kAveraged;
  const std::int64_t views = view_count(config.sampling);
  const std::int64_t targets =
      config.explain.target == TargetKind::kTopK ? config.explain.top_k : 1;
  const auto rows = static_cast<std::int64_t>(prepared.labels->rows.size());
  const std::int64_t pyramids = rows * targets * (averaged ? 1 : views);
  return DiskNeed{
      .certain_bytes = pyramids * certain + rows * views * prepared.network->num_classes() * 4,
      .edge_bytes = static_cast<std::int64_t>(static_cast<double>(pyramids) * std::round(edges)) *
                    kBytesAnEdge};
}

std::optional<std::int64_t> free_bytes(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::path there = std::filesystem::absolute(folder, error);
  while (!there.empty() && !std::filesystem::exists(there, error) && there != there.root_path()) {
    there = there.parent_path();
  }
  struct statvfs status {};
  if (statvfs(there.c_str(), &status) != 0) return std::nullopt;
  return static_cast<std::int64_t>(status.f_bavail) * static_cast<std::int64_t>(status.f_frsize);
}

}  // namespace cfp
