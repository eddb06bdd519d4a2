// A part written and read back by ourselves; foreign readers are in foreign_reader_test.cpp.
#include <fstream>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "results/store/part_reader.h"
#include "results/store/part_writer.h"
#include "stages/core/output_file.h"
#include "tests/support/test_data.h"
#include "tests/unit/store/example_clips.h"

namespace cfp {
namespace {

using test::example_clip;
using test::example_failure;
using test::ExampleShape;
using testing::HasSubstr;

PartHeader example_header() {
  return {.name = "demo ü",
          .config = std::string(100'000, 'x') + "\nend: \"of config\"\n",
          .config_hash = "0123456789abcdef",
          .manifest_hash = "fedcba9876543210",
          .weights_hash = "00000000000000ff",
          .network = "resnet50_3d",
          .preset = "kenshohara2018",
          .method = "gradient",
          .command = "cfp run 'a b.yaml'",
          .random_weights = true,
          .class_names = {"a", "b & c", "", "日本", "e", "f", "g"},
          .versions = {{"cfp", "0.1.0"}, {"hdf5", "1.10.8"}}};
}

void expect_equal(const ChannelRelevance& a, const ChannelRelevance& b) {
  EXPECT_EQ(a.positive, b.positive);
  EXPECT_EQ(a.negative, b.negative);
  EXPECT_EQ(a.score, b.score);
  EXPECT_EQ(a.found, b.found);
  EXPECT_EQ(a.reached, b.reached);
}

void expect_equal(const Pyramid& a, const Pyramid& b) {
  EXPECT_EQ(a.target.class_index, b.target.class_index);
  EXPECT_EQ(a.target.kind, b.target.kind);
  EXPECT_EQ(a.target.value, b.target.value);
  EXPECT_EQ(a.method, b.method);
  ASSERT_EQ(a.layers.size(), b.layers.size());
  for (std::size_t i = 0; i < a.layers.size(); ++i) {
    SCOPED_TRACE(a.layers[i].name);
    EXPECT_EQ(a.layers[i].name, b.layers[i].name);
    EXPECT_EQ(a.layers[i].depth, b.layers[i].depth);
    expect_equal(a.layers[i].kernels, b.layers[i].kernels);
    expect_equal(a.layers[i].channels, b.layers[i].channels);
    EXPECT_EQ(a.layers[i].edges, b.layers[i].edges);
    EXPECT_EQ(a.layers[i].tube.length, b.layers[i].tube.length);
    EXPECT_EQ(a.layers[i].tube.height, b.layers[i].tube.height);
    EXPECT_EQ(a.layers[i].tube.width, b.layers[i].tube.width);
    EXPECT_EQ(a.layers[i].tube.values, b.layers[i].tube.values);
    EXPECT_EQ(a.layers[i].tube.minimum, b.layers[i].tube.minimum);
    EXPECT_EQ(a.layers[i].tube.maximum, b.layers[i].tube.maximum);
  }
  ASSERT_EQ(a.additions.size(), b.additions.size());
  for (std::size_t i = 0; i < a.additions.size(); ++i) {
    EXPECT_EQ(a.additions[i].name, b.additions[i].name);
    EXPECT_EQ(a.additions[i].addend_names, b.additions[i].addend_names);
    expect_equal(a.additions[i].sum, b.additions[i].sum);
    ASSERT_EQ(a.additions[i].addends.size(), b.additions[i].addends.size());
    for (std::size_t k = 0; k < a.additions[i].addends.size(); ++k) {
      expect_equal(a.additions[i].addends[k], b.additions[i].addends[k]);
    }
  }
}

/// Everything is stored as it is, so equality is exact.
void expect_equal(const ClipResult& a, const ClipResult& b) {
  SCOPED_TRACE(a.clip_id);
  EXPECT_EQ(a.row, b.row);
  EXPECT_EQ(a.clip_id, b.clip_id);
  EXPECT_EQ(a.path, b.path);
  EXPECT_EQ(a.view, b.view);
  EXPECT_EQ(a.label, b.label);
  EXPECT_EQ(a.prediction, b.prediction);
  EXPECT_EQ(a.logits, b.logits);
  EXPECT_EQ(a.frame_times_s, b.frame_times_s);
  EXPECT_EQ(a.decode_s, b.decode_s);
  EXPECT_EQ(a.network_s, b.network_s);
  EXPECT_EQ(a.pyramid_s, b.pyramid_s);
  ASSERT_EQ(a.pyramids.size(), b.pyramids.size());
  for (std::size_t k = 0; k < a.pyramids.size(); ++k) expect_equal(a.pyramids[k], b.pyramids[k]);
}

void write_part(const std::filesystem::path& path, int clips, const ExampleShape& shape,
                StoreOptions options = {}) {
  PartWriter part(path, example_header(), options);
  for (int i = 0; i < clips; ++i) part.append(example_clip(i, shape));
  part.finish();
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class PartRoundTrip : public testing::TestWithParam<std::pair<int, ExampleShape>> {};

TEST(Part, GivesTheViewsOfARowTogether) {
  const test::TemporaryFolder folder;
  PartWriter writer(folder / "part-0.h5", example_header());
  const std::vector<std::pair<int, int>> clips{{3, 0}, {3, 1}, {3, 2}, {5, 0}, {8, 0}, {8, 4}};
  for (const auto& [row, view] : clips) {
    ClipResult clip = example_clip(row);
    clip.view = view;
    clip.views = row == 5 ? 7 : 1;
    writer.append(clip);
  }
  writer.finish();
  const PartReader part(folder / "part-0.h5");
  std::vector<std::vector<int>> views;
  for (std::int64_t i = 0; i < part.clips();) {
    const std::vector<ClipResult> row = part.read_row(i);
    views.emplace_back();
    for (const ClipResult& clip : row) views.back().push_back(clip.view);
    EXPECT_EQ(row[0].views, row[0].row == 5 ? 7 : 1);
    i += static_cast<std::int64_t>(row.size());
  }
  EXPECT_EQ(views, (std::vector<std::vector<int>>{{0, 1, 2}, {0}, {0, 4}}));
  EXPECT_THROW(part.read_row(6), SystemError);
}

TEST_P(PartRoundTrip, GivesBackWhatWasWritten) {
  const auto& [clips, shape] = GetParam();
  const test::TemporaryFolder folder;
  {
    PartWriter part(folder / "part.h5", example_header());
    for (int i = 0; i < clips; ++i) {
      part.append(example_clip(i, shape));
      if (i % 3 == 0) part.append_failure(example_failure(i));
    }
    EXPECT_EQ(part.clips(), clips);
    EXPECT_EQ(part.failures(), (clips + 2) / 3);
    part.finish();
    EXPECT_EQ(part.failures(), (clips + 2) / 3);
  }
  const PartReader part(folder / "part.h5");
  EXPECT_EQ(part.header(), example_header());
  ASSERT_EQ(part.clips(), clips);
  EXPECT_TRUE(part.has_edges());
  EXPECT_EQ(part.has_tubes(), shape.tubes);
  for (int i = 0; i < clips; ++i) expect_equal(example_clip(i, shape), part.read(i));
  // Out of order as well: chunks are looked up, not streamed.
  expect_equal(example_clip(0, shape), part.read(0));
  ASSERT_EQ(part.failures(), (clips + 2) / 3);
  for (int i = 0; i < part.failures(); ++i) {
    const Failure want = example_failure(3 * i), have = part.read_failure(i);
    EXPECT_EQ(have.row, want.row);
    EXPECT_EQ(have.clip_id, want.clip_id);
    EXPECT_EQ(have.path, want.path);
    EXPECT_EQ(have.stage, want.stage);
    EXPECT_EQ(have.reason, want.reason);
    EXPECT_EQ(have.message, want.message);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, PartRoundTrip,
    testing::Values(std::pair{1, ExampleShape{}}, std::pair{5, ExampleShape{.targets = 3}},
                    // More clips than rows in a chunk (64) and than elements in one (8192 edges).
                    std::pair{200, ExampleShape{.kernels = 40}},
                    std::pair{3, ExampleShape{.tubes = false, .additions = false}},
                    // More than 65536 kernels need the wider index.
                    std::pair{2, ExampleShape{.classes = 70'000, .kernels = 3, .layers = 1}}));

TEST(PartWriter, WritesARunInWhichEveryClipFailed) {
  const test::TemporaryFolder folder;
  PartWriter writer(folder / "part.h5", example_header());
  for (int i = 0; i < 100; ++i) writer.append_failure(example_failure(i));
  writer.finish();
  const PartReader part(folder / "part.h5");
  EXPECT_EQ(part.clips(), 0);
  EXPECT_EQ(part.failures(), 100);
  EXPECT_EQ(part.read_failure(99).clip_id, "broken 99");
  EXPECT_THROW(part.read(0), SystemError);
}

TEST(PartWriter, LeavesOutWhatIsNotAskedFor) {
  const test::TemporaryFolder folder;
  write_part(folder / "part.h5", 3, {}, {.edges = false, .tubes = false});
  const PartReader part(folder / "part.h5");
  EXPECT_FALSE(part.has_edges());
  EXPECT_FALSE(part.has_tubes());
  const ClipResult clip = part.read(2);
  EXPECT_TRUE(clip.pyramids[0].layers[1].edges.empty());
  EXPECT_TRUE(clip.pyramids[0].layers[1].tube.values.empty());
  EXPECT_EQ(clip.pyramids[0].layers[1].kernels.score,
            example_clip(2).pyramids[0].layers[1].kernels.score);
}

TEST(PartWriter, WritesEqualFilesForEqualResults) {
  const test::TemporaryFolder folder;
  write_part(folder / "a.h5", 20, {});
  ::sleep(1);  // a time stamp inside would differ now
  write_part(folder / "b.h5", 20, {});
  EXPECT_EQ(bytes_of(folder / "a.h5"), bytes_of(folder / "b.h5"));
}

TEST(PartWriter, HasNothingUnderTheFinalNameBeforeTheEnd) {
  const test::TemporaryFolder folder;
  {
    PartWriter part(folder / "part.h5", example_header());
    for (int i = 0; i < 100; ++i) part.append(example_clip(i));
    EXPECT_FALSE(std::filesystem::exists(folder / "part.h5"));
    EXPECT_TRUE(std::filesystem::exists(temporary_path(folder / "part.h5")));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "an unfinished part was left behind";
}

TEST(PartWriter, KilledLeavesNoFinalFileAndIsInNobodysWay) {
  const test::TemporaryFolder folder;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    PartWriter part(folder / "part.h5", example_header());
    for (int i = 0; i < 100; ++i) part.append(example_clip(i));
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_FALSE(std::filesystem::exists(folder / "part.h5"));
  const auto left = std::filesystem::directory_iterator(folder.path())->path();
  EXPECT_THAT(left.filename().string(), testing::StartsWith("part.h5." + std::to_string(child)));
  const auto size = std::filesystem::file_size(left);
  write_part(folder / "part.h5", 3, {});
  EXPECT_EQ(std::filesystem::file_size(left), size) << "another process's file was touched";
  EXPECT_EQ(PartReader(folder / "part.h5").clips(), 3);
}

/// @return what() of the std::logic_error that appending `clip` after the example throws
std::string bug_of(const ClipResult& clip) {
  const test::TemporaryFolder folder;
  PartWriter part(folder / "part.h5", example_header());
  part.append(example_clip(0));
  try {
    part.append(clip);
  } catch (const std::logic_error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(PartWriter, RefusesAClipUnlikeTheFirst) {
  EXPECT_THAT(bug_of(example_clip(0)), HasSubstr("row 0 view 0 after row 0 view 0"));
  EXPECT_THAT(bug_of(example_clip(1, {.classes = 8})), HasSubstr("8 logits"));
  EXPECT_THAT(bug_of(example_clip(1, {.frames = 5})), HasSubstr("of 5 frames"));
  EXPECT_THAT(bug_of(example_clip(1, {.targets = 2})), HasSubstr("number of targets is 2"));
  EXPECT_THAT(bug_of(example_clip(1, {.layers = 4})), HasSubstr("number of layers is 4"));
  EXPECT_THAT(bug_of(example_clip(1, {.kernels = 25})), HasSubstr("size of fc channels"));
  EXPECT_THAT(bug_of(example_clip(1, {.tubes = false})), HasSubstr("tube of layer fc"));
  EXPECT_THAT(bug_of(example_clip(1, {.additions = false})), HasSubstr("number of additions"));
  ClipResult renamed = example_clip(1);
  renamed.pyramids[0].layers[2].name = "other";
  EXPECT_THAT(bug_of(renamed), HasSubstr("layer 2 is other"));
}

TEST(PartWriter, RefusesAZeroByteRatherThanCutTheText) {
  const test::TemporaryFolder folder;
  PartWriter part(folder / "part.h5", example_header());
  ClipResult clip = example_clip(0);
  clip.clip_id = std::string("a\0b", 3);
  try {
    part.append(clip);
    FAIL() << "nothing was thrown";
  } catch (const SystemError& error) {
    EXPECT_THAT(error.what(), HasSubstr("zero byte"));
    EXPECT_THAT(error.what(), HasSubstr(temporary_path("part.h5").string()));
  }
}

// A file system without locks and a file that somebody has locked are one to HDF5: it cannot lock.
TEST(PartFile, NeedsNoLocks) {
#if !H5_VERSION_GE(1, 10, 7)
  GTEST_SKIP() << "HDF5 locks files by itself before 1.10.7";
#endif
  const test::TemporaryFolder folder;
  const auto path = folder / "part.h5";
  const auto lock = [](const std::filesystem::path& file) {
    const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    EXPECT_EQ(::flock(descriptor, LOCK_EX | LOCK_NB), 0);
    return descriptor;
  };
  const int written = lock(temporary_path(path));
  write_part(path, 3, {});
  ::close(written);
  const int read = lock(path);
  EXPECT_EQ(PartReader(path).clips(), 3);
  ::close(read);
}

TEST(PartWriter, NamesAFolderItCannotWrite) {
  try {
    PartWriter part("/nonexistent/folder/part.h5", example_header());
    FAIL() << "nothing was thrown";
  } catch (const SystemError& error) {
    EXPECT_THAT(error.what(), HasSubstr(temporary_path("/nonexistent/folder/part.h5").string()));
    EXPECT_THAT(error.what(), HasSubstr("No such file or directory"));
  }
}

}  // namespace
}  // namespace cfp
