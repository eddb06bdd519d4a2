#include "pipeline/run/labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/core/errors.h"
#include "tests/unit/run/clips.h"

namespace cfp {
namespace {

using testing::HasSubstr;

Manifest manifest_of(const std::vector<std::optional<int>>& labels,
                     std::vector<std::string> names = {}) {
  const auto rows = test::make_rows(static_cast<int>(labels.size()));
  Manifest manifest{.class_names = std::move(names)};
  for (std::size_t i = 0; i < labels.size(); ++i) {
    manifest.rows.push_back({rows[i]});
    manifest.rows[i].label = labels[i];
  }
  return manifest;
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no ConfigError";
}

TEST(Labels, JoinByNameWhateverTheSpelling) {
  const LabelJoin join = join_labels(manifest_of({0, 1, std::nullopt}, {"air_drumming", "Archery"}),
                                     {"abseiling", "archery", "air drumming"}, 3);
  EXPECT_EQ(join.rows[0].label, 2);
  EXPECT_EQ(join.rows[1].label, 1);
  EXPECT_EQ(join.rows[2].label, std::nullopt);
  EXPECT_EQ(join.class_names[2], "air drumming");
}

TEST(Labels, OnlyClassesWithARowMustJoin) {
  EXPECT_NO_THROW(join_labels(manifest_of({1}, {"unknown", "archery"}), {"archery"}, 1));
}

TEST(Labels, ListAllClassesThatDoNotJoin) {
  const std::string error = error_of([] {
    join_labels(manifest_of({0, 1, 2}, {"archry", "knitting", "bowling"}), {"archery", "bowling"},
                2);
  });
  EXPECT_THAT(error, HasSubstr("archry"));
  EXPECT_THAT(error, HasSubstr("did you mean 'archery'?"));
  EXPECT_THAT(error, HasSubstr("knitting"));
}

TEST(Labels, JoinByNumberWhereASideHasNoNamesAndTheOrderIsSettled) {
  const LabelJoin join = join_labels(manifest_of({1, 0}), {"a", "b"}, 2, true);
  EXPECT_EQ(join.rows[0].label, 1);
  EXPECT_EQ(join.class_names, (std::vector<std::string>{"a", "b"}));
  EXPECT_THAT(error_of([] {
                join_labels(manifest_of({0, 2}), {"a", "b"}, 2, true);
              }),
              HasSubstr("row 1, clip 'clip 1': label 2 is not among the network's classes 0..1"));
}

TEST(Labels, AreNeverJoinedByAnOrderThatNobodyStated) {
  EXPECT_THAT(error_of([] {
                join_labels(manifest_of({1}, {"a", "b"}), {}, 2);
              }),
              HasSubstr("does not say in which order its classes are"));
  EXPECT_NO_THROW(join_labels(manifest_of({{}}, {"a", "b"}), {}, 2)) << "nothing to join";
  for (const std::vector<std::string>& network_names :
       {std::vector<std::string>{"a", "b"}, std::vector<std::string>()}) {
    EXPECT_EQ(error_of([&] { join_labels(manifest_of({1}), network_names, 2); }),
              "dataset.class_names: the labels of the data set are numbers, and nothing says that "
              "they count in the order of the network's outputs; give a file of the names in the "
              "order of the numbers, or state `network.class_names: dataset` where label n is "
              "output n");
    EXPECT_NO_THROW(join_labels(manifest_of({{}}), network_names, 2)) << "nothing to join";
  }
}

TEST(Labels, OfARandomNetworkTakeTheDataSetsNamesWhereTheCountsAgree) {
  EXPECT_EQ(join_labels(manifest_of({1}, {"a", "b"}), {}, 2, true).class_names,
            (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(join_labels(manifest_of({1}, {"a", "b"}), {}, 400, true).class_names.empty());
}

TEST(Labels, FindTheTargetByNameOrNumber) {
  const std::vector<std::string> names = {"air drumming", "archery"};
  EXPECT_EQ(find_target_class("Air_Drumming", names, 2), 0);
  EXPECT_EQ(find_target_class("1", names, 2), 1);
  EXPECT_THAT(error_of([&] { find_target_class("archary", names, 2); }),
              HasSubstr("no class is called 'archary' (did you mean 'archery'?)"));
  EXPECT_THAT(error_of([&] { find_target_class("2", names, 2); }),
              HasSubstr("class 2 is not among the network's 0..1"));
  EXPECT_THAT(error_of([&] { find_target_class("archery", {}, 2); }),
              HasSubstr("the network has no class names"));
}

}  // namespace
}  // namespace cfp
