#include <filesystem>
#include <functional>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "pipeline/commands/commands.h"
#include "pipeline/run/build_info.h"
#include "pipeline/run/environment.h"
#include "stages/decode/image_codec.h"
#include "stages/decode/video_decoder.h"
#include "stages/decode/video_writer.h"
#include "stages/network/fused_convolutions.h"
#include "stages/pyramid/explainer.h"

namespace cfp {
namespace {

namespace fs = std::filesystem;

/// Runs one trial and says how it went.
bool trial(const std::string& name, const std::function<void()>& action) {
  try {
    action();
    fmt::print("  ok      {}\n", name);
    return true;
  } catch (const std::exception& error) {
    fmt::print("  FAILED  {}: {}\n", name, error.what());
    return false;
  }
}

/// Writes a few frames and reads them back.
void try_video(const fs::path& file, VideoWriterOptions::Codec codec) {
  const std::vector<std::uint8_t> grey(std::size_t{64} * 64 * 3, 128);
  VideoWriter writer(file, 64, 64, {.codec = codec});
  for (int frame = 0; frame < 16; ++frame) writer.write(grey.data());
  writer.finish();
  const VideoInfo info = probe(file.string());
  fs::remove(file);
  if (info.frame_count != 16) {
    throw SystemError(fmt::format("16 frames were written, {} came back", info.frame_count));
  }
}

ExitCode examine() {
  const BuildInfo& build = build_info();
  const Machine machine = describe_machine();
  fmt::print("cfp {} ({}), {} {}\n", build.version, build.git, build.compiler, build.build_type);
  for (const auto& [library, version] : build.libraries) {
    fmt::print("  {:<12} {}\n", library, version);
  }
  fmt::print("machine\n  {} x {}, {:.1f} GiB, {}\n", machine.processors, machine.cpu,
             static_cast<double>(machine.memory_bytes) / (1U << 30U), machine.system);
  fmt::print("devices (runtime.devices: auto)\n");
  for (const std::string& device : available_devices()) fmt::print("  {}\n", device);
  // Their absence is no failure, but never silent.
  fmt::print("  fused convolutions on the CPU: {}\n",
             fused_convolutions_available() ? "available" : "NOT AVAILABLE, convolutions are slow");

  fmt::print("trials\n");
  const fs::path temporary = fs::temp_directory_path() / fmt::format("cfp-doctor-{}", getpid());
  const auto named = [&](const char* ending) { return fs::path(temporary).concat(ending); };
  const bool h264 =
      trial("H.264 video", [&] { try_video(named(".mp4"), VideoWriterOptions::Codec::kH264); });
  const bool mpeg4 =
      trial("MPEG-4 video", [&] { try_video(named(".mp4"), VideoWriterOptions::Codec::kMpeg4); });
  const bool jpeg = trial("JPEG pictures", [] {
    const std::vector<std::uint8_t> grey(std::size_t{64} * 64 * 3, 128);
    encode_jpeg(grey.data(), 64, 64);
  });
  return (h264 || mpeg4) && jpeg ? ExitCode::kDone : ExitCode::kSystem;
}

}  // namespace

void add_doctor(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("doctor", "Say which libraries, devices and codecs are here");
  verb->callback([&command] { command = examine; });
}

}  // namespace cfp
