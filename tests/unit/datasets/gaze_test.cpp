#include "datasets/gaze.h"

#include <algorithm>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "datasets/csv.h"
#include "stages/core/errors.h"
#include "tests/unit/datasets/support.h"

namespace cfp {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::output_of;
using test::TemporaryFolder;
using test::write_file;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::string kHeader =
    "## [BeGaze]\n## Converted from:\tC:\\people\\Ada Lovelace\\run.idf\n"
    "## Subject:\tAda Lovelace\n## Calibration Area:\t1280\t960\n##\n";
const std::string kColumns =
    "Time\tType\tTrial\tL POR X [px]\tL POR Y [px]\tFrame\tAux1\tL Event Info\n";
const std::string kNewColumns =
    "Time\tType\tB POR X [px]\tB POR Y [px]\tL POR X [px]\tL POR Y [px]\tFrame\tB Event Info\n";

class GazeFile : public testing::Test {
 protected:
  Gaze read(const std::string& bytes) { return read_gaze(write_file(folder_ / "a.txt", bytes)); }
  Gaze read_rows(const std::string& rows) { return read(kHeader + kColumns + rows); }
  std::string refusal(const std::string& bytes) {
    return message_of<ConfigError>([&] { read(bytes); });
  }
  std::string refusal_of_row(const std::string& row) {
    return refusal(kHeader + kColumns + "100\tSMP\t1\t2\t3\t7\t\tFixation\n" + row);
  }

