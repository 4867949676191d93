// The cases: what is measured. Each function hands its cases to Google
// Benchmark. REQUIRES: context and memory outlive the run.
#pragma once

#include "benchmark/measure.h"
#include "benchmark/memory.h"

namespace benchmarks {

// copy_cases.cc: memcpy, memmove (apart and overlapping) and memset, durable on
// return and not, 8 B to 64 MiB, aligned and not.
void add_copy_cases(const Context& context, const Memory& memory);

// persist_cases.cc: pmem_persist of one line to 1 MiB.
void add_persist_cases(const Context& context, const Memory& memory);

// mapping_cases.cc: pmem_is_pmem, pmem_map_file with pmem_unmap.
void add_mapping_cases(const Context& context);

}  // namespace benchmarks
