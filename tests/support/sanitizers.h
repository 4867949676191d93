// Whether the tests were built with sanitizers, for the few things that their
// run times cannot do or do slowly.
#pragma once

namespace support {

#if defined(__has_feature)
#define SUPPORT_HAS_FEATURE(name) __has_feature(name)
#else
#define SUPPORT_HAS_FEATURE(name) 0
#endif

#if defined(__SANITIZE_THREAD__) || SUPPORT_HAS_FEATURE(thread_sanitizer)
#define SUPPORT_THREAD_SANITIZER 1  // for rows of tables that it cannot run
inline constexpr bool kHasThreadSanitizer = true;
#else
inline constexpr bool kHasThreadSanitizer = false;
#endif

#if defined(__SANITIZE_ADDRESS__) || SUPPORT_HAS_FEATURE(address_sanitizer)
inline constexpr bool kHasAddressSanitizer = true;
#else
inline constexpr bool kHasAddressSanitizer = false;
#endif

#undef SUPPORT_HAS_FEATURE

inline constexpr bool kHasSanitizer =
    kHasThreadSanitizer || kHasAddressSanitizer;

}  // namespace support
