#include "stages/decode/picture_folder.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "stages/core/errors.h"
#include "stages/decode/folder_names.h"
#include "stages/decode/frame_converter.h"
#include "stages/decode/packet_index.h"
#include "stages/decode/picture_file.h"

namespace cfp {
namespace {

/// Times are quotients, exact but for rounding; far less than any frame lasts.
constexpr double kTick_s = 1e-6;
constexpr int kMaxDigits = 18;
constexpr double kMaxFps = 1e6;

[[noreturn]] void fail(FailureReason reason, const std::string& path, const std::string& why) {
  throw DataError(reason, fmt::format("{}: {}", path, why));
}

void check(const PictureSequence& sequence, const std::string& folder) {
  const auto cannot_be_in_a_name = [](const std::string& part) {
    return part.find('/') != std::string::npos || part.find('\0') != std::string::npos;
  };
  if (cannot_be_in_a_name(sequence.prefix) || cannot_be_in_a_name(sequence.suffix)) {
    fail(FailureReason::kUnreadable, folder, "the names of pictures have a slash or a zero byte");
  }
  if (sequence.digits < 0 || sequence.digits > kMaxDigits) {
    fail(FailureReason::kUnreadable, folder,
         fmt::format("numbers of pictures with {} digits; 0 to {} are allowed", sequence.digits,
                     kMaxDigits));
  }
  if (!(sequence.fps > 0 && sequence.fps <= kMaxFps)) {
    fail(FailureReason::kUnreadable, folder,
         fmt::format("{} pictures a second; it must be above 0 and at most {}", sequence.fps,
                     kMaxFps));
  }
}

/// @return the number in a name of the sequence; nothing for other names
std::optional<std::int64_t> number_in(std::string_view name, const PictureSequence& sequence) {
  if (name.size() <= sequence.prefix.size() + sequence.suffix.size()) return {};
  if (!name.starts_with(sequence.prefix) || !name.ends_with(sequence.suffix)) return {};
  const std::string_view digits = name.substr(
      sequence.prefix.size(), name.size() - sequence.prefix.size() - sequence.suffix.size());
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), number);
  if (error != std::errc() || end != digits.end() || digits[0] == '-') return {};
  // 0007 and 7 are different names; only one of them is the sequence's.
  if (picture_file_name(sequence, number) != name) return {};
  return number;
}

}  // namespace

PictureFolder::PictureFolder(const MediaSegment& segment, const DecodeLimits& limits)
    : folder_(segment.path),
      sequence_(segment.pictures.value()),
      limits_(limits),
      deadline_(limits.time_limit_s) {
  check(limits_);
  check_folder(folder_);
  check(sequence_, folder_);
  start_ = sequence_.start_number.value_or(sequence_.first_number);
  if (start_ < 0 || sequence_.first_number < 0) {
    fail(FailureReason::kUnreadable, folder_, "numbers of pictures below 0");
  }
  if (sequence_.stop_number && *sequence_.stop_number <= start_) {
    fail(FailureReason::kEmpty, folder_,
         fmt::format("no picture is meant: numbers from {} up to, not including, {}", start_,
                     *sequence_.stop_number));
  }
  stop_ = sequence_.stop_number.value_or(std::numeric_limits<std::int64_t>::max());
  std::error_code error;
  const bool has_last = sequence_.stop_number && sequence_.start_number &&
                        std::filesystem::exists(path_of(stop_ - 1), error);
  if (!has_last) limit_to_what_there_is(stop_);
  if (stop_ - start_ > kMaxPackets) {
    fail(FailureReason::kDecodeError, folder_, fmt::format("more than {} pictures", kMaxPackets));
  }
  for (std::int64_t number = start_; number < stop_; ++number) {
    times_s_.push_back(static_cast<double>(number - sequence_.first_number) / sequence_.fps);
  }
  end_s_ = static_cast<double>(stop_ - sequence_.first_number) / sequence_.fps;
}

/// Lists the folder; see Note [Which pictures a segment has].
void PictureFolder::limit_to_what_there_is(std::int64_t stop) {
  std::vector<std::int64_t> numbers;  // of the segment
  std::int64_t last = -1;             // of the whole folder
  for_each_name(folder_, [&](std::string_view name) {
    deadline_.check(folder_);
    const std::optional<std::int64_t> number = number_in(name, sequence_);
    if (!number) return;
    last = std::max(last, *number);
    if (*number < start_ || *number >= stop) return;
    if (static_cast<std::int64_t>(numbers.size()) == kMaxPackets) {
      fail(FailureReason::kDecodeError, folder_, fmt::format("more than {} pictures", kMaxPackets));
    }
    numbers.push_back(*number);
  });
  if (last < 0) {
    fail(FailureReason::kEmpty, folder_,
         fmt::format("there is no picture named like {}", picture_file_name(sequence_, start_)));
  }
  if (last < start_) {
    fail(FailureReason::kTooShort, folder_,
         fmt::format("the segment begins with picture {}; the last that there is has number {}",
                     start_, last));
  }
  stop_ = std::min(stop, last + 1);
  std::ranges::sort(numbers);
  std::int64_t expected = start_;
  for (const std::int64_t number : numbers) {
    if (number != expected) break;
    ++expected;
  }
  if (expected != stop_) {
    fail(FailureReason::kDecodeError, path_of(expected), "the picture is missing in its sequence");
  }
}

std::string PictureFolder::path_of(std::int64_t number) const {
  return folder_ + "/" + picture_file_name(sequence_, number);
}

std::string PictureFolder::picture_path(std::int64_t index) const {
  return path_of(start_ + index);
}

double PictureFolder::tick_s() const { return kTick_s; }

void PictureFolder::decode(std::span<const std::int64_t> wanted, const TakeFrame& take) {
  check_wanted(wanted, static_cast<std::int64_t>(times_s_.size()));
  FrameConverter converter({}, folder_, Chroma::kAsLibjpeg);
  std::int64_t width = 0;
  std::int64_t height = 0;
  for (const std::int64_t index : wanted) {
    deadline_.check(folder_);
    const std::string path = picture_path(index);
    const PictureFile file = read_picture(path, limits_);
    if (width == 0) {
      width = file.width;
      height = file.height;
    }
    if (file.width != width || file.height != height) {
      fail(FailureReason::kDecodeError, path,
           fmt::format("pictures change from {} x {} to {} x {} pixels", width, height, file.width,
                       file.height));
    }
    take(index, converter.convert(*decode_picture(file, path, limits_)));
  }
}

}  // namespace cfp
