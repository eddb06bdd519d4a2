// Numbers that are gathered one by one and merged in any order.
//
//   Accumulator times;
//   times.add(0.3);
//   times.merge(of_another_shard);
//   times.mean();
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace cfp {

/// Count, mean, spread and range of a stream of numbers, without keeping them.
///
/// Merging is exact in the count, minimum and maximum; mean and m2 agree with a single pass to
/// about 1e-15 relative, whatever the order.
class Accumulator {
 public:
  void add(double value) {
    ++count_;
    const double delta = value - mean_;
    mean_ += delta / static_cast<double>(count_);
    m2_ += delta * (value - mean_);
    minimum_ = std::min(minimum_, value);
    maximum_ = std::max(maximum_, value);
  }

  void merge(const Accumulator& other) {
    if (other.count_ == 0) return;
    const auto n = static_cast<double>(count_), m = static_cast<double>(other.count_);
    const double delta = other.mean_ - mean_;
    mean_ = (n * mean_ + m * other.mean_) / (n + m);
    m2_ += other.m2_ + delta * delta * n * m / (n + m);
    count_ += other.count_;
    minimum_ = std::min(minimum_, other.minimum_);
    maximum_ = std::max(maximum_, other.maximum_);
  }

  std::int64_t count() const { return count_; }
  bool empty() const { return count_ == 0; }
  /// Of no numbers all of these are 0; look at empty() first.
  double mean() const { return mean_; }
  double sum() const { return mean_ * static_cast<double>(count_); }
  double variance() const { return count_ > 1 ? m2_ / static_cast<double>(count_ - 1) : 0; }
  double deviation() const { return std::sqrt(variance()); }  ///< of a sample: divisor count - 1
  double minimum() const { return empty() ? 0 : minimum_; }
  double maximum() const { return empty() ? 0 : maximum_; }

 private:
  std::int64_t count_ = 0;
  double mean_ = 0, m2_ = 0;
  double minimum_ = std::numeric_limits<double>::infinity();
  double maximum_ = -std::numeric_limits<double>::infinity();
};

/// The k items that come first by `Before`, a strict total order, so that merging in any order
/// gives the same items.
template <class T, class Before>
class TopK {
 public:
  explicit TopK(std::size_t k, Before before = {}) : k_(k), before_(before) {}

  void add(T item) {
    if (items_.size() == k_ && (k_ == 0 || !before_(item, items_.back()))) return;
    items_.insert(std::upper_bound(items_.begin(), items_.end(), item, before_), std::move(item));
    if (items_.size() > k_) items_.pop_back();
  }
  void merge(const TopK& other) {
    for (const T& item : other.items_) add(item);
  }

  /// In order, the first one first.
  const std::vector<T>& items() const { return items_; }

 private:
  std::size_t k_;
  Before before_;
  std::vector<T> items_;
};

}  // namespace cfp
