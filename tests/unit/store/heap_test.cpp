// Damaged texts, which HDF5 alone would walk through without end.
#include <cstring>
#include <fstream>
#include <string>

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

/// The bytes of a part of one clip.
std::string good_part(const test::TemporaryFolder& folder) {
  {
    PartWriter part(folder / "good.h5", {.name = "good"});
    part.append(test::example_clip(0));
    part.finish();
  }
  std::ifstream file(folder / "good.h5", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(PartReader, RefusesATextWhoseLengthIsDamagedAndDoesNotHang) {
  const test::TemporaryFolder folder;
  const std::string good = good_part(folder);
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

// A column of texts holds of each its length (4 bytes), the heap's address (8) and an index (4).
TEST(PartReader, RefusesAReferenceToATextOfAnotherLength) {
  const test::TemporaryFolder folder;
  const std::string good = good_part(folder);
  const std::string id = test::example_clip(0).clip_id;
  const std::size_t text = good.find(id, good.find("GCOL"));
  ASSERT_NE(text, std::string::npos);
  const std::size_t heap = good.rfind("GCOL", text);
  const std::string index = good.substr(text - 16, 2) + std::string(2, '\0');
  std::string address(8, '\0');
  std::memcpy(address.data(), &heap, sizeof heap);
  const std::size_t reference = good.find(address + index);
  ASSERT_NE(reference, std::string::npos);
  ASSERT_EQ(static_cast<std::size_t>(good[reference - 4]), id.size());
  EXPECT_EQ(PartReader(folder / "good.h5").read(0).clip_id, id);

  const auto with = [&](std::size_t at, const std::string& bytes) {
    std::string bad = good;
    return bad.replace(at, bytes.size(), bytes);
  };
  // HDF5 alone asks for four gigabytes, writes beyond what it has got, or reads another text.
  for (const std::string& bad :
       {with(reference - 4, std::string("\xFF\xFF\xFF\xFF", 4)), with(reference - 4, "\1"),
        with(reference, std::string("\0\1", 2)), with(reference, std::string(8, '\xFF')),
        with(reference + 8, std::string("\xFF\xFF", 2)), with(reference + 8, "\1")}) {
    std::ofstream(folder / "bad.h5", std::ios::binary) << bad;
    const PartReader part(folder / "bad.h5");
    EXPECT_THAT([&] { part.read(0); },
                testing::ThrowsMessage<SystemError>(HasSubstr("clip_id: its texts are damaged")));
  }
}

}  // namespace
}  // namespace cfp
