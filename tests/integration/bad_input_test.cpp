// What goes wrong because of what was given: each ends with its code, names the culprit, and says
// what was allowed.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/integration/program.h"
#include "tests/support/synthetic_video.h"
#include "tests/support/test_data.h"

namespace cfp::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class BadInput : public testing::Test {
 protected:
  void SetUp() override {
    make_video(folder_ / "clips/a/one.mkv");
    make_video(folder_ / "clips/b/two.mkv");
    write_text(folder_ / "good.yaml", tiny_config("{type: folder, data_root: clips}"));
  }
  /// Expects an exit code and a message, and that nothing was left behind.
  void expect(const std::vector<std::string>& arguments, int code, const std::string& message) {
    const ProgramResult result = run_program(arguments, folder_.path());
    EXPECT_EQ(result.exit_code, code) << result.out << result.err;
    EXPECT_THAT(result.err, HasSubstr(message));
    EXPECT_FALSE(fs::exists(folder_ / "out/part-00000.h5"));
  }

  TemporaryFolder folder_;
};

TEST_F(BadInput, TheGoodConfigIsGood) {
  const ProgramResult result = run_program({"run", "good.yaml"}, folder_.path());
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST_F(BadInput, CommandLine) {
  expect({}, 2, "subcommand is required");
  expect({"rnu"}, 2,
         "no verb is called 'rnu' (did you mean 'run'?); there are: run, sweep, submit, check");
  expect({"run"}, 2, "config is required");
  expect({"run", "good.yaml", "--fast"}, 2, "--fast");
  expect({"run", "good.yaml", "explain.depth"}, 2, "'explain.depth': expected key=value");
}

TEST_F(BadInput, Config) {
  expect({"run", "missing.yaml"}, 2, "missing.yaml: cannot open the config: No such file");
  write_text(folder_ / "typo.yaml", "dataset: {type: folder, data_rot: clips}\n");
  expect({"run", "typo.yaml"}, 2,
         "typo.yaml:1:25: dataset.data_rot: no such key (did you mean 'data_root'?)");
  write_text(folder_ / "broken.yaml", "dataset: {type: folder\nnetwork: x\n");
  expect({"run", "broken.yaml"}, 2, "broken.yaml:");
  expect({"run", "good.yaml", "explain.threshhold=1"}, 2, "did you mean 'threshold'?");
  expect({"run", "good.yaml", "network.type=resnet50"}, 2, "did you mean 'resnet50_3d'?");
  expect({"run", "good.yaml", "runtime.batch_size=0"}, 2,
         "command line: runtime.batch_size: expected integer from 1 to 1024; got '0'");
}

TEST_F(BadInput, DataSet) {
  expect({"run", "good.yaml", "dataset.data_root=nowhere"}, 2,
         "command line: dataset: nowhere: no such folder");
  fs::create_directories(folder_ / "hollow");
  expect({"run", "good.yaml", "dataset.data_root=hollow"}, 2, "hollow");
  expect({"run", "good.yaml", "dataset.type=list", "dataset.file=nothing.csv"}, 2, "nothing.csv");
  expect({"run", "good.yaml", "dataset.classes=[bowling]"}, 2, "bowling");
}

TEST_F(BadInput, Explanation) {
  expect({"run", "good.yaml", "explain.depth=[layer9.conv1]"}, 2, "layer9.conv1");
  expect({"run", "good.yaml", "explain.target=5"}, 2, "class 5 is not among the network's 0..4");
  expect({"run", "good.yaml", "explain.target=bowling"}, 2, "no class is called 'bowling'");
  expect({"run", "good.yaml", "runtime.devices=[gpu]"}, 2, "'gpu' is no device");
  expect({"run", "good.yaml", "runtime.devices=['cuda:99']"}, 4, "cuda:99");
}

TEST_F(BadInput, LabelsThatDoNotFitTheNetwork) {
  write_text(folder_ / "names.txt", "abseiling\narchery\nb\nc\nd\n");
  expect({"run", "good.yaml", "network.class_names=names.txt"}, 2, "'a'");
  write_text(folder_ / "list.txt", "clips/a/one.mkv 7\n");
  expect({"run", "good.yaml", "dataset={type: list, file: list.txt, data_root: .}"}, 2,
         "label 7 is not among the network's classes 0..4");
}

TEST_F(BadInput, Checkpoint) {
  const auto with = [](const std::string& file) {
    return std::vector<std::string>{"run", "good.yaml", "network.checkpoint=" + file};
  };
  expect(with("no.pth"), 4, "no.pth");
  write_text(folder_ / "page.pth", "<!DOCTYPE html><html><body>Quota exceeded</body></html>");
  expect(with("page.pth"), 4, "page.pth");
  write_text(folder_ / "empty.pth", "");
  expect(with("empty.pth"), 4, "empty.pth");
  write_text(folder_ / "huge.safetensors", std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10));
  expect(with("huge.safetensors"), 4, "huge.safetensors");
  const fs::path demo = CFP_SOURCE_DIR "/configs/demo/resnet3d_moving_shapes.safetensors";
  const std::string bytes = read_text(demo);
  write_text(folder_ / "cut.safetensors", bytes.substr(0, bytes.size() / 2));
  expect(with("cut.safetensors"), 4, "cut.safetensors");
  // The demo's network has other layers than the tiny one.
  expect(with(demo.string()), 4, "resnet3d_moving_shapes.safetensors");
}

TEST_F(BadInput, CheckpointThatWouldRunACommandInPython) {
  using namespace std::string_literals;
  write_text(folder_ / "hostile.pth",
             "\x80\x02"
             "cposix\nsystem\nX\x0e\0\0\0touch executed\x85R."s);
  expect({"run", "good.yaml", "network.checkpoint=hostile.pth"}, 4,
         "'hostile.pth': its pickle names 'posix system'");
  EXPECT_FALSE(fs::exists(folder_ / "executed"));
}

