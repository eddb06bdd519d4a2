// What a part says about the run that made it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace cfp {

/// Version of the layout that docs/results.md describes; a reader refuses any other.
inline constexpr std::int32_t kPartSchemaVersion = 1;

/// `continues` has a line for each other identity among the parts that `--resume=force` went on
/// from: hashes of config, manifest and weights, with blanks between them.
///
/// Attributes of a part's root, so that a part can be understood without the run's folder.
struct PartHeader {
  std::string name;                             ///< of the run
  std::string config;                           ///< the resolved config, as YAML
  std::string config_hash;                      ///< hexadecimal
  std::string manifest_hash;                    ///< hexadecimal
  std::string weights_hash;                     ///< hexadecimal
  std::string network;                          ///< architecture: `resnet50_3d`, …
  std::string preset;                           ///< preprocessing preset
  std::string method;                           ///< name of the scorer
  std::string command;                          ///< command line that started the run
  std::string continues;                        ///< usually empty; hashes of earlier parts, below
  bool random_weights = false;                  ///< the numbers say nothing about any data
  std::vector<std::string> class_names;         ///< in the order of the logits; may be empty
  std::map<std::string, std::string> versions;  ///< library -> version, `cfp` among them

  bool operator==(const PartHeader&) const = default;
};

/// What of an explanation is stored.
struct StoreOptions {
  bool edges = true;
  bool tubes = true;
};

}  // namespace cfp
