// Copies and fills by 8-byte words, without any vector register: what every
// back-end is compared with.
#include "persist_copy.h"

namespace pmem {
namespace {

bool is_supported() { return true; }

// There are no streaming stores here.
template <typename Flush>
constexpr CopyFunctions functions() {
  using Words = Copier<Word8, void, Flush>;
  return {Words::copy, Words::fill, Words::copy, Words::fill};
}

}  // namespace

constinit const CopyBackend kPortable = {
    "portable",
    is_supported,
    {functions<NoFlush>(), functions<Clflush>(), functions<Clflushopt>(),
     functions<Clwb>()}};

}  // namespace pmem
