#include <ostream>
#include <set>

#include "pipeline/config/loader.h"
#include "pipeline/config/validator.h"
#include "pipeline/config/yaml_reader.h"
#include "tests/unit/config/expect_error.h"

namespace cfp {
namespace {

TEST(Schema, HasEachKeyOnceInAKnownSection) {
  std::set<std::string> paths, sections;
  for (const SectionSpec& section : config_sections()) sections.insert(section.name);
  for (const KeySpec& key : config_schema()) {
    EXPECT_TRUE(paths.insert(key.path).second) << key.path;
    EXPECT_TRUE(sections.count(std::string(section_name(key.path)))) << key.path;
    EXPECT_FALSE(key.meaning.empty()) << key.path;
    EXPECT_EQ(key.meaning.back(), '.') << key.path;
    EXPECT_FALSE(describe_accepted(key).empty()) << key.path;
  }
}

TEST(Schema, AcceptsItsOwnDefaults) {
  for (const KeySpec& key : config_schema()) {
    if (key.required) continue;
    const ConfigTree value = read_yaml_text(key.default_yaml, "default");
    EXPECT_EQ(why_not_accepted(key, value), "") << key.path;
  }
}

/// A value of a key, and what is said about it; empty: nothing.
struct ValueCase {
  const char* path;
  const char* yaml;
  const char* reason;
};

void PrintTo(const ValueCase& c, std::ostream* out) { *out << c.path << ": " << c.yaml; }

class SchemaValue : public testing::TestWithParam<ValueCase> {};

TEST_P(SchemaValue, IsAcceptedOrRefusedWithTheReason) {
  const KeySpec* key = find_key(GetParam().path);
  ASSERT_NE(key, nullptr);
  EXPECT_EQ(why_not_accepted(*key, read_yaml_text(GetParam().yaml, "c.yaml")), GetParam().reason);
}

INSTANTIATE_TEST_SUITE_P(
    Values, SchemaValue,
    testing::Values(
        ValueCase{"sampling.clip_len", "32", ""},
        ValueCase{"sampling.clip_len", "0", "expected integer from 1 to 4096; got '0'"},
        ValueCase{"sampling.clip_len", "16.0", "expected integer from 1 to 4096; got '16.0'"},
        ValueCase{"sampling.clip_len", "'16'", "expected integer from 1 to 4096; got '16'"},
        ValueCase{"sampling.clip_len", "[16]", "expected integer from 1 to 4096; got a list of 1"},
        ValueCase{"sampling.clip_len", "{a: 1}",
                  "expected integer from 1 to 4096; got keys below it"},
        ValueCase{"sampling.policy", "centre",
                  "expected center | uniform | dense; got 'centre' (did you mean 'center'?)"},
        ValueCase{"explain.margin", "yes", "expected true or false; got 'yes'"},
        ValueCase{"explain.threshold", "1", ""},
        ValueCase{"explain.threshold", "-0.1", "expected number from 0 to 1; got '-0.1'"},
        ValueCase{"explain.target", "air drumming", ""}, ValueCase{"explain.target", "7", ""},
        ValueCase{
            "explain.target", "-7",
            "expected label | prediction | top_k, or text or integer from 0 to 100000; got '-7'"},
        ValueCase{"explain.depth", "all", ""}, ValueCase{"explain.depth", "[layer4.2.conv3]", ""},
        ValueCase{"explain.depth", "al",
                  "expected all, or integer from 1 to 10000, or list of words; got 'al' (did you "
                  "mean 'all'?)"},
        ValueCase{"preprocess.std", "[1, 1, 0]",
                  "expected list of 3 numbers above 0 up to 1000; got '0' in it"},
        ValueCase{"preprocess.std", "[1, 1]", "expected 3 to 3 entries, got 2"},
        ValueCase{
            "dataset.type", "null",
            "needs a value: folder | list | manifest | moving_shapes | kinetics400 | kinetics600 | "
            "kinetics700 | ucf101 | hmdb51 | epic55 | epic100 | egtea"},
        ValueCase{"dataset.max_failures", "3", ""}, ValueCase{"dataset.max_failures", "0.05", ""},
        ValueCase{"runtime.decode_workers", "auto", ""},
        ValueCase{"runtime.clip_timeout_s", "0", "expected number above 0 up to 86400; got '0'"}));

}  // namespace
}  // namespace cfp
