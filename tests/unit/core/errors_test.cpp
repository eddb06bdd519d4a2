#include "stages/core/errors.h"

#include <set>

#include <gtest/gtest.h>

namespace cfp {
namespace {

TEST(FailureReason, HasANameOfItsOwnThatLeadsBack) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(FailureReason::kTooSmall); ++i) {
    const auto reason = static_cast<FailureReason>(i);
    EXPECT_TRUE(names.insert(to_string(reason)).second) << to_string(reason);
    EXPECT_EQ(failure_reason(to_string(reason)), reason) << to_string(reason);
  }
}

TEST(FailureReason, KnowsNoOtherName) {
  EXPECT_EQ(failure_reason(""), std::nullopt);
  EXPECT_EQ(failure_reason("Missing"), std::nullopt);
  EXPECT_EQ(failure_reason("missing "), std::nullopt);
}

}  // namespace
}  // namespace cfp
