#include "pmem/persist.h"

#include <dirent.h>
#include <immintrin.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <memory>
#include <string_view>

#include "persist_backend.h"
#include "pmem/dax_device.h"
#include "pmem/environment.h"
#include "sysfs.h"

namespace pmem {
namespace {

constexpr std::size_t kDefaultStreamThreshold = 256;

void flush_nothing(const std::byte* /*address*/, std::size_t /*length*/) {}

bool is_set(const char* name) { return environment_number(name) == 1; }

// First fit; the last runs on every x86-64 CPU.
const FlushBackend& choose_flush_backend() {
  struct Candidate {
    const FlushBackend* backend;
    const char* veto;
  };
  constexpr std::array kCandidates = {
      Candidate{&kClwb, "PMEM_NO_CLWB"},
      Candidate{&kClflushopt, "PMEM_NO_CLFLUSHOPT"},
  };
  for (const Candidate& candidate : kCandidates) {
    if (candidate.backend->is_supported() && !is_set(candidate.veto)) {
      return *candidate.backend;
    }
  }
  return kClflush;
}

struct Choice {
  FlushFunction flush;          // what durability needs: maybe nothing
  const char* instruction;      // the name of it
  const StreamBackend* stream;  // null: none wanted
  std::size_t stream_threshold_bytes;
};

Choice choose() {
  Choice choice = {};
  const FlushBackend& backend = choose_flush_backend();
  const std::optional<int> no_flush = environment_number("PMEM_NO_FLUSH");
  const bool needs_flush =
      no_flush ? *no_flush != 1
               : !platform_saves_caches(kSysfsRoot).value_or(false);
  choice.flush = needs_flush ? backend.flush : flush_nothing;
  choice.instruction = needs_flush ? backend.name : "none";
  choice.stream = is_set("PMEM_NO_MOVNT") ? nullptr : &kSse2;
  const std::optional<int> threshold =
      environment_number("PMEM_MOVNT_THRESHOLD");
  choice.stream_threshold_bytes = threshold && *threshold >= 0
                                      ? static_cast<std::size_t>(*threshold)
                                      : kDefaultStreamThreshold;
  return choice;
}

const Choice& chosen() {
  static const Choice kChoice = choose();
  return kChoice;
}

bool streams(StoreKind kind, std::size_t length) {
  const Choice& choice = chosen();
  if (choice.stream == nullptr || kind == StoreKind::kTemporal) {
    return false;
  }
  return kind == StoreKind::kNonTemporal ||
         length >= choice.stream_threshold_bytes;
}

// Whether a front-to-back copy would overwrite what it has yet to read.
bool needs_backward_copy(const std::byte* to, const std::byte* from,
                         std::size_t length) {
  return to > from && to < from + length;
}

}  // namespace

void flush(const void* address, std::size_t length_bytes) {
  chosen().flush(static_cast<const std::byte*>(address), length_bytes);
}

void fence() { _mm_sfence(); }

void persist(const void* address, std::size_t length_bytes) {
  flush(address, length_bytes);
  fence();
}

void copy_and_flush(void* to, const void* from, std::size_t length_bytes,
                    StoreKind kind) {
  if (length_bytes == 0 || to == from) {
    return;
  }
  auto* target = static_cast<std::byte*>(to);
  const auto* source = static_cast<const std::byte*>(from);
  if (streams(kind, length_bytes) &&
      !needs_backward_copy(target, source, length_bytes)) {
    chosen().stream->copy(target, source, length_bytes, chosen().flush);
    return;
  }
  copy_no_flush(to, from, length_bytes);
  flush(to, length_bytes);
}

void fill_and_flush(void* to, int value, std::size_t length_bytes,
                    StoreKind kind) {
  if (length_bytes == 0) {
    return;
  }
  if (streams(kind, length_bytes)) {
    chosen().stream->fill(static_cast<std::byte*>(to), value, length_bytes,
                          chosen().flush);
    return;
  }
  fill_no_flush(to, value, length_bytes);
  flush(to, length_bytes);
}

void copy_no_flush(void* to, const void* from, std::size_t length_bytes) {
  auto* target = static_cast<std::byte*>(to);
  const auto* source = static_cast<const std::byte*>(from);
  if (needs_backward_copy(target, source, length_bytes)) {
    std::memmove(to, from, length_bytes);
  } else {
    copy_forward(target, source, length_bytes);
  }
}

void fill_no_flush(void* to, int value, std::size_t length_bytes) {
  fill_forward(static_cast<std::byte*>(to), value, length_bytes);
}

const char* flush_instruction() { return chosen().instruction; }

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
