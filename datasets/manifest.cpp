#include "datasets/manifest.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include <fmt/format.h>

#include "datasets/class_names.h"
#include "datasets/csv.h"
#include "stages/core/errors.h"
#include "stages/core/formula.h"
#include "stages/core/output_file.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

/// Text that reads back equal; empty for what is absent.
template <class Number>
std::string text_of(const std::optional<Number>& number) {
  return number ? fmt::format("{}", *number) : std::string();
}

/// Columns that are written together, where some row needs one of them.
struct ColumnGroup {
  std::vector<std::string> names;
  bool (*is_needed)(const ManifestRow& row);
  std::vector<std::string> (*fields)(const ManifestRow& row);
};

const ColumnGroup kPictureColumns{
    {"picture_prefix", "picture_digits", "picture_suffix", "first_picture", "picture_fps",
     "start_picture", "stop_picture"},
    [](const ManifestRow& row) { return row.media.pictures.has_value(); },
    [](const ManifestRow& row) -> std::vector<std::string> {
      if (!row.media.pictures) return std::vector<std::string>(7);
      const PictureSequence& pictures = *row.media.pictures;
      return {pictures.prefix,
              fmt::format("{}", pictures.digits),
              pictures.suffix,
              fmt::format("{}", pictures.first_number),
              fmt::format("{}", pictures.fps),
              text_of(pictures.start_number),
              text_of(pictures.stop_number)};
    }};

const ColumnGroup kPieceColumns{{"in_pieces"},
                                [](const ManifestRow& row) { return row.media.in_pieces; },
                                [](const ManifestRow& row) -> std::vector<std::string> {
                                  return {row.media.in_pieces ? "1" : ""};
                                }};

const ColumnGroup kReferenceColumns{
    {"gaze", "boxes", "masks"},
    [](const ManifestRow& row) { return !(row.references == ClipReferences{}); },
    [](const ManifestRow& row) -> std::vector<std::string> {
      return {row.references.gaze, row.references.boxes, row.references.masks};
    }};

const ColumnGroup kFactColumns{
    {"bytes", "modified_s", "width", "height", "duration_s", "fps"},
    [](const ManifestRow& row) { return row.facts.has_value(); },
    [](const ManifestRow& row) -> std::vector<std::string> {
      if (!row.facts) return std::vector<std::string>(6);
      const MediaFacts& facts = *row.facts;
      return {fmt::format("{}", facts.bytes),      fmt::format("{}", facts.modified_s),
              fmt::format("{}", facts.width),      fmt::format("{}", facts.height),
              fmt::format("{}", facts.duration_s), fmt::format("{}", facts.fps)};
    }};

const ColumnGroup kStatusColumns{
    {"status", "message"},
    [](const ManifestRow& row) { return row.problem.has_value() || row.facts.has_value(); },
    [](const ManifestRow& row) -> std::vector<std::string> {
      if (!row.problem) return {"ok", ""};
      return {std::string(to_string(row.problem->reason)), row.problem->message};
    }};

/// What a row is made of: the fields that decide what is computed.
std::string work_fields(const Manifest& manifest, const ManifestRow& row) {
  return fmt::format("{},{},{},{},{},{},{}", row.row, csv_field(row.clip_id),
                     csv_field(row.media.path), text_of(row.media.start_s),
                     text_of(row.media.end_s), text_of(row.label),
                     csv_field(manifest.class_name(row)));
}

std::string joined(const std::vector<std::string>& fields) {
  std::string text;
  for (const std::string& field : fields) text += ',' + csv_field(field);
  return text;
}

