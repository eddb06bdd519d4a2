#include "pipeline/config/options.h"

#include "tests/unit/config/expect_error.h"

namespace cfp {
namespace {

using test::config_error_of;
using testing::HasSubstr;
using testing::StrEq;

constexpr const char* kLeast =
    "dataset: {type: folder, data_root: clips}\n"
    "network: {type: resnet50_3d, checkpoint: random}\n";

ResolvedConfig resolve(const std::vector<std::string>& overrides = {}) {
  return resolve_config(load_config_text(kLeast, "c.yaml", overrides));
}

TEST(Options, FillsTheStructsOfTheStages) {
  const ResolvedConfig config = resolve(
      {"sampling.policy=dense", "sampling.num_clips=3", "sampling.target_fps=12.5",
       "sampling.out_of_bound=error", "network.blocks=[1, 2]", "network.stem_kernel=[3, 5, 7]",
       "network.stem_pool=false", "explain.depth=all", "explain.top_n=7", "output.edges=false",
       "explain.tubes=none", "runtime.devices=[cpu, cpu]", "dataset.max_per_class=2"});
  EXPECT_EQ(config.sampling.policy, SamplingPolicy::kDense);
  EXPECT_EQ(config.sampling.num_clips, 3);
  EXPECT_EQ(config.sampling.target_fps, 12.5);
  EXPECT_EQ(config.sampling.out_of_bound, OutOfBound::kError);
  EXPECT_EQ(config.network.overrides.blocks, (std::vector<int>{1, 2}));
  EXPECT_EQ(config.network.overrides.stem_kernel, (Triple{3, 5, 7}));
  EXPECT_EQ(config.network.overrides.stem_pool, false);
  EXPECT_FALSE(config.network.overrides.base_width.has_value());
  EXPECT_EQ(config.explain.depth, 0);
  EXPECT_EQ(config.explain.top_n, 7);
  EXPECT_FALSE(config.explain.edges);
  EXPECT_EQ(config.explain.tubes, TubeKind::kNone);
  EXPECT_EQ(config.runtime.devices, (std::vector<std::string>{"cpu", "cpu"}));
  EXPECT_EQ(config.dataset.select.max_per_class, 2);
}

TEST(Options, DefaultsAreThoseOfTheStructs) {
  const ResolvedConfig config = resolve();
  const ExplainOptions usual;
  EXPECT_EQ(config.explain.threshold, usual.threshold);
  EXPECT_EQ(config.explain.balance, usual.balance);
  EXPECT_EQ(config.explain.depth, usual.depth);
  EXPECT_EQ(config.explain.top_n, usual.top_n);
  EXPECT_EQ(config.explain.method, usual.method);
  EXPECT_EQ(config.explain.target, usual.target);
  EXPECT_EQ(config.explain.tubes, usual.tubes);
  EXPECT_EQ(config.sampling, SamplingOptions{});
  EXPECT_TRUE(config.runtime.devices.empty());
  EXPECT_EQ(config.runtime.decode_workers, 0);
}

TEST(Options, TellsAShareFromACount) {
  EXPECT_EQ(resolve({"dataset.max_failures=0.05"}).max_failures.allowed(59), 2);
  EXPECT_EQ(resolve({"dataset.max_failures=1.0"}).max_failures.allowed(59), 59);
  EXPECT_EQ(resolve({"dataset.max_failures=1"}).max_failures.allowed(59), 1);
  EXPECT_EQ(resolve({"dataset.max_failures=0"}).max_failures.allowed(59), 0);
  EXPECT_THAT(
      config_error_of([] { resolve({"dataset.max_failures=1.5"}); }),
      StrEq("command line: dataset.max_failures: a share is from 0.0 to 1.0, a count has no "
            "point; got 1.5"));
}

TEST(Options, ReadsTheTarget) {
  EXPECT_EQ(resolve({"explain.target=prediction"}).explain.target, TargetKind::kPrediction);
  const ResolvedConfig config = resolve({"explain.target=air drumming"});
  EXPECT_EQ(config.explain.target, TargetKind::kClass);
  EXPECT_EQ(config.target_class, "air drumming");
}

TEST(Options, TakesAnExportedNetwork) {
  const ResolvedConfig config = resolve({"network.type=exported", "network.file=net.pt2",
                                         "network.output=1", "network.checkpoint=null"});
  EXPECT_EQ(config.network.type, "exported");
  EXPECT_EQ(config.network.file, "net.pt2");
  EXPECT_EQ(config.network.output, 1);
}

TEST(Options, RefusesWhatDoesNotGoTogether) {
  EXPECT_THAT(
      config_error_of([] { resolve({"dataset.data_root=null"}); }),
      StrEq("c.yaml:1:17: dataset.data_root: must be given for a data set of type 'folder'"));
  EXPECT_THAT(config_error_of([] { resolve({"dataset.type=list"}); }),
              HasSubstr("dataset.file: must be given"));
  EXPECT_THAT(config_error_of([] { resolve({"sampling.num_clips=2"}); }),
              HasSubstr("command line: sampling.num_clips: policy center takes 1 clip"));
  EXPECT_THAT(config_error_of([] { resolve({"network.type=null"}); }),
              HasSubstr("network.type: must be given with `checkpoint: random`"));
  EXPECT_THAT(config_error_of([] { resolve({"network.checkpoint=null"}); }),
              HasSubstr("network.checkpoint: must be given: random, or a file"));
  EXPECT_THAT(config_error_of([] { resolve({"network.type=exported"}); }),
              HasSubstr("network.file: must be given with `type: exported`"));
  EXPECT_THAT(config_error_of([] { resolve({"network.file=net.pt2"}); }),
              HasSubstr("network.file: belongs to `type: exported` alone"));
  EXPECT_THAT(config_error_of([] {
                resolve({"network.type=exported", "network.file=net.pt2"});
              }),
              HasSubstr("network.checkpoint: `type: exported` has its weights in network.file"));
  EXPECT_THAT(config_error_of([] {
                resolve({"network.type=exported", "network.file=net.pt2", "network.checkpoint=null",
                         "network.base_width=8"});
              }),
              HasSubstr("network.base_width: changes a built-in architecture"));
  EXPECT_THAT(
      config_error_of([] { resolve({"dataset={type: moving_shapes, size: 65, data_root: x}"}); }),
      HasSubstr("dataset.size: must be even, got 65"));
}

TEST(Preprocess, TakesThePresetOfTheConfigBeforeThatOfTheCheckpoint) {
  ConfigValues values = resolve({"preprocess.preset=i3d"}).values;
  EXPECT_EQ(resolve_preprocess(values, "mfnet"), preprocess_preset("i3d"));
  values = resolve().values;
  EXPECT_EQ(resolve_preprocess(values, "mfnet"), preprocess_preset("mfnet"));
  EXPECT_EQ(values.origin("preprocess.preset"), "checkpoint");
  EXPECT_EQ(values.origin("preprocess.mean"), "preset mfnet");
  EXPECT_EQ(values.reals("preprocess.mean"), (std::vector<double>{124, 117, 104}));
}

TEST(Preprocess, ChangesSingleStepsAndWritesAllDown) {
  ConfigValues values =
      resolve({"preprocess.crop=96", "preprocess.value_range=[0, 1]",
               "preprocess.interpolation=bilinear", "preprocess.std=[0.5, 0.25, 2]"})
          .values;
  const PreprocessOptions options = resolve_preprocess(values, "kenshohara2018");
  EXPECT_EQ(options.crop, 96);
  EXPECT_EQ(options.resize, 112);
  EXPECT_EQ(options.range_max, 1);
  EXPECT_EQ(options.interpolation, Interpolation::kBilinear);
  EXPECT_EQ(options.std, (std::array<double, 3>{0.5, 0.25, 2}));
  // What is written down, read again, gives the same steps, to the bit.
  ConfigValues again = load_config_text(values.to_yaml(), "again.yaml");
  EXPECT_EQ(resolve_preprocess(again, ""), options);
  EXPECT_EQ(again.results_hash(), values.results_hash());
}

TEST(Preprocess, WritesDownEveryPresetExactly) {
  for (const std::string& name : preprocess_preset_names()) {
    ConfigValues values = resolve({"preprocess.preset=" + name}).values;
    EXPECT_EQ(resolve_preprocess(values, ""), preprocess_preset(name));
    ConfigValues again = load_config_text(values.to_yaml(), "again.yaml");
    EXPECT_EQ(resolve_preprocess(again, ""), preprocess_preset(name)) << values.to_yaml();
  }
}

TEST(Preprocess, RefusesStepsThatDoNotGoTogether) {
  ConfigValues values = resolve().values;
  EXPECT_THAT(config_error_of([&] { resolve_preprocess(values, ""); }),
              HasSubstr("preprocess.preset: must be given, the checkpoint does not say how it was "
                        "trained; there are: demo, i3d, "));
  values = resolve({"preprocess.crop=500"}).values;
  EXPECT_THAT(config_error_of([&] { resolve_preprocess(values, "i3d"); }),
              HasSubstr("command line: preprocess.crop: "));
  values = resolve({"preprocess.value_range=[1, 0]"}).values;
  EXPECT_THAT(config_error_of([&] { resolve_preprocess(values, "i3d"); }),
              HasSubstr("the first number must be below the second"));
}

}  // namespace
}  // namespace cfp
