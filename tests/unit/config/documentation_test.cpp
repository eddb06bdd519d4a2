#include "pipeline/config/documentation.h"

#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "pipeline/config/schema.h"
#include "tests/unit/config/expect_error.h"

namespace cfp {
namespace {

TEST(Documentation, PageInTheRepositoryIsWhatTheSchemaSays) {
  std::ifstream file(CFP_SOURCE_DIR "/docs/configuration.md");
  std::stringstream page;
  page << file.rdbuf();
  EXPECT_EQ(page.str(), config_reference_markdown())
      << "write it anew: cfp config --docs > docs/configuration.md";
}

TEST(Documentation, PageNamesEveryKey) {
  const std::string page = config_reference_markdown();
  for (const KeySpec& key : config_schema()) {
    EXPECT_THAT(page, testing::HasSubstr("| `" + key.path + "` |"));
  }
}

TEST(Documentation, JsonSchemaHasEveryKeyWithItsRange) {
  const auto schema = nlohmann::json::parse(config_json_schema());
  EXPECT_EQ(schema["additionalProperties"], false);
  for (const KeySpec& key : config_schema()) {
    const std::string section(section_name(key.path)), leaf(leaf_name(key.path));
    const auto& keys =
        section.empty() ? schema["properties"] : schema["properties"][section]["properties"];
    ASSERT_TRUE(keys.contains(leaf)) << key.path;
  }
  const auto& clip_len = schema["properties"]["sampling"]["properties"]["clip_len"];
  EXPECT_EQ(clip_len["default"], 16);
  EXPECT_EQ(clip_len["anyOf"][0]["type"], "integer");
  EXPECT_EQ(clip_len["anyOf"][0]["minimum"], 1);
  EXPECT_EQ(clip_len["anyOf"][0]["maximum"], 4096);
}

}  // namespace
}  // namespace cfp
