// EPIC-KITCHENS: segments of two-minute videos whose frames show their number, at the rates that
// the real ones have; from videos by the times, from folders of pictures by the frame numbers.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/program.h"
#include "tests/integration/published_copies.h"
#include "tests/support/test_data.h"

namespace cfp::test {
namespace {

namespace fs = std::filesystem;

constexpr double kLength_s = 120;

/// A segment in hundredths of a second, as the annotation writes it.
struct Segment {
  int start_cs, stop_cs;
};
// The first frame; neighbours; one that crosses a minute; the shortest there are; the end.
const std::vector<Segment> kSegments{{0, 189},     {156, 245},   {245, 295},     {5990, 6012},
                                     {6013, 6063}, {7777, 7900}, {11900, 12000}, {11950, 12300}};

std::string timestamp(int cs) {
  return fmt::format("00:{:02}:{:02}.{:02}", cs / 6000, cs / 100 % 60, cs % 100);
}

class EpicCopy : public testing::Test {
 protected:
  struct Video {
    std::string id;
    int ticks_per_s;
    std::vector<std::int64_t> pts;  ///< ticks
    int picture_fps;                ///< of its published pictures
  };

  static Video even(std::string id, int ticks_per_s, int ticks_per_frame, int picture_fps) {
    Video video{.id = std::move(id), .ticks_per_s = ticks_per_s, .picture_fps = picture_fps};
    for (std::int64_t pts = 0; static_cast<double>(pts) < kLength_s * ticks_per_s;
         pts += ticks_per_frame) {
      video.pts.push_back(pts);
    }
    return video;
  }

  /// As a camera that takes longer in the dark: 60, 30 and 20 frames a second by turns.
  static Video variable(std::string id) {
    Video video{.id = std::move(id), .ticks_per_s = 600, .picture_fps = 60};
    for (std::int64_t pts = 0; static_cast<double>(pts) < kLength_s * 600;) {
      video.pts.push_back(pts);
      const std::int64_t second = pts / 600;
      pts += second % 5 == 3 ? 20 : second % 7 == 2 ? 30 : 10;
    }
    return video;
  }

  void write_annotations(const std::vector<Video>& videos) const {
    std::string text =
        "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,"
        "start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,"
        "all_noun_classes\n";
    for (const Video& video : videos) {
      for (std::size_t i = 0; i < kSegments.size(); ++i) {
        const Segment& s = kSegments[i];
        const auto frame = [&](int cs) { return std::max(1, cs * video.picture_fps / 100); };
        text += fmt::format(
            "{}_{},{},{},,{},{},{},{},take plate,take,0,plate,1,\"['plate', 'pan']\""
            ",\"[1, 0]\"\n",
            video.id, i, video.id.substr(0, 3), video.id, timestamp(s.start_cs),
            timestamp(s.stop_cs), frame(s.start_cs), frame(s.stop_cs));
      }
    }
    write_text(folder_ / "annotations/EPIC_100_validation.csv", text);
    write_text(folder_ / "annotations/EPIC_100_verb_classes.csv",
               "id,key,instances,category\n0,take,['take'],retrieve\n");
    write_text(folder_ / "annotations/EPIC_100_noun_classes.csv",
               "id,key,instances,category\n0,pan,['pan'],cookware\n1,plate,['plate'],crockery\n");
  }

  static void write_video(const fs::path& path, const Video& video) {
    fs::create_directories(path.parent_path());
    const bool h264 = has_encoder("libx264");
    write_media(path, {{.frames = static_cast<int>(video.pts.size()),
                        .encoder = h264 ? "libx264" : "mpeg4",
                        .pixel_format = "yuv420p",
                        .options = h264 ? "preset=ultrafast:bf=2:b-pyramid=0:crf=18" : "qscale=2",
                        .gop = 48,
                        .b_frames = 2,
                        .ticks_per_s = video.ticks_per_s,
                        .pts = video.pts}});
  }

  Manifest load(MediaKind media = MediaKind::kAny,
                std::optional<double> picture_fps = std::nullopt) const {
    DatasetOptions options{.type = "epic100",
                           .data_root = (folder_ / "root").string(),
                           .annotations = (folder_ / "annotations").string(),
                           .head = "noun",
                           .media = media,
                           .picture_fps = picture_fps};
    return load_dataset(options);
  }

  /// The frames with start <= time < stop, by the list of times alone.
  static std::vector<int> by_time(const Video& video, const Segment& segment) {
    std::vector<int> numbers;
    for (std::size_t n = 0; n < video.pts.size(); ++n) {
      const std::int64_t hundredfold = video.pts[n] * 100;
      if (hundredfold >= std::int64_t{segment.start_cs} * video.ticks_per_s &&
          hundredfold < std::int64_t{segment.stop_cs} * video.ticks_per_s) {
        numbers.push_back(static_cast<int>(n));
      }
    }
    return numbers;
  }

