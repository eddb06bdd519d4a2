// What a run, or a shard of it, amounts to: gathered clip by clip, merged exactly, never kept
// whole.
//
//   RunStatistics statistics({.name = "demo", .class_names = names, …});
//   for (…) statistics.add(results);     // of a row; or statistics.add_failure(failure)
//   statistics.merge(of_another_shard);  // in any order
//   write_tables(folder, statistics);    // tables.h
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "results/statistics/accumulator.h"
#include "results/statistics/tensor_totals.h"
#include "stages/core/clip.h"
#include "stages/core/pyramid.h"

namespace cfp {

/// What every output says about the run.
struct RunInfo {
  std::string name;                      ///< of the run
  std::string network;                   ///< architecture
  std::string method;                    ///< name of the scorer
  std::string dataset;                   ///< type of the data set
  std::vector<std::string> class_names;  ///< in the order of the logits; may be empty
  bool random_weights = false;           ///< the numbers say nothing about any data

  bool operator==(const RunInfo&) const = default;
};

/// Gathered over the explained targets of some clips.
struct PyramidCounts {
  Accumulator found;           ///< kernels found, a target
  Accumulator reached;         ///< kernels found and reached, a target
  Accumulator found_channels;  ///< channels found of the tensors that enter layers, a target
  Accumulator edges;           ///< edges, a target

  void merge(const PyramidCounts& other);
};

/// One layer over all clips.
struct LayerStatistics {
  std::string name;
  int depth = 0;
  std::int64_t kernels = 0, channels = 0;
  PyramidCounts counts;
  TensorTotals kernel_totals;   ///< of its output
  TensorTotals channel_totals;  ///< of the tensor that enters it
  Accumulator tube_maximum;
  std::int64_t constant_tubes = 0;
  std::map<int, PyramidCounts> counts_by_class;  ///< by explained class
  /// For each explained class: in how many of its clips each kernel is found, [kernels].
  std::map<int, std::vector<std::uint32_t>> found_by_class;

  /// @return number of kernels found in some clip of some class
  std::int64_t kernels_ever_found() const;
};

/// One class over all clips.
struct ClassStatistics {
  std::int64_t labelled = 0;            ///< clips with this label
  std::int64_t top1 = 0;                ///< of them, predicted so
  std::int64_t top5 = 0;                ///< of them, among the five largest logits
  std::int64_t predicted = 0;           ///< clips predicted so, labelled or not
  std::int64_t predicted_labelled = 0;  ///< of them, those with a label: what precision is of
  std::int64_t explained = 0;           ///< targets that are this class
  PyramidCounts counts;                 ///< over all layers, the classifier's included
  Accumulator target_value;             ///< y
};

/// A clip named in a short list.
struct NotedClip {
  std::int64_t row = 0;
  std::string clip_id;
  int label = -1, prediction = 0;
  double value = 0;  ///< what the list is ordered by
};

/// The larger value first, then the earlier row.
struct LargerValueFirst {
  bool operator()(const NotedClip& a, const NotedClip& b) const;
};

/// The earlier row first.
struct EarlierRowFirst {
  bool operator()(const Failure& a, const Failure& b) const;
};

/// How much the kernel sets of two classes overlap. A class's set are the kernels found in at
/// least half of its explained clips; the classifier's do not count, it has one a class.
struct ClassOverlap {
  int first = 0, second = 0;  ///< classes, first < second
  std::int64_t first_kernels = 0, second_kernels = 0, shared = 0;
  /// Jaccard index: shared over the union; absent where both sets are empty.
  std::optional<double> jaccard() const;
};

class RunStatistics {
 public:
  explicit RunStatistics(RunInfo info) : info_(std::move(info)) {}

  /// Adds a row: it counts once, by the mean logits of its views, and each pyramid of each result
  /// counts as a target.
  /// @param views  of one row, in order; or the one result that is their average
  /// @throws std::logic_error no views, or of several rows, or other classes or layers than those
  /// of
  ///         the rows before
  void add(std::span<const ClipResult> views);
  /// Adds a row of one result.
  void add(const ClipResult& clip) { add(std::span(&clip, 1)); }
  void add_failure(const Failure& failure);
  /// @throws std::invalid_argument the other is of another run, or of other classes or layers
  void merge(const RunStatistics& other);

  const RunInfo& info() const { return info_; }
  std::int64_t done() const { return done_; }
  std::int64_t failed() const { return failed_; }
  const std::map<FailureReason, std::int64_t>& failures_by_reason() const { return by_reason_; }
  const std::vector<Failure>& first_failures() const { return first_failures_.items(); }

  int num_classes() const { return static_cast<int>(classes_.size()); }
  const std::vector<ClassStatistics>& classes() const { return classes_; }
  /// @return the class's name, `class 7` where it has none
  std::string class_name(int index) const;
  /// @return clips labelled `label` and predicted `prediction`
  std::int64_t confusion(int label, int prediction) const;
  /// All (label, prediction) that occur, with the number of clips.
  const std::map<std::pair<int, int>, std::int64_t>& confusion_pairs() const { return confusion_; }

  std::int64_t labelled() const { return labelled_; }
  /// Shares of the labelled clips; absent where none is labelled.
  std::optional<double> top1() const;
  std::optional<double> top5() const;
  /// Mean over the classes with a labelled clip of each one's top-1.
  std::optional<double> mean_class_accuracy() const;

  const PyramidCounts& counts() const { return counts_; }
  const std::vector<LayerStatistics>& layers() const { return layers_; }
  const std::vector<AdditionTotals>& additions() const { return additions_; }
  const Accumulator& decode_s() const { return decode_s_; }
  const Accumulator& network_s() const { return network_s_; }
  const Accumulator& pyramid_s() const { return pyramid_s_; }

  const std::vector<NotedClip>& slowest() const { return slowest_.items(); }
  /// Wrong predictions of the highest probability.
  const std::vector<NotedClip>& confident_errors() const { return confident_errors_.items(); }

  /// Overlaps of all pairs of explained classes, in order; of one layer, or of all but the
  /// classifier. @param layer  position in layers()
  std::vector<ClassOverlap> overlaps(std::optional<std::size_t> layer = std::nullopt) const;

 private:
  void add_classes(const ClipResult& clip, const std::vector<float>& logits);
  void add_pyramid(const ClipResult& clip, const Pyramid& pyramid);
  void start(const Pyramid& pyramid);
  void add_additions(const ClipResult& clip, const Pyramid& pyramid);

  static constexpr std::size_t kNoted = 20;

  RunInfo info_;
  std::int64_t done_ = 0, failed_ = 0, labelled_ = 0;
  std::map<FailureReason, std::int64_t> by_reason_;
  std::vector<ClassStatistics> classes_;
  std::map<std::pair<int, int>, std::int64_t> confusion_;  ///< (label, prediction), where not 0
  PyramidCounts counts_;
  std::vector<LayerStatistics> layers_;
  std::vector<AdditionTotals> additions_;
  Accumulator decode_s_, network_s_, pyramid_s_;
  TopK<NotedClip, LargerValueFirst> slowest_{kNoted}, confident_errors_{kNoted};
  TopK<Failure, EarlierRowFirst> first_failures_{kNoted};
};

}  // namespace cfp
