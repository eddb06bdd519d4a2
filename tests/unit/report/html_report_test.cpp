#include "results/report/html_report.h"

#include <algorithm>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "results/report/html.h"
#include "results/statistics/tables.h"
#include "stages/decode/image_codec.h"
#include "tests/support/run_command.h"
#include "tests/support/test_data.h"
#include "tests/unit/store/example_clips.h"

namespace cfp {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kHostile = "<script>alert('#1 & \"2\"');</script>";

/// Frames of a gradient with a bright square that moves, so that a picture can be judged by eye.
Clip example_frames(const ClipResult& result, std::int64_t height, std::int64_t width) {
  Clip clip{.frames = {8, height, width, {}}, .frame_times_s = {}};
  clip.request.clip_id = result.clip_id;
  for (std::int64_t t = 0; t < 8; ++t) {
    clip.frame_times_s.push_back(static_cast<double>(t) / 12.5);
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t x = 0; x < width; ++x) {
        const bool square = std::abs(x - width * (t + 1) / 10) < width / 10 &&
                            std::abs(y - height / 2) < height / 8;
        for (const std::int64_t level :
             {square ? 230 : x * 120 / width, square ? 230 : y * 120 / height, std::int64_t{70}}) {
          clip.frames.rgb_thwc.push_back(static_cast<std::uint8_t>(level));
        }
      }
    }
  }
  return clip;
}