/// Label and name in each head.
std::vector<std::string> head_fields(const Manifest& manifest, const ManifestRow& row) {
  std::vector<std::string> fields;
  for (std::size_t h = 0; h < manifest.heads.size(); ++h) {
    const std::optional<int>& label = row.labels.at(h);
    fields.push_back(text_of(label));
    fields.push_back(label ? manifest.heads[h].class_names.at(static_cast<std::size_t>(*label))
                           : "");
  }
  return fields;
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

/// An integer of a column that may be absent or empty.
std::optional<std::int64_t> integer_at(const CsvTable& table, std::string_view column,
                                       std::int64_t maximum, std::int64_t minimum = 0) {
  const std::string& text = table.get(column);
  if (text.empty()) return std::nullopt;
  const auto number = parse_integer(text);
  if (!number || *number < minimum || *number > maximum) {
    table.fail(fmt::format("{} is '{}'; {} to {}, or nothing, are allowed", column, text, minimum,
                           maximum));
  }
  return *number;
}

std::optional<int> label_at(const CsvTable& table, std::string_view column) {
  const auto label = integer_at(table, column, kMaxLabel);
  return label ? std::optional<int>(static_cast<int>(*label)) : std::nullopt;
}

/// Keeps the name of a label, which must be the same in all its rows.
void take_class_name(const CsvTable& table, int label, const std::string& name,
                     std::vector<std::string>& names) {
  if (name.empty()) return;
  const auto index = static_cast<std::size_t>(label);
  if (names.size() <= index) names.resize(index + 1);
  if (!names[index].empty() && names[index] != name) {
    table.fail(
        fmt::format("label {} is called '{}' here and '{}' before", label, name, names[index]));
  }
  names[index] = name;
}

std::optional<PictureSequence> pictures_at(const CsvTable& table) {
  if (table.get("picture_fps").empty()) return std::nullopt;
  constexpr std::int64_t kMaxDigits = 18, kMaxNumber = 1'000'000'000'000;
  const auto fps = parse_number(table.get("picture_fps"));
  if (!fps || *fps <= 0) table.fail("picture_fps must be above 0");
  if ((table.get("picture_prefix") + table.get("picture_suffix")).find('/') != std::string::npos) {
    table.fail("picture_prefix and picture_suffix are parts of a file's name, without a slash");
  }
  return PictureSequence{
      .prefix = table.get("picture_prefix"),
      .digits = static_cast<int>(integer_at(table, "picture_digits", kMaxDigits).value_or(0)),
      .suffix = table.get("picture_suffix"),
      .first_number = integer_at(table, "first_picture", kMaxNumber).value_or(1),
      .fps = *fps,
      .start_number = integer_at(table, "start_picture", kMaxNumber),
      .stop_number = integer_at(table, "stop_picture", kMaxNumber)};
}

std::optional<MediaFacts> facts_at(const CsvTable& table) {
  if (table.get("bytes").empty()) return std::nullopt;
  constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();
  constexpr std::int64_t kMaxSide = 1 << 20;
  // A file's time may lie before 1970.
  constexpr std::int64_t kLongAgo = std::numeric_limits<std::int64_t>::min();
  return MediaFacts{.bytes = integer_at(table, "bytes", kAny).value_or(0),
                    .modified_s = integer_at(table, "modified_s", kAny, kLongAgo).value_or(0),
                    .width = static_cast<int>(integer_at(table, "width", kMaxSide).value_or(0)),
                    .height = static_cast<int>(integer_at(table, "height", kMaxSide).value_or(0)),
                    .duration_s = seconds_at(table, "duration_s").value_or(0),
                    .fps = seconds_at(table, "fps").value_or(0)};
}

bool is_gone(const fs::path& path) {
  std::error_code ignored;
  return fs::status(path, ignored).type() == fs::file_type::not_found;
}

/// @return whether the last picture that a row names is not in its folder
bool lacks_last_picture(const MediaSegment& media) {
  if (!media.pictures || !media.pictures->stop_number) return false;
  return is_gone(fs::path(media.path) /
                 picture_file_name(*media.pictures, *media.pictures->stop_number - 1));
}

/// The problem that a row still has: files may have come since it was written down, and what a
/// config asks of a clip may be something else. What only a look into the file tells is left to the
/// next one.
std::optional<ClipProblem> problem_at(const CsvTable& table, const MediaSegment& media) {
  const std::string& status = table.get("status");
  if (status.empty() || status == "ok") return std::nullopt;
  const auto reason = failure_reason(status);
  if (!reason) table.fail(fmt::format("status is '{}'; ok or a reason is needed", status));
  const bool still_holds = *reason == FailureReason::kDuplicate ||
                           (*reason == FailureReason::kMissing && is_gone(media.path)) ||
                           (*reason == FailureReason::kTooShort && lacks_last_picture(media));
  if (!still_holds) return std::nullopt;
  return ClipProblem{*reason, table.get("message")};
}

/// Keeps the name of the data set, which all rows have.
void take_dataset(const CsvTable& table, Manifest& manifest) {
  const std::string& name = table.get("dataset");
  if (manifest.rows.empty()) manifest.dataset = name;
  if (name == manifest.dataset) return;
  table.fail(fmt::format("dataset is '{}' here and '{}' before; a manifest is of one data set",
                         name, manifest.dataset));
}

/// The heads that the columns `<head>_label` tell of.
std::vector<LabelHead> heads_of(const CsvTable& table) {
  constexpr std::string_view kEnding = "_label";
  std::vector<LabelHead> heads;
  for (const std::string& column : table.columns()) {
    if (!column.ends_with(kEnding)) continue;
    heads.push_back({.name = column.substr(0, column.size() - kEnding.size())});
  }
  return heads;
}

/// Labels beyond the last name exist where only numbers are known for them.
void fill_up_names(const std::optional<int>& label, std::vector<std::string>& names) {
  if (names.empty() || !label || static_cast<std::size_t>(*label) < names.size()) return;
  names.resize(static_cast<std::size_t>(*label) + 1);
}

ManifestRow row_at(const CsvTable& table, Manifest& manifest) {
  ManifestRow row;
  row.row = static_cast<std::int64_t>(manifest.rows.size());
  if (parse_integer(table.at("row")) != row.row) {
    table.fail(fmt::format("row is '{}'; {} comes next", table.at("row"), row.row));
  }
  take_dataset(table, manifest);
  row.clip_id = table.at("clip_id");
  row.media = {.path = table.at("path"),
               .start_s = seconds_at(table, "start_s"),
               .end_s = seconds_at(table, "end_s"),
               .pictures = pictures_at(table),
               .in_pieces = table.get("in_pieces") == "1"};
  row.label = label_at(table, "label");
  row.problem = problem_at(table, row.media);
  row.facts = facts_at(table);
  row.references = {table.get("gaze"), table.get("boxes"), table.get("masks")};
  if (row.clip_id.empty() || row.media.path.empty()) table.fail("clip_id or path is empty");
  if (row.label) take_class_name(table, *row.label, table.at("class_name"), manifest.class_names);
  for (LabelHead& head : manifest.heads) {
    const auto label = row.labels.emplace_back(label_at(table, head.name + "_label"));
    if (label) take_class_name(table, *label, table.get(head.name), head.class_names);
  }
  return row;
}

}  // namespace

