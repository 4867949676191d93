// The files that the threads of the data tester have.
//
// The first are each thread's own, one set per thread. The last are shared by
// all: they begin with stripes, which belong to the threads in turn and are
// always there, and end with a tail, which grows and shrinks. Each stripe and
// the tail is a zone: what an operation changes lies in one zone, which nobody
// else uses meanwhile; so a model is exact. Only its owner changes a stripe.
// Values, immutable.
#pragma once

#include <cstdint>
#include <vector>

namespace random_tests {

struct FileLayout {
  std::uint64_t limit = 0;  // bytes; whole pages
  std::uint64_t stripe_bytes = 0;
  std::uint64_t stripes = 0;  // 0: a thread's own file

  [[nodiscard]] bool is_shared() const { return stripes != 0; }
  [[nodiscard]] std::uint64_t tail_begin() const {
    return stripe_bytes * stripes;
  }
  // Zone `stripes` is the tail.
  [[nodiscard]] std::uint64_t zone_of(std::uint64_t offset) const {
    return offset < tail_begin() ? offset / stripe_bytes : stripes;
  }
  [[nodiscard]] std::uint64_t zone_begin(std::uint64_t zone) const {
    return zone * stripe_bytes;
  }
  [[nodiscard]] std::uint64_t zone_bytes(std::uint64_t zone) const {
    return zone < stripes ? stripe_bytes : limit - tail_begin();
  }
};

struct DataLayout {
  std::uint64_t threads = 4;
  std::vector<FileLayout> files;
  // Mappings of shared files see what others write beside them at once.
  bool maps_shared_files = true;
};

inline constexpr std::uint64_t kPage = 4096;

// Where mappings go to the backing file itself, stripes may share pages.
[[nodiscard]] inline DataLayout usual_layout(bool stripes_share_pages,
                                             bool maps_shared_files) {
  const std::uint64_t stripe = stripes_share_pages ? 5000 : 2 * kPage;
  return {
      .threads = 4,
      .files = {{.limit = 16 * kPage},
                {.limit = 100 * kPage},
                {.limit = 1536 * kPage},  // the mapping has to grow twice
                {.limit = 100 * kPage, .stripe_bytes = stripe, .stripes = 16},
                {.limit = 200 * kPage, .stripe_bytes = stripe, .stripes = 48}},
      .maps_shared_files = maps_shared_files};
}

}  // namespace random_tests
