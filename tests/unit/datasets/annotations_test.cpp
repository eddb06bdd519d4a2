// The publishers' annotation files: what is read from the real ones, and what is refused.
// tests/integration/published_rows.py compares every row with parsers of its own.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "datasets/class_names.h"
#include "datasets/database_json.h"
#include "datasets/egtea.h"
#include "datasets/epic100.h"
#include "datasets/epic55.h"
#include "datasets/epic_kitchens.h"
#include "datasets/hmdb51.h"
#include "datasets/kinetics.h"
#include "datasets/ucf101.h"
#include "stages/core/errors.h"
#include "tests/unit/datasets/support.h"

namespace cfp {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::TemporaryFolder;
using test::write_file;
using testing::ElementsAre;
using testing::HasSubstr;

class Annotations : public testing::Test {
 protected:
  /// Writes a file of the annotation folder.
  void put(const std::string& name, std::string_view text) { write_file(folder_ / name, text); }
  DatasetOptions options() const { return {.annotations = folder_.path().string()}; }
  /// The message with which a reader refuses what was put.
  template <class Read>
  std::string refusal(Read read) const {
    return message_of<ConfigError>([&] { read(options()); });
  }
  TemporaryFolder folder_;
};

Annotation kinetics400(const DatasetOptions& options) { return read_kinetics(options, 400); }

// -------------------------------------------------------------------------------- published files

fs::path published(const std::string& name) { return test::test_data() / "annotations" / name; }

TEST(PublishedClasses, AreAsManyAndInTheOrderThatIsPublished) {
  CFP_SKIP_WITHOUT(test::test_data() / "annotations");
  const auto ucf = read_class_list(published("ucf101/ucfTrainTestlist/classInd.txt"));
  ASSERT_EQ(ucf.size(), 101u);
  EXPECT_EQ(ucf[34], "Hammering");
  EXPECT_EQ(ucf[35], "HammerThrow");
  EXPECT_EQ(ucf[46], "JumpingJack");
  EXPECT_EQ(ucf[47], "JumpRope");
  EXPECT_EQ(read_class_list(published("kinetics400/label_map.txt")).size(), 400u);
  EXPECT_EQ(read_class_list(published("epic55/EPIC_verb_classes.csv")).size(), 125u);
  EXPECT_EQ(read_class_list(published("epic55/EPIC_noun_classes.csv")).size(), 352u);
  EXPECT_EQ(read_class_list(published("epic100/EPIC_100_verb_classes.csv")).size(), 97u);
  EXPECT_EQ(read_class_list(published("epic100/EPIC_100_noun_classes.csv")).size(), 300u);
  const auto actions = read_class_list(published("egtea/action_annotation/action_idx.txt"));
  ASSERT_EQ(actions.size(), 106u);
  EXPECT_EQ(actions[42], "Divide/Pull Apart lettuce");
  EXPECT_EQ(read_class_list(published("egtea/action_annotation/verb_idx.txt")).size(), 19u);
  EXPECT_EQ(read_class_list(published("egtea/action_annotation/noun_idx.txt")).size(), 53u);
}

TEST(PublishedClasses, ThatAreManyShotAreAsManyAsPublished) {
  CFP_SKIP_WITHOUT(test::test_data() / "annotations");
  EXPECT_EQ(read_epic_ids(published("epic55/EPIC_many_shot_verbs.csv"), "verb_class").size(), 26u);
  EXPECT_EQ(read_epic_ids(published("epic55/EPIC_many_shot_nouns.csv"), "noun_class").size(), 71u);
  DatasetOptions options{
      .annotations = published("epic55").string(), .head = "action", .subset = "many_shot"};
  const Annotation annotation = read_epic55(options);
  EXPECT_THAT(annotation.source, HasSubstr("many-shot actions: 4575 of 6000"));
}

TEST(PublishedClasses, OfEgteaAreTheSameInItsTableThatCountsFromZero) {
  CFP_SKIP_WITHOUT(test::test_data() / "annotations");
  const auto names = read_class_list(published("egtea/action_annotation/action_idx.txt"));
  LineReader lines(published("egtea/action_annotation/raw_annotations/cls_label_index.csv"));
  std::string line;
  ASSERT_TRUE(lines.next(line));  // the header
  for (std::size_t label = 0; lines.next(line); ++label) {
    const std::size_t first = line.find(';'), second = line.find(';', first + 1);
    ASSERT_NE(second, std::string::npos) << line;
    EXPECT_EQ(parse_integer(trim(line.substr(0, first))), static_cast<std::int64_t>(label));
    EXPECT_EQ(trim(std::string_view(line).substr(first + 1, second - first - 1)), names.at(label));
  }
}

TEST(PublishedFrames, OfEpicAreTheTimesAtTheRateOfThePictures) {
  CFP_SKIP_WITHOUT(test::test_data() / "annotations");
  // So the rule that dataset.picture_fps applies is the publisher's own, to one picture.
  std::int64_t differing = 0, rows = 0;
  for (const char* split : {"validation", "test"}) {
    const Annotation as_published =
        read_epic100({.annotations = published("epic100").string(), .split = split});
    for (const AnnotatedClip& clip : as_published.clips) {
      const MediaName& name = clip.names[0];
      const auto rule = std::max<std::int64_t>(
          1, static_cast<std::int64_t>(std::round(*name.start_s * 100) * name.picture_fps / 100));
      EXPECT_LE(std::abs(rule - *name.start_picture), 1) << clip.clip_id;
      differing += rule != *name.start_picture;
      ++rows;
    }
  }
  EXPECT_LT(differing, rows / 50) << "of " << rows;
}

TEST(PublishedTables, OfVideosSayThatFrameNumbersAreNotFrames) {
  CFP_SKIP_WITHOUT(test::test_data() / "annotations");
  std::map<std::string, int> videos_at;  // by rate
  CsvTable epic55(published("epic55/EPIC_video_info.csv"));
  while (epic55.next()) ++videos_at[epic55.at("fps").substr(0, 5)];
  EXPECT_EQ(videos_at,
            (std::map<std::string, int>{{"29.97", 4}, {"47.95", 4}, {"59.94", 423}, {"90.0", 1}}));
  int old_videos = 0, new_videos = 0;
  CsvTable epic100(published("epic100/EPIC_100_video_info.csv"));
  while (epic100.next()) {
    const bool is_new = epic_picture_fps(epic100.at("video_id")) == 50;
    ++(is_new ? new_videos : old_videos);
    EXPECT_EQ(is_new, epic100.at("fps").starts_with("50")) << epic100.at("video_id");
  }
  EXPECT_EQ(old_videos, 432);
  EXPECT_EQ(new_videos, 268);
}

TEST(PublishedTables, OfEgteasRawActionsHaveEveryFieldInEveryRow) {
  CFP_SKIP_WITHOUT(test::test_data() / "annotations");
  CsvTable table(published("egtea/action_annotation/raw_annotations/action_labels.csv"), ';');
  int rows = 0;
  for (; table.next(); ++rows) {
    const std::string clip(trim(table.at("Clip Prefix (Unique)")));
    EXPECT_EQ(clip, fmt::format("{}-{}-{}", trim(table.at("Video Session")),
                                trim(table.at("Starting Time (ms)")),
                                trim(table.at("Ending Time (ms)"))));
  }
  EXPECT_EQ(rows, 399) << "400 lines with the header";
}

// -------------------------------------------------------------------------------- refusals

TEST_F(Annotations, OfKineticsAreReadByTheNamesOfTheColumns) {
  put("test.csv", "youtube_id,time_start,time_end,split\n--6bJUbfpnQ,17,27,test\n");
  put("label_map.txt", "zumba\nabseiling\n");
  DatasetOptions test = options();
  test.split = "test";
  const Annotation unlabelled = kinetics400(test);
  EXPECT_EQ(unlabelled.clips[0].labels, (std::vector<std::optional<int>>{std::nullopt}));
  EXPECT_EQ(unlabelled.clips[0].clip_id, "--6bJUbfpnQ_000017_000027");
  put("val.csv", "time_end,time_start,label,youtube_id\n27.0,17.0,abseiling,--6bJUbfpnQ\n");
  EXPECT_EQ(kinetics400(options()).clips[0].clip_id, "--6bJUbfpnQ_000017_000027");
  EXPECT_EQ(kinetics400(options()).clips[0].labels[0], 1) << "the order of the map";
}

TEST_F(Annotations, OfKineticsWithoutLabelsTakeTheClassesOfAnotherSplit) {
  put("test.csv", "youtube_id,time_start,time_end,split\n--6bJUbfpnQ,17,27,test\n");
  DatasetOptions test = options();
  test.split = "test";
  const auto read = [&] { kinetics400(test); };
  EXPECT_THAT(message_of<ConfigError>(read), HasSubstr("test.csv): has no labels"));
  EXPECT_THAT(message_of<ConfigError>(read), HasSubstr("as dataset.class_names"));
  put("train.csv", "label,youtube_id,time_start,time_end\nzumba,--6bJUbfpnQ,1,2\n,x,1,2\n");
  EXPECT_THAT(kinetics400(test).heads[0].class_names, ElementsAre("zumba"));
  put("val.csv", "label,youtube_id,time_start,time_end\nb,--6bJUbfpnQ,1,2\na,x,1,2\nb,y,1,2\n");
  const Annotation annotation = kinetics400(test);
  EXPECT_THAT(annotation.heads[0].class_names, ElementsAre("a", "b"));
  EXPECT_THAT(annotation.source, HasSubstr("class names of " + (folder_ / "val.csv").string()));
  EXPECT_EQ(annotation.clips[0].labels[0], std::nullopt);
}

TEST_F(Annotations, HaveTheirCompanionsBesideTheMainOneToo) {
  put("annotations/val.csv", "label,youtube_id,time_start,time_end\nzumba,--6bJUbfpnQ,1,2\n");
  put("annotations/label_map.txt", "zumba\nabseiling\n");
  EXPECT_THAT(kinetics400(options()).heads[0].class_names, ElementsAre("zumba", "abseiling"));
  put("annotations/EPIC_train_action_labels.csv",
      "uid,participant_id,video_id,start_timestamp,stop_timestamp,start_frame,stop_frame,verb_"
      "class,"
      "noun_class\n0,P01,P01_01,00:00:00.00,00:00:01.00,1,60,0,0\n"
      "1,P01,P01_01,00:00:01.00,00:00:02.00,60,120,1,0\n");
  put("annotations/EPIC_verb_classes.csv", "verb_id,class_key,verbs\n0,take,x\n1,put,x\n");
  put("annotations/EPIC_noun_classes.csv", "noun_id,class_key,nouns\n0,pan,x\n");
  DatasetOptions many_shot = options();
  many_shot.subset = "many_shot";
  EXPECT_THAT(message_of<ConfigError>([&] { read_epic55(many_shot); }),
              HasSubstr("/annotations, " + folder_.path().string() +
                        ": holds none of the annotation files EPIC_many_shot_verbs.csv"));
  put("annotations/EPIC_many_shot_verbs.csv", "verb_class,verb\n1,put\n");
  EXPECT_EQ(read_epic55(many_shot).clips.size(), 1u);
}

TEST_F(Annotations, WithTheNameOfAnotherSplitAreRefused) {
  const auto message = [&](const std::string& file, const std::string& split, auto read) {
    put(file, "x\n");
    return message_of<ConfigError>(
        [&] { read({.annotations = (folder_ / file).string(), .split = split}); });
  };
  const auto says = [](const std::string& wanted) {
    return HasSubstr(
        "this is the publisher's name for the file of another split; that of the split "
        "asked for is " +
        wanted);
  };
  EXPECT_THAT(message("trainlist01.txt", "test", read_ucf101), says("testlist01.txt"));
  EXPECT_THAT(message("testlist02.txt", "test", read_ucf101), says("testlist01.txt"));
  EXPECT_THAT(message("wave_test_split2.txt", "test", read_hmdb51), says("wave_test_split1.txt"));
  EXPECT_THAT(message("train_split1.txt", "test", read_egtea), says("test_split1.txt"));
  EXPECT_THAT(message("EPIC_test_s1_timestamps.csv", "train", read_epic55),
              says("EPIC_train_action_labels.csv"));
  EXPECT_THAT(message("EPIC_100_test_timestamps.csv", "validation", read_epic100),
              says("EPIC_100_validation.csv"));
  // Of Kinetics the rows say of which split they are, if they do.
  put("train.csv", "label,youtube_id,time_start,time_end,split\na,--6bJUbfpnQ,1,2,val\n");
  DatasetOptions all_splits{.annotations = (folder_ / "train.csv").string()};
  EXPECT_EQ(kinetics400(all_splits).clips.size(), 1u);
  put("train.csv", "label,youtube_id,time_start,time_end\na,--6bJUbfpnQ,1,2\n");
  EXPECT_THAT(message_of<ConfigError>([&] { kinetics400(all_splits); }), says("val.csv"));
  // A name of one's own says nothing.
  put("mine.csv", "label,youtube_id,time_start,time_end\na,--6bJUbfpnQ,1,2\n");
  EXPECT_EQ(kinetics400({.annotations = (folder_ / "mine.csv").string()}).clips.size(), 1u);
}

TEST_F(Annotations, ThatHaveClassesOfTheirOwnRefuseAFileOfThem) {
  DatasetOptions named = options();
  named.class_names = "names.txt";
  EXPECT_THAT(
      message_of<ConfigError>([&] { read_ucf101(named); }),
      HasSubstr("dataset.class_names is names.txt, but the classes of these annotations are "
                "those of classInd.txt, in its order"));
  EXPECT_THAT(message_of<ConfigError>([&] { read_hmdb51(named); }),
              HasSubstr("those that the split files are called after, sorted"));
}

TEST_F(Annotations, OfKineticsAreRefusedWithTheLine) {
  EXPECT_THAT(refusal(kinetics400), HasSubstr("holds none of the annotation files val.csv"));
  const std::string header = "label,youtube_id,time_start,time_end,split\n";
  put("val.csv", header + "a,--6bJUbfpnQ,17,27,train\n");
  EXPECT_THAT(refusal(kinetics400), HasSubstr("val.csv: no row is of split val"));
  put("val.csv", header + "a,../../../x,17,27,val\n");
  EXPECT_THAT(refusal(kinetics400), HasSubstr("val.csv:2: youtube_id is '../../../x'"));
  put("val.csv", header + "a,--6bJUbfpnQ,27,17,val\n");
  EXPECT_THAT(refusal(kinetics400), HasSubstr("val.csv:2: time_end is 17; it must be after"));
  put("val.csv", header + "a,--6bJUbfpnQ,1e300,inf,val\n");
  EXPECT_THAT(refusal(kinetics400), HasSubstr("val.csv:2: time_start is '1e300'"));
  put("val.csv", header + "a,--6bJUbfpnQ,17\n");
  EXPECT_THAT(refusal(kinetics400), HasSubstr("val.csv:2: 3 fields, but the header has 5"));
  put("label_map.txt", "abseiling\n");
  put("val.csv", header + "absailing,--6bJUbfpnQ,17,27,val\n");
  EXPECT_THAT(refusal(kinetics400),
              HasSubstr("val.csv:2: 'absailing' is no class of the data set (did you mean "
                        "'abseiling'?)"));
}

TEST_F(Annotations, OfUcf101AreRefusedWithTheLine) {
  put("classInd.txt", "1 Archery\n2 Bowling\n");
  put("testlist01.txt", "Archery/v_Archery_g01_c01.avi\nArchry/v_Archery_g01_c02.avi\n");
  EXPECT_THAT(refusal(read_ucf101), HasSubstr("testlist01.txt:2: classInd.txt has no class"));
  put("testlist01.txt", "v_Archery_g01_c01.avi\n");
  EXPECT_THAT(refusal(read_ucf101), HasSubstr("testlist01.txt:1: 'v_Archery_g01_c01.avi' is not"));
  put("trainlist01.txt", "Archery/v_Archery_g01_c01.avi 2\n");
  EXPECT_THAT(message_of<ConfigError>(
                  [&] { read_ucf101({.annotations = folder_.path().string(), .split = "train"}); }),
              HasSubstr("trainlist01.txt:1: the label of Archery is '2', in classInd.txt it is 1"));
  EXPECT_THAT(message_of<ConfigError>(
                  [&] { read_ucf101({.annotations = folder_.path().string(), .split = "val"}); }),
              HasSubstr("dataset.split is 'val'; this data set has: test, train"));
  EXPECT_THAT(message_of<ConfigError>(
                  [&] { read_ucf101({.annotations = folder_.path().string(), .split_id = 4}); }),
              HasSubstr("dataset.split_id is 4"));
}

TEST_F(Annotations, OfHmdb51NeedAFileForEveryClass) {
  put("brush_hair_test_split1.txt", "a.avi 2 \n");
  EXPECT_THAT(refusal(read_hmdb51), HasSubstr("1 files are called *_test_split1.txt"));
  for (int i = 0; i < 50; ++i) put("c" + std::to_string(i) + "_test_split1.txt", "");
  put("c7_test_split1.txt", "b.avi 3 \n");
  EXPECT_THAT(refusal(read_hmdb51), HasSubstr("c7_test_split1.txt:1: 'b.avi 3' is not"));
  put("c7_test_split1.txt", "../b.avi 2 \n");
  EXPECT_THAT(refusal(read_hmdb51), HasSubstr("c7_test_split1.txt:1"));
  put("c7_test_split1.txt", "");
  put("._c7_test_split1.txt", "left by macOS");
  EXPECT_EQ(read_hmdb51(options()).clips.size(), 1u);
}

TEST_F(Annotations, OfEpicAreRefusedWithTheLine) {
  put("EPIC_100_verb_classes.csv", "id,key,instances,category\n0,take,['take'],x\n");
  put("EPIC_100_noun_classes.csv", "id,key,instances,category\n0,plate,['plate'],x\n");
  const auto segment = [&](const std::string& row) {
    put("EPIC_100_validation.csv",
        "narration_id,participant_id,video_id,start_timestamp,stop_timestamp,start_frame,"
        "stop_frame,verb_class,noun_class\n" +
            row + "\n");
    return refusal(read_epic100);
  };
  EXPECT_THAT(segment("a,P01,P01_01,00:00:00,00:00:1,1,2,0,0"),
              HasSubstr("EPIC_100_validation.csv:2: stop_timestamp is '00:00:1'"));
  EXPECT_THAT(segment("a,P01,P01_01,00:60:00.00,01:00:01.00,1,2,0,0"), HasSubstr("'00:60:00.00'"));
  EXPECT_THAT(segment("a,P01,P01_01,00:00:01e5,00:00:02.00,1,2,0,0"), HasSubstr("'00:00:01e5'"));
  EXPECT_THAT(segment("a,P01,P01_01,00:00:02.00,00:00:01.00,1,2,0,0"),
              HasSubstr("is not after start_timestamp"));
  EXPECT_THAT(segment("a,P01,../x,00:00:00.00,00:00:01.00,1,2,0,0"), HasSubstr("video_id"));
  EXPECT_THAT(segment("a,P01,P01_01,00:00:00.00,00:00:01.00,-1,2,0,0"), HasSubstr("start_frame"));
  EXPECT_THAT(segment("a,P01,P01_01,00:00:00.00,00:00:01.00,1,2,1,0"),
              HasSubstr("verb_class is '1'; 0 to 0 are allowed"));
  EXPECT_THAT(segment(",P01,P01_01,00:00:00.00,00:00:01.00,1,2,0,0"),
              HasSubstr("narration_id is empty"));
}

TEST_F(Annotations, OfEpicHaveTimesWithAnyNumberOfDecimals) {
  put("t.csv", "t\n01:02:03.45\n00:00:00.560\n00:00:07\n");
  CsvTable table(folder_ / "t.csv");
  std::vector<double> seconds;
  while (table.next()) seconds.push_back(epic_seconds(table, "t"));
  EXPECT_THAT(seconds, ElementsAre(3723.45, 0.56, 7));
  EXPECT_EQ(epic_picture_fps("P01_01"), 60);
  EXPECT_EQ(epic_picture_fps("P01_101"), 50);
}

TEST_F(Annotations, OfEgteaAreRefusedWithTheLine) {
  put("action_idx.txt", "Open fridge 1\n");
  put("verb_idx.txt", "Open 1\n");
  put("noun_idx.txt", "fridge 1\n");
  const auto line = [&](const std::string& text) {
    put("test_split1.txt", text + "\n");
    return refusal(read_egtea);
  };
  const std::string clip = "P04-R06-GreekSalad-2000-2300-F000049-F000060";
  EXPECT_THAT(line(clip + " 1 1"), HasSubstr("test_split1.txt:1: 3 words"));
  EXPECT_THAT(line(clip + " 1 1 1 1 1 1"), HasSubstr("7 words"));
  EXPECT_THAT(line(clip + " 2 1 1"), HasSubstr("the action is '2'; 1 to 1 are allowed"));
  EXPECT_THAT(line(clip + " 0 1 1"), HasSubstr("the action is '0'"));
  EXPECT_THAT(line(clip + " 1 1 1 9"), HasSubstr("the noun is '9'"));
  EXPECT_THAT(line("P04-R06-GreekSalad-2000-2300 1 1 1"), HasSubstr("is no clip"));
  EXPECT_THAT(line("P04-R06-GreekSalad-2000-2300-F000060-F000049 1 1 1"), HasSubstr("is no clip"));
  EXPECT_THAT(line("../x-1-2-F1-F2 1 1 1"), HasSubstr("is no clip"));
}

TEST_F(Annotations, OfEgteaMeanTheSameTimesAtAnyRateOfPictures) {
  put("action_idx.txt", "Open fridge 1\n");
  put("verb_idx.txt", "Open 1\n");
  put("noun_idx.txt", "fridge 1\n");
  put("test_split1.txt", "P04-R06-GreekSalad-2000-2300-F000049-F000060 1 1 1\n");
  const auto session = [&](std::optional<double> fps) {
    DatasetOptions with_rate = options();
    with_rate.picture_fps = fps;
    return read_egtea(with_rate).clips[0].names[1];
  };
  const auto numbers = [&](std::optional<double> fps) {
    const MediaName name = session(fps);
    return std::pair(*name.start_picture, *name.stop_picture - 1);
  };
  EXPECT_EQ(numbers({}), std::pair(std::int64_t{49}, std::int64_t{60}));
  EXPECT_EQ(numbers(24), numbers({}));
  EXPECT_EQ(numbers(12), std::pair(std::int64_t{25}, std::int64_t{30}));
  EXPECT_EQ(numbers(60), std::pair(std::int64_t{121}, std::int64_t{150}));
  EXPECT_EQ(session(12).picture_fps, 12);
}

TEST_F(Annotations, InJsonAreRefusedWithTheClip) {
  const auto json = [&](std::string_view text) {
    put("a.json", text);
    return message_of<ConfigError>([&] { read_database_json(folder_ / "a.json", "val", ""); });
  };
  EXPECT_THAT(json("{"), HasSubstr("a.json: is no JSON"));
  EXPECT_THAT(json("[]"), HasSubstr("is no object"));
  EXPECT_THAT(json(R"({"labels": ["a"]})"), HasSubstr("the file has no 'database'"));
  EXPECT_THAT(json(R"({"labels": [1], "database": {}})"), HasSubstr("no text"));
  EXPECT_THAT(json(R"({"labels": ["a"], "database": {"x": 1}})"),
              HasSubstr("clip 'x' is no object"));
  EXPECT_THAT(json(R"({"labels": ["a"], "database": {"x": {"subset": "training"}}})"),
              HasSubstr("no clip is of split val"));
  EXPECT_THAT(json(R"({"labels": ["a"], "database": {"../x": {"subset": "validation"}}})"),
              HasSubstr("is no file name"));
  EXPECT_THAT(json(R"({"labels": ["a"], "database": {"x": {"subset": "validation",
                       "annotations": {"label": "b"}}}})"),
              HasSubstr("clip 'x': 'b' is no class of `labels`"));
  EXPECT_THAT(json(R"({"labels": ["a"], "database": {"x": {"subset": "validation",
                       "annotations": {"label": "a", "segment": [5, 5]}}}})"),
              HasSubstr("the segment of 'x' is [5,5]"));
  EXPECT_THAT(json(R"({"labels": ["a"], "database": {"x": {"subset": "validation",
                       "annotations": [{"label": "a", "segment": [0.5, 3.5]}]}}})"),
              HasSubstr("the annotations of clip 'x' are of type array; one object is needed"));
  EXPECT_THAT(json(R"({"labels": ["a"], "database": {"x": {"subset": "validation"},
                       "y": {"subset": "training"}, "x": {"subset": "training"}}})"),
              HasSubstr("'x' stands twice in one object"));
  EXPECT_THAT(json(R"({"labels": ["a"], "database": {"x": {"subset": "validation",
                       "annotations": {"label": "a", "label": "b"}}}})"),
              HasSubstr("'label' stands twice in one object"));
  // Deep nesting costs no stack.
  EXPECT_THAT(json(std::string(2'000'000, '[')), HasSubstr("is no JSON"));
}

TEST_F(Annotations, InJsonWithoutAnyForAClipLeaveItUnlabelled) {
  put("a.json", R"({"labels": ["a"], "database": {"x": {"subset": "validation"},
                    "y": {"subset": "validation", "annotations": null},
                    "z": {"subset": "validation", "annotations": {}}}})");
  const Annotation annotation = read_database_json(folder_ / "a.json", "val", "");
  ASSERT_EQ(annotation.clips.size(), 3u);
  for (const AnnotatedClip& clip : annotation.clips) EXPECT_EQ(clip.labels[0], std::nullopt);
}

}  // namespace
}  // namespace cfp
