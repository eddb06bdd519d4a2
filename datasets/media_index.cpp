#include "datasets/media_index.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include "datasets/class_names.h"
#include "datasets/csv.h"
#include "datasets/media_files.h"
#include "stages/core/errors.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

/// Something on disk that may be a clip, or hold one.
struct Medium {
  enum class Kind { kVideo, kPieces, kPictures, kFileLikeFolder };

  std::string path;  ///< relative to the root
  Kind kind = Kind::kVideo;
  const PictureSequence* pictures = nullptr;  ///< for kPictures
  bool is_used = false;                       ///< some clip lies in it
};

/// The last part of a path, without the extension of a video.
std::string stem_of(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  return has_media_extension(name) ? name.substr(0, name.rfind('.')) : name;
}

/// Media that may be a clip.
struct Candidates {
  std::vector<std::size_t> media;
  bool by_short_name = false;  ///< their full names are not the clip's
};

/// All media of a tree by stem.
class MediaIndex {
 public:
  MediaIndex(const fs::path& root, const Annotation& annotation, MediaKind wanted)
      : root_(root), annotation_(annotation), tree_(find_media(root)) {
    if (wanted != MediaKind::kPictures) {
      for (const std::string& file : tree_.files) add({file, Medium::Kind::kVideo});
      for (const std::string& folder : tree_.piece_folders) add({folder, Medium::Kind::kPieces});
    }
    if (wanted != MediaKind::kVideo) {
      for (const FoundPictures& folder : tree_.picture_folders) {
        add({folder.path, Medium::Kind::kPictures, &folder.pictures});
      }
    }
    for (const std::string& folder : tree_.file_like_folders) {
      add({folder, Medium::Kind::kFileLikeFolder});
    }
    for (std::size_t i = 0; i < media_.size(); ++i)
      by_stem_[key(stem_of(media_[i].path))].push_back(i);
    note_full_matches();
    if (annotation_.shorten != nullptr) {
      for (std::size_t i = 0; i < media_.size(); ++i) {
        if (has_full_match_[i]) continue;
        const std::string name = annotation_.shorten(stem_of(media_[i].path));
        if (!name.empty()) by_short_stem_[key(name)].push_back(i);
      }
    }
  }

  /// @return the media of a name, best kind alone; none where there are none
  Candidates find(const MediaName& name) const {
    if (const auto full = by_stem_.find(key(name.stem)); full != by_stem_.end()) {
      return {.media = best(full->second)};
    }
    const auto found =
        name.short_stem.empty() ? by_short_stem_.end() : by_short_stem_.find(key(name.short_stem));
    if (found == by_short_stem_.end()) return {};
    std::vector<std::size_t> fitting = found->second;
    if (annotation_.fits != nullptr) {
      std::erase_if(fitting, [&](std::size_t i) {
        return !annotation_.fits(stem_of(media_[i].path), name.stem);
      });
    }
    if (fitting.empty()) return {};
    return {.media = best(fitting), .by_short_name = true};
  }

  Medium& at(std::size_t index) { return media_[index]; }
  const std::vector<Medium>& media() const { return media_; }
  const MediaTree& tree() const { return tree_; }

 private:
  void add(Medium medium) { media_.push_back(std::move(medium)); }

  std::string key(std::string_view stem) const {
    return annotation_.ignores_case ? ascii_lower(stem) : std::string(stem);
  }

  void note_full_matches() {
    has_full_match_.assign(media_.size(), false);
    for (const AnnotatedClip& clip : annotation_.clips) {
      for (const MediaName& name : clip.names) {
        const auto found = by_stem_.find(key(name.stem));
        if (found == by_stem_.end()) continue;
        for (const std::size_t i : found->second) has_full_match_[i] = true;
      }
    }
  }

  /// Videos before pieces before pictures; of each file one path; replacements before the rest.
  std::vector<std::size_t> best(const std::vector<std::size_t>& all) const {
    const auto kind_of = [&](std::size_t i) { return media_[i].kind; };
    const Medium::Kind kind = kind_of(*std::ranges::min_element(all, {}, kind_of));
    std::vector<std::size_t> kept;
    std::ranges::copy_if(all, std::back_inserter(kept),
                         [&](std::size_t i) { return kind_of(i) == kind; });
    if (kept.size() > 1) drop_links(kept);
    if (kept.size() > 1) prefer_replacements(kept);
    return kept;
  }

