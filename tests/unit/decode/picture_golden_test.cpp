// Pictures that Pillow wrote, against what Pillow (libjpeg, libpng) decodes of them; made by
// make_pictures.py.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>

#include <gtest/gtest.h>

#include "stages/decode/frame_converter.h"
#include "stages/decode/picture_file.h"

namespace cfp {
namespace {

struct Golden {
  const char* name;
  int most;     ///< by which a value may differ
  double mean;  ///< by which values may differ on average
};

void PrintTo(const Golden& golden, std::ostream* out) { *out << golden.name; }

class PictureGolden : public testing::TestWithParam<Golden> {};

TEST_P(PictureGolden, IsWhatPillowDecodes) {
  const std::filesystem::path folder =
      std::filesystem::path(CFP_SOURCE_DIR) / "tests/unit/decode/pictures";
  const std::string path = folder / GetParam().name;
  std::ifstream file(path + ".rgb", std::ios::binary);
  const std::vector<char> expected{std::istreambuf_iterator<char>(file), {}};
  FrameConverter converter({}, path, Chroma::kAsLibjpeg);
  const Frames& frame = converter.convert(*decode_picture(read_picture(path, {}), path, {}));
  ASSERT_EQ(frame.width, 48);
  ASSERT_EQ(frame.height, 32);
  ASSERT_EQ(expected.size(), frame.rgb_thwc.size());
  int most = 0;
  double sum = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const int difference =
        std::abs(frame.rgb_thwc[i] - static_cast<int>(static_cast<unsigned char>(expected[i])));
    most = std::max(most, difference);
    sum += difference;
  }
  EXPECT_LE(most, GetParam().most);
  EXPECT_LE(sum / static_cast<double>(expected.size()), GetParam().mean);
}

// The JPEG standard leaves rounding to the decoder: in the inverse transform by one step, which the
// colour matrix makes up to three of blue. Where chroma is interpolated, it is rounded once more.
INSTANTIATE_TEST_SUITE_P(All, PictureGolden,
                         testing::Values(Golden{"444.jpg", 3, 0.1},
                                         Golden{"444_coarse.jpg", 3, 0.1},
                                         Golden{"progressive.jpg", 3, 0.1},
                                         Golden{"grey.jpg", 1, 0.1}, Golden{"422.jpg", 3, 0.5},
                                         Golden{"420.jpg", 3, 0.5}, Golden{"rgb.png", 0, 0},
                                         Golden{"grey.png", 0, 0}, Golden{"palette.png", 0, 0},
                                         Golden{"bits.png", 0, 0}));

}  // namespace
}  // namespace cfp
