#include "pipeline/config/yaml_reader.h"

#include <chrono>
#include <fstream>
#include <random>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "tests/support/test_data.h"
#include "tests/unit/config/expect_error.h"

namespace cfp {
namespace {

using test::config_error_of;
using testing::HasSubstr;
using testing::StrEq;

ConfigTree read(const std::string& text) { return read_yaml_text(text, "c.yaml"); }

TEST(YamlReader, KeepsPositionsFromOne) {
  const ConfigTree tree = read("a: 1\nb:\n  c: [x, 'y']\n");
  const ConfigTree* list = tree.find_path("b.c");
  ASSERT_NE(list, nullptr);
  ASSERT_EQ(list->items.size(), 2u);
  EXPECT_EQ(list->items[1].where.to_string(), "c.yaml:3:10");
  EXPECT_TRUE(list->items[1].quoted);
  EXPECT_FALSE(list->items[0].quoted);
}

TEST(YamlReader, RefusesTheSameKeyTwice) {
  EXPECT_THAT(config_error_of([] { read("a: 1\nb: 2\na: 3\n"); }),
              StrEq("c.yaml:3:1: a: the same key twice; the first is at line 1"));
  EXPECT_THAT(config_error_of([] { read("s: {a: 1, a: 2}\n"); }), HasSubstr("c.yaml:1:11: a:"));
}

TEST(YamlReader, NamesTheLineOfASyntaxError) {
  EXPECT_THAT(config_error_of([] { read("a: 1\nb: [1, 2\nc: 3\n"); }),
              testing::ContainsRegex("c.yaml:[34]:[0-9]+: not valid YAML: "));
  EXPECT_THAT(config_error_of([] { read("a: 'open\n"); }),
              StrEq("c.yaml:1:4: not valid YAML: the closing quote is missing"));
  EXPECT_THAT(config_error_of([] { read("a: \"op'en\\\"\n"); }), HasSubstr("not valid YAML: "));
  EXPECT_THAT(config_error_of([] { read("a: &x 'it''s\n"); }), HasSubstr("not valid YAML: "));
  EXPECT_EQ(read("a: &x 'it''s'\n").find("a")->scalar, "it's");
}

TEST(YamlReader, PassesOverAByteOrderMark) {
  EXPECT_EQ(read("\xEF\xBB\xBF"
                 "a: 'x'\n")
                .find("a")
                ->scalar,
            "x");
}

TEST(YamlReader, RefusesWhatAConfigHasNoUseFor) {
  EXPECT_THAT(config_error_of([] { read("a: !!python/object:os.system x\n"); }),
              HasSubstr("a config has no tags"));
  EXPECT_THAT(config_error_of([] { read("a: 1\n---\nb: 2\n"); }),
              HasSubstr("more than one YAML document"));
  EXPECT_THAT(config_error_of([] { read("{a: 1}: 2\n"); }), HasSubstr("a key must be a word"));
  EXPECT_THAT(config_error_of([] { read("a: \"x\\0y\"\n"); }), HasSubstr("control character"));
  EXPECT_THAT(config_error_of([] { read(std::string("a: \xff\xfe\n")); }), HasSubstr("UTF-8"));
}

TEST(YamlReader, RefusesAnAliasOfItself) {
  EXPECT_THAT(config_error_of([] { read("a: &x [1, *x]\n"); }),
              HasSubstr("an alias inside the value that it names"));
}

TEST(YamlReader, ExpandsAliases) {
  const ConfigTree tree = read("a: &x {b: 1}\nc: *x\n");
  ASSERT_NE(tree.find_path("c.b"), nullptr);
  EXPECT_EQ(tree.find_path("c.b")->scalar, "1");
}

TEST(YamlReader, StopsABillionLaughs) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int level = 1; level < 10; ++level) {
    bomb += fmt::format("a{0}: &a{0} [", level);
    for (int i = 0; i < 10; ++i) bomb += fmt::format("{}*a{}", i ? ", " : "", level - 1);
    bomb += "]\n";
  }
  EXPECT_THAT(config_error_of([&] { read(bomb); }), HasSubstr("more than 200000 values"));
}

