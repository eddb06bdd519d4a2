// Writing videos: the clips of the demo data set, overlay videos of the report, clips of the tests.
//
//   VideoWriter writer("overlay.mp4", 224, 224, {.fps = 25});
//   for (…) writer.write(rgb);   // [224, 224, 3]
//   writer.finish();
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace cfp {

struct VideoWriterOptions {
  enum class Codec {
    kAuto,  ///< H.264 where FFmpeg has libx264, else MPEG-4
    kH264,
    kMpeg4,
    kFfv1,  ///< lossless RGB; what is read back equals what was written, byte by byte
  };

  double fps = 25;  ///< frames a second, above 0; of frames that have no times of their own
  Codec codec = Codec::kAuto;
  int crf = 18;            ///< 0 (largest file) to 51; H.264's scale, for MPEG-4 mapped to its own
  bool has_times = false;  ///< every frame says when it is shown; fps is not used
  std::string title;       ///< written into the file, UTF-8; may be empty
};

/// Writes one video file of RGB frames, whole or not at all.
///
/// The file is written beside its place and renamed by finish(); without finish() nothing is left.
/// Equal frames and options give equal bytes: one encoder thread, no dates, no random ids.
class VideoWriter {
 public:
  /// @param path     ends in `.mp4` or `.mkv`, which decides the container; FFV1 needs `.mkv`
  /// @param width    pixels, 1..16384; even for H.264
  /// @param height   pixels, 1..16384; even for H.264
  /// @throws ConfigError an argument is out of its range
  /// @throws SystemError the encoder is missing or the file cannot be written
  VideoWriter(const std::filesystem::path& path, int width, int height,
              const VideoWriterOptions& options = {});
  ~VideoWriter();
  VideoWriter(VideoWriter&&) noexcept;
  VideoWriter& operator=(VideoWriter&&) noexcept;

  /// @param rgb [height, width, 3], 0..255
  /// @throws SystemError encoding or writing failed
  void write(const std::uint8_t* rgb);

  /// Writes a frame of a video whose frames have times; both are kept to 1/60000 s.
  ///
  /// @param rgb         [height, width, 3], 0..255
  /// @param time_s      when it is shown, from 0; above that of the frame before
  /// @param duration_s  how long, above 0; counts for the last frame, others end with the next
  /// @throws std::invalid_argument a time or duration that is none, or not above the one before
  /// @throws SystemError encoding or writing failed
  void write(const std::uint8_t* rgb, double time_s, double duration_s);

  /// Ends the file and gives it its name. Nothing can be written afterwards.
  /// @throws SystemError the disk is full, the folder is not writable, …
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cfp
