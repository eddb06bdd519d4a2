#include "datasets/folder_dataset.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "datasets/media_files.h"
#include "stages/core/errors.h"
#include "tests/unit/datasets/support.h"

namespace cfp {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::TemporaryFolder;
using test::write_file;
using testing::ElementsAre;
using testing::HasSubstr;

class FolderDataset : public testing::Test {
 protected:
  void touch(const std::string& name) { write_file(folder_ / name, "x"); }
  Manifest load(const std::string& class_names = "") {
    return load_dataset(
        {.type = "folder", .data_root = folder_.path().string(), .class_names = class_names});
  }
  static std::vector<std::string> ids(const Manifest& manifest) {
    std::vector<std::string> all;
    for (const ClipRequest& row : manifest.rows) all.push_back(row.clip_id);
    return all;
  }
  static std::vector<std::optional<int>> labels(const Manifest& manifest) {
    std::vector<std::optional<int>> all;
    for (const ClipRequest& row : manifest.rows) all.push_back(row.label);
    return all;
  }

  TemporaryFolder folder_;
};

TEST_F(FolderDataset, TakesFoldersAsClassesInByteOrder) {
  for (const char* name : {"walk/b.mp4", "walk/a.AVI", "Jump/deep/er/c.mkv", "empty/readme.txt",
                           "walk/notes.txt", "(Rad)#1 & ;-)/x [1].webm"}) {
    touch(name);
  }
  const Manifest manifest = load();
  EXPECT_THAT(manifest.class_names, ElementsAre("(Rad)#1 & ;-)", "Jump", "empty", "walk"));
  EXPECT_THAT(ids(manifest), ElementsAre("(Rad)#1 & ;-)/x [1].webm", "Jump/deep/er/c.mkv",
                                         "walk/a.AVI", "walk/b.mp4"));
  EXPECT_THAT(labels(manifest), ElementsAre(0, 1, 3, 3));
  EXPECT_EQ(manifest.rows[2].media.path, (folder_ / "walk/a.AVI").string());
  EXPECT_EQ(manifest.rows[3].row, 3);
  EXPECT_THAT(manifest.provenance, HasSubstr("4 clips in 4 class folders, 2 other files"));
}

TEST_F(FolderDataset, LeavesFilesOfTheRootUnlabelled) {
  touch("b.mp4");
  touch("walk/a.mp4");
  const Manifest manifest = load();
  EXPECT_THAT(labels(manifest), ElementsAre(std::nullopt, 0));
  EXPECT_THAT(manifest.provenance, HasSubstr("1 without a label"));
}

TEST_F(FolderDataset, TakesTheOrderOfAClassNamesFile) {
  touch("air_drumming/a.mp4");
  touch("Abseiling/b.mp4");
  const fs::path names = write_file(folder_ / "names.txt", "zumba\nair drumming\nabseiling\n");
  const Manifest manifest = load(names.string());
  EXPECT_THAT(manifest.class_names, ElementsAre("zumba", "air drumming", "abseiling"));
  EXPECT_THAT(labels(manifest), ElementsAre(2, 1));
  touch("abseling/c.mp4");
  EXPECT_THAT(message_of<ConfigError>([&] { load(names.string()); }),
              HasSubstr("'abseling' (did you mean 'abseiling'?)"));
}

TEST_F(FolderDataset, FollowsLinksButEndsInLoops) {
  touch("walk/a.mp4");
  const TemporaryFolder elsewhere;
  write_file(elsewhere / "far.mp4", "x");
  fs::create_directory_symlink(elsewhere.path(), folder_ / "linked class");
  fs::create_directory_symlink(folder_.path(), folder_ / "walk/up");
  fs::create_directory_symlink(folder_ / "walk", folder_ / "walk/self");
  fs::create_symlink(folder_ / "gone.mp4", folder_ / "walk/broken.mp4");
  fs::create_symlink(folder_ / "walk/circle.mp4", folder_ / "walk/circle.mp4");
  const Manifest manifest = load();
  EXPECT_THAT(ids(manifest), ElementsAre("linked class/far.mp4", "walk/a.mp4", "walk/broken.mp4",
                                         "walk/circle.mp4"));
  EXPECT_THAT(manifest.provenance, HasSubstr("2 links to folders met before"));
}

TEST_F(FolderDataset, PassesOverHiddenFilesAndPipes) {
  for (const char* name : {"walk/a.mp4", "walk/._a.mp4", ".cache/b.mp4", "walk/.mp4"}) touch(name);
  ASSERT_EQ(mkfifo((folder_ / "walk/pipe.mp4").c_str(), 0600), 0);
  EXPECT_THAT(ids(load()), ElementsAre("walk/a.mp4"));
}

TEST_F(FolderDataset, VisitsVeryDeepFolders) {
  std::string deep = "walk";
  for (int i = 0; i < 500; ++i) deep += "/d";
  touch(deep + "/a.mp4");
  EXPECT_THAT(ids(load()), ElementsAre(deep + "/a.mp4"));
}

TEST_F(FolderDataset, SaysWhatIsWrongWithTheRoot) {
  EXPECT_THAT(message_of<ConfigError>([&] { load(); }), HasSubstr("no media file in it or below"));
  touch("a.mp4");
  const auto refusal = [](const std::string& root) {
    return message_of<ConfigError>([&] { load_dataset({.type = "folder", .data_root = root}); });
  };
  EXPECT_THAT(refusal((folder_ / "none").string()), HasSubstr("none: no such folder"));
  EXPECT_THAT(refusal((folder_ / "a.mp4").string()), HasSubstr("is no folder"));
  EXPECT_THAT(refusal(""), HasSubstr("needs data_root"));
}

TEST_F(FolderDataset, FindsTheRealClips) {
  const fs::path clips = test::test_data() / "clips";
  CFP_SKIP_WITHOUT(clips);
  const Manifest manifest = load_dataset({.type = "folder", .data_root = clips.string()});
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator(clips)) files += entry.is_regular_file() ? 1 : 0;
  EXPECT_EQ(manifest.rows.size(), files) << "every file there is a clip, broken ones too";
}

TEST(MediaFiles, KnowsExtensionsInEitherCase) {
  for (const char* name : {"a.mp4", "P01_01.MP4", "x.y.WebM", "v.avi", "a.mov", "b.mkv", "c.y4m"}) {
    EXPECT_TRUE(has_media_extension(name)) << name;
  }
  for (const char* name : {"a.txt", "mp4", "a.mp4.part", "a.", "", "a.jpg"}) {
    EXPECT_FALSE(has_media_extension(name)) << name;
  }
}

}  // namespace
}  // namespace cfp
