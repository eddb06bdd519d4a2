#include "pipeline/config/loader.h"

#include <fstream>

#include <fmt/format.h>

#include "tests/support/test_data.h"
#include "tests/unit/config/expect_error.h"

namespace cfp {
namespace {

using test::config_error_of;
using test::TemporaryFolder;
using testing::HasSubstr;
using testing::StrEq;

constexpr const char* kLeast = "dataset: {type: moving_shapes}\nnetwork: {checkpoint: random}\n";

void write(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

ConfigValues load(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return load_config_text(text, "c.yaml", overrides);
}

TEST(Loader, FillsDefaults) {
  const ConfigValues values = load(kLeast);
  EXPECT_EQ(values.integer("sampling.clip_len"), 16);
  EXPECT_EQ(values.text("name"), "c");
  EXPECT_EQ(values.text("output.work_dir"), "work_dirs/c");
  EXPECT_FALSE(values.is_set("preprocess.preset"));
  EXPECT_EQ(values.origin("sampling.clip_len"), "default");
  EXPECT_EQ(values.origin("network.checkpoint"), "c.yaml:2:23");
}

TEST(Loader, LaterWinsAndSaysWhereItCameFrom) {
  const TemporaryFolder folder;
  write(folder / "base/one.yaml", "sampling: {clip_len: 8, frame_interval: 3}\nname: one\n");
  write(folder / "base/two.yaml", "_base_: one.yaml\nsampling: {clip_len: 4}\n");
  write(folder / "top.yaml", std::string("_base_: [base/two.yaml]\nname: top\n") + kLeast);
  const ConfigValues values =
      load_config(folder / "top.yaml", {"sampling.num_clips=2", "explain.depth=all"});
  EXPECT_EQ(values.integer("sampling.clip_len"), 4);
  EXPECT_EQ(values.integer("sampling.frame_interval"), 3);
  EXPECT_EQ(values.integer("sampling.num_clips"), 2);
  EXPECT_EQ(values.text("name"), "top");
  EXPECT_TRUE(values.is_word("explain.depth", "all"));
  EXPECT_THAT(values.origin("sampling.clip_len"), testing::EndsWith("two.yaml:2:22"));
  EXPECT_EQ(values.origin("sampling.num_clips"), "command line");
}

TEST(Loader, NullTakesBackWhatABaseSaid) {
  const TemporaryFolder folder;
  write(folder / "base.yaml", std::string(kLeast) + "sampling: {clip_len: 8, target_fps: 5}\n");
  write(folder / "top.yaml", "_base_: base.yaml\nsampling: {clip_len: null}\n");
  const ConfigValues values = load_config(folder / "top.yaml", {"sampling.target_fps=null"});
  EXPECT_EQ(values.integer("sampling.clip_len"), 16);
  EXPECT_FALSE(values.is_set("sampling.target_fps"));
}

TEST(Loader, SubstitutesKeysAndTheFilesFolder) {
  const TemporaryFolder folder;
  write(folder / "base/one.yaml", "network: {checkpoint: '${config_dir}/net.pth'}\n");
  write(folder / "top.yaml",
        "_base_: base/one.yaml\nname: '${dataset.type}_${sampling.clip_len}'\n"
        "dataset: {type: moving_shapes}\noutput: {work_dir: 'out/${name}/$${x}'}\n");
  const ConfigValues values = load_config(folder / "top.yaml");
  EXPECT_EQ(values.text("network.checkpoint"), (folder / "base/net.pth").string());
  EXPECT_EQ(values.text("output.work_dir"), "out/moving_shapes_16/${x}");
}

TEST(Loader, ReadsBackWhatItWroteWhateverItsTextsHold) {
  const TemporaryFolder folder;
  for (const char* text :
       {"$${x}", "a$${", "$$${x}", "$${${sampling.clip_len}}", "$ {", "$$", "}${name}"}) {
    write(folder / "${x}/c.yaml", std::string("dataset: {type: moving_shapes}\nname: n\n") +
                                      "output: {work_dir: '" + text +
                                      "'}\nnetwork: {checkpoint: '${config_dir}/a'}\n");
    const ConfigValues values = load_config(folder / "${x}/c.yaml");
    EXPECT_EQ(values.text("network.checkpoint"), (folder / "${x}/a").string());
    const ConfigValues again = load_stored_config(values.to_yaml(), "stored");
    EXPECT_EQ(again.text("output.work_dir"), values.text("output.work_dir")) << text;
    EXPECT_EQ(again.results_hash(), values.results_hash()) << text;
  }
}

TEST(Loader, RefusesSubstitutionsThatDoNotEnd) {
  EXPECT_THAT(config_error_of([] { load(std::string(kLeast) + "name: 'a${sampling.clip_len'\n"); }),
              HasSubstr("c.yaml:3:7: name: ${ without }; write $${ for the characters themselves"));
  EXPECT_THAT(config_error_of([] { load(std::string(kLeast) + "name: '${output.work_dir}'\n"); }),
              HasSubstr("c.yaml:3:7: name: ${output.work_dir} stands for itself"));
  EXPECT_THAT(config_error_of([] { load(std::string(kLeast) + "name: '${sampling.cliplen}'\n"); }),
              HasSubstr("no such key, or it has no value (did you mean 'sampling.clip_len'?)"));
  EXPECT_THAT(config_error_of([] {
                load("name: '" + std::string(4000, 'a') +
                     "'\ndataset: {type: folder, data_root: '${name}${name}'}\n"
                     "network: {checkpoint: '${dataset.data_root}${dataset.data_root}'}\n");
              }),
              HasSubstr("grows beyond 8192 characters"));
}

TEST(Loader, NamesTheChainOfACycleOfBases) {
  const TemporaryFolder folder;
  write(folder / "a.yaml", "_base_: b.yaml\n");
  write(folder / "b.yaml", "\n_base_: [a.yaml]\n");
  const std::string error = config_error_of([&] { load_config(folder / "a.yaml"); });
  EXPECT_THAT(error, HasSubstr("b.yaml:2:10: _base_: a cycle: "));
  EXPECT_THAT(error, testing::ContainsRegex("a.yaml -> .*b.yaml -> .*a.yaml"));
}

TEST(Loader, BoundsTheNumberOfBases) {
  const TemporaryFolder folder;
  write(folder / "0.yaml", "name: x\n");
  for (int level = 1; level < 12; ++level) {
    write(folder / fmt::format("{}.yaml", level),
          fmt::format("_base_: [{0}.yaml, {0}.yaml]\n", level - 1));
  }
  EXPECT_THAT(config_error_of([&] { load_config(folder / "11.yaml"); }),
              HasSubstr("more than 64 files"));
}

TEST(Loader, NamesABaseThatIsNotThere) {
  const TemporaryFolder folder;
  write(folder / "a.yaml", "_base_: _base_/nothing.yaml\n");
  EXPECT_THAT(config_error_of([&] { load_config(folder / "a.yaml"); }),
              testing::ContainsRegex("a.yaml:1:9: _base_: no such file: .*_base_/nothing.yaml"));
}

TEST(Loader, ShowsAllProblemsAtOnce) {
  const std::string error = config_error_of([] {
    load(
        "dataset: {type: moving_shape}\nsampling: {cilp_len: 16}\nexplain:\n  threshold: 3\n"
        "clip_len: 4\n");
  });
  EXPECT_THAT(error,
              StrEq("c.yaml:1:17: dataset.type: expected folder | list | manifest | moving_shapes "
                    "| kinetics400 | kinetics600 | "
                    "kinetics700 | ucf101 | hmdb51 | epic55 | epic100 | egtea; got "
                    "'moving_shape' (did you mean 'moving_shapes'?)\n"
                    "c.yaml:2:12: sampling.cilp_len: no such key (did you mean 'clip_len'?)\n"
                    "c.yaml:4:14: explain.threshold: expected number from 0 to 1; got '3'\n"
                    "c.yaml:5:1: clip_len: no such key (did you mean 'sampling.clip_len'?)"));
}

TEST(Loader, RefusesKeysOfAnotherDataSetType) {
  EXPECT_THAT(config_error_of([] {
                load(
                    "dataset: {type: folder, data_root: x, file: y}\n"
                    "network: {checkpoint: random}\n");
              }),
              StrEq("c.yaml:1:45: dataset.file: a data set of type 'folder' has no such key; "
                    "it belongs to: list manifest"));
}

TEST(Loader, RefusesOverridesThatSayNothing) {
  EXPECT_THAT(config_error_of([] { load(kLeast, {"sampling.clip_len"}); }),
              StrEq("command line: 'sampling.clip_len': expected key=value"));
  EXPECT_THAT(config_error_of([] { load(kLeast, {"sampling..x=1"}); }), HasSubstr("an empty key"));
  EXPECT_THAT(config_error_of([] { load(kLeast, {"smpling.clip_len=8"}); }),
              StrEq("command line: smpling: no such key (did you mean 'sampling'?)"));
  EXPECT_THAT(config_error_of([] { load(kLeast, {"sampling=8"}); }),
              StrEq("command line: sampling: expected keys below it, got '8'"));
  EXPECT_THAT(config_error_of([] { load("dataset.type: folder\n"); }),
              HasSubstr("c.yaml:1:1: dataset.type: no such key"));
}

TEST(Loader, RefusesAConfigThatIsNoMap) {
  EXPECT_THAT(config_error_of([] { load("- a\n- b\n"); }), HasSubstr("expected keys, got a list"));
  EXPECT_THAT(config_error_of([] { load(""); }), HasSubstr("dataset.type: must be given"));
}

TEST(Loader, WritesWhatReadsBackTheSame) {
  const ConfigValues values = load(std::string(kLeast) +
                                   "name: 'a: \"b\" # ü'\npreprocess: {mean: [1, 2.5, 3]}\n"
                                   "explain: {target: '7', depth: [a, b]}\n");
  const std::string yaml = values.to_yaml();
  const ConfigValues again = load_config_text(yaml, "again.yaml");
  EXPECT_EQ(again.results_hash(), values.results_hash());
  for (const KeySpec& key : config_schema()) {
    EXPECT_EQ(to_flow_yaml(again.tree(key.path)), to_flow_yaml(values.tree(key.path))) << key.path;
  }
  EXPECT_TRUE(again.tree("explain.target").quoted) << "the class '7' became class number 7";
  EXPECT_THAT(yaml, HasSubstr("  clip_len: 16  # default\n"));
  EXPECT_THAT(yaml, HasSubstr("  mean: [1, 2.5, 3]  # c.yaml:4:20\n"));
}

TEST(Loader, HashesWhatChangesResultsAndNothingElse) {
  const std::uint64_t hash = load(kLeast).results_hash();
  EXPECT_EQ(load(kLeast, {"runtime.decode_workers=3", "name=x"}).results_hash(), hash);
  EXPECT_NE(load(kLeast, {"sampling.clip_len=8"}).results_hash(), hash);
}

}  // namespace
}  // namespace cfp