TEST(YamlReader, CountsLongTextsThatAliasesRepeat) {
  std::string bomb = "a: &a " + std::string(500'000, 'x') + "\nb: [";
  for (int i = 0; i < 10'000; ++i) bomb += "*a, ";
  EXPECT_THAT(config_error_of([&] { read(bomb + "]\n"); }), HasSubstr("more than 200000 values"));
}

TEST(YamlReader, BoundsNestingAndSize) {
  EXPECT_THAT(config_error_of([] { read("a: " + std::string(50'000, '[')); }),
              HasSubstr("nested deeper than 20"));
  EXPECT_THAT(config_error_of([] { read("a: " + std::string(2 << 20, 'x')); }),
              HasSubstr("a config has at most 1048576"));
  EXPECT_THAT(config_error_of([] { read_yaml_file("/dev/zero"); }), HasSubstr("at most 1048576"));
}

TEST(YamlReader, NamesAFileItCannotRead) {
  EXPECT_THAT(config_error_of([] { read_yaml_file("/no/such.yaml"); }),
              StrEq("/no/such.yaml: cannot open the config: No such file or directory"));
  EXPECT_THAT(config_error_of([] { read_yaml_file("/tmp"); }), HasSubstr("this is a folder"));
}

TEST(YamlReader, TakesOverrideValuesAsTheyStand) {
  EXPECT_EQ(read_override_value("/data/Goal_#_2: x").scalar, "/data/Goal_#_2: x");
  EXPECT_EQ(read_override_value("[a, 2]").items.size(), 2u);
  EXPECT_TRUE(read_override_value("null").is_null());
  EXPECT_TRUE(read_override_value("\"3\"").quoted);
}

// yaml-cpp's own loader is the reference: what we write as quoted text must mean the same to it.
TEST(YamlReader, WritesTextThatReadsBackAsItself) {
  for (const std::string text :
       {"plain", "",     "true", "3",      "1e5",       "null",      "~",
        "- x",   "a: b", "#x",   "ü 東京", "tab\there", "line\nend", "\"quoted\" \\ back",
        "{x}",   "[x]",  "*x",   "&x",     "!x",        " x ",       ".5",
        "0x1"}) {
    const std::string yaml = quote_yaml_text(text);
    EXPECT_EQ(YAML::Load("k: " + yaml)["k"].as<std::string>(), text) << yaml;
    const ConfigTree tree = read("k: " + yaml + "\n");
    EXPECT_EQ(tree.find("k")->kind, ConfigTree::Kind::kScalar) << yaml;
    EXPECT_EQ(tree.find("k")->scalar, text) << yaml;
  }
}

// Any bytes at all give a tree or a ConfigError, and soon; a crash or another exception fails.
TEST(YamlReader, SurvivesDamagedFiles) {
  const std::string good =
      "_base_: [a.yaml, b.yaml]\nname: &n x\ndataset: {type: folder, root: \"/a\\tb\"}\n"
      "list:\n  - *n\n  - 'single'\n  - |\n    block\n    text\n  - >-\n    folded\n? key\n: v\n";
  std::mt19937 random(7);
  const auto start = std::chrono::steady_clock::now();
  int read_well = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = good;
    for (int edits = 1 + static_cast<int>(random() % 4); edits > 0; --edits) {
      const std::size_t at = random() % text.size();
      constexpr std::string_view kSpecial = "[]{}:,&*!|>'\"%@`#?- \n\t";
      switch (random() % 3) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.insert(at, 1, kSpecial[random() % kSpecial.size()]);
          break;
        default:
          text.erase(at, 1 + random() % 5);
      }
      if (text.empty()) text = "x";
    }
    try {
      read(text);
      ++read_well;
    } catch (const ConfigError&) {
    }
  }
  EXPECT_GT(read_well, 1'000) << "the edits destroy every text, so little is tested";
  // 20,000 texts of 200 bytes take about a second; a minute means that one of them hung.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::minutes(1));
}

}  // namespace
}  // namespace cfp
