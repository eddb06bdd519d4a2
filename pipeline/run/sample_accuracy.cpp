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
  std::string_view architecture, preset;
  int num_classes;
  std::string_view dataset;
  double top1;
  std::string_view source;
};

constexpr std::string_view kHara =
    "Hara et al. 2018, arXiv 1711.09577, all 16-frame windows of a video";
constexpr std::string_view kMfnet = "Chen et al. 2018, arXiv 1807.11195, many crops of a video";
constexpr std::string_view kDemo = "configs/demo, 500 held-out clips";
constexpr std::string_view kI3d400 =
    "Carreira and Zisserman 2017, arXiv 1705.07750, RGB, whole videos";
constexpr std::string_view kI3d600 = "Carreira et al. 2018, arXiv 1808.01340, RGB, whole videos";
constexpr std::array<PublishedRow, 15> kPublished{{
    {"resnet50_3d", "demo", 10, "moving_shapes", 99.2, kDemo},
    {"resnext101_3d", "demo", 10, "moving_shapes", 99.2, kDemo},
    {"mfnet3d", "demo", 10, "moving_shapes", 99.6, kDemo},
    {"i3d", "demo", 10, "moving_shapes", 99.8, kDemo},
    {"resnet50_3d", "kenshohara2018", 400, "kinetics400", 61.3, kHara},
    {"resnet101_3d", "kenshohara2018", 400, "kinetics400", 62.8, kHara},
    {"resnet152_3d", "kenshohara2018", 400, "kinetics400", 63.0, kHara},
    {"resnext101_3d", "kenshohara2018", 400, "kinetics400", 65.1, kHara},
    {"resnext101_3d", "kenshohara2018", 101, "ucf101", 90.7, kHara},
    {"resnext101_3d", "kenshohara2018", 51, "hmdb51", 63.8, kHara},
    {"mfnet3d", "mfnet", 400, "kinetics400", 72.8, kMfnet},
    {"mfnet3d", "mfnet", 101, "ucf101", 96.0, kMfnet},
    {"mfnet3d", "mfnet", 51, "hmdb51", 74.6, kMfnet},
    {"i3d", "i3d", 400, "kinetics400", 71.1, kI3d400},
    {"i3d", "i3d", 600, "kinetics600", 71.9, kI3d600},
}};

/// How far one clip of a video may lie below all clips of it, in points, with nothing wrong.
constexpr double kOneClipCosts = 15;

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

/// The accuracy, in percent, below which a network does little better than to guess: three times
/// chance, but at least 10 %, and with few classes no more than a fifth of the way from chance to
/// all.
double little_better_than_chance(int num_classes) {
  constexpr double kLeast = 10;
  const double chance = 100.0 / num_classes;
  return std::min(std::max(3 * chance, kLeast), chance + (100 - chance) / 5);
}

constexpr std::string_view kUsualCauses =
    " The usual causes:\n"
    "  - the order of classes: network.class_names is not that of this checkpoint\n"
    "  - the preset: values 0..255, 0..1 or -1..1, mean and deviation, are of another family\n"
    "  - the colours: clips go in as R, G, B; the network was trained with B, G, R\n"
    "  - the size: frames are resized or cropped in another way than in training\n"
    "  - sampling: another clip_len or frame_interval than the network was trained with\n"
    "  - the checkpoint is of another data set, split or number of classes\n"
    "  - the clips are not those of the data set: re-encoded, cropped, other frame rate\n";

/// What is published, and under which conditions that can be compared.
std::string published_line(const AccuracyKey& key, const PublishedAccuracy& published) {
  std::string text =
      fmt::format("published   top-1 {:.1f} % on {} ({}); one clip of a video gives less\n",
                  published.top1, published.dataset, published.source);
  if (published.preset != key.preset) {
    text += fmt::format("note        the figure is of preset {}; the preset in use is {}\n",
                        published.preset, key.preset);
  }
  if (key.dataset.empty()) {
    text +=
        fmt::format("note        nothing says whether these clips are of {}\n", published.dataset);
  }
  return text;
}

}  // namespace

AccuracyKey accuracy_key(const Prepared& prepared) {
  return {.architecture = prepared.network->architecture,
          .num_classes = prepared.network->num_classes(),
          .preset = prepared.preprocess.preset,
          .dataset = prepared.manifest->dataset};
}

std::optional<PublishedAccuracy> published_accuracy(const AccuracyKey& key) {
  const PublishedRow* found = nullptr;
  for (const PublishedRow& row : kPublished) {
    if (row.architecture != key.architecture || row.num_classes != key.num_classes) continue;
    // Of clips that may be of anything, a network is told by how it was trained.
    if (key.dataset.empty() ? row.preset != key.preset : row.dataset != key.dataset) continue;
    if (found == nullptr || row.preset == key.preset) found = &row;
  }
  if (found == nullptr) return std::nullopt;
  return PublishedAccuracy{.top1 = found->top1,
                           .source = std::string(found->source),
                           .dataset = std::string(found->dataset),
                           .preset = std::string(found->preset)};
}

std::vector<ClipRequest> sample_rows(const std::vector<ClipRequest>& rows, const MediaCheck* check,
                                     std::int64_t clips) {
  std::vector<std::pair<std::uint64_t, const ClipRequest*>> order;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool is_bad = rows[i].problem || (check != nullptr && check->rows.at(i).problem);
    if (!rows[i].label || is_bad) continue;
    order.emplace_back(FormulaStream(0, rows[i].clip_id).bits(0), &rows[i]);
  }
  if (order.empty()) {
    throw ConfigError("--sample: no clip of the data set has both a good file and a label");
  }
  std::ranges::sort(order);
  order.resize(std::min(order.size(), static_cast<std::size_t>(clips)));
  std::vector<ClipRequest> sample;
  for (const auto& [hash, row] : order) sample.push_back(*row);
  return sample;
}

SampleAccuracy sample_accuracy(const Prepared& prepared, const MediaCheck* check,
                               std::int64_t clips) {
  const std::vector<ClipRequest> rows = sample_rows(prepared.labels->rows, check, clips);
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

std::string describe(const SampleAccuracy& sample, const AccuracyKey& key,
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
  text += published ? published_line(key, *published)
                    : "published   no figure is published here for this network and data set\n";
  const double at_most = upper_percent(sample.top1, sample.clips);
  if (published && at_most < published->top1 - kOneClipCosts) {
    return text + "WARNING     the sample is far below it." + std::string(kUsualCauses);
  }
  if (at_most >= little_better_than_chance(key.num_classes)) return text;
  return text +
         fmt::format(
             "WARNING     the network does little better than to guess: of {} classes one in "
             "{} is right by chance.{}",
             key.num_classes, key.num_classes, kUsualCauses);
}

}  // namespace cfp
