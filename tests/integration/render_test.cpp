// `cfp render` and `output.render`: what is drawn, and what is said of wrong input.
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/integration/program.h"
#include "tests/support/run_command.h"
#include "tests/support/synthetic_video.h"
#include "tests/support/test_data.h"

namespace cfp::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

/// 20 frames, unevenly spaced.
std::vector<std::int64_t> uneven_times() {
  std::vector<std::int64_t> pts;
  for (int t = 0; t < 20; ++t) pts.push_back(40 * t + (t % 3) * 7 + (t > 10 ? 200 : 0));
  return pts;
}

void make_uneven_video(const fs::path& path, int first_number = 0) {
  fs::create_directories(path.parent_path());
  write_media(path, {{.width = 64,
                      .height = 48,
                      .frames = 20,
                      .first_number = first_number,
                      .ticks_per_s = 1000,
                      .pts = uneven_times()}});
}

/// A run of two clips, one of which cannot be decoded; frames are cropped and not resized, so that
/// others can crop them the same way.
ProgramResult run_two_clips(const fs::path& folder,
                            const std::vector<std::string>& overrides = {}) {
  make_uneven_video(folder / "clips/waving/one.mkv");
  write_text(folder / "clips/waving/bad.mp4", "no video");
  write_text(folder / "c.yaml", tiny_config("{type: folder, data_root: clips, max_failures: 1}"));
  std::vector<std::string> arguments = {"run", "-q", "c.yaml", "preprocess.resize_mode=none",
                                        "preprocess.crop=47"};
  arguments.insert(arguments.end(), overrides.begin(), overrides.end());
  return run_program(arguments, folder);
}

std::string python_for_render() { return python_with("h5py, av, torch", CFP_SOURCE_DIR); }

CommandResult check_render(const std::string& python, const TemporaryFolder& folder) {
  return run_command(fmt::format("{} {}/tests/integration/check_render.py {} {} 47", python,
                                 CFP_SOURCE_DIR, (folder / "out").string(),
                                 (folder / "clips/waving/one.mkv").string()));
}

/// Makes every tube of a part constant.
void flatten_tubes(const std::string& python, const fs::path& part) {
  const CommandResult result = run_command(fmt::format(
      "{} -c \"import h5py\nwith h5py.File('{}', 'r+') as p:\n  for t in p['tubes'].values():\n"
      "    for n in ('values', 'minimum', 'maximum'): t[n][...] = 0.1\"",
      python, part.string()));
  ASSERT_EQ(result.exit_code, 0) << result.output;
}

TEST(Render, DrawsWhatPythonDraws) {
  const std::string python = python_for_render();
  CFP_SKIP_WITHOUT_PYTHON(python, "h5py, av, torch");
  const TemporaryFolder folder;
  ASSERT_EQ(run_two_clips(folder.path()).exit_code, 0);
  const ProgramResult result =
      run_program({"render", "out", "--depth", "3", "--sheet"}, folder.path());
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("RANDOM WEIGHTS"));
  EXPECT_THAT(result.out, HasSubstr("waving/one.mkv: 4 layers for "));
  EXPECT_THAT(result.out, HasSubstr("8 frames of 47x47"));
  EXPECT_THAT(result.out, HasSubstr("1 clips rendered, 0 failed, 0 tubes constant; 20 files"));
  // The classifier, the last convolution, that of the shortcut beside it and the one before; each
  // in 2 styles of 8 frames and a video.
  const CommandResult checked = check_render(python, folder);
  EXPECT_EQ(checked.output, "64 pictures, 8 videos\n");
  for (const auto& entry : fs::recursive_directory_iterator(folder / "out/overlays")) {
    EXPECT_THAT(entry.path().string(), Not(HasSubstr(".tmp"))) << "left behind";
  }
}

TEST(Render, GivesTheSameBytesAgain) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_two_clips(folder.path()).exit_code, 0);
  for (const char* out : {"a", "b"}) {
    ASSERT_EQ(
        run_program({"render", "out", "--layer", "fc", "--out", out}, folder.path()).exit_code, 0);
  }
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder / "a")) {
    if (!entry.is_regular_file()) continue;
    const fs::path other = folder.path() / "b" / fs::relative(entry.path(), folder / "a");
    EXPECT_EQ(read_text(entry.path()), read_text(other)) << other;
    ++files;
  }
  EXPECT_EQ(files, 2 + 16 + 1);
}

