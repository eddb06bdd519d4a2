// What headers say, against ffprobe; and that a look at them stays cheap and tells faults apart.
#include "stages/decode/probe.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <ostream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/synthetic_video.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

namespace fs = std::filesystem;
using test::SyntheticStream;
using test::TemporaryFolder;
using test::write_media;
using testing::HasSubstr;
using testing::StartsWith;

std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string text;
  for (int c = std::fgetc(pipe.get()); c != EOF; c = std::fgetc(pipe.get())) {
    text.push_back(static_cast<char>(c));
  }
  return text;
}

bool has_ffprobe() { return std::system("ffprobe -version > /dev/null 2>&1") == 0; }

/// One value that ffprobe prints for the first video stream, as text; empty where it has none.
std::string ffprobe(const std::string& path, const std::string& entry) {
  std::string text = output_of("ffprobe -v error -select_streams v:0 -show_entries " + entry +
                               " -of default=nw=1:nk=1 '" + path + "'");
  text = text.substr(0, text.find('\n'));
  return text == "N/A" ? "" : text;
}

double quotient(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) return std::stod(text);
  return std::stod(text.substr(0, slash)) / std::stod(text.substr(slash + 1));
}

void expect_as_ffprobe(const std::string& path) {
  const HeaderFacts facts = probe_header({.path = path});
  EXPECT_EQ(facts.codec, ffprobe(path, "stream=codec_name")) << path;
  EXPECT_EQ(facts.container, ffprobe(path, "format=format_name")) << path;
  EXPECT_EQ(std::to_string(facts.width), ffprobe(path, "stream=width")) << path;
  EXPECT_EQ(std::to_string(facts.height), ffprobe(path, "stream=height")) << path;
  const std::string duration = ffprobe(path, "format=duration");
  if (!duration.empty()) {
    ASSERT_TRUE(facts.duration_from_header_s) << path;
    // Of the whole file there, of the video stream here; sound may last two frames longer.
    EXPECT_NEAR(*facts.duration_from_header_s, std::stod(duration), 0.09) << path;
  }
  const std::string rate = ffprobe(path, "stream=avg_frame_rate");
  if (!rate.empty() && rate != "0/0") {
    ASSERT_TRUE(facts.frame_rate_from_header) << path;
    // ffprobe measures it over the packets that it looked at, the header rounds the duration.
    EXPECT_NEAR(*facts.frame_rate_from_header, quotient(rate), 0.02 * quotient(rate)) << path;
  }
  const std::string count = ffprobe(path, "stream=nb_frames");
  if (!count.empty()) {
    EXPECT_EQ(std::to_string(facts.frame_count_from_header.value_or(0)), count) << path;
  }
}

struct Container {
  const char* file;
  const char* encoder;
  const char* pixel_format;
  int b_frames;
};

void PrintTo(const Container& c, std::ostream* out) { *out << c.file << ", " << c.encoder; }

class ProbeHeader : public testing::TestWithParam<Container> {};

TEST_P(ProbeHeader, SaysWhatFfprobeSays) {
  const Container& c = GetParam();
  if (!test::has_encoder(c.encoder)) GTEST_SKIP() << "this FFmpeg has no " << c.encoder;
  if (!has_ffprobe()) GTEST_SKIP() << "the program ffprobe is not installed";
  const TemporaryFolder folder;
  // 100 x 76 is no multiple of 16: the coded size is another than the shown one.
  write_media(folder / c.file, {{.width = 100,
                                 .height = 76,
                                 .frames = 50,
                                 .encoder = c.encoder,
                                 .pixel_format = c.pixel_format,
                                 .b_frames = c.b_frames}});
  expect_as_ffprobe(folder / c.file);
}

INSTANTIATE_TEST_SUITE_P(
    Containers, ProbeHeader,
    testing::Values(
        Container{"a.mp4", "libx264", "yuv420p", 2}, Container{"a.mp4", "mpeg4", "yuv420p", 0},
        Container{"a.mov", "mjpeg", "yuvj420p", 0}, Container{"a.mkv", "libx264", "yuv420p", 2},
        Container{"a.mkv", "ffv1", "yuv420p", 0}, Container{"a.webm", "libvpx", "yuv420p", 0},
        Container{"a.webm", "libvpx-vp9", "yuv420p", 0}, Container{"a.avi", "mpeg4", "yuv420p", 2},
        Container{"a.avi", "mjpeg", "yuvj420p", 0}, Container{"a.ts", "libx264", "yuv420p", 2},
        Container{"a.mpg", "mpeg2video", "yuv420p", 2}, Container{"a.flv", "flv", "yuv420p", 0}));

TEST(ProbeHeaderOfRealClips, SaysWhatFfprobeSays) {
  const auto clips = test::test_data() / "clips";
  CFP_SKIP_WITHOUT(clips);
  if (!has_ffprobe()) GTEST_SKIP() << "the program ffprobe is not installed";
  for (const char* name : {"arm_wrestling.mp4", "flipping_a_pancake.mkv", "h265_video.mp4",
                           "av1_video.mkv", "unordered.mov"}) {
    expect_as_ffprobe(clips / name);
  }
  // ffprobe gives the coded size, this the one that is shown.
  const HeaderFacts turned = probe_header({.path = clips / "rotated_90.mov"});
  EXPECT_EQ(std::to_string(turned.height), ffprobe(clips / "rotated_90.mov", "stream=width"));
  // Several video streams: the same one as is decoded.
  const std::string several = clips / "nasa_13013.mp4";
  EXPECT_EQ(probe_header({.path = several}).width, probe(several).width);
}

struct Outcome {
  std::string reason = "no error";
  std::string message;
};

