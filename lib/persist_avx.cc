// Copies and fills by the 32-byte registers of AVX.
#include "cpu_features.h"
#include "persist_words.h"

namespace pmem {

constinit const CopyBackend kAvx =
    copy_backend<Word32, StreamedLines<Word32>>("avx", cpu_has_avx);

}  // namespace pmem
