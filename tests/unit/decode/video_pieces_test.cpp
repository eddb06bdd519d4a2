// Folders of pieces of a long video.
#include "stages/decode/video_pieces.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/decode/clip_decoder.h"
#include "stages/decode/frame_source.h"
#include "stages/decode/open_videos.h"
#include "stages/decode/probe.h"
#include "tests/support/synthetic_video.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr int kFps = 50;

/// Writes the frames of `seconds` seconds from `begin_s` on, each with its number in the whole
/// video.
void write_piece(const fs::path& folder, const std::string& name, int begin_s, double seconds) {
  test::write_media(folder / name, {{.frames = static_cast<int>(seconds * kFps),
                                     .first_number = begin_s * kFps,
                                     .encoder = "mpeg4",
                                     .pixel_format = "yuv420p",
                                     .b_frames = 2,
                                     .ticks_per_s = kFps}});
}

MediaSegment pieces(const fs::path& folder, std::optional<double> start_s = {},
                    std::optional<double> end_s = {}) {
  return {.path = folder, .start_s = start_s, .end_s = end_s, .in_pieces = true};
}

std::vector<int> numbers(const MediaSegment& media, OpenVideos* reuse = nullptr) {
  FrameSource source(media, {}, FrameList::kFromPackets, reuse);
  const std::vector<double>& times_s = source.frame_times_s();
  EXPECT_TRUE(std::ranges::is_sorted(times_s));
  std::vector<std::int64_t> all(times_s.size());
  std::iota(all.begin(), all.end(), 0);
  std::vector<int> result(all.size());
  source.decode(all, [&](std::int64_t i, const Frames& frame) {
    const int number = test::coded_number(frame);
    result[static_cast<std::size_t>(i)] = number;
    EXPECT_NEAR(times_s[static_cast<std::size_t>(i)], static_cast<double>(number) / kFps, 1e-9);
  });
  return result;
}

std::vector<int> range(int first, int stop) {
  std::vector<int> result(static_cast<std::size_t>(stop - first));
  std::iota(result.begin(), result.end(), first);
  return result;
}

std::string outcome(const MediaSegment& media, std::string* message = nullptr) {
  try {
    numbers(media);
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), StartsWith(media.path));
    if (message != nullptr) *message = error.what();
    return std::string(to_string(error.reason()));
  }
  return "no error";
}

TEST(VideoPieces, GiveTheFramesOfTheWholeVideo) {
  const TemporaryFolder folder;
  const fs::path video = folder / "P01_01.MP4";
  fs::create_directory(video);
  for (int begin_s = 0; begin_s < 12; begin_s += 3) {
    write_piece(video, std::to_string(begin_s) + ".mp4", begin_s, 3);
  }
  std::ofstream(video / "README.txt") << "x";
  std::ofstream(video / "cover.mp4") << "x";
  OpenVideos open;
  for (OpenVideos* reuse : {static_cast<OpenVideos*>(nullptr), &open}) {
    EXPECT_EQ(numbers(pieces(video), reuse), range(0, 600));
    EXPECT_EQ(numbers(pieces(video, 4.0, 5.0), reuse), range(200, 250));
    EXPECT_EQ(numbers(pieces(video, 2.5, 9.5), reuse), range(125, 475));
    EXPECT_EQ(numbers(pieces(video, 3.0, 6.0), reuse), range(150, 300));
    EXPECT_EQ(numbers(pieces(video, 11.5), reuse), range(575, 600));
    EXPECT_EQ(numbers(pieces(video, {}, 0.06), reuse), range(0, 3));
    // An official row that ends behind its video.
    EXPECT_EQ(numbers(pieces(video, 11.9, 14.0), reuse), range(595, 600));
  }
  FrameSource source(pieces(video, 2.5, 9.5));
  EXPECT_NEAR(source.end_time_s(), 9.5, 1e-9);

  const ClipDecoder decode({.clip_len = 4, .frame_interval = 10, .target_fps = 25},
                           preprocess_preset("demo"));
  const auto clips = decode({.media = pieces(video, 2.0, 4.0)});
  EXPECT_NEAR(clips[0].frame_times_s[1] - clips[0].frame_times_s[0], 0.4, 1e-9);

  const HeaderFacts header = probe_header(pieces(video, 4.0, 5.0));
  EXPECT_EQ(header.width, 64);
  EXPECT_EQ(header.height, 48);
  EXPECT_NEAR(header.duration_from_header_s.value(), 12, 1e-6);
  EXPECT_NEAR(header.frame_rate_from_header.value(), kFps, 1e-6);
  EXPECT_EQ(decode_everything(pieces(video, 2.5, 9.5)).frame_count, 350);
}

