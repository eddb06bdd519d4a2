#include "pipeline/config/scalars.h"

#include <gtest/gtest.h>

namespace cfp {
namespace {

TEST(Scalars, TakesOnlyTheTwoWordsForTruth) {
  EXPECT_EQ(scalar_to_boolean("true"), true);
  EXPECT_EQ(scalar_to_boolean("false"), false);
  for (const char* other : {"yes", "True", "on", "1", ""}) {
    EXPECT_EQ(scalar_to_boolean(other), std::nullopt) << other;
  }
}

TEST(Scalars, TakesWholeNumbersOnly) {
  EXPECT_EQ(scalar_to_integer("-17"), -17);
  EXPECT_EQ(scalar_to_integer("9223372036854775807"), 9223372036854775807);
  for (const char* other : {"9223372036854775808", "1.0", "0x10", "1 ", "+1", "one", ""}) {
    EXPECT_EQ(scalar_to_integer(other), std::nullopt) << other;
  }
}

TEST(Scalars, TakesFiniteNumbersOnly) {
  EXPECT_EQ(scalar_to_real("1e-3"), 1e-3);
  EXPECT_EQ(scalar_to_real("4"), 4.0);
  for (const char* other : {"nan", "inf", "-inf", "1e999", "0.5s", "1,5", ""}) {
    EXPECT_EQ(scalar_to_real(other), std::nullopt) << other;
  }
}

TEST(Scalars, KnowsTextFromBytes) {
  EXPECT_TRUE(is_clean_text("Zürich – 東京\n\ttab"));
  EXPECT_FALSE(is_clean_text(std::string_view("a\0b", 3)));
  EXPECT_FALSE(is_clean_text("\x1b[31m"));
  EXPECT_FALSE(is_clean_text("\xff"));
  EXPECT_FALSE(is_clean_text("\xc3"));
}

TEST(Scalars, SuggestsTheWordThatWasMeant) {
  const std::vector<std::string> words = {"clip_len", "frame_interval", "num_clips"};
  EXPECT_EQ(nearest_word("cilp_len", words), "clip_len");
  EXPECT_EQ(nearest_word("Frame_Interval", words), "frame_interval");
  EXPECT_EQ(nearest_word("num_clip", words), "num_clips");
  EXPECT_EQ(nearest_word("frame", words), "frame_interval");
  EXPECT_EQ(nearest_word("num", words), "");
  EXPECT_EQ(nearest_word("checkpoint", words), "");
  EXPECT_EQ(nearest_word(std::string(100'000, 'x'), words), "");
}

}  // namespace
}  // namespace cfp
