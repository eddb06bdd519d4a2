#include "datasets/list_dataset.h"

#include <gmock/gmock.h>

#include "datasets/media_files.h"
#include "stages/core/errors.h"
#include "tests/unit/datasets/support.h"

namespace cfp {
namespace {

using test::message_of;
using test::TemporaryFolder;
using test::write_file;
using testing::ElementsAre;
using testing::HasSubstr;

class ListDataset : public testing::Test {
 protected:
  DatasetOptions options(std::string_view bytes) {
    return {.type = "list",
            .data_root = "/data",
            .file = write_file(folder_ / "list.txt", bytes).string()};
  }
  Manifest load(std::string_view bytes) { return load_dataset(options(bytes)); }
  Manifest load_with_names(std::string_view bytes, std::string_view names) {
    DatasetOptions with_names = options(bytes);
    with_names.class_names = write_file(folder_ / "names.txt", names).string();
    return load_dataset(with_names);
  }
  std::string refusal(std::string_view bytes) {
    return message_of<ConfigError>([&] { load(bytes); });
  }
  /// `path>label` of every row.
  static std::vector<std::string> rows(const Manifest& manifest) {
    std::vector<std::string> all;
    for (const ClipRequest& row : manifest.rows) {
      all.push_back(row.media.path + ">" + (row.label ? std::to_string(*row.label) : "none"));
    }
    return all;
  }

