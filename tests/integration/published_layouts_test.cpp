// Copies of the published data sets in every layout that is around: each row of the annotation must
// come out as the frames that were generated for it.
#include <algorithm>

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

class PublishedLayout : public testing::Test {
 protected:
  fs::path root() const { return folder_ / "root"; }
  fs::path annotations() const { return folder_ / "annotations"; }

  /// Loads the data set and compares every row with its clip.
  Manifest expect_clips(DatasetOptions options, const std::vector<CopiedClip>& clips) {
    options.data_root = root().string();
    options.annotations = annotations().string();
    const Manifest manifest = load_dataset(options);
    EXPECT_EQ(manifest.rows.size(), clips.size());
    for (std::size_t i = 0; i < std::min(manifest.rows.size(), clips.size()); ++i) {
      const ManifestRow& row = manifest.rows[i];
      SCOPED_TRACE(row.clip_id + ": " + row.media.path);
      EXPECT_EQ(row.clip_id, clips[i].clip_id);
      EXPECT_EQ(manifest.class_name(row), clips[i].class_name);
      EXPECT_FALSE(row.problem.has_value()) << (row.problem ? row.problem->message : "");
      EXPECT_EQ(numbers_of(row.media),
                counted(clips[i].first_number, clips[i].first_number + kCopiedFrames - 1));
    }
    return manifest;
  }

  /// The clips as videos where `place` says.
  template <class Place>
  void write_clips(const std::vector<CopiedClip>& clips, const Place& place) const {
    for (const CopiedClip& clip : clips) write_clip(root() / place(clip), clip);
  }

  TemporaryFolder folder_;
};

// ---------------------------------------------------------------------------------- Kinetics

class KineticsLayout : public PublishedLayout {
 protected:
  KineticsLayout() {
    write_text(annotations() / "val.csv",
               "label,youtube_id,time_start,time_end,split,is_cc\n"
               "\"air drumming\",--nQbRBEz2s,104,114,val,0\n"
               "abseiling,_wR5jVB-WPk,417.0,427.0,val,0\n"
               "\"massaging person's head\",-huT_p-r_zA,1989,1999,val,0\n"
               "\"passing American football (in game)\",-b6gqj_mZOs,9,19,val,0\n"
               "abseiling,0000000train,1,11,train,0\n");
  }

  static std::string underscored(std::string name) {
    std::ranges::replace(name, ' ', '_');
    return name;
  }

  const std::vector<CopiedClip> clips_{
      {"--nQbRBEz2s_000104_000114", "air drumming", "--nQbRBEz2s_000104_000114", 10},
      {"_wR5jVB-WPk_000417_000427", "abseiling", "_wR5jVB-WPk_000417_000427", 30},
      {"-huT_p-r_zA_001989_001999", "massaging person's head", "-huT_p-r_zA_001989_001999", 50},
      {"-b6gqj_mZOs_000009_000019", "passing American football (in game)",
       "-b6gqj_mZOs_000009_000019", 70}};
  const DatasetOptions options_{.type = "kinetics400"};
};

TEST_F(KineticsLayout, OfTheCrawler) {
  write_clips(clips_, [](const CopiedClip& c) { return c.class_name + "/" + c.stem + ".mp4"; });
  const Manifest manifest = expect_clips(options_, clips_);
  EXPECT_THAT(notes_of(manifest), HasSubstr("layout      4 x <class>/<clip>.mp4\n"));
  EXPECT_THAT(manifest.class_names,
              testing::ElementsAre("abseiling", "air drumming", "massaging person's head",
                                   "passing American football (in game)"));
}

TEST_F(KineticsLayout, OfMMAction2AndMFNet) {
  write_clips(clips_, [](const CopiedClip& c) {
    return "val_avi-x256/" + underscored(c.class_name) + "/" + c.stem + ".avi";
  });
  EXPECT_THAT(notes_of(expect_clips(options_, clips_)),
              HasSubstr("layout      4 x val_avi-x256/<class>/<clip>.avi\n"));
}

TEST_F(KineticsLayout, OfCvdfWithReplacementsAndLinks) {
  write_clips(clips_, [](const CopiedClip& c) { return "k400/val/" + c.stem + ".mp4"; });
  // Class folders of links to the flat ones, as arrange_by_classes.py makes them.
  for (const CopiedClip& clip : clips_) {
    const fs::path link = root() / "videos/val" / clip.class_name / (clip.stem + ".mp4");
    fs::create_directories(link.parent_path());
    fs::create_symlink(root() / "k400/val" / (clip.stem + ".mp4"), link);
  }
  // Of a file that is known to be corrupt, the replacement is the clip.
  write_text(root() / "k400/val" / (clips_[0].stem + ".mp4"), "corrupt");
  write_clip(root() / "k400/replacement/replacement_for_corrupted_k400" / (clips_[0].stem + ".mp4"),
             clips_[0]);
  const Manifest manifest = expect_clips(options_, clips_);
  EXPECT_THAT(notes_of(manifest), HasSubstr("duplicate   0 with several files"));
}

