// A copy of a published data set with everything wrong in it that goes wrong: each clip is
// explained or fails with exactly its reason, in the run and in the check before it.
#include <chrono>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "datasets/csv.h"
#include "tests/integration/program.h"
#include "tests/integration/published_copies.h"
#include "tests/support/test_data.h"

namespace cfp::test {
namespace {

namespace fs = std::filesystem;

/// Takes from programs that this one starts the right of root to read what it may not.
/// @return whether permissions mean anything to them
bool respects_permissions() {
  return geteuid() != 0 || (prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0) == 0 &&
                            prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH, 0, 0, 0) == 0);
}

/// The column `reason` by `clip_id`.
std::map<std::string, std::string> reasons_in(const fs::path& csv) {
  std::map<std::string, std::string> reasons;
  CsvTable table(csv);
  while (table.next()) reasons[table.at("clip_id")] = table.at("reason");
  return reasons;
}

class PublishedFaults : public testing::Test {
 protected:
  PublishedFaults() {
    std::string list;
    for (int c = 1; c <= 20; ++c) {
      const std::string name = fmt::format("v_Archery_g01_c{:02}", c);
      list += fmt::format("Archery/{}.avi\r\n", name);
      write_clip(file(c), {name, "Archery", name, c});
    }
    write_text(folder_ / "annotations/classInd.txt",
               "1 Archery\r\n2 Basketball\r\n3 Bowling\r\n4 Diving\r\n5 Fencing\r\n");
    write_text(folder_ / "annotations/testlist01.txt", list);
    write_text(folder_ / "faulty.yaml",
               tiny_config("{type: ucf101, data_root: root, annotations: annotations, "
                           "max_failures: 20}"));
  }

  fs::path file(int clip) const {
    return folder_ / "root/Archery" / fmt::format("v_Archery_g01_c{:02}.avi", clip);
  }
  static std::string id(int clip) { return fmt::format("v_Archery_g01_c{:02}", clip); }
  fs::path with_extension(int clip, const char* extension) const {
    return fs::path(file(clip)).replace_extension(extension);
  }

  /// Plants every fault. @return the reason that each bad clip must get
  std::map<std::string, std::string> plant(bool with_permissions) const {
    std::map<std::string, std::string> expected;
    fs::remove(file(1));
    expected[id(1)] = "missing";
    write_text(file(2), "");
    expected[id(2)] = "empty";
    truncate_file(file(3), 0.6);
    expected[id(3)] = "decode_error";
    // An MP4 has its index at the end: without it nothing can be read.
    fs::remove(file(4));
    write_clip(with_extension(4, ".mp4"), {id(4), "Archery", id(4), 4});
    truncate_file(with_extension(4, ".mp4"), 0.6);
    expected[id(4)] = "unreadable";
    write_media(file(5), {{.kind = SyntheticStream::Kind::kAudio}});
    expected[id(5)] = "no_video_stream";
    fs::rename(file(6), with_extension(6, ".txt"));  // nobody would open that as a video
    expected[id(6)] = "missing";
    write_text(file(7), "Not found. The requested URL was not found on this server.\n");
    expected[id(7)] = "unreadable";
    if (with_permissions) {
      fs::permissions(file(8), fs::perms::none);
      expected[id(8)] = "unreadable";
    }
    fs::remove(file(9));
    fs::create_directory(file(9));
    expected[id(9)] = "unreadable";
    fs::remove(file(10));
    fs::create_symlink(file(10), file(10));
    expected[id(10)] = "unreadable";
    fs::remove(file(11));
    fs::create_symlink("nowhere.avi", file(11));
    expected[id(11)] = "missing";
    write_clip(folder_ / "root/other copy" / file(12).filename(), {id(12), "Archery", id(12), 12});
    expected[id(12)] = "duplicate";
    // These only look wrong: another container, another extension, a folder that leads back.
    write_clip(with_extension(13, ".mkv"), {id(13), "Archery", id(13), 13});
    fs::rename(with_extension(13, ".mkv"), file(13));
    fs::rename(file(14), with_extension(14, ".MPG"));
    fs::create_directory_symlink(folder_ / "root", folder_ / "root/Archery/loop");
    write_text(folder_ / "root/README.txt", "not a clip");
    return expected;
  }

  TemporaryFolder folder_;
};

TEST_F(PublishedFaults, AreEachWhatTheyAreAndNothingElseSuffers) {
  const bool with_permissions = respects_permissions();
  const std::map<std::string, std::string> expected = plant(with_permissions);

  const ProgramResult run = run_program({"run", "faulty.yaml"}, folder_.path());
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(reasons_in(folder_ / "out/failures.csv"), expected);
  const nlohmann::json end = read_json(folder_ / "out/run.json");
  EXPECT_EQ(end["done"], 20 - static_cast<int>(expected.size()));
  EXPECT_EQ(end["failed"], expected.size());

  // The check finds the same without computing anything; a header does not show a cut end.
  const ProgramResult full = run_program(
      {"check", "faulty.yaml", "--probe", "full", "--bad-clips", "full.csv"}, folder_.path());
  EXPECT_EQ(full.exit_code, 0) << full.out << full.err;
  EXPECT_EQ(reasons_in(folder_ / "full.csv"), expected);
  const ProgramResult header = run_program({"check", "faulty.yaml"}, folder_.path());
  EXPECT_EQ(header.exit_code, 0) << header.out << header.err;
  auto by_header = reasons_in(folder_ / "bad_clips.csv");
  by_header.emplace(id(3), "decode_error");
  EXPECT_EQ(by_header, expected);
  if (!with_permissions) {
    GTEST_SKIP() << "all but the unreadable permission, which this user cannot be denied";
  }
}

