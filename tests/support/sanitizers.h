// Whether a sanitizer watches: it takes address space and memory that a test may measure.
#pragma once

namespace cfp::test {

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CFP_ADDRESS_SANITIZER
#endif
#if __has_feature(thread_sanitizer)
#define CFP_THREAD_SANITIZER
#endif
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(CFP_ADDRESS_SANITIZER)
inline constexpr bool kHasAddressSanitizer = true;
#else
inline constexpr bool kHasAddressSanitizer = false;
#endif

#if defined(__SANITIZE_THREAD__) || defined(CFP_THREAD_SANITIZER)
inline constexpr bool kHasThreadSanitizer = true;
#else
inline constexpr bool kHasThreadSanitizer = false;
#endif

}  // namespace cfp::test
