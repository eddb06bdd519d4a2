// Small copies of the published data sets: official names and annotation forms, generated videos.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "tests/support/synthetic_video.h"

namespace cfp::test {

/// A clip of a copy: what its file is called, and the numbers that its frames show.
struct CopiedClip {
  std::string clip_id;
  std::string class_name;  ///< empty: unlabelled
  std::string stem;        ///< of its file in the copies
  int first_number = 0;    ///< shown by its first frame; the others count on
};

/// Frames of each trimmed clip.
inline constexpr int kCopiedFrames = 12;

/// The frames of a row as the numbers that they show, decoded as a run would.
std::vector<int> numbers_of(const MediaSegment& media);

/// first, first + 1, …, last.
std::vector<int> counted(int first, int last);

/// Writes the trimmed clip as a video; the extension says which container.
void write_clip(const std::filesystem::path& path, const CopiedClip& clip);

/// Writes it as pictures with these names.
void write_clip_pictures(const std::filesystem::path& folder, const CopiedClip& clip,
                         const std::string& prefix, int digits, int first_picture,
                         const std::string& suffix = ".jpg");

/// The notes of a manifest, a line each.
std::string notes_of(const Manifest& manifest);

}  // namespace cfp::test
