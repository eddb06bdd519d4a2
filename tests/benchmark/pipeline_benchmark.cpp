// Note [The bound of a pipeline]
// Each stage is run alone over all clips by one thread, with nothing beside it that would take
// caches and memory from it: that is what a clip costs in it at the least, in seconds of a core.
// Cores / (sum of these) are the clips a second that the stages allow when no core ever waits. A
// whole run is measured with everything in it, from the start of the replicas, which no stage
// counts, to the page; but for the loading of the network, which in Python has happened before,
// too.
#include "tests/benchmark/pipeline_benchmark.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipeline/run/device_pool.h"
#include "pipeline/run/replicas.h"
#include "pipeline/run/run.h"
#include "pipeline/run/run_outputs.h"
#include "stages/decode/clip_decoder.h"
#include "stages/network/builders.h"
#include "tests/benchmark/eager_python.h"
#include "tests/benchmark/measure.h"
#include "tests/support/test_data.h"

namespace cfp::benchmark {
namespace {

namespace fs = std::filesystem;

constexpr int kFrameInterval = 2;
constexpr int kThresholds = 10;

/// Seconds of a core a clip.
struct Stages {
  double decode_s = 0, explain_s = 0, write_s = 0;
  double sum() const { return decode_s + explain_s + write_s; }
};

class Measurement {
 public:
  Measurement(std::string network, const PipelineSettings& settings)
      : network_(std::move(network)), settings_(settings) {
    copy_clips();
    loading_s_ = seconds([&] { prepared_.emplace(prepare(config("stages"))); });
  }

  void sweep() {
    Turns turns;
    for (int i = 0; i < settings_.runs; ++i) {
      const double one = sweep_run(1);
      const double many = sweep_run(kThresholds);
      turns.add({one, many});
    }
    fmt::print("{:14} {:9.2f} {:9.2f} {:9.3f}\n", network_, turns.time(0), turns.time(1),
               turns.ratio(1, 0));
    std::fflush(stdout);
  }

  void run() {
    start_python();
    Turns turns;
    for (int i = 0; i < settings_.runs; ++i) {
      const Stages stages = measure_stages();
      std::vector<double> turn = {stages.decode_s, stages.explain_s, stages.write_s};
      const double rows = settings_.rows;
      turn.push_back(cores_ / stages.sum());
      turn.push_back(rows / whole_run());
      turn.push_back(python_ ? rows / (python_->pipeline() / 1000) : 0);
      turns.add(turn);
    }
    fmt::print("{:14} {:9.1f} {:9.1f} {:9.1f} {:9.2f} {:9.2f} {:9.3f}", network_,
               1000 * turns.time(0), 1000 * turns.time(1), 1000 * turns.time(2), turns.time(3),
               turns.time(4), turns.ratio(4, 3));
    if (python_) fmt::print(" {:9.2f} {:9.2f}", turns.time(5), turns.ratio(4, 5));
    fmt::print("\n");
    std::fflush(stdout);
  }

 private:
  void start_python() {
    if (settings_.python.empty()) return;
    python_ = std::make_unique<EagerPython>(
        settings_.python, prepared_->network->graph,
        clip_size(prepared_->config.sampling, prepared_->preprocess).value(),
        EagerOptions{.threads = cores_,
                     .clips = PythonClips{.files = files_,
                                          .preprocess = prepared_->preprocess,
                                          .frame_interval = kFrameInterval,
                                          .batch_size = settings_.batch_size,
                                          .workers = cores_}});
  }

  void copy_clips() {
    std::ofstream list(folder_ / "list.csv");
    list << "path,label\n";
    for (int row = 0; row < settings_.rows; ++row) {
      const fs::path& clip =
          settings_.clips[static_cast<std::size_t>(row) % settings_.clips.size()];
      const fs::path copy = folder_ / fmt::format("{:06}{}", row, clip.extension().string());
      fs::copy_file(clip, copy);
      files_.push_back(copy.string());
      list << copy.string() << ',' << row % 400 << '\n';
    }
  }

  ResolvedConfig config(const std::string& work_dir,
                        std::vector<std::string> overrides = {}) const {
    overrides.insert(overrides.begin(), settings_.overrides.begin(), settings_.overrides.end());
    const ArchitectureDefaults defaults = architecture_defaults(network_);
    const std::vector<std::string> devices(static_cast<std::size_t>(cores_), "cpu");
    const std::string text = fmt::format(
        "dataset: {{type: list, file: '{}', max_failures: 0}}\n"
        "sampling: {{clip_len: {}, frame_interval: {}}}\n"
        "preprocess: {{preset: {}}}\n"
        "network: {{type: {}, checkpoint: random, num_classes: 400}}\n"
        "runtime: {{devices: [{}], threads_per_device: 1, batch_size: {}}}\n"
        "output: {{work_dir: '{}', overwrite: true}}\n",
        (folder_ / "list.csv").string(), defaults.input_size[0], kFrameInterval, defaults.preset,
        network_, fmt::join(devices, ", "), settings_.batch_size, (folder_ / work_dir).string());
    return resolve_config(load_config_text(text, "benchmark", overrides));
  }

