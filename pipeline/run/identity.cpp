#include "pipeline/run/identity.h"

#include <algorithm>

#include <fmt/format.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

std::string hexadecimal(std::uint64_t hash) { return fmt::format("{:016x}", hash); }

/// A line for each key that changes results and has another value.
std::string differing_keys(const ConfigValues& earlier, const ConfigValues& now) {
  std::string lines;
  for (const KeySpec& key : config_schema()) {
    if (!key.changes_results) continue;
    const std::string was = to_flow_yaml(earlier.tree(key.path));
    const std::string is = to_flow_yaml(now.tree(key.path));
    if (was != is) lines += fmt::format("\n  {}: {} there, {} now", key.path, was, is);
  }
  return lines;
}

}  // namespace

RunIdentity identity_of(const Prepared& prepared) {
  return {hexadecimal(prepared.config.values.results_hash()),
          hexadecimal(prepared.manifest->hash()), hexadecimal(prepared.network->weights_hash)};
}

RunIdentity identity_of(const PartHeader& header) {
  return {header.config_hash, header.manifest_hash, header.weights_hash};
}

std::string to_line(const RunIdentity& identity) {
  return fmt::format("{} {} {}", identity.config, identity.manifest, identity.weights);
}

ResolvedConfig config_of_part(const PartHeader& header, const std::string& file,
                              PreprocessOptions& preprocess) {
  try {
    ResolvedConfig config = resolve_config(load_stored_config(header.config, file + ": config"));
    preprocess = resolve_preprocess(config.values, header.preset);
    return config;
  } catch (const ConfigError& error) {
    throw SystemError(fmt::format(
        "{}: its config is not one of this version (the part is of cfp {}): {}", file,
        header.versions.contains("cfp") ? header.versions.at("cfp") : "unknown", error.what()));
  }
}

bool belongs_to(const RunIdentity& identity, const PartHeader& last) {
  return identity == identity_of(last) ||
         ('\n' + last.continues).find('\n' + to_line(identity) + '\n') != std::string::npos;
}

std::string describe_other_classes(const std::vector<std::string>& earlier,
                                   const std::vector<std::string>& now) {
  if (earlier.size() != now.size()) {
    return fmt::format("\nnames of classes: {} there, {} now", earlier.size(), now.size());
  }
  const auto [was, is] = std::ranges::mismatch(earlier, now);
  if (was == earlier.end()) return "";
  return fmt::format("\nnames of classes: output {} is '{}' there, '{}' now", was - earlier.begin(),
                     *was, *is);
}

std::string describe_difference(const KnownRun& earlier, const std::string& place,
                                const Prepared& now) {
  const RunIdentity is = identity_of(now);
  std::string lines;
  const auto compare = [&](const char* what, const std::string& was_hash,
                           const std::string& is_hash) {
    if (was_hash == is_hash) return false;
    lines += fmt::format("\n{}: hash {} there, {} now", what, was_hash, is_hash);
    return true;
  };
  if (compare("config", earlier.identity.config, is.config)) {
    try {
      lines += differing_keys(load_stored_config(earlier.config, place), now.config.values);
    } catch (const ConfigError& error) {
      lines += fmt::format("\n  it is not one of this version: {}", error.what());
    }
  }
  compare("manifest (the clips and their labels)", earlier.identity.manifest, is.manifest);
  compare("weights", earlier.identity.weights, is.weights);
  return lines;
}

}  // namespace cfp
