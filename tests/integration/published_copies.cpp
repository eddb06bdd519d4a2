#include "tests/integration/published_copies.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "stages/decode/frame_source.h"

namespace cfp::test {
namespace fs = std::filesystem;

std::vector<int> numbers_of(const MediaSegment& media) {
  FrameSource source(media);
  std::vector<std::int64_t> wanted(source.frame_times_s().size());
  for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] = static_cast<std::int64_t>(i);
  std::vector<int> numbers(wanted.size(), -1);
  source.decode(wanted, [&](std::int64_t index, const Frames& frame) {
    numbers[static_cast<std::size_t>(index)] = coded_number(frame);
  });
  return numbers;
}

std::vector<int> counted(int first, int last) {
  std::vector<int> numbers;
  for (int n = first; n <= last; ++n) numbers.push_back(n);
  return numbers;
}

void write_clip(const fs::path& path, const CopiedClip& clip) {
  fs::create_directories(path.parent_path());
  SyntheticStream stream{.frames = kCopiedFrames, .first_number = clip.first_number};
  const std::string extension = path.extension().string();
  if (extension == ".webm") {
    stream.encoder = "libvpx";
    stream.pixel_format = "yuv420p";
  } else if (extension != ".avi" && extension != ".mkv") {
    stream.encoder = "mpeg4";
    stream.pixel_format = "yuv420p";
    stream.options = "qscale=2";
  }
  write_media(path, {stream});
}

void write_clip_pictures(const fs::path& folder, const CopiedClip& clip, const std::string& prefix,
                         int digits, int first_picture, const std::string& suffix) {
  const PictureSequence sequence{
      .prefix = prefix, .digits = digits, .suffix = suffix, .first_number = first_picture};
  write_pictures(folder, sequence, kCopiedFrames, 64, 48, clip.first_number);
}

std::string notes_of(const Manifest& manifest) {
  return fmt::format("{}", fmt::join(manifest.notes, "\n"));
}

}  // namespace cfp::test
