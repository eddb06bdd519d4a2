#include "pipeline/run/json_record.h"

#include <fstream>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "stages/core/errors.h"

namespace cfp {
namespace {

std::string read_start(const std::filesystem::path& path, std::size_t max_bytes) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw SystemError(fmt::format("cannot read '{}'", path.string()));
  std::string text;
  char block[4096];
  while (text.size() < max_bytes && (file.read(block, sizeof block), file.gcount() > 0)) {
    text.append(block, static_cast<std::size_t>(file.gcount()));
  }
  return text;
}

}  // namespace

JsonRecord::JsonRecord(std::string_view text, std::string source) : source_(std::move(source)) {
  try {
    object_ = std::make_unique<const nlohmann::json>(nlohmann::json::parse(text));
  } catch (const nlohmann::json::exception& error) {
    throw SystemError(fmt::format("'{}' is damaged: {}", source_, error.what()));
  }
  if (!object_->is_object()) {
    throw SystemError(fmt::format("'{}' is damaged: no JSON object", source_));
  }
}

JsonRecord JsonRecord::of_file(const std::filesystem::path& path) {
  const std::string text = read_start(path, kMaxBytes + 1);
  if (text.size() > kMaxBytes) {
    throw SystemError(
        fmt::format("'{}' is damaged: larger than {} bytes", path.string(), kMaxBytes));
  }
  return {text, path.string()};
}

JsonRecord::~JsonRecord() = default;

void JsonRecord::fail(const char* field, std::string_view wanted) const {
  throw SystemError(fmt::format("'{}' is damaged: '{}' is not {}", source_, field, wanted));
}

const nlohmann::json* JsonRecord::find(const char* field) const {
  const auto found = object_->find(field);
  return found != object_->end() ? &*found : nullptr;
}

std::int64_t JsonRecord::integer(const char* field) const {
  const nlohmann::json* value = find(field);
  if (value == nullptr || !value->is_number_integer()) fail(field, "an integer");
  // The largest numbers are kept as unsigned ones.
  if (value->is_number_unsigned() && !std::in_range<std::int64_t>(value->get<std::uint64_t>())) {
    fail(field, "an integer of 64 bits");
  }
  return value->get<std::int64_t>();
}

std::int64_t JsonRecord::count(const char* field) const {
  const std::int64_t number = integer(field);
  if (number < 0 || number > kMaxCount) fail(field, fmt::format("a number of 0 to {}", kMaxCount));
  return number;
}

double JsonRecord::real(const char* field) const {
  const nlohmann::json* value = find(field);
  if (value == nullptr || !value->is_number()) fail(field, "a number");
  return value->get<double>();
}

bool JsonRecord::boolean(const char* field) const {
  const nlohmann::json* value = find(field);
  if (value == nullptr || !value->is_boolean()) fail(field, "true or false");
  return value->get<bool>();
}

std::string JsonRecord::text(const char* field) const {
  const nlohmann::json* value = find(field);
  if (value == nullptr || !value->is_string()) fail(field, "a text");
  return value->get<std::string>();
}

}  // namespace cfp
