#include "pipeline/run/part_files.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include <fmt/format.h>

#include "stages/core/errors.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

void for_each_name(const fs::path& folder, const std::function<void(const std::string&)>& use) {
  std::error_code error;
  const fs::file_type type = fs::status(folder, error).type();
  if (type != fs::file_type::none && type != fs::file_type::directory) return;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    use(entry->path().filename().string());
  }
  if (error) {
    throw SystemError(fmt::format("cannot list '{}': {}", folder.string(), error.message()));
  }
}

}  // namespace

bool is_there(const fs::path& path) {
  std::error_code error;
  const fs::file_type type = fs::status(path, error).type();
  if (type != fs::file_type::none) return type != fs::file_type::not_found;
  throw SystemError(fmt::format("cannot look for '{}': {}", path.string(), error.message()));
}

std::string part_name(std::int64_t number) { return fmt::format("part-{:05}.h5", number); }

std::optional<std::int64_t> part_number(const std::string& name) {
  if (!name.starts_with("part-") || !name.ends_with(".h5")) return std::nullopt;
  const char *begin = name.data() + 5, *end = name.data() + name.size() - 3;
  std::int64_t number = -1;
  const auto [stop, error] = std::from_chars(begin, end, number);
  if (error != std::errc() || stop != end || part_name(number) != name) return std::nullopt;
  return number;
}

std::vector<fs::path> parts_in(const fs::path& folder) {
  std::vector<std::int64_t> numbers;
  for_each_name(folder, [&](const std::string& name) {
    if (const auto number = part_number(name)) numbers.push_back(*number);
  });
  std::ranges::sort(numbers);
  std::vector<fs::path> parts;
  for (const std::int64_t number : numbers) parts.push_back(folder / part_name(number));
  return parts;
}

std::vector<Shard> shards_in(const fs::path& work_dir) {
  std::vector<Shard> shards;
  for_each_name(work_dir / kShardsName, [&](const std::string& name) {
    if (const auto shard = shard_of_folder(name)) shards.push_back(*shard);
  });
  std::ranges::sort(shards, {}, [](const Shard& s) { return std::pair(s.count, s.index); });
  return shards;
}

fs::path shard_path(const fs::path& work_dir, const Shard& shard) {
  return work_dir / kShardsName / folder_of_shard(shard);
}

std::vector<fs::path> parts_of_run(const fs::path& work_dir) {
  std::vector<fs::path> parts = parts_in(work_dir);
  for (const Shard& shard : shards_in(work_dir)) {
    std::ranges::move(parts_in(shard_path(work_dir, shard)), std::back_inserter(parts));
  }
  return parts;
}

}  // namespace cfp
