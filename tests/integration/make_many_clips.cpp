// make_many_clips FOLDER: what many tests begin with, made once for all of them (many_clips.h).
#include <exception>

#include <fmt/format.h>

#include "tests/integration/many_clips.h"

int main(int count, char** words) {
  if (count != 2) {
    fmt::print(stderr, "usage: make_many_clips FOLDER\n");
    return 2;
  }
  try {
    cfp::test::ManyClips::make(words[1]);
  } catch (const std::exception& error) {
    fmt::print(stderr, "make_many_clips: {}\n", error.what());
    return 1;
  }
  return 0;
}
