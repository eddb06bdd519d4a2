// The mean over a row's views of what a scorer said of each: docs/method.md, section 9. Private to
// this room.
//
// Two passes. The first adds up relevance; what is found is selected among the means. The second
// asks of each view for the edges and tubes of what was found, and adds those up.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "stages/core/explain_options.h"
#include "stages/core/pyramid.h"
#include "stages/network/executor.h"
#include "stages/pyramid/plan.h"
#include "stages/pyramid/routing.h"

namespace cfp {

/// Means of P and N of every channel.
class RelevanceAverage {
 public:
  /// @param view  by node, as a scorer gives it
  void add(const std::vector<NodeRelevance>& view);

  /// @return by node: the means, and what is found among them; no edges yet
  std::vector<NodeRelevance> select(const PyramidPlan& plan, int class_index,
                                    const ExplainOptions& options) const;

 private:
  struct Sums {
    std::vector<double> positive, negative;  ///< by channel
    void add(const ChannelRelevance& relevance);
    ChannelRelevance mean(std::int64_t views, const ExplainOptions& options) const;
  };
  struct NodeSums {
    std::optional<Sums> value, kernels;
    std::vector<Sums> addends;
  };
  std::vector<NodeSums> nodes_;
  std::int64_t views_ = 0;
};

/// Means of the signed scores of all edges between what is found, and of tubes.
class EvidenceAverage {
 public:
  /// @param view   by node, of TracedBatch::common: the same pairs of channels in every view
  void add_edges(const std::vector<NodeRelevance>& view);
  /// @param tubes  by layer of the plan
  void add_tubes(const std::vector<Tube>& tubes);

  /// Gives each layer the edges of the pyramid among the means, by select_edges()'s rule.
  void move_edges_to(std::vector<NodeRelevance>& relevance, double edge_threshold) const;
  /// @return by layer of the plan: the means, voxel by voxel; empty where there were none
  std::vector<Tube> tubes() const;

 private:
  struct Scores {
    std::vector<Edge> pairs;   ///< their score is that of the first view
    std::vector<double> sums;  ///< by pair
  };
  struct Volume {
    Tube shape;                ///< its values are those of the first view
    std::vector<double> sums;  ///< by voxel
  };
  std::map<std::size_t, Scores> scores_;  ///< by node
  std::vector<Volume> volumes_;
  std::int64_t edge_views_ = 0, tube_views_ = 0;
};

/// Means of the tap means of several clips, for scorers that read nothing else.
class MeansAverage {
 public:
  /// @param clip  of the trace's batch
  void add(const Trace& trace, std::int64_t clip);
  /// @return a trace of one clip, whose means and logits are the averages; it holds no values
  Trace mean() const;

 private:
  std::vector<std::map<Window, at::Tensor>> sums_;  ///< by node: [1, …] float64
  at::Tensor logits_;                               ///< [1, classes] float64
  at::ScalarType type_ = at::kFloat;
  std::int64_t views_ = 0;
};

}  // namespace cfp
