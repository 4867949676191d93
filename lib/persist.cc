// The choice of instructions is the one mutable global here: it is made when
// the library is loaded, because libpmem's environment variables are read then,
// and because a function of a few nanoseconds must not look for a lock or a
// flag first. Nothing writes it later. Code that runs still earlier (other
// constructors of the same program) finds instructions that every CPU has.
#include "pmem/persist.h"

#include <dirent.h>
#include <immintrin.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "cpu_features.h"
#include "persist_backend.h"
#include "persist_hook.h"
#include "pmem/dax_device.h"
#include "pmem/environment.h"
#include "sysfs.h"

namespace pmem {
namespace {

constexpr std::size_t kDefaultStreamThreshold = 256;

void flush_nothing(const std::byte* /*address*/, std::size_t /*length*/) {}

bool is_set(const char* name) { return environment_number(name) == 1; }

// Whether the variable is there; if so, whether it says something but "0".
std::optional<bool> switched(const char* name) {
  const char* text = ::secure_getenv(name);
  return text == nullptr ? std::nullopt
                         : std::optional<bool>(std::string_view(text) != "0");
}

template <typename Backend>
struct Candidate {
  const Backend* backend;
  const char* variable;  // of the environment: what decides about it
};

// The first that the CPU has and the environment allows; null if there is none.
template <typename Candidates, typename IsAllowed>
const auto* first_fit(const Candidates& candidates,
                      const IsAllowed& is_allowed) {
  for (const auto& candidate : candidates) {
    if (candidate.backend->is_supported() && is_allowed(candidate.variable)) {
      return candidate.backend;
    }
  }
  return decltype(candidates.front().backend){nullptr};
}

const FlushBackend& choose_flush_backend() {
  constexpr std::array kCandidates = {
      Candidate<FlushBackend>{&kClwb, "PMEM_NO_CLWB"},
      Candidate<FlushBackend>{&kClflushopt, "PMEM_NO_CLFLUSHOPT"},
  };
  const FlushBackend* fit =
      first_fit(kCandidates, [](const char* veto) { return !is_set(veto); });
  return fit != nullptr ? *fit : kClflush;
}

// PMEM_SSE2 is ours: it makes the last two reachable.
const CopyBackend& choose_copy_backend() {
  constexpr std::array kCandidates = {
      Candidate<CopyBackend>{&kAvx512f, "PMEM_AVX512F"},
      Candidate<CopyBackend>{&kAvx, "PMEM_AVX"},
      Candidate<CopyBackend>{&kSse2, "PMEM_SSE2"},
  };
  const CopyBackend* fit = first_fit(kCandidates, [](const char* variable) {
    return switched(variable).value_or(true);
  });
  if (fit != nullptr) {
    return *fit;
  }
  return is_set("PMEM_NO_GENERIC_MEMCPY") ? kLibc : kPortable;
}

const CopyBackend& choose_stream_backend(const CopyBackend& cached) {
  const bool direct =
      switched("PMEM_MOVDIR64B").value_or(false) && kMovdir64b.is_supported();
  return direct ? kMovdir64b : cached;
}

// Streaming in pieces with a fence after each, so that the few write-combining
// buffers of a CPU never all wait at the end. Pieces end where lines do.

constexpr std::size_t kPieceBytes = 12 * kCacheLineBytes;

std::size_t into_line(const std::byte* address) {
  return reinterpret_cast<std::uintptr_t>(address) % kCacheLineBytes;
}

void stream_copy_in_pieces(std::byte* to, const std::byte* from,
                           std::size_t length) {
  const auto distance = static_cast<std::size_t>(to - from);
  const bool is_backward = distance < length;
  while (length > 0) {
    const std::size_t whole = is_backward ? kPieceBytes + into_line(to + length)
                                          : kPieceBytes - into_line(to);
    const std::size_t piece = std::min(length, whole);
    length -= piece;
    const std::size_t at = is_backward ? length : 0;
    persist_choice.stream_copy_piece(to + at, from + at, piece);
    fence();
    if (!is_backward) {
      to += piece;
      from += piece;
    }
  }
}

void stream_fill_in_pieces(std::byte* to, int value, std::size_t length) {
  while (length > 0) {
    const std::size_t piece = std::min(length, kPieceBytes - into_line(to));
    persist_choice.stream_fill_piece(to, value, piece);
    fence();
    length -= piece;
    to += piece;
  }
}

bool wants_fences_between_pieces() {
  return switched("PMEM_WC_WORKAROUND")
      .value_or(static_cast<bool>(__builtin_cpu_is("intel")));
}

void choose_streams(PersistChoice& choice, const CopyFunctions& streaming) {
  CopyFunctions& functions = choice.functions;
  if (is_set("PMEM_NO_MOVNT")) {
    choice.stream_name = "none";
    functions.stream_copy = functions.copy;
    functions.stream_fill = functions.fill;
    return;
  }
  functions.stream_copy = streaming.stream_copy;
  functions.stream_fill = streaming.stream_fill;
  if (wants_fences_between_pieces()) {
    choice.stream_copy_piece = functions.stream_copy;
    choice.stream_fill_piece = functions.stream_fill;
    functions.stream_copy = stream_copy_in_pieces;
    functions.stream_fill = stream_fill_in_pieces;
  }
}

PersistChoice choose() {
  __builtin_cpu_init();
  const FlushBackend& flush = choose_flush_backend();
  const CopyBackend& cached = choose_copy_backend();
  const CopyBackend& streaming = choose_stream_backend(cached);
  const std::optional<int> no_flush = environment_number("PMEM_NO_FLUSH");
  const bool needs_flush =
      no_flush ? *no_flush != 1
               : !platform_saves_caches(kSysfsRoot).value_or(false);
  const FlushKind kind = needs_flush ? flush.kind : FlushKind::kNone;

  PersistChoice choice = {};
  choice.flush = needs_flush ? flush.flush : flush_nothing;
  choice.deep_flush = flush.flush;
  choice.flush_name = needs_flush ? flush.name : "none";
  choice.copy_name = cached.name;
  choice.stream_name = streaming.name;
  choice.functions = cached.with(kind);
  choice.copy_no_flush = cached.with(FlushKind::kNone).copy;
  choice.fill_no_flush = cached.with(FlushKind::kNone).fill;
  choose_streams(choice, streaming.with(kind));
  const std::optional<int> threshold =
      environment_number("PMEM_MOVNT_THRESHOLD");
  choice.stream_threshold_bytes = threshold && *threshold >= 0
                                      ? static_cast<std::size_t>(*threshold)
                                      : kDefaultStreamThreshold;
  return choice;
}

[[gnu::constructor]] void choose_when_loaded() { persist_choice = choose(); }

// What is there before: each makes the choice and does its work by it.

void early_flush(const std::byte* address, std::size_t length) {
  choose_when_loaded();
  persist_choice.flush(address, length);
}

void early_deep_flush(const std::byte* address, std::size_t length) {
  choose_when_loaded();
  persist_choice.deep_flush(address, length);
}

void early_copy(std::byte* to, const std::byte* from, std::size_t length) {
  choose_when_loaded();
  persist_choice.functions.copy(to, from, length);
}

void early_fill(std::byte* to, int value, std::size_t length) {
  choose_when_loaded();
  persist_choice.functions.fill(to, value, length);
}

}  // namespace

constinit PersistChoice persist_choice = {
    .flush = early_flush,
    .deep_flush = early_deep_flush,
    .flush_name = "none",
    .copy_name = "none",
    .stream_name = "none",
    .stream_threshold_bytes = kDefaultStreamThreshold,
    .functions = {early_copy, early_fill, early_copy, early_fill},
    // These flush more than they must.
    .copy_no_flush = early_copy,
    .fill_no_flush = early_fill,
    .stream_copy_piece = nullptr,
    .stream_fill_piece = nullptr,
};

void flush(const void* address, std::size_t length_bytes) {
  persist_choice.flush(static_cast<const std::byte*>(address), length_bytes);
}

void deep_flush(const void* address, std::size_t length_bytes) {
  persist_choice.deep_flush(static_cast<const std::byte*>(address),
                            length_bytes);
}

void fence() {
  _mm_sfence();
  store_hook::fenced();
}

void persist(const void* address, std::size_t length_bytes) {
  flush(address, length_bytes);
  fence();
}

void copy_and_flush(void* to, const void* from, std::size_t length_bytes,
                    StoreKind kind) {
  copy_function(length_bytes, kind)(static_cast<std::byte*>(to),
                                    static_cast<const std::byte*>(from),
                                    length_bytes);
}

void fill_and_flush(void* to, int value, std::size_t length_bytes,
                    StoreKind kind) {
  fill_function(length_bytes, kind)(static_cast<std::byte*>(to), value,
                                    length_bytes);
}

void copy_no_flush(void* to, const void* from, std::size_t length_bytes) {
  persist_choice.copy_no_flush(static_cast<std::byte*>(to),
                               static_cast<const std::byte*>(from),
                               length_bytes);
}

void fill_no_flush(void* to, int value, std::size_t length_bytes) {
  persist_choice.fill_no_flush(static_cast<std::byte*>(to), value,
                               length_bytes);
}

const char* flush_instruction() { return persist_choice.flush_name; }

std::optional<bool> platform_saves_caches(const std::string& sysfs_root) {
  const std::string devices = sysfs_root + "/bus/nd/devices";
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(
      ::opendir(devices.c_str()), &::closedir);
  if (directory == nullptr) {
    return false;
  }
  bool has_region = false;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view name = static_cast<const char*>(entry->d_name);
    if (name.find("region") == std::string_view::npos) {
      continue;
    }
    has_region = true;
    std::string path = devices + "/";
    path.append(name).append("/persistence_domain");
    // The kernel leaves it out where the platform promises nothing.
    if (::access(path.c_str(), F_OK) != 0) {
      return false;
    }
    const std::optional<std::string> domain = read_attribute(path);
    if (!domain || domain->empty()) {
      return std::nullopt;
    }
    if (*domain != "cpu_cache") {
      return false;
    }
  }
  return has_region;
}

}  // namespace pmem