HtmlReport png_report(HtmlReportOptions options = {}) {
  return {options, [](const std::uint8_t* rgb, int width, int height) {
            return encode_png(rgb, width, height);
          }};
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Checks a page with Python's parser.
int checked_pictures(const std::filesystem::path& page, const std::vector<std::string>& texts) {
  const std::string json = page.string() + ".json";
  std::ofstream(json) << nlohmann::json(texts).dump();
  const test::CommandResult result = test::run_command(
      "python3 " CFP_SOURCE_DIR "/tests/unit/report/check_page.py " + page.string() + " " + json);
  EXPECT_EQ(result.exit_code, 0) << result.output;
  return result.exit_code == 0 ? std::stoi(result.output) : -1;
}

#define CFP_SKIP_WITHOUT_PYTHON3()                           \
  if (test::run_command("python3 --version").exit_code != 0) \
  GTEST_SKIP() << "needs python3, whose parser judges the page"

TEST(HtmlReport, IsWellFormedAndShowsHostileNamesAsTheyAre) {
  CFP_SKIP_WITHOUT_PYTHON3();
  const test::TemporaryFolder folder;
  RunStatistics statistics({.name = kHostile,
                            .network = kHostile,
                            .method = "gradient",
                            .dataset = "folder",
                            .class_names = {kHostile, "日本 ü", "c"},
                            .random_weights = true});
  HtmlReport report = png_report({.max_examples = 3, .frames = 4, .max_layers = 2});
  int added = 0;
  for (int i = 0; i < 40; ++i) {
    ClipResult result = test::example_clip(i);
    result.clip_id += kHostile;
    result.pyramids[0].layers[1].name = kHostile;
    statistics.add(result);
    added += report.wants(result) ? 1 : 0;
    report.add_example(example_frames(result, 90, 160), result);
    if (i % 9 == 0) {
      Failure failure = test::example_failure(i);
      failure.message = kHostile;
      statistics.add_failure(failure);
    }
  }
  EXPECT_EQ(added, 3);
  report.write(folder / "summary.html", statistics);
  const int pictures = checked_pictures(
      folder / "summary.html",
      {kHostile, "日本 ü", kRandomWeightsNote, "40 done, 5 failed", "Overlap of classes",
       "Kernels found most often", "Confusion", "/data/a b/日本 é/0.mp4", "seconds 0.00"});
  EXPECT_EQ(pictures, 3 * (1 + 2));
  EXPECT_THAT(text_of(folder / "summary.html"), Not(HasSubstr("<script")));
}

TEST(HtmlReport, OfARunWithoutClipsIsAPage) {
  CFP_SKIP_WITHOUT_PYTHON3();
  const test::TemporaryFolder folder;
  RunStatistics statistics({.name = "nothing"});
  png_report().write(folder / "empty.html", statistics);
  EXPECT_EQ(checked_pictures(folder / "empty.html", {"0 done, 0 failed"}), 0);
  statistics.add_failure(test::example_failure(0));
  png_report().write(folder / "failed.html", statistics);
  EXPECT_EQ(checked_pictures(folder / "failed.html", {"broken 0", "missing"}), 0);
}

TEST(HtmlReport, OfManyClassesListsPairsInsteadOfAMatrix) {
  CFP_SKIP_WITHOUT_PYTHON3();
  const test::TemporaryFolder folder;
  RunStatistics statistics({.name = "many"});
  for (int i = 0; i < 120; ++i) {
    statistics.add(test::example_clip(i, {.classes = 60, .kernels = 8}));
  }
  png_report().write(folder / "many.html", statistics);
  EXPECT_EQ(checked_pictures(folder / "many.html", {"The pairs that overlap most", "class 59"}), 0);
}

TEST(HtmlReport, PicturesEveryClassBeforeASecondClipOfOne) {
  const test::TemporaryFolder folder;
  RunStatistics statistics({.name = "classes"});
  HtmlReport report = png_report({.max_examples = 3, .frames = 1});
  ClipResult result = test::example_clip(0);
  const Clip clip = example_frames(result, 8, 8);
  struct Row {
    const char* clip_id;
    int target;
    bool wanted;
  };
  for (const Row& row :
       {Row{"first of 0", 0, true}, Row{"second of 0", 0, true}, Row{"third of 0", 0, true},
        Row{"fourth of 0", 0, false}, Row{"first of 1", 1, true}, Row{"first of 2", 2, true},
        Row{"second of 1", 1, false}, Row{"first of 3", 3, false}}) {
    result.clip_id = row.clip_id;
    result.pyramids[0].target.class_index = row.target;
    EXPECT_EQ(report.wants(result), row.wanted) << row.clip_id;
    report.add_example(clip, result);
  }
  report.write(folder / "classes.html", statistics);
  const std::string page = text_of(folder / "classes.html");
  for (const char* shown : {"first of 0", "first of 1", "first of 2"}) {
    EXPECT_THAT(page, HasSubstr(shown));
  }
  for (const char* other : {"second of", "third of", "fourth of", "of 3"}) {
    EXPECT_THAT(page, Not(HasSubstr(other)));
  }
  result.pyramids.clear();
  EXPECT_FALSE(report.wants(result));
}

TEST(HtmlReport, PicturesClipsOfOddShapes) {
  CFP_SKIP_WITHOUT_PYTHON3();
  const test::TemporaryFolder folder;
  RunStatistics statistics({.name = "shapes"});
  HtmlReport report = png_report({.frames = 3});
  int pictures = 0;
  for (const auto& [height, width] :
       {std::pair{1, 1}, std::pair{1, 3000}, std::pair{3000, 1}, std::pair{57, 33}}) {
    const ClipResult result = test::example_clip(pictures, {.tubes = height != 57});
    report.add_example(example_frames(result, height, width), result);
    pictures += height != 57 ? 4 : 1;
  }
  report.write(folder / "shapes.html", statistics);
  EXPECT_EQ(checked_pictures(folder / "shapes.html", {}), pictures);
}

TEST(HtmlReport, SetsFramesApart) {
  std::vector<std::vector<std::uint8_t>> pictures;
  HtmlReport report({.frames = 3}, [&](const std::uint8_t* rgb, int width, int height) {
    EXPECT_EQ(width, 3 * 30 + 2 * 2);
    EXPECT_EQ(height, 40);
    pictures.emplace_back(rgb, rgb + width * height * 3);
    return encode_png(rgb, width, height);
  });
  const ClipResult result = test::example_clip(0);
  const Clip clip = example_frames(result, 40, 30);
  report.add_example(clip, result);
  ASSERT_GT(pictures.size(), 1U);
  for (const std::vector<std::uint8_t>& picture : pictures) {
    for (std::size_t y = 0; y < 40; ++y) {
      for (const std::size_t x : {30, 31, 62, 63}) {
        EXPECT_EQ(picture[(y * 94 + x) * 3], 255) << "row " << y << ", column " << x;
      }
    }
  }
  // The first picture has no heat over it: its last frame is the clip's.
  const std::uint8_t* frame = clip.frames.frame(7);
  for (std::size_t y = 0; y < 40; ++y) {
    EXPECT_TRUE(std::equal(frame + y * 90, frame + (y + 1) * 90,
                           pictures[0].begin() + static_cast<std::ptrdiff_t>((y * 94 + 64) * 3)));
  }
}

TEST(HtmlReport, FlagsATubeThatCannotBeDrawn) {
  const test::TemporaryFolder folder;
  RunStatistics statistics({.name = "flat"});
  HtmlReport report = png_report();
  ClipResult result = test::example_clip(0);
  for (PyramidLayer& layer : result.pyramids[0].layers) {
    std::fill(layer.tube.values.begin(), layer.tube.values.end(), 0.25F);
  }
  report.add_example(example_frames(result, 32, 32), result);
  report.write(folder / "flat.html", statistics);
  EXPECT_THAT(text_of(folder / "flat.html"), HasSubstr("1x2x3, constant: nothing to draw"));
}

TEST(Html, EscapesWhatABrowserWouldTakeForMarkup) {
  EXPECT_EQ(html::escape("a & b < c > \"d\" 'e' #;"),
            "a &amp; b &lt; c &gt; &quot;d&quot; &#39;e&#39; #;");
  EXPECT_EQ(html::escape("ü日😀"), "ü日😀");
  // Not UTF-8: a lone byte, a cut character, an overlong slash, a surrogate, beyond Unicode.
  for (const char* bad : {"\xE9", "\xE6\x97", "\xC0\xAF", "\xED\xA0\x80", "\xF5\x80\x80\x80"}) {
    EXPECT_THAT(html::escape(bad), testing::StartsWith("\uFFFD")) << bad;
  }
  EXPECT_EQ(html::escape(std::string("a\0b\x1B", 4)), "a\uFFFDb\uFFFD");
}

TEST(Html, Base64) {
  const auto encoded = [](const std::string& text) {
    return html::base64({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  };
  // The test vectors of RFC 4648.
  EXPECT_EQ(encoded(""), "");
  EXPECT_EQ(encoded("f"), "Zg==");
  EXPECT_EQ(encoded("fo"), "Zm8=");
  EXPECT_EQ(encoded("foo"), "Zm9v");
  EXPECT_EQ(encoded("foobar"), "Zm9vYmFy");
  EXPECT_EQ(encoded("\xFF\xFE\xFD"), "//79");
}

TEST(Html, RefusesAPictureOfAnotherKind) {
  const std::vector<std::uint8_t> gif{'G', 'I', 'F', '8'};
  EXPECT_THROW(html::image_uri(gif), std::invalid_argument);
  EXPECT_THROW(html::image_uri({}), std::invalid_argument);
}

}  // namespace
}  // namespace cfp
