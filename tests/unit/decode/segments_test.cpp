// Segments of long videos: exactly the frames that are shown in them, whichever way they are read,
// and whatever the same open file served before.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <numeric>
#include <ostream>
#include <random>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/decode/clip_decoder.h"
#include "stages/decode/frame_source.h"
#include "stages/decode/open_videos.h"
#include "tests/support/synthetic_video.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

namespace fs = std::filesystem;
using test::SyntheticStream;
using test::TemporaryFolder;
using test::write_media;

bool has_program(const std::string& name) {
  return std::system((name + " -version > /dev/null 2>&1").c_str()) == 0;
}

/// What ffprobe says of the frames that it decodes.
struct Listing {
  std::vector<double> times_s;  ///< after the first one
  double slack_s = 0;           ///< half a tick of the file's clock, at most half a millisecond
};

Listing ffprobe_listing(const std::string& path) {
  const std::string command =
      "ffprobe -v error -select_streams v:0 -show_entries frame=pts:stream=time_base "
      "-of compact=nk=1:p=0 '" +
      path + "'";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::vector<double> ticks;
  double tick_s = 0;
  std::array<char, 256> line{};
  while (std::fgets(line.data(), line.size(), pipe.get()) != nullptr) {
    int over = 0;
    int under = 0;
    long long pts = 0;
    if (std::sscanf(line.data(), "%d/%d", &over, &under) == 2) {
      tick_s = static_cast<double>(over) / under;
    } else if (std::sscanf(line.data(), "%lld", &pts) == 1) {
      ticks.push_back(static_cast<double>(pts));
    }
  }
  Listing listing{.times_s = {}, .slack_s = std::min(tick_s / 2, 0.5e-3)};
  for (const double tick : ticks) listing.times_s.push_back((tick - ticks.front()) * tick_s);
  return listing;
}

std::vector<int> numbers(const MediaSegment& media, const DecodeLimits& limits = {},
                         OpenVideos* reuse = nullptr) {
  FrameSource source(media, limits, FrameList::kFromPackets, reuse);
  std::vector<std::int64_t> all(source.frame_times_s().size());
  std::iota(all.begin(), all.end(), 0);
  std::vector<int> result(all.size());
  source.decode(all, [&](std::int64_t i, const Frames& frame) {
    result[static_cast<std::size_t>(i)] = test::coded_number(frame);
  });
  return result;
}

/// The frames k with start_s <= times_s[k] < end_s; a time that was rounded to the clock of the
/// file means its frame.
std::vector<int> shown_between(const Listing& listing, double start_s, double end_s) {
  std::vector<int> result;
  for (std::size_t k = 0; k < listing.times_s.size(); ++k) {
    const double time_s = listing.times_s[k] + listing.slack_s;
    if (time_s >= start_s && time_s < end_s) result.push_back(static_cast<int>(k));
  }
  return result;
}

struct Rate {
  const char* file;
  const char* encoder;
  int ticks_per_s;
  int ticks_per_frame;  ///< 0: irregular
  int seconds;
  int b_frames;
};

void PrintTo(const Rate& rate, std::ostream* out) { *out << rate.file << ", " << rate.encoder; }

SyntheticStream stream_of(const Rate& rate) {
  SyntheticStream stream{.encoder = rate.encoder,
                         .pixel_format = "yuv420p",
                         .gop = 48,
                         .b_frames = rate.b_frames,
                         .ticks_per_s = rate.ticks_per_s};
  std::mt19937 random(5);
  const std::int64_t end = static_cast<std::int64_t>(rate.seconds) * rate.ticks_per_s;
  for (std::int64_t pts = 0; pts < end;) {
    stream.pts.push_back(pts);
    // Between 10 and 66 ms, as of a camera that slows down in low light.
    pts += rate.ticks_per_frame > 0 ? rate.ticks_per_frame
                                    : rate.ticks_per_s * (10 + random() % 57) / 1000;
  }
  stream.frames = static_cast<int>(stream.pts.size());
  return stream;
}

class Segments : public testing::TestWithParam<Rate> {};

TEST_P(Segments, HaveTheFramesThatFfprobeTimesSay) {
  if (!test::has_encoder(GetParam().encoder)) GTEST_SKIP() << "this FFmpeg lacks the encoder";
  if (!has_program("ffprobe")) GTEST_SKIP() << "the program ffprobe is not installed";
  const TemporaryFolder folder;
  const std::string path = folder / GetParam().file;
  const SyntheticStream stream = stream_of(GetParam());
  write_media(path, {stream});
  const Listing listing = ffprobe_listing(path);
  ASSERT_EQ(listing.times_s.size(), stream.pts.size());
  OpenVideos reuse;
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int trial = 0; trial < 40; ++trial) {
    // Annotations are in hundredths of a second; some of those are exactly the time of a frame.
    const double start_s = static_cast<int>(random() % (100 * GetParam().seconds - 50)) / 100.;
    const double end_s = start_s + (10 + static_cast<int>(random() % 200)) / 100.;
    const DecodeLimits in_parts{.whole_file_bytes = trial % 2 == 0 ? 0 : 64 << 20};
    const std::vector<int> expected = shown_between(listing, start_s, end_s);
    ASSERT_EQ(numbers({path, start_s, end_s}, in_parts, &reuse), expected)
        << start_s << " to " << end_s << " s, trial " << trial;
  }
}

