// Files made to hurt: cut off anywhere, bits turned over, and small ones that ask for much memory.
//
// Nothing of them may end in anything but a SystemError or a checkpoint, or allocate more than a
// small multiple of the file.
#include <atomic>
#include <cstdlib>
#include <new>
#include <random>

#include <gtest/gtest.h>
#include <malloc.h>

#include "stages/network/checkpoint/inspect.h"
#include "stages/network/checkpoint/match_weights.h"
#include "stages/network/checkpoint/safetensors.h"
#include "tests/support/test_data.h"
#include "tests/unit/checkpoint/support.h"

namespace {

std::atomic<std::size_t> bytes_now{0};
std::atomic<std::size_t> bytes_peak{0};

void* counted_or_null(std::size_t size) noexcept {
  void* memory = std::malloc(size);
  if (memory == nullptr) return nullptr;
  const std::size_t now = bytes_now += malloc_usable_size(memory);
  if (now > bytes_peak) bytes_peak = now;
  return memory;
}

void* counted(std::size_t size) {
  void* memory = counted_or_null(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void uncounted(void* memory) {
  if (memory != nullptr) bytes_now -= malloc_usable_size(memory);
  std::free(memory);
}

}  // namespace

// The whole test program counts what it allocates.
void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return counted_or_null(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return counted_or_null(size);
}
void operator delete(void* memory) noexcept { uncounted(memory); }
void operator delete[](void* memory) noexcept { uncounted(memory); }
void operator delete(void* memory, std::size_t) noexcept { uncounted(memory); }
void operator delete[](void* memory, std::size_t) noexcept { uncounted(memory); }

namespace cfp::test {
using namespace std::string_literals;
namespace {

/// A value of a pickle takes 48 bytes and may be one byte of the file; the rest is for stacks and
/// messages.
constexpr std::size_t kMostBytesPerByte = 64;
constexpr std::size_t kAllowance = std::size_t{1} << 20;

enum class Outcome { kRead, kRefused };

/// Does all that can be done with a file before it is compared with a network.
Outcome try_reading(const std::string& path) {
  const std::size_t size = std::filesystem::file_size(path);
  const std::size_t before = bytes_now;
  bytes_peak = before;
  Outcome outcome = Outcome::kRead;
  try {
    const Checkpoint checkpoint = read_checkpoint(path);
    EXPECT_FALSE(describe_checkpoint(checkpoint).empty());
    for (const StoredTensor& tensor : checkpoint.tensors) {
      // Views may repeat elements without end; match_weights() looks at the shape first.
      if (static_cast<std::size_t>(tensor.elements()) <= size) float_data(tensor, path);
    }
  } catch (const SystemError&) {
    outcome = Outcome::kRefused;
  }
  EXPECT_LE(bytes_peak - before, kMostBytesPerByte * size + kAllowance)
      << "for " << size << " bytes";
  return outcome;
}

class Hostile : public testing::Test {
 protected:
  Hostile() {
    std::vector<float> values(40);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = 0.25F * static_cast<float>(i);
    good_.push_back(zip_checkpoint(values));
    good_.push_back(legacy_checkpoint(values));
    const auto owner = std::make_shared<std::vector<float>>(values);
    const WeightTensor weight{{5, 8}, std::shared_ptr<const float>(owner, owner->data())};
    write_safetensors(path_, std::vector<NamedWeight>{{"a", weight}, {"b", weight}}, {{"k", "v"}});
    good_.push_back(read_bytes(path_));
    const auto fixtures = checkpoint_facts() / "checkpoint_fixtures";
    if (std::filesystem::exists(fixtures)) {
      for (const auto& entry : std::filesystem::directory_iterator(fixtures)) {
        good_.push_back(read_bytes(entry.path()));
      }
    }
  }

  Outcome outcome(std::string_view bytes) {
    write_bytes(path_, bytes);
    return try_reading(path_);
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "file.pth";
  std::vector<Bytes> good_;  ///< a file of every container
};

TEST_F(Hostile, FilesAreFineBeforeTheyAreHarmed) {
  for (const Bytes& bytes : good_) EXPECT_EQ(outcome(bytes), Outcome::kRead);
}

TEST_F(Hostile, TruncatedFilesAreRefused) {
  for (const Bytes& bytes : good_) {
    for (std::size_t i = 0; i < 50; ++i) {
      const std::size_t length = bytes.size() * i / 50;
      EXPECT_EQ(outcome(bytes.substr(0, length)), Outcome::kRefused)
          << length << " of " << bytes.size() << " bytes";
    }
    EXPECT_EQ(outcome(bytes.substr(0, bytes.size() - 1)), Outcome::kRefused);
  }
}

TEST_F(Hostile, TurnedBitsAreSurvived) {
  std::mt19937 random(7);
  int refused = 0;
  for (const Bytes& bytes : good_) {
    // Every byte of a small file; of the larger ones as many, spread out.
    const std::size_t step = 1 + bytes.size() / 700;
    for (std::size_t i = random() % step; i < bytes.size(); i += step) {
      Bytes harmed = bytes;
      harmed[i] = static_cast<char>(harmed[i] ^ (1 << (random() % 8)));
      refused += static_cast<int>(outcome(harmed) == Outcome::kRefused);
    }
  }
  EXPECT_GT(refused, 1000);  // most bits of a small file mean something
}

TEST_F(Hostile, RandomBytesBehindARightStartAreSurvived) {
  std::mt19937 random(11);
  for (const Bytes& bytes : good_) {
    for (int round = 0; round < 200; ++round) {
      Bytes harmed = bytes;
      const std::size_t first = random() % harmed.size();
      const std::size_t count = std::min<std::size_t>(1 + random() % 16, harmed.size() - first);
      for (std::size_t i = first; i < first + count; ++i) harmed[i] = static_cast<char>(random());
      outcome(harmed);
    }
  }
}

/// One byte of the pickle a value; the worst that there is.
TEST_F(Hostile, ManyValuesTakeALittleMemoryEach) {
  for (const char opcode : {']', '}', ')', 'N'}) {
    const Bytes pickle = pickle_of("(" + Bytes(900'000, opcode) + "t");
    EXPECT_EQ(outcome(zip_of({{.name = "data.pkl", .data = pickle}})), Outcome::kRefused);
  }
}

TEST_F(Hostile, ALengthBeyondTheFileAllocatesNothing) {
  EXPECT_EQ(outcome(little(std::uint64_t{99'999'999}) + "{}"), Outcome::kRefused);
  EXPECT_EQ(outcome("\x80\x02X\xff\xff\xff\x7f"), Outcome::kRefused);
  Bytes legacy = legacy_checkpoint({1});
  legacy[legacy.size() - 6] = '\x7f';  // elements of the storage
  EXPECT_EQ(outcome(legacy), Outcome::kRefused);
}

/// A tensor of 2^62 elements over four bytes, by strides of zero.
TEST_F(Hostile, ARepeatedElementIsNotSpreadOut) {
  const std::int32_t large = 1 << 30;
  write_bytes(path_,
              zip_of({{.name = "data.pkl",
                       .data = pickle_of(Bytes("}") + pickled_text("conv1.weight") +
                                         pickled_tensor("0", 1, 0, {large, large}, {0, 0}) + "s")},
                      {.name = "data/0", .data = Bytes(4, '\0')}}));
  EXPECT_EQ(try_reading(path_), Outcome::kRead);
  const NetworkGraph graph = build_resnet3d({.blocks = {1}, .base_width = 4, .num_classes = 2});
  CFP_EXPECT_REFUSED(match_weights(read_checkpoint(path_), graph), "of another shape (1)");
}

/// The same tensor under very many names: six bytes of the pickle each.
TEST_F(Hostile, TooManyTensorsAreRefused) {
  Bytes body = "}(" + pickled_text("a") + pickled_tensor("0", 1, 0, {1}, {1}) + "q\0"s;
  for (std::size_t i = 0; i < kMaxTensors + 1; ++i) {
    body.append("U\x06").append(std::to_string(100'000 + i)).append("h\0"s);
  }
  EXPECT_EQ(outcome(zip_of({{.name = "data.pkl", .data = pickle_of(body + "u")},
                            {.name = "data/0", .data = Bytes(4, '\0')}})),
            Outcome::kRefused);
}

}  // namespace
}  // namespace cfp::test
