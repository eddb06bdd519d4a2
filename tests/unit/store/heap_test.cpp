// Damaged texts, which HDF5 alone would walk through without end.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "results/store/part_reader.h"
#include "results/store/part_writer.h"
#include "tests/support/test_data.h"
#include "tests/unit/store/example_clips.h"

namespace cfp {
namespace {

using testing::HasSubstr;

TEST(PartReader, RefusesATextWhoseLengthIsDamagedAndDoesNotHang) {
  const test::TemporaryFolder folder;
  {
    PartWriter part(folder / "good.h5", {.name = "good"});
    part.append(test::example_clip(0));
    part.finish();
  }
  std::ifstream file(folder / "good.h5", std::ios::binary);
  const std::string good{std::istreambuf_iterator<char>(file), {}};
  const std::size_t heap = good.find(std::string("GCOL\1\0\0\0", 8));
  ASSERT_NE(heap, std::string::npos);
  // The first object's header starts 16 bytes behind the signature, its length 8 bytes further.
  // A length of 2^64 - 16 makes the step to the next object 0 bytes long.
  const std::string lengths[] = {std::string("\xF0\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
                                 std::string("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
                                 std::string("\0\0\1\0\0\0\0\0", 8)};
  for (const std::string& length : lengths) {
    std::string bad = good;
    bad.replace(heap + 24, 8, length);
    std::ofstream(folder / "bad.h5", std::ios::binary) << bad;
    ::alarm(20);  // a hang ends the test program
    try {
      PartReader part(folder / "bad.h5");
      FAIL() << "was read";
    } catch (const SystemError& error) {
      EXPECT_THAT(error.what(), HasSubstr("its texts are damaged"));
    }
    ::alarm(0);
  }
}

}  // namespace
}  // namespace cfp