TEST_F(KineticsLayout, OfBareIdsAndOddExtensions) {
  write_clip(root() / "--nQbRBEz2s.mp4", clips_[0]);
  write_clip(root() / "_wR5jVB-WPk.MKV", clips_[1]);
  write_clip(root() / "deep/er/-huT_p-r_zA_1989_1999.mp4", clips_[2]);
  if (has_encoder("libvpx")) {
    write_clip(root() / "-b6gqj_mZOs_000009_000019.webm", clips_[3]);
  } else {
    write_clip(root() / "-b6gqj_mZOs_000009_000019.mov", clips_[3]);
  }
  expect_clips(options_, clips_);
}

TEST_F(KineticsLayout, OfPictures) {
  for (const CopiedClip& clip : clips_) {
    const fs::path folder = root() / "jpg" / clip.class_name / clip.stem;
    write_clip_pictures(folder, clip, "image_", 5, 1);
    write_text(folder / "n_frames", "12");
  }
  EXPECT_THAT(notes_of(expect_clips(options_, clips_)),
              HasSubstr("layout      4 x jpg/<class>/<clip>/image_%05d.jpg from 1, 25 a second\n"));
}

TEST_F(KineticsLayout, OfRawframesBesideFlow) {
  for (const CopiedClip& clip : clips_) {
    const fs::path folder = root() / "rawframes_val" / underscored(clip.class_name) / clip.stem;
    write_clip_pictures(folder, clip, "img_", 5, 1);
    CopiedClip flow = clip;
    flow.first_number += 100;
    write_clip_pictures(folder, flow, "flow_x_", 5, 1);
    write_clip_pictures(folder, flow, "flow_y_", 5, 1);
  }
  expect_clips(options_, clips_);
}

TEST_F(KineticsLayout, OfKenshoharasJson) {
  write_text(folder_ / "kinetics.json",
             R"({"labels": ["air drumming", "abseiling"], "database": {
                 "--nQbRBEz2s_000104_000114": {"subset": "validation",
                   "annotations": {"label": "air drumming", "segment": [1, 13]}},
                 "_wR5jVB-WPk_000417_000427": {"subset": "validation",
                   "annotations": {"label": "abseiling", "segment": [1, 13]}},
                 "0000000test_000000_000010": {"subset": "testing", "annotations": {}}}})");
  const std::vector<CopiedClip> clips{clips_[0], clips_[1]};
  write_clip_pictures(root() / "jpg/air drumming" / clips[0].stem, clips[0], "image_", 5, 1);
  write_clip(root() / "abseiling" / (clips[1].stem + ".mp4"), clips[1]);
  DatasetOptions options = options_;
  options.data_root = root().string();
  options.annotations = (folder_ / "kinetics.json").string();
  const Manifest manifest = load_dataset(options);
  EXPECT_EQ(manifest.class_names, (std::vector<std::string>{"air drumming", "abseiling"}))
      << "the checkpoint's order";
  ASSERT_EQ(manifest.rows.size(), 2u);
  EXPECT_EQ(numbers_of(manifest.rows[0].media), counted(10, 21));
  EXPECT_EQ(numbers_of(manifest.rows[1].media), counted(30, 41));
  options.split = "test";
  const Manifest test = load_dataset(options);
  ASSERT_EQ(test.rows.size(), 1u);
  EXPECT_EQ(test.rows[0].label, std::nullopt);
}

// ------------------------------------------------------------------------------------ UCF-101

class Ucf101Layout : public PublishedLayout {
 protected:
  Ucf101Layout() {
    write_text(annotations() / "classInd.txt",
               "1 HammerThrow\r\n2 Hammering\r\n3 HandstandPushups\r\n");
    write_text(annotations() / "testlist02.txt",
               "Hammering/v_Hammering_g01_c01.avi\r\n"
               "HandstandPushups/v_HandStandPushups_g01_c01.avi\r\n");
    write_text(annotations() / "trainlist02.txt", "HammerThrow/v_HammerThrow_g08_c01.avi 1\r\n");
  }
  const std::vector<CopiedClip> clips_{
      {"v_Hammering_g01_c01", "Hammering", "v_Hammering_g01_c01", 5},
      {"v_HandStandPushups_g01_c01", "HandstandPushups", "v_HandStandPushups_g01_c01", 25}};
  const DatasetOptions options_{.type = "ucf101", .split_id = 2};
};

