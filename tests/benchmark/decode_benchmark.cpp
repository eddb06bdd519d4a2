// How much the skipping decoder saves against decoding everything up to the last wanted frame.
//
//   build/release/bin/cfp_benchmark_decode [file [file…]]
//
// Both sides open the file, use one thread, and convert the 16 wanted frames to RGB. They take
// turns, so that what else the machine does meets both alike; `ratio` is the median of the ratios
// of processor time. Ends with 1 if the frames differ in a byte.
//
// Besides, on generated files: neighbouring segments of a long video, each from a fresh file or all
// from one that stays open; and the time to look at the header of a small file.
#include <algorithm>
#include <ctime>
#include <map>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "stages/decode/frame_converter.h"
#include "stages/decode/open_videos.h"
#include "stages/decode/probe.h"
#include "stages/decode/video_decoder.h"
#include "tests/support/synthetic_video.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

constexpr int kWanted = 16;
constexpr int kPairs = 15;
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

double processor_ms() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

/// Registers the comparison of both ways for a file and a choice of frames.
/// @return whether they give the same bytes
bool add_pair(const std::string& name, const std::string& path,
              const std::vector<std::int64_t>& wanted) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [=](benchmark::State& state) {
                                 std::vector<double> sequential_ms, skipping_ms, ratios;
                                 for (auto _ : state) {
                                   const double start = processor_ms();
                                   benchmark::DoNotOptimize(sequential(path, wanted));
                                   const double middle = processor_ms();
                                   benchmark::DoNotOptimize(skipping(path, wanted));
                                   const double end = processor_ms();
                                   sequential_ms.push_back(middle - start);
                                   skipping_ms.push_back(end - middle);
                                   ratios.push_back((end - middle) / (middle - start));
                                 }
                                 state.counters["sequential_ms"] = median(sequential_ms);
                                 state.counters["skipping_ms"] = median(skipping_ms);
                                 state.counters["ratio"] = median(ratios);
                               })
      ->Unit(benchmark::kMillisecond)
      ->Iterations(kPairs);
  const bool is_equal = sequential(path, wanted) == skipping(path, wanted);
  fmt::print("{}: frames are {}\n", name, is_equal ? "byte-identical" : "DIFFERENT");
  return is_equal;
}

/// Prints how much neighbouring segments of a long video gain from a file that stays open.
/// @return whether the frames are the same
bool compare_neighbours() {
  constexpr int kMinutes = 20;
  constexpr int kSegments = 40;
  if (!test::has_encoder("libx264")) return true;
  const test::TemporaryFolder folder;
  const std::string path = folder / "long.mp4";
  test::write_media(path, {{.frames = kMinutes * 60 * 60,
                            .encoder = "libx264",
                            .pixel_format = "yuv420p",
                            .options = "preset=ultrafast",
                            .gop = 60,
                            .b_frames = 2,
                            .ticks_per_s = 60}});
  const DecodeLimits in_parts{.whole_file_bytes = 0};
  const auto decode_all = [&](OpenVideos* open) {
    std::vector<FrameBytes> frames;
    for (int i = 0; i < kSegments; ++i) {
      const double start_s = 600 + 2 * i;
      VideoDecoder video({path, start_s, start_s + 2}, in_parts, FrameList::kFromPackets, open);
      video.decode(std::vector<std::int64_t>{0, 30, 60},
                   [&](std::int64_t, const Frames& frame) { frames.push_back(frame.rgb_thwc); });
    }
    return frames;
  };
  const double start = processor_ms();
  const auto fresh = decode_all(nullptr);
  const double middle = processor_ms();
  OpenVideos open;
  const auto kept = decode_all(&open);
  const double end = processor_ms();
  fmt::print(
      "{} neighbouring segments of {} minutes at 60 a second: {:.0f} ms opening each, {:.0f} ms "
      "from an open file, ratio {:.2f}; frames are {}\n",
      kSegments, kMinutes, middle - start, end - middle, (end - middle) / (middle - start),
      fresh == kept ? "byte-identical" : "DIFFERENT");
  return fresh == kept;
}

void time_headers() {
  constexpr int kFiles = 10'000;
  const test::TemporaryFolder folder;
  const std::string path = folder / "small.mp4";
  test::write_media(path, {{.width = 320,
                            .height = 240,
                            .frames = 250,
                            .encoder = "mpeg4",
                            .pixel_format = "yuv420p"}});
  std::vector<std::string> copies;
  for (int i = 0; i < kFiles; ++i) {
    copies.push_back(folder / (std::to_string(i) + ".mp4"));
    std::filesystem::copy_file(path, copies.back());
  }
  const double start = processor_ms();
  for (const std::string& copy : copies) probe_header({.path = copy});
  const double middle = processor_ms();
  for (int i = 0; i < kFiles / 10; ++i) probe(copies[static_cast<std::size_t>(i)]);
  const double end = processor_ms();
  fmt::print("a look at the header of a small MP4 takes {:.3f} ms, all its packets {:.3f} ms\n",
             (middle - start) / kFiles, (end - middle) / (kFiles / 10));
}

int run(std::vector<std::string> paths) {
  capture_ffmpeg_log();
  const auto clips = test::test_data() / "clips";
  if (paths.empty()) paths = {clips / "arm_wrestling.mp4", clips / "flipping_a_pancake.mkv"};
  bool are_equal = true;
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
      are_equal = add_pair(fmt::format("{}/{}", file, choice), path, wanted) && are_equal;
    }
  }
  are_equal = compare_neighbours() && are_equal;
  time_headers();
  benchmark::RunSpecifiedBenchmarks();
  return are_equal ? 0 : 1;
}

}  // namespace
}  // namespace cfp

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  return cfp::run({argv + 1, argv + argc});
}
