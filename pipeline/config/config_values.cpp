#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "pipeline/config/loader.h"
#include "pipeline/config/scalars.h"
#include "pipeline/config/validator.h"
#include "pipeline/config/yaml_reader.h"
#include "stages/core/errors.h"
#include "stages/core/formula.h"

namespace cfp {

ConfigValues::ConfigValues(const ConfigTree& tree, ConfigTree sweep) : sweep_(std::move(sweep)) {
  ConfigProblems problems;
  check_against_schema(tree, problems);
  for (const KeySpec& key : config_schema()) {
    const ConfigTree* value = tree.find_path(key.path);
    if (key.required && (value == nullptr || value->is_null())) {
      problems.add(value != nullptr ? value->where : tree.where, key.path,
                   fmt::format("must be given: {}", describe_accepted(key)));
    }
    if (value != nullptr) values_[key.path] = {*value, value->where.to_string()};
  }
  problems.throw_if_any();
}

const ConfigValues::Value& ConfigValues::at(std::string_view path) const {
  const auto value = values_.find(path);
  if (value == values_.end()) {
    throw std::logic_error(fmt::format("the schema has no key '{}'", path));
  }
  return value->second;
}

const std::string& ConfigValues::scalar(std::string_view path) const {
  const ConfigTree& value = tree(path);
  if (value.kind != ConfigTree::Kind::kScalar) {
    throw std::logic_error(fmt::format("'{}' is read as a scalar and is none", path));
  }
  return value.scalar;
}

bool ConfigValues::is_word(std::string_view path, std::string_view word) const {
  return tree(path).kind == ConfigTree::Kind::kScalar && tree(path).scalar == word;
}

bool ConfigValues::is_list(std::string_view path) const {
  return tree(path).kind == ConfigTree::Kind::kList;
}

bool ConfigValues::boolean(std::string_view path) const {
  return scalar_to_boolean(scalar(path)).value();
}

std::int64_t ConfigValues::integer(std::string_view path) const {
  return scalar_to_integer(scalar(path)).value();
}

double ConfigValues::real(std::string_view path) const {
  return scalar_to_real(scalar(path)).value();
}

std::string ConfigValues::text(std::string_view path) const { return scalar(path); }

std::vector<std::string> ConfigValues::texts(std::string_view path) const {
  std::vector<std::string> texts;
  for (const ConfigTree& item : tree(path).items) texts.push_back(item.scalar);
  return texts;
}

std::vector<double> ConfigValues::reals(std::string_view path) const {
  std::vector<double> numbers;
  for (const ConfigTree& item : tree(path).items) {
    numbers.push_back(scalar_to_real(item.scalar).value());
  }
  return numbers;
}

void ConfigValues::set(std::string_view path, const std::string& yaml, const std::string& origin) {
  const KeySpec* key = find_key(path);
  ConfigTree value = read_yaml_text(yaml, origin);
  if (key == nullptr) throw std::logic_error(fmt::format("the schema has no key '{}'", path));
  const std::string reason = why_not_accepted(*key, value);
  if (!reason.empty()) throw ConfigError(fmt::format("{}: {}: {}", origin, path, reason));
  values_[key->path] = {std::move(value), origin};
}

void ConfigValues::fail(std::string_view path, std::string_view reason) const {
  throw ConfigError(fmt::format("{}: {}: {}", origin(path), path, reason));
}

std::string ConfigValues::to_yaml() const {
  std::string yaml;
  for (const SectionSpec& section : config_sections()) {
    if (!section.name.empty()) yaml += section.name + ":\n";
    for (const KeySpec& key : config_schema()) {
      if (section_name(key.path) != section.name) continue;
      if (!key.belongs_to(text("dataset.type"))) continue;
      const std::string indent = section.name.empty() ? "" : "  ";
      // A comment ends with its line, and an origin holds a file name.
      std::string from = origin(key.path);
      std::ranges::replace_if(
          from, [](char c) { return c == '\n' || c == '\r'; }, ' ');
      yaml += fmt::format("{}{}: {}  # {}\n", indent, leaf_name(key.path),
                          to_flow_yaml(tree(key.path)), from);
    }
  }
  return yaml;
}

std::uint64_t ConfigValues::results_hash() const {
  std::string said;
  for (const KeySpec& key : config_schema()) {
    if (key.changes_results) said += key.path + '=' + to_flow_yaml(tree(key.path)) + '\n';
  }
  return fnv1a64(said);
}

}  // namespace cfp
