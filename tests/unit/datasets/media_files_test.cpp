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
