// Videos seen in several views, from the config to the files of a run.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "results/store/part_reader.h"
#include "tests/integration/program.h"
#include "tests/support/run_command.h"
#include "tests/support/test_data.h"

namespace cfp::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class RunOfViews : public testing::Test {
 protected:
  void SetUp() override {
    write_text(folder_ / "c.yaml",
               tiny_config("{type: moving_shapes, data_root: cache, count: 10}"));
  }
  void run(const std::string& out, std::vector<std::string> overrides) {
    overrides.insert(overrides.begin(),
                     {"run", "-q", "c.yaml", "output.work_dir=" + out, "network.num_classes=10",
                      "sampling.policy=uniform", "sampling.num_clips=3",
                      "explain.target=prediction", "runtime.threads_per_device=1"});
    const ProgramResult result = run_program(overrides, folder_.path());
    ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
  }
  std::vector<ClipResult> clips(const std::string& out) const {
    const PartReader part(folder_ / (out + "/part-00000.h5"));
    std::vector<ClipResult> clips;
    for (std::int64_t i = 0; i < part.clips(); ++i) clips.push_back(part.read(i));
    return clips;
  }

  TemporaryFolder folder_;
};

TEST_F(RunOfViews, AveragesWhatItSaysOfEach) {
  const std::string python = python_with("h5py", CFP_SOURCE_DIR);
  CFP_SKIP_WITHOUT_PYTHON(python, "h5py");
  run("apart", {"runtime.batch_size=1"});
  run("mean", {"runtime.batch_size=1", "explain.views=averaged"});
  const CommandResult checked = run_command(
      fmt::format("{} {}/tests/integration/check_views.py {} {} 3", python, CFP_SOURCE_DIR,
                  (folder_ / "apart").string(), (folder_ / "mean").string()));
  EXPECT_EQ(checked.exit_code, 0) << checked.output;
  EXPECT_THAT(checked.output, HasSubstr("10 rows of 3 views, "));
}

TEST_F(RunOfViews, DoesNotDependOnThreadsAndDevices) {
  for (const char* views : {"separate", "averaged"}) {
    const std::string key = fmt::format("explain.views={}", views);
    run("one", {"runtime.batch_size=2", key, "runtime.devices=[cpu]", "output.overwrite=true"});
    run("two", {"runtime.batch_size=2", key, "runtime.devices=[cpu, cpu]",
                "runtime.decode_workers=4", "output.overwrite=true"});
    const std::vector<ClipResult> a = clips("one"), b = clips("two");
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].logits, b[i].logits);
      for (std::size_t l = 0; l < a[i].pyramids[0].layers.size(); ++l) {
        const PyramidLayer &x = a[i].pyramids[0].layers[l], &y = b[i].pyramids[0].layers[l];
        EXPECT_EQ(x.kernels.positive, y.kernels.positive);
        EXPECT_EQ(x.channels.reached, y.channels.reached);
        EXPECT_EQ(x.edges, y.edges);
        EXPECT_EQ(x.tube.values, y.tube.values);
      }
    }
    EXPECT_EQ(read_text(folder_ / "one/per_layer.csv"), read_text(folder_ / "two/per_layer.csv"));
  }
}

TEST_F(RunOfViews, IsDrawnAndExportedViewByView) {
  run("apart", {"output.render=2"});
  EXPECT_EQ(fs::exists(folder_ / "apart/overlays/test_00000_translate_left.mp4"), false);
  const std::string listing = read_text(folder_ / "apart/overlays/listing.csv");
  EXPECT_THAT(listing, HasSubstr("test_00000_translate_left"));
  EXPECT_THAT(listing, HasSubstr("test_00001_translate_right"));
  EXPECT_THAT(listing, Not(HasSubstr("~view"))) << "of each row its first view";
  const std::string id = "test_00001_translate_right";
  const ProgramResult drawn =
      run_program({"render", "apart", id, "--format", "png", "--style", "heat"}, folder_.path());
  ASSERT_EQ(drawn.exit_code, 0) << drawn.err;
  EXPECT_THAT(read_text(folder_ / "apart/overlays/listing.csv"), HasSubstr(id + "~view2"));
  ASSERT_EQ(
      run_program({"export-graph", "apart", id, "--view", "2", "--out", "g.json"}, folder_.path())
          .exit_code,
      0);
  EXPECT_EQ(read_json(folder_ / "g.json")["clip"]["view"], 2);
  EXPECT_EQ(read_json(folder_ / "g.json")["clip"]["views"], 1);
  EXPECT_THAT(read_text(folder_ / "apart/summary.html"), Not(HasSubstr("view 1")));
}

TEST_F(RunOfViews, IsReadFromPartsThatKnowNoAverages) {
  const std::string python = python_with("h5py", CFP_SOURCE_DIR);
  CFP_SKIP_WITHOUT_PYTHON(python, "h5py");
  run("old", {});
  ASSERT_EQ(run_command(fmt::format("{} -c 'import h5py, sys; "
                                    "del h5py.File(sys.argv[1], \"r+\")[\"clips/views\"]' {}",
                                    python, (folder_ / "old/part-00000.h5").string()))
                .exit_code,
            0);
  EXPECT_EQ(clips("old").at(5).views, 1);
}

TEST_F(RunOfViews, IsDrawnAndExportedAsAMean) {
  run("mean", {"explain.views=averaged", "output.render=1"});
  const std::string id = "test_00001_translate_right";
  const ProgramResult drawn =
      run_program({"render", "mean", id, "--format", "png", "--style", "heat"}, folder_.path());
  ASSERT_EQ(drawn.exit_code, 0) << drawn.err;
  ASSERT_EQ(run_program({"export-graph", "mean", id, "--out", "g.json"}, folder_.path()).exit_code,
            0);
  EXPECT_EQ(read_json(folder_ / "g.json")["clip"]["view"], 0);
  EXPECT_EQ(read_json(folder_ / "g.json")["clip"]["views"], 3);
  EXPECT_EQ(read_json(folder_ / "g.json")["parameters"]["explain.views"], "averaged");
  const ProgramResult none =
      run_program({"export-graph", "mean", id, "--view", "1"}, folder_.path());
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("has 1 view, counted from 0"));
  EXPECT_THAT(read_text(folder_ / "mean/summary.html"),
              HasSubstr("mean of 3 views over the frames of the first"));
}

}  // namespace
}  // namespace cfp::test
