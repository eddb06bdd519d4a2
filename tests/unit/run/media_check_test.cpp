#include "pipeline/run/media_check.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/synthetic_video.h"
#include "tests/support/test_data.h"

namespace cfp {
namespace {

using testing::HasSubstr;

constexpr MediaCheckOptions kQuietly{.show_progress = false};

/// A manifest of segments of one video.
Manifest segments_of(
    const std::string& path,
    const std::vector<std::pair<std::optional<double>, std::optional<double>>>& segments) {
  Manifest manifest;
  for (const auto& [start_s, end_s] : segments) {
    const auto row = static_cast<std::int64_t>(manifest.rows.size());
    manifest.rows.push_back({{.row = row,
                              .clip_id = std::to_string(row),
                              .media = {.path = path, .start_s = start_s, .end_s = end_s}}});
  }
  return manifest;
}

/// The reason of each row; `ok` where it has none.
std::vector<std::string> reasons(const MediaCheck& check) {
  std::vector<std::string> all;
  for (const RowCheck& row : check.rows) {
    all.emplace_back(row.problem ? to_string(row.problem->reason) : "ok");
  }
  return all;
}

TEST(MediaCheck, OfSegmentsOfACutVideoDoesNotDependOnTheirOrder) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "cut.mp4", whole = folder / "whole.mp4";
  test::write_media(whole, {{.width = 320,
                             .height = 240,
                             .frames = 100,
                             .encoder = "mpeg4",
                             .pixel_format = "yuv420p"}});
  const std::string index_to_front =
      "ffmpeg -v error -y -i '" + whole + "' -c copy -movflags +faststart '" + path + "'";
  if (std::system(index_to_front.c_str()) != 0) {
    GTEST_SKIP() << "the program ffmpeg is not installed";
  }
  test::truncate_file(path, 0.8);
  for (const ProbeDepth depth : {ProbeDepth::kHeader, ProbeDepth::kFull}) {
    const auto found = [&](const auto& segments) {
      return reasons(check_media(segments_of(path, segments), depth, kQuietly));
    };
    using Segments = std::vector<std::pair<std::optional<double>, std::optional<double>>>;
    EXPECT_THAT(found(Segments{{3, {}}, {0, 1}, {1, 2}}),
                testing::ElementsAre("decode_error", "ok", "ok"));
    EXPECT_THAT(found(Segments{{0, 1}, {3, {}}, {{}, {}}}),
                testing::ElementsAre("ok", "decode_error", "decode_error"));
  }
}

TEST(MediaCheck, AsksOnlyWhatTheConfigAsks) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "short.mkv";
  test::write_media(path, {{.frames = 20}});
  Manifest manifest = segments_of(path, {{{}, {}}, {{}, {}}});
  manifest.rows[1].problem = {FailureReason::kDuplicate, "two files"};
  MediaCheckOptions options = kQuietly;
  options.least_frames = 64;
  EXPECT_THAT(reasons(check_media(manifest, ProbeDepth::kFull, options)),
              testing::ElementsAre("too_short", "duplicate"));
  options.least_frames = 16;
  EXPECT_THAT(reasons(check_media(manifest, ProbeDepth::kFull, options)),
              testing::ElementsAre("ok", "duplicate"));
  EXPECT_THAT(reasons(check_media(manifest, ProbeDepth::kNone, options)),
              testing::ElementsAre("ok", "duplicate"));
}

}  // namespace
}  // namespace cfp
