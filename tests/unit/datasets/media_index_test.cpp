// Which file is a clip: full names, short names, and what no single file can be.
#include "datasets/media_index.h"

#include <gmock/gmock.h>

#include "datasets/kinetics.h"
#include "datasets/media_files.h"
#include "tests/unit/datasets/support.h"

namespace cfp {
namespace {

using test::TemporaryFolder;
using test::write_file;
using testing::Contains;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kHeader = "label,youtube_id,time_start,time_end\n";

/// Rows of Kinetics over empty files: none is opened to be found.
class FindClips : public testing::Test {
 protected:
  void put(const std::string& name) { write_file(folder_ / ("root/" + name), "x"); }
  Manifest find(const std::string& rows) {
    write_file(folder_ / "val.csv", kHeader + rows);
    const DatasetOptions options{.data_root = (folder_ / "root").string(),
                                 .annotations = folder_.path().string()};
    return find_clips(read_kinetics(options, 400), options);
  }
  /// The file of a row below the root, or why it has none.
  std::string outcome(const ManifestRow& row) const {
    if (row.problem) return std::string(to_string(row.problem->reason));
    return std::filesystem::relative(row.media.path, folder_ / "root").string();
  }

  TemporaryFolder folder_;
};

TEST_F(FindClips, TakesNoOtherPartOfTheSameVideo) {
  put("0wR5jVB-WPk_000200_000210.mp4");
  put("--nQbRBEz2s_104_114.mp4");            // the same times, written otherwise
  put("-huT_p-r_zA_001989_001999_256.mp4");  // and with more behind them
  put("-b6gqj_mZOs_000009_000020_256.mp4");
  put("_wR5jVB-WPk.mp4");
  const Manifest manifest = find(
      "a,0wR5jVB-WPk,417,427\na,--nQbRBEz2s,104,114\na,-huT_p-r_zA,1989,1999\n"
      "a,-b6gqj_mZOs,9,19\na,_wR5jVB-WPk,1,11\n");
  EXPECT_EQ(outcome(manifest.rows[0]), "missing");
  EXPECT_EQ(outcome(manifest.rows[1]), "--nQbRBEz2s_104_114.mp4");
  EXPECT_EQ(outcome(manifest.rows[2]), "-huT_p-r_zA_001989_001999_256.mp4");
  EXPECT_EQ(outcome(manifest.rows[3]), "missing");
  EXPECT_EQ(outcome(manifest.rows[4]), "_wR5jVB-WPk.mp4");
  EXPECT_THAT(manifest.notes, Contains("            3 by the id alone"));
}

TEST_F(FindClips, SaysNothingOfShortNamesWhereThereAreNone) {
  put("0wR5jVB-WPk_000417_000427.mp4");
  const Manifest manifest = find("a,0wR5jVB-WPk,417,427\n");
  EXPECT_THAT(manifest.notes, Not(Contains(HasSubstr("alone"))));
}

TEST_F(FindClips, GivesOneFileToOneClip) {
  put("0wR5jVB-WPk.mp4");
  put("--nQbRBEz2s.mp4");
  const Manifest manifest =
      find("a,0wR5jVB-WPk,417,427\na,--nQbRBEz2s,1,11\na,0wR5jVB-WPk,500,510\n");
  EXPECT_EQ(outcome(manifest.rows[0]), "duplicate");
  EXPECT_EQ(outcome(manifest.rows[1]), "--nQbRBEz2s.mp4");
  EXPECT_EQ(outcome(manifest.rows[2]), "duplicate");
  EXPECT_THAT(manifest.rows[2].problem->message,
              EndsWith("0wR5jVB-WPk.mp4: by the id alone this would be 2 clips, "
                       "0wR5jVB-WPk_000417_000427 and 0wR5jVB-WPk_000500_000510 among them"));
  EXPECT_THAT(manifest.notes, Contains("matched     1"));
  EXPECT_THAT(manifest.notes, Contains("            2 clips would share a file by the id alone"));
  EXPECT_THAT(manifest.provenance, HasSubstr("1 found"));
  EXPECT_THAT(manifest.provenance, HasSubstr("2 with the file of another"));
}

TEST_F(FindClips, TakesBetterFilesFromFoldersOfTheCvdf) {
  for (const char* folder : {"train", "train_ext"}) {
    put(std::string(folder) + "/0wR5jVB-WPk_000417_000427.mp4");
  }
  put("k400/val/--nQbRBEz2s_000104_000114.mp4");
  put("k400/replacement/replacement_for_corrupted_k400/--nQbRBEz2s_000104_000114.mp4");
  put("a/_wR5jVB-WPk_000001_000011.mp4");
  put("text/_wR5jVB-WPk_000001_000011.mp4");
  const Manifest manifest =
      find("a,0wR5jVB-WPk,417,427\na,--nQbRBEz2s,104,114\na,_wR5jVB-WPk,1,11\n");
  EXPECT_EQ(outcome(manifest.rows[0]), "train_ext/0wR5jVB-WPk_000417_000427.mp4");
  EXPECT_THAT(outcome(manifest.rows[1]), HasSubstr("replacement_for_corrupted_k400/"));
  EXPECT_EQ(outcome(manifest.rows[2]), "duplicate") << "neither is better";
}

TEST_F(FindClips, CallsARowThatStandsTwiceDuplicateWhetherItsFileIsThereOrNot) {
  put("0wR5jVB-WPk_000417_000427.mp4");
  const std::string rows = "a,0wR5jVB-WPk,417,427\na,--nQbRBEz2s,104,114\n";
  const Manifest manifest = find(rows + rows);
  EXPECT_EQ(outcome(manifest.rows[1]), "missing");
  EXPECT_EQ(outcome(manifest.rows[2]), "duplicate");
  EXPECT_EQ(outcome(manifest.rows[3]), "duplicate");
  EXPECT_THAT(manifest.rows[3].problem->message, HasSubstr("names this clip more than once"));
  EXPECT_THAT(manifest.notes, Contains("missing     1"));
  EXPECT_THAT(manifest.notes, Contains("duplicate   0 with several files, 2 named twice"));
}

TEST_F(FindClips, StatesHowPicturesAreCalledAndTheirRate) {
  for (int n = 8; n <= 11; ++n) {
    put("jpg/0wR5jVB-WPk_000417_000427/f" + std::to_string(n) + ".png");
  }
  const Manifest manifest = find("a,0wR5jVB-WPk,417,427\n");
  EXPECT_THAT(manifest.notes, Contains("layout      1 x jpg/<clip>/f%d.png from 8, 25 a second"));
}

TEST(CutByTime, TakesThePicturesThatAVideoWouldShow) {
  PictureSequence pictures{.first_number = 1, .fps = 25};
  cut_by_time(0.28, 0.52, pictures);  // 0.28 * 25 is a little more than 7
  EXPECT_EQ(pictures.start_number, 8);
  EXPECT_EQ(pictures.stop_number, 14);
  PictureSequence late{.first_number = 500, .fps = 10};
  cut_by_time(std::nullopt, 1.01, late);
  EXPECT_EQ(late.start_number, std::nullopt);
  EXPECT_EQ(late.stop_number, 511) << "the picture at 1.0 s is shown before 1.01 s";
  cut_by_time(1e300, std::nullopt, late);
  EXPECT_EQ(late.start_number, kMaxPictureNumber);
}

}  // namespace
}  // namespace cfp
