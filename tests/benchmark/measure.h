// What all measurements share: clocks, turns and subjects.
#pragma once

#include <memory>
#include <vector>

#include "stages/core/clip.h"
#include "stages/core/preprocess.h"
#include "stages/network/network.h"
#include "tests/benchmark/explain_benchmark.h"

namespace cfp::benchmark {

/// @return milliseconds of the clock that the settings ask for
double now_ms(const Settings& settings);

template <class F>
double milliseconds(const Settings& settings, F&& work) {
  const double start = now_ms(settings);
  work();
  return now_ms(settings) - start;
}

double median(std::vector<double> values);

/// Medians of times taken in turn, and the median of their ratios to one of them.
struct Turns {
  std::vector<std::vector<double>> times;  ///< by turn, by what was measured
  void add(std::vector<double> turn) { times.push_back(std::move(turn)); }
  double time(std::size_t i) const;
  double ratio(std::size_t i, std::size_t to) const;
};

/// An architecture with weights from a formula, at the size that is measured.
struct Subject {
  std::shared_ptr<Network> network;
  Triple size;
  PreprocessOptions preprocess;
};

Subject make_subject(const std::string& architecture, const Settings& settings);

/// A clip of that size from a formula, labelled 5.
Clip make_clip(const Triple& size);

}  // namespace cfp::benchmark
