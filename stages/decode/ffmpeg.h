// FFmpeg's objects as C++ values; for the sources of this folder alone.
//
// Every status is checked on the line after the call, with `status < 0`, and told in the words of
// failure_text(): FFmpeg's name of the code and what it logged, which is often the better clue
// ("moov atom not found" against "Invalid data found when processing input").
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <cstdint>
#include <filesystem>
#include <new>
#include <string>

#include "stages/core/c_handle.h"

namespace cfp {

using AvCodecContextPtr = CPtr<AVCodecContext, avcodec_free_context>;
using AvFramePtr = CPtr<AVFrame, av_frame_free>;
using AvInputPtr = CPtr<AVFormatContext, avformat_close_input>;
using AvPacketPtr = CPtr<AVPacket, av_packet_free>;
using SwsContextPtr = CPtr<SwsContext, sws_freeContext>;

/// Sides above this are refused: nothing that a network looks at is larger, and a hostile header
/// must not decide how much memory is taken.
inline constexpr int kMaxSide_px = 16384;

/// Keeps FFmpeg from writing to the terminal and notes, for each thread, what it complains of
/// first; what follows is mostly a consequence. Forgets earlier complaints. Cheap; called before
/// each use.
void capture_ffmpeg_log();

/// @return FFmpeg's name of `status`, and the first complaint that this thread's calls logged since
///         capture_ffmpeg_log(), if any: `Invalid data found … (moov atom not found)`
std::string failure_text(int status);

/// @return the first complaint alone; empty where nothing was logged
std::string first_complaint();

/// @return `path` as a URL that FFmpeg cannot take for a protocol: `file:…`
std::string file_url(const std::filesystem::path& path);

/// @return an RGB24 frame holding a copy of `rgb`; its rows are padded, because swscale's vector
///         code reads and writes beyond the end of a row
/// @param rgb [height, width, 3]
AvFramePtr rgb_frame(const std::uint8_t* rgb, int width, int height);

/// @throws std::bad_alloc the C library could not allocate
template <class Ptr>
Ptr checked_allocation(Ptr object) {
  if (object == nullptr) throw std::bad_alloc();
  return object;
}

}  // namespace cfp
