#include "stages/pyramid/row_passes.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>

#include "stages/core/errors.h"
#include "stages/core/softmax.h"
#include "stages/network/executor.h"

namespace cfp {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

at::Tensor as_tensor(const std::vector<float>& logits) {
  return at::from_blob(const_cast<float*>(logits.data()),
                       {static_cast<std::int64_t>(logits.size())}, at::kFloat)
      .clone();
}

int largest(const std::vector<float>& logits) {
  return static_cast<int>(std::ranges::max_element(logits) - logits.begin());
}

bool all_finite(const std::vector<float>& logits) {
  return std::ranges::all_of(logits, [](float logit) { return std::isfinite(logit); });
}

}  // namespace

RowPasses::RowPasses(const ExplainerParts& parts, const std::vector<std::span<const Clip>>& rows,
                     std::span<const Clip> clips, std::size_t batch_size)
    : parts_(parts), clips_(clips), logits_(clips.size()) {
  for (const std::span<const Clip>& views : rows) {
    rows_.push_back({.first = row_of_clip_.size(), .count = views.size()});
    row_of_clip_.resize(row_of_clip_.size() + views.size(), rows_.size() - 1);
  }
  for (std::size_t first = 0; first < clips.size(); first += batch_size) {
    chunks_.push_back({first, std::min(batch_size, clips.size() - first)});
  }
  // The mean of one view is that view, without a second pass.
  averaged_ = parts.options.views == ViewPyramids::kAveraged && clips.size() > rows.size();
}

std::vector<RowExplanation> RowPasses::run() {
  const auto start = Clock::now();
  if (chunks_.size() == 1 || logits_come_first()) find_logits();
  find_targets();
  averaged_ ? explain_averaged() : explain_separately();
  judge_rows();
  const auto clips = static_cast<double>(clips_.size());
  const double pyramid_s = (seconds_since(start) - network_s_) / clips;

  std::vector<RowExplanation> explanations;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    const Row& row = rows_[r];
    if (!row.finite) {
      const Clip& bad = clips_[row.bad_view];
      const std::string which = row.count > 1 ? fmt::format(" for view {}", bad.view) : "";
      explanations.emplace_back(
          Failure{bad.request.row, bad.request.clip_id, bad.request.media.path, "network",
                  FailureReason::kNotFinite,
                  fmt::format("the network's logits{} hold a value that is not finite", which)});
      continue;
    }
    const std::size_t first = averaged_ ? r : row.first, count = averaged_ ? 1 : row.count;
    std::vector<ClipResult>& results =
        std::get<0>(explanations.emplace_back(std::vector<ClipResult>()));
    for (std::size_t i = first; i < first + count; ++i) {
      ClipResult& result = results.emplace_back(std::move(results_[i]));
      result.prediction = largest(row.logits);
      result.network_s = network_s_ / clips * result.views;
      result.pyramid_s = pyramid_s * result.views;
    }
  }
  return explanations;
}

Trace RowPasses::forward(const Chunk& chunk) {
  if (only_trace_) return *only_trace_;
  const auto start = Clock::now();
  Trace trace = parts_.executor->forward(parts_.to_batch(clips_.subspan(chunk.first, chunk.count)),
                                         parts_.needs);
  const at::Tensor logits = trace.logits.to(at::kCPU, at::kFloat).contiguous();
  network_s_ += seconds_since(start);
  const auto classes = static_cast<std::size_t>(logits.size(1));
  for (std::size_t b = 0; b < chunk.count; ++b) {
    const float* row = logits.data_ptr<float>() + b * classes;
    logits_[chunk.first + b].assign(row, row + classes);
  }
  if (chunks_.size() == 1) only_trace_ = trace;
  return trace;
}

void RowPasses::find_logits() {
  for (const Chunk& chunk : chunks_) forward(chunk);
}

bool RowPasses::logits_come_first() const {
  return std::ranges::any_of(
      rows_, [&](const Row& row) { return parts_.target_needs_logits(clips_[row.first].request); });
}