TEST_F(PublishedFaults, DecideTheExitCodeByTheirNumber) {
  const auto faults = static_cast<int>(plant(false).size());
  for (const int allowed : {faults - 1, faults}) {
    const ProgramResult check = run_program({"check", "faulty.yaml", "--probe", "full",
                                             fmt::format("dataset.max_failures={}", allowed)},
                                            folder_.path());
    EXPECT_EQ(check.exit_code, allowed < faults ? 3 : 0) << check.out << check.err;
    EXPECT_THAT(check.out, testing::HasSubstr(fmt::format("{} in bad_clips.csv", faults)));
  }
}

TEST_F(PublishedFaults, AreFoundTogetherWithThoseOfConfigAndCheckpoint) {
  plant(false);
  const ProgramResult check = run_program(
      {"check", "faulty.yaml", "network.checkpoint=nowhere.pth", "dataset.max_failures=0"},
      folder_.path());
  EXPECT_EQ(check.exit_code, 4) << "the checkpoint, before the clips";
  EXPECT_THAT(check.out, testing::HasSubstr("nowhere.pth"));
  EXPECT_THAT(check.out, testing::HasSubstr("duplicate       1"));
  EXPECT_THAT(check.out, testing::HasSubstr("dataset.max_failures"));
}

TEST_F(PublishedFaults, OfACopyWithManyMissingFilesDoNotEndTheRunAtOnce) {
  // 60 clips that are not there come first: a copy with parts left out, nothing hopeless.
  std::string list;
  for (int c = 1; c <= 60; ++c) list += fmt::format("Archery/v_Archery_g00_c{:02}.avi\n", c);
  write_text(folder_ / "annotations/testlist01.txt",
             list + read_text(folder_ / "annotations/testlist01.txt"));
  const ProgramResult run =
      run_program({"run", "faulty.yaml", "dataset.max_failures=60"}, folder_.path());
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(read_json(folder_ / "out/run.json")["done"], 20);
}

TEST_F(PublishedFaults, AreInTheManifestThatIndexWrites) {
  plant(false);
  ASSERT_EQ(run_program({"check", "faulty.yaml", "--probe", "full"}, folder_.path()).exit_code, 0);
  ASSERT_EQ(run_program({"index", "faulty.yaml"}, folder_.path()).exit_code, 0);
  const Manifest manifest = read_manifest(folder_ / "manifest.csv");
  ASSERT_EQ(manifest.rows.size(), 20u);
  EXPECT_EQ(manifest.rows[0].problem->reason, FailureReason::kMissing);
  EXPECT_EQ(manifest.rows[11].problem->reason, FailureReason::kDuplicate);
  ASSERT_TRUE(manifest.rows[12].facts.has_value());
  EXPECT_EQ(manifest.rows[12].facts->width, 64);
  EXPECT_EQ(manifest.rows[12].facts->bytes, static_cast<std::int64_t>(fs::file_size(file(13))));
  EXPECT_NEAR(manifest.rows[12].facts->duration_s, kCopiedFrames / 25.0, 0.05)
      << "to a frame, as headers say it";

  // What was written is a data set, and gives the same failures, from wherever it is read.
  const auto expected = reasons_in(folder_ / "bad_clips.csv");
  const fs::path elsewhere = folder_ / "elsewhere";
  write_text(elsewhere / "indexed.yaml",
             tiny_config("{type: manifest, file: ../manifest.csv, max_failures: 20}"));
  const ProgramResult run = run_program({"run", "indexed.yaml"}, elsewhere);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(reasons_in(elsewhere / "out/failures.csv"), expected);
}

TEST_F(PublishedFaults, OfAnEarlierLookDoNotBindALaterOne) {
  // Written down while clips had to be long, and one file was not there.
  fs::rename(file(1), folder_ / "kept.avi");
  ASSERT_EQ(
      run_program({"index", "faulty.yaml", "sampling.clip_len=64", "sampling.out_of_bound=error"},
                  folder_.path())
          .exit_code,
      0);
  EXPECT_THAT(read_text(folder_ / "manifest.csv"), testing::HasSubstr(",too_short,"));
  write_text(folder_ / "indexed.yaml",
             tiny_config("{type: manifest, file: manifest.csv, max_failures: 0}"));
  const std::vector<std::string> check{"check", "indexed.yaml", "--probe", "full"};
  const ProgramResult without = run_program(check, folder_.path());
  EXPECT_EQ(without.exit_code, 3) << without.out;
  EXPECT_EQ(reasons_in(folder_ / "bad_clips.csv"),
            (std::map<std::string, std::string>{{id(1), "missing"}}));
  fs::rename(folder_ / "kept.avi", file(1));
  const ProgramResult with = run_program(check, folder_.path());
  EXPECT_EQ(with.exit_code, 0) << with.out;
  EXPECT_THAT(with.out, testing::HasSubstr("20 of 20 clips have no problem"));
}

TEST_F(PublishedFaults, MayBeLookedForInFilesFromBefore1970) {
  fs::last_write_time(file(1), fs::file_time_type::clock::from_sys(
                                   std::chrono::sys_seconds(std::chrono::seconds(-86'400))));
  ASSERT_EQ(run_program({"index", "faulty.yaml"}, folder_.path()).exit_code, 0);
  EXPECT_EQ(read_manifest(folder_ / "manifest.csv").rows[0].facts->modified_s, -86'400);
}

}  // namespace
}  // namespace cfp::test