TEST_F(BadInput, CheckpointThatIsTruncated) {
  const fs::path fixtures = checkpoint_facts() / "checkpoint_fixtures";
  CFP_SKIP_WITHOUT(fixtures);
  for (const std::string name : {"tiny_flat.legacy.pth", "tiny_flat.zip.pth"}) {
    const std::string bytes = read_text(fixtures / name);
    for (const std::size_t length : {bytes.size() - 1, bytes.size() / 2}) {
      SCOPED_TRACE(name + " cut to " + std::to_string(length));
      write_text(folder_ / name, bytes.substr(0, length));
      expect({"run", "good.yaml", "network.checkpoint=" + name}, 4, "the file is truncated");
    }
  }
}

TEST_F(BadInput, FoldersThatCannotBeWritten) {
  expect({"run", "good.yaml", "output.work_dir=/proc/out"}, 4,
         "cannot make the folder '/proc/out'");
  write_text(folder_ / "file", "x");
  expect({"run", "good.yaml", "output.work_dir=file"}, 2, "is there and is no folder");
  expect({"run", "good.yaml", "output.work_dir=clips"}, 2, "holds files that are not of a run");
  if (geteuid() == 0) return;  // root may write everywhere
  fs::create_directories(folder_ / "locked");
  fs::permissions(folder_ / "locked", fs::perms::owner_read | fs::perms::owner_exec);
  expect({"run", "good.yaml", "output.work_dir=locked/out"}, 4, "Permission denied");
}

TEST_F(BadInput, ResultsAreReplacedOnlyWhenTold) {
  ASSERT_EQ(run_program({"run", "good.yaml"}, folder_.path()).exit_code, 0);
  const std::string part = read_text(folder_ / "out/part-00000.h5");
  const ProgramResult again =
      run_program({"run", "good.yaml", "explain.threshold=0.7"}, folder_.path());
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.err, HasSubstr("--fresh"));
  EXPECT_EQ(read_text(folder_ / "out/part-00000.h5"), part);
  EXPECT_EQ(run_program({"run", "good.yaml", "output.overwrite=true"}, folder_.path()).exit_code,
            0);
}

/// A media file that cannot be explained.
struct BadClip {
  std::string name, reason;
};

TEST_F(BadInput, MediaFilesAreFailuresWithTheirReasons) {
  const std::vector<BadClip> bad = {
      {"audio.mkv", "no_video_stream"}, {"corrupted.mp4", "decode_error"},
      {"empty.mp4", "empty"},           {"gone.mp4", "missing"},
      {"short.mkv", "too_short"},       {"text.mp4", "unreadable"},
      {"truncated.mp4", "unreadable"}};
  CFP_SKIP_WITHOUT(test_data() / "clips");
  const fs::path media = folder_ / "clips";
  write_media(media / "audio.mkv",
              {{.kind = SyntheticStream::Kind::kAudio, .encoder = "pcm_s16le"}});
  write_text(media / "corrupted.mp4", read_text(test_data() / "clips/corrupted.mp4"));
  write_text(media / "empty.mp4", "");
  write_media(media / "short.mkv", {{.frames = 3}});
  write_text(media / "text.mp4", "this is a note about a video\n");
  write_text(media / "truncated.mp4",
             read_text(test_data() / "clips/nasa_13013.mp4").substr(0, 5000));
  std::string list = "path,label\na/one.mkv,0\n";
  for (const BadClip& clip : bad) list += clip.name + ",1\n";
  write_text(folder_ / "list.csv", list + "b/two.mkv,4\n");

  const ProgramResult result =
      run_program({"run", "good.yaml", "dataset={type: list, file: list.csv, data_root: clips}",
                   "dataset.max_failures=7", "sampling.out_of_bound=error", "sampling.clip_len=16"},
                  folder_.path());
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("2 of 9 clips explained, 7 failed"));
  const std::string failures = read_text(folder_ / "out/failures.csv");
  for (std::size_t i = 0; i < bad.size(); ++i) {
    EXPECT_THAT(failures, HasSubstr(fmt::format("\n{},{},", i + 1, bad[i].name)));
    EXPECT_THAT(failures, HasSubstr(bad[i].name + ",decode," + bad[i].reason + ","));
  }
  EXPECT_THAT(failures, testing::EndsWith(",random\n")) << "does not say that weights are random";
}

TEST_F(BadInput, TooManyFailuresEndTheRun) {
  for (int i = 0; i < 3; ++i)
    write_text(folder_ / "clips/a" / ("bad" + std::to_string(i) + ".mp4"), "x");
  const ProgramResult result =
      run_program({"run", "good.yaml", "dataset.max_failures=2"}, folder_.path());
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_THAT(result.err, HasSubstr("more clips failed than dataset.max_failures allows: 3 of 5"));
  EXPECT_EQ(read_json(folder_ / "out/run.json")["state"], "too_many_failures");
  EXPECT_EQ(read_json(folder_ / "out/run.json")["failed"], 3);
}

TEST_F(BadInput, AHopelessRunEndsEarly) {
  for (int i = 0; i < 60; ++i) {
    write_text(folder_ / "bad/a" / ("bad" + std::to_string(i) + ".mp4"), "x");
  }
  const ProgramResult result = run_program(
      {"run", "good.yaml", "dataset.data_root=bad", "dataset.max_failures=50"}, folder_.path());
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_THAT(result.err, HasSubstr("the first 20 clips all failed"));
  EXPECT_EQ(read_json(folder_ / "out/run.json")["failed"], 20);
}

}  // namespace
}  // namespace cfp::test