void RowPasses::find_targets() {
  for (Row& row : rows_) {
    const ClipRequest& request = clips_[row.first].request;
    at::Tensor logits;
    if (parts_.target_needs_logits(request)) {
      logits = as_tensor(mean_logits(std::span(logits_).subspan(row.first, row.count)));
    }
    for (int round = 0; round < parts_.rounds(); ++round) {
      row.targets.push_back(parts_.target(request, logits, round));
    }
  }
}

void RowPasses::judge_rows() {
  for (Row& row : rows_) {
    const auto views = std::span(logits_).subspan(row.first, row.count);
    row.logits = mean_logits(views);
    const auto bad = std::ranges::find_if_not(views, all_finite);
    row.finite = bad == views.end();
    row.bad_view = row.first + static_cast<std::size_t>(bad - views.begin());
    if (averaged_) results_[static_cast<std::size_t>(&row - rows_.data())].logits = row.logits;
  }
}

Targets RowPasses::targets_of(const Chunk& chunk, int round) const {
  Targets targets;
  std::vector<at::Tensor> weights;
  for (std::size_t i = chunk.first; i < chunk.first + chunk.count; ++i) {
    const RowTarget& target = rows_[row_of_clip_[i]].targets[static_cast<std::size_t>(round)];
    targets.classes.push_back(target.class_index);
    weights.push_back(target.weights);
  }
  targets.weights = at::stack(weights);
  return targets;
}

std::vector<double> RowPasses::values_of(const Chunk& chunk, const Targets& targets) const {
  std::vector<double> values;
  for (std::size_t b = 0; b < chunk.count; ++b) {
    const at::Tensor logits = as_tensor(logits_[chunk.first + b]);
    values.push_back((logits * targets.weights[static_cast<std::int64_t>(b)]).sum().item<double>());
  }
  return values;
}

ClipResult RowPasses::describe(std::size_t clip) const {
  const Clip& known = clips_[clip];
  return {.row = known.request.row,
          .clip_id = known.request.clip_id,
          .path = known.request.media.path,
          .view = known.view,
          .label = known.request.label.value_or(-1),
          .logits = logits_[clip],
          .frame_times_s = known.frame_times_s,
          .decode_s = known.decode_s};
}

void RowPasses::explain_separately() {
  for (const Chunk& chunk : chunks_) {
    const Trace trace = forward(chunk);
    for (std::size_t i = chunk.first; i < chunk.first + chunk.count; ++i) {
      results_.push_back(describe(i));
    }
    for (int round = 0; round < parts_.rounds(); ++round) {
      const Targets targets = targets_of(chunk, round);
      const std::vector<double> values = values_of(chunk, targets);
      Scores scores = parts_.scorer->score(parts_.traced(trace, parts_.options), targets);
      if (scores.tubes.empty()) {
        scores.tubes = parts_.tubes(trace, targets.classes, scores.relevance);
      }
      for (std::size_t b = 0; b < chunk.count; ++b) {
        const std::size_t i = chunk.first + b;
        results_[i].pyramids.push_back(parts_.assemble(
            scores.relevance[b], scores.tubes.empty() ? nullptr : &scores.tubes[b],
            rows_[row_of_clip_[i]].targets[static_cast<std::size_t>(round)], values[b]));
      }
    }
  }
}

void RowPasses::explain_averaged() {
  const auto rounds = static_cast<std::size_t>(parts_.rounds());
  std::vector<std::vector<Gathered>> gathered(rows_.size());  // by row, by round
  for (std::vector<Gathered>& row : gathered) row.resize(rounds);
  gather_relevance(gathered);
  gather_evidence(gathered);
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    ClipResult& result = results_.emplace_back(describe(rows_[r].first));
    result.view = 0;
    result.views = static_cast<int>(rows_[r].count);
    for (std::size_t round = 0; round < rounds; ++round) {
      Gathered& of = gathered[r][round];
      const RowTarget& target = rows_[r].targets[round];
      if (!parts_.scorer->reads_means_alone()) {
        of.evidence.move_edges_to(of.common, parts_.options.edge_threshold);
        mark_reached(parts_.executor->graph(), parts_.plan.classifier, target.class_index,
                     of.common);
      }
      std::vector<Tube> tubes = of.evidence.tubes();
      result.pyramids.push_back(parts_.assemble(of.common, tubes.empty() ? nullptr : &tubes, target,
                                                of.value / static_cast<double>(rows_[r].count)));
    }
  }
}

