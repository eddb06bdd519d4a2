// Several bodies of one function, the best of which is chosen when the program is loaded, so that
// one binary runs well on any x86-64.
#pragma once

// Levels, not models of processors: a model is chosen on that very model alone.
// Sanitizers are not ready yet when the choice is made.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CFP_MULTIVERSION \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CFP_MULTIVERSION
#endif

/// Into every body of the function that calls it.
#define CFP_INLINE inline __attribute__((always_inline))
