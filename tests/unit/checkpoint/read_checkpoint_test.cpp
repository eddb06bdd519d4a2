// Which files are taken for what, and what is said of those that are no checkpoints.
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "tests/support/test_data.h"
#include "tests/unit/checkpoint/support.h"

namespace cfp::test {
using namespace std::string_literals;
namespace {

class ReadCheckpoint : public testing::Test {
 protected:
  std::string file(std::string_view bytes) {
    const std::string path = folder_ / "file.pth";
    write_bytes(path, bytes);
    return path;
  }
  void refused(std::string_view bytes, const char* why) {
    SCOPED_TRACE(why);
    const std::string path = file(bytes);
    CFP_EXPECT_REFUSED(read_checkpoint(path), why);
    CFP_EXPECT_REFUSED(read_checkpoint(path), path);
  }
  TemporaryFolder folder_;
};

TEST_F(ReadCheckpoint, TellsFormatsByTheirFirstBytes) {
  for (const Bytes& bytes : {zip_checkpoint({1, 2.5F}), legacy_checkpoint({1, 2.5F})}) {
    const Checkpoint checkpoint = read_checkpoint(file(bytes));
    ASSERT_EQ(checkpoint.tensors.size(), 1U);
    EXPECT_EQ(checkpoint.tensors[0].name, "a");
    EXPECT_EQ(float_data(checkpoint.tensors[0], "").get()[1], 2.5F);
  }
}

TEST_F(ReadCheckpoint, SaysWhatAFileIsInstead) {
  refused("", "is empty");
  refused("<!DOCTYPE html><html>", "web page");
  refused("\xEF\xBB\xBF\n <html>", "web page");
  refused("hello world", "begins with 'hello world'");
  refused("\x1f\x8b\x08 gzip", "gzip");
  refused("\x89HDF\r\n\x1a\n", "HDF5");
  refused("version https://git-lfs.github.com/spec/v1\n", "Git LFS");
  refused(Bytes(257, 'x') + "ustar" + Bytes(100, '\0'), "tar archive");
  refused("\x08\x07\x12\x07pytorch:"s, "ONNX");
  refused("\x80\x02}.", "not one that torch.save wrote");
  refused(zip_of({{.name = "x/data.pkl", .data = ""}, {.name = "x/code/a.py", .data = ""}}),
          "TorchScript");
  refused(zip_of({{.name = "m/models/model.json", .data = "{}"}}), "torch.export");
  refused(zip_of({{.name = "readme.txt", .data = ""}}), "0 entries called data.pkl");
}

TEST_F(ReadCheckpoint, SaysThatAFileIsMissingOrAFolder) {
  CFP_EXPECT_REFUSED(read_checkpoint(folder_ / "absent.pth"), "No such file");
  CFP_EXPECT_REFUSED(read_checkpoint(folder_.path().string()), "is a folder");
  CFP_EXPECT_REFUSED(read_checkpoint("/dev/null"), "not a regular file");
}

TEST_F(ReadCheckpoint, RefusesBigEndianFiles) {
  refused(legacy_checkpoint({1}, false), "big-endian");
  refused(zip_of({{.name = "x/byteorder", .data = "big"}, {.name = "x/data.pkl", .data = "N."}}),
          "big-endian");
}

TEST_F(ReadCheckpoint, RefusesTensorsOutsideTheirStorage) {
  const auto zip_with = [](const Bytes& tensor) {
    return zip_of({{.name = "data.pkl", .data = pickle_of("}" + pickled_text("a") + tensor + "s")},
                   {.name = "data/0", .data = Bytes(16, '\0')}});
  };
  EXPECT_NO_THROW(read_checkpoint(file(zip_with(pickled_tensor("0", 4, 1, {3}, {1})))));
  refused(zip_with(pickled_tensor("0", 4, 2, {3}, {1})), "reaches element 4 of a storage of 4");
  refused(zip_with(pickled_tensor("0", 4, -1, {3}, {1})), "begins before");
  refused(zip_with(pickled_tensor("0", 4, 0, {2, 2}, {1})), "2 sizes but 1 strides");
  refused(zip_with(pickled_tensor("0", 4, 0, {2}, {-1})), "negative");
  refused(zip_with(pickled_tensor("0", 4, 0, {-2}, {1})), "negative");
  const std::int32_t large = std::numeric_limits<std::int32_t>::max();
  refused(zip_with(pickled_tensor("0", 4, 0, {large, large, large, large}, {0, 0, 0, 0})),
          "more elements than can be counted");
  refused(zip_with(pickled_tensor("0", 5, 0, {4}, {1})), "16 bytes where 5 elements");
  refused(zip_with(pickled_tensor("1", 4, 0, {4}, {1})), "no zip entry 'data/1'");
  refused(zip_with(pickled_tensor("0", 4, 0, std::vector<std::int32_t>(9, 1),
                                  std::vector<std::int32_t>(9, 1))),
          "more than 8");
}

TEST_F(ReadCheckpoint, RefusesANameThatIsThereTwice) {
  const Bytes entry = pickled_text("a") + pickled_tensor("0", 1, 0, {1}, {1}) + "s";
  refused(zip_of({{.name = "data.pkl", .data = pickle_of("}" + entry + entry)},
                  {.name = "data/0", .data = Bytes(4, '\0')}}),
          "'a' twice");
}

TEST_F(ReadCheckpoint, DoesNotFollowADictionaryThatHoldsItself) {
  // d = {}; d["state_dict"] = d
  refused(zip_of({{.name = "data.pkl",
                   .data = pickle_of("}q\0"s + pickled_text("state_dict") + "h\0s"s)}}),
          "no tensors");
}

TEST_F(ReadCheckpoint, RefusesWeightsThatAreNotFinite) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {nan, infinity, -infinity}) {
    std::vector<float> values(9000, 1.0F);
    values[8999] = bad;
    const Checkpoint checkpoint = read_checkpoint(file(zip_checkpoint(values)));
    CFP_EXPECT_REFUSED(float_data(checkpoint.tensors[0], "f"), "tensor 'a' of float32 holds");
    CFP_EXPECT_REFUSED(float_data(checkpoint.tensors[0], "f"), "at element 8999");
  }
  // A double beyond float32 becomes infinite.
  const double large = 1e39;
  StoredTensor tensor{.name = "d", .dtype = DType::kFloat64, .shape = {1}, .stride = {1}};
  tensor.data = {reinterpret_cast<const std::uint8_t*>(&large), sizeof large};
  CFP_EXPECT_REFUSED(float_data(tensor, "f"), "must be finite as float32");
}

}  // namespace
}  // namespace cfp::test
