#include "stages/decode/image_codec.h"

#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>

#include "stages/core/errors.h"
#include "stages/decode/video_decoder.h"
#include "tests/support/synthetic_video.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

Frames read_back(const std::vector<std::uint8_t>& file, const std::string& name) {
  const test::TemporaryFolder folder;
  const std::string path = folder / name;
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
  VideoDecoder picture({.path = path});
  Frames result;
  picture.decode(std::vector<std::int64_t>{0},
                 [&](std::int64_t, const Frames& frame) { result = frame; });
  return result;
}

TEST(ImageCodec, PngIsLossless) {
  for (const auto& [width, height] : {std::pair{64, 48}, {33, 17}, {1, 1}}) {
    const Frames frame = test::synthetic_frame(5, width, height);
    const auto file = encode_png(frame.rgb_thwc.data(), width, height);
    EXPECT_EQ(file[1], 'P');
    EXPECT_EQ(read_back(file, "a.png").rgb_thwc, frame.rgb_thwc);
  }
}

TEST(ImageCodec, JpegKeepsColours) {
  Frames frame = test::synthetic_frame(5, 64, 48);
  for (std::size_t i = 0; i < frame.rgb_thwc.size(); ++i) {  // smooth: no wrapping gradients
    frame.rgb_thwc[i] = static_cast<std::uint8_t>((i % 3 == 0 ? 200 : 40) + (i / 3 % 64) / 2);
  }
  const auto file = encode_jpeg(frame.rgb_thwc.data(), 64, 48);
  EXPECT_EQ(file[0], 0xff);
  EXPECT_EQ(file[1], 0xd8);
  const Frames back = read_back(file, "a.jpg");
  ASSERT_EQ(back.rgb_thwc.size(), frame.rgb_thwc.size());
  for (std::size_t i = 0; i < frame.rgb_thwc.size(); ++i) {
    // 6: quantiser 3 on a smooth picture; swapped channels or the wrong range would be 16 and more.
    ASSERT_NEAR(back.rgb_thwc[i], frame.rgb_thwc[i], 6);
  }
}

TEST(ImageCodec, EqualPicturesGiveEqualBytes) {
  const Frames frame = test::synthetic_frame(9, 64, 48);
  EXPECT_EQ(encode_jpeg(frame.rgb_thwc.data(), 64, 48), encode_jpeg(frame.rgb_thwc.data(), 64, 48));
  EXPECT_EQ(encode_png(frame.rgb_thwc.data(), 64, 48), encode_png(frame.rgb_thwc.data(), 64, 48));
}

TEST(ImageCodec, RefusesSizesAndQualitiesOutOfRange) {
  const std::uint8_t pixel[3] = {};
  EXPECT_THROW(encode_png(pixel, 0, 1), ConfigError);
  EXPECT_THROW(encode_jpeg(pixel, 1, 20000), ConfigError);
  EXPECT_THROW(encode_jpeg(pixel, 1, 1, 1), ConfigError);
}

}  // namespace
}  // namespace cfp