INSTANTIATE_TEST_SUITE_P(Rates, Segments,
                         testing::Values(Rate{"60.mp4", "libx264", 60, 1, 120, 3},
                                         Rate{"50.mp4", "libx264", 50, 1, 120, 2},
                                         Rate{"29_97.mp4", "libx264", 30000, 1001, 120, 3},
                                         Rate{"vfr.mp4", "libx264", 1000, 0, 120, 3},
                                         Rate{"59_94.mp4", "libx264", 60000, 1001, 30, 3},
                                         Rate{"47_952.mkv", "libx264", 48000, 1001, 30, 2},
                                         Rate{"59_94.mov", "mpeg4", 60000, 1001, 30, 2},
                                         Rate{"vfr.mkv", "ffv1", 1000, 0, 30, 0}));

/// A file made by the program ffmpeg out of a plain one.
struct Layout {
  const char* file;
  const char* encoder;
  const char* encoder_options;
  int b_frames;
  const char* arguments;  ///< between input and output; empty: as it is
};

void PrintTo(const Layout& layout, std::ostream* out) {
  *out << layout.file << ", " << layout.encoder << " " << layout.encoder_options << " "
       << layout.arguments;
}

class SegmentLayouts : public testing::TestWithParam<Layout> {
 protected:
  /// @return the path; empty where a program or an encoder is absent
  std::string make(const TemporaryFolder& folder) const {
    const Layout& layout = GetParam();
    if (!test::has_encoder(layout.encoder) || !has_program("ffmpeg")) return {};
    const std::string extension = fs::path(layout.file).extension();
    const std::string plain = folder / ("plain" + extension);
    write_media(plain, {{.frames = 500,
                         .encoder = layout.encoder,
                         .pixel_format = "yuv420p",
                         .options = layout.encoder_options,
                         .gop = 24,
                         .b_frames = layout.b_frames}});
    if (layout.arguments[0] == '\0') return plain;
    const std::string path = folder / layout.file;
    const std::string command =
        "ffmpeg -v error -i '" + plain + "' -c copy " + layout.arguments + " '" + path + "'";
    return std::system(command.c_str()) == 0 ? path : "";
  }
};

struct Decoded {
  std::vector<double> times_s;
  std::map<std::int64_t, std::vector<std::uint8_t>> frames;
};

Decoded decoded(const MediaSegment& media, const DecodeLimits& limits, OpenVideos* reuse,
                std::int64_t every) {
  FrameSource source(media, limits, FrameList::kFromPackets, reuse);
  Decoded result{.times_s = source.frame_times_s(), .frames = {}};
  std::vector<std::int64_t> wanted;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(result.times_s.size()); i += every) {
    wanted.push_back(i);
  }
  source.decode(wanted,
                [&](std::int64_t i, const Frames& frame) { result.frames[i] = frame.rgb_thwc; });
  return result;
}

TEST_P(SegmentLayouts, AreTheSameFromAFreshAndFromAnOpenFile) {
  const TemporaryFolder folder;
  const std::string path = make(folder);
  if (path.empty()) GTEST_SKIP() << "needs the program ffmpeg and " << GetParam().encoder;
  const Decoded whole = decoded({.path = path}, {}, nullptr, 1);
  const Listing listing{.times_s = whole.times_s,
                        .slack_s = std::min(VideoDecoder({.path = path}).tick_s() / 2, 0.5e-3)};
  const double duration_s = whole.times_s.back();
  OpenVideos reuse;
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int trial = 0; trial < 60; ++trial) {
    const double start_s = duration_s * static_cast<double>(random() % 1000) / 1000;
    const double end_s = start_s + 0.2 + static_cast<double>(random() % 100) / 100;
    // In parts, each second trial; those may keep no packet in memory.
    const DecodeLimits limits{.whole_file_bytes = trial % 2 == 0 ? 0 : 64 << 20};
    OpenVideos* open = trial % 8 == 7 ? nullptr : &reuse;
    const auto every = static_cast<std::int64_t>(1 + random() % 5);
    const std::vector<int> expected = shown_between(listing, start_s, end_s);
    if (expected.empty()) continue;  // in the last frame
    const Decoded part = decoded({path, start_s, end_s}, limits, open, every);
    ASSERT_EQ(part.times_s.size(), expected.size()) << start_s << " to " << end_s;
    const std::int64_t offset = expected[0];
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(part.times_s[i], whole.times_s[static_cast<std::size_t>(expected[i])]);
    }
    for (const auto& [index, frame] : part.frames) {
      ASSERT_TRUE(frame == whole.frames.at(offset + index))
          << "frame " << offset + index << " of the segment from " << start_s << " to " << end_s
          << " s, trial " << trial;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, SegmentLayouts,
    testing::Values(Layout{"a.mp4", "libx264", "", 3, ""},
                    Layout{"open.mp4", "libx264", "x264-params=open-gop=1", 3, ""},
                    Layout{"fragmented.mp4", "libx264", "", 3,
                           "-movflags frag_keyframe+empty_moov+default_base_moof"},
                    Layout{"edit_list.mp4", "libx264", "", 3, "-ss 1.03"},
                    Layout{"late.mp4", "libx264", "", 3, "-output_ts_offset 7.3"},
                    Layout{"a.mov", "mpeg4", "", 2, ""}, Layout{"a.mkv", "libx264", "", 3, ""},
                    Layout{"live.mkv", "libx264", "", 3, "-live 1 -f matroska"},
                    Layout{"late.mkv", "libx264", "", 3, "-output_ts_offset 7.3"},
                    Layout{"a.webm", "libvpx", "auto-alt-ref=1:lag-in-frames=10", 0, ""},
                    Layout{"a.avi", "mpeg4", "", 0, ""}, Layout{"b.avi", "mpeg4", "", 2, ""},
                    Layout{"a.ts", "libx264", "", 3, ""}, Layout{"a.mpg", "mpeg2video", "", 2, ""},
                    Layout{"a.mkv", "ffv1", "", 0, ""}));