TEST_F(Ucf101Layout, OfTheArchiveAndItsMoves) {
  for (const std::string place : {"UCF-101", "videos", "raw/data"}) {
    write_clips(clips_, [&](const CopiedClip& c) {
      return place + "/" + c.class_name + "/" + c.stem + ".avi";
    });
    const Manifest manifest = expect_clips(options_, clips_);
    EXPECT_EQ(manifest.rows[0].label, 1) << "classInd's order, not that of bytes";
    fs::remove_all(root());
  }
}

TEST_F(Ucf101Layout, OfFilesThatAreSpeltLikeTheirClass) {
  write_clip(root() / "HandstandPushups/v_HandstandPushups_g01_c01.avi", clips_[1]);
  write_clip(root() / "Hammering/v_Hammering_g01_c01.mp4", clips_[0]);
  expect_clips(options_, clips_);
}

TEST_F(Ucf101Layout, OfPictures) {
  write_clip_pictures(root() / "jpg/Hammering" / clips_[0].stem, clips_[0], "image_", 5, 1);
  write_clip_pictures(root() / "rawframes/HandstandPushups" / clips_[1].stem, clips_[1], "img_", 5,
                      1, ".png");
  const Manifest manifest = expect_clips(options_, clips_);
  EXPECT_EQ(manifest.rows[0].media.pictures->fps, 25);
}

// ------------------------------------------------------------------------------------ HMDB-51

TEST_F(PublishedLayout, OfHmdb51WithItsHostileNames) {
  const std::vector<CopiedClip> clips{
      {"(Rad)Schlag_die_Bank!_cartwheel_f_cm_np1_le_med_0", "cartwheel",
       "(Rad)Schlag_die_Bank!_cartwheel_f_cm_np1_le_med_0", 1},
      {"Geena_und_die_Radschl_ge___;-)_cartwheel_f_cm_np1_fr_med_2", "cartwheel",
       "Geena_und_die_Radschl_ge___;-)_cartwheel_f_cm_np1_fr_med_2", 21},
      {"Goalkeeper_Training_Day_#_2_catch_f_cm_np1_ba_bad_3", "catch",
       "Goalkeeper_Training_Day_#_2_catch_f_cm_np1_ba_bad_3", 41},
      {"Goal_1_&_2_kick_ball_f_cm_np1_fr_goo_2", "kick_ball",
       "Goal_1_&_2_kick_ball_f_cm_np1_fr_goo_2", 61},
      {"file:[x]~@+1_wave_f_cm_np1_fr_goo_2", "wave", "file:[x]~@+1_wave_f_cm_np1_fr_goo_2", 81}};
  std::map<std::string, std::string> lists;
  for (int i = 0; i < 47; ++i) lists[fmt::format("z{:02}", i)] = "";  // 51 files there must be
  for (const CopiedClip& clip : clips) lists[clip.class_name] += clip.stem + ".avi 2 \n";
  lists["cartwheel"] += "a_cartwheel_0.avi 1 \nb_cartwheel_0.avi 0 \n";
  lists["brush_hair"] = lists.extract("z46").mapped();
  for (const auto& [name, text] : lists) {
    write_text(annotations() / (name + "_test_split1.txt"), text);
  }
  write_clips(clips, [](const CopiedClip& c) {
    return "hmdb51_org/" + c.class_name + "/" + c.stem + ".avi";
  });
  const Manifest manifest = expect_clips({.type = "hmdb51"}, clips);
  EXPECT_EQ(manifest.class_names.size(), 51u);

  fs::remove_all(root());
  for (const CopiedClip& clip : clips) {
    write_clip_pictures(root() / "jpg" / clip.class_name / clip.stem, clip, "image_", 5, 1);
  }
  expect_clips({.type = "hmdb51"}, clips);
}

// ------------------------------------------------------------------------------------ EGTEA

class EgteaLayout : public PublishedLayout {
 protected:
  EgteaLayout() {
    write_text(annotations() / "action_idx.txt", "Inspect/Read recipe 1\nOpen fridge 2\n");
    write_text(annotations() / "verb_idx.txt", "Inspect/Read 1\nOpen 2\n");
    write_text(annotations() / "noun_idx.txt", "recipe 1\nfridge 2\n");
    write_text(annotations() / "test_split1.txt",
               "P04-R06-GreekSalad-2000-2300-F000049-F000060 1 1 1\n"
               "OP01-R01-PastaSalad-4000-4100-F000097-F000108 2 2 2 1\n");
  }
  const std::vector<CopiedClip> clips_{
      {"P04-R06-GreekSalad-2000-2300-F000049-F000060", "Inspect/Read recipe",
       "P04-R06-GreekSalad-2000-2300-F000049-F000060", 48},
      {"OP01-R01-PastaSalad-4000-4100-F000097-F000108", "Open fridge",
       "OP01-R01-PastaSalad-4000-4100-F000097-F000108", 96}};
  const DatasetOptions options_{.type = "egtea"};
};

