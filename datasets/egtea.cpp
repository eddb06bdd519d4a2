#include "datasets/egtea.h"

#include <cmath>

#include <fmt/format.h>

#include "datasets/class_names.h"
#include "datasets/csv.h"
#include "stages/core/errors.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

constexpr double kFps = 24;
constexpr std::int64_t kMaxFrame = 100'000'000;

/// `-F006979` at the end of a name, taken off.
std::optional<std::int64_t> take_frame_field(std::string_view& name) {
  const std::size_t dash = name.rfind("-F");
  if (dash == std::string_view::npos) return std::nullopt;
  const auto frame = parse_integer(name.substr(dash + 2));
  if (!frame || *frame < 0 || *frame > kMaxFrame) return std::nullopt;
  name.remove_suffix(name.size() - dash);
  return frame;
}

/// `session-startms-endms`: the part of a clip's name that all releases agree on.
std::string without_frames(std::string_view stem) {
  std::string_view rest = stem;
  if (!take_frame_field(rest) || !take_frame_field(rest)) return {};
  return std::string(rest);
}

/// The session: what stands before the last two of the fields.
std::string session_of(std::string_view without_frames) {
  for (int field = 0; field < 2; ++field) {
    const std::size_t dash = without_frames.rfind('-');
    if (dash == std::string_view::npos || !parse_integer(without_frames.substr(dash + 1)))
      return {};
    without_frames.remove_suffix(without_frames.size() - dash);
  }
  return std::string(without_frames);
}

class Lines {
 public:
  Lines(const fs::path& path, const std::vector<LabelHead>& heads, double picture_fps)
      : lines_(path), heads_(heads), picture_fps_(picture_fps) {}

  bool next(AnnotatedClip& clip) {
    for (std::string line; lines_.next(line);) {
      const auto words = words_of(line);
      if (words.empty()) continue;
      if (words.size() < 4 || words.size() > 6) {
        lines_.fail(fmt::format("{} words; a clip, an action, a verb and 1 to 3 nouns are needed",
                                words.size()));
      }
      clip = read_names(words[0]);
      clip.labels = {label(words[1], 0), label(words[2], 1), label(words[3], 2)};
      for (std::size_t i = 4; i < words.size(); ++i) label(words[i], 2);
      return true;
    }
    return false;
  }

 private:
  AnnotatedClip read_names(std::string_view name) const {
    std::string_view rest = name;
    const auto last = take_frame_field(rest);
    const auto first = last ? take_frame_field(rest) : std::nullopt;
    const std::string session = first ? session_of(rest) : std::string();
    if (session.empty() || session.find('/') != std::string::npos || *first < 1 || *last < *first) {
      lines_.fail(
          fmt::format("'{}' is no clip; session-startms-endms-F<first>-F<last> is needed", name));
    }
    const std::string stem(name);
    return {.clip_id = stem,
            .names = {{.stem = stem, .short_stem = std::string(rest), .picture_fps = picture_fps_},
                      {.stem = session,
                       .start_s = static_cast<double>(*first - 1) / kFps,
                       .end_s = static_cast<double>(*last) / kFps,
                       .start_picture = picture_at(*first - 1),
                       .stop_picture = picture_at(*last),
                       .picture_fps = picture_fps_}},
            .usual_path = fmt::format("cropped_clips/{}/{}.mp4", session, stem),
            .group = session};
  }

  /// @return the number, from 1, of the first picture that is not earlier than the frame behind so
  ///         many of the video
  std::int64_t picture_at(std::int64_t frames) const {
    return 1 +
           static_cast<std::int64_t>(std::ceil(static_cast<double>(frames) * picture_fps_ / kFps));
  }

  int label(std::string_view word, std::size_t head) const {
    const auto number = parse_integer(word);
    const auto classes = static_cast<std::int64_t>(heads_[head].class_names.size());
    if (!number || *number < 1 || *number > classes) {
      lines_.fail(
          fmt::format("the {} is '{}'; 1 to {} are allowed", heads_[head].name, word, classes));
    }
    return static_cast<int>(*number) - 1;
  }

  LineReader lines_;
  const std::vector<LabelHead>& heads_;
  double picture_fps_;
};

std::string list_name(const std::string& split, int id) {
  return fmt::format("{}_split{}.txt", split, id);
}

}  // namespace

Annotation read_egtea(const DatasetOptions& options) {
  AnnotationFiles files(options);
  const std::string split = choose("split", options.split, {"test", "train"});
  const int id = checked_split_id(options.split_id);
  choose("head", options.head, {"action", "verb", "noun"});
  const auto classes = [&](const char* name) {
    return read_class_list(files.find_beside(
        {fmt::format("{}_idx.txt", name), fmt::format("action_annotation/{}_idx.txt", name)}));
  };
  const std::string list = list_name(split, id);
  std::vector<std::string> official;
  for (const char* part : {"test", "train"}) {
    for (int n = 1; n <= 3; ++n) official.push_back(list_name(part, n));
  }
  files.refuse_other_split(official, list);
  const fs::path path = files.find({list, "action_annotation/" + list});
  Annotation annotation{.source = fmt::format("egtea {} split {} ({})", split, id, path.string()),
                        .heads = {{"action", classes("action")},
                                  {"verb", classes("verb")},
                                  {"noun", classes("noun")}},
                        .group_word = "session",
                        .shorten = without_frames,
                        .short_word = "session and milliseconds"};
  Lines lines(path, annotation.heads, options.picture_fps.value_or(kFps));
  for (AnnotatedClip clip; lines.next(clip);) annotation.clips.push_back(std::move(clip));
  if (annotation.clips.empty()) throw ConfigError(fmt::format("{}: names no clip", path.string()));
  return annotation;
}

}  // namespace cfp
