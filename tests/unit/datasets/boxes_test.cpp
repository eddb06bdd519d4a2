#include "datasets/boxes.h"

#include <algorithm>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "datasets/moving_shapes.h"
#include "stages/core/errors.h"
#include "tests/unit/datasets/support.h"

namespace cfp {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::output_of;
using test::TemporaryFolder;
using test::write_file;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;
using testing::Pair;

constexpr std::string_view kPng = "\x89PNG\r\n\x1a\n";

class Boxes : public testing::Test {
 protected:
  BoxFile read(std::string_view bytes) { return read_boxes(write_file(folder_ / "a.csv", bytes)); }
  std::string refusal(std::string_view bytes) {
    return message_of<ConfigError>([&] { read(bytes); });
  }
  std::string refusal_of_row(std::string_view row) {
    return refusal(fmt::format("frame,x1_px,y1_px,x2_px,y2_px,score,track\n{}\n", row));
  }

  TemporaryFolder folder_;
};

TEST_F(Boxes, AreReadByClipInTheOrderOfTime) {
  const BoxFile file = read(
      "clip_id,frame,x1_px,y1_px,x2_px,y2_px,label,score,track\r\n"
      "b,7,1,2,3,4,\"pan, hot\",0.5,2\r\n"
      "a,3,-1.5,0,3,4,,,\r\n"
      "b,2,5,6,7,8,cup,-3,0\r\n"
      "b,7,0,0,9,9,,,\r\n");
  EXPECT_EQ(file.unit, BoxUnit::kPixels);
  ASSERT_THAT(file.boxes_from_clip, ElementsAre(Key("a"), Key("b")));
  EXPECT_THAT(file.boxes_from_clip.at("a"), ElementsAre(Box{3, {}, -1.5, 0, 3, 4, "", {}, {}}));
  EXPECT_THAT(file.boxes_from_clip.at("b"), ElementsAre(Box{2, {}, 5, 6, 7, 8, "cup", -3, 0},
                                                        Box{7, {}, 1, 2, 3, 4, "pan, hot", 0.5, 2},
                                                        Box{7, {}, 0, 0, 9, 9, "", {}, {}}));
}

TEST_F(Boxes, MayBeOfOneClipInSecondsAndRelative) {
  const BoxFile file =
      read("x2_rel,y2_rel,x1_rel,y1_rel,time_s\n1,1,0,0,2.5\n0.75,0.5,0.5,0.25,0\n");
  EXPECT_EQ(file.unit, BoxUnit::kRelative);
  EXPECT_THAT(file.boxes_from_clip,
              ElementsAre(Pair("", ElementsAre(Box{{}, 0.0, 0.5, 0.25, 0.75, 0.5, "", {}, {}},
                                               Box{{}, 2.5, 0, 0, 1, 1, "", {}, {}}))));
  EXPECT_THAT(read("frame,x1_px,y1_px,x2_px,y2_px\n").boxes_from_clip, IsEmpty());
}

TEST_F(Boxes, MustSayWhatTheirNumbersMean) {
  EXPECT_THAT(refusal("frame,x1,y1,x2,y2\n"), HasSubstr("a.csv:1: no column of boxes is called"));
  EXPECT_THAT(refusal("frame,label\n"), HasSubstr("(parts of the picture) are needed"));
  EXPECT_THAT(refusal("frame,x1_px,y1_px,x2_px,y2_rel\n"), HasSubstr("and not both"));
  EXPECT_THAT(refusal("frame,x1_px,y1_px,x2_px\n"), HasSubstr("the column 'y2_px' is missing"));
  EXPECT_THAT(refusal("x1_px,y1_px,x2_px,y2_px\n"), HasSubstr("'frame' or a column 'time_s'"));
  EXPECT_THAT(refusal("frame,time_s,x1_px,y1_px,x2_px,y2_px\n"), HasSubstr("and not both"));
  EXPECT_THAT(refusal("frame,frame,x1_px,y1_px,x2_px,y2_px\n"), HasSubstr("two columns"));
  EXPECT_THAT(refusal(""), HasSubstr("a.csv: is empty"));
}

TEST_F(Boxes, RefuseValuesThatCannotBeMeant) {
  EXPECT_THAT(refusal_of_row("1,2,3,4,5"), HasSubstr("a.csv:2: 5 fields"));
  for (const char* frame : {"", "-1", "1.5", "1e3", "1000000000", "99999999999999999999"}) {
    EXPECT_THAT(refusal_of_row(fmt::format("{},1,2,3,4,,", frame)),
                HasSubstr("is no whole number of 0..999999999"));
  }
  for (const char* x : {"", "nan", "inf", "-inf", "1e999", "1e7", "left"}) {
    EXPECT_THAT(refusal_of_row(fmt::format("1,{},2,3,4,,", x)), HasSubstr("a.csv:2: x1_px '"));
  }
  EXPECT_THAT(refusal_of_row("1,3,2,3,4,,"), HasSubstr("has no area"));
  EXPECT_THAT(refusal_of_row("1,1,5,3,4,,"), HasSubstr("has no area"));
  EXPECT_THAT(refusal_of_row("1,1,2,3,4,nan,"), HasSubstr("a.csv:2: score 'nan'"));
  EXPECT_THAT(refusal_of_row("1,1,2,3,4,,-1"), HasSubstr("a.csv:2: track '-1'"));
  EXPECT_THAT(refusal("clip_id,frame,x1_px,y1_px,x2_px,y2_px\n ,1,2,3,4,5\n"),
              HasSubstr("a.csv:2: the clip_id is empty"));
  EXPECT_THAT(refusal("frame,x1_rel,y1_rel,x2_rel,y2_rel\n1,0,0,1.01,1\n"),
              HasSubstr("a.csv:2: x2_rel '1.01' is no number of 0..1"));
  EXPECT_THAT(refusal("time_s,x1_rel,y1_rel,x2_rel,y2_rel\n-1,0,0,1,1\n"),
              HasSubstr("a.csv:2: time_s '-1'"));
}

TEST(Masks, AreListedByFrame) {
  const TemporaryFolder folder;
  for (const char* name : {"000010.png", "000002.png", ".hidden", "1000000.png"}) {
    write_file(folder / name, kPng);
  }
  EXPECT_THAT(list_masks(folder.path()),
              ElementsAre(Pair(2, folder / "000002.png"), Pair(10, folder / "000010.png"),
                          Pair(1000000, folder / "1000000.png")));
  EXPECT_EQ(mask_path("m", 17), fs::path("m/000017.png"));
}

TEST(Masks, MustBeNamedStrictlyAndBePictures) {
  const auto refusal = [](const char* name, std::string_view bytes) {
    const TemporaryFolder folder;
    write_file(folder / "3.png", kPng);
    write_file(folder / name, bytes);
    return message_of<ConfigError>([&] { list_masks(folder.path()); });
  };
  for (const char* name : {"mask_000001.png", "000001.PNG", "000001.jpg", "1.5.png", "-1.png",
                           "0000000001.png", "x.png", "readme.txt"}) {
    EXPECT_THAT(refusal(name, kPng), HasSubstr("masks are named by the number of their frame"));
  }
  EXPECT_THAT(refusal("000003.png", kPng), HasSubstr("are both the mask of frame 3"));
  EXPECT_THAT(refusal("000001.png", ""), HasSubstr("000001.png: is no PNG file"));
  EXPECT_THAT(refusal("000001.png", "\xff\xd8\xff\xe0\0\0\0\0"), HasSubstr("is no PNG file"));
  EXPECT_THAT(message_of<ConfigError>([] { list_masks("/nowhere"); }),
              HasSubstr("/nowhere: no such folder of masks"));
  const TemporaryFolder folder;
  fs::create_directory(folder / "000001.png");
  EXPECT_THAT(message_of<ConfigError>([&] { list_masks(folder.path()); }),
              HasSubstr("is no PNG file"));
}

TEST(Masks, OfTheGeneratedClipsAreThoseThatWereDrawn) {
  const TemporaryFolder folder;
  const MovingShapesOptions options{.count = 3, .seed = 5, .split = "val"};
  const std::string masks = (folder / "masks").string();
  ASSERT_THAT(output_of(fmt::format("{} --out {} --split val --count 3 --seed 5 --mask_folders {}",
                                    CFP_MOVING_SHAPES, (folder / "clips").string(), masks)),
              HasSubstr("3 clips"));
  const auto paths = list_masks(masks + "/val_00001_translate_right");
  ASSERT_EQ(paths.size(), 16u);
  EXPECT_THAT(paths.rbegin()->first, 15);
  if (output_of("ffmpeg -version").empty()) GTEST_SKIP() << "needs ffmpeg";
  const std::vector<std::uint8_t> drawn = moving_shapes_mask(options, 1);
  std::string pixels;
  for (const auto& [frame, path] : paths) {
    pixels +=
        output_of(fmt::format("ffmpeg -v error -i {} -f rawvideo -pix_fmt gray -", path.string()));
  }
  ASSERT_EQ(pixels.size(), drawn.size());
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    ASSERT_EQ(static_cast<std::uint8_t>(pixels[i]), drawn[i] != 0 ? 255 : 0) << "pixel " << i;
  }
}

}  // namespace
}  // namespace cfp