TEST(Render, DrawsAConstantTubeAsZerosAndSaysSo) {
  const std::string python = python_for_render();
  CFP_SKIP_WITHOUT_PYTHON(python, "h5py, av, torch");
  const TemporaryFolder folder;
  ASSERT_EQ(run_two_clips(folder.path()).exit_code, 0);
  flatten_tubes(python, folder / "out/part-00000.h5");
  const ProgramResult result = run_program({"render", "out", "--layer", "fc"}, folder.path());
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("  fc: the tube is constant: drawn as zeros"));
  EXPECT_THAT(result.out, HasSubstr("1 tubes constant"));
  EXPECT_EQ(check_render(python, folder).output, "16 pictures, 2 videos\n");
  EXPECT_THAT(read_text(folder / "out/overlays/listing.csv"), HasSubstr(",0.1,0.1,constant"));
}

TEST(Render, KeepsTheListingOfEarlierCalls) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_two_clips(folder.path()).exit_code, 0);
  const auto lines = [&] {
    const std::string text = read_text(folder / "out/overlays/listing.csv");
    return std::count(text.begin(), text.end(), '\n') - 1;
  };
  ASSERT_EQ(run_program({"render", "out", "waving/one.mkv", "--layer", "fc", "--style", "heat"},
                        folder.path())
                .exit_code,
            0);
  EXPECT_EQ(lines(), 2);
  ASSERT_EQ(run_program({"render", "out", "--layer", "fc", "--style", "focus", "--format", "mp4"},
                        folder.path())
                .exit_code,
            0);
  EXPECT_EQ(lines(), 3);
  fs::remove_all(folder / "out/overlays/waving+one.mkv/fc-heat");
  ASSERT_EQ(run_program({"render", "out", "--layer", "fc", "--style", "heat", "--format", "mp4"},
                        folder.path())
                .exit_code,
            0);
  EXPECT_EQ(lines(), 2) << "what was removed is listed no longer";
}

TEST(Render, SaysWhatIsWrongWithTheCommandLine) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_two_clips(folder.path()).exit_code, 0);
  const auto refused = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "render");
    const ProgramResult result = run_program(arguments, folder.path());
    EXPECT_EQ(result.exit_code, 2) << result.out << result.err;
    return result.err;
  };
  EXPECT_THAT(refused({"nowhere"}), HasSubstr("no such folder: 'nowhere'"));
  EXPECT_THAT(refused({"clips"}), HasSubstr("'clips' holds no part-*.h5"));
  EXPECT_THAT(refused({"c.yaml"}), HasSubstr("'c.yaml' is no folder"));
  EXPECT_THAT(refused({"out", "waving/onw.mkv"}), HasSubstr("did you mean 'waving/one.mkv'?"));
  EXPECT_THAT(refused({"out", "../../etc/passwd"}), HasSubstr("no clip is called"));
  EXPECT_THAT(refused({"out", "waving/bad.mp4"}),
              HasSubstr("the run could not explain 'waving/bad.mp4': "));
  EXPECT_THAT(refused({"out", "--layer", "layer2.0.conv4"}),
              HasSubstr("no layer 'layer2.0.conv4' (did you mean"));
  EXPECT_THAT(refused({"out", "--target", "1"}), HasSubstr("target 1: the run explains 1 target"));
  EXPECT_THAT(refused({"out", "--depth", "0"}), HasSubstr("--depth"));
  EXPECT_THAT(refused({"out", "--depth", "2", "--layer", "fc"}), HasSubstr("excludes"));
  EXPECT_THAT(refused({"out", "--style", "cold"}), HasSubstr("--style"));
  EXPECT_FALSE(fs::exists(folder / "out/overlays")) << "a refused call wrote something";
}

TEST(Render, NeedsTubes) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_two_clips(folder.path(), {"output.tubes=none"}).exit_code, 0);
  const ProgramResult result = run_program({"render", "out"}, folder.path());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("the run kept no tubes; run it with"));
}

