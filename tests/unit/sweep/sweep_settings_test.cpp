#include "pipeline/sweep/sweep_settings.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/config/yaml_reader.h"
#include "stages/core/errors.h"

namespace cfp {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using testing::StartsWith;

std::vector<PointSettings> of_yaml(const std::string& section,
                                   const std::vector<SweepAxis>& axes = {}, bool zip = false) {
  return sweep_settings(read_yaml_text(section, "c.yaml"), axes, zip);
}

std::string error_of(const std::string& section, const std::vector<SweepAxis>& axes = {},
                     bool zip = false) {
  try {
    of_yaml(section, axes, zip);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(SweepSettings, CommasSeparateValuesButNotInsideBracketsAndQuotes) {
  const SweepArguments arguments = parse_sweep_arguments(
      {"explain.threshold=0.4,0.5", "runtime.batch_size=2", "explain.depth=[fc, layer4],all",
       "dataset.file='a,b.csv'", "network={type: i3d, seed: 1},{type: mfnet3d, seed: 2}"});
  EXPECT_THAT(arguments.overrides, ElementsAre("runtime.batch_size=2", "dataset.file='a,b.csv'"));
  ASSERT_THAT(arguments.axes, SizeIs(3));
  EXPECT_THAT(arguments.axes[0].values, ElementsAre("0.4", "0.5"));
  EXPECT_THAT(arguments.axes[1].values, ElementsAre("[fc, layer4]", "all"));
  EXPECT_THAT(arguments.axes[2].values,
              ElementsAre("{type: i3d, seed: 1}", "{type: mfnet3d, seed: 2}"));
  EXPECT_THROW(parse_sweep_arguments({"threshold"}), ConfigError);
}

TEST(SweepSettings, GridChangesTheLastKeyFastest) {
  const auto points =
      of_yaml("{explain.threshold: [0.4, 0.5], explain.method: [gradient, response]}");
  ASSERT_THAT(points, SizeIs(4));
  EXPECT_THAT(points[1],
              ElementsAre(Pair("explain.threshold", "0.4"), Pair("explain.method", "response")));
  EXPECT_THAT(points[2],
              ElementsAre(Pair("explain.threshold", "0.5"), Pair("explain.method", "gradient")));
  EXPECT_THAT(point_names(points),
              ElementsAre("threshold=0.4,method=gradient", "threshold=0.4,method=response",
                          "threshold=0.5,method=gradient", "threshold=0.5,method=response"));
}

TEST(SweepSettings, ZipTakesValuesSideBySide) {
  const auto points = of_yaml("{mode: zip, explain.threshold: [0.4, 0.5], explain.top_n: [3, 4]}");
  ASSERT_THAT(points, SizeIs(2));
  EXPECT_THAT(points[1], ElementsAre(Pair("explain.threshold", "0.5"), Pair("explain.top_n", "4")));
  EXPECT_THAT(of_yaml("{explain.threshold: [0.4, 0.5], explain.top_n: [3, 4]}", {}, true),
              SizeIs(2));
  EXPECT_THAT(error_of("{mode: zip, explain.threshold: [0.4, 0.5], explain.top_n: [3]}"),
              HasSubstr("explain.threshold has 2, explain.top_n has 1"));
}

TEST(SweepSettings, ListTakesPointsAsTheyAre) {
  const auto points =
      of_yaml("{points: [{explain.threshold: 0.4}, {explain.method: response, explain.top_n: 2}]}");
  ASSERT_THAT(points, SizeIs(2));
  EXPECT_THAT(points[1],
              ElementsAre(Pair("explain.method", "response"), Pair("explain.top_n", "2")));
  EXPECT_THAT(error_of("{points: [{explain.threshold: 0.4}]}", {{"explain.top_n", {"1", "2"}}}),
              HasSubstr("the command line cannot add keys"));
}

TEST(SweepSettings, TheCommandLineReplacesAnAxis) {
  const auto points = of_yaml("{explain.threshold: [0.4, 0.5], explain.top_n: [3, 4]}",
                              {{"explain.threshold", {"0.9"}}});
  ASSERT_THAT(points, SizeIs(2));
  EXPECT_THAT(points[0], ElementsAre(Pair("explain.threshold", "0.9"), Pair("explain.top_n", "3")));
}

TEST(SweepSettings, ASingleValueOnTheCommandLineReplacesAnAxis) {
  const auto taken = [](const std::string& section, const std::vector<std::string>& words) {
    SweepArguments arguments = parse_sweep_arguments(words);
    take_axes_of(read_yaml_text(section, "c.yaml"), arguments);
    return arguments;
  };
  const SweepArguments threshold =
      taken("{explain.threshold: [0.2, 0.6]}", {"explain.threshold=0.4", "runtime.batch_size=2"});
  EXPECT_THAT(threshold.overrides, ElementsAre("runtime.batch_size=2"));
  const auto points = of_yaml("{explain.threshold: [0.2, 0.6]}", threshold.axes);
  EXPECT_THAT(points, ElementsAre(ElementsAre(Pair("explain.threshold", "0.4"))));
  // One key by two names, both ways round.
  for (const auto& [section, word] : {std::pair("{network: [i3d, mfnet3d]}", "network.type=i3d"),
                                      std::pair("{network.type: [i3d, mfnet3d]}", "network=i3d")}) {
    EXPECT_THAT(of_yaml(section, taken(section, {word}).axes),
                ElementsAre(ElementsAre(Pair("network.type", "i3d"))))
        << section;
  }
  EXPECT_THAT(taken("", {"explain.threshold=0.4"}).axes, IsEmpty());
  const std::string listed = "{points: [{explain.threshold: 0.4}]}";
  EXPECT_THAT(error_of(listed, taken(listed, {"explain.threshold=0.5"}).axes),
              HasSubstr("the command line cannot add keys"));
  EXPECT_THAT(taken(listed, {"explain.top_n=3"}).overrides, ElementsAre("explain.top_n=3"));
}

TEST(SweepSettings, ASectionAloneStandsForItsType) {
  const auto points = of_yaml("", {{"network", {"resnet50_3d", "{type: i3d, seed: 7}"}}});
  ASSERT_THAT(points, SizeIs(2));
  EXPECT_THAT(points[0], ElementsAre(Pair("network.type", "resnet50_3d")));
  EXPECT_THAT(points[1], ElementsAre(Pair("network", "{type: i3d, seed: 7}")));
  EXPECT_THAT(point_names(points), ElementsAre("network=resnet50_3d", "network=i3d"));
}

TEST(SweepSettings, NamesAreFoldersOfTheirOwn) {
  const auto points = of_yaml(
      "{points: [{network.checkpoint: /a/x.pth}, {network.checkpoint: /b/x.pth},"
      " {explain.target: \"../..\"}, {explain.target: 'Dönerkebab schneiden'}]}");
  const std::vector<std::string> names = point_names(points);
  EXPECT_THAT(names[0], StartsWith("checkpoint=x-"));
  EXPECT_THAT(names[1], StartsWith("checkpoint=x-"));
  EXPECT_NE(names[0], names[1]);
  for (const std::string& name : names) {
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789.,=+_-"),
              std::string::npos)
        << name;
  }
  std::string many = "{points: [{";
  for (int i = 0; i < 40; ++i) many += fmt::format("explain.key{}: value{}, ", i, i);
  EXPECT_LE(point_names(of_yaml(many + "a.b: c}]}"))[0].size(), 120u);
}

TEST(SweepSettings, SaysWhatIsWrong) {
  EXPECT_THAT(error_of(""), HasSubstr("nothing to go through"));
  EXPECT_THAT(error_of("[1, 2]"), HasSubstr("c.yaml:1:1: sweep: expected keys"));
  EXPECT_THAT(error_of("{explain.threshold: 0.4}"),
              HasSubstr("sweep.explain.threshold: expected a list of values"));
  EXPECT_THAT(error_of("{explain.threshold: []}"), HasSubstr("expected a list of values"));
  EXPECT_THAT(error_of("{mode: product, explain.threshold: [1]}"),
              HasSubstr("sweep.mode: expected grid or zip, not product"));
  EXPECT_THAT(error_of("{points: [{explain.threshold: 0.4}], explain.top_n: [1]}"),
              HasSubstr("listed one by one"));
  EXPECT_THAT(error_of("{points: [0.4]}"), HasSubstr("sweep.points[0]: expected keys"));
  EXPECT_THAT(error_of("{network: [i3d], network.type: [mfnet3d]}"),
              HasSubstr("sweep.network.type: network is there already"));
  const std::vector<std::string> hundred(101, "1");
  EXPECT_THAT(error_of("", {{"a.b", hundred}, {"a.c", hundred}}),
              HasSubstr("more than 10000 points"));
}

}  // namespace
}  // namespace cfp
