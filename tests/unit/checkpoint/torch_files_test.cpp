// Files that PyTorch writes here and now, read by us and compared with what PyTorch reads.
#include <gtest/gtest.h>

#include "tests/support/run_command.h"
#include "tests/support/test_data.h"
#include "tests/unit/checkpoint/support.h"

namespace cfp::test {
namespace fs = std::filesystem;
namespace {

std::vector<fs::path> checkpoints_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".pth") files.push_back(entry.path());
  }
  return files;
}

fs::path text_beside(fs::path file) { return file.replace_extension(".txt"); }

TEST(TorchFiles, HoldWhatPyTorchReads) {
  const std::string python = python_with("torch", CFP_SOURCE_DIR);
  CFP_SKIP_WITHOUT_PYTHON(python, "torch");
  const TemporaryFolder folder;
  make_checkpoints(python, "valid", folder.path());
  const std::vector<fs::path> files = checkpoints_in(folder.path());
  // 10 types, 4 wrappers x 3 prefixes, views, 4 protocols, no checksums; each legacy and zip.
  EXPECT_EQ(files.size(), 2U * (10 + 12 + 1 + 4 + 1));
  for (const fs::path& file : files) {
    SCOPED_TRACE(file.filename().string());
    const Checkpoint checkpoint = read_checkpoint(file.string());
    expect_tensors(checkpoint, parse_expected(read_bytes(text_beside(file))));
    const bool legacy = file.stem().extension() == ".legacy";
    EXPECT_EQ(checkpoint.format, legacy ? "legacy .pth" : "zip .pth");
    if (file.filename().string().starts_with("wrapped")) {
      EXPECT_EQ(checkpoint.metadata.at("epoch"), "5");
      EXPECT_EQ(checkpoint.metadata.at("arch"), "resnet-50");
    }
  }
}

TEST(TorchFiles, AreRefusedWhereTheyHoldMoreThanTensors) {
  const std::string python = python_with("torch", CFP_SOURCE_DIR);
  CFP_SKIP_WITHOUT_PYTHON(python, "torch");
  const TemporaryFolder folder;
  make_checkpoints(python, "forbidden", folder.path());
  const std::vector<fs::path> files = checkpoints_in(folder.path());
  EXPECT_EQ(files.size(), 11U * 4 + 1);
  for (const fs::path& file : files) {
    SCOPED_TRACE(file.filename().string());
    CFP_EXPECT_REFUSED(read_checkpoint(file.string()), read_bytes(text_beside(file)));
    CFP_EXPECT_REFUSED(read_checkpoint(file.string()), file.string());
  }
  EXPECT_FALSE(fs::exists(folder / "executed")) << "reading a hostile checkpoint ran its code";
}

TEST(TorchFiles, GivenAsFixturesHoldTheirTensors) {
  const fs::path fixtures = checkpoint_facts() / "checkpoint_fixtures";
  CFP_SKIP_WITHOUT(fixtures);
  const std::vector<fs::path> files = checkpoints_in(fixtures);
  EXPECT_EQ(files.size(), 5U);
  for (const fs::path& file : files) {
    SCOPED_TRACE(file.filename().string());
    const Checkpoint checkpoint = read_checkpoint(file.string());
    const std::string prefix =
        file.filename().string().find("module") == std::string::npos ? "" : "module.";
    std::vector<std::string> names;
    for (const StoredTensor& tensor : checkpoint.tensors) names.push_back(tensor.name);
    EXPECT_THAT(names,
                testing::ElementsAre(prefix + "conv.weight", prefix + "bn.weight",
                                     prefix + "bn.bias", prefix + "bn.running_mean",
                                     prefix + "bn.running_var", prefix + "bn.num_batches_tracked"));
    EXPECT_THAT(checkpoint.tensors[0].shape, testing::ElementsAre(2, 1, 1, 1, 1));
    EXPECT_TRUE(checkpoint.tensors[5].shape.empty());
    EXPECT_EQ(checkpoint.tensors[5].dtype, DType::kInt64);
    EXPECT_EQ(checkpoint.metadata.contains("arch"), !prefix.empty());
    for (const StoredTensor& tensor : checkpoint.tensors) {
      EXPECT_NE(float_data(tensor, checkpoint.path), nullptr);
    }
  }
}

}  // namespace
}  // namespace cfp::test
