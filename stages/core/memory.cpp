#include "stages/core/memory.h"

#include <malloc.h>

namespace cfp {

void keep_freed_memory() {
#ifdef __GLIBC__
  constexpr int kHuge = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kHuge);
  mallopt(M_TRIM_THRESHOLD, kHuge);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

}  // namespace cfp