  void drop_links(std::vector<std::size_t>& kept) const {
    std::set<std::pair<dev_t, ino_t>> seen;
    std::erase_if(kept, [&](std::size_t i) {
      struct stat status {};
      if (stat((root_ / media_[i].path).c_str(), &status) != 0) return false;
      return !seen.emplace(status.st_dev, status.st_ino).second;
    });
  }

  /// Whether it lies in a folder `replacement*` or `*_ext`, as the CVDF calls those of better
  /// files.
  static bool is_replacement(const std::string& path) {
    for (std::size_t begin = 0, slash; (slash = path.find('/', begin)) != std::string::npos;
         begin = slash + 1) {
      const std::string_view folder = std::string_view(path).substr(begin, slash - begin);
      if (folder.starts_with("replacement") || folder.ends_with("_ext")) return true;
    }
    return false;
  }

  void prefer_replacements(std::vector<std::size_t>& kept) const {
    const auto is_better = [&](std::size_t i) { return is_replacement(media_[i].path); };
    if (std::ranges::count_if(kept, is_better) != 1) return;
    std::erase_if(kept, [&](std::size_t i) { return !is_better(i); });
  }

  fs::path root_;
  const Annotation& annotation_;
  MediaTree tree_;
  std::vector<Medium> media_;
  std::vector<bool> has_full_match_;  ///< by medium: some clip has its full stem
  std::unordered_map<std::string, std::vector<std::size_t>> by_stem_, by_short_stem_;
};

/// Rows made one by one, and the account of what was found.
class Finder {
 public:
  Finder(const Annotation& annotation, const DatasetOptions& options)
      : annotation_(annotation),
        options_(options),
        root_(options.data_root),
        index_(root_, annotation, options.media) {}

  Manifest run() {
    Manifest manifest;
    const bool has_several = annotation_.heads.size() > 1;
    if (has_several) manifest.heads = annotation_.heads;
    const std::size_t head = head_in_use();
    manifest.class_names = annotation_.heads[head].class_names;
    manifest.rows.reserve(annotation_.clips.size());
    for (const AnnotatedClip& clip : annotation_.clips) {
      ManifestRow& row = manifest.rows.emplace_back();
      row.row = static_cast<std::int64_t>(manifest.rows.size()) - 1;
      if (has_several) row.labels = clip.labels;
      row.label = clip.labels[head];
      place(clip, row);
      name(clip, row);
    }
    fail_shared(manifest);
    manifest.provenance =
        fmt::format("{}: {} clips, {} found, {} missing, {} with several files", annotation_.source,
                    manifest.rows.size(), matched_, missing_, duplicates_);
    if (shared_ > 0) manifest.provenance += fmt::format(", {} with the file of another", shared_);
    manifest.notes = notes();
    return manifest;
  }

 private:
  std::size_t head_in_use() const {
    for (std::size_t i = 0; i < annotation_.heads.size(); ++i) {
      if (annotation_.heads[i].name == options_.head) return i;
    }
    return 0;
  }

  void place(const AnnotatedClip& clip, ManifestRow& row) {
    for (const MediaName& name : clip.names) {
      const Candidates found = index_.find(name);
      if (found.media.empty()) continue;
      for (const std::size_t i : found.media) index_.at(i).is_used = true;
      const Medium& medium = index_.at(found.media.front());
      row.media = segment(name, medium);
      ++layouts_[layout(clip, medium, row.media)];
      if (found.media.size() > 1) {
        fail_ambiguous(found.media, row);
      } else {
        ++matched_;
        if (found.by_short_name) by_short_name_[found.media.front()].push_back(row.row);
      }
      return;
    }
    ++missing_;
    row.media.path = (root_ / clip.usual_path).string();
    row.problem = {FailureReason::kMissing,
                   fmt::format("{}: no such file, and nothing else below {} is called {}",
                               row.media.path, root_.string(), clip.names.front().stem)};
  }

