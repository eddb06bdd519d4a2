#include "pipeline/config/substitution.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipeline/config/scalars.h"
#include "pipeline/config/schema.h"

namespace cfp {
namespace {

constexpr std::size_t kLongestText = 8192;  // twice the longest path Linux takes
constexpr std::size_t kDeepestChain = 16;

constexpr std::string_view kOpening = "${";

/// Calls `replace(name, true)` for each `${name}`, and `replace(rest, false)` where a `${` is not
/// closed; where it gives nothing the text stays as it is.
template <class Replace>
std::string replace_names(const std::string& text, bool unescape, Replace&& replace) {
  std::string result;
  std::size_t at = 0;
  while (true) {
    const std::size_t dollar = text.find(kOpening, at);
    if (dollar == std::string::npos) return result.append(text, at);
    const bool escaped = dollar > at && text[dollar - 1] == '$';
    result.append(text, at, dollar - at);
    at = dollar + kOpening.size();
    if (escaped) {
      if (unescape) result.pop_back();
      result += kOpening;
      continue;
    }
    const std::size_t end = std::min(text.find('}', at), text.size());
    const std::size_t behind = std::min(end + 1, text.size());
    if (const auto value = replace(text.substr(at, end - at), end < text.size())) {
      result += *value;
    } else {
      result.append(text, dollar, behind - dollar);
    }
    at = behind;
  }
}

template <class Visit>
void for_each_scalar(ConfigTree& tree, const std::string& path, Visit&& visit) {
  if (tree.kind == ConfigTree::Kind::kScalar) visit(tree, path);
  for (ConfigTree& item : tree.items) for_each_scalar(item, path, visit);
  for (ConfigTree::Entry& entry : tree.entries) {
    for_each_scalar(entry.value, path.empty() ? entry.key : path + '.' + entry.key, visit);
  }
}

std::vector<std::string> all_paths() {
  std::vector<std::string> paths;
  for (const KeySpec& key : config_schema()) paths.push_back(key.path);
  return paths;
}

/// Expands the text of one key; remembers the first problem.
class Expansion {
 public:
  explicit Expansion(const ConfigTree& tree) : tree_(tree) {}

  std::string expand(const std::string& text) {
    return replace_names(text, true, [&](const std::string& name, bool closed) {
      return closed ? lookup(name) : fail("${ without }; write $${ for the characters themselves");
    });
  }
  const std::string& problem() const { return problem_; }

 private:
  std::optional<std::string> fail(std::string reason) {
    if (problem_.empty()) problem_ = std::move(reason);
    return std::nullopt;
  }
  std::optional<std::string> lookup(const std::string& name) {
    if (!problem_.empty()) return std::nullopt;
    if (std::ranges::count(chain_, name) > 0) {
      return fail(fmt::format("${{{}}} stands for itself: {} -> {}", name,
                              fmt::join(chain_, " -> "), name));
    }
    const ConfigTree* value = tree_.find_path(name);
    if (value == nullptr || value->is_null()) {
      return fail(fmt::format("${{{}}}: no such key, or it has no value{}", name,
                              did_you_mean(name, all_paths())));
    }
    if (value->kind != ConfigTree::Kind::kScalar) {
      return fail(fmt::format("${{{}}} is not a single value", name));
    }
    if (chain_.size() >= kDeepestChain) {
      return fail(fmt::format("more than {} substitutions inside each other", kDeepestChain));
    }
    chain_.push_back(name);
    std::string text = expand(value->scalar);
    chain_.pop_back();
    expanded_bytes_ += text.size();
    if (expanded_bytes_ > kLongestText) {
      return fail(fmt::format("grows beyond {} characters", kLongestText));
    }
    return text;
  }

  const ConfigTree& tree_;
  std::vector<std::string> chain_;
  std::size_t expanded_bytes_ = 0;
  std::string problem_;
};

}  // namespace

std::string without_substitution(std::string_view text) {
  std::string escaped;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, kOpening.size()) == kOpening) escaped += '$';
    escaped += text[i];
  }
  return escaped;
}

void substitute_builtins(ConfigTree& tree, const std::map<std::string, std::string>& values) {
  for_each_scalar(tree, "", [&](ConfigTree& scalar, const std::string&) {
    scalar.scalar =
        replace_names(scalar.scalar, false,
                      [&](const std::string& name, bool closed) -> std::optional<std::string> {
                        const auto value = values.find(name);
                        if (!closed || value == values.end()) return std::nullopt;
                        return without_substitution(value->second);
                      });
  });
}

void substitute_keys(ConfigTree& tree, ConfigProblems& problems) {
  const ConfigTree as_written = tree;
  for_each_scalar(tree, "", [&](ConfigTree& scalar, const std::string& path) {
    if (scalar.scalar.find("${") == std::string::npos) return;
    Expansion expansion(as_written);
    std::string text = expansion.expand(scalar.scalar);
    if (expansion.problem().empty()) {
      scalar.scalar = std::move(text);
    } else {
      problems.add(scalar.where, path, expansion.problem());
    }
  });
}

}  // namespace cfp
