// EPIC-KITCHENS-55 in each layout that it is around in: the releases of its videos and of its
// pictures, copies by others. Frames show their number; each segment must come out as the frames
// that the annotation means.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/program.h"
#include "tests/integration/published_copies.h"
#include "tests/support/test_data.h"

namespace cfp::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr int kFps = 60;
constexpr int kLength_s = 6;
const std::vector<std::string> kVideos{"P01_01", "P22_17"};

class Epic55Layout : public testing::Test {
 protected:
  Epic55Layout() {
    std::string train =
        "uid,participant_id,video_id,narration,start_timestamp,stop_timestamp,start_frame,"
        "stop_frame,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes\n";
    std::string test =
        "uid,participant_id,video_id,start_timestamp,stop_timestamp,start_frame,stop_frame\n";
    for (std::size_t v = 0; v < kVideos.size(); ++v) {
      const std::string place = fmt::format("{},{}", kVideos[v].substr(0, 3), kVideos[v]);
      // By the publisher's rule: seconds times 60, rounded down, and at least 1.
      train += fmt::format(
          "{0},{1},open door,00:00:00.00,00:00:01.89,1,113,open,1,door,0,['door'],[0]\n"
          "{2},{1},turn on tap,00:00:04.37,00:00:05.17,262,310,turn-on,0,\"tap\",1,"
          "\"['tap', 'door']\",\"[1, 0]\"\n",
          10 * v, place, 10 * v + 1);
      test += fmt::format("{},{},00:00:04.37,00:00:05.17,262,310\n", 100 + v, place);
    }
    write_text(annotations() / "EPIC_train_action_labels.csv", train);
    write_text(annotations() / "EPIC_test_s1_timestamps.csv", test);
    write_text(annotations() / "EPIC_test_s2_timestamps.csv", test);
    write_text(annotations() / "EPIC_verb_classes.csv",
               "verb_id,class_key,verbs\n0,turn-on,\"['turn-on', 'start']\"\n1,open,['open']\n");
    write_text(annotations() / "EPIC_noun_classes.csv",
               "noun_id,class_key,nouns\n0,door,['door']\n1,tap,['tap']\n");
  }

  fs::path root() const { return folder_ / "root"; }
  fs::path annotations() const { return folder_ / "annotations"; }

  static void write_video(const fs::path& path, int first_number = 0,
                          int frames = kLength_s * kFps) {
    fs::create_directories(path.parent_path());
    write_media(path, {{.frames = frames,
                        .first_number = first_number,
                        .encoder = "mpeg4",
                        .pixel_format = "yuv420p",
                        .options = "qscale=2",
                        .ticks_per_s = kFps}});
  }

  /// Pictures whose number is what they show, from 1.
  static void write_published_pictures(const fs::path& folder) {
    write_pictures(folder, {.prefix = "frame_", .digits = 10, .suffix = ".jpg", .first_number = 1},
                   kLength_s * kFps, 64, 48, 1);
  }

  Manifest load(const std::string& split = "train") const {
    return load_dataset({.type = "epic55",
                         .data_root = root().string(),
                         .annotations = annotations().string(),
                         .split = split,
                         .head = "action"});
  }

  /// What is loaded, if it is right.
  Manifest expect_segments(const std::vector<int>& of_first, const std::vector<int>& of_second) {
    Manifest manifest = load();
    EXPECT_EQ(manifest.rows.size(), 2 * kVideos.size());
    for (std::size_t i = 0; i < manifest.rows.size(); ++i) {
      const ManifestRow& row = manifest.rows[i];
      SCOPED_TRACE(row.clip_id + ": " + row.media.path);
      EXPECT_FALSE(row.problem.has_value()) << (row.problem ? row.problem->message : "");
      EXPECT_EQ(row.clip_id, std::to_string(10 * (i / 2) + i % 2));
      EXPECT_EQ(manifest.class_name(row), i % 2 == 0 ? "open door" : "turn-on tap");
      EXPECT_EQ(numbers_of(row.media), i % 2 == 0 ? of_first : of_second);
    }
    return manifest;
  }

