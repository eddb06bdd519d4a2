#include "stages/network/checkpoint/safetensors.h"

#include <cstring>

#include <gtest/gtest.h>

#include "stages/network/checkpoint/json_cursor.h"
#include "tests/support/test_data.h"
#include "tests/unit/checkpoint/support.h"

namespace cfp::test {
using namespace std::string_literals;
namespace {

Bytes file_of(std::string_view header, std::string_view data) {
  return little(std::uint64_t{header.size()}) + std::string(header) + std::string(data);
}

Checkpoint parse(const Bytes& bytes) {
  return parse_safetensors(view_of(bytes), nullptr, "file.safetensors");
}

WeightTensor weight(std::vector<std::int64_t> shape, std::vector<float> values) {
  const auto owner = std::make_shared<std::vector<float>>(std::move(values));
  return {std::move(shape), std::shared_ptr<const float>(owner, owner->data())};
}

TEST(Safetensors, AreReadInTheOrderOfTheData) {
  const Bytes bytes = file_of(R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},
    "a":{"data_offsets":[0,4],"dtype":"F32","shape":[]},"none":{"dtype":"I16","shape":[0,9],
    "data_offsets":[6,6]},"__metadata__":{"k":"\u00e4\ud83d\ude00\"\\\n"}} )",
                              "\0\0\x80\x3f\x07\x08"s);
  const Checkpoint checkpoint = parse(bytes);
  EXPECT_EQ(checkpoint.format, "safetensors");
  ASSERT_EQ(checkpoint.tensors.size(), 3U);
  EXPECT_EQ(checkpoint.tensors[0].name, "a");
  EXPECT_EQ(*float_data(checkpoint.tensors[0], ""), 1.0F);
  EXPECT_EQ(float_data(checkpoint.tensors[1], "").get()[1], 8.0F);
  EXPECT_EQ(checkpoint.tensors[2].elements(), 0);
  EXPECT_EQ(checkpoint.metadata.at("k"), "\xC3\xA4\xF0\x9F\x98\x80\"\\\n");
}

TEST(Safetensors, AreRefusedWithTheReason) {
  const auto refused = [](std::string_view header, std::string_view data, const char* why) {
    SCOPED_TRACE(header);
    CFP_EXPECT_REFUSED(parse(file_of(header, data)), why);
  };
  const std::string_view a = R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})";
  refused(a, "x", "truncated");
  refused(a, "xyz", "1 bytes follow the last tensor");
  refused("{}", "", "without tensors");
  refused("[]", "", "'{' expected");
  refused("{", "", "expected");
  refused(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}} x)", "xy", "follows its end");
  refused(R"({"a":{"dtype":"F8","shape":[2],"data_offsets":[0,2]}})", "xy", "type 'F8'");
  refused(R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,2]}})", "xy", "needs 3");
  refused(R"({"a":{"dtype":"U8","shape":[-2],"data_offsets":[0,2]}})", "xy", "negative");
  refused(R"({"a":{"dtype":"U8","shape":[2.5],"data_offsets":[0,2]}})", "xy", "fraction");
  refused(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}})", "xy", "before it begins");
  refused(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0]}})", "xy", "lacks");
  refused(R"({"a":{"dtype":"U8","data_offsets":[0,2]}})", "xy", "lacks");
  refused(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"z":1}})", "xy", "unknown entry");
  refused(R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,2]}})", "xy",
          "more than 8");
  refused(R"({"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,2]}})", "xy",
          "counted");
  refused(R"({"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,2]}})", "xy",
          "64 bits");
  const std::string two = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)";
  refused(two + R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "xy",
          "'a' is there twice");
  refused(two + R"("b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "xy", "overlap");
  refused(two + R"("b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})", "xyz", "hole");
  CFP_EXPECT_REFUSED(parse(little(std::uint64_t{1} << 40) + "{}"), "more than the format's");
  CFP_EXPECT_REFUSED(parse(little(std::uint64_t{999}) + "{}"), "truncated");
  CFP_EXPECT_REFUSED(parse("{}"), "header's length");
}

TEST(Safetensors, ReadBackAsTheyWereWritten) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.safetensors";
  const std::vector<NamedWeight> weights{{"z", weight({2, 2}, {1, -2, 0.1F, 1e-40F})},
                                         {"a \"b\"", weight({1}, {3})}};
  write_safetensors(path, weights, {{"k", "v\n\x01"}});
  const Checkpoint checkpoint = read_checkpoint(path);
  ASSERT_EQ(checkpoint.tensors.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(checkpoint.tensors[i].name, weights[i].name);
    EXPECT_EQ(checkpoint.tensors[i].shape, weights[i].tensor.shape);
    const auto values = float_data(checkpoint.tensors[i], path);
    EXPECT_EQ(std::memcmp(values.get(), weights[i].tensor.data.get(),
                          static_cast<std::size_t>(weights[i].tensor.elements()) * 4),
              0);
    // Aligned float32 is used where it lies.
    EXPECT_EQ(reinterpret_cast<const std::uint8_t*>(values.get()),
              checkpoint.tensors[i].data.data());
  }
  EXPECT_EQ(checkpoint.metadata.at("k"), "v\n\x01");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(Safetensors, AreReadByPythonAsTheyWereWritten) {
  if (std::system("python3 --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no python3";
  const TemporaryFolder folder;
  const std::string path = folder / "a.safetensors";
  write_safetensors(path,
                    std::vector<NamedWeight>{{"first", weight({2, 1, 2}, {1, -2, 0.1F, 1e-40F})},
                                             {"second", weight({3}, {3, 4, 5})}},
                    {{"architecture", "i3d"}, {"note", "a \"b\" \\ c"}});
  const std::string dump = make_checkpoints("python3", "dump", path);
  EXPECT_THAT(dump,
              testing::HasSubstr("metadata\tarchitecture\ti3d\nmetadata\tnote\ta \"b\" \\ c\n"));
  expect_tensors(read_checkpoint(path), parse_expected(dump));
  EXPECT_EQ(parse_expected(dump).size(), 2U);
}

TEST(Safetensors, SayThatTheyCannotBeWritten) {
  CFP_EXPECT_REFUSED(write_safetensors("/no/such/folder/a.safetensors", {}, {}), "/no/such/folder");
}

TEST(JsonCursor, RefusesBadTexts) {
  const auto text_of = [](std::string_view json) { return JsonCursor(json, "x").string(); };
  EXPECT_EQ(text_of(R"("\/\b\f\r\t")"), "/\b\f\r\t");
  for (const char* bad : {"\"", "\"\\", "\"\\q\"", "\"\\u12\"", "\"\\u12x4\"", "\"\\ud800\"",
                          "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\n\""}) {
    SCOPED_TRACE(bad);
    CFP_EXPECT_REFUSED(text_of(bad), "x is refused");
  }
  CFP_EXPECT_REFUSED(JsonCursor("tru", "x").boolean(), "true or false");
}

}  // namespace
}  // namespace cfp::test