  MediaSegment segment(const MediaName& name, const Medium& medium) const {
    MediaSegment media{.path = (root_ / medium.path).string()};
    media.in_pieces = medium.kind == Medium::Kind::kPieces;
    if (medium.kind != Medium::Kind::kPictures) {
      media.start_s = name.start_s;
      media.end_s = name.end_s;
      return media;
    }
    PictureSequence pictures = *medium.pictures;
    pictures.fps = options_.picture_fps.value_or(name.picture_fps);
    if (name.start_picture) {
      // The publisher counts from 1; somebody's own folder may count from 0.
      pictures.first_number = std::min<std::int64_t>(pictures.first_number, 1);
      const std::int64_t shift = pictures.first_number - 1;
      pictures.start_number = *name.start_picture + shift;
      pictures.stop_number = *name.stop_picture + shift;
    } else {
      cut_by_time(name.start_s, name.end_s, pictures);
    }
    media.pictures = pictures;
    return media;
  }

  void fail_ambiguous(const std::vector<std::size_t>& found, ManifestRow& row) {
    constexpr std::size_t kMostNamed = 3;
    std::vector<std::string> paths;
    for (const std::size_t i : found) {
      if (paths.size() < kMostNamed) paths.push_back(index_.media()[i].path);
    }
    ++duplicates_;
    row.problem = {FailureReason::kDuplicate,
                   fmt::format("{}: {} files below {} may be this clip: {}{}", row.media.path,
                               found.size(), root_.string(), fmt::join(paths, ", "),
                               found.size() > kMostNamed ? ", …" : "")};
  }

  /// Fails the rows that would have one file by its short name: it can be the clip of one alone.
  void fail_shared(Manifest& manifest) {
    for (const auto& [medium, rows] : by_short_name_) {
      const std::string& first = annotation_.clips[static_cast<std::size_t>(rows.front())].clip_id;
      const auto other = std::ranges::find_if(rows, [&](std::int64_t row) {
        return annotation_.clips[static_cast<std::size_t>(row)].clip_id != first;
      });
      const auto count = static_cast<std::int64_t>(rows.size());
      if (other == rows.end()) {
        by_short_name_rows_ += count;
        continue;
      }
      matched_ -= count;
      shared_ += count;
      for (const std::int64_t row : rows) {
        ManifestRow& shared = manifest.rows[static_cast<std::size_t>(row)];
        shared.problem = {
            FailureReason::kDuplicate,
            fmt::format("{}: by the {} alone this would be {} clips, {} and {} among them",
                        shared.media.path, annotation_.short_word, count, first,
                        annotation_.clips[static_cast<std::size_t>(*other)].clip_id)};
      }
    }
  }

  /// Gives the row an id of its own, and the reference files of its clip.
  void name(const AnnotatedClip& clip, ManifestRow& row) {
    row.clip_id = clip.clip_id;
    if (ids_.insert(row.clip_id).second) return;
    for (int n = 2; !ids_.insert(row.clip_id).second; ++n) {
      row.clip_id = fmt::format("{} #{}", clip.clip_id, n);
    }
    ++repeated_;
    const bool is_missing = row.problem && row.problem->reason == FailureReason::kMissing;
    if (is_missing) --missing_;
    if (!row.problem || is_missing) {
      row.problem = {
          FailureReason::kDuplicate,
          fmt::format("{}: the annotation names this clip more than once", clip.clip_id)};
    }
  }

  /// `train/<class>/<clip>.mp4`: a path with what differs from clip to clip left out.
  std::string layout(const AnnotatedClip& clip, const Medium& medium,
                     const MediaSegment& media) const {
    const std::string group = normalise_class_name(clip.group);
    std::string text;
    for (std::size_t begin = 0; begin <= medium.path.size();) {
      const std::size_t end = std::min(medium.path.find('/', begin), medium.path.size());
      const std::string part = medium.path.substr(begin, end - begin);
      const bool is_last = end == medium.path.size();
      if (begin > 0) text += '/';
      text += is_last ? "<clip>" + ending(part, medium, media)
              : !group.empty() && normalise_class_name(part) == group
                  ? "<" + annotation_.group_word + ">"
                  : part;
      begin = end + 1;
    }
    return text;
  }

