#include "pipeline/run/sample_accuracy.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "pipeline/run/device_pool.h"
#include "pipeline/run/replicas.h"
#include "stages/core/formula.h"
#include "stages/core/softmax.h"
#include "stages/decode/clip_decoder.h"

namespace cfp {
namespace {

struct PublishedRow {
  std::string_view architecture, dataset;
  double top1;
  std::string_view source;
};

constexpr std::string_view kHara =
    "Hara et al. 2018, arXiv 1711.09577, all 16-frame windows of a video";
constexpr std::string_view kMfnet = "Chen et al. 2018, arXiv 1807.11195, many crops of a video";
constexpr std::string_view kDemo = "configs/demo, 500 held-out clips";
constexpr std::array<PublishedRow, 15> kPublished{{
    {"resnet50_3d", "moving_shapes", 99.2, kDemo},
    {"resnext101_3d", "moving_shapes", 99.2, kDemo},
    {"mfnet3d", "moving_shapes", 99.6, kDemo},
    {"i3d", "moving_shapes", 99.8, kDemo},
    {"resnet50_3d", "kinetics400", 61.3, kHara},
    {"resnet101_3d", "kinetics400", 62.8, kHara},
    {"resnet152_3d", "kinetics400", 63.0, kHara},
    {"resnext101_3d", "kinetics400", 65.1, kHara},
    {"resnext101_3d", "ucf101", 90.7, kHara},
    {"resnext101_3d", "hmdb51", 63.8, kHara},
    {"mfnet3d", "kinetics400", 72.8, kMfnet},
    {"mfnet3d", "ucf101", 96.0, kMfnet},
    {"mfnet3d", "hmdb51", 74.6, kMfnet},
    {"i3d", "kinetics400", 71.1,
     "Carreira and Zisserman 2017, arXiv 1705.07750, RGB, whole videos"},
    {"i3d", "kinetics600", 71.9, "Carreira et al. 2018, arXiv 1808.01340, RGB, whole videos"},
}};

/// How far one clip of a video may lie below all clips of it, in points, with nothing wrong.
constexpr double kOneClipCosts = 15;

/// Rows with a label and without a known problem, in an order that a hash of the clip decides.
std::vector<ClipRequest> labelled_rows(const Prepared& prepared, std::int64_t clips) {
  std::vector<std::pair<std::uint64_t, const ClipRequest*>> order;
  for (const ClipRequest& row : prepared.labels->rows) {
    if (!row.label || row.problem) continue;
    order.emplace_back(FormulaStream(0, row.clip_id).bits(0), &row);
  }
  if (order.empty()) {
    throw ConfigError("--sample: no clip of the data set has both a file and a label");
  }
  std::ranges::sort(order);
  order.resize(std::min(order.size(), static_cast<std::size_t>(clips)));
  std::vector<ClipRequest> rows;
  for (const auto& [hash, row] : order) rows.push_back(*row);
  return rows;
}

/// As little explaining as there can be.
const ExplainOptions kPredictionAlone{.method = "response",
                                      .target = TargetKind::kPrediction,
                                      .depth = 1,
                                      .edges = false,
                                      .tubes = TubeKind::kNone};

/// Upper end of the 95 % interval of a share (Wilson), in percent.
double upper_percent(std::int64_t successes, std::int64_t trials) {
  constexpr double kZ = 1.96;
  const auto n = static_cast<double>(trials);
  const double p = static_cast<double>(successes) / n;
  const double centre = p + kZ * kZ / (2 * n);
  const double half = kZ * std::sqrt(p * (1 - p) / n + kZ * kZ / (4 * n * n));
  return 100 * (centre + half) / (1 + kZ * kZ / n);
}

}  // namespace

std::optional<PublishedAccuracy> published_accuracy(const std::string& architecture,
                                                    const std::string& dataset_type) {
  for (const PublishedRow& row : kPublished) {
    if (row.architecture == architecture && row.dataset == dataset_type) {
      return PublishedAccuracy{row.top1, std::string(row.source)};
    }
  }
  return std::nullopt;
}

SampleAccuracy sample_accuracy(const Prepared& prepared, std::int64_t clips) {
  const std::vector<ClipRequest> rows = labelled_rows(prepared, clips);
  const RuntimeOptions& runtime = prepared.config.runtime;
  const ClipDecoder decoder(prepared.config.sampling, prepared.preprocess,
                            {.time_limit_s = runtime.clip_timeout_s});
  DevicePool pool(device_workers(prepared, {kPredictionAlone}, devices_of(runtime)),
                  pool_options(runtime, [](const DeviceNotice& notice) {
                    fmt::print(stderr, "cfp: warning: {}\n", describe(notice));
                  }));
  SampleAccuracy sample;
  const auto count = [&](const RowOutcome& row) {
    if (row.failure) {
      ++sample.failed;
      return true;
    }
    std::vector<std::vector<float>> views;
    for (const ClipResult& result : row.results) views.push_back(result.logits);
    const std::vector<float> logits = mean_logits(views);
    const auto label = static_cast<std::size_t>(row.results.front().label);
    const auto larger =
        std::ranges::count_if(logits, [&](float other) { return other > logits.at(label); });
    ++sample.clips;
    if (larger == 0) ++sample.top1;
    if (larger < 5) ++sample.top5;
    return true;
  };
  run_batches(rows, pipeline_options(runtime), decoder, pool, count, [] { return false; });
  return sample;
}

std::string describe(const SampleAccuracy& sample,
                     const std::optional<PublishedAccuracy>& published) {
  if (sample.clips == 0) {
    return fmt::format("sample      none of {} labelled clips could be read\n", sample.failed);
  }
  const auto percent = [&](std::int64_t of) {
    return 100 * static_cast<double>(of) / static_cast<double>(sample.clips);
  };
  std::string text =
      fmt::format("sample      {} labelled clips: top-1 {:.1f} %, top-5 {:.1f} %{}\n", sample.clips,
                  percent(sample.top1), percent(sample.top5),
                  sample.failed > 0 ? fmt::format(", {} more failed", sample.failed) : "");
  if (!published) return text + "published   no figure is known for this network and data set\n";
  text += fmt::format("published   top-1 {:.1f} % ({}); one clip of a video gives less\n",
                      published->top1, published->source);
  if (upper_percent(sample.top1, sample.clips) >= published->top1 - kOneClipCosts) return text;
  return text +
         "WARNING     the sample is far below it. The usual causes:\n"
         "  - the order of classes: network.class_names is not that of this checkpoint\n"
         "  - the preset: values 0..255, 0..1 or -1..1, mean and deviation, are of another family\n"
         "  - sampling: another clip_len or frame_interval than the network was trained with\n"
         "  - the checkpoint is of another data set, split or number of classes\n"
         "  - the clips are not those of the data set: re-encoded, cropped, other frame rate\n";
}

}  // namespace cfp
