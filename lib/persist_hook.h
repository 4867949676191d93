// What the library tells a recorder about its stores, flushes and fences.
//
// Compiled in only where PMEM_STORE_HOOK is defined, which is one build of the
// library for tests; everywhere else the calls are empty and vanish. The
// functions are then defined by the test (tests/support/store_recorder.cc).
// They run in the thread that stores, right after the instruction.
#pragma once

#include <cstddef>

namespace pmem::store_hook {

#ifdef PMEM_STORE_HOOK

// [to, to+length) has been stored through the caches, by one instruction.
void stored(const std::byte* to, std::size_t length_bytes);

// The same, around the caches.
void streamed(const std::byte* to, std::size_t length_bytes);

// The cache line that holds the byte has been asked to be written back.
void flushed(const std::byte* line);

// Everything flushed or streamed before has arrived.
void fenced();

#else

inline void stored(const std::byte* /*to*/, std::size_t /*length_bytes*/) {}
inline void streamed(const std::byte* /*to*/, std::size_t /*length_bytes*/) {}
inline void flushed(const std::byte* /*line*/) {}
inline void fenced() {}

#endif

}  // namespace pmem::store_hook
