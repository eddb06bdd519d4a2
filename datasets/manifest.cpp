#include "datasets/manifest.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>
#include <unordered_set>

#include <fmt/format.h>
#include <unistd.h>

#include "datasets/class_names.h"
#include "datasets/csv.h"
#include "stages/core/errors.h"
#include "stages/core/formula.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

std::string text_of(const std::optional<double>& seconds) {
  return seconds ? fmt::format("{}", *seconds)
                 : std::string();  // shortest text that reads back equal
}

std::string text_of(const std::optional<int>& label) {
  return label ? fmt::format("{}", *label) : std::string();
}

std::string record(const Manifest& manifest, const ClipRequest& row) {
  return fmt::format("{},{},{},{},{},{},{}\n", row.row, csv_field(row.clip_id),
                     csv_field(row.media.path), text_of(row.media.start_s),
                     text_of(row.media.end_s), text_of(row.label),
                     csv_field(manifest.class_name(row)));
}

std::optional<double> seconds_at(const CsvTable& table, std::string_view column) {
  const std::string& text = table.at(column);
  if (text.empty()) return std::nullopt;
  const auto seconds = parse_number(text);
  if (!seconds || *seconds < 0) {
    table.fail(fmt::format("{} is '{}'; seconds from 0 on, or nothing, are allowed", column, text));
  }
  return seconds;
}

std::optional<int> label_at(const CsvTable& table) {
  const std::string& text = table.at("label");
  if (text.empty()) return std::nullopt;
  const auto label = parse_integer(text);
  if (!label || *label < 0 || *label > kMaxLabel) {
    table.fail(fmt::format("label is '{}'; 0 to {}, or nothing, are allowed", text, kMaxLabel));
  }
  return static_cast<int>(*label);
}

/// Keeps the name of a label, which must be the same in all its rows.
void take_class_name(const CsvTable& table, int label, std::vector<std::string>& names) {
  const std::string& name = table.at("class_name");
  if (name.empty()) return;
  const auto index = static_cast<std::size_t>(label);
  if (names.size() <= index) names.resize(index + 1);
  if (!names[index].empty() && names[index] != name) {
    table.fail(
        fmt::format("label {} is called '{}' here and '{}' before", label, name, names[index]));
  }
  names[index] = name;
}

}  // namespace

const std::string& Manifest::class_name(const ClipRequest& row) const {
  static const std::string none;
  if (!row.label || class_names.empty()) return none;
  return class_names.at(static_cast<std::size_t>(*row.label));
}

std::uint64_t Manifest::hash() const {
  std::uint64_t hash = fnv1a64("cfp manifest");
  for (const ClipRequest& row : rows) hash = fnv1a64(record(*this, row), hash);
  return hash;
}

void check_manifest(const Manifest& manifest) {
  std::unordered_set<std::string_view> ids;
  for (std::size_t i = 0; i < manifest.rows.size(); ++i) {
    const ClipRequest& row = manifest.rows[i];
    const auto fail = [&](const std::string& why) {
      throw ConfigError(fmt::format("manifest row {} ('{}'): {}", i, row.clip_id, why));
    };
    if (row.row != static_cast<std::int64_t>(i)) fail(fmt::format("is numbered {}", row.row));
    if (row.clip_id.empty()) fail("has no clip_id");
    if (row.media.path.empty()) fail("has no path");
    if (!ids.insert(row.clip_id).second) fail("another row has the same clip_id");
    const auto classes = static_cast<std::int64_t>(manifest.class_names.size());
    if (row.label && (*row.label < 0 || (classes > 0 && *row.label >= classes))) {
      fail(fmt::format("label is {}; there are {} classes", *row.label, classes));
    }
  }
}

void write_manifest(const fs::path& path, const Manifest& manifest) {
  const fs::path temporary = path.string() + fmt::format(".tmp-{}", getpid());
  const auto fail = [&](const std::string& why) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw SystemError(fmt::format("{}: the manifest cannot be written: {}", path.string(), why));
  };
  errno = 0;
  std::ofstream file(temporary, std::ios::binary);
  file << "row,clip_id,path,start_s,end_s,label,class_name\n";
  for (const ClipRequest& row : manifest.rows) file << record(manifest, row);
  file.close();
  if (!file) fail(std::strerror(errno));
  std::error_code error;
  fs::rename(temporary, path, error);
  if (error) fail(error.message());
}

Manifest read_manifest(const fs::path& path) {
  CsvTable table(path);
  Manifest manifest;
  std::unordered_set<std::string> ids;
  while (table.next()) {
    ManifestRow row;
    row.row = static_cast<std::int64_t>(manifest.rows.size());
    if (parse_integer(table.at("row")) != row.row) {
      table.fail(fmt::format("row is '{}'; {} comes next", table.at("row"), row.row));
    }
    row.clip_id = table.at("clip_id");
    row.media.path = table.at("path");
    row.media.start_s = seconds_at(table, "start_s");
    row.media.end_s = seconds_at(table, "end_s");
    row.label = label_at(table);
    if (row.clip_id.empty() || row.media.path.empty()) table.fail("clip_id or path is empty");
    if (!ids.insert(row.clip_id).second) {
      table.fail(fmt::format("another row has the clip_id '{}'", row.clip_id));
    }
    if (row.label) take_class_name(table, *row.label, manifest.class_names);
    manifest.rows.push_back(std::move(row));
  }
  // Labels beyond the last name exist where only numbers are known for them.
  if (!manifest.class_names.empty()) {
    for (const ClipRequest& row : manifest.rows) {
      if (row.label && static_cast<std::size_t>(*row.label) >= manifest.class_names.size()) {
        manifest.class_names.resize(static_cast<std::size_t>(*row.label) + 1);
      }
    }
  }
  manifest.provenance = fmt::format("manifest {}", path.string());
  return manifest;
}

}  // namespace cfp