  TemporaryFolder folder_;
};

TEST_F(GazeFile, AveragesTheSamplesOfAFrame) {
  const Gaze gaze = read_rows(
      "100\tSMP\t1\t10\t20\t1\t\tFixation\n"
      "130\tSMP\t1\t11\t24\t1\t\tFixation\n"
      "160\tSMP\t1\t30\t40\t4\t\tSaccade\r\n"
      "190\tSMP\t1\t50\t60\t5\t\tBlink\n"
      "200\tSMP\t1\t51\t61\t6\t\t-");
  EXPECT_THAT(gaze.points, ElementsAre(GazePoint{0, 10.5, 22, GazeEvent::kFixation, 2, true},
                                       GazePoint{3, 30, 40, GazeEvent::kSaccade, 1, true},
                                       GazePoint{4, 50, 60, GazeEvent::kOther, 1, true},
                                       GazePoint{5, 51, 61, GazeEvent::kOther, 1, true}));
  EXPECT_EQ(gaze.samples, 5);
}

TEST_F(GazeFile, TakesTheEventOfMostSamplesAndAveragesThoseAlone) {
  const Gaze gaze = read_rows(
      "100\tSMP\t1\t10\t20\t1\t\tSaccade\n"
      "130\tSMP\t1\t12\t22\t1\t\tSaccade\n"
      "160\tSMP\t1\t500\t500\t1\t\tFixation\n"
      "190\tSMP\t1\t70\t70\t2\t\tBlink\n"
      "200\tSMP\t1\t80\t80\t2\t\tSaccade\n"
      "210\tSMP\t1\t90\t90\t3\t\tSaccade\n"
      "220\tSMP\t1\t95\t95\t3\t\tFixation\n");
  EXPECT_THAT(gaze.points, ElementsAre(GazePoint{0, 11, 21, GazeEvent::kSaccade, 2, true},
                                       GazePoint{1, 80, 80, GazeEvent::kSaccade, 1, true},
                                       GazePoint{2, 95, 95, GazeEvent::kFixation, 1, true}));
}

TEST_F(GazeFile, LeavesOutFramesWithoutAPointAndMarksPointsOutside) {
  const Gaze gaze = read_rows(
      "100\tSMP\t1\t0.00\t0.00\t1\t\tBlink\n"
      "130\tSMP\t1\t-\t-\t2\t\t-\n"
      "140\tSMP\t1\t\t5\t3\t\t-\n"
      "150\tSMP\t1\t5\tNaN\t3\t\t-\n"
      "160\tSMP\t1\t1279.99\t0\t4\t\tFixation\n"
      "190\tSMP\t1\t1280\t0\t5\t\tFixation\n"
      "200\tSMP\t1\t4\t-0.5\t6\t\tFixation\n"
      "\n");
  EXPECT_EQ(gaze.lost_samples, 4);
  EXPECT_THAT(gaze.points, ElementsAre(GazePoint{3, 1279.99, 0, GazeEvent::kFixation, 1, true},
                                       GazePoint{4, 1280, 0, GazeEvent::kFixation, 1, false},
                                       GazePoint{5, 4, -0.5, GazeEvent::kFixation, 1, false}));
}

TEST_F(GazeFile, ReadsTheNewerFormFromBothEyesAndCountsItsFramesFromNought) {
  const Gaze gaze = read(kHeader + kNewColumns +
                         "5\tSMP\t1.5\t2.5\t8\t9\t00:00:00:00\tFixation\n"
                         "6\tSMP\t3.5\t4.5\t8\t9\t01:02:03:23\tSaccade\n");
  EXPECT_THAT(gaze.points,
              ElementsAre(GazePoint{0, 1.5, 2.5, GazeEvent::kFixation, 1, true},
                          GazePoint{3723 * 24 + 23, 3.5, 4.5, GazeEvent::kSaccade, 1, true}));
}

TEST_F(GazeFile, RefusesWhatIsNoExport) {
  EXPECT_THAT(refusal(""), HasSubstr("a.txt:1: does not begin with '## [BeGaze]'"));
  EXPECT_THAT(refusal("a,b\n"), HasSubstr("a.txt:1: does not begin with"));
  EXPECT_THAT(refusal(std::string("## [BeGaze]\n\0\n", 14)), HasSubstr("a.txt:2: holds a NUL"));
  EXPECT_THAT(refusal(kHeader), HasSubstr("a.txt:5: ends before the row of column names"));
  EXPECT_THAT(refusal(kHeader + "Time\tType\tL POR X [px]\n"),
              HasSubstr("a.txt:6: no column is called 'L POR Y [px]'"));
  EXPECT_THAT(refusal(kHeader + "Frame\t" + kColumns),
              HasSubstr("a.txt:6: two columns are called 'Frame'"));
  EXPECT_THAT(refusal("## [BeGaze]\n## Calibration Area:\t640\t480\n"),
              HasSubstr("a.txt:2: the calibration area is not 1280 x 960"));
  std::string endless = "## [BeGaze]\n";
  for (int i = 0; i < 2000; ++i) endless += "##\n";
  EXPECT_THAT(refusal(endless), HasSubstr("no row of column names within 1000 lines"));
}

TEST_F(GazeFile, RefusesRowsThatCannotBeMeant) {
  EXPECT_THAT(refusal_of_row("200\tSMP\t1\t2\t3\t8\tFixation\n"),
              HasSubstr("a.txt:8: 7 cells, but there are 8 columns"));
  EXPECT_THAT(refusal_of_row("99\tSMP\t1\t2\t3\t8\t\tFixation\n"),
              HasSubstr("a.txt:8: the time 99 lies before the last one, 100"));
  EXPECT_THAT(refusal_of_row("200\tSMP\t1\t2\t3\t6\t\tFixation\n"),
              HasSubstr("a.txt:8: the frame '6' lies before the last one"));
  for (const char* time : {"", "-5", "1e5", "99999999999999999999"}) {
    EXPECT_THAT(refusal_of_row(std::string(time) + "\tSMP\t1\t2\t3\t8\t\tFixation\n"),
                HasSubstr("is no number of microseconds"));
  }
  for (const char* frame : {"0", "-1", "2.5", "", "nan", "99999999999999999999", "9999999"}) {
    EXPECT_THAT(refusal_of_row(fmt::format("200\tSMP\t1\t2\t3\t{}\t\tFixation\n", frame)),
                HasSubstr("is no number of 1..2073600"));
  }
  for (const char* x : {"nan", "-NaN", "inf", "1e7", "-1e300", "1e999", "two", "0x10"}) {
    EXPECT_THAT(refusal_of_row(fmt::format("200\tSMP\t1\t{}\t3\t8\t\tFixation\n", x)),
                HasSubstr("is no number of pixels within 1000000 of 0"));
  }
  EXPECT_THAT(refusal_of_row("200\tMSG\t1\t2\t3\t8\t\tFixation\n"),
              HasSubstr("a row of type 'MSG', not SMP"));
  for (const char* frame : {"00:00:00:24", "00:60:00:00", "24:00:00:00", "0:00:00:00", "00:00:00",
                            "00-00-00-00", "aa:00:00:00", "7"}) {
    EXPECT_THAT(
        refusal(kHeader + kNewColumns + fmt::format("5\tSMP\t1\t2\t8\t9\t{}\tFixation\n", frame)),
        HasSubstr("is not HH:MM:SS:FF at 24 frames a second"));
  }
}

TEST_F(GazeFile, NeverRepeatsWhatTheHeaderSaysOfPeople) {
  EXPECT_THAT(refusal(kHeader + "## Head\n"), Not(HasSubstr("Ada")));
  EXPECT_THAT(refusal(kHeader + "Ada\tLovelace\n"), Not(HasSubstr("Ada")));
}

// ---- The publisher's own files, of which the first 6000 lines are here.

class RealGaze : public testing::TestWithParam<const char*> {
 protected:
  fs::path path() const { return test::test_data() / "annotations/egtea/gaze_data" / GetParam(); }
};

std::string as_text(const Gaze& gaze) {
  std::string text;
  for (const GazePoint& point : gaze.points) {
    text += fmt::format("{} {:.6f} {:.6f} {} {}\n", point.frame, point.x_px, point.y_px,
                        to_string(point.event), point.samples);
  }
  return text;
}

TEST_P(RealGaze, AgreesWithASecondParserFrameByFrameAndBeginsAtFrameNought) {
  CFP_SKIP_WITHOUT(path());
  std::string lines = output_of(fmt::format("python3 {}/tests/unit/datasets/parse_gaze.py {}",
                                            CFP_SOURCE_DIR, path().string()));
  if (lines.empty()) GTEST_SKIP() << "needs python3";
  const Gaze gaze = read_gaze(path());
  EXPECT_GT(gaze.points.size(), 4000u);
  EXPECT_EQ(gaze.samples + gaze.lost_samples, 5966);
  EXPECT_EQ(gaze.points.front().frame, 0);

  lines.pop_back();
  const std::size_t last = lines.rfind('\n') + 1;
  EXPECT_EQ(as_text(gaze), lines.substr(0, last));
  // Frame n is shown from n/24 s on, so its samples come half a frame later on average. Counted
  // from 1 instead of 0 they would come half a frame earlier. The clocks of camera and tracker
  // wander by a tenth of a frame in the first ten seconds.
  EXPECT_NEAR(*parse_number(lines.substr(last)), 0.5, 0.25);
}

INSTANTIATE_TEST_SUITE_P(Egtea, RealGaze,
                         testing::Values("OP01-R01-PastaSalad.txt", "P10-R02-TurkeySandwich.txt"),
                         [](const auto& info) {
                           return std::string(info.param).substr(0, 2) == "OP" ? "Version31"
                                                                               : "Version34";
                         });

}  // namespace
}  // namespace cfp