TEST_F(EgteaLayout, OfTrimmedClips) {
  write_clips(clips_, [](const CopiedClip& c) {
    return "cropped_clips/" + c.stem.substr(0, c.stem.find("-F") - 10) + "/" + c.stem + ".mp4";
  });
  expect_clips(options_, clips_);
}

TEST_F(EgteaLayout, OfAReleaseWithOtherFrameFields) {
  write_clip(root() / "P04-R06-GreekSalad-2000-2300-F000047-F000063.mp4", clips_[0]);
  write_clip(root() / "OP01-R01-PastaSalad-4000-4100-F000099-F000108.mp4", clips_[1]);
  expect_clips(options_, clips_);
}

TEST_F(EgteaLayout, OfWholeSessions) {
  for (const char* session : {"P04-R06-GreekSalad", "OP01-R01-PastaSalad"}) {
    fs::create_directories(root() / "Raw_Videos");
    write_media(root() / "Raw_Videos" / (std::string(session) + ".mp4"),
                {{.frames = 150,
                  .encoder = "mpeg4",
                  .pixel_format = "yuv420p",
                  .options = "qscale=2",
                  .ticks_per_s = 24}});
  }
  // F000049 counts from 1: the frame that shows 48, and so on up to F000060.
  expect_clips(options_, clips_);
}

TEST_F(EgteaLayout, OfWholeSessionsInPicturesAtAnotherRate) {
  // Picture n, from 1, is at (n - 1) / 12 s and shows n - 1.
  for (const char* session : {"P04-R06-GreekSalad", "OP01-R01-PastaSalad"}) {
    const PictureSequence names{.prefix = "img_", .digits = 5, .suffix = ".jpg"};
    write_pictures(root() / session, names, 75);
  }
  const Manifest manifest = load_dataset({.type = "egtea",
                                          .data_root = root().string(),
                                          .annotations = annotations().string(),
                                          .picture_fps = 12});
  ASSERT_EQ(manifest.rows.size(), 2u);
  EXPECT_EQ(numbers_of(manifest.rows[0].media), counted(24, 29)) << "2.0 s to before 2.5 s";
  EXPECT_EQ(numbers_of(manifest.rows[1].media), counted(48, 53)) << "4.0 s to before 4.5 s";
}

TEST_F(EgteaLayout, OfExtractedFrames) {
  write_clip_pictures(root() / "P04-R06-GreekSalad" / clips_[0].stem, clips_[0], "", 6, 0);
  write_clip_pictures(root() / "OP01-R01-PastaSalad" / clips_[1].stem, clips_[1], "", 4, 0, ".png");
  expect_clips(options_, clips_);
}

// ---------------------------------------------------------------------- lists of other projects

TEST_F(PublishedLayout, OfListsWithOtherFoldersAndExtensions) {
  const CopiedClip clip{"x", "", "0wR5jVB-WPk_000417_000427", 7};
  write_clip(root() / "val_avi-x256/abseiling" / (clip.stem + ".avi"), clip);
  write_text(folder_ / "mfnet.txt", "0 3 abseiling/0wR5jVB-WPk_000417_000427.mp4");
  const Manifest manifest = load_dataset(
      {.type = "list", .data_root = root().string(), .file = (folder_ / "mfnet.txt").string()});
  EXPECT_EQ(manifest.rows[0].label, 3);
  EXPECT_EQ(numbers_of(manifest.rows[0].media), counted(7, 18));
}

TEST_F(PublishedLayout, OfListsWithTimesOverPictures) {
  const PictureSequence names{.prefix = "image_", .digits = 5, .suffix = ".jpg"};
  write_pictures(root() / "jpg/long", names, 100);
  write_text(folder_ / "list.csv", "path,label,start,end\nvideos/long.mp4,3,2,2.4\n");
  const Manifest manifest = load_dataset({.type = "list",
                                          .data_root = root().string(),
                                          .file = (folder_ / "list.csv").string(),
                                          .picture_fps = 10});
  EXPECT_EQ(numbers_of(manifest.rows[0].media), counted(20, 23));
}

TEST_F(PublishedLayout, OfRawframesLists) {
  const CopiedClip clip{"x", "", "some clip", 7};
  write_clip_pictures(root() / "abseiling/some clip", clip, "img_", 5, 1);
  write_text(folder_ / "rawframes.txt", "abseiling/some clip 10 3\n");
  const Manifest manifest = load_dataset(
      {.type = "list", .data_root = root().string(), .file = (folder_ / "rawframes.txt").string()});
  EXPECT_EQ(manifest.rows[0].label, 3);
  EXPECT_EQ(numbers_of(manifest.rows[0].media), counted(7, 16)) << "10 pictures, says the list";
}

}  // namespace
}  // namespace cfp::test
