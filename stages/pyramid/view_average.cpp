#include "stages/pyramid/view_average.h"

#include <algorithm>
#include <stdexcept>

#include <ATen/TensorOperators.h>

#include "stages/pyramid/selection.h"

namespace cfp {
namespace {

template <class Values>
void add_to(std::vector<double>& sums, const Values& values) {
  if (sums.empty()) sums.resize(values.size());
  if (sums.size() != values.size()) throw std::logic_error("views of a row differ in size");
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += values[i];
}

std::vector<double> divided(std::vector<double> sums, std::int64_t views) {
  for (double& sum : sums) sum /= static_cast<double>(views);
  return sums;
}

void add_to(at::Tensor& sum, const at::Tensor& value) {
  const at::Tensor exact = value.to(at::kDouble);
  sum = sum.defined() ? sum + exact : exact;
}

}  // namespace

void RelevanceAverage::Sums::add(const ChannelRelevance& relevance) {
  add_to(positive, relevance.positive);
  add_to(negative, relevance.negative);
}

ChannelRelevance RelevanceAverage::Sums::mean(std::int64_t views,
                                              const ExplainOptions& options) const {
  return select_channels(divided(positive, views), divided(negative, views), options);
}

void RelevanceAverage::add(const std::vector<NodeRelevance>& view) {
  nodes_.resize(view.size());
  ++views_;
  for (std::size_t id = 0; id < view.size(); ++id) {
    NodeSums& sums = nodes_[id];
    if (view[id].value) (sums.value ? *sums.value : sums.value.emplace()).add(*view[id].value);
    if (view[id].kernels) {
      (sums.kernels ? *sums.kernels : sums.kernels.emplace()).add(*view[id].kernels);
    }
    sums.addends.resize(view[id].addends.size());
    for (std::size_t i = 0; i < sums.addends.size(); ++i) sums.addends[i].add(view[id].addends[i]);
  }
}

std::vector<NodeRelevance> RelevanceAverage::select(const PyramidPlan& plan, int class_index,
                                                    const ExplainOptions& options) const {
  std::vector<NodeRelevance> relevance(nodes_.size());
  for (std::size_t id = 0; id < nodes_.size(); ++id) {
    const NodeSums& sums = nodes_[id];
    NodeRelevance& known = relevance[id];
    if (sums.value) known.value = sums.value->mean(views_, options);
    if (sums.kernels) known.kernels = sums.kernels->mean(views_, options);
    for (const Sums& addend : sums.addends) known.addends.push_back(addend.mean(views_, options));
  }
  NodeRelevance& classifier = relevance[static_cast<std::size_t>(plan.classifier)];
  if (classifier.kernels) {
    root_at(class_index, *classifier.kernels);
    root_at(class_index, *classifier.value);
  }
  return relevance;
}

void EvidenceAverage::add_edges(const std::vector<NodeRelevance>& view) {
  ++edge_views_;
  for (std::size_t id = 0; id < view.size(); ++id) {
    const std::vector<Edge>& edges = view[id].edges;
    if (edges.empty()) continue;
    Scores& scores = scores_[id];
    if (scores.pairs.empty()) {
      scores.pairs = edges;
      scores.sums.resize(edges.size());
    }
    const auto same = [](const Edge& a, const Edge& b) {
      return a.kernel == b.kernel && a.channel == b.channel;
    };
    if (!std::ranges::equal(scores.pairs, edges, same)) {
      throw std::logic_error("edges of the views of a row join other channels");
    }
    for (std::size_t i = 0; i < edges.size(); ++i) scores.sums[i] += edges[i].score;
  }
}

void EvidenceAverage::add_tubes(const std::vector<Tube>& tubes) {
  ++tube_views_;
  volumes_.resize(tubes.size());
  for (std::size_t l = 0; l < tubes.size(); ++l) {
    if (tube_views_ == 1) volumes_[l].shape = tubes[l];
    add_to(volumes_[l].sums, tubes[l].values);
  }
}

void EvidenceAverage::move_edges_to(std::vector<NodeRelevance>& relevance,
                                    double edge_threshold) const {
  for (const auto& [id, scores] : scores_) {
    std::vector<Edge> means = scores.pairs;
    for (std::size_t i = 0; i < means.size(); ++i) {
      means[i].score = static_cast<float>(scores.sums[i] / static_cast<double>(edge_views_));
    }
    std::vector<Edge>& kept = relevance[id].edges;
    for (auto first = means.begin(); first != means.end();) {
      const auto end = std::find_if(first, means.end(),
                                    [&](const Edge& edge) { return edge.kernel != first->kernel; });
      const float largest = std::ranges::max_element(first, end, {}, &Edge::score)->score;
      const auto enough = static_cast<float>(edge_threshold * largest);
      std::copy_if(first, end, std::back_inserter(kept),
                   [&](const Edge& edge) { return edge.score > 0 && edge.score >= enough; });
      first = end;
    }
  }
}

std::vector<Tube> EvidenceAverage::tubes() const {
  std::vector<Tube> tubes;
  for (const Volume& volume : volumes_) {
    Tube& tube = tubes.emplace_back(volume.shape);
    const std::vector<double> means = divided(volume.sums, tube_views_);
    tube.values.assign(means.begin(), means.end());
    if (tube.values.empty()) continue;
    const auto [low, high] = std::ranges::minmax(tube.values);
    tube.minimum = low;
    tube.maximum = high;
  }
  return tubes;
}

void MeansAverage::add(const Trace& trace, std::int64_t clip) {
  ++views_;
  sums_.resize(trace.means.size());
  type_ = trace.logits.scalar_type();
  for (std::size_t id = 0; id < trace.means.size(); ++id) {
    for (const auto& [window, means] : trace.means[id]) {
      add_to(sums_[id][window], means.narrow(0, clip, 1));
    }
  }
  add_to(logits_, trace.logits.narrow(0, clip, 1));
}

Trace MeansAverage::mean() const {
  Trace trace;
  trace.values.resize(sums_.size());
  trace.means.resize(sums_.size());
  for (std::size_t id = 0; id < sums_.size(); ++id) {
    for (const auto& [window, sum] : sums_[id]) {
      trace.means[id][window] = sum / static_cast<double>(views_);
    }
  }
  trace.logits = (logits_ / static_cast<double>(views_)).to(type_);
  return trace;
}

}  // namespace cfp
