#include "datasets/moving_shapes_files.h"

#include <array>
#include <cmath>
#include <numeric>
#include <thread>

#include <gmock/gmock.h>

#include "datasets/dataset.h"
#include "stages/core/errors.h"
#include "tests/unit/datasets/support.h"

namespace cfp {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::output_of;
using test::TemporaryFolder;
using test::write_file;
using testing::HasSubstr;

const MovingShapesOptions kOptions{.count = 12, .seed = 3, .split = "test"};

std::vector<std::int64_t> all_clips() {
  std::vector<std::int64_t> indices(kOptions.count);
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(MovingShapesFiles, HoldTheFramesThatWereDrawn) {
  const TemporaryFolder folder;
  const Manifest manifest = load_dataset(
      {.type = "moving_shapes", .data_root = folder.path().string(), .moving_shapes = kOptions});
  ASSERT_EQ(manifest.rows.size(), 12u);
  EXPECT_THAT(manifest.provenance, HasSubstr("12 clips made now"));
  if (output_of("ffprobe -version").empty()) GTEST_SKIP() << "needs ffprobe and ffmpeg";
  for (const ClipRequest& row : manifest.rows) {
    const std::string file = "'" + row.media.path + "'";
    EXPECT_EQ(output_of("ffprobe -v error -count_frames -select_streams v -show_entries "
                        "stream=nb_read_frames,width,height,avg_frame_rate -of csv=p=0 " +
                        file),
              "64,64,25/1,16\n");
    const std::string rgb =
        output_of("ffmpeg -v error -i " + file + " -f rawvideo -pix_fmt rgb24 -");
    const Frames drawn = render_moving_shapes(kOptions, row.row);
    ASSERT_EQ(rgb.size(), drawn.rgb_thwc.size());
    double squares = 0;
    for (std::size_t i = 0; i < rgb.size(); ++i) {
      const double difference = static_cast<std::uint8_t>(rgb[i]) - int{drawn.rgb_thwc[i]};
      squares += difference * difference;
    }
    // Colour planes of half the size blur the shapes' edges; the rest is nearly lossless at CRF 18.
    // Another clip's frames would differ by 40 or more.
    EXPECT_LT(std::sqrt(squares / static_cast<double>(rgb.size())), 10) << row.clip_id;
  }
}

TEST(MovingShapesFiles, AreNamedAfterIndexAndClass) {
  const Manifest manifest = moving_shapes_manifest(kOptions, "/cache");
  EXPECT_EQ(manifest.rows[10].clip_id, "test_00010_translate_left");
  EXPECT_EQ(manifest.rows[10].media.path, "/cache/test_16x64_seed3/test_00010_translate_left.mp4");
  EXPECT_EQ(manifest.rows[10].label, 0);
  EXPECT_EQ(manifest.class_name(manifest.rows[9]), "still ring");
  for (const ClipRequest& row : manifest.rows) {
    EXPECT_EQ(moving_shapes_index(kOptions, row.clip_id), row.row);
  }
  for (const char* id : {"", "test", "test_", "test_00010", "test_00010_rotate",
                         "train_00000_translate_left", "test_00012_translate_up", "test_-1_rotate",
                         "test_0_translate_left", "test_99999999999999999999_rotate"}) {
    EXPECT_THAT(message_of<ConfigError>([&] { moving_shapes_index(kOptions, id); }),
                HasSubstr("is no clip of moving_shapes"));
  }
}

TEST(MovingShapesFiles, AreMadeOnceAndAgainWhereMissing) {
  const TemporaryFolder folder;
  EXPECT_EQ(make_moving_shapes_files(kOptions, folder.path(), {0, 1, 2}), 3);
  EXPECT_EQ(make_moving_shapes_files(kOptions, folder.path(), {0, 1, 2}), 0);
  EXPECT_EQ(make_moving_shapes_files(kOptions, folder.path(), {1, 2, 3}), 1);
  const fs::path clip = moving_shapes_manifest(kOptions, folder.path()).rows[1].media.path;
  fs::remove(clip);
  EXPECT_EQ(make_moving_shapes_files(kOptions, folder.path(), {0, 1, 2}), 1);
  EXPECT_GT(fs::file_size(clip), 0u);
  write_file(clip, "");
  EXPECT_EQ(make_moving_shapes_files(kOptions, folder.path(), {0, 1, 2}), 1);
}

TEST(MovingShapesFiles, AreMadeAnewWhenTheStampIsAnother) {
  const TemporaryFolder folder;
  const fs::path cache = moving_shapes_folder(kOptions, folder.path());
  make_moving_shapes_files(kOptions, folder.path(), {0, 1});
  const std::string stamp = read_file(cache / "stamp.txt");
  EXPECT_THAT(stamp, HasSubstr("version " + std::to_string(kMovingShapesVersion)));
  write_file(cache / "mine.mp4", "not the program's");
  for (const std::string& other : {std::string("version 0\n"), std::string()}) {
    write_file(cache / "stamp.txt", other);
    EXPECT_EQ(make_moving_shapes_files(kOptions, folder.path(), {0}), 1);
    EXPECT_EQ(read_file(cache / "stamp.txt"), stamp);
    EXPECT_FALSE(fs::exists(cache / "test_00001_translate_right.mp4")) << "an old clip is left";
    EXPECT_TRUE(fs::exists(cache / "mine.mp4")) << "a file that the program did not make is gone";
  }
}

TEST(MovingShapesFiles, AreMadeOnceByTwoAtATime) {
  const TemporaryFolder folder;
  std::array<std::int64_t, 4> made{};
  {
    std::vector<std::jthread> threads;
    for (std::int64_t& count : made) {
      threads.emplace_back(
          [&] { count = make_moving_shapes_files(kOptions, folder.path(), all_clips()); });
    }
  }
  EXPECT_EQ(std::accumulate(made.begin(), made.end(), std::int64_t{0}), kOptions.count);
}

TEST(MovingShapesFiles, AreMadeForSelectedRowsOnly) {
  const TemporaryFolder folder;
  const Manifest manifest = load_dataset({.type = "moving_shapes",
                                          .data_root = folder.path().string(),
                                          .moving_shapes = kOptions,
                                          .select = {.classes = {"blink", "grow"}}});
  EXPECT_EQ(manifest.rows.size(), 2u);
  EXPECT_THAT(manifest.provenance, HasSubstr("2 of them selected, 2 clips made now"));
}

TEST(MovingShapesFiles, SayWhereTheyCannotBeWritten) {
  const TemporaryFolder folder;
  const fs::path file = write_file(folder / "file", "x");
  EXPECT_THAT(message_of<SystemError>([&] { make_moving_shapes_files(kOptions, file, {0}); }),
              HasSubstr("moving_shapes clips cannot be made in"));
  EXPECT_THAT(message_of<ConfigError>([] { load_dataset({.type = "moving_shapes"}); }),
              HasSubstr("needs data_root"));
}

}  // namespace
}  // namespace cfp