  static std::string ending(const std::string& name, const Medium& medium,
                            const MediaSegment& media) {
    if (medium.kind == Medium::Kind::kPictures) {
      PictureSequence pictures = *medium.pictures;
      pictures.fps = media.pictures->fps;
      return fmt::format("/{}", picture_names_text(pictures));
    }
    const std::string extension = fs::path(name).extension().string();
    return medium.kind == Medium::Kind::kVideo ? extension : extension + "/";
  }

  std::vector<std::string> notes() const {
    constexpr std::size_t kMostLayouts = 5;
    std::vector<std::pair<std::int64_t, std::string>> layouts;
    for (const auto& [layout, count] : layouts_) layouts.emplace_back(-count, layout);
    std::ranges::sort(layouts);
    std::vector<std::string> lines;
    for (const auto& [count, layout] : layouts) {
      if (lines.size() == kMostLayouts) break;
      lines.push_back(fmt::format("layout      {} x {}", -count, layout));
    }
    if (layouts.size() > kMostLayouts) {
      lines.push_back(fmt::format("layout      and {} more", layouts.size() - kMostLayouts));
    }
    lines.push_back(fmt::format("matched     {}", matched_));
    if (by_short_name_rows_ > 0) {
      lines.push_back(fmt::format("            {} by the {} alone", by_short_name_rows_,
                                  annotation_.short_word));
    }
    if (shared_ > 0) {
      lines.push_back(fmt::format("            {} clips would share a file by the {} alone",
                                  shared_, annotation_.short_word));
    }
    lines.push_back(fmt::format("missing     {}", missing_));
    lines.push_back(
        fmt::format("duplicate   {} with several files, {} named twice", duplicates_, repeated_));
    const auto extra = std::ranges::count(index_.media(), false, &Medium::is_used);
    lines.push_back(fmt::format("extra       {} videos or folders that no clip is in", extra));
    const MediaTree& tree = index_.tree();
    lines.push_back(fmt::format("other       {} files of other kinds", tree.other_files));
    if (tree.archives > 0) {
      lines.push_back(
          fmt::format("packed      {} archives (.tar, .zip, .hdf5, …), which are not "
                      "opened: unpack what holds frames",
                      tree.archives));
    }
    for (const std::string& folder : tree.unreadable_folders) {
      lines.push_back("unreadable  " + folder);
    }
    return lines;
  }

  const Annotation& annotation_;
  const DatasetOptions& options_;
  fs::path root_;
  MediaIndex index_;
  std::unordered_set<std::string> ids_;
  std::map<std::string, std::int64_t> layouts_;
  std::map<std::size_t, std::vector<std::int64_t>> by_short_name_;  ///< rows by medium
  std::int64_t matched_ = 0, missing_ = 0, duplicates_ = 0, repeated_ = 0;
  std::int64_t by_short_name_rows_ = 0, shared_ = 0;
};

/// @return the number of the first picture at or after a time
std::int64_t picture_from(double seconds, const PictureSequence& pictures) {
  constexpr double kRounding = 1e-6;  // of a picture: 0.28 s at 25 a second is the 7th
  const auto farthest = static_cast<double>(kMaxPictureNumber - pictures.first_number);
  return pictures.first_number + static_cast<std::int64_t>(std::min(
                                     std::ceil(seconds * pictures.fps - kRounding), farthest));
}

}  // namespace

void cut_by_time(const std::optional<double>& start_s, const std::optional<double>& end_s,
                 PictureSequence& pictures) {
  if (start_s) pictures.start_number = picture_from(*start_s, pictures);
  if (end_s) pictures.stop_number = picture_from(*end_s, pictures);
}

Manifest find_clips(const Annotation& annotation, const DatasetOptions& options) {
  if (options.data_root.empty()) {
    throw ConfigError("needs data_root, the folder that the clips lie in or below");
  }
  return Finder(annotation, options).run();
}

}  // namespace cfp
