#include "datasets/media_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/core/errors.h"
#include "tests/unit/datasets/support.h"

namespace cfp {
namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;
using test::write_file;
using testing::ElementsAre;
using testing::IsEmpty;

class FindMedia : public testing::Test {
 protected:
  void put(const std::string& name) { write_file(folder_ / name, "x"); }
  void put_pictures(const std::string& folder, const std::string& prefix, int digits, int first,
                    int last, const std::string& suffix = ".jpg") {
    for (int n = first; n <= last; ++n) {
      std::string number = std::to_string(n);
      if (static_cast<int>(number.size()) < digits) {
        number.insert(0, static_cast<std::size_t>(digits) - number.size(), '0');
      }
      put(folder + "/" + prefix + number + suffix);
    }
  }
  MediaTree find() const { return find_media(folder_.path()); }

  TemporaryFolder folder_;
};

TEST_F(FindMedia, TellsHowPicturesAreCalledAndWhereTheyBegin) {
  put_pictures("epic", "frame_", 10, 1, 200);
  put_pictures("zero", "", 6, 0, 3, ".PNG");
  put_pictures("plain", "img", 0, 8, 11);  // img8, img9, img10: not filled up
  put_pictures("late", "f", 4, 500, 700);
  const auto folders = find().picture_folders;
  ASSERT_EQ(folders.size(), 4u);
  EXPECT_EQ(folders[0].pictures,
            (PictureSequence{.prefix = "frame_", .digits = 10, .suffix = ".jpg"}));
  EXPECT_EQ(folders[1].pictures.first_number, 500) << "whatever the folder gives first";
  EXPECT_EQ(folders[1].pictures.digits, 4);
  EXPECT_EQ(folders[2].pictures,
            (PictureSequence{.prefix = "img", .digits = 0, .suffix = ".jpg", .first_number = 8}));
  EXPECT_EQ(folders[3].pictures,
            (PictureSequence{.prefix = "", .digits = 6, .suffix = ".PNG", .first_number = 0}));
}

TEST_F(FindMedia, TellsTheWidthOfNumbersThatOutgrowTheirZeros) {
  put_pictures("f", "f_", 3, 998, 1002);
  put_pictures("g", "g_", 3, 98, 1002);
  const auto folders = find().picture_folders;
  ASSERT_EQ(folders.size(), 2u);
  EXPECT_EQ(folders[0].pictures,
            (PictureSequence{.prefix = "f_", .digits = 0, .suffix = ".jpg", .first_number = 998}));
  EXPECT_EQ(folders[1].pictures,
            (PictureSequence{.prefix = "g_", .digits = 3, .suffix = ".jpg", .first_number = 98}));
}

TEST_F(FindMedia, TakesNumbersThatAManifestCanHold) {
  put("high/img_999999999999.jpg");
  put("dates/img_20190101123456.jpg");
  const MediaTree tree = find();
  ASSERT_EQ(tree.picture_folders.size(), 1u);
  EXPECT_EQ(tree.picture_folders[0].path, "high");
  EXPECT_EQ(tree.picture_folders[0].pictures.first_number, kMaxPictureNumber);
  EXPECT_EQ(tree.other_files, 1);
}

TEST_F(FindMedia, FindsTheSameInWhateverOrderAFolderIsListed) {
  // File systems list the newest first, the oldest first, or by a hash.
  constexpr int kMany = 100;
  for (const bool videos_first : {false, true}) {
    SCOPED_TRACE(videos_first);
    for (const bool videos : {videos_first, !videos_first}) {
      for (int n = 0; n < kMany; ++n) {
        put("class/clip_" + std::to_string(n) + (videos ? ".mp4" : ".jpg"));
      }
    }
    const auto put_last = [&](const std::string& folder, const std::string& odd_one) {
      if (videos_first) put(folder + odd_one);
      put_pictures(folder, "img_", 5, 1, kMany);
      if (!videos_first) put(folder + odd_one);
    };
    put_last("with folder", "/inner/a.avi");
    put_last("two kinds", "/image_00001.jpg");
    put_last("flow", "/flow_x_00001.jpg");
    const MediaTree tree = find();
    EXPECT_EQ(tree.files.size(), kMany + 1u);
    ASSERT_EQ(tree.picture_folders.size(), 1u);
    EXPECT_EQ(tree.picture_folders[0].path, "flow");
    EXPECT_EQ(tree.other_files, kMany + kMany + (kMany + 1) + 1);
    fs::remove_all(folder_ / "class");
    for (const char* folder : {"with folder", "two kinds", "flow"})
      fs::remove_all(folder_ / folder);
  }
}

TEST_F(FindMedia, TakesPicturesThatAreLinks) {
  put_pictures("elsewhere", "img_", 5, 1, 200);
  fs::create_directories(folder_ / "links");
  for (const auto& entry : fs::directory_iterator(folder_ / "elsewhere")) {
    fs::create_symlink(entry.path(), folder_ / "links" / entry.path().filename());
  }
  const auto folders = find().picture_folders;
  ASSERT_EQ(folders.size(), 2u);
  EXPECT_EQ(folders[0].pictures, folders[1].pictures);
}

TEST(PictureNames, AreStatedAsAPattern) {
  EXPECT_EQ(picture_names_text({.prefix = "img_", .digits = 5, .suffix = ".jpg", .fps = 29.97}),
            "img_%05d.jpg from 1, 29.97 a second");
  EXPECT_EQ(picture_names_text({.prefix = "f", .suffix = ".png", .first_number = 8, .fps = 12}),
            "f%d.png from 8, 12 a second");
}

TEST_F(FindMedia, TellsOfOneFolderAlone) {
  put_pictures("outer/clip", "img_", 5, 1, 3);
  EXPECT_EQ(pictures_of(folder_ / "outer/clip"),
            (PictureSequence{.prefix = "img_", .digits = 5, .suffix = ".jpg", .first_number = 1}));
  EXPECT_EQ(pictures_of(folder_ / "outer"), std::nullopt);
  EXPECT_EQ(pictures_of(folder_ / "outer/clip/img_00001.jpg"), std::nullopt);
  EXPECT_EQ(pictures_of(folder_ / "gone"), std::nullopt);
}

TEST_F(FindMedia, TakesPicturesBesideOtherMediaForThumbnails) {
  put("clips/a.mp4");
  put("clips/a_000417_000427.jpg");
  put("clips/b_000001_000011.jpg");
  put("with folders/img_1.jpg");
  put("with folders/sub/c.avi");
  put("two kinds/img_1.jpg");
  put("two kinds/image_1.jpg");
  const MediaTree tree = find();
  EXPECT_THAT(tree.picture_folders, IsEmpty());
  EXPECT_THAT(tree.files, ElementsAre("clips/a.mp4", "with folders/sub/c.avi"));
  EXPECT_EQ(tree.other_files, 5);
}

TEST_F(FindMedia, TellsPiecesFromFoldersThatAreOnlyCalledLikeAVideo) {
  put("P01/P01_01.MP4/0.MP4");
  put("P01/P01_01.MP4/15.MP4");
  put("nested.avi/nested.avi");
  fs::create_directories(folder_ / "empty.avi");
  const MediaTree tree = find();
  EXPECT_THAT(tree.piece_folders, ElementsAre("P01/P01_01.MP4"));
  EXPECT_THAT(tree.files, ElementsAre("nested.avi/nested.avi"));
  EXPECT_THAT(tree.file_like_folders, ElementsAre("empty.avi", "nested.avi"));
}

TEST_F(FindMedia, CountsWhatItDoesNotOpen) {
  put("P01_01.tar");
  put("clips/x.hdf5");
  put("readme.txt");
  const MediaTree tree = find();
  EXPECT_EQ(tree.other_files, 3);
  EXPECT_EQ(tree.archives, 2);
}

TEST_F(FindMedia, EndsInLoopsOfLinks) {
  put("a/b/c.mp4");
  fs::create_directory_symlink(folder_.path(), folder_ / "a/b/up");
  fs::create_directory_symlink(folder_ / "a", folder_ / "again");
  const MediaTree tree = find();
  EXPECT_EQ(tree.files.size(), 1u);
  EXPECT_EQ(tree.repeated_folders, 2);
}

}  // namespace
}  // namespace cfp
