// Memory does not grow with the number of clips.
#include <fstream>

#include <gtest/gtest.h>
#include <malloc.h>
#include <unistd.h>

#include "results/store/part_writer.h"
#include "tests/support/sanitizers.h"
#include "tests/support/test_data.h"
#include "tests/unit/store/example_clips.h"

namespace cfp {
namespace {

double resident_mb() {
  long pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  return static_cast<double>(pages) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1e6;
}

TEST(PartWriter, NeedsNoMoreMemoryForAThousandClipsThanForAHundred) {
  if (test::kHasAddressSanitizer) {
    GTEST_SKIP() << "a sanitizer keeps freed memory, so the process grows anyway";
  }
  const test::TemporaryFolder folder;
  PartWriter part(folder / "part.h5", {});
  ClipResult clip = test::example_clip(0, {.classes = 100, .kernels = 128, .layers = 8});
  double at_100 = 0;
  for (int i = 0; i < 1000; ++i) {
    clip.row = i;
    part.append(clip);
    if (i == 99) {
      ::malloc_trim(0);
      at_100 = resident_mb();
    }
  }
  ::malloc_trim(0);
  // The whole program may grow by 16 MB; its store, which buffers a chunk a dataset and lets HDF5
  // keep some metadata, by half of that.
  EXPECT_LT(resident_mb() - at_100, 8) << "at 100 clips: " << at_100 << " MB";
  part.finish();
}

}  // namespace
}  // namespace cfp
