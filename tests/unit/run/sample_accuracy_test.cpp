#include "pipeline/run/sample_accuracy.h"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/core/errors.h"
#include "tests/unit/run/clips.h"

namespace cfp {
namespace {

using testing::HasSubstr;
using testing::Not;

const AccuracyKey kResnet400{.architecture = "resnet50_3d",
                             .num_classes = 400,
                             .preset = "kenshohara2018",
                             .dataset = "kinetics400"};

AccuracyKey changed(AccuracyKey key, auto change) {
  change(key);
  return key;
}

std::vector<ClipRequest> labelled(int count) {
  std::vector<ClipRequest> rows = test::make_rows(count);
  for (ClipRequest& row : rows) row.label = 0;
  return rows;
}

std::set<std::int64_t> numbers(const std::vector<ClipRequest>& rows) {
  std::set<std::int64_t> all;
  for (const ClipRequest& row : rows) all.insert(row.row);
  return all;
}

TEST(SampleRows, AreOfGoodLabelledClipsAlone) {
  std::vector<ClipRequest> rows = labelled(8);
  rows[1].label.reset();
  rows[2].problem = {FailureReason::kDuplicate, "two files"};
  MediaCheck check{.rows = std::vector<RowCheck>(8)};
  for (const std::size_t bad : {0, 3, 5}) {
    check.rows[bad].problem = {FailureReason::kDecodeError, "cut off"};
  }
  EXPECT_EQ(numbers(sample_rows(rows, &check, 3)), (std::set<std::int64_t>{4, 6, 7}))
      << "as many as were asked for, all of them good";
  EXPECT_EQ(sample_rows(rows, nullptr, 100).size(), 6u);
  for (RowCheck& row : check.rows) row.problem = {FailureReason::kMissing, "gone"};
  try {
    sample_rows(rows, &check, 3);
    FAIL() << "nothing was thrown";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "--sample: no clip of the data set has both a good file and a label");
  }
}

TEST(SampleRows, DoNotDependOnTheOrderOfTheManifest) {
  std::vector<ClipRequest> rows = labelled(50);
  const auto drawn = numbers(sample_rows(rows, nullptr, 10));
  EXPECT_NE(drawn, numbers(labelled(10))) << "not the first ones";
  std::ranges::reverse(rows);
  EXPECT_EQ(numbers(sample_rows(rows, nullptr, 10)), drawn);
}

TEST(PublishedAccuracy, IsFoundByWhatTheNetworkIs) {
  const auto figure = published_accuracy(kResnet400);
  ASSERT_TRUE(figure.has_value());
  EXPECT_EQ(figure->top1, 61.3);
  EXPECT_EQ(figure->dataset, "kinetics400");
  // The same network on clips of which nothing is known.
  EXPECT_EQ(published_accuracy(changed(kResnet400, [](auto& key) { key.dataset = ""; })), figure);
  // A wrong preset must not hide the figure that shows it.
  EXPECT_EQ(published_accuracy(changed(kResnet400, [](auto& key) { key.preset = "i3d"; })), figure);
}

TEST(PublishedAccuracy, IsNotThatOfAnotherNetworkOrDataSet) {
  EXPECT_EQ(published_accuracy(changed(kResnet400, [](auto& key) { key.num_classes = 700; })),
            std::nullopt);
  EXPECT_EQ(published_accuracy(changed(kResnet400, [](auto& key) { key.dataset = "ucf101"; })),
            std::nullopt);
  EXPECT_EQ(published_accuracy(changed(kResnet400, [](auto& key) { key.architecture = "x"; })),
            std::nullopt);
  EXPECT_EQ(published_accuracy(changed(kResnet400,
                                       [](auto& key) {
                                         key.dataset = "";
                                         key.preset = "kenshohara2020";
                                       })),
            std::nullopt)
      << "neither the clips nor the preprocessing are those of a figure";
}

TEST(SampleAccuracy, StandsBesideThePublishedFigure) {
  const SampleAccuracy good{.clips = 100, .top1 = 55, .top5 = 80, .failed = 2};
  const std::string text = describe(good, kResnet400, published_accuracy(kResnet400));
  EXPECT_THAT(text, HasSubstr("sample      100 labelled clips: top-1 55.0 %, top-5 80.0 %, 2 more "
                              "failed\npublished   top-1 61.3 % on kinetics400 (Hara et al. 2018"));
  EXPECT_THAT(text, Not(HasSubstr("WARNING")));
  EXPECT_THAT(text, Not(HasSubstr("note")));

  AccuracyKey other = kResnet400;
  other.preset = "kenshohara2020";
  EXPECT_THAT(describe(good, other, published_accuracy(other)),
              HasSubstr("note        the figure is of preset kenshohara2018; the preset in use is "
                        "kenshohara2020\n"));
  other = kResnet400;
  other.dataset.clear();
  EXPECT_THAT(describe(good, other, published_accuracy(other)),
              HasSubstr("note        nothing says whether these clips are of kinetics400\n"));
}

TEST(SampleAccuracy, FarBelowThePublishedFigureNamesTheUsualCauses) {
  const std::string text =
      describe({.clips = 100, .top1 = 20, .top5 = 40}, kResnet400, published_accuracy(kResnet400));
  EXPECT_THAT(text, HasSubstr("WARNING     the sample is far below it. The usual causes:\n"));
  for (const char* cause : {"order of classes", "0..255, 0..1 or -1..1", "mean and deviation",
                            "R, G, B", "resized or cropped"}) {
    EXPECT_THAT(text, HasSubstr(cause));
  }
}

TEST(SampleAccuracy, NearChanceNamesTheUsualCausesWhereNothingIsPublished) {
  const auto text = [](int num_classes, std::int64_t clips, std::int64_t top1) {
    const AccuracyKey key{.architecture = "exported", .num_classes = num_classes};
    return describe({.clips = clips, .top1 = top1, .top5 = top1}, key, published_accuracy(key));
  };
  EXPECT_THAT(
      text(400, 100, 0),
      testing::AllOf(HasSubstr("no figure is published here for this network"),
                     HasSubstr("does little better than to guess: of 400 classes one in 400 "
                               "is right by chance. The usual causes:\n")));
  EXPECT_THAT(text(400, 100, 3), HasSubstr("WARNING"));
  EXPECT_THAT(text(400, 100, 20), Not(HasSubstr("WARNING")));
  EXPECT_THAT(text(400, 10, 0), Not(HasSubstr("WARNING"))) << "ten clips say little";
  EXPECT_THAT(text(10, 30, 0), HasSubstr("WARNING")) << "labels in reversed order";
  EXPECT_THAT(text(10, 30, 20), Not(HasSubstr("WARNING")));
  EXPECT_THAT(text(2, 100, 48), HasSubstr("WARNING"));
  EXPECT_THAT(text(2, 100, 75), Not(HasSubstr("WARNING")));
}

}  // namespace
}  // namespace cfp
