// Flush by CLFLUSHOPT: the line leaves the cache, lines are not ordered.
#include "cpu_features.h"
#include "persist_flush.h"

namespace pmem {

const FlushBackend kClflushopt = {"clflushopt", FlushKind::kClflushopt,
                                  cpu_has_clflushopt, flush_lines<Clflushopt>};

}  // namespace pmem