  Stages measure_stages() {
    Stages stages;
    std::vector<Clip> clips = decode(stages);
    std::vector<RowExplanation> explained = explain(clips, stages);
    write(clips, explained, stages);
    return stages;
  }

  double per_clip(double seconds) const { return seconds / settings_.rows; }

  std::vector<Clip> decode(Stages& stages) {
    const ClipDecoder decoder(prepared_->config.sampling, prepared_->preprocess);
    const std::vector<ClipRequest>& rows = prepared_->labels->rows;
    std::vector<Clip> clips(rows.size());
    stages.decode_s = per_clip(seconds([&] {
      for (std::size_t i = 0; i < rows.size(); ++i) clips[i] = decoder(rows[i]).at(0);
    }));
    return clips;
  }

  std::vector<RowExplanation> explain(const std::vector<Clip>& clips, Stages& stages) {
    const RuntimeOptions& runtime = prepared_->config.runtime;
    DevicePool pool(device_workers(*prepared_, {prepared_->config.explain}, {"cpu"}),
                    pool_options(runtime, [](const DeviceNotice& notice) {
                      throw std::runtime_error(describe(notice));
                    }));
    std::vector<ClipBatch> batches;
    const auto size = static_cast<std::size_t>(settings_.batch_size);
    for (std::size_t first = 0; first < clips.size(); first += size) {
      const auto begin = clips.begin() + static_cast<std::ptrdiff_t>(first);
      const auto count = static_cast<std::ptrdiff_t>(std::min(size, clips.size() - first));
      batches.push_back(std::make_shared<const std::vector<Clip>>(begin, begin + count));
    }
    std::vector<RowExplanation> explained;
    const double took = seconds([&] {
      std::vector<std::future<Outcomes>> outcomes;
      for (const ClipBatch& batch : batches) outcomes.push_back(pool.submit(batch));
      for (auto& each : outcomes) std::ranges::move(each.get(), std::back_inserter(explained));
    });
    stages.explain_s = per_clip(took);
    return explained;
  }

  void write(const std::vector<Clip>& clips, std::vector<RowExplanation>& explained,
             Stages& stages) {
    const fs::path path = folder_ / "stages";
    fs::remove_all(path);
    const WorkDir folder(path);
    const double took = seconds([&] {
      RunOutputs outputs(*prepared_, {.command = "cfp_benchmark"}, folder);
      const std::vector<ClipRequest>& rows = prepared_->labels->rows;
      outputs.begin();
      for (std::size_t i = 0; i < rows.size(); ++i) {
        RowOutcome row{.request = &rows[i],
                       .results = std::get<std::vector<ClipResult>>(std::move(explained[i])),
                       .clips = std::span(&clips[i], 1)};
        outputs.add(row);
      }
      outputs.finish_part();
      outputs.finish_tables();
    });
    stages.write_s = per_clip(took);
  }

  double whole_run() {
    std::vector<RunPoint> points;
    points.push_back({config("whole")});
    return seconds_of(std::move(points));
  }

  /// @return seconds of all thresholds together
  double sweep_run(int thresholds) {
    std::vector<RunPoint> points;
    for (int i = 0; i < thresholds; ++i) {
      points.push_back({config(fmt::format("point{}", i),
                               {fmt::format("explain.threshold={}", 0.05 + 0.09 * i)})});
    }
    return seconds_of(std::move(points));
  }

  double seconds_of(std::vector<RunPoint> points) const {
    const double all = seconds([&] {
      for (const RunSummary& summary :
           run_together(std::move(points), {.command = "cfp_benchmark", .show_progress = false})) {
        if (summary.end.done == settings_.rows) continue;
        throw std::runtime_error(fmt::format("{} of {} clips", summary.end.done, settings_.rows));
      }
    });
    return all - loading_s_;
  }

  template <class F>
  static double seconds(F&& work) {
    return milliseconds({}, std::forward<F>(work)) / 1000;
  }

  const std::string network_;
  const PipelineSettings& settings_;
  const int cores_ = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const test::TemporaryFolder folder_;
  std::vector<std::string> files_;
  std::optional<Prepared> prepared_;
  double loading_s_ = 0;
  std::unique_ptr<EagerPython> python_;
};

}  // namespace

void pipeline(const PipelineSettings& settings) {
  if (settings.clips.empty()) throw std::runtime_error("--clips: names no video");
  fmt::print(
      "Core-milliseconds a clip of each stage alone; clips a second that they allow, of a whole "
      "run,\n"
      "and their ratio; clips a second in Python (DataLoader, OpenCV, eager PyTorch, no\n"
      "explanation), and how many times as many a whole run does. {} clips, medians of {}\n",
      settings.rows, settings.runs);
  fmt::print("{:14} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "network", "decode",
             "explain", "write", "bound/s", "run/s", "of bound", "Python/s", "times");
  for (const std::string& name : settings.networks) Measurement(name, settings).run();
}

void sweep(const PipelineSettings& settings) {
  fmt::print("Seconds of {} clips with one threshold and with {}, and their ratio; medians of {}\n",
             settings.rows, kThresholds, settings.runs);
  for (const std::string& name : settings.networks) Measurement(name, settings).sweep();
}

}  // namespace cfp::benchmark
