// Copies and fills by the 16-byte registers, which every x86-64 CPU has.
#include "persist_words.h"

namespace pmem {
namespace {

bool is_supported() { return true; }

}  // namespace

constinit const CopyBackend kSse2 =
    copy_backend<Word16, StreamedLines<Word16>>("sse2", is_supported);

}  // namespace pmem
