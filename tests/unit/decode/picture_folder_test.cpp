// Folders of numbered pictures: which ones a segment means, and what is wrong with bad ones.
#include "stages/decode/picture_folder.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <ostream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/decode/clip_decoder.h"
#include "stages/decode/frame_source.h"
#include "tests/support/synthetic_video.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

namespace fs = std::filesystem;
using test::synthetic_frame;
using test::TemporaryFolder;
using test::write_pictures;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const PictureSequence kEpic = {
    .prefix = "frame_", .digits = 10, .suffix = ".jpg", .first_number = 1, .fps = 60};

std::vector<Frames> decode_all(FrameSource& source) {
  std::vector<std::int64_t> all(source.frame_times_s().size());
  std::iota(all.begin(), all.end(), 0);
  std::vector<Frames> frames(all.size());
  source.decode(all, [&](std::int64_t i, const Frames& frame) {
    frames[static_cast<std::size_t>(i)] = frame;
  });
  return frames;
}

std::vector<int> numbers(const MediaSegment& media) {
  FrameSource source(media);
  std::vector<int> result;
  for (const Frames& frame : decode_all(source)) result.push_back(test::coded_number(frame));
  return result;
}

struct Outcome {
  std::string reason = "no error";
  std::string message;
};

/// Decodes all frames of a segment.
Outcome outcome(const MediaSegment& media, const DecodeLimits& limits = {}) {
  try {
    FrameSource source(media, limits);
    decode_all(source);
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), StartsWith(media.path));
    return {std::string(to_string(error.reason())), error.what()};
  }
  return {};
}

MediaSegment segment(const fs::path& folder, PictureSequence sequence,
                     std::optional<std::int64_t> start = {},
                     std::optional<std::int64_t> stop = {}) {
  sequence.start_number = start;
  sequence.stop_number = stop;
  return {.path = folder, .pictures = sequence};
}

struct Naming {
  const char* name;
  PictureSequence sequence;
};

void PrintTo(const Naming& naming, std::ostream* out) { *out << naming.name; }

class PictureNamings : public testing::TestWithParam<Naming> {};

