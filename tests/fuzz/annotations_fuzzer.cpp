// Any bytes as each of the annotation files: the first byte chooses the reader, the rest is the
// file; what else a reader needs stands beside it.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "datasets/boxes.h"
#include "datasets/class_names.h"
#include "datasets/database_json.h"
#include "datasets/dataset.h"
#include "datasets/gaze.h"
#include "stages/core/errors.h"
#include "tests/fuzz/memory_folder.h"

namespace cfp {
namespace {

namespace fs = std::filesystem;

/// A folder in memory with the files that do not change.
const fs::path& folder() {
  static const fs::path made = [] {
    const fs::path& path = fuzz::memory_folder();
    fs::create_directories(path / "media/a");
    const auto put = [&](const char* file, const char* text) { fuzz::write(path / file, text); };
    put("media/a/clip.mp4", "x");
    put("classInd.txt", "1 a\n2 b\n");
    put("EPIC_100_verb_classes.csv", "id,key\n0,take\n1,put\n");
    put("EPIC_100_noun_classes.csv", "id,key\n0,plate\n1,pan\n");
    put("EPIC_verb_classes.csv", "verb_id,class_key\n0,take\n1,put\n");
    put("EPIC_noun_classes.csv", "noun_id,class_key\n0,plate\n1,pan\n");
    put("action_idx.txt", "Open fridge 1\nTake pan 2\n");
    put("verb_idx.txt", "Open 1\nTake 2\n");
    put("noun_idx.txt", "fridge 1\npan 2\n");
    for (int i = 0; i < 51; ++i) put(("c" + std::to_string(i) + "_test_split1.txt").c_str(), "");
    fs::rename(path / "c0_test_split1.txt", path / "brush_hair_test_split1.txt");
    return path;
  }();
  return made;
}

void load(const char* type, const char* file) {
  load_dataset({.type = type,
                .data_root = (folder() / "media").string(),
                .file = (folder() / file).string(),
                .annotations = folder().string()});
}

void read(std::uint8_t reader, std::string_view bytes) {
  struct Reader {
    const char* file;
    void (*read)(const char* file);
  };
  static const Reader readers[] = {
      {"val.csv", [](const char* file) { load("kinetics400", file); }},
      {"testlist01.txt", [](const char* file) { load("ucf101", file); }},
      {"c1_test_split1.txt", [](const char* file) { load("hmdb51", file); }},
      {"EPIC_train_action_labels.csv", [](const char* file) { load("epic55", file); }},
      {"EPIC_100_validation.csv", [](const char* file) { load("epic100", file); }},
      {"test_split1.txt", [](const char* file) { load("egtea", file); }},
      {"list.txt", [](const char* file) { load("list", file); }},
      {"manifest.csv", [](const char* file) { load("manifest", file); }},
      {"base.json", [](const char* file) { read_database_json(folder() / file, "val", ""); }},
      {"names.txt", [](const char* file) { read_class_list(folder() / file); }},
      {"gaze.txt", [](const char* file) { read_gaze(folder() / file); }},
      {"boxes.csv", [](const char* file) { read_boxes(folder() / file); }}};
  const Reader& chosen = readers[reader % std::size(readers)];
  fuzz::write(folder() / chosen.file, bytes);
  chosen.read(chosen.file);
}

}  // namespace
}  // namespace cfp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  try {
    cfp::read(data[0], cfp::fuzz::as_text(data + 1, size - 1));
  } catch (const cfp::ConfigError&) {
    // The one way in which an annotation may be refused.
  }
  return 0;
}
