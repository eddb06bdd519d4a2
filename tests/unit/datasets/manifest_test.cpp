#include "datasets/manifest.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "stages/core/errors.h"
#include "tests/unit/datasets/support.h"

namespace cfp {
namespace {

using test::message_of;
using test::output_of;
using test::TemporaryFolder;
using test::write_file;
using testing::HasSubstr;

Manifest awkward_manifest() {
  Manifest manifest;
  manifest.class_names = {"plain", "with, comma", "say \"hi\"", "never seen"};
  manifest.rows = {{{.row = 0, .clip_id = "a", .media = {.path = "/data/plain.mp4"}, .label = 0}},
                   {{.row = 1,
                     .clip_id = "b,\"1\"",
                     .media = {.path = "/data/a, b \"c\".mp4", .start_s = 0.1, .end_s = 1e-7},
                     .label = 1}},
                   {{.row = 2,
                     .clip_id = "c\nd",
                     .media = {.path = " /data/#&;%\xFF\r\n.mp4 ", .start_s = 1.0 / 3},
                     .label = 2}},
                   {{.row = 3,
                     .clip_id = "e",
                     .media = {.path = "/data/\xC3\xA9t\xC3\xA9.mp4", .end_s = 12345678.9},
                     .label = {}}}};
  return manifest;
}

TEST(Manifest, ReadsBackWhatItWrote) {
  const TemporaryFolder folder;
  const Manifest manifest = awkward_manifest();
  write_manifest(folder / "manifest.csv", manifest);
  const Manifest again = read_manifest(folder / "manifest.csv");
  EXPECT_EQ(again.rows, manifest.rows);
  EXPECT_EQ(again.hash(), manifest.hash());
  EXPECT_EQ(again.class_names, std::vector<std::string>(manifest.class_names.begin(),
                                                        manifest.class_names.begin() + 3));
}

TEST(Manifest, KeepsThatPicturesLackWhileTheyDo) {
  const TemporaryFolder folder;
  Manifest manifest = awkward_manifest();
  manifest.rows.resize(1);
  ManifestRow& row = manifest.rows[0];
  row.media = {
      .path = (folder / "v").string(),
      .pictures = PictureSequence{
          .prefix = "img_", .digits = 5, .suffix = ".jpg", .start_number = 1, .stop_number = 4}};
  row.problem = {FailureReason::kTooShort, "the list says 3 pictures"};
  write_file(folder / "v/img_00001.jpg", "");
  write_manifest(folder / "manifest.csv", manifest);
  EXPECT_EQ(read_manifest(folder / "manifest.csv").rows[0].problem, row.problem);
  write_file(folder / "v/img_00003.jpg", "");
  EXPECT_FALSE(read_manifest(folder / "manifest.csv").rows[0].problem);
}

TEST(Manifest, IsReadAlikeByPython) {
  const TemporaryFolder folder;
  const Manifest manifest = awkward_manifest();
  write_manifest(folder / "manifest.csv", manifest);
  const std::string paths =
      output_of("python3 -c \"import csv,sys; f = open('" + (folder / "manifest.csv").string() +
                "', newline='', encoding='utf-8', errors='surrogateescape'); "
                "sys.stdout.buffer.write(b'|'.join((r['path'] + '>' + r['class_name'])"
                ".encode('utf-8', 'surrogateescape') for r in csv.DictReader(f)))\"");
  if (paths.empty()) GTEST_SKIP() << "needs python3";
  std::string expected;
  for (const ClipRequest& row : manifest.rows) {
    expected += (row.row > 0 ? "|" : "") + row.media.path + ">" + manifest.class_name(row);
  }
  EXPECT_EQ(paths, expected);
}

TEST(Manifest, ReadsBackEverythingThatARowMayHave) {
  const TemporaryFolder folder;
  Manifest manifest = awkward_manifest();
  manifest.dataset = "epic100";
  manifest.heads = {{"verb", {"take", "put"}}, {"noun", {"a, b", "c"}}};
  const std::vector<std::vector<std::optional<int>>> labels{{0, 1}, {1, {}}, {{}, 0}, {{}, {}}};
  for (std::size_t i = 0; i < labels.size(); ++i) manifest.rows[i].labels = labels[i];
  manifest.rows[0].media.pictures = PictureSequence{.prefix = "a,%d\"",
                                                    .digits = 10,
                                                    .suffix = ".jpg",
                                                    .first_number = 0,
                                                    .fps = 29.97,
                                                    .start_number = 8,
                                                    .stop_number = 202};
  manifest.rows[1].media.in_pieces = true;
  manifest.rows[1].references = {"gaze.txt", "boxes, too.csv", "masks"};
  manifest.rows[2].problem = {FailureReason::kDuplicate, "two\nlines"};
  manifest.rows[2].facts = MediaFacts{.bytes = 1, .modified_s = -86'400};  // of the year 1969
  manifest.rows[3].facts = MediaFacts{1LL << 40, 1'700'000'000, 456, 256, 1652.152817, 59.94};
  write_manifest(folder / "manifest.csv", manifest);
  const Manifest again = read_manifest(folder / "manifest.csv");
  EXPECT_EQ(again.rows, manifest.rows);
  EXPECT_EQ(again.heads, manifest.heads);
  EXPECT_EQ(again.dataset, "epic100");
  EXPECT_EQ(again.hash(), manifest.hash());
}

TEST(Manifest, LeavesToTheNextLookWhatALookCanChange) {
  const TemporaryFolder folder;
  Manifest manifest;
  const std::string there = write_file(folder / "there.mp4", "x").string();
  const auto add = [&](FailureReason reason, const std::string& path) {
    const auto row = static_cast<std::int64_t>(manifest.rows.size());
    manifest.rows.push_back({{.row = row,
                              .clip_id = fmt::format("{} {}", row, to_string(reason)),
                              .media = {.path = path},
                              .problem = ClipProblem{reason, "as it was"}}});
  };
  for (const FailureReason reason :
       {FailureReason::kUnreadable, FailureReason::kEmpty, FailureReason::kNoVideoStream,
        FailureReason::kDecodeError, FailureReason::kTooShort, FailureReason::kTimeout,
        FailureReason::kTooSmall, FailureReason::kMissing}) {
    add(reason, there);
  }
  const std::size_t bound = manifest.rows.size();
  add(FailureReason::kMissing, (folder / "nowhere.mp4").string());
  add(FailureReason::kDuplicate, there);
  write_manifest(folder / "manifest.csv", manifest);
  const Manifest again = read_manifest(folder / "manifest.csv");
  ASSERT_EQ(again.rows.size(), manifest.rows.size());
  for (std::size_t i = 0; i < again.rows.size(); ++i) {
    SCOPED_TRACE(again.rows[i].clip_id);
    EXPECT_EQ(again.rows[i].problem, i < bound ? std::nullopt : manifest.rows[i].problem);
  }
}

TEST(Manifest, WithAbsolutePathsMeansTheSameFromEveryFolder) {
  Manifest manifest = awkward_manifest();
  manifest.rows[0].media.path = "./clips//a b.mp4";
  manifest.rows[1].media.path = "../clips/b.mp4";  // `..` behind a link leads elsewhere
  manifest.rows[0].references = {.gaze = "gaze.txt", .boxes = "", .masks = "/masks/./a"};
  make_paths_absolute(manifest);
  const std::string here = std::filesystem::current_path().string();
  EXPECT_EQ(manifest.rows[0].media.path, here + "/clips/a b.mp4");
  EXPECT_EQ(manifest.rows[1].media.path, here + "/../clips/b.mp4");
  EXPECT_EQ(manifest.rows[2].media.path, here + "/ /data/#&;%\xFF\r\n.mp4 ");
  EXPECT_EQ(manifest.rows[3].media.path, "/data/\xC3\xA9t\xC3\xA9.mp4");
  EXPECT_EQ(manifest.rows[0].references,
            (ClipReferences{.gaze = here + "/gaze.txt", .boxes = "", .masks = "/masks/a"}));
}

TEST(Manifest, RefusesColumnsThatMakeNoSense) {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& columns, const std::string& fields) {
    write_file(folder / "m.csv", "row,clip_id,path,start_s,end_s,label,class_name," + columns +
                                     "\n0,a,a.mp4,,,,," + fields + "\n");
    return message_of<ConfigError>([&] { read_manifest(folder / "m.csv"); });
  };
  EXPECT_THAT(refusal("status,message", "broken,"), HasSubstr("m.csv:2: status is 'broken'"));
  EXPECT_THAT(refusal("picture_fps", "0"), HasSubstr("picture_fps must be above 0"));
  EXPECT_THAT(refusal("picture_fps,picture_prefix", "1,../x"), HasSubstr("without a slash"));
  EXPECT_THAT(refusal("picture_fps,picture_digits", "1,99999"), HasSubstr("picture_digits is"));
  EXPECT_THAT(refusal("verb_label,verb", "-1,x"), HasSubstr("verb_label is '-1'"));
  EXPECT_THAT(refusal("bytes", "many"), HasSubstr("bytes is 'many'"));
  EXPECT_THAT(refusal("bytes", "-1"), HasSubstr("bytes is '-1'; 0 to "));
  EXPECT_THAT(refusal("bytes,modified_s", "1,long ago"), HasSubstr("modified_s is 'long ago'"));
  EXPECT_THAT(refusal("dataset", "ucf101\n1,b,b.mp4,,,,,hmdb51"),
              HasSubstr("m.csv:3: dataset is 'hmdb51' here and 'ucf101' before"));
}

TEST(Manifest, KeepsLabelsWithoutNames) {
  const TemporaryFolder folder;
  Manifest manifest;
  manifest.rows = {{{.row = 0, .clip_id = "a", .media = {.path = "a.mp4"}, .label = 7}}};
  write_manifest(folder / "manifest.csv", manifest);
  const Manifest again = read_manifest(folder / "manifest.csv");
  EXPECT_EQ(again.rows, manifest.rows);
  EXPECT_TRUE(again.class_names.empty());
  EXPECT_EQ(again.hash(), manifest.hash());
}

TEST(Manifest, HashSeesEveryMemberOfARow) {
  const Manifest manifest = awkward_manifest();
  const auto changed = [&](auto change) {
    Manifest other = manifest;
    change(other);
    return other.hash() != manifest.hash();
  };
  EXPECT_TRUE(changed([](Manifest& m) { m.rows[1].clip_id = "z"; }));
  EXPECT_TRUE(changed([](Manifest& m) { m.rows[1].media.path += "4"; }));
  EXPECT_TRUE(changed([](Manifest& m) { m.rows[1].media.start_s = std::nullopt; }));
  EXPECT_TRUE(changed([](Manifest& m) { m.rows[1].media.end_s = 2; }));
  EXPECT_TRUE(changed([](Manifest& m) { m.rows[1].label = 0; }));
  EXPECT_TRUE(changed([](Manifest& m) { m.rows[1].label = std::nullopt; }));
  EXPECT_TRUE(changed([](Manifest& m) { m.class_names[1] = "other"; }));
  EXPECT_TRUE(changed([](Manifest& m) { m.rows.pop_back(); }));
  EXPECT_FALSE(changed([](Manifest& m) { m.provenance = "elsewhere"; }));
}

TEST(Manifest, RefusesDamagedFilesAndSaysWhere) {
  const TemporaryFolder folder;
  const std::string header = "row,clip_id,path,start_s,end_s,label,class_name\n";
  const auto refusal = [&](const std::string& rows) {
    return message_of<ConfigError>(
        [&] { read_manifest(write_file(folder / "m.csv", header + rows)); });
  };
  EXPECT_THAT(refusal("1,a,a.mp4,,,,\n"), HasSubstr("m.csv:2: row is '1'; 0 comes next"));
  EXPECT_THAT(refusal("0,,a.mp4,,,,\n"), HasSubstr("m.csv:2: clip_id or path is empty"));
  EXPECT_THAT(refusal("0,a,a.mp4,,,,\n1,a,b.mp4,,,,\n"),
              HasSubstr("m.csv:3: another row has the clip_id 'a'"));
  EXPECT_THAT(refusal("0,a,a.mp4,-1,,,\n"), HasSubstr("m.csv:2: start_s is '-1'"));
  EXPECT_THAT(refusal("0,a,a.mp4,,nan,,\n"), HasSubstr("m.csv:2: end_s is 'nan'"));
  EXPECT_THAT(refusal("0,a,a.mp4,,,2000000000,x\n"), HasSubstr("m.csv:2: label is '2000000000'"));
  EXPECT_THAT(refusal("0,a,a.mp4,,,1,x\n1,b,a.mp4,,,1,y\n"),
              HasSubstr("m.csv:3: label 1 is called 'y' here and 'x' before"));
  EXPECT_THAT(
      message_of<ConfigError>([&] { read_manifest(write_file(folder / "m.csv", "a,b\n1,2\n")); }),
      HasSubstr("no column is called 'row'"));
}

TEST(Manifest, CheckFindsWhatBreaksItsPromises) {
  const auto refusal = [](auto change) {
    Manifest manifest = awkward_manifest();
    change(manifest);
    return message_of<ConfigError>([&] { check_manifest(manifest); });
  };
  EXPECT_NO_THROW(check_manifest(awkward_manifest()));
  EXPECT_THAT(refusal([](Manifest& m) { m.rows[2].row = 5; }), HasSubstr("row 2"));
  EXPECT_THAT(refusal([](Manifest& m) { m.rows[3].clip_id = "a"; }), HasSubstr("the same clip_id"));
  EXPECT_THAT(refusal([](Manifest& m) { m.rows[0].label = 4; }), HasSubstr("there are 4 classes"));
  EXPECT_THAT(refusal([](Manifest& m) { m.rows[0].media.path.clear(); }), HasSubstr("has no path"));
}

TEST(Manifest, LeavesNothingBehindWhereItCannotWrite) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "taken");
  write_file(folder / "taken" / "file", "x");
  EXPECT_THAT(
      message_of<SystemError>([&] { write_manifest(folder / "taken", awkward_manifest()); }),
      HasSubstr("cannot rename"));
  EXPECT_THAT(
      message_of<SystemError>([&] { write_manifest(folder / "no" / "m.csv", awkward_manifest()); }),
      HasSubstr("No such file"));
  const auto entries = std::filesystem::directory_iterator(folder.path());
  EXPECT_EQ(std::distance(begin(entries), end(entries)), 1);
}

}  // namespace
}  // namespace cfp
