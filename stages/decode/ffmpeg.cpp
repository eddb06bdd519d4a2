#include "stages/decode/ffmpeg.h"

#include <array>
#include <cstdarg>
#include <cstdio>
#include <mutex>

namespace cfp {
namespace {

thread_local std::string t_first_complaint;

void remember_complaint(void*, int level, const char* format, va_list arguments) {
  if (level > AV_LOG_ERROR || !t_first_complaint.empty()) return;
  std::array<char, 256> line{};
  std::vsnprintf(line.data(), line.size(), format, arguments);
  std::string text(line.data());
  while (!text.empty() && (text.back() == '\n' || text.back() == '.' || text.back() == ' ')) {
    text.pop_back();
  }
  if (!text.empty()) t_first_complaint = std::move(text);
}

}  // namespace

void capture_ffmpeg_log() {
  static std::once_flag once;
  std::call_once(once, [] { av_log_set_callback(remember_complaint); });
  t_first_complaint.clear();
}

std::string first_complaint() { return t_first_complaint; }

std::string failure_text(int status) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> name{};
  av_strerror(status, name.data(), name.size());
  std::string text(name.data());
  if (!t_first_complaint.empty()) text += " (" + t_first_complaint + ")";
  return text;
}

std::string file_url(const std::filesystem::path& path) { return "file:" + path.string(); }

AvFramePtr rgb_frame(const std::uint8_t* rgb, int width, int height) {
  AvFramePtr frame = checked_allocation(AvFramePtr(av_frame_alloc()));
  frame->format = AV_PIX_FMT_RGB24;
  frame->width = width;
  frame->height = height;
  if (av_frame_get_buffer(frame.get(), 0) < 0) throw std::bad_alloc();
  av_image_copy_plane(frame->data[0], frame->linesize[0], rgb, 3 * width, 3 * width, height);
  return frame;
}

}  // namespace cfp