  /// Videos: frame n is at n / 60 s; 4.37 s is behind frame 262, 5.17 s behind frame 310.
  Manifest expect_by_time() { return expect_segments(counted(0, 113), counted(263, 310)); }
  /// Pictures: from start_frame to before stop_frame.
  Manifest expect_by_number() { return expect_segments(counted(1, 112), counted(262, 309)); }

  const TemporaryFolder folder_;
};

TEST_F(Epic55Layout, OfTheFirstRelease) {
  for (const std::string& video : kVideos) {
    write_video(root() / "videos/train" / video.substr(0, 3) / (video + ".MP4"));
  }
  EXPECT_THAT(notes_of(expect_by_time()),
              HasSubstr("layout      4 x videos/train/<participant>/<clip>.MP4\n"));
}

TEST_F(Epic55Layout, OfTheDownloader) {
  for (const std::string& video : kVideos) {
    write_video(root() / "EPIC-KITCHENS" / video.substr(0, 3) / "videos" / (video + ".MP4"));
  }
  EXPECT_THAT(notes_of(expect_by_time()),
              HasSubstr("layout      4 x EPIC-KITCHENS/<participant>/videos/<clip>.MP4\n"));
}

TEST_F(Epic55Layout, OfFoldersOfParticipantsInAnotherCase) {
  for (const std::string& video : kVideos) {
    write_video(root() / video.substr(0, 3) / (video + ".mp4"));
  }
  EXPECT_THAT(notes_of(expect_by_time()), HasSubstr("layout      4 x <participant>/<clip>.mp4\n"));
}

TEST_F(Epic55Layout, OfPieces) {
  for (const std::string& video : kVideos) {
    const fs::path folder = root() / video.substr(0, 3) / (video + ".MP4");
    for (int second = 0; second < kLength_s; second += 2) {
      write_video(folder / fmt::format("{}.MP4", second), second * kFps, 2 * kFps);
    }
  }
  EXPECT_THAT(notes_of(expect_by_time()), HasSubstr("layout      4 x <participant>/<clip>.MP4/\n"));
}

TEST_F(Epic55Layout, OfThePicturesOfTheFirstRelease) {
  for (const std::string& video : kVideos) {
    write_published_pictures(root() / "frames_rgb_flow/rgb/train" / video.substr(0, 3) / video);
  }
  EXPECT_THAT(notes_of(expect_by_number()),
              HasSubstr("layout      4 x frames_rgb_flow/rgb/train/<participant>/<clip>/"
                        "frame_%010d.jpg from 1, 60 a second\n"));
}

TEST_F(Epic55Layout, OfThePicturesOfTheDownloader) {
  for (const std::string& video : kVideos) {
    write_published_pictures(root() / video.substr(0, 3) / "rgb_frames" / video);
  }
  EXPECT_THAT(
      notes_of(expect_by_number()),
      HasSubstr(
          "layout      4 x <participant>/rgb_frames/<clip>/frame_%010d.jpg from 1, 60 a second\n"));
}

TEST_F(Epic55Layout, OfTestVideosWhoseLabelsWereWithheld) {
  for (const std::string& video : kVideos) {
    write_video(root() / "videos/test" / video.substr(0, 3) / (video + ".MP4"));
  }
  for (const char* split : {"test_s1", "test_s2"}) {
    const Manifest manifest = load(split);
    ASSERT_EQ(manifest.rows.size(), kVideos.size());
    for (const ManifestRow& row : manifest.rows) {
      EXPECT_EQ(row.label, std::nullopt);
      EXPECT_EQ(numbers_of(row.media), counted(263, 310));
    }
  }
  fs::remove_all(root() / "videos/test/P22");
  EXPECT_THAT(load("test_s1").rows[1].problem->message,
              HasSubstr("root/videos/test/P22/P22_17.MP4: no such file"));
}

}  // namespace
}  // namespace cfp::test
