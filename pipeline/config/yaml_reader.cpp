#include "pipeline/config/yaml_reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "pipeline/config/scalars.h"
#include "stages/core/errors.h"

namespace cfp {
namespace {

constexpr std::size_t kMostBytes = 1 << 20;   // a config of a thousand lines has 50 kB
constexpr std::size_t kDeepest = 20;          // the schema has three levels
constexpr std::size_t kMostValues = 200'000;  // also bounds what aliases expand to
constexpr std::size_t kBytesOfAValue = 64;    // a longer scalar counts as several values

/// @return whether the quoted scalar that begins at `at` has its closing quote; yaml-cpp takes the
///         end of the file for one
/// @param at  offset of the quote, or of an anchor or tag before it
bool is_closed_quote(std::string_view text, std::size_t at) {
  while (at < text.size() && (text[at] == '&' || text[at] == '!')) {
    at =
        text.find_first_not_of(" \t\r\n", std::min(text.find_first_of(" \t\r\n", at), text.size()));
  }
  if (at >= text.size() || (text[at] != '\'' && text[at] != '"')) return true;
  const char quote = text[at];
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      if (quote == '"' || i + 1 >= text.size() || text[i + 1] != quote) return true;
      ++i;
    }
  }
  return false;
}

/// Builds a ConfigTree from yaml-cpp's events; its own tree keeps duplicate keys silently.
class TreeBuilder : public YAML::EventHandler {
 public:
  /// @param text  what is parsed; must outlive the builder
  TreeBuilder(std::string_view text, const std::string& source)
      : text_(text), source_(std::make_shared<const std::string>(source)) {}

  ConfigTree take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add_value(mark, {.kind = ConfigTree::Kind::kNull, .where = position(mark)}, anchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(mark, tag);
    if (!is_clean_text(value)) fail(mark, "a control character or text that is not UTF-8");
    if (tag == "!" && !is_closed_quote(text_, static_cast<std::size_t>(std::max(mark.pos, 0)))) {
      fail(mark, "not valid YAML: the closing quote is missing");
    }
    add_value(mark,
              {.kind = ConfigTree::Kind::kScalar,
               .where = position(mark),
               .scalar = value,
               .quoted = tag == "!"},
              anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto target = anchors_.find(anchor);
    if (target == anchors_.end()) fail(mark, "an alias inside the value that it names");
    count(mark, target->second.values);
    ConfigTree copy = target->second.tree;
    place(std::move(copy));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, ConfigTree::Kind::kList);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, ConfigTree::Kind::kMap);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    ConfigTree tree;
    YAML::anchor_t anchor;
    std::size_t values_before;
    bool has_key = false;
    ConfigTree key;
    std::set<std::string, std::less<>> keys;
  };
  struct Anchor {
    ConfigTree tree;
    std::size_t values;
  };

  SourcePosition position(const YAML::Mark& mark) const {
    return {source_, mark.line + 1, mark.column + 1};
  }
  [[noreturn]] void fail(const YAML::Mark& mark, const std::string& reason) const {
    throw ConfigError(fmt::format("{}: {}", position(mark).to_string(), reason));
  }
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?" && tag != "!") {
      fail(mark, fmt::format("the tag '{}'; a config has no tags", tag));
    }
  }
  void count(const YAML::Mark& mark, std::size_t values) {
    values_ += values;
    if (values_ > kMostValues) {
      fail(mark, fmt::format("more than {} values, long ones counted several times and aliases as "
                             "what they stand for",
                             kMostValues));
    }
  }
  void add_value(const YAML::Mark& mark, ConfigTree tree, YAML::anchor_t anchor) {
    const std::size_t values = 1 + tree.scalar.size() / kBytesOfAValue;
    count(mark, values);
    if (anchor != YAML::NullAnchor) anchors_[anchor] = {tree, values};
    place(std::move(tree));
  }
  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            ConfigTree::Kind kind) {
    refuse_tag(mark, tag);
    if (stack_.size() >= kDeepest) fail(mark, fmt::format("nested deeper than {}", kDeepest));
    stack_.push_back({.tree = {.kind = kind, .where = position(mark)},
                      .anchor = anchor,
                      .values_before = values_});
    count(mark, 1);
  }
  void close() {
    Open done = std::move(stack_.back());
    stack_.pop_back();
    if (done.anchor != YAML::NullAnchor) {
      anchors_[done.anchor] = {done.tree, values_ - done.values_before};
    }
    place(std::move(done.tree));
  }
  void place(ConfigTree tree) {
    if (stack_.empty()) {
      root_ = std::move(tree);
      return;
    }
    Open& top = stack_.back();
    if (top.tree.kind == ConfigTree::Kind::kList) {
      top.tree.items.push_back(std::move(tree));
    } else if (!top.has_key) {
      take_key(top, std::move(tree));
    } else {
      top.tree.entries.push_back({top.key.scalar, top.key.where, std::move(tree)});
      top.has_key = false;
    }
  }
  void take_key(Open& top, ConfigTree key) const {
    if (key.kind != ConfigTree::Kind::kScalar) {
      throw ConfigError(fmt::format("{}: a key must be a word", key.where.to_string()));
    }
    if (!top.keys.insert(key.scalar).second) {
      const auto first = std::ranges::find(top.tree.entries, key.scalar, &ConfigTree::Entry::key);
      throw ConfigError(fmt::format("{}: {}: the same key twice; the first is at line {}",
                                    key.where.to_string(), key.scalar, first->where.line));
    }
    top.key = std::move(key);
    top.has_key = true;
  }

  std::string_view text_;
  std::shared_ptr<const std::string> source_;
  ConfigTree root_;
  std::vector<Open> stack_;
  std::map<YAML::anchor_t, Anchor> anchors_;
  std::size_t values_ = 0;
};

}  // namespace