  void expect_by_time(const Manifest& manifest, const std::vector<Video>& videos) const {
    ASSERT_EQ(manifest.rows.size(), videos.size() * kSegments.size());
    for (std::size_t i = 0; i < manifest.rows.size(); ++i) {
      const ManifestRow& row = manifest.rows[i];
      SCOPED_TRACE(row.clip_id + ": " + row.media.path);
      ASSERT_FALSE(row.problem.has_value()) << row.problem->message;
      EXPECT_EQ(numbers_of(row.media),
                by_time(videos[i / kSegments.size()], kSegments[i % kSegments.size()]));
    }
  }

  TemporaryFolder folder_;
};

TEST_F(EpicCopy, IsReadFromVideosByTheTimes) {
  const std::vector<Video> videos{even("P01_11", 60, 1, 60), even("P01_101", 50, 1, 50),
                                  even("P09_07", 30000, 1001, 60), variable("P18_09")};
  write_annotations(videos);
  for (const Video& video : videos) {
    write_video(folder_ / "root" / video.id.substr(0, 3) / "videos" / (video.id + ".MP4"), video);
  }
  const Manifest manifest = load();
  EXPECT_EQ(manifest.class_name(manifest.rows[0]), "plate");
  EXPECT_THAT(manifest.notes[0], testing::HasSubstr("<participant>/videos/<clip>.MP4"));
  expect_by_time(manifest, videos);
}

TEST_F(EpicCopy, IsReadFromPiecesByTheTimes) {
  const std::vector<Video> videos{even("P01_11", 60, 1, 60)};
  write_annotations(videos);
  for (int second = 0; second < kLength_s; second += 15) {
    Video piece{.ticks_per_s = 60};
    for (std::int64_t pts = 0; pts < 15 * 60; ++pts) piece.pts.push_back(pts);
    const fs::path path = folder_ / "root/P01/P01_11.MP4" / fmt::format("{}.MP4", second);
    fs::create_directories(path.parent_path());
    write_media(path, {{.frames = 15 * 60,
                        .first_number = second * 60,
                        .encoder = "mpeg4",
                        .pixel_format = "yuv420p",
                        .options = "qscale=2",
                        .gop = 48,
                        .ticks_per_s = 60}});
  }
  expect_by_time(load(), videos);
}

TEST_F(EpicCopy, IsReadFromPicturesByTheFrameNumbers) {
  const std::vector<Video> videos{even("P01_11", 60, 1, 60), even("P01_101", 50, 1, 50)};
  write_annotations(videos);
  for (const Video& video : videos) {
    // Picture n shows n. The last segment ends behind the video, and is cut off there.
    const PictureSequence names{
        .prefix = "frame_", .digits = 10, .suffix = ".jpg", .first_number = 1};
    write_pictures(folder_ / "root" / video.id.substr(0, 3) / "rgb_frames" / video.id, names,
                   static_cast<int>(kLength_s) * video.picture_fps, 64, 48, 1);
  }
  const Manifest manifest = load(MediaKind::kPictures);
  ASSERT_EQ(manifest.rows.size(), videos.size() * kSegments.size());
  for (std::size_t i = 0; i < manifest.rows.size(); ++i) {
    const Segment& segment = kSegments[i % kSegments.size()];
    const int fps = videos[i / kSegments.size()].picture_fps;
    const int first = std::max(1, segment.start_cs * fps / 100);
    const int last = std::min(segment.stop_cs * fps / 100 - 1, static_cast<int>(kLength_s) * fps);
    SCOPED_TRACE(manifest.rows[i].clip_id);
    EXPECT_EQ(numbers_of(manifest.rows[i].media), counted(first, last));
    EXPECT_EQ(manifest.rows[i].media.pictures->fps, fps);
  }
}

TEST_F(EpicCopy, OfPicturesTakenAtAnotherRateIsReadByTheTimes) {
  const std::vector<Video> videos{even("P01_11", 60, 1, 60)};
  write_annotations(videos);
  const PictureSequence names{.prefix = "img_", .digits = 5, .suffix = ".jpg", .first_number = 0};
  write_pictures(folder_ / "root/P01_11", names, 30 * static_cast<int>(kLength_s));
  const Manifest manifest = load(MediaKind::kAny, 30);
  // 0.00 to 1.89 s at 30 a second: numbers 1 to 56 where one counts from 1, so 0 to 54 here, the
  // last one not read.
  EXPECT_EQ(numbers_of(manifest.rows[0].media), counted(0, 54));
}

}  // namespace
}  // namespace cfp::test
