#include "stages/decode/picture_file.h"

#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stages/core/errors.h"

namespace cfp {
namespace {

/// No picture that is small enough to be decoded takes more, even uncompressed at 16 bits.
constexpr std::int64_t kMaxFileBytes = 512 << 20;
constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";

using Bytes = std::span<const std::uint8_t>;
using FileDescriptor = CHandle<int, -1, ::close>;

[[noreturn]] void fail(FailureReason reason, const std::string& path, const std::string& why) {
  throw DataError(reason, fmt::format("{}: {}", path, why));
}

std::string system_message() { return std::strerror(errno); }

FileDescriptor open_file(const std::string& path, std::int64_t& size) {
  // Not waiting, because opening a pipe would wait for its writer.
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR) {
      fail(FailureReason::kDecodeError, path, "there is no such picture in the sequence");
    }
    fail(FailureReason::kUnreadable, path, system_message());
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail(FailureReason::kUnreadable, path, system_message());
  if (!S_ISREG(status.st_mode)) {
    fail(FailureReason::kUnreadable, path,
         S_ISDIR(status.st_mode) ? "is a folder, not a picture" : "is not a regular file");
  }
  if (status.st_size == 0) fail(FailureReason::kEmpty, path, "the file has no bytes");
  if (status.st_size > kMaxFileBytes) {
    fail(FailureReason::kUnreadable, path,
         fmt::format("a picture of {} bytes is refused; at most {} are read", status.st_size,
                     kMaxFileBytes));
  }
  size = status.st_size;
  return file;
}

AvPacketPtr read_bytes(const std::string& path) {
  std::int64_t size = 0;
  const FileDescriptor file = open_file(path, size);
  AvPacketPtr bytes = checked_allocation(AvPacketPtr(av_packet_alloc()));
  if (av_new_packet(bytes.get(), static_cast<int>(size)) < 0) throw std::bad_alloc();
  for (std::int64_t done = 0; done < size;) {
    const ssize_t count =
        ::read(file.get(), bytes->data + done, static_cast<std::size_t>(size - done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(FailureReason::kUnreadable, path, system_message());
    if (count == 0) fail(FailureReason::kDecodeError, path, "the file shrank while it was read");
    done += count;
  }
  return bytes;
}

std::int64_t big_endian(Bytes bytes, std::size_t at, int count) {
  std::int64_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | bytes[at + static_cast<std::size_t>(i)];
  return value;
}

/// What a walk over the parts of a picture file finds.
struct Layout {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::size_t end = 0;  ///< where the picture ends; 0: behind the end of the file
};

bool is_marker_without_length(int marker) {
  return marker == 0x01 || (marker >= 0xD0 && marker <= 0xD7);
}

bool is_frame_header(int marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

/// Walks from marker to marker. Compressed data have none but 00 (a stuffed byte) and restarts, so
/// looking for the next other one passes over them.
Layout jpeg_layout(Bytes bytes) {
  Layout layout;
  std::size_t at = 2;
  while (at + 1 < bytes.size()) {
    const int marker = bytes[at + 1];
    const bool is_marker = bytes[at] == 0xFF && marker != 0x00 && marker != 0xFF;
    if (!is_marker) {
      ++at;
      continue;
    }
    at += 2;
    if (marker == 0xD9) {
      layout.end = at;
      return layout;
    }
    if (is_marker_without_length(marker)) continue;
    if (at + 2 > bytes.size()) return layout;
    const std::int64_t length = big_endian(bytes, at, 2);
    if (is_frame_header(marker) && length >= 8 && at + 7 <= bytes.size()) {
      layout.height = big_endian(bytes, at + 3, 2);
      layout.width = big_endian(bytes, at + 5, 2);
    }
    at += static_cast<std::size_t>(length);
  }
  return layout;
}

Layout png_layout(Bytes bytes) {
  Layout layout;
  std::size_t at = kPngSignature.size();
  while (at + 12 <= bytes.size()) {
    const auto length = static_cast<std::size_t>(big_endian(bytes, at, 4));
    const std::string_view type(reinterpret_cast<const char*>(&bytes[at + 4]), 4);
    if (length > bytes.size() - at - 12) return layout;
    if (type == "IHDR" && length >= 8) {
      layout.width = big_endian(bytes, at + 8, 4);
      layout.height = big_endian(bytes, at + 12, 4);
    }
    at += length + 12;
    if (type == "IEND") {
      layout.end = at;
      return layout;
    }
  }
  return layout;
}

}  // namespace

PictureFile read_picture(const std::string& path, const DecodeLimits& limits) {
  PictureFile file;
  file.bytes = read_bytes(path);
  const Bytes bytes(file.bytes->data, static_cast<std::size_t>(file.bytes->size));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\xFF\xD8\xFF")) {
    file.codec = AV_CODEC_ID_MJPEG;
  } else if (text.starts_with(kPngSignature)) {
    file.codec = AV_CODEC_ID_PNG;
  } else {
    fail(FailureReason::kUnreadable, path, "is neither a JPEG nor a PNG picture");
  }
  const Layout layout = file.codec == AV_CODEC_ID_PNG ? png_layout(bytes) : jpeg_layout(bytes);
  if (layout.end == 0) fail(FailureReason::kDecodeError, path, "the picture is cut off");
  if (layout.width < 1 || layout.height < 1) {
    fail(FailureReason::kDecodeError, path, "the header does not say the size of the picture");
  }
  if (layout.width > kMaxSide_px || layout.height > kMaxSide_px ||
      layout.width * layout.height > limits.max_pixels) {
    fail(FailureReason::kUnreadable, path,
         fmt::format("a picture of {} x {} pixels is refused; a side has at most {}, a picture at "
                     "most {} pixels",
                     layout.width, layout.height, kMaxSide_px, limits.max_pixels));
  }
  file.width = static_cast<int>(layout.width);
  file.height = static_cast<int>(layout.height);
  av_shrink_packet(file.bytes.get(), static_cast<int>(layout.end));
  return file;
}

AvFramePtr decode_picture(const PictureFile& file, const std::string& path,
                          const DecodeLimits& limits) {
  capture_ffmpeg_log();
  const AVCodec* codec = avcodec_find_decoder(file.codec);
  if (codec == nullptr) {
    fail(FailureReason::kUnreadable, path,
         fmt::format("this FFmpeg has no decoder for {}", avcodec_get_name(file.codec)));
  }
  // A fresh decoder for each picture, because the tables of one JPEG would serve a next one that
  // lacks its own.
  const AvCodecContextPtr decoder =
      checked_allocation(AvCodecContextPtr(avcodec_alloc_context3(codec)));
  decoder->thread_count = 1;
  decoder->max_pixels = limits.max_pixels;
  decoder->err_recognition = AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_EXPLODE;
  int status = avcodec_open2(decoder.get(), codec, nullptr);
  if (status < 0) fail(FailureReason::kUnreadable, path, failure_text(status));
  AvFramePtr picture = checked_allocation(AvFramePtr(av_frame_alloc()));
  status = avcodec_send_packet(decoder.get(), file.bytes.get());
  if (status >= 0) status = avcodec_send_packet(decoder.get(), nullptr);
  if (status >= 0) status = avcodec_receive_frame(decoder.get(), picture.get());
  if (status < 0) {
    fail(FailureReason::kDecodeError, path, "cannot be decoded: " + failure_text(status));
  }
  // The PNG decoder gives pictures whose last rows are missing and only complains. The JPEG decoder
  // gives up on damage, as told; it complains of odd metadata, too, which harm nobody.
  const bool is_damaged = picture->decode_error_flags != 0 ||
                          (picture->flags & AV_FRAME_FLAG_CORRUPT) != 0 ||
                          (file.codec == AV_CODEC_ID_PNG && !first_complaint().empty());
  if (is_damaged || picture->width != file.width || picture->height != file.height) {
    fail(FailureReason::kDecodeError, path,
         "the picture is damaged" +
             (first_complaint().empty() ? std::string() : ": " + first_complaint()));
  }
  return picture;
}

}  // namespace cfp
