#include "datasets/moving_shapes_files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include "datasets/csv.h"
#include "stages/core/c_handle.h"
#include "stages/core/errors.h"
#include "stages/decode/video_writer.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

constexpr double kFramesPerSecond = 25;
constexpr int kCrf = 18;

std::string clip_id(const MovingShapesOptions& options, std::int64_t index) {
  std::string name =
      moving_shapes_class_names().at(static_cast<std::size_t>(moving_shapes_label(index)));
  std::ranges::replace(name, ' ', '_');
  return fmt::format("{}_{:05d}_{}", options.split, index, name);
}

fs::path clip_path(const MovingShapesOptions& options, const fs::path& folder, std::int64_t index) {
  return folder / (clip_id(options, index) + ".mp4");
}

/// Everything that the files' bytes depend on, but for the encoder.
std::string stamp_text(const MovingShapesOptions& options) {
  return fmt::format(
      "moving_shapes clips; made by the program, deleted by it when this text changes\n"
      "version {}\nsplit {}\nseed {}\nclip_len {}\nsize {}\nfps {}\ncrf {}\nmbtree 0\n",
      kMovingShapesVersion, options.split, options.seed, options.clip_len, options.size,
      kFramesPerSecond, kCrf);
}

fs::path stamp_path(const fs::path& folder) { return folder / "stamp.txt"; }

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  return std::move(text).str();
}

void write_stamp(const fs::path& folder, const std::string& text) {
  const fs::path temporary = folder / fmt::format("stamp.txt.tmp-{}", getpid());
  {
    std::ofstream file(temporary, std::ios::binary);
    file << text;
    file.close();
    if (!file) throw SystemError(fmt::format("{}: cannot be written", temporary.string()));
  }
  fs::rename(temporary, stamp_path(folder));
}

/// Removes the clips of an older generator: files that this program would write under these names.
void remove_clips(const MovingShapesOptions& options, const fs::path& folder) {
  std::vector<fs::path> stale;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(options.split + "_") && name.ends_with(".mp4")) {
      stale.push_back(entry.path());
    }
  }
  for (const fs::path& path : stale) fs::remove(path);
}

std::vector<std::int64_t> missing_clips(const MovingShapesOptions& options, const fs::path& folder,
                                        const std::vector<std::int64_t>& indices) {
  std::vector<std::int64_t> missing;
  for (const std::int64_t index : indices) {
    std::error_code error;
    const auto bytes = fs::file_size(clip_path(options, folder, index), error);
    if (error || bytes == 0) missing.push_back(index);
  }
  return missing;
}

void make_clip(const MovingShapesOptions& options, const fs::path& folder, std::int64_t index) {
  const Frames frames = render_moving_shapes(options, index);
  VideoWriter writer(clip_path(options, folder, index), options.size, options.size,
                     {.fps = kFramesPerSecond, .crf = kCrf});
  for (std::int64_t t = 0; t < frames.length; ++t) writer.write(frames.frame(t));
  writer.finish();
}

/// Held while a folder is changed, so that a second process waits instead of deleting new clips.
class FolderLock {
 public:
  explicit FolderLock(const fs::path& folder)
      : file_(open((folder / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
    int status = file_ ? 0 : -1;
    while (file_ && (status = flock(file_.get(), LOCK_EX)) != 0 && errno == EINTR) {
    }
    if (status != 0) {
      throw SystemError(fmt::format("{}: cannot be locked for writing: {}", folder.string(),
                                    std::strerror(errno)));
    }
  }

 private:
  CHandle<int, -1, close> file_;
};

}  // namespace

fs::path moving_shapes_folder(const MovingShapesOptions& options, const fs::path& data_root) {
  return data_root / fmt::format("{}_{}x{}_seed{}", options.split, options.clip_len, options.size,
                                 options.seed);
}

Manifest moving_shapes_manifest(const MovingShapesOptions& options, const fs::path& data_root) {
  options.check();
  const fs::path folder = moving_shapes_folder(options, data_root);
  Manifest manifest;
  manifest.class_names = moving_shapes_class_names();
  manifest.provenance = fmt::format(
      "moving_shapes, generator version {}: {} clips of {} frames, {} x {} pixels, split {}, seed "
      "{}",
      kMovingShapesVersion, options.count, options.clip_len, options.size, options.size,
      options.split, options.seed);
  for (std::int64_t index = 0; index < options.count; ++index) {
    ManifestRow& row = manifest.rows.emplace_back();
    row.row = index;
    row.clip_id = clip_id(options, index);
    row.media.path = clip_path(options, folder, index).string();
    row.label = moving_shapes_label(index);
  }
  return manifest;
}

std::int64_t moving_shapes_index(const MovingShapesOptions& options, std::string_view id) {
  options.check();
  if (id.starts_with(options.split + "_")) {
    const std::string_view rest = id.substr(options.split.size() + 1);
    const auto index = parse_integer(rest.substr(0, rest.find('_')));
    if (index && *index >= 0 && *index < options.count && clip_id(options, *index) == id) {
      return *index;
    }
  }
  throw ConfigError(fmt::format(
      "'{}' is no clip of moving_shapes with split {} and {} clips; the first one is '{}'", id,
      options.split, options.count, clip_id(options, 0)));
}

std::int64_t make_moving_shapes_files(const MovingShapesOptions& options, const fs::path& data_root,
                                      const std::vector<std::int64_t>& indices) {
  options.check();
  const fs::path folder = moving_shapes_folder(options, data_root);
  const std::string stamp = stamp_text(options);
  try {
    if (read_text(stamp_path(folder)) == stamp && missing_clips(options, folder, indices).empty()) {
      return 0;
    }
    fs::create_directories(folder);
    const FolderLock lock(folder);
    // The stamp is written when no older clip is left, so clips beside a stamp are always its own.
    if (read_text(stamp_path(folder)) != stamp) {
      remove_clips(options, folder);
      write_stamp(folder, stamp);
    }
    const std::vector<std::int64_t> missing = missing_clips(options, folder, indices);
    for (const std::int64_t index : missing) make_clip(options, folder, index);
    return static_cast<std::int64_t>(missing.size());
  } catch (const fs::filesystem_error& error) {
    throw SystemError(
        fmt::format("moving_shapes clips cannot be made in {}: {}", folder.string(), error.what()));
  }
}

}  // namespace cfp