  TemporaryFolder folder_;
};

TEST_F(ListDataset, ReadsPathAndLabelFromTheLastWord) {
  EXPECT_THAT(
      rows(load("\xEF\xBB\xBF"
                "a/b.mp4 0\r\na/b c (1).mp4 12\r\n\r\n/abs.avi\t3\r\n  x.MKV   1  ")),
      ElementsAre("/data/a/b.mp4>0", "/data/a/b c (1).mp4>12", "/abs.avi>3", "/data/x.MKV>1"));
}

TEST_F(ListDataset, LeavesRowsWithoutLabelUnlabelled) {
  EXPECT_THAT(rows(load("a.mp4\nmy clip.mp4\nb.mp4 -1\nc.mp4\t-1\nd.mp4\t\n")),
              ElementsAre("/data/a.mp4>none", "/data/my clip.mp4>none", "/data/b.mp4>none",
                          "/data/c.mp4>none", "/data/d.mp4>none"));
}

TEST_F(ListDataset, SplitsAtTheLastBlankWhereNoExtensionIsKnown) {
  EXPECT_THAT(rows(load("some clip.raw 4\nother 5\n")),
              ElementsAre("/data/some clip.raw>4", "/data/other>5"));
}

TEST_F(ListDataset, TakesNamesAsLabels) {
  const Manifest manifest =
      load("b.mp4 air drumming\nmy a.mp4\tabseiling\nc.mp4 air drumming\nd.mp4\n");
  EXPECT_THAT(manifest.class_names, ElementsAre("abseiling", "air drumming"));
  EXPECT_THAT(rows(manifest), ElementsAre("/data/b.mp4>1", "/data/my a.mp4>0", "/data/c.mp4>1",
                                          "/data/d.mp4>none"));
}

TEST_F(ListDataset, FindsNamesInAClassNamesFile) {
  const Manifest manifest =
      load_with_names("b.mp4 Air_Drumming\na.mp4 abseiling\n", "zumba\nabseiling\nair drumming\n");
  EXPECT_THAT(manifest.class_names, ElementsAre("zumba", "abseiling", "air drumming"));
  EXPECT_THAT(rows(manifest), ElementsAre("/data/b.mp4>2", "/data/a.mp4>1"));
  EXPECT_THAT(message_of<ConfigError>(
                  [&] { load_with_names("a.mp4 zumba\nb.mp4 abseilin\n", "zumba\nabseiling\n"); }),
              HasSubstr("list.txt:2: 'abseilin' is no class of"));
}

TEST_F(ListDataset, ReadsIdLabelPathLists) {
  EXPECT_THAT(
      rows(load("0 5 abseiling/0wR5jVB-WPk_000417_000427.mp4\n1\t-1\tunknown/a b.mp4\n2 0 x.avi")),
      ElementsAre("/data/abseiling/0wR5jVB-WPk_000417_000427.mp4>5", "/data/unknown/a b.mp4>none",
                  "/data/x.avi>0"));
  EXPECT_THAT(refusal("0 5 a.mp4\nb.mp4 3\n"), HasSubstr("list.txt:2: an id, a label and a media"));
}

TEST_F(ListDataset, ReadsCsvByColumnName) {
  const Manifest manifest = load(
      "end,label,path,note,start\r\n"
      "22.5,\"air, drumming\",\"a, \"\"b\"\".mp4\",x,12.5\r\n"
      ",abseiling,c.mp4,,\r\n"
      ",,d.mp4,,3\r\n");
  EXPECT_THAT(manifest.class_names, ElementsAre("abseiling", "air, drumming"));
  EXPECT_THAT(rows(manifest),
              ElementsAre("/data/a, \"b\".mp4>1", "/data/c.mp4>0", "/data/d.mp4>none"));
  EXPECT_EQ(manifest.rows[0].media.start_s, 12.5);
  EXPECT_EQ(manifest.rows[0].media.end_s, 22.5);
  EXPECT_EQ(manifest.rows[1].media.start_s, std::nullopt);
  EXPECT_EQ(manifest.rows[0].clip_id, "a, \"b\".mp4@12.5-22.5");
  EXPECT_EQ(manifest.rows[1].clip_id, "c.mp4");
  EXPECT_EQ(manifest.rows[2].clip_id, "d.mp4@3-end");
  EXPECT_THAT(manifest.provenance, HasSubstr("columns passed over: note"));
}

TEST_F(ListDataset, ReadsCsvWithOtherSeparators) {
  EXPECT_THAT(rows(load("path;label\na, b.mp4;3\n")), ElementsAre("/data/a, b.mp4>3"));
  EXPECT_THAT(rows(load("label\tpath\n3\ta b.mp4\n")), ElementsAre("/data/a b.mp4>3"));
  EXPECT_THAT(rows(load("path\na b.mp4\n")), ElementsAre("/data/a b.mp4>none"));
}

TEST_F(ListDataset, CountsFromTheLabelBase) {
  DatasetOptions one_based = options("a.mp4 1\nb.mp4 101\nc.mp4 -1\n");
  one_based.label_base = 1;
  EXPECT_THAT(rows(load_dataset(one_based)),
              ElementsAre("/data/a.mp4>0", "/data/b.mp4>100", "/data/c.mp4>none"));
  one_based = options("a.mp4 1\nb.mp4 0\n");
  one_based.label_base = 1;
  EXPECT_THAT(message_of<ConfigError>([&] { load_dataset(one_based); }),
              HasSubstr("list.txt:2: label is 0; 1 to 1000000 are allowed"));
  one_based.label_base = 2;
  EXPECT_THAT(message_of<ConfigError>([&] { load_dataset(one_based); }),
              HasSubstr("label_base is 2"));
}

TEST_F(ListDataset, GivesRepeatedRowsIdsOfTheirOwn) {
  const Manifest manifest = load("path,clip_id\na.mp4,\na.mp4,a.mp4 #2\na.mp4,\na.mp4,\n");
  std::vector<std::string> ids;
  for (const ClipRequest& row : manifest.rows) ids.push_back(row.clip_id);
  EXPECT_THAT(ids, ElementsAre("a.mp4", "a.mp4 #2", "a.mp4 #3", "a.mp4 #4"));
  EXPECT_THAT(manifest.provenance, HasSubstr("2 named more than once"));
}

TEST_F(ListDataset, IsRelativeToItsOwnFolderWithoutDataRoot) {
  DatasetOptions no_root = options("a.mp4 0\n");
  no_root.data_root.clear();
  EXPECT_EQ(load_dataset(no_root).rows[0].media.path, (folder_ / "a.mp4").string());
}

/// Lists over folders of pictures, which are not opened.
class ListOfPictures : public ListDataset {
 protected:
  void put_pictures(const std::string& folder, const PictureSequence& names, int count) {
    for (int n = 0; n < count; ++n) {
      write_file(
          folder_ / ("root/" + folder + "/" + picture_file_name(names, names.first_number + n)),
          "x");
    }
  }
  Manifest load(std::string_view bytes, std::optional<double> picture_fps = std::nullopt) {
    DatasetOptions pictures = options(bytes);
    pictures.data_root = (folder_ / "root").string();
    pictures.picture_fps = picture_fps;
    return load_dataset(pictures);
  }
  /// The numbers of a row's pictures, `image_00001.jpg to 00010`; or its problem.
  static std::string pictures_of_row(const ManifestRow& row) {
    if (row.problem) return std::string(to_string(row.problem->reason));
    if (!row.media.pictures) return row.media.path.substr(row.media.path.rfind('/') + 1);
    const PictureSequence& names = *row.media.pictures;
    return picture_file_name(names, names.start_number.value_or(names.first_number)) + " to " +
           (names.stop_number ? std::to_string(*names.stop_number - 1) : "the end");
  }

