// How rows of several views go through a network, a bounded number of views at a time. Private to
// this room.
//
// Note [Passes over views]
// Clips go forward in chunks of at most batch_size. Where all clips fit into one chunk its trace is
// kept, and each pass below reads it; else each pass runs the network forward again, because the
// traces of many views do not fit into memory together.
//   1. Logits, where the target depends on what the network says of the whole row.
//   2. separate: the pyramids. averaged: the relevance of each view, added up.
//   3. averaged: edges and tubes of what is found among the means, added up.
// Every forward pass keeps the same, so a view's logits have the same bits in each.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "stages/pyramid/explainer_parts.h"
#include "stages/pyramid/view_average.h"

namespace cfp {

class RowPasses {
 public:
  /// @param rows   each row's views
  /// @param clips  of all rows, one after the other
  RowPasses(const ExplainerParts& parts, const std::vector<std::span<const Clip>>& rows,
            std::span<const Clip> clips, std::size_t batch_size);

  /// @return one explanation a row
  std::vector<RowExplanation> run();

 private:
  /// A run of clips that go through the network at once.
  struct Chunk {
    std::size_t first = 0, count = 0;
  };
  struct Row {
    std::size_t first = 0, count = 0;             ///< its views among the clips
    std::vector<float> logits;                    ///< the mean of its views
    std::vector<std::vector<RowTarget>> targets;  ///< by walk, by round
    bool finite = true;
    std::size_t bad_view = 0;  ///< where not finite
  };
  /// What an averaged row gathers for one target.
  struct Gathered {
    RelevanceAverage relevance;
    EvidenceAverage evidence;
    std::vector<NodeRelevance> common;  ///< by node: means, and what is found among them
    double value = 0;                   ///< sum of the target's value over views
  };

  Trace forward(const Chunk& chunk);
  void find_logits();
  /// Whether the targets depend on logits that are known only when all chunks went forward.
  bool logits_come_first() const;
  void find_targets();
  void judge_rows();

  /// How many targets the requests of a walk have.
  std::size_t rounds(std::size_t walk) const;
  const RowTarget& target_of(std::size_t row, std::size_t walk, std::size_t round) const {
    return rows_[row].targets[walk][round];
  }
  Targets targets_of(const Chunk& chunk, std::size_t walk, std::size_t round) const;
  std::vector<double> values_of(const Chunk& chunk, const Targets& targets) const;
  /// What is known of a view besides its pyramids.
  ClipResult describe(std::size_t clip) const;
  /// Puts the pyramids where their result has them.
  void add_pyramid(std::size_t result, std::size_t place, Pyramid pyramid);

  void explain_separately();
  void explain_chunk(const Chunk& chunk, const Trace& trace, std::size_t walk, std::size_t round);
  void explain_averaged();
  void average(std::size_t walk, std::size_t request);
  void gather_relevance(std::size_t walk, const PyramidRequest& request,
                        std::vector<std::vector<Gathered>>& gathered);
  void gather_evidence(std::size_t walk, const PyramidRequest& request,
                       std::vector<std::vector<Gathered>>& gathered);
  /// What a scorer that reads nothing but means says of the means of all views.
  std::vector<NodeRelevance> score_means(const Trace& mean, std::size_t walk,
                                         const PyramidRequest& request,
                                         const RowTarget& target) const;

  const ExplainerParts& parts_;
  std::span<const Clip> clips_;
  std::vector<Row> rows_;
  std::vector<std::size_t> row_of_clip_;
  std::vector<Chunk> chunks_;
  bool averaged_;
  std::optional<Trace> only_trace_;         ///< where there is one chunk
  std::vector<std::vector<float>> logits_;  ///< by clip; empty: not known yet
  std::vector<ClipResult> results_;         ///< one a clip, or one a row where averaged
  std::vector<std::vector<std::vector<Pyramid>>> pyramids_;  ///< by result, by request, by round
  double network_s_ = 0;                                     ///< of all forward passes
};

}  // namespace cfp