TEST(VideoPieces, TakeOverlappingFramesOnceFromTheLaterPiece) {
  const TemporaryFolder folder;
  write_piece(folder.path(), "0.mp4", 0, 4);
  // The same frames from 3 s on, but marked by another number.
  write_piece(folder.path(), "3.MKV", 103, 3);
  const auto taken = [&](double start_s, double end_s) {
    FrameSource source(pieces(folder.path(), start_s, end_s));
    std::vector<int> result;
    const std::vector<std::int64_t> all = {0, 1, 2, 3};
    EXPECT_EQ(source.frame_times_s().size(), all.size());
    source.decode(all, [&](std::int64_t, const Frames& frame) {
      result.push_back(test::coded_number(frame));
    });
    std::ranges::sort(result);
    return result;
  };
  EXPECT_THAT(taken(2.96, 3.04), ElementsAre(148, 149, 103 * kFps, 103 * kFps + 1));
  EXPECT_THAT(taken(3.5, 3.58),
              ElementsAre(103 * kFps + 25, 103 * kFps + 26, 103 * kFps + 27, 103 * kFps + 28));
}

TEST(VideoPieces, AMissingPieceIsAnErrorWhereItIsWanted) {
  const TemporaryFolder folder;
  for (const int begin_s : {3, 6, 12}) {
    write_piece(folder.path(), std::to_string(begin_s) + ".mp4", begin_s, 3);
  }
  EXPECT_EQ(outcome(pieces(folder.path(), 4, 8.9)), "no error");
  EXPECT_EQ(outcome(pieces(folder.path(), 12, 14)), "no error");
  std::string message;
  EXPECT_EQ(outcome(pieces(folder.path(), 8, 13), &message), "missing");
  EXPECT_THAT(message, HasSubstr("no piece shows what is between 9.000 s and 12.000 s"));
  EXPECT_EQ(outcome(pieces(folder.path(), 8, 11)), "missing");
  EXPECT_EQ(outcome(pieces(folder.path(), 9.5, 11)), "missing");
  EXPECT_EQ(outcome(pieces(folder.path(), 0, 4)), "missing");
  EXPECT_EQ(outcome(pieces(folder.path())), "missing");
  EXPECT_EQ(outcome(pieces(folder.path(), 20, 24), &message), "too_short");
  EXPECT_THAT(message, HasSubstr("the last piece begins at 12 s"));
}

TEST(VideoPieces, AFewFramesMayLackAtABorder) {
  const TemporaryFolder folder;
  write_piece(folder.path(), "0.mp4", 0, 2.9);
  write_piece(folder.path(), "3.mp4", 3, 3);
  EXPECT_EQ(numbers(pieces(folder.path(), 2.8, 3.06)).size(), 8u);  // 5 and 3
  // A segment that is nothing but the gap and what follows.
  EXPECT_EQ(numbers(pieces(folder.path(), 2.95, 3.06)), range(150, 153));
}

TEST(VideoPieces, BadFoldersAndPiecesHaveTheirReasons) {
  const TemporaryFolder folder;
  EXPECT_EQ(outcome(pieces(folder / "absent")), "missing");
  std::ofstream(folder / "file") << "x";
  EXPECT_EQ(outcome(pieces(folder / "file")), "unreadable");
  const fs::path empty = folder / "empty";
  fs::create_directory(empty);
  for (const char* name : {"a.mp4", "-3.mp4", "+3.mp4", ".mp4", "3.txt", "3", "9999999999.mp4"}) {
    std::ofstream(empty / name) << "x";
  }
  EXPECT_EQ(outcome(pieces(empty)), "empty");

  write_piece(folder.path(), "0.mp4", 0, 3);
  write_piece(folder.path(), "3.mp4", 3, 3);
  test::truncate_file(folder / "3.mp4", 0.5);
  std::string message;
  EXPECT_EQ(outcome(pieces(folder.path(), 2, 4), &message), "unreadable");
  EXPECT_THAT(message, StartsWith((folder / "3.mp4").string() + ": "));
  EXPECT_EQ(outcome(pieces(folder.path(), 1, 3)), "no error");
  EXPECT_THROW(probe_header(pieces(folder.path(), 2, 4)), DataError);

  write_piece(folder.path(), "00.avi", 0, 1);
  EXPECT_EQ(outcome(pieces(folder.path(), 0, 1), &message), "duplicate");
  EXPECT_THAT(message, HasSubstr("two files begin at 0 s"));
}

}  // namespace
}  // namespace cfp
