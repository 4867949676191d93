// What is to be done at most once in a while, by whichever thread comes first.
// Any thread; takes no lock.
#pragma once

#include <time.h>

#include <atomic>
#include <chrono>
#include <cstdint>

namespace pmemfs {

class NowAndThen {
 public:
  explicit constexpr NowAndThen(std::chrono::nanoseconds interval)
      : interval_ns_(interval.count()) {}

  // Whether it is time, which it is at first; then one caller is told so, and
  // not again before the interval is over.
  [[nodiscard]] bool is_due() {
    const std::int64_t now = coarse_time_ns();
    std::int64_t due = due_ns_.load(std::memory_order_relaxed);
    return now >= due &&
           due_ns_.compare_exchange_strong(due, now + interval_ns_);
  }

  // It is time, whatever has been.
  void make_due() { due_ns_.store(0, std::memory_order_relaxed); }
  // It has been done just now.
  void put_off() { due_ns_.store(coarse_time_ns() + interval_ns_); }

 private:
  static std::int64_t coarse_time_ns() {
    struct timespec now = {};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  }

  const std::int64_t interval_ns_;
  std::atomic<std::int64_t> due_ns_ = 0;
};

}  // namespace pmemfs
