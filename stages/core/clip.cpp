#include "stages/core/clip.h"

#include <fmt/format.h>

namespace cfp {

std::string picture_file_name(const PictureSequence& pictures, std::int64_t number) {
  return fmt::format("{}{:0{}}{}", pictures.prefix, number, pictures.digits, pictures.suffix);
}

}  // namespace cfp
