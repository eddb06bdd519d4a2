// Makes the clips of the moving_shapes data set and a manifest of them; for scripts/train_demo.py
// and scripts/faithfulness.py.
//
//   moving_shapes --out clips --split train --count 3000 --seed 1 --manifest train.csv

#include <cstdint>
#include <cstdio>
#include <exception>
#include <numeric>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "datasets/manifest.h"
#include "datasets/moving_shapes_files.h"
#include "stages/core/errors.h"
#include "stages/core/output_file.h"

namespace {

int exit_status(cfp::ExitCode code, const std::exception& error) {
  std::fprintf(stderr, "moving_shapes: %s\n", error.what());
  return static_cast<int>(code);
}

/// Writes the masks of all clips one after the other, [count, clip_len, size, size] bytes: 1 inside
/// the acting shape, 0 outside.
void write_masks(const std::string& path, const cfp::MovingShapesOptions& options) {
  cfp::OutputFile file(path);
  for (std::int64_t clip = 0; clip < options.count; ++clip) {
    const std::vector<std::uint8_t> mask = cfp::moving_shapes_mask(options, clip);
    file.write({reinterpret_cast<const char*>(mask.data()), mask.size()});
  }
  file.finish();
}

}  // namespace

int main(int argc, char** argv) {
  cfp::MovingShapesOptions options;
  std::string out, manifest_path, masks_path;
  CLI::App app("Makes the clips of the moving_shapes data set.");
  app.add_option("--out", out, "folder for the clips")->required();
  app.add_option("--split", options.split, "train, val or test")->capture_default_str();
  app.add_option("--count", options.count, "number of clips")->capture_default_str();
  app.add_option("--clip_len", options.clip_len, "frames a clip")->capture_default_str();
  app.add_option("--size", options.size, "width and height in pixels")->capture_default_str();
  app.add_option("--seed", options.seed, "other seeds give other clips")->capture_default_str();
  app.add_option("--manifest", manifest_path, "CSV file to write: a row a clip");
  app.add_option("--masks", masks_path,
                 "file to write: a byte for each pixel of each frame of each clip, 1 inside the "
                 "acting shape");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(cfp::ExitCode::kConfig);
  }
  try {
    const cfp::Manifest manifest = cfp::moving_shapes_manifest(options, out);
    std::vector<std::int64_t> indices(manifest.rows.size());
    std::iota(indices.begin(), indices.end(), 0);
    const std::int64_t made = cfp::make_moving_shapes_files(options, out, indices);
    std::printf("%zu clips in %s, %lld of them made now\n", manifest.rows.size(),
                cfp::moving_shapes_folder(options, out).c_str(), static_cast<long long>(made));
    if (!manifest_path.empty()) cfp::write_manifest(manifest_path, manifest);
    if (!masks_path.empty()) write_masks(masks_path, options);
    return static_cast<int>(cfp::ExitCode::kDone);
  } catch (const cfp::ConfigError& error) {
    return exit_status(cfp::ExitCode::kConfig, error);
  } catch (const cfp::SystemError& error) {
    return exit_status(cfp::ExitCode::kSystem, error);
  } catch (const std::exception& error) {
    return exit_status(cfp::ExitCode::kBug, error);
  }
}
