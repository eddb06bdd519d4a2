#include "pipeline/config/config_tree.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipeline/config/scalars.h"
#include "stages/core/errors.h"

namespace cfp {
namespace {

constexpr std::size_t kMostProblemsShown = 20;

bool is_plain_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '/' || c == '-' || c == '+';
}

bool can_stand_plain(std::string_view text) {
  if (text.empty() || text.front() == '-' || text.front() == '.' || text.front() == '+') {
    return false;
  }
  return std::ranges::all_of(text, is_plain_character) && !looks_like_null(text) &&
         !scalar_to_boolean(text) && !scalar_to_real(text);
}

}  // namespace

std::string SourcePosition::to_string() const {
  if (!source) return "default";
  return line > 0 ? fmt::format("{}:{}:{}", *source, line, column) : *source;
}

const ConfigTree* ConfigTree::find(std::string_view key) const {
  const auto entry = std::ranges::find(entries, key, &Entry::key);
  return entry == entries.end() ? nullptr : &entry->value;
}

ConfigTree* ConfigTree::find(std::string_view key) {
  const auto entry = std::ranges::find(entries, key, &Entry::key);
  return entry == entries.end() ? nullptr : &entry->value;
}

const ConfigTree* ConfigTree::find_path(std::string_view path) const {
  const ConfigTree* tree = this;
  while (tree != nullptr) {
    const std::size_t dot = path.find('.');
    tree = tree->find(path.substr(0, dot));
    if (dot == std::string_view::npos) return tree;
    path.remove_prefix(dot + 1);
  }
  return nullptr;
}

void merge_trees(ConfigTree& under, ConfigTree over) {
  if (!under.is_map() || !over.is_map()) {
    under = std::move(over);
    return;
  }
  for (ConfigTree::Entry& entry : over.entries) {
    if (ConfigTree* below = under.find(entry.key)) {
      merge_trees(*below, std::move(entry.value));
    } else {
      under.entries.push_back(std::move(entry));
    }
  }
}

std::string quote_yaml_text(std::string_view text) {
  if (can_stand_plain(text)) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        quoted += "\\\"";
        break;
      case '\\':
        quoted += "\\\\";
        break;
      case '\n':
        quoted += "\\n";
        break;
      case '\r':
        quoted += "\\r";
        break;
      case '\t':
        quoted += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        } else {
          quoted += c;
        }
    }
  }
  return quoted + '"';
}

std::string to_flow_yaml(const ConfigTree& tree) {
  std::vector<std::string> parts;
  switch (tree.kind) {
    case ConfigTree::Kind::kNull:
      return "null";
    case ConfigTree::Kind::kScalar: {
      const bool is_text =
          tree.quoted || !(scalar_to_boolean(tree.scalar) || scalar_to_real(tree.scalar));
      return is_text ? quote_yaml_text(tree.scalar) : tree.scalar;
    }
    case ConfigTree::Kind::kList:
      for (const ConfigTree& item : tree.items) parts.push_back(to_flow_yaml(item));
      return fmt::format("[{}]", fmt::join(parts, ", "));
    case ConfigTree::Kind::kMap:
      for (const ConfigTree::Entry& entry : tree.entries) {
        parts.push_back(quote_yaml_text(entry.key) + ": " + to_flow_yaml(entry.value));
      }
      return fmt::format("{{{}}}", fmt::join(parts, ", "));
  }
  throw std::logic_error("ConfigTree::Kind out of range");
}

void ConfigProblems::add(const SourcePosition& where, std::string_view key,
                         std::string_view reason) {
  lines_.push_back(fmt::format("{}: {}: {}", where.to_string(), key, reason));
}

void ConfigProblems::throw_if_any() const {
  if (lines_.empty()) return;
  std::string text;
  for (std::size_t i = 0; i < std::min(lines_.size(), kMostProblemsShown); ++i) {
    if (i > 0) text += '\n';
    text += lines_[i];
  }
  if (lines_.size() > kMostProblemsShown) {
    text += fmt::format("\n… and {} more problems", lines_.size() - kMostProblemsShown);
  }
  throw ConfigError(text);
}

}  // namespace cfp
