#include "results/report/file_name.h"

#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cfp {
namespace {

using testing::MatchesRegex;

TEST(SafeFileName, KeepsWhatIsPlain) {
  EXPECT_EQ(safe_file_name("layer4.2.conv3"), "layer4.2.conv3");
  EXPECT_EQ(safe_file_name("rotate/0003_a-b.mp4"), "rotate+0003_a-b.mp4");
}

TEST(SafeFileName, LeavesNoWayOutOfTheFolder) {
  using namespace std::string_literals;
  const std::string hostile[] = {"",
                                 ".",
                                 "..",
                                 "../../etc/passwd",
                                 "/etc/passwd",
                                 "a\0b"s,
                                 "a\nb",
                                 "a\\..\\b",
                                 "~",
                                 "-",
                                 "a b",
                                 "<&\"'>",
                                 "\xFF\xFE",
                                 "日本",
                                 ".hidden",
                                 "a+b",
                                 "a//b",
                                 "C:\\x",
                                 "$(reboot)",
                                 "x\x1B[31mred"};
  std::set<std::string> names;
  for (const std::string& text : hostile) {
    const std::string name = safe_file_name(text);
    EXPECT_THAT(name, MatchesRegex("[-A-Za-z0-9_][-A-Za-z0-9._+]*")) << text;
    EXPECT_TRUE(names.insert(name).second) << text << " and another one are called " << name;
  }
}

TEST(SafeFileName, CutsLongTextsAndKeepsThemApart) {
  const std::string a = safe_file_name(std::string(5000, 'a') + "1");
  const std::string b = safe_file_name(std::string(5000, 'a') + "2");
  EXPECT_LT(a.size(), 120U);
  EXPECT_NE(a, b);
  EXPECT_EQ(a, safe_file_name(std::string(5000, 'a') + "1"));
}

}  // namespace
}  // namespace cfp
