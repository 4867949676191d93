#include "fs/handle_table.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace pmemfs {
namespace {

TEST(HandleTable, AHandleIsFoundByItsNumberUntilItIsTaken) {
  HandleTable<int> table;
  const std::uint64_t one = table.add(std::make_unique<int>(1));
  const std::uint64_t two = table.add(std::make_unique<int>(2));
  EXPECT_EQ(HandleTable<int>::at(one), 1);
  EXPECT_EQ(HandleTable<int>::at(two), 2);
  EXPECT_EQ(*table.take(one), 1);
  EXPECT_EQ(HandleTable<int>::at(two), 2);
}

TEST(HandleTable, WhatNobodyTakesGoesWithTheTable) {
  const auto watched = std::make_shared<int>(1);
  {
    HandleTable<std::shared_ptr<int>> table;
    static_cast<void>(
        table.add(std::make_unique<std::shared_ptr<int>>(watched)));
    EXPECT_EQ(watched.use_count(), 2);
  }
  EXPECT_EQ(watched.use_count(), 1);
}

TEST(HandleTable, ServesSeveralThreads) {
  HandleTable<int> table;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&table, t] {
      for (int i = 0; i < 1000; ++i) {
        const std::uint64_t number = table.add(std::make_unique<int>(t));
        ASSERT_EQ(HandleTable<int>::at(number), t);
        ASSERT_EQ(*table.take(number), t);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

}  // namespace
}  // namespace pmemfs
