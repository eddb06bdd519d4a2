#include "results/statistics/run_statistics.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <stdexcept>
#include <tuple>

#include "stages/core/softmax.h"

namespace cfp {
namespace {

std::int64_t count_set(const std::vector<std::uint8_t>& flags) {
  return std::count_if(flags.begin(), flags.end(), [](std::uint8_t flag) { return flag != 0; });
}

/// Counts of one layer of one target.
struct LayerCounts {
  std::int64_t found = 0, reached = 0, found_channels = 0, edges = 0;

  explicit LayerCounts(const PyramidLayer& layer)
      : found(count_set(layer.kernels.found)),
        reached(count_set(layer.kernels.reached)),
        found_channels(count_set(layer.channels.found)),
        edges(static_cast<std::int64_t>(layer.edges.size())) {}
  LayerCounts() = default;

  LayerCounts& operator+=(const LayerCounts& other) {
    found += other.found;
    reached += other.reached;
    found_channels += other.found_channels;
    edges += other.edges;
    return *this;
  }

  void add_to(PyramidCounts& counts) const {
    counts.found.add(static_cast<double>(found));
    counts.reached.add(static_cast<double>(reached));
    counts.found_channels.add(static_cast<double>(found_channels));
    counts.edges.add(static_cast<double>(edges));
  }
};

void add_flags(const std::vector<std::uint8_t>& flags, std::vector<std::uint32_t>& counts) {
  counts.resize(std::max(counts.size(), flags.size()));
  for (std::size_t i = 0; i < flags.size(); ++i) counts[i] += flags[i] != 0 ? 1 : 0;
}

std::optional<double> share(std::int64_t part, std::int64_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

/// A set of kernels, a bit each.
using KernelSet = std::vector<std::uint64_t>;

std::int64_t count_bits(const KernelSet& set) {
  std::int64_t count = 0;
  for (const std::uint64_t word : set) count += std::popcount(word);
  return count;
}

std::int64_t count_shared(const KernelSet& a, const KernelSet& b) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < a.size(); ++i) count += std::popcount(a[i] & b[i]);
  return count;
}

}  // namespace

void PyramidCounts::merge(const PyramidCounts& other) {
  found.merge(other.found);
  reached.merge(other.reached);
  found_channels.merge(other.found_channels);
  edges.merge(other.edges);
}

std::int64_t LayerStatistics::kernels_ever_found() const {
  std::vector<bool> ever(static_cast<std::size_t>(kernels));
  for (const auto& [index, found] : found_by_class) {
    for (std::size_t k = 0; k < found.size(); ++k) {
      if (found[k] > 0) ever[k] = true;
    }
  }
  return std::count(ever.begin(), ever.end(), true);
}

bool LargerValueFirst::operator()(const NotedClip& a, const NotedClip& b) const {
  return std::tie(b.value, a.row) < std::tie(a.value, b.row);
}

bool EarlierRowFirst::operator()(const Failure& a, const Failure& b) const {
  return std::tie(a.row, a.clip_id, a.stage, a.message) <
         std::tie(b.row, b.clip_id, b.stage, b.message);
}

std::optional<double> ClassOverlap::jaccard() const {
  return share(shared, first_kernels + second_kernels - shared);
}

namespace {

/// @throws std::logic_error the views are not those of one row
void check_views(std::span<const ClipResult> views) {
  if (views.empty()) throw std::logic_error("a row without views");
  for (const ClipResult& view : views) {
    if (view.row != views[0].row || view.label != views[0].label ||
        view.prediction != views[0].prediction || view.logits.size() != views[0].logits.size()) {
      throw std::logic_error("clip " + view.clip_id + ": view " + std::to_string(view.view) +
                             " is not of the row, or has another label, prediction or number of "
                             "classes than its first view");
    }
  }
}

}  // namespace

void RunStatistics::add(std::span<const ClipResult> views) {
  check_views(views);
  const ClipResult& clip = views[0];
  const int classes = static_cast<int>(clip.logits.size());
  if (classes_.empty()) classes_.resize(clip.logits.size());
  if (classes != num_classes() || clip.prediction < 0 || clip.prediction >= classes ||
      clip.label < -1 || clip.label >= classes) {
    throw std::logic_error("clip " + clip.clip_id + ": label " + std::to_string(clip.label) +
                           " and prediction " + std::to_string(clip.prediction) + " of " +
                           std::to_string(classes) + " logits, the run has " +
                           std::to_string(num_classes()) + " classes");
  }
  ++done_;
  double network_s = 0, pyramid_s = 0;
  std::vector<std::vector<float>> logits;
  for (const ClipResult& view : views) {
    network_s += view.network_s;
    pyramid_s += view.pyramid_s;
    logits.push_back(view.logits);
  }
  decode_s_.add(clip.decode_s);  // every view carries the time of decoding them all
  network_s_.add(network_s);
  pyramid_s_.add(pyramid_s);
  slowest_.add(
      {clip.row, clip.clip_id, clip.label, clip.prediction, clip.decode_s + network_s + pyramid_s});
  add_classes(clip, mean_logits(logits));
  for (const ClipResult& view : views) {
    for (const Pyramid& pyramid : view.pyramids) add_pyramid(view, pyramid);
  }
}

