#include "pipeline/config/loader.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipeline/config/scalars.h"
#include "pipeline/config/substitution.h"
#include "pipeline/config/validator.h"
#include "pipeline/config/yaml_reader.h"
#include "stages/core/errors.h"

namespace cfp {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kBaseKey = "_base_";
constexpr std::string_view kSweepKey = "sweep";
constexpr std::size_t kMostFiles = 64;  // bases of bases, counted each time they are read
constexpr std::string_view kBuiltins[] = {"config_dir", "config_name"};

/// Reads files and their bases, and knows which ones are being read.
class BaseReader {
 public:
  ConfigTree read(const fs::path& file, const SourcePosition& wanted_at) {
    if (++files_read_ > kMostFiles) {
      throw ConfigError(
          fmt::format("{}: _base_: more than {} files", wanted_at.to_string(), kMostFiles));
    }
    if (wanted_at.source && !fs::exists(file)) {
      throw ConfigError(
          fmt::format("{}: _base_: no such file: {}", wanted_at.to_string(), file.string()));
    }
    const std::string identity = fs::weakly_canonical(file).string();
    if (std::ranges::count(open_, identity) > 0) {
      throw ConfigError(fmt::format("{}: _base_: a cycle: {} -> {}", wanted_at.to_string(),
                                    fmt::join(open_, " -> "), identity));
    }
    open_.push_back(identity);
    ConfigTree tree = with_bases(read_yaml_file(file), file);
    open_.pop_back();
    return tree;
  }

  ConfigTree with_bases(ConfigTree tree, const fs::path& file) {
    substitute_builtins(tree, {{std::string(kBuiltins[0]), folder_of(file)},
                               {std::string(kBuiltins[1]), file.stem().string()}});
    if (!tree.is_map()) return tree;
    const ConfigTree* bases = tree.find(kBaseKey);
    if (bases == nullptr) return tree;

    ConfigTree merged{.kind = ConfigTree::Kind::kMap, .where = tree.where};
    for (const ConfigTree& base : as_list(*bases)) {
      if (base.kind != ConfigTree::Kind::kScalar) {
        throw ConfigError(fmt::format("{}: _base_: expected a file name or a list of them",
                                      base.where.to_string()));
      }
      ConfigTree below = read(file.parent_path() / base.scalar, base.where);
      if (!below.is_map() && !below.is_null()) {
        throw ConfigError(fmt::format("{}: a config must have keys", below.where.to_string()));
      }
      if (below.is_map()) merge_trees(merged, std::move(below));
    }
    std::erase_if(tree.entries, [](const ConfigTree::Entry& e) { return e.key == kBaseKey; });
    merge_trees(merged, std::move(tree));
    return merged;
  }

 private:
  static std::string folder_of(const fs::path& file) {
    const fs::path folder = file.parent_path();
    return folder.empty() ? "." : folder.string();
  }
  static std::vector<ConfigTree> as_list(const ConfigTree& tree) {
    return tree.kind == ConfigTree::Kind::kList ? tree.items : std::vector<ConfigTree>{tree};
  }

  std::vector<std::string> open_;
  std::size_t files_read_ = 0;
};

void apply_override(ConfigTree& tree, const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw ConfigError(fmt::format("command line: '{}': expected key=value", text));
  }
  const std::string path = text.substr(0, equals);
  ConfigTree value = read_override_value(text.substr(equals + 1));
  const SourcePosition where{std::make_shared<const std::string>("command line")};

  // From the innermost key outwards, so that it can be merged like a file that says only this.
  std::string_view rest = path;
  while (true) {
    const std::size_t dot = rest.rfind('.');
    const std::string key(dot == std::string_view::npos ? rest : rest.substr(dot + 1));
    if (key.empty()) {
      throw ConfigError(fmt::format("command line: '{}': an empty key", text));
    }
    ConfigTree outer{.kind = ConfigTree::Kind::kMap, .where = where};
    outer.entries.push_back({key, where, std::move(value)});
    value = std::move(outer);
    if (dot == std::string_view::npos) break;
    rest = rest.substr(0, dot);
  }
  if (tree.is_null()) tree = {.kind = ConfigTree::Kind::kMap, .where = where};
  merge_trees(tree, std::move(value));
}

/// Puts the schema's defaults where nothing is said, so that `${…}` can name them.
void add_defaults(ConfigTree& tree, const std::string& config_name) {
  const ConfigTree* type = tree.find_path("dataset.type");
  const std::string dataset_type = type != nullptr ? type->scalar : "";
  for (const KeySpec& key : config_schema()) {
    const ConfigTree* said = tree.find_path(key.path);
    if (key.required || (said != nullptr && !said->is_null())) continue;
    ConfigTree value;
    if (key.belongs_to(dataset_type)) value = read_yaml_text(key.default_yaml, "default");
    value.where = {};
    substitute_builtins(value, {{std::string(kBuiltins[1]), config_name}});
    ConfigTree* section = &tree;
    const std::string section_of_key(section_name(key.path));
    if (!section_of_key.empty()) {
      section = tree.find(section_of_key);
      if (section == nullptr || section->is_null()) {
        merge_trees(tree, {.kind = ConfigTree::Kind::kMap,
                           .entries = {{section_of_key, {}, {.kind = ConfigTree::Kind::kMap}}}});
        section = tree.find(section_of_key);
      }
    }
    if (!section->is_map()) continue;  // the validator says what is wrong with it
    const std::string leaf(leaf_name(key.path));
    if (ConfigTree* unset = section->find(leaf)) {
      *unset = std::move(value);
    } else {
      section->entries.push_back({leaf, {}, std::move(value)});
    }
  }
}

ConfigValues resolve(ConfigTree tree, const std::string& config_name,
                     const std::vector<std::string>& overrides) {
  for (const std::string& text : overrides) apply_override(tree, text);
  ConfigProblems problems;
  ConfigTree sweep;
  if (tree.is_map() || tree.is_null()) {
    if (ConfigTree* section = tree.find(kSweepKey)) sweep = std::move(*section);
    std::erase_if(tree.entries, [](const ConfigTree::Entry& e) { return e.key == kSweepKey; });
    if (tree.is_null()) tree.kind = ConfigTree::Kind::kMap;
    add_defaults(tree, config_name);
    substitute_keys(tree, problems);
    problems.throw_if_any();
  }
  return ConfigValues(tree, std::move(sweep));
}

}  // namespace

ConfigValues load_config(const fs::path& file, const std::vector<std::string>& overrides) {
  return resolve(BaseReader().read(file, {}), file.stem().string(), overrides);
}

ConfigValues load_config_text(const std::string& text, const std::string& source,
                              const std::vector<std::string>& overrides) {
  const std::string stem = fs::path(source).stem().string();
  return resolve(BaseReader().with_bases(read_yaml_text(text, source), source), stem, overrides);
}

ConfigValues load_stored_config(const std::string& yaml, const std::string& source) {
  return load_config_text(without_substitution(yaml), source);
}

}  // namespace cfp
