// Flush by CLFLUSH, which every x86-64 CPU has: the line leaves the cache, and
// lines are written back one after the other.
#include "persist_flush.h"

namespace pmem {
namespace {

bool is_supported() { return true; }

}  // namespace

const FlushBackend kClflush = {"clflush", FlushKind::kClflush, is_supported,
                               flush_lines<Clflush>};

}  // namespace pmem