ConfigTree read_yaml_text(const std::string& raw, const std::string& source) {
  // Without the byte-order mark, so that yaml-cpp's offsets are offsets into the text.
  const std::string text = raw.starts_with("\xEF\xBB\xBF") ? raw.substr(3) : raw;
  if (text.size() > kMostBytes) {
    throw ConfigError(
        fmt::format("{}: {} bytes; a config has at most {}", source, text.size(), kMostBytes));
  }
  if (!is_clean_text(text)) {
    throw ConfigError(fmt::format("{}: not a text file in UTF-8", source));
  }
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    TreeBuilder builder(text, source);
    parser.HandleNextDocument(builder);
    TreeBuilder rest(text, source);
    if (parser.HandleNextDocument(rest)) {
      throw ConfigError(fmt::format("{}: more than one YAML document", source));
    }
    return builder.take();
  } catch (const YAML::Exception& error) {
    throw ConfigError(fmt::format("{}:{}:{}: not valid YAML: {}", source, error.mark.line + 1,
                                  error.mark.column + 1, error.msg));
  }
}

ConfigTree read_yaml_file(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) {
    throw ConfigError(fmt::format("{}: this is a folder, not a config file", path.string()));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw ConfigError(
        fmt::format("{}: cannot open the config: {}", path.string(), std::strerror(errno)));
  }
  // One byte more than allowed, so that an endless file is noticed without being read.
  std::string text(kMostBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return read_yaml_text(text, path.string());
}

ConfigTree read_override_value(const std::string& text) {
  static const std::string kSource = "command line";
  if (!text.empty() && std::string_view("[{\"'").find(text.front()) != std::string_view::npos) {
    ConfigTree tree = read_yaml_text(text, kSource);
    return tree;
  }
  if (!is_clean_text(text)) throw ConfigError("command line: a value that is not text in UTF-8");
  ConfigTree tree;
  tree.where.source = std::make_shared<const std::string>(kSource);
  if (!looks_like_null(text)) {
    tree.kind = ConfigTree::Kind::kScalar;
    tree.scalar = text;
  }
  return tree;
}

}  // namespace cfp
