// What a part says about the run that made it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cfp {

/// Version of the layout that docs/results.md describes. A reader takes this one and those before,
/// which differ in nothing but that they hold float32 alone.
inline constexpr std::int32_t kPartSchemaVersion = 2;

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

/// What a part holds of numbers that were computed as float32.
enum class StoredAs {
  kFloat32,  ///< the numbers
  kUInt16,   ///< the nearest of 65535 steps of their range
  kUInt8     ///< the nearest of 255
};

/// What of an explanation is stored, and how. docs/results.md has the figures behind the defaults.
struct StoreOptions {
  bool edges = true;
  bool tubes = true;
  StoredAs tube_values = StoredAs::kFloat32;  ///< range: of the tube
  StoredAs edge_scores = StoredAs::kFloat32;  ///< range: 0 to the layer's largest score
  std::optional<int> deflate;        ///< level, 0..9, 0: not packed; absent: 4, of floats 1
  std::size_t chunk_bytes = 32'768;  ///< of numbers before packing: a row at least, 64 at most
};

}  // namespace cfp
