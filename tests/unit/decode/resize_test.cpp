#include "stages/decode/resize.h"

#include <algorithm>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

using testing::HasSubstr;

/// The picture that the golden values were made from, 13 x 9.
Frames golden_picture() {
  Frames frame{.length = 1, .height = 9, .width = 13, .rgb_thwc = {}};
  for (int y = 0; y < 9; ++y) {
    for (int x = 0; x < 13; ++x) {
      for (const int value : {x * 37 + y * 11, x * x * 5 + y * 29, x * y * 13 + 7}) {
        frame.rgb_thwc.push_back(static_cast<std::uint8_t>(value % 256));
      }
    }
  }
  return frame;
}

PreprocessOptions options(ResizeMode mode, int resize, Interpolation interpolation, int crop) {
  return {.preset = "test",
          .resize_mode = mode,
          .resize = resize,
          .interpolation = interpolation,
          .crop = crop};
}

// Pillow: Image.fromarray(picture).resize((5, 4), Image.BILINEAR)
const std::vector<std::uint8_t> kPillow5x4 = {
    48,  34,  19, 133, 86,  43,  151, 151, 72,  73,  124, 89,  158, 138, 77,
    70,  93,  47, 155, 144, 120, 150, 124, 138, 95,  130, 127, 180, 114, 119,
    96,  159, 77, 178, 176, 129, 101, 112, 118, 121, 126, 114, 200, 127, 116,
    118, 212, 93, 172, 137, 121, 78,  125, 124, 143, 121, 129, 166, 118, 140};

// OpenCV: cv2.resize(picture, (5, 5), interpolation=cv2.INTER_LINEAR)
const std::vector<std::uint8_t> kOpenCv5x5 = {
    34,  15,  11,  130, 70,  24,  226, 192, 38,  67,  127, 52,  163, 127, 65,  54,  68,  30,  150,
    123, 104, 246, 192, 178, 86,  179, 202, 183, 128, 71,  74,  120, 49,  170, 175, 184, 10,  40,
    63,  106, 77,  198, 202, 181, 77,  93,  172, 67,  189, 227, 161, 30,  92,  203, 126, 130, 143,
    222, 69,  124, 113, 224, 86,  209, 85,  87,  49,  144, 88,  146, 79,  130, 191, 80,  171};

TEST(Resize, EqualsPillowsBilinear) {
  const Frames small = preprocess_frames(
      golden_picture(), options(ResizeMode::kShortSide, 4, Interpolation::kBilinearAntialias, 0));
  EXPECT_EQ(small.height, 4);
  EXPECT_EQ(small.width, 5);  // int(4 * 13 / 9)
  ASSERT_EQ(small.rgb_thwc.size(), kPillow5x4.size());
  for (std::size_t i = 0; i < kPillow5x4.size(); ++i) {
    // 1: LibTorch keeps fewer bits of a weight than Pillow.
    EXPECT_NEAR(small.rgb_thwc[i], kPillow5x4[i], 1) << "byte " << i;
  }
}

TEST(Resize, EqualsPillowsBilinearWhereItEnlarges) {
  const Frames large = preprocess_frames(
      golden_picture(), options(ResizeMode::kShortSide, 14, Interpolation::kBilinearAntialias, 0));
  ASSERT_EQ(large.width, 20);  // int(14 * 13 / 9)
  // Pillow's pixels at (7, 5) and (19, 13); 1 as above.
  const std::size_t inner = (5 * 20 + 7) * 3;
  const std::size_t corner = (13 * 20 + 19) * 3;
  for (int c = 0; c < 3; ++c) {
    EXPECT_NEAR(large.rgb_thwc[inner + c], (std::array{195, 185, 177}[c]), 1);
    EXPECT_NEAR(large.rgb_thwc[corner + c], (std::array{20, 184, 231}[c]), 1);
  }
  // The sum of Pillow's 840 bytes; rounding differs by less than a quarter of a level on average.
  const auto sum = std::accumulate(large.rgb_thwc.begin(), large.rgb_thwc.end(), std::int64_t{0});
  EXPECT_NEAR(static_cast<double>(sum), 99022, 840 / 4);
}