Outcome outcome(const MediaSegment& media, const DecodeLimits& limits = {}) {
  try {
    probe_header(media, limits);
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), StartsWith(media.path));
    return {std::string(to_string(error.reason())), error.what()};
  }
  return {};
}

TEST(ProbeHeaderFaults, HaveTheirReasons) {
  const TemporaryFolder folder;
  EXPECT_EQ(outcome({folder / "absent.mp4"}).reason, "missing");
  fs::create_symlink("nowhere", folder / "broken.mp4");
  EXPECT_EQ(outcome({folder / "broken.mp4"}).reason, "missing");
  fs::create_symlink("loop.mp4", folder / "loop.mp4");
  EXPECT_EQ(outcome({folder / "loop.mp4"}).reason, "unreadable");
  fs::create_directory(folder / "folder.mp4");
  EXPECT_EQ(outcome({folder / "folder.mp4"}).reason, "unreadable");
  std::ofstream(folder / "empty.mp4");
  EXPECT_EQ(outcome({folder / "empty.mp4"}).reason, "empty");
  std::ofstream(folder / "text.mp4") << std::string(5000, 'a');
  EXPECT_EQ(outcome({folder / "text.mp4"}).reason, "unreadable");
  write_media(folder / "sound.mkv", {{.kind = SyntheticStream::Kind::kAudio}});
  EXPECT_EQ(outcome({folder / "sound.mkv"}).reason, "no_video_stream");
  for (const char* name : {"none.mkv", "none.avi"}) {
    write_media(folder / name, {{.frames = 0, .encoder = "mpeg4", .pixel_format = "yuv420p"}});
    EXPECT_EQ(outcome({folder / name}).reason, "empty") << name;
  }
  write_media(folder / "good.mkv", {{}});
  EXPECT_EQ(outcome({folder / "good.mkv"}).reason, "no error");
  EXPECT_EQ(outcome({folder / "good.mkv"}, {.time_limit_s = 1e-9}).reason, "timeout");
  EXPECT_EQ(outcome({folder / "good.mkv"}, {.max_pixels = 64 * 48 - 1}).reason, "unreadable");
}

TEST(ProbeHeaderFaults, ATruncatedMp4IsSeenWhereverItsHeaderIs) {
  const TemporaryFolder folder;
  const std::string path = folder / "cut.mp4";
  write_media(path, {{.width = 320,
                      .height = 240,
                      .frames = 100,
                      .encoder = "mpeg4",
                      .pixel_format = "yuv420p"}});
  const std::string front = folder / "front.mp4";
  const std::string command =
      "ffmpeg -v error -y -i '" + path + "' -c copy -movflags +faststart '" + front + "'";
  const bool has_front = std::system(command.c_str()) == 0;
  test::truncate_file(path, 0.5);
  EXPECT_EQ(outcome({path}).reason, "unreadable");  // the header is gone
  if (!has_front) GTEST_SKIP() << "the program ffmpeg is not installed";
  test::truncate_file(front, 0.5);
  const Outcome cut = outcome({front});
  EXPECT_EQ(cut.reason, "decode_error");
  EXPECT_THAT(cut.message, HasSubstr("the file is cut off: it has"));
  // What is wanted can be whole.
  EXPECT_EQ(outcome({front, 0, 1.0}).reason, "no error");
}

TEST(ProbeHeaderOfPictures, ReadsTheFirstOfTheSegment) {
  const TemporaryFolder folder;
  PictureSequence sequence{.prefix = "img_", .digits = 5, .suffix = ".jpg", .fps = 50};
  test::write_pictures(folder.path(), sequence, 10, 100, 76);
  sequence.start_number = 3;
  sequence.stop_number = 8;
  const HeaderFacts facts = probe_header({.path = folder.path(), .pictures = sequence});
  EXPECT_EQ(facts, (HeaderFacts{.container = "pictures",
                                .codec = "mjpeg",
                                .width = 100,
                                .height = 76,
                                .duration_from_header_s = 0.1,
                                .frame_rate_from_header = 50,
                                .frame_count_from_header = 5}));
  test::truncate_file(folder / "img_00003.jpg", 0.5);
  EXPECT_EQ(outcome({.path = folder.path(), .pictures = sequence}).reason, "decode_error");
}

TEST(DecodeEverything, CountsWhatIsThere) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.mkv";
  write_media(path, {{.frames = 40}});
  const DecodedFacts facts = decode_everything({.path = path, .start_s = 0.4, .end_s = 1.2});
  EXPECT_EQ(facts.frame_count, 20);
  EXPECT_NEAR(facts.first_time_s, 0.4, 1e-9);
  EXPECT_NEAR(facts.end_time_s, 1.2, 1e-9);
  EXPECT_NEAR(facts.average_fps, 25, 1e-6);
  EXPECT_FALSE(facts.is_variable_frame_rate);
  EXPECT_EQ(facts.width, 64);
  EXPECT_EQ(facts.height, 48);
  write_media(path, {{.frames = 4, .ticks_per_s = 1000, .pts = {0, 40, 90, 200}}});
  EXPECT_TRUE(decode_everything({.path = path}).is_variable_frame_rate);
}

TEST(DecodeEverything, FindsDamageThatHeadersHide) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.mkv";
  write_media(path, {{.width = 160, .height = 120, .options = "level=3:slicecrc=1", .gop = 1}});
  test::blank_bytes(path, static_cast<std::int64_t>(fs::file_size(path)) / 2, 200);
  EXPECT_NO_THROW(probe_header({.path = path}));
  try {
    decode_everything({.path = path});
    FAIL();
  } catch (const DataError& error) {
    EXPECT_EQ(error.reason(), FailureReason::kDecodeError);
    EXPECT_THAT(error.what(), HasSubstr("cannot be decoded"));
  }
}

}  // namespace
}  // namespace cfp