const std::string& Manifest::class_name(const ClipRequest& row) const {
  static const std::string none;
  if (!row.label || class_names.empty()) return none;
  return class_names.at(static_cast<std::size_t>(*row.label));
}

std::uint64_t Manifest::hash() const {
  std::uint64_t hash = fnv1a64("cfp manifest");
  for (const ManifestRow& row : rows) {
    hash = fnv1a64(work_fields(*this, row), hash);
    for (const ColumnGroup* group : {&kPictureColumns, &kPieceColumns}) {
      hash = fnv1a64(joined(group->fields(row)), hash);
    }
  }
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

void make_paths_absolute(Manifest& manifest) {
  const fs::path here = fs::current_path();
  const auto complete = [&](std::string& text) {
    if (text.empty()) return;
    fs::path path = here / text;
    const bool goes_up = std::ranges::find(path, fs::path("..")) != path.end();
    text = goes_up ? path.string() : path.lexically_normal().string();
  };
  for (ManifestRow& row : manifest.rows) {
    complete(row.media.path);
    for (std::string* reference :
         {&row.references.gaze, &row.references.boxes, &row.references.masks}) {
      complete(*reference);
    }
  }
}

void write_manifest(const fs::path& path, const Manifest& manifest) {
  OutputFile file(path);
  file.write("row,clip_id,path,start_s,end_s,label,class_name");
  for (const LabelHead& head : manifest.heads) {
    file.write(joined({head.name + "_label", head.name}));
  }
  std::string dataset;  // the field of every row
  if (!manifest.dataset.empty()) {
    file.write(",dataset");
    dataset = joined({manifest.dataset});
  }
  std::vector<const ColumnGroup*> groups;
  for (const ColumnGroup* group :
       {&kPictureColumns, &kPieceColumns, &kReferenceColumns, &kFactColumns, &kStatusColumns}) {
    if (std::ranges::none_of(manifest.rows, group->is_needed)) continue;
    groups.push_back(group);
    file.write(joined(group->names));
  }
  for (const ManifestRow& row : manifest.rows) {
    std::string line = fmt::format("\n{}{}{}", work_fields(manifest, row),
                                   joined(head_fields(manifest, row)), dataset);
    for (const ColumnGroup* group : groups) line += joined(group->fields(row));
    file.write(line);
  }
  file.write("\n");
  file.finish();
}

Manifest read_manifest(const fs::path& path) {
  CsvTable table(path);
  Manifest manifest;
  manifest.heads = heads_of(table);
  std::unordered_set<std::string> ids;
  while (table.next()) {
    ManifestRow row = row_at(table, manifest);
    if (!ids.insert(row.clip_id).second) {
      table.fail(fmt::format("another row has the clip_id '{}'", row.clip_id));
    }
    manifest.rows.push_back(std::move(row));
  }
  for (const ManifestRow& row : manifest.rows) {
    fill_up_names(row.label, manifest.class_names);
    for (std::size_t h = 0; h < manifest.heads.size(); ++h) {
      fill_up_names(row.labels[h], manifest.heads[h].class_names);
    }
  }
  manifest.provenance = fmt::format("manifest {}", path.string());
  return manifest;
}

}  // namespace cfp