void RunStatistics::add_classes(const ClipResult& clip, const std::vector<float>& logits) {
  const auto prediction = static_cast<std::size_t>(clip.prediction);
  ++classes_[prediction].predicted;
  if (clip.label < 0) return;
  const auto label = static_cast<std::size_t>(clip.label);
  ClassStatistics& of_label = classes_[label];
  ++labelled_;
  ++of_label.labelled;
  ++classes_[prediction].predicted_labelled;
  ++confusion_[{clip.label, clip.prediction}];
  if (rank_of_class(logits, label) < 5) ++of_label.top5;
  if (clip.label == clip.prediction) {
    ++of_label.top1;
  } else {
    confident_errors_.add({clip.row, clip.clip_id, clip.label, clip.prediction,
                           softmax_probability(logits, prediction)});
  }
}

void RunStatistics::start(const Pyramid& pyramid) {
  for (const PyramidLayer& layer : pyramid.layers) {
    LayerStatistics& statistics = layers_.emplace_back();
    statistics.name = layer.name;
    statistics.depth = layer.depth;
    statistics.kernels = static_cast<std::int64_t>(layer.kernels.channels());
    statistics.channels = static_cast<std::int64_t>(layer.channels.channels());
  }
  for (const PyramidAddition& addition : pyramid.additions) {
    AdditionTotals& totals = additions_.emplace_back();
    totals.name = addition.name;
    totals.addend_names = addition.addend_names;
    totals.addends.resize(addition.addends.size());
    totals.addend_names.resize(addition.addends.size());
  }
}

void RunStatistics::add_additions(const ClipResult& clip, const Pyramid& pyramid) {
  if (additions_.size() != pyramid.additions.size()) {
    throw std::logic_error("clip " + clip.clip_id + ": " +
                           std::to_string(pyramid.additions.size()) + " additions, the run has " +
                           std::to_string(additions_.size()));
  }
  for (std::size_t i = 0; i < additions_.size(); ++i) additions_[i].add(pyramid.additions[i]);
}

void RunStatistics::add_pyramid(const ClipResult& clip, const Pyramid& pyramid) {
  const int target = pyramid.target.class_index;
  if (target < 0 || target >= num_classes()) {
    throw std::logic_error("clip " + clip.clip_id + ": explains class " + std::to_string(target) +
                           " of " + std::to_string(num_classes()));
  }
  if (layers_.empty()) start(pyramid);
  if (layers_.size() != pyramid.layers.size()) {
    throw std::logic_error("clip " + clip.clip_id + ": " + std::to_string(pyramid.layers.size()) +
                           " layers, the run has " + std::to_string(layers_.size()));
  }
  LayerCounts all;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const PyramidLayer& layer = pyramid.layers[i];
    LayerStatistics& statistics = layers_[i];
    if (layer.name != statistics.name ||
        static_cast<std::int64_t>(layer.kernels.channels()) != statistics.kernels ||
        layer.kernels.found.size() > layer.kernels.channels()) {
      throw std::logic_error("clip " + clip.clip_id + ": layer " + layer.name + " with " +
                             std::to_string(layer.kernels.channels()) +
                             " kernels where the run has " + statistics.name + " with " +
                             std::to_string(statistics.kernels));
    }
    const LayerCounts counts(layer);
    all += counts;
    counts.add_to(statistics.counts);
    counts.add_to(statistics.counts_by_class[target]);
    statistics.kernel_totals.add(layer.kernels);
    statistics.channel_totals.add(layer.channels);
    add_flags(layer.kernels.found, statistics.found_by_class[target]);
    if (!layer.tube.values.empty()) {
      statistics.tube_maximum.add(layer.tube.maximum);
      if (layer.tube.constant()) ++statistics.constant_tubes;
    }
  }
  add_additions(clip, pyramid);
  ClassStatistics& of_target = classes_[static_cast<std::size_t>(target)];
  ++of_target.explained;
  of_target.target_value.add(pyramid.target.value);
  all.add_to(of_target.counts);
  all.add_to(counts_);
}

void RunStatistics::add_failure(const Failure& failure) {
  ++failed_;
  ++by_reason_[failure.reason];
  first_failures_.add(failure);
}

namespace {

void merge_class(ClassStatistics& into, const ClassStatistics& other) {
  into.labelled += other.labelled;
  into.top1 += other.top1;
  into.top5 += other.top5;
  into.predicted += other.predicted;
  into.predicted_labelled += other.predicted_labelled;
  into.explained += other.explained;
  into.counts.merge(other.counts);
  into.target_value.merge(other.target_value);
}

void merge_layer(LayerStatistics& into, const LayerStatistics& other) {
  if (into.name != other.name || into.kernels != other.kernels) {
    throw std::invalid_argument("cannot merge statistics of layer " + into.name + " (" +
                                std::to_string(into.kernels) + " kernels) with layer " +
                                other.name + " (" + std::to_string(other.kernels) + " kernels)");
  }
  into.counts.merge(other.counts);
  into.kernel_totals.merge(other.kernel_totals);
  into.channel_totals.merge(other.channel_totals);
  into.tube_maximum.merge(other.tube_maximum);
  into.constant_tubes += other.constant_tubes;
  for (const auto& [index, counts] : other.counts_by_class) {
    into.counts_by_class[index].merge(counts);
  }
  for (const auto& [index, found] : other.found_by_class) {
    std::vector<std::uint32_t>& sums = into.found_by_class[index];
    sums.resize(std::max(sums.size(), found.size()));
    for (std::size_t i = 0; i < found.size(); ++i) sums[i] += found[i];
  }
}

}  // namespace

