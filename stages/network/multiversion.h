// Several bodies of one function, the best of which is chosen when the program is loaded, so that one
// binary runs well on any x86-64.
#pragma once

// Sanitizers are not ready yet when that choice is made.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CFP_MULTIVERSION \
  __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define CFP_MULTIVERSION
#endif