void RowPasses::gather_relevance(std::vector<std::vector<Gathered>>& gathered) {
  const bool means_alone = parts_.scorer->reads_means_alone();
  ExplainOptions relevance_alone = parts_.options;
  relevance_alone.edges = false;
  relevance_alone.tubes = TubeKind::kNone;
  std::vector<MeansAverage> means(rows_.size());
  for (const Chunk& chunk : chunks_) {
    const Trace trace = forward(chunk);
    for (std::size_t b = 0; means_alone && b < chunk.count; ++b) {
      means[row_of_clip_[chunk.first + b]].add(trace, static_cast<std::int64_t>(b));
    }
    for (int round = 0; round < parts_.rounds(); ++round) {
      const Targets targets = targets_of(chunk, round);
      const std::vector<double> values = values_of(chunk, targets);
      Scores scores;
      if (!means_alone) {
        scores = parts_.scorer->score(parts_.traced(trace, relevance_alone), targets);
      }
      for (std::size_t b = 0; b < chunk.count; ++b) {
        Gathered& of = gathered[row_of_clip_[chunk.first + b]][static_cast<std::size_t>(round)];
        of.value += values[b];
        if (!means_alone) of.relevance.add(scores.relevance[b]);
      }
    }
  }
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    const Trace mean = means_alone ? means[r].mean() : Trace();
    for (std::size_t round = 0; round < gathered[r].size(); ++round) {
      const RowTarget& target = rows_[r].targets[round];
      Gathered& of = gathered[r][round];
      of.common = means_alone
                      ? score_means(mean, target)
                      : of.relevance.select(parts_.plan, target.class_index, parts_.options);
      of.relevance = {};
    }
  }
}

std::vector<NodeRelevance> RowPasses::score_means(const Trace& mean,
                                                  const RowTarget& target) const {
  const Targets targets{target.weights.unsqueeze(0), {target.class_index}};
  return std::move(
      parts_.scorer->score(parts_.traced(mean, parts_.options), targets).relevance.at(0));
}

void RowPasses::gather_evidence(std::vector<std::vector<Gathered>>& gathered) {
  const bool edges = parts_.options.edges && !parts_.scorer->reads_means_alone();
  if (!edges && parts_.options.tubes == TubeKind::kNone) return;
  for (const Chunk& chunk : chunks_) {
    const Trace trace = forward(chunk);
    for (std::size_t round = 0; round < gathered.front().size(); ++round) {
      const Targets targets = targets_of(chunk, static_cast<int>(round));
      const auto of_clip = [&](std::size_t b) -> Gathered& {
        return gathered[row_of_clip_[chunk.first + b]][round];
      };
      Scores scores;
      if (edges) {
        TracedBatch batch = parts_.traced(trace, parts_.options);
        for (std::size_t b = 0; b < chunk.count; ++b) batch.common.push_back(&of_clip(b).common);
        scores = parts_.scorer->score(batch, targets);
        for (std::size_t b = 0; b < chunk.count; ++b) {
          of_clip(b).evidence.add_edges(scores.relevance[b]);
        }
      }
      if (scores.tubes.empty()) {
        std::vector<std::vector<NodeRelevance>> common;
        for (std::size_t b = 0; b < chunk.count; ++b) common.push_back(of_clip(b).common);
        scores.tubes = parts_.tubes(trace, targets.classes, common);
      }
      for (std::size_t b = 0; b < scores.tubes.size(); ++b) {
        of_clip(b).evidence.add_tubes(scores.tubes[b]);
      }
    }
  }
}

}  // namespace cfp
