// Flush by CLWB: the line stays in the cache.
#include "cpu_features.h"
#include "persist_flush.h"

namespace pmem {

const FlushBackend kClwb = {"clwb", FlushKind::kClwb, cpu_has_clwb,
                            flush_lines<Clwb>};

}  // namespace pmem
