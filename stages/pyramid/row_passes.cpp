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
  averaged_ = parts.views == ViewPyramids::kAveraged && clips.size() > rows.size();
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
      for (std::vector<Pyramid>& of_request : pyramids_[i]) {
        std::ranges::move(of_request, std::back_inserter(result.pyramids));
      }
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
  return std::ranges::any_of(rows_, [&](const Row& row) {
    return std::ranges::any_of(parts_.walks, [&](const SharedWalk& walk) {
      return target_needs_logits(walk.target(), clips_[row.first].request);
    });
  });
}

std::size_t RowPasses::rounds(std::size_t walk) const {
  return pyramid_count(parts_.walks[walk].target(), parts_.network->num_classes());
}

void RowPasses::find_targets() {
  for (Row& row : rows_) {
    const ClipRequest& request = clips_[row.first].request;
    for (std::size_t w = 0; w < parts_.walks.size(); ++w) {
      const ExplainOptions& options = parts_.walks[w].target();
      at::Tensor logits;
      if (target_needs_logits(options, request)) {
        logits = as_tensor(mean_logits(std::span(logits_).subspan(row.first, row.count)));
      }
      std::vector<RowTarget>& targets = row.targets.emplace_back();
      for (std::size_t round = 0; round < rounds(w); ++round) {
        targets.push_back(find_target(options, parts_.network->num_classes(), request, logits,
                                      static_cast<int>(round)));
      }
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

Targets RowPasses::targets_of(const Chunk& chunk, std::size_t walk, std::size_t round) const {
  Targets targets;
  std::vector<at::Tensor> weights;
  for (std::size_t i = chunk.first; i < chunk.first + chunk.count; ++i) {
    const RowTarget& target = target_of(row_of_clip_[i], walk, round);
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

void RowPasses::add_pyramid(std::size_t result, std::size_t place, Pyramid pyramid) {
  pyramids_.resize(results_.size());
  pyramids_[result].resize(parts_.asked);
  pyramids_[result][place].push_back(std::move(pyramid));
}

void RowPasses::explain_separately() {
  for (const Chunk& chunk : chunks_) {
    const Trace trace = forward(chunk);
    for (std::size_t i = chunk.first; i < chunk.first + chunk.count; ++i) {
      results_.push_back(describe(i));
    }
    for (std::size_t w = 0; w < parts_.walks.size(); ++w) {
      for (std::size_t round = 0; round < rounds(w); ++round) {
        explain_chunk(chunk, trace, w, round);
      }
    }
  }
}

void RowPasses::explain_chunk(const Chunk& chunk, const Trace& trace, std::size_t walk,
                              std::size_t round) {
  const SharedWalk& asked = parts_.walks[walk];
  const Targets targets = targets_of(chunk, walk, round);
  const std::vector<double> values = values_of(chunk, targets);
  std::vector<Scores> all = asked.scorer->score(parts_.traced(trace, asked.requests), targets);
  parts_.add_tubes(trace, targets.classes, asked.requests, all);
  for (std::size_t b = 0; b < chunk.count; ++b) {
    const std::size_t i = chunk.first + b;
    for (std::size_t r = 0; r < all.size(); ++r) {
      Scores& scores = all[r];
      add_pyramid(i, asked.places[r],
                  parts_.assemble(asked.requests[r], scores.relevance[b],
                                  scores.tubes.empty() ? nullptr : &scores.tubes[b],
                                  target_of(row_of_clip_[i], walk, round), values[b]));
    }
  }
}

void RowPasses::explain_averaged() {
  for (const Row& row : rows_) {
    ClipResult& result = results_.emplace_back(describe(row.first));
    result.view = 0;
    result.views = static_cast<int>(row.count);
  }
  for (std::size_t w = 0; w < parts_.walks.size(); ++w) {
    for (std::size_t r = 0; r < parts_.walks[w].requests.size(); ++r) average(w, r);
  }
}

void RowPasses::average(std::size_t walk, std::size_t request) {
  const SharedWalk& asked = parts_.walks[walk];
  const PyramidRequest& of_walk = asked.requests[request];
  std::vector<std::vector<Gathered>> gathered(rows_.size());  // by row, by round
  for (std::vector<Gathered>& row : gathered) row.resize(rounds(walk));
  gather_relevance(walk, of_walk, gathered);
  gather_evidence(walk, of_walk, gathered);
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    for (std::size_t round = 0; round < rounds(walk); ++round) {
      Gathered& of = gathered[r][round];
      const RowTarget& target = target_of(r, walk, round);
      if (!asked.scorer->reads_means_alone()) {
        of.evidence.move_edges_to(of.common, of_walk.options.edge_threshold);
        mark_reached(parts_.executor->graph(), of_walk.plan.classifier, target.class_index,
                     of.common);
      }
      std::vector<Tube> tubes = of.evidence.tubes();
      add_pyramid(r, asked.places[request],
                  parts_.assemble(of_walk, of.common, tubes.empty() ? nullptr : &tubes, target,
                                  of.value / static_cast<double>(rows_[r].count)));
    }
  }
}

void RowPasses::gather_relevance(std::size_t walk, const PyramidRequest& request,
                                 std::vector<std::vector<Gathered>>& gathered) {
  const Scorer& scorer = *parts_.walks[walk].scorer;
  const bool means_alone = scorer.reads_means_alone();
  PyramidRequest relevance_alone = request;
  relevance_alone.options.edges = false;
  relevance_alone.options.tubes = TubeKind::kNone;
  std::vector<MeansAverage> means(rows_.size());
  for (const Chunk& chunk : chunks_) {
    const Trace trace = forward(chunk);
    for (std::size_t b = 0; means_alone && b < chunk.count; ++b) {
      means[row_of_clip_[chunk.first + b]].add(trace, static_cast<std::int64_t>(b));
    }
    for (std::size_t round = 0; round < rounds(walk); ++round) {
      const Targets targets = targets_of(chunk, walk, round);
      const std::vector<double> values = values_of(chunk, targets);
      Scores scores;
      if (!means_alone) {
        scores = std::move(
            scorer.score(parts_.traced(trace, std::span(&relevance_alone, 1)), targets).front());
      }
      for (std::size_t b = 0; b < chunk.count; ++b) {
        Gathered& of = gathered[row_of_clip_[chunk.first + b]][round];
        of.value += values[b];
        if (!means_alone) of.relevance.add(scores.relevance[b]);
      }
    }
  }
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    const Trace mean = means_alone ? means[r].mean() : Trace();
    for (std::size_t round = 0; round < gathered[r].size(); ++round) {
      const RowTarget& target = target_of(r, walk, round);
      Gathered& of = gathered[r][round];
      of.common = means_alone
                      ? score_means(mean, walk, request, target)
                      : of.relevance.select(request.plan, target.class_index, request.options);
      of.relevance = {};
    }
  }
}

std::vector<NodeRelevance> RowPasses::score_means(const Trace& mean, std::size_t walk,
                                                  const PyramidRequest& request,
                                                  const RowTarget& target) const {
  const Targets targets{target.weights.unsqueeze(0), {target.class_index}};
  const Scorer& scorer = *parts_.walks[walk].scorer;
  std::vector<Scores> scores = scorer.score(parts_.traced(mean, std::span(&request, 1)), targets);
  return std::move(scores.front().relevance.at(0));
}

void RowPasses::gather_evidence(std::size_t walk, const PyramidRequest& request,
                                std::vector<std::vector<Gathered>>& gathered) {
  const Scorer& scorer = *parts_.walks[walk].scorer;
  const bool edges = request.options.edges && !scorer.reads_means_alone();
  if (!edges && request.options.tubes == TubeKind::kNone) return;
  for (const Chunk& chunk : chunks_) {
    const Trace trace = forward(chunk);
    for (std::size_t round = 0; round < rounds(walk); ++round) {
      const Targets targets = targets_of(chunk, walk, round);
      const auto of_clip = [&](std::size_t b) -> Gathered& {
        return gathered[row_of_clip_[chunk.first + b]][round];
      };
      Scores scores;
      if (edges) {
        TracedBatch batch = parts_.traced(trace, std::span(&request, 1));
        for (std::size_t b = 0; b < chunk.count; ++b) batch.common.push_back(&of_clip(b).common);
        scores = std::move(scorer.score(batch, targets).front());
        for (std::size_t b = 0; b < chunk.count; ++b) {
          of_clip(b).evidence.add_edges(scores.relevance[b]);
        }
      }
      if (scores.tubes.empty()) {
        scores.relevance.clear();
        for (std::size_t b = 0; b < chunk.count; ++b) scores.relevance.push_back(of_clip(b).common);
        parts_.add_tubes(trace, targets.classes, std::span(&request, 1), std::span(&scores, 1));
      }
      for (std::size_t b = 0; b < scores.tubes.size(); ++b) {
        of_clip(b).evidence.add_tubes(scores.tubes[b]);
      }
    }
  }
}

}  // namespace cfp
