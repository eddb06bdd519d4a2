// Which format a file has, from its first bytes; and what it is when it is none of ours.
#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

#include "stages/network/checkpoint/checkpoint.h"
#include "stages/network/checkpoint/mapped_file.h"
#include "stages/network/checkpoint/safetensors.h"
#include "stages/network/checkpoint/torch_file.h"

namespace cfp {
namespace {

struct KnownStranger {
  std::string_view first_bytes;
  std::string_view hint;
};

using namespace std::string_view_literals;

constexpr auto kStrangers = std::to_array<KnownStranger>({
    {"\x89HDF\r\n\x1a\n"sv, "is an HDF5 file (Keras?), not a PyTorch checkpoint"},
    {"\x1f\x8b"sv, "is compressed with gzip; unpack it first"},
    {"BZh"sv, "is compressed with bzip2; unpack it first"},
    {"\xfd"
     "7zXZ"sv,
     "is compressed with xz; unpack it first"},
    {"\x28\xb5\x2f\xfd"sv, "is compressed with zstd; unpack it first"},
    {"7z\xbc\xaf\x27\x1c"sv, "is a 7z archive; unpack it first"},
    {"\x93NUMPY"sv, "is a numpy array, not a checkpoint"},
    {"version https://git-lfs"sv, "is a Git LFS pointer; fetch the file itself with git lfs pull"},
    {"PK\x05\x06"sv, "is an empty zip archive"},
});

bool looks_like_html(std::string_view head) {
  const std::size_t start = head.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  return start != std::string_view::npos && head[start] == '<';
}

/// An ONNX file is a protobuf: field 1 (IR version, a small number), then field 2, the producer.
bool looks_like_onnx(ByteView head) {
  return head.size() > 4 && head[0] == 0x08 && head[1] < 0x20 && head[2] == 0x12 && head[3] < 0x40;
}

[[noreturn]] void refuse_stranger(const std::string& file, ByteView bytes) {
  const std::string_view head = as_text(bytes.first(std::min<std::size_t>(bytes.size(), 512)));
  for (const KnownStranger& stranger : kStrangers) {
    if (head.starts_with(stranger.first_bytes)) refuse_file(file, stranger.hint);
  }
  if (head.size() > 262 && head.substr(257, 5) == "ustar") {
    refuse_file(file,
                "is a tar archive, as PyTorch before 0.1.10 wrote; load it with an old PyTorch "
                "and save it again, or unpack it");
  }
  if (looks_like_html(head)) {
    refuse_file(file,
                "is a web page, not a checkpoint: the download was answered with a page (a "
                "sign-in or a confirmation, as Google Drive asks for large files); download "
                "it again in a browser");
  }
  if (looks_like_onnx(bytes)) refuse_file(file, "looks like an ONNX model, which is not supported");
  refuse_file(file, fmt::format("is no checkpoint: it begins with '{}'; known are .pth/.pt of "
                                "torch.save (legacy and zip) and safetensors",
                                printable(head.substr(0, 16))));
}

/// Eight bytes of length, then a JSON object.
bool looks_like_safetensors(ByteView bytes) {
  return bytes.size() > 8 && bytes[8] == '{' && bytes[6] == 0 && bytes[7] == 0;
}

}  // namespace

Checkpoint read_checkpoint(const std::string& path) {
  const auto file = std::make_shared<const MappedFile>(path);
  const ByteView bytes = file->bytes();
  if (bytes.empty()) refuse_file(path, "is empty; the download or the copy did not finish");
  if (as_text(bytes).starts_with("PK\x03\x04"sv)) return read_zip_torch_file(file);
  if (bytes.size() > 2 && bytes[0] == 0x80 && bytes[1] >= 2 && bytes[1] <= 5) {
    return read_legacy_torch_file(file);
  }
  if (looks_like_safetensors(bytes)) return parse_safetensors(bytes, file, path);
  refuse_stranger(path, bytes);
}

}  // namespace cfp
