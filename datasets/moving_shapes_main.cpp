// Makes the clips of the moving_shapes data set and a manifest of them; for scripts/train_demo.py
// and scripts/faithfulness.py.
//
//   moving_shapes --out clips --split train --count 3000 --seed 1 --manifest train.csv

#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "datasets/boxes.h"
#include "datasets/manifest.h"
#include "datasets/moving_shapes_files.h"
#include "stages/core/errors.h"
#include "stages/core/output_file.h"
#include "stages/decode/image_codec.h"

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

/// Writes the masks of a clip as a folder of pictures, one a frame: white inside the acting shape,
/// black outside; the form that list_masks() reads.
void write_mask_folder(const std::filesystem::path& folder, const cfp::MovingShapesOptions& options,
                       std::int64_t clip) {
  std::filesystem::create_directories(folder);
  const std::vector<std::uint8_t> mask = cfp::moving_shapes_mask(options, clip);
  const std::size_t pixels = mask.size() / static_cast<std::size_t>(options.clip_len);
  std::vector<std::uint8_t> rgb(pixels * 3);
  for (int frame = 0; frame < options.clip_len; ++frame) {
    for (std::size_t i = 0; i < rgb.size(); ++i) {
      rgb[i] = mask[static_cast<std::size_t>(frame) * pixels + i / 3] != 0 ? 255 : 0;
    }
    const auto png = cfp::encode_png(rgb.data(), options.size, options.size);
    cfp::write_file(cfp::mask_path(folder, frame),
                    {reinterpret_cast<const char*>(png.data()), png.size()});
  }
}

}  // namespace

int main(int argc, char** argv) {
  cfp::MovingShapesOptions options;
  std::string out, manifest_path, masks_path, mask_folders;
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
  app.add_option("--mask_folders", mask_folders,
                 "folder to write to: a folder a clip with a PNG a frame, white inside the acting "
                 "shape");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(cfp::ExitCode::kConfig);
  }
  try {
    cfp::Manifest manifest = cfp::moving_shapes_manifest(options, out);
    std::vector<std::int64_t> indices(manifest.rows.size());
    std::iota(indices.begin(), indices.end(), 0);
    const std::int64_t made = cfp::make_moving_shapes_files(options, out, indices);
    std::printf("%zu clips in %s, %lld of them made now\n", manifest.rows.size(),
                cfp::moving_shapes_folder(options, out).c_str(), static_cast<long long>(made));
    if (!mask_folders.empty()) {
      for (cfp::ManifestRow& row : manifest.rows) {
        row.references.masks = (std::filesystem::path(mask_folders) / row.clip_id).string();
        write_mask_folder(row.references.masks, options, row.row);
      }
    }
    if (!manifest_path.empty()) cfp::write_manifest(manifest_path, manifest);
    if (!masks_path.empty()) write_masks(masks_path, options);
    return static_cast<int>(cfp::ExitCode::kDone);
  } catch (const cfp::ConfigError& error) {
    return exit_status(cfp::ExitCode::kConfig, error);
  } catch (const std::filesystem::filesystem_error& error) {
    return exit_status(cfp::ExitCode::kSystem, error);
  } catch (const cfp::SystemError& error) {
    return exit_status(cfp::ExitCode::kSystem, error);
  } catch (const std::exception& error) {
    return exit_status(cfp::ExitCode::kBug, error);
  }
}