TEST(Resize, EqualsOpenCvsLinear) {
  const Frames small = preprocess_frames(
      golden_picture(), options(ResizeMode::kExact, 5, Interpolation::kBilinear, 0));
  ASSERT_EQ(small.rgb_thwc.size(), kOpenCv5x5.size());
  for (std::size_t i = 0; i < kOpenCv5x5.size(); ++i) {
    // 1: OpenCV rounds weights to 11 bits.
    EXPECT_NEAR(small.rgb_thwc[i], kOpenCv5x5[i], 1) << "byte " << i;
  }
}

TEST(Resize, TruncatesTheLongSide) {
  const auto size = [](std::int64_t height, std::int64_t width, int resize) {
    return resized_size({height, width},
                        options(ResizeMode::kShortSide, resize, Interpolation::kBilinear, 0));
  };
  EXPECT_EQ(size(240, 320, 112), (FrameSize{112, 149}));  // 149.33
  EXPECT_EQ(size(320, 240, 112), (FrameSize{149, 112}));
  EXPECT_EQ(size(256, 340, 256), (FrameSize{256, 340}));
  EXPECT_EQ(size(240, 426, 256), (FrameSize{256, 454}));  // 454.4
  EXPECT_EQ(size(100, 100, 7), (FrameSize{7, 7}));
}

TEST(Resize, LeavesFramesOfTheRightSizeAlone) {
  const Frames frame = golden_picture();
  const auto none = options(ResizeMode::kNone, 0, Interpolation::kBilinear, 0);
  EXPECT_EQ(preprocess_frames(frame, none).rgb_thwc, frame.rgb_thwc);
  const auto same = options(ResizeMode::kShortSide, 9, Interpolation::kBilinearAntialias, 0);
  EXPECT_EQ(preprocess_frames(frame, same).rgb_thwc, frame.rgb_thwc);
}

TEST(Resize, ResizesEachFrameOfSeveral) {
  Frames two = golden_picture();
  Frames second = golden_picture();
  for (std::uint8_t& byte : second.rgb_thwc) byte = static_cast<std::uint8_t>(255 - byte);
  const auto chosen = options(ResizeMode::kExact, 6, Interpolation::kBilinearAntialias, 4);
  const Frames first_alone = preprocess_frames(two, chosen);
  const Frames second_alone = preprocess_frames(second, chosen);
  two.length = 2;
  two.rgb_thwc.insert(two.rgb_thwc.end(), second.rgb_thwc.begin(), second.rgb_thwc.end());
  const Frames both = preprocess_frames(two, chosen);
  ASSERT_EQ(both.length, 2);
  EXPECT_TRUE(std::equal(first_alone.rgb_thwc.begin(), first_alone.rgb_thwc.end(), both.frame(0)));
  EXPECT_TRUE(
      std::equal(second_alone.rgb_thwc.begin(), second_alone.rgb_thwc.end(), both.frame(1)));
}

TEST(Crop, IsCutFromTheMiddleRoundingHalvesToEven) {
  const Frames frame = golden_picture();
  const Frames cut =
      preprocess_frames(frame, options(ResizeMode::kNone, 0, Interpolation::kBilinear, 6));
  EXPECT_EQ(cut.height, 6);
  EXPECT_EQ(cut.width, 6);
  // (9 - 6) / 2 = 1.5 -> 2; (13 - 6) / 2 = 3.5 -> 4
  const std::size_t corner = (2 * 13 + 4) * 3;
  EXPECT_EQ(cut.rgb_thwc[0], frame.rgb_thwc[corner]);
  EXPECT_EQ(cut.rgb_thwc[2], frame.rgb_thwc[corner + 2]);
  const Frames larger =
      preprocess_frames(frame, options(ResizeMode::kNone, 0, Interpolation::kBilinear, 8));
  EXPECT_EQ(larger.rgb_thwc[0], frame.rgb_thwc[2 * 3]);  // 0.5 -> 0; 2.5 -> 2
}

/// A frame whose red is the column and whose green is the row.
Frames map_of(int width, int height) {
  Frames frame{.length = 1, .height = height, .width = width, .rgb_thwc = {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      frame.rgb_thwc.insert(frame.rgb_thwc.end(),
                            {static_cast<std::uint8_t>(x), static_cast<std::uint8_t>(y), 0});
    }
  }
  return frame;
}

