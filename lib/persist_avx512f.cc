// Copies and fills by the 64-byte registers of AVX-512: a cache line each.
#include "cpu_features.h"
#include "persist_words.h"

namespace pmem {

constinit const CopyBackend kAvx512f =
    copy_backend<Word64, StreamedLines<Word64>>("avx512f", cpu_has_avx512f);

}  // namespace pmem
