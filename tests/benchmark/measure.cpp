#include "tests/benchmark/measure.h"

#include <algorithm>
#include <ctime>

#include "stages/network/builders.h"
#include "stages/network/random_weights.h"

namespace cfp::benchmark {

double now_ms(const Settings& settings) {
  timespec now{};
  clock_gettime(settings.cpu_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

double Turns::time(std::size_t i) const {
  std::vector<double> column;
  for (const auto& turn : times) column.push_back(turn[i]);
  return median(column);
}

double Turns::ratio(std::size_t i, std::size_t to) const {
  std::vector<double> column;
  for (const auto& turn : times) column.push_back(turn[i] / turn[to]);
  return median(column);
}

Subject make_subject(const std::string& architecture, const Settings& settings) {
  const ArchitectureDefaults defaults = architecture_defaults(architecture);
  Subject subject{std::make_shared<Network>(), defaults.input_size,
                  preprocess_preset(defaults.preset)};
  if (settings.full_size) subject.size = {16, 224, 224};
  subject.network->architecture = architecture;
  subject.network->graph = build_architecture(architecture, {}, subject.size);
  subject.network->weights = formula_weights(subject.network->graph, 1);
  return subject;
}

Clip make_clip(const Triple& size) {
  Clip clip;
  clip.frames = {.length = size[0], .height = size[1], .width = size[2]};
  const std::vector<float> values = formula_input(size, 1);
  const std::size_t positions = values.size() / 3;
  clip.frames.rgb_thwc.resize(values.size());
  for (std::size_t p = 0; p < positions; ++p) {
    for (std::size_t c = 0; c < 3; ++c) {
      clip.frames.rgb_thwc[3 * p + c] =
          static_cast<std::uint8_t>((values[c * positions + p] + 1) * 127);
    }
  }
  clip.request.label = 5;
  return clip;
}

}  // namespace cfp::benchmark