/// Where the corners of the crops are: left, top of each.
std::vector<std::pair<int, int>> corners(int width, int height, int crop) {
  std::vector<std::pair<int, int>> result;
  for (const Frames& cut :
       preprocess_crops(map_of(width, height),
                        options(ResizeMode::kNone, 0, Interpolation::kBilinear, crop), 3)) {
    EXPECT_EQ(cut.width, crop);
    EXPECT_EQ(cut.height, crop);
    result.emplace_back(cut.rgb_thwc[0], cut.rgb_thwc[1]);
    EXPECT_EQ(cut.rgb_thwc[cut.rgb_thwc.size() - 3], result.back().first + crop - 1);
    EXPECT_EQ(cut.rgb_thwc[cut.rgb_thwc.size() - 2], result.back().second + crop - 1);
  }
  return result;
}

// slowfast/datasets/transform.py: x = ceil((width - size) / 2), y = ceil((height - size) / 2), and
// of the longer side 0 for spatial index 0, length - size for 2.
TEST(Crop, ThreeLieAlongTheLongerSideAsSlowFastCutsThem) {
  using Corners = std::vector<std::pair<int, int>>;
  EXPECT_EQ(corners(40, 30, 30), (Corners{{0, 0}, {5, 0}, {10, 0}}));
  EXPECT_EQ(corners(30, 40, 30), (Corners{{0, 0}, {0, 5}, {0, 10}}));
  EXPECT_EQ(corners(41, 30, 24), (Corners{{0, 3}, {9, 3}, {17, 3}}));   // 8.5 -> 9
  EXPECT_EQ(corners(29, 44, 24), (Corners{{3, 0}, {3, 10}, {3, 20}}));  // 2.5 -> 3
  EXPECT_EQ(corners(31, 31, 30), (Corners{{0, 1}, {1, 1}, {1, 1}}));    // 0.5 -> 1
  EXPECT_EQ(corners(30, 30, 30), (Corners{{0, 0}, {0, 0}, {0, 0}}));
}

TEST(Crop, ThreeAreCutFromOneResizedFrame) {
  const auto chosen = options(ResizeMode::kShortSide, 8, Interpolation::kBilinearAntialias, 8);
  const auto uncut = options(ResizeMode::kShortSide, 8, Interpolation::kBilinearAntialias, 0);
  const Frames whole = preprocess_frames(golden_picture(), uncut);  // 11 x 8
  const auto crops = preprocess_crops(golden_picture(), chosen, 3);
  ASSERT_EQ(crops.size(), 3u);
  const std::array<std::int64_t, 3> left = {0, 2, 3};  // 3 / 2 rounded up
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::int64_t y = 0; y < 8; ++y) {
      const std::uint8_t* row = whole.rgb_thwc.data() + (y * whole.width + left[c]) * 3;
      EXPECT_TRUE(std::equal(row, row + 24, crops[c].rgb_thwc.data() + y * 24)) << c;
    }
  }
}

TEST(Crop, SaysThatFramesAreTooSmall) {
  try {
    preprocess_frames(golden_picture(),
                      options(ResizeMode::kNone, 0, Interpolation::kBilinear, 10));
    FAIL();
  } catch (const DataError& error) {
    EXPECT_EQ(error.reason(), FailureReason::kTooSmall);
    EXPECT_THAT(error.what(), HasSubstr("13 x 9 pixels are smaller than the crop of 10"));
  }
}

TEST(Resize, RefusesToMakeAbsurdlyLongSides) {
  const Frames line{
      .length = 1, .height = 1, .width = 1000, .rgb_thwc = std::vector<std::uint8_t>(3000)};
  try {
    preprocess_frames(line, options(ResizeMode::kShortSide, 256, Interpolation::kBilinear, 224));
    FAIL();
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("256000 x 256"));
  }
}

TEST(Resize, NamesTheOptionThatIsOutOfRange) {
  EXPECT_THROW(check(options(ResizeMode::kShortSide, 0, Interpolation::kBilinear, 0)), ConfigError);
  EXPECT_THROW(check(options(ResizeMode::kNone, 0, Interpolation::kBilinear, -1)), ConfigError);
  EXPECT_THROW(check(options(ResizeMode::kExact, 100, Interpolation::kBilinear, 101)), ConfigError);
  EXPECT_NO_THROW(check(options(ResizeMode::kNone, 0, Interpolation::kBilinear, 101)));
}

}  // namespace
}  // namespace cfp