  const PictureSequence image_{.prefix = "image_", .digits = 5, .suffix = ".jpg"};
  const PictureSequence frame_{.prefix = "f", .suffix = ".png", .first_number = 0};
};

TEST_F(ListOfPictures, LooksUpTheNamesInEachFolder) {
  put_pictures("a/v1", image_, 12);
  put_pictures("a/v2", frame_, 12);
  put_pictures("b/v3", image_, 10);
  const Manifest manifest = load("a/v1 10 0\na/v2 10 0\nb/v3 10 1\nb/gone 10 1\n");
  EXPECT_EQ(pictures_of_row(manifest.rows[0]), "image_00001.jpg to 10");
  EXPECT_EQ(pictures_of_row(manifest.rows[1]), "f0.png to 9");
  EXPECT_EQ(pictures_of_row(manifest.rows[2]), "image_00001.jpg to 10");
  EXPECT_EQ(pictures_of_row(manifest.rows[3]), "img_00001.jpg to 10") << "fails when it is opened";
  EXPECT_THAT(manifest.notes, ElementsAre("pictures    2 x image_%05d.jpg from 1, 25 a second",
                                          "pictures    1 x f%d.png from 0, 25 a second"));
}

TEST_F(ListOfPictures, TakesFoldersWithoutACount) {
  put_pictures("cls/v1", image_, 12);
  write_file(folder_ / "root/cls/v2.mp4", "x");
  const Manifest manifest = load("cls/v1 0\ncls/v2.mp4 1\n", 12);
  EXPECT_EQ(pictures_of_row(manifest.rows[0]), "image_00001.jpg to the end");
  EXPECT_EQ(manifest.rows[0].media.pictures->fps, 12);
  EXPECT_EQ(pictures_of_row(manifest.rows[1]), "v2.mp4");
}

TEST_F(ListOfPictures, FailsFoldersWithFewerThanTheListSays) {
  put_pictures("cls/v1", image_, 25);
  const Manifest manifest = load("cls/v1 250 0\n");
  EXPECT_EQ(pictures_of_row(manifest.rows[0]), "too_short");
  EXPECT_THAT(manifest.rows[0].problem->message,
              HasSubstr("cls/v1: the list says 250 pictures, but there is no image_00250.jpg"));
}

TEST_F(ListOfPictures, FoundByNameTakesTheNamesAndKeepsTheCount) {
  put_pictures("jpg/cls/v1", image_, 12);
  put_pictures("jpg/cls/v2", image_, 12);
  write_file(folder_ / "root/videos/v3.mp4", "x");
  const Manifest manifest = load("cls/v1 10 0\ncls/v2 250 0\ncls/v3 10 0\ncls/gone 10 0\n");
  EXPECT_EQ(pictures_of_row(manifest.rows[0]), "image_00001.jpg to 10");
  EXPECT_EQ(pictures_of_row(manifest.rows[1]), "too_short");
  EXPECT_EQ(pictures_of_row(manifest.rows[2]), "v3.mp4") << "a video has no numbers of pictures";
  EXPECT_EQ(pictures_of_row(manifest.rows[3]), "missing");
}

TEST_F(ListOfPictures, CutsThemAtTheTimes) {
  put_pictures("jpg/v1", image_, 200);
  const std::string by_name = "path,label,start,end\ngone/v1.mp4,0,2,4\n";
  EXPECT_EQ(pictures_of_row(load(by_name).rows[0]), "image_00051.jpg to 100");
  EXPECT_EQ(pictures_of_row(load(by_name, 10).rows[0]), "image_00021.jpg to 40");
  const Manifest direct = load("path,label,start,end\njpg/v1,0,2,4\njpg/v1,0,2,\n", 10);
  EXPECT_EQ(pictures_of_row(direct.rows[0]), "image_00021.jpg to 40");
  EXPECT_EQ(pictures_of_row(direct.rows[1]), "image_00021.jpg to the end");
  EXPECT_EQ(direct.rows[0].media.start_s, std::nullopt);
  EXPECT_EQ(direct.rows[0].clip_id, "jpg/v1@2-4");
}

TEST_F(ListDataset, SaysWhichLineIsWrong) {
  EXPECT_THAT(refusal(""), HasSubstr("list.txt: names no clip"));
  EXPECT_THAT(refusal("\n \n"), HasSubstr("names no clip"));
  EXPECT_THAT(refusal("a.mp4 0\nb.mp4 -2\n"), HasSubstr("list.txt:2: label is -2"));
  EXPECT_THAT(refusal("a.mp4 1000000\n"), HasSubstr("list.txt:1: label is 1000000; 0 to 999999"));
  EXPECT_THAT(refusal("a.mp4 jump\nb.mp4 3\n"),
              HasSubstr("list.txt:2: label is the number 3, but other lines name their class"));
  EXPECT_THAT(refusal("a.mp4,3\n"), HasSubstr("list.txt:1: looks like CSV without a header"));
  EXPECT_THAT(refusal("a/b 0 0\n"),
              HasSubstr("list.txt:1: 0 pictures; 1 to 100000000 are allowed"));
  EXPECT_THAT(refusal("b.mp4\t3\n\t3\n"),
              HasSubstr("list.txt:2: no path stands before the label '3'"));
  EXPECT_THAT(refusal("path,label\n,3\n"), HasSubstr("list.txt:2: path is empty"));
  EXPECT_THAT(refusal("path,label\na.mp4\n"), HasSubstr("list.txt:2: 1 fields"));
  EXPECT_THAT(refusal("path,start,end\na.mp4,5,5\n"),
              HasSubstr("list.txt:2: end is 5; it must be after"));
  EXPECT_THAT(refusal("path,start\na.mp4,soon\n"), HasSubstr("list.txt:2: start is 'soon'"));
  EXPECT_THAT(refusal("path,start\na.mp4,-1\n"), HasSubstr("list.txt:2: start is '-1'"));
  EXPECT_THAT(refusal("path,clip_id\na.mp4,x\nb.mp4,x\n"),
              HasSubstr("list.txt:3: clip_id 'x' stands on another line"));
  EXPECT_THAT(refusal("path,label\n\"a.mp4,3\n"), HasSubstr("list.txt:2: a quote that opens here"));
  EXPECT_THAT(message_of<ConfigError>([&] { load_with_names("a.mp4 2\n", "x\ny\n"); }),
              HasSubstr("list.txt:1: label is 2; 0 to 1 are allowed"));
  EXPECT_THAT(message_of<ConfigError>([] { load_dataset({.type = "list"}); }),
              HasSubstr("needs file"));
  EXPECT_THAT(message_of<ConfigError>([] { load_dataset({.type = "list", .file = "/no/list"}); }),
              HasSubstr("/no/list: no such file"));
}

TEST_F(ListDataset, SurvivesBytesThatAreNoText) {
  std::string bytes;
  std::uint32_t state = 1;
  for (int round = 0; round < 200; ++round) {
    bytes.clear();
    for (int i = 0; i < 300; ++i) {
      state = state * 1664525 + 1013904223;
      // A small alphabet meets more of the parser than random bytes do.
      bytes.push_back("ab.mp4,\"\t \n\r019-;\xFF/"[(state >> 24) % 20]);
    }
    if (round % 3 == 0) bytes.insert(0, "path,label\n");
    try {
      check_manifest(load(bytes));
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr("list.txt"));
    }
  }
}

}  // namespace
}  // namespace cfp
