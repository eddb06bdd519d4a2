#include "pipeline/config/documentation.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "pipeline/config/config_tree.h"
#include "pipeline/config/scalars.h"
#include "pipeline/config/schema.h"
#include "pipeline/config/yaml_reader.h"

namespace cfp {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kIntroduction =
    R"(<!-- Written by `cfp config --docs`; edit the schema (pipeline/config/schema_table.cpp) instead. -->
# Configuration

A config is a YAML file. `cfp run FILE` reads it; `cfp run FILE section.key=value …` changes single
keys for one run; `cfp config FILE` shows what comes out, and where each value came from.

- `_base_: other.yaml`, or a list of files, takes over what other configs say. A path is relative to
  the file in which it stands; later files win over earlier ones, the file itself over its bases, the
  command line over all. Sections merge key by key; lists are replaced as a whole.
- `${section.key}` in a text stands for the value of another key, `${config_dir}` for the folder of
  the file in which it stands, `${config_name}` for the name of that file without `.yaml`. `$${` is a
  plain `${`.
- `null` takes back what a base said: the default counts again.
- Paths are relative to the folder in which the program is started.
- A value on the command line is taken as it stands unless it begins with `[`, `{` or a quote; then
  it is YAML: `'dataset.classes=[archery, "air drumming"]'`.
- An unknown key, a key given twice, a wrong type or a value out of range is an error, found before
  any work starts, with file, line and column.

A section `sweep` names values that `cfp sweep` goes through, instead of `cfp run`:

```yaml
sweep:
  mode: grid                          # all combinations; `zip`: first with first, and so on
  explain.threshold: [0.4, 0.5, 0.6]
  network: [{type: resnet50_3d, checkpoint: a.pth}, {type: i3d, checkpoint: b.pth}]
```

or, one by one, `sweep: {points: [{explain.method: response, explain.threshold: 0.4}, …]}`. On the command
line it is `cfp sweep FILE explain.threshold=0.4,0.5,0.6 explain.method=gradient,response`.

`cfp config --json-schema` writes a JSON Schema, with which editors complete and check keys.
)";

std::string escape_cell(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string default_cell(const KeySpec& key) {
  if (key.required) return "**must be given**";
  if (key.default_yaml == "null") return "unset";
  return '`' + key.default_yaml + '`';
}

Json scalar_schema(const KeySpec& key, ValueKind kind) {
  Json schema;
  switch (kind) {
    case ValueKind::kBoolean:
      schema["type"] = "boolean";
      break;
    case ValueKind::kInteger:
      schema["type"] = "integer";
      break;
    case ValueKind::kReal:
      schema["type"] = "number";
      break;
    case ValueKind::kText:
      schema["type"] = "string";
      break;
  }
  if (kind == ValueKind::kInteger || kind == ValueKind::kReal) {
    if (key.minimum) schema[key.above_minimum ? "exclusiveMinimum" : "minimum"] = *key.minimum;
    if (key.maximum) schema["maximum"] = *key.maximum;
  }
  return schema;
}

Json default_json(const ConfigTree& value) {
  if (value.kind == ConfigTree::Kind::kList) return Json::array();
  if (value.is_null()) return nullptr;
  if (const auto flag = scalar_to_boolean(value.scalar)) return *flag;
  if (const auto whole = scalar_to_integer(value.scalar)) return *whole;
  if (const auto number = scalar_to_real(value.scalar)) return *number;
  return value.scalar;
}

Json key_schema(const KeySpec& key) {
  Json any = Json::array();
  if (!key.words.empty()) any.push_back({{"enum", key.words}});
  for (const ValueKind kind : key.kinds) any.push_back(scalar_schema(key, kind));
  if (!key.list_of.empty()) {
    Json items = Json::array();
    for (const ValueKind kind : key.list_of) items.push_back(scalar_schema(key, kind));
    any.push_back({{"type", "array"},
                   {"items", {{"anyOf", items}}},
                   {"minItems", key.list_min},
                   {"maxItems", key.list_max}});
  }
  // Any text may hold a substitution, whatever it stands for.
  any.push_back({{"type", "string"}, {"pattern", R"(\$\{)"}});
  if (!key.required) any.push_back({{"type", "null"}});

  Json schema;
  schema["description"] = key.meaning + (key.unit.empty() ? "" : " [" + key.unit + "]");
  schema["anyOf"] = any;
  if (!key.required) schema["default"] = default_json(read_yaml_text(key.default_yaml, key.path));
  return schema;
}

}  // namespace

std::string config_reference_markdown() {
  std::string page(kIntroduction);
  for (const SectionSpec& section : config_sections()) {
    page += fmt::format("\n## {}\n\n{}\n\n", section.name.empty() ? "Top level" : section.name,
                        section.meaning);
    page += "| key | accepts | default | meaning |\n|---|---|---|---|\n";
    for (const KeySpec& key : config_schema()) {
      if (section_name(key.path) != section.name) continue;
      std::string accepts = escape_cell(describe_accepted(key));
      if (!key.unit.empty()) accepts += fmt::format(" [{}]", key.unit);
      std::string meaning = escape_cell(key.meaning);
      if (!key.only_with.empty()) {
        meaning += fmt::format(" (only with dataset type: {})", key.only_with);
      }
      page +=
          fmt::format("| `{}` | {} | {} | {} |\n", key.path, accepts, default_cell(key), meaning);
    }
  }
  page += "\nKeys that never change results, only how fast they come and where they go:\n";
  for (const KeySpec& key : config_schema()) {
    if (!key.changes_results) page += fmt::format("`{}` ", key.path);
  }
  page.back() = '\n';
  return page;
}

std::string config_json_schema() {
  Json root;
  root["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  root["title"] = "cfp config";
  root["type"] = "object";
  root["additionalProperties"] = false;
  Json& properties = root["properties"];
  properties["_base_"] = {
      {"description", "Configs to start from, relative to this file."},
      {"anyOf", {{{"type", "string"}}, {{"type", "array"}, {"items", {{"type", "string"}}}}}}};
  properties["sweep"] = {
      {"description", "Values that `cfp sweep` goes through: a list of values by key."},
      {"type", {"object", "null"}},
      {"properties",
       {{"mode", {{"enum", {"grid", "zip"}}}},
        {"points", {{"type", "array"}, {"items", {{"type", "object"}}}}}}},
      {"additionalProperties", {{"type", "array"}}}};
  for (const SectionSpec& section : config_sections()) {
    Json keys = Json::object();
    for (const KeySpec& key : config_schema()) {
      if (section_name(key.path) == section.name) {
        keys[std::string(leaf_name(key.path))] = key_schema(key);
      }
    }
    if (section.name.empty()) {
      properties.update(keys);
    } else {
      properties[section.name] = {{"description", section.meaning},
                                  {"type", {"object", "null"}},
                                  {"additionalProperties", false},
                                  {"properties", keys}};
    }
  }
  return root.dump(2) + '\n';
}

}  // namespace cfp
