#include "datasets/database_json.h"

#include <array>
#include <fstream>
#include <unordered_set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "datasets/class_names.h"
#include "stages/core/errors.h"

namespace cfp {
namespace {

using Json = nlohmann::json;  // sorted keys: the ordered one takes quadratic time to read

// Kinetics-700 takes about 100 MB; far more than that is no annotation.
constexpr std::uintmax_t kMaxBytes = 1ULL << 30;
constexpr std::int64_t kMaxPicture = 1'000'000'000;

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& why) {
  throw ConfigError(fmt::format("{}: {}", path.string(), why));
}

/// Looks for names that stand twice in one object, of which the parser of values keeps one. A pass
/// of its own, since that parser takes quadratic time where it has to ask about each step.
class TwiceNamed : public nlohmann::json_sax<Json> {
 public:
  explicit TwiceNamed(const std::filesystem::path& path) : path_(path) {}

  bool start_object(std::size_t) override {
    if (depth_ < names_.size()) names_[depth_].clear();
    ++depth_;
    return true;
  }
  bool end_object() override {
    --depth_;
    return true;
  }
  bool key(string_t& name) override {
    if (depth_ <= names_.size() && !names_[depth_ - 1].insert(name).second) {
      fail(path_, fmt::format("'{}' stands twice in one object", name));
    }
    return true;
  }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }
  /// Stops; the parser of values says what is wrong.
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  const std::filesystem::path& path_;
  std::size_t depth_ = 0;                                 ///< objects that are open
  std::array<std::unordered_set<std::string>, 4> names_;  ///< file, database, clip, annotations
};

Json parse(const std::filesystem::path& path) {
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);
  if (error) fail(path, error.message());
  if (bytes > kMaxBytes)
    fail(path, fmt::format("has {} bytes; up to {} are read", bytes, kMaxBytes));
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(path, "cannot be opened for reading");
  try {
    TwiceNamed names(path);
    Json::sax_parse(file, &names);
    file.clear();
    file.seekg(0);
    return Json::parse(file);
  } catch (const Json::exception& problem) {
    fail(path, fmt::format("is no JSON: {}", problem.what()));
  }
}

const Json& member(const std::filesystem::path& path, const Json& object, const char* name,
                   Json::value_t type, const std::string& of) {
  const auto found = object.find(name);
  if (found == object.end() || found->type() != type) {
    fail(path, fmt::format("{} has no '{}' of type {}", of, name, Json(type).type_name()));
  }
  return *found;
}

std::vector<std::string> subset_names(const std::string& split) {
  if (split == "train") return {"training"};
  if (split == "val") return {"validation"};
  if (split == "test") return {"testing", "validation"};
  return {split};
}

/// Sets the pictures of a segment, where the clip has one.
void take_segment(const std::filesystem::path& path, const std::string& id, const Json& annotations,
                  MediaName& name) {
  const auto segment = annotations.find("segment");
  if (segment == annotations.end()) return;
  const bool is_pair = segment->is_array() && segment->size() == 2 &&
                       segment->at(0).is_number_integer() && segment->at(1).is_number_integer();
  const std::int64_t first = is_pair ? segment->at(0).get<std::int64_t>() : 0;
  const std::int64_t last = is_pair ? segment->at(1).get<std::int64_t>() : 0;
  if (first < 1 || last <= first || last > kMaxPicture) {
    fail(path, fmt::format("the segment of '{}' is {}; two integers, the first at least 1 and the "
                           "second above it, are needed",
                           id, segment->dump().substr(0, 60)));
  }
  name.start_picture = first;
  name.stop_picture = last;
}

/// Sets label and pictures, where the clip has them.
void take_annotations(const std::filesystem::path& path, const Json& entry, const ClassIndex& index,
                      AnnotatedClip& clip) {
  const std::string what = fmt::format("clip '{}'", clip.clip_id);
  const auto annotations = entry.find("annotations");
  if (annotations == entry.end() || annotations->is_null()) return;
  if (!annotations->is_object()) {
    fail(path, fmt::format("the annotations of {} are of type {}; one object is needed. A list of "
                           "them, as ActivityNet has it, gives segments in seconds, which are not "
                           "read",
                           what, annotations->type_name()));
  }
  take_segment(path, clip.clip_id, *annotations, clip.names[0]);
  if (!annotations->contains("label")) return;
  clip.group = member(path, *annotations, "label", Json::value_t::string, what);
  clip.labels[0] = index.find(clip.group);
  if (!clip.labels[0]) {
    fail(path, fmt::format("{}: '{}' is no class of `labels`{}", what, clip.group,
                           index.suggestion(clip.group)));
  }
}

}  // namespace

Annotation read_database_json(const std::filesystem::path& path, const std::string& split,
                              const std::string& class_names) {
  const Json json = parse(path);
  if (!json.is_object()) fail(path, "is no object with `labels` and `database`");
  const Json& database = member(path, json, "database", Json::value_t::object, "the file");
  Annotation annotation{.heads = {{"class", {}}}};
  std::vector<std::string>& names = annotation.heads[0].class_names;
  if (class_names.empty()) {
    for (const Json& label : member(path, json, "labels", Json::value_t::array, "the file")) {
      if (!label.is_string()) fail(path, "`labels` holds something that is no text");
      names.push_back(label.get<std::string>());
    }
  } else {
    names = read_class_list(class_names);
  }
  const ClassIndex index(names, path.string());

  for (const std::string& subset : subset_names(split)) {
    for (const auto& [id, entry] : database.items()) {
      const std::string what = fmt::format("clip '{}'", id);
      if (!entry.is_object()) fail(path, what + " is no object");
      if (member(path, entry, "subset", Json::value_t::string, what) != subset) continue;
      if (id.empty() || id.find('/') != std::string::npos) fail(path, what + " is no file name");
      AnnotatedClip clip{.clip_id = id, .names = {{.stem = id}}, .labels = {std::nullopt}};
      take_annotations(path, entry, index, clip);
      clip.usual_path = clip.group.empty() ? id : clip.group + "/" + id;
      annotation.clips.push_back(std::move(clip));
    }
    if (!annotation.clips.empty()) {
      annotation.source = fmt::format("{} {} ({})", path.stem().string(), subset, path.string());
      return annotation;
    }
  }
  fail(path, fmt::format("no clip is of split {}", split));
}

}  // namespace cfp