TEST_P(PictureNamings, MeanTheirFrames) {
  const TemporaryFolder folder;
  const PictureSequence& sequence = GetParam().sequence;
  write_pictures(folder.path(), sequence, 12);
  const std::int64_t first = sequence.first_number;
  EXPECT_THAT(numbers(segment(folder.path(), sequence)),
              ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
  EXPECT_THAT(numbers(segment(folder.path(), sequence, first + 3, first + 6)),
              ElementsAre(3, 4, 5));
  EXPECT_THAT(numbers(segment(folder.path(), sequence, first + 9)), ElementsAre(9, 10, 11));
  EXPECT_THAT(numbers(segment(folder.path(), sequence, {}, first + 2)), ElementsAre(0, 1));
  FrameSource source(segment(folder.path(), sequence, first + 3, first + 6));
  EXPECT_NEAR(source.frame_times_s()[0], 3 / sequence.fps, 1e-12);
  EXPECT_NEAR(source.end_time_s(), 6 / sequence.fps, 1e-12);
}

INSTANTIATE_TEST_SUITE_P(
    Published, PictureNamings,
    testing::Values(
        Naming{"epic", kEpic},
        Naming{"mmaction", {.prefix = "img_", .digits = 5, .suffix = ".jpg", .first_number = 1}},
        Naming{"egtea", {.prefix = "", .digits = 6, .suffix = ".jpg", .first_number = 0}},
        Naming{"unfilled", {.prefix = "f", .digits = 0, .suffix = ".png", .first_number = 8}},
        Naming{"hostile", {.prefix = "%d;$(x) \n\xff#", .digits = 3, .suffix = "~&.PNG.png"}}));

TEST(PictureFolder, GivesPngBackUnchangedAndJpegNearly) {
  const TemporaryFolder folder;
  for (const char* suffix : {".png", ".jpg"}) {
    const PictureSequence sequence{.digits = 4, .suffix = suffix};
    write_pictures(folder.path(), sequence, 3);
    FrameSource source(segment(folder.path(), sequence));
    const std::vector<Frames> frames = decode_all(source);
    for (int t = 0; t < 3; ++t) {
      const Frames& frame = frames[static_cast<std::size_t>(t)];
      const Frames expected = synthetic_frame(t, 64, 48);
      ASSERT_EQ(frame.width, 64);
      ASSERT_EQ(frame.height, 48);
      if (std::string(suffix) == ".png") {
        EXPECT_TRUE(frame.rgb_thwc == expected.rgb_thwc);
      } else {
        EXPECT_EQ(test::coded_number(frame), t);
      }
    }
  }
}

TEST(PictureFolder, ServesTheClipDecoderAtAnyRate) {
  const TemporaryFolder folder;
  write_pictures(folder.path(), kEpic, 60);
  const ClipDecoder decode({.clip_len = 4, .target_fps = 15}, preprocess_preset("demo"));
  const auto clips = decode({.media = segment(folder.path(), kEpic, 21, 41)});  // 20 frames, 1/3 s
  ASSERT_EQ(clips.size(), 1u);
  // At 15 a second every fourth: 20, 24, 28, 32, 36; of five the first four are the middle ones.
  const std::vector<int> expected = {20, 24, 28, 32};
  for (std::int64_t t = 0; t < 4; ++t) {
    const Frames& frames = clips[0].frames;
    EXPECT_EQ(test::coded_number(
                  {.length = 1,
                   .height = frames.height,
                   .width = frames.width,
                   .rgb_thwc = {frames.frame(t), frames.frame(t) + frames.bytes_per_frame()}}),
              expected[static_cast<std::size_t>(t)]);
    EXPECT_NEAR(clips[0].frame_times_s[static_cast<std::size_t>(t)], (20 + 4 * t) / 60., 1e-12);
  }
}

// Picture n, from 1, is shown at (n - 1) / 60 s.
TEST(PictureFolder, HasTheFramesOfTheVideoThatItWasMadeOf) {
  const TemporaryFolder folder;
  constexpr int kFrames = 600;
  const std::string video = folder / "P01_01.MP4";
  test::write_media(video, {{.frames = kFrames,
                             .encoder = "mpeg4",
                             .pixel_format = "yuv420p",
                             .b_frames = 2,
                             .ticks_per_s = 60}});
  write_pictures(folder / "P01_01", kEpic, kFrames);
  for (const auto& [start_s, end_s] : {std::pair{0.14, 3.37}, {4.37, 6.17}, {0.0, 0.5}}) {
    const auto first = static_cast<std::int64_t>(std::ceil(start_s * 60));
    const auto stop = static_cast<std::int64_t>(std::ceil(end_s * 60));
    EXPECT_EQ(numbers({.path = video, .start_s = start_s, .end_s = end_s}),
              numbers(segment(folder / "P01_01", kEpic, first + 1, stop + 1)));
  }
}

TEST(PictureFolder, EndsWithTheLastPictureThatThereIs) {
  const TemporaryFolder folder;
  write_pictures(folder.path(), kEpic, 10);
  EXPECT_THAT(numbers(segment(folder.path(), kEpic, 8, 30)), ElementsAre(7, 8, 9));
  const Outcome behind = outcome(segment(folder.path(), kEpic, 11, 30));
  EXPECT_EQ(behind.reason, "too_short");
  EXPECT_THAT(behind.message,
              HasSubstr("begins with picture 11; the last that there is has number 10"));
}

TEST(PictureFolder, NamesTheMissingPicture) {
  const TemporaryFolder folder;
  write_pictures(folder.path(), kEpic, 10);
  fs::remove(folder / "frame_0000000005.jpg");
  // The folder is not listed: only what is wanted is looked at.
  FrameSource source(segment(folder.path(), kEpic, 1, 11));
  EXPECT_NO_THROW(source.decode(std::vector<std::int64_t>{3, 5}, [](auto, const auto&) {}));
  // Listed, or wanted.
  for (const auto& media : {segment(folder.path(), kEpic), segment(folder.path(), kEpic, 1, 11),
                            segment(folder.path(), kEpic, 1, 20)}) {
    const Outcome hole = outcome(media);
    EXPECT_EQ(hole.reason, "decode_error");
    EXPECT_THAT(hole.message, HasSubstr("/frame_0000000005.jpg: "));
  }
  EXPECT_EQ(outcome(segment(folder.path(), kEpic, 6)).reason, "no error");
  const Outcome first = outcome(segment(folder.path(), kEpic, 0));
  EXPECT_EQ(first.reason, "decode_error");
  EXPECT_THAT(first.message, HasSubstr("/frame_0000000000.jpg: "));
}

TEST(PictureFolder, IsNotListedWhereBothNumbersAreGiven) {
  const TemporaryFolder folder;
  write_pictures(folder.path(), kEpic, 4);
  // A hole within the segment shows whether the folder was listed: then it is refused at once.
  fs::remove(folder / "frame_0000000002.jpg");
  EXPECT_NO_THROW(FrameSource(segment(folder.path(), kEpic, 1, 5)));
  EXPECT_THROW(FrameSource(segment(folder.path(), kEpic, 1)), DataError);
}

TEST(PictureFolder, RefusesFoldersThatHaveNoPictures) {
  const TemporaryFolder folder;
  EXPECT_EQ(outcome(segment(folder / "absent", kEpic)).reason, "missing");
  std::ofstream(folder / "file.jpg") << "x";
  EXPECT_EQ(outcome(segment(folder / "file.jpg", kEpic)).reason, "unreadable");
  const Outcome none = outcome(segment(folder.path(), kEpic));
  EXPECT_EQ(none.reason, "empty");
  EXPECT_THAT(none.message, HasSubstr("no picture named like frame_0000000001.jpg"));
  fs::create_symlink("loop", folder / "loop");
  EXPECT_EQ(outcome(segment(folder / "loop", kEpic)).reason, "unreadable");
  EXPECT_EQ(outcome(segment(folder.path(), kEpic, 5, 5)).reason, "empty");
  EXPECT_EQ(outcome(segment(folder.path(), kEpic, 5, 4)).reason, "empty");
}

TEST(PictureFolder, TakesNoOtherNamesForItsOwn) {
  const TemporaryFolder folder;
  write_pictures(folder.path(), kEpic, 3);
  for (const char* name : {"frame_4.jpg", "frame_00000000004.jpg", "frame_+000000004.jpg",
                           "frame_-000000004.jpg", "frame_0000000004.jpeg", "xframe_0000000004.jpg",
                           "frame_000000000a.jpg", "frame_99999999999999999999999.jpg"}) {
    std::ofstream(folder / name) << "x";
  }
  EXPECT_THAT(numbers(segment(folder.path(), kEpic)), ElementsAre(0, 1, 2));
}

TEST(PictureFolder, RefusesSequencesThatCannotBe) {
  const TemporaryFolder folder;
  write_pictures(folder.path(), kEpic, 3);
  const auto reason = [&](auto change) {
    PictureSequence sequence = kEpic;
    change(sequence);
    return outcome({.path = folder.path(), .pictures = sequence}).reason;
  };
  EXPECT_EQ(reason([](PictureSequence& s) { s.fps = 0; }), "unreadable");
  EXPECT_EQ(reason([](PictureSequence& s) { s.fps = std::nan(""); }), "unreadable");
  EXPECT_EQ(reason([](PictureSequence& s) { s.digits = 1000000000; }), "unreadable");
  EXPECT_EQ(reason([](PictureSequence& s) { s.digits = -1; }), "unreadable");
  EXPECT_EQ(reason([](PictureSequence& s) { s.prefix = "../frame_"; }), "unreadable");
  EXPECT_EQ(reason([](PictureSequence& s) { s.first_number = -5; }), "unreadable");
  EXPECT_EQ(reason([](PictureSequence& s) { s.start_number = -5; }), "unreadable");
}

TEST(PictureFolder, DoesNotReserveWhatAHostileNumberClaims) {
  const TemporaryFolder folder;
  write_pictures(folder.path(), kEpic, 3);
  std::ofstream(folder / "frame_9000000000.jpg") << "x";
  const Outcome many = outcome(segment(folder.path(), kEpic, 1, 9000000001));
  EXPECT_EQ(many.reason, "decode_error");
  EXPECT_THAT(many.message, HasSubstr("more than"));
  EXPECT_EQ(outcome(segment(folder.path(), kEpic)).reason, "decode_error");  // a hole behind 3
}

TEST(PictureFolder, RefusesPicturesOfDifferentSizes) {
  const TemporaryFolder folder;
  write_pictures(folder.path(), kEpic, 3);
  const TemporaryFolder other;
  write_pictures(other.path(), kEpic, 2, 32, 48);
  fs::copy_file(other / "frame_0000000002.jpg", folder / "frame_0000000002.jpg",
                fs::copy_options::overwrite_existing);
  const Outcome mixed = outcome(segment(folder.path(), kEpic));
  EXPECT_EQ(mixed.reason, "decode_error");
  EXPECT_THAT(mixed.message, HasSubstr("/frame_0000000002.jpg: pictures change from 64 x 48"));
}

TEST(PictureFolder, KeepsTheTimeLimit) {
  const TemporaryFolder folder;
  write_pictures(folder.path(), kEpic, 3);
  EXPECT_EQ(outcome(segment(folder.path(), kEpic), {.time_limit_s = 1e-9}).reason, "timeout");
}

TEST(PictureFolder, FollowsLinks) {
  const TemporaryFolder folder;
  write_pictures(folder / "real", kEpic, 3);
  fs::create_directory(folder / "links");
  for (const char* name : {"frame_0000000001.jpg", "frame_0000000002.jpg"}) {
    fs::create_symlink(folder / "real" / name, folder / "links" / name);
  }
  EXPECT_THAT(numbers(segment(folder / "links", kEpic)), ElementsAre(0, 1));
  fs::create_directory_symlink(folder / "links", folder / "again");
  EXPECT_THAT(numbers(segment(folder / "again", kEpic, 2, 3)), ElementsAre(1));
  fs::create_symlink("nowhere", folder / "links/frame_0000000003.jpg");
  const Outcome broken = outcome(segment(folder / "links", kEpic, 1, 4));
  EXPECT_EQ(broken.reason, "decode_error");
  EXPECT_THAT(broken.message, HasSubstr("frame_0000000003.jpg: "));
}

}  // namespace
}  // namespace cfp
