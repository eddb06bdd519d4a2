#include "stages/core/errors.h"

namespace cfp {
namespace {

constexpr FailureReason kLastReason = FailureReason::kMemory;

}  // namespace

std::string_view to_string(FailureReason reason) {
  switch (reason) {
    case FailureReason::kMissing:
      return "missing";
    case FailureReason::kUnreadable:
      return "unreadable";
    case FailureReason::kEmpty:
      return "empty";
    case FailureReason::kNoVideoStream:
      return "no_video_stream";
    case FailureReason::kDecodeError:
      return "decode_error";
    case FailureReason::kTooShort:
      return "too_short";
    case FailureReason::kTimeout:
      return "timeout";
    case FailureReason::kNoLabel:
      return "no_label";
    case FailureReason::kDuplicate:
      return "duplicate";
    case FailureReason::kNotFinite:
      return "not_finite";
    case FailureReason::kTooSmall:
      return "too_small";
    case FailureReason::kMemory:
      return "memory";
  }
  throw std::logic_error("FailureReason out of range");
}

std::optional<FailureReason> failure_reason(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(kLastReason); ++i) {
    const auto reason = static_cast<FailureReason>(i);
    if (to_string(reason) == name) return reason;
  }
  return std::nullopt;
}

}  // namespace cfp
