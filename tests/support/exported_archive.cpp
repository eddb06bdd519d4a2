#include "tests/support/exported_archive.h"

#include <utility>

namespace cfp::test {
namespace {

std::string two(std::size_t n) {
  return {static_cast<char>(n & 255), static_cast<char>(n >> 8 & 255)};
}
std::string four(std::size_t n) { return two(n) + two(n >> 16); }

class ZipWriter {
 public:
  void add(const std::string& name, const std::string& data) {
    const std::size_t at = bytes_.size();
    bytes_ += "PK\x03\x04" + header(name, data) + name + data;
    directory_ += "PK\x01\x02" + two(20) + header(name, data) + two(0) + two(0) + two(0) + four(0) +
                  four(at) + name;
    ++entries_;
  }
  std::string finish() const {
    return bytes_ + directory_ + "PK\x05\x06" + two(0) + two(0) + two(entries_) + two(entries_) +
           four(directory_.size()) + four(bytes_.size()) + two(0);
  }

 private:
  /// Version, flags, method, time, no checksum, sizes, lengths of name and extra field.
  static std::string header(const std::string& name, const std::string& data) {
    return two(20) + two(0) + two(0) + four(0) + four(0) + four(data.size()) + four(data.size()) +
           two(name.size()) + two(0);
  }

  std::string bytes_, directory_;
  std::size_t entries_ = 0;
};

std::string weights_config() {
  std::string entries;
  for (int i = 0; i < 16; ++i) {
    const std::string sizes = i < 8 ? R"([{"as_int":8}])" : R"([{"as_int":8},{"as_int":8}])";
    const std::string strides = i < 8 ? R"([{"as_int":1}])" : R"([{"as_int":8},{"as_int":1}])";
    entries += std::string(i == 0 ? "" : ",") + "\"w" + std::to_string(i) +
               R"(":{"path_name":"raw","use_pickle":false,"tensor_meta":{"dtype":7,"sizes":)" +
               sizes + R"(,"strides":)" + strides + R"(,"storage_offset":{"as_int":0}}})";
  }
  return R"({"config":{)" + entries + "}}";
}

}  // namespace

std::string archive_around(std::string_view graph) {
  ZipWriter zip;
  zip.add("m/models/model.json", std::string(graph));
  zip.add("m/data/weights/model_weights_config.json", weights_config());
  zip.add("m/data/weights/raw", std::string(256, '\x3f'));
  return zip.finish();
}

}  // namespace cfp::test
