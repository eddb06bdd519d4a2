// How much the skipping decoder saves against decoding everything up to the last wanted frame.
//
//   build/release/bin/cfp_benchmark_decode [file [file…]]
//
// Both sides open the file, use one thread, and convert the 16 wanted frames to RGB. They take
// turns, so that what else the machine does meets both alike; the ratio is that of the medians of
// processor time. Ends with 1 if the frames differ in a byte.
#include <algorithm>
#include <cstdio>
#include <map>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "stages/decode/frame_converter.h"
#include "stages/decode/video_decoder.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

constexpr int kWanted = 16;
using FrameBytes = std::vector<std::uint8_t>;

/// libav as its own example shows it: decode each packet in turn, keep what is wanted.
std::vector<FrameBytes> sequential(const std::string& path,
                                   const std::vector<std::int64_t>& wanted) {
  AVFormatContext* raw_format = nullptr;
  if (avformat_open_input(&raw_format, path.c_str(), nullptr, nullptr) < 0) return {};
  const AvInputPtr format(raw_format);
  avformat_find_stream_info(format.get(), nullptr);
  const AVCodec* codec = nullptr;
  const int stream = av_find_best_stream(format.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
  const AvCodecContextPtr decoder(avcodec_alloc_context3(codec));
  avcodec_parameters_to_context(decoder.get(), format->streams[stream]->codecpar);
  decoder->thread_count = 1;
  avcodec_open2(decoder.get(), codec, nullptr);
  const AvPacketPtr packet(av_packet_alloc());
  const AvFramePtr frame(av_frame_alloc());
  FrameConverter converter({}, path);
  std::vector<FrameBytes> frames;
  std::int64_t count = 0;
  bool at_end = false;
  while (!at_end && frames.size() < wanted.size()) {
    at_end = av_read_frame(format.get(), packet.get()) < 0;
    if (!at_end && packet->stream_index != stream) {
      av_packet_unref(packet.get());
      continue;
    }
    avcodec_send_packet(decoder.get(), at_end ? nullptr : packet.get());
    av_packet_unref(packet.get());
    while (avcodec_receive_frame(decoder.get(), frame.get()) == 0) {
      if (frames.size() < wanted.size() && count++ == wanted[frames.size()]) {
        frames.push_back(converter.convert(*frame).rgb_thwc);
      }
    }
  }
  return frames;
}

std::vector<FrameBytes> skipping(const std::string& path, const std::vector<std::int64_t>& wanted) {
  VideoDecoder video({.path = path});
  std::map<std::int64_t, FrameBytes> by_index;
  video.decode(wanted,
               [&](std::int64_t index, const Frames& frame) { by_index[index] = frame.rgb_thwc; });
  std::vector<FrameBytes> frames;
  for (auto& [index, bytes] : by_index) frames.push_back(std::move(bytes));
  return frames;
}

/// Collects processor times a name and says the ratio of each pair at the end.
class RatioReporter : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type == Run::RT_Iteration) {
        times_[run.run_name.function_name].push_back(run.GetAdjustedCPUTime());
      }
    }
    ConsoleReporter::ReportRuns(runs);
  }

  void print_ratios(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      fmt::print("{}: skipping / sequential = {:.3f}\n", name,
                 median(times_["skipping/" + name]) / median(times_["sequential/" + name]));
    }
  }

 private:
  static double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::ranges::nth_element(values,
                             values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
    return values[values.size() / 2];
  }
  std::map<std::string, std::vector<double>> times_;
};

/// Registers both ways for a file and a choice of frames.
/// @return whether they give the same bytes
bool add_pair(const std::string& name, const std::string& path,
              const std::vector<std::int64_t>& wanted) {
  for (const auto& [way, decode] :
       {std::pair{"sequential/", &sequential}, {"skipping/", &skipping}}) {
    benchmark::RegisterBenchmark((way + name).c_str(),
                                 [=, decode = decode](benchmark::State& state) {
                                   for (auto _ : state)
                                     benchmark::DoNotOptimize(decode(path, wanted));
                                 })
        ->Unit(benchmark::kMillisecond)
        ->Repetitions(9)
        ->Iterations(1);
  }
  const bool is_equal = sequential(path, wanted) == skipping(path, wanted);
  fmt::print("{}: frames are {}\n", name, is_equal ? "byte-identical" : "DIFFERENT");
  return is_equal;
}

int run(std::vector<std::string> paths) {
  capture_ffmpeg_log();
  const auto clips = test::test_data() / "clips";
  if (paths.empty()) paths = {clips / "arm_wrestling.mp4", clips / "flipping_a_pancake.mkv"};
  bool are_equal = true;
  std::vector<std::string> names;
  for (const std::string& path : paths) {
    const std::int64_t count = probe(path).frame_count;
    std::vector<std::int64_t> spread, central;
    for (std::int64_t i = 0; i < std::min<std::int64_t>(kWanted, count); ++i) {
      spread.push_back((2 * i + 1) * count / (2 * kWanted));
      central.push_back(std::max<std::int64_t>(0, (count - kWanted) / 2) + i);
    }
    spread.erase(std::unique(spread.begin(), spread.end()), spread.end());
    const std::string file = std::filesystem::path(path).filename();
    for (const auto& [choice, wanted] : {std::pair{"spread", spread}, {"central", central}}) {
      names.push_back(file + "/" + choice);
      are_equal = add_pair(names.back(), path, wanted) && are_equal;
    }
  }
  RatioReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  reporter.print_ratios(names);
  return are_equal ? 0 : 1;
}

}  // namespace
}  // namespace cfp

int main(int argc, char** argv) {
  std::vector<char*> arguments(argv, argv + argc);
  std::string interleave = "--benchmark_enable_random_interleaving=true";
  arguments.insert(arguments.begin() + 1, interleave.data());
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  return cfp::run({arguments.begin() + 1, arguments.begin() + count});
}
