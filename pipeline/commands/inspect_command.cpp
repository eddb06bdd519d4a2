#include <filesystem>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "pipeline/commands/commands.h"
#include "results/store/part_reader.h"
#include "stages/decode/video_decoder.h"
#include "stages/network/checkpoint/inspect.h"
#include "stages/network/exported/load_exported.h"

namespace cfp {
namespace {

void inspect_video(const std::string& path) {
  const VideoInfo info = probe(path);
  fmt::print("{}\n  codec       {}, {}\n  size        {} x {} pixels{}\n", path, info.codec,
             info.pixel_format, info.width, info.height,
             info.rotation_degrees != 0
                 ? fmt::format(", turned by {} degrees", info.rotation_degrees)
                 : "");
  fmt::print("  frames      {} (the header says {})\n  duration    {:.3f} s\n", info.frame_count,
             info.frame_count_from_header, info.duration_s);
  fmt::print("  frame rate  {:.3f} a second{}\n", info.average_fps,
             info.is_variable_frame_rate ? ", variable" : "");
}

void inspect_part(const std::string& path) {
  const PartReader part(path);
  const PartHeader& header = part.header();
  fmt::print("{}\n", path);
  if (header.random_weights) fmt::print("  RANDOM WEIGHTS\n");
  fmt::print("  run         {}\n  network     {}, weights {}\n  method      {}, preset {}\n",
             header.name, header.network, header.weights_hash, header.method, header.preset);
  fmt::print("  clips       {}\n  failures    {}\n  edges       {}\n  tubes       {}\n",
             part.clips(), part.failures(), part.has_edges() ? "yes" : "no",
             part.has_tubes() ? "yes" : "no");
  if (part.clips() == 0) return;
  const ClipResult first = part.read(0);
  for (const PyramidLayer& layer : first.pyramids.at(0).layers) {
    fmt::print("  layer       depth {:>3}  {}: {} kernels of {} channels\n", layer.depth,
               layer.name, layer.kernels.channels(), layer.channels.channels());
  }
}

/// The file's kind by its name; a checkpoint where nothing else is known.
ExitCode inspect_file(const std::string& path) {
  const std::string extension = std::filesystem::path(path).extension().string();
  if (extension == ".h5") {
    inspect_part(path);
    return ExitCode::kDone;
  }
  if (extension == ".pt2") {
    fmt::print("{}", describe_exported(path));
    return ExitCode::kDone;
  }
  for (const char* checkpoint : {".pth", ".pt", ".safetensors", ".tar", ".bin", ""}) {
    if (extension == checkpoint) {
      fmt::print("{}", describe_checkpoint(read_checkpoint(path)));
      return ExitCode::kDone;
    }
  }
  try {
    inspect_video(path);
  } catch (const DataError& error) {
    throw ConfigError(fmt::format("{} ({})", error.what(), to_string(error.reason())));
  }
  return ExitCode::kDone;
}

}  // namespace

void add_inspect(CLI::App& app, Command& command) {
  auto path = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("inspect", "Say what is in a checkpoint, a part or a video");
  verb->add_option("file", *path, "A .pth, .pt, .pt2, .safetensors, .h5 or media file")->required();
  verb->callback([path, &command] { command = [path] { return inspect_file(*path); }; });
}

}  // namespace cfp