TEST(Render, SaysThatTheMediaAreGoneOrChanged) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_two_clips(folder.path()).exit_code, 0);
  fs::remove(folder / "clips/waving/one.mkv");
  const ProgramResult gone = run_program({"render", "out"}, folder.path());
  EXPECT_EQ(gone.exit_code, 3);
  EXPECT_THAT(gone.out, HasSubstr("waving/one.mkv: not rendered: "));
  EXPECT_THAT(gone.out, HasSubstr("relative to the folder that the run was started in"));
  EXPECT_THAT(read_text(folder / "out/overlays/listing.csv"), HasSubstr(",missing\n"));

  make_video(folder / "clips/waving/one.mkv");  // as many frames, other times
  const ProgramResult changed = run_program({"render", "out"}, folder.path());
  EXPECT_EQ(changed.exit_code, 3);
  EXPECT_THAT(changed.out, testing::ContainsRegex(
                               "one.mkv: not the file that the run explained: frame [0-9]+ is at"));

  make_uneven_video(folder / "clips/waving/one.mkv");
  EXPECT_EQ(run_program({"render", "out", "--format", "mp4"}, folder.path()).exit_code, 0);
  EXPECT_THAT(read_text(folder / "out/overlays/listing.csv"), Not(HasSubstr("missing")));
}

TEST(Render, SaysThatAPartOrTheManifestIsDamaged) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_two_clips(folder.path()).exit_code, 0);
  const fs::path part = folder / "out/part-00000.h5", manifest = folder / "out/manifest.csv";
  const std::string whole = read_text(part), rows = read_text(manifest);
  write_text(part, whole.substr(0, whole.size() / 2));
  const ProgramResult damaged = run_program({"render", "out"}, folder.path());
  EXPECT_EQ(damaged.exit_code, 4);
  EXPECT_THAT(damaged.err, HasSubstr("part-00000.h5"));
  write_text(part, whole);

  write_text(manifest, rows.substr(0, rows.find('\n', rows.find('\n') + 1) + 1));
  const ProgramResult other = run_program({"render", "out"}, folder.path());
  EXPECT_EQ(other.exit_code, 4);
  EXPECT_THAT(other.err, HasSubstr("made of another manifest than"));
  fs::remove(manifest);
  const ProgramResult without = run_program({"render", "out"}, folder.path());
  EXPECT_EQ(without.exit_code, 2);
  EXPECT_THAT(without.err, HasSubstr("manifest.csv: no such file"));
}

TEST(Render, SaysThatItCannotWrite) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_two_clips(folder.path()).exit_code, 0);
  const ProgramResult result = run_program({"render", "out", "--out", "/proc/x"}, folder.path());
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr("cannot make the folder '/proc/x'"));
  write_text(folder / "file", "in the way");
  EXPECT_EQ(run_program({"render", "out", "--out", "file"}, folder.path()).exit_code, 4);
  write_text(folder / "mine/listing.csv", "name,size\nmine,3\n");
  const ProgramResult taken = run_program({"render", "out", "--out", "mine"}, folder.path());
  EXPECT_EQ(taken.exit_code, 2);
  EXPECT_THAT(taken.err, HasSubstr("is no listing of rendered files"));
  EXPECT_EQ(read_text(folder / "mine/listing.csv"), "name,size\nmine,3\n");
}

TEST(Render, OfSeveralViewsKeepsThemApart) {
  const TemporaryFolder folder;
  ASSERT_EQ(
      run_two_clips(folder.path(), {"sampling.policy=uniform", "sampling.num_clips=2"}).exit_code,
      0);
  ASSERT_EQ(
      run_program({"render", "out", "--layer", "fc", "--format", "mp4"}, folder.path()).exit_code,
      0);
  EXPECT_TRUE(fs::exists(folder / "out/overlays/waving+one.mkv/fc-heat.mp4"));
  EXPECT_TRUE(fs::exists(folder / "out/overlays/waving+one.mkv~view1/fc-focus.mp4"));
}

TEST(Render, HappensAtTheEndOfARunThatAsksForIt) {
  const TemporaryFolder folder;
  const ProgramResult first = run_two_clips(folder.path(), {"output.render=5"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_TRUE(fs::exists(folder / "out/overlays/waving+one.mkv/fc-heat/007.png"));
  EXPECT_EQ(read_json(folder / "out/run.json")["state"], "complete");
  EXPECT_THAT(read_text(folder / "out/log.jsonl"), HasSubstr("\"event\":\"rendered\""));
  // Pictures of results that are gone would be taken for those of the new ones.
  ASSERT_EQ(run_two_clips(folder.path(), {"output.overwrite=true"}).exit_code, 0);
  EXPECT_FALSE(fs::exists(folder / "out/overlays"));
}

}  // namespace
}  // namespace cfp::test