void RunStatistics::merge(const RunStatistics& other) {
  if (!(info_ == other.info_)) {
    throw std::invalid_argument("cannot merge statistics of run " + info_.name + " with those of " +
                                other.info_.name + ": they differ in what was run");
  }
  const auto fits = [](std::size_t a, std::size_t b) { return a == 0 || b == 0 || a == b; };
  if (!fits(classes_.size(), other.classes_.size()) ||
      !fits(layers_.size(), other.layers_.size()) ||
      (!layers_.empty() && !other.layers_.empty() &&
       additions_.size() != other.additions_.size())) {
    throw std::invalid_argument("cannot merge statistics of run " + info_.name +
                                ": they differ in the number of classes, layers or additions");
  }
  if (classes_.empty()) classes_.resize(other.classes_.size());
  for (std::size_t i = 0; i < other.classes_.size(); ++i) {
    merge_class(classes_[i], other.classes_[i]);
  }
  if (layers_.empty()) {
    layers_ = other.layers_;
    additions_ = other.additions_;
  } else {
    for (std::size_t i = 0; i < other.layers_.size(); ++i) {
      merge_layer(layers_[i], other.layers_[i]);
    }
    for (std::size_t i = 0; i < other.additions_.size(); ++i) {
      additions_[i].merge(other.additions_[i]);
    }
  }
  done_ += other.done_;
  failed_ += other.failed_;
  labelled_ += other.labelled_;
  for (const auto& [reason, count] : other.by_reason_) by_reason_[reason] += count;
  for (const auto& [pair, count] : other.confusion_) confusion_[pair] += count;
  counts_.merge(other.counts_);
  decode_s_.merge(other.decode_s_);
  network_s_.merge(other.network_s_);
  pyramid_s_.merge(other.pyramid_s_);
  slowest_.merge(other.slowest_);
  confident_errors_.merge(other.confident_errors_);
  first_failures_.merge(other.first_failures_);
}

std::string RunStatistics::class_name(int index) const {
  const auto i = static_cast<std::size_t>(index);
  if (index >= 0 && i < info_.class_names.size()) return info_.class_names[i];
  return "class " + std::to_string(index);
}

std::int64_t RunStatistics::confusion(int label, int prediction) const {
  const auto found = confusion_.find({label, prediction});
  return found == confusion_.end() ? 0 : found->second;
}

std::optional<double> RunStatistics::top1() const {
  std::int64_t right = 0;
  for (const ClassStatistics& c : classes_) right += c.top1;
  return share(right, labelled_);
}

std::optional<double> RunStatistics::top5() const {
  std::int64_t right = 0;
  for (const ClassStatistics& c : classes_) right += c.top5;
  return share(right, labelled_);
}

std::optional<double> RunStatistics::mean_class_accuracy() const {
  Accumulator accuracies;
  for (const ClassStatistics& c : classes_) {
    if (const std::optional<double> accuracy = share(c.top1, c.labelled)) {
      accuracies.add(*accuracy);
    }
  }
  if (accuracies.empty()) return std::nullopt;
  return accuracies.mean();
}

std::vector<ClassOverlap> RunStatistics::overlaps(std::optional<std::size_t> layer) const {
  std::map<int, KernelSet> sets;
  std::size_t kernels = 0;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (layer ? *layer != i : layers_[i].depth == 1) continue;
    const auto size = static_cast<std::size_t>(layers_[i].kernels);
    for (const auto& [index, found] : layers_[i].found_by_class) {
      const std::int64_t explained = classes_[static_cast<std::size_t>(index)].explained;
      KernelSet& set = sets[index];
      set.resize((kernels + size + 63) / 64);
      for (std::size_t k = 0; k < found.size(); ++k) {
        const bool usual = found[k] > 0 && 2 * std::int64_t{found[k]} >= explained;
        if (usual) set[(kernels + k) / 64] |= std::uint64_t{1} << ((kernels + k) % 64);
      }
    }
    kernels += size;
  }
  std::vector<ClassOverlap> overlaps;
  for (auto a = sets.begin(); a != sets.end(); ++a) {
    const std::int64_t size_a = count_bits(a->second);
    for (auto b = std::next(a); b != sets.end(); ++b) {
      overlaps.push_back(
          {a->first, b->first, size_a, count_bits(b->second), count_shared(a->second, b->second)});
    }
  }
  return overlaps;
}

}  // namespace cfp