TEST(OpenVideos, KeepsWhatServedASegmentAndNothingElse) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.mkv";
  write_media(path, {{.frames = 100}});
  OpenVideos open;
  numbers({path}, {}, &open);
  EXPECT_EQ(open.size(), 0u);  // a whole file has no neighbours
  numbers({path, 1, 2}, {}, &open);
  numbers({path, 2, 3}, {}, &open);
  EXPECT_EQ(open.size(), 1u);
  EXPECT_THROW(numbers({path, 20, 30}, {}, &open), DataError);
  EXPECT_EQ(open.size(), 0u);  // it is not asked again whether the error was its fault
  EXPECT_EQ(numbers({path, 1, 1.08}, {}, &open), (std::vector{25, 26}));
  EXPECT_THROW(numbers({path, 1, 2}, {.time_limit_s = 1e-9}, &open), DataError);
  EXPECT_EQ(numbers({path, 1, 1.08}, {}, &open), (std::vector{25, 26}));  // the time is a new one
}

TEST(OpenVideos, AChangedFileIsOpenedAgain) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.mkv";
  OpenVideos open;
  for (const int first : {0, 300, 1000}) {
    write_media(path, {{.frames = 50, .first_number = first}});
    EXPECT_EQ(numbers({path, 1, 1.08}, {}, &open), (std::vector{first + 25, first + 26}));
  }
  fs::remove(path);
  EXPECT_THROW(numbers({path, 1, 1.08}, {}, &open), DataError);
}

TEST(OpenVideos, KeepsNoMoreThanItsBound) {
  const TemporaryFolder folder;
  OpenVideos open;
  for (std::size_t i = 0; i < OpenVideos::kMaxVideos + 5; ++i) {
    const std::string path = folder / (std::to_string(i) + ".mkv");
    write_media(path, {{.frames = 30}});
    numbers({path, 0, 1}, {}, &open);
    EXPECT_EQ(open.size(), std::min(i + 1, OpenVideos::kMaxVideos));
  }
}

TEST(OpenVideos, ServesManyThreadsTheSameFrames) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.mp4";
  write_media(path,
              {{.frames = 600, .encoder = "mpeg4", .pixel_format = "yuv420p", .b_frames = 2}});
  const ClipDecoder decode({.clip_len = 4}, preprocess_preset("demo"), {.whole_file_bytes = 0});
  const auto clip_at = [&](int second) {
    return decode({.media = {path, static_cast<double>(second), second + 1.}})[0].frames.rgb_thwc;
  };
  std::vector<std::vector<std::uint8_t>> expected;
  for (int second = 0; second < 20; ++second) {
    const ClipDecoder fresh({.clip_len = 4}, preprocess_preset("demo"));
    expected.push_back(
        fresh({.media = {path, static_cast<double>(second), second + 1.}})[0].frames.rgb_thwc);
  }
  std::vector<int> wrong(4);
  {
    std::vector<std::jthread> threads;
    for (unsigned thread = 0; thread < wrong.size(); ++thread) {
      threads.emplace_back([&, thread] {
        std::mt19937 random(thread);
        for (int trial = 0; trial < 50; ++trial) {
          const auto second = static_cast<int>(random() % 20);
          if (clip_at(second) != expected[static_cast<std::size_t>(second)]) ++wrong[thread];
        }
      });
    }
  }
  EXPECT_THAT(wrong, testing::Each(0));
}

}  // namespace
}  // namespace cfp
