#include "fs/node_table.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace pmemfs {
namespace {

class CountedNode : public Node {
 public:
  explicit CountedNode(std::atomic<int>& alive) : alive_(alive) { ++alive_; }
  ~CountedNode() override { --alive_; }
  CountedNode(const CountedNode&) = delete;
  CountedNode& operator=(const CountedNode&) = delete;

  pmem::Result<struct stat> attributes() override {
    return pmem::fail(ENOSYS, "");
  }
  pmem::Result<struct statvfs> file_system_status() override {
    return pmem::fail(ENOSYS, "");
  }

 private:
  std::atomic<int>& alive_;
};

class NodeTableTest : public ::testing::Test {
 protected:
  Node* look_up(InodeKey key, bool is_same = true) {
    return table_.look_up(
        key, [&](const Node&) { return is_same; },
        [&] { return std::make_unique<CountedNode>(alive_); });
  }

  std::atomic<int> alive_ = 0;
  NodeTable table_;
};

TEST_F(NodeTableTest, FindsTheSameNodeForTheSameInode) {
  Node* first = look_up({1, 10});
  EXPECT_EQ(look_up({1, 10}), first);
  EXPECT_NE(look_up({1, 11}), first);
  EXPECT_NE(look_up({2, 10}), first);
  EXPECT_EQ(alive_, 3);
}

TEST_F(NodeTableTest, ANodeGoesWithItsLastLookup) {
  Node* node = look_up({1, 10});
  look_up({1, 10});
  look_up({1, 10});
  table_.forget(*node, 2);
  EXPECT_EQ(alive_, 1);
  table_.forget(*node, 1);
  EXPECT_EQ(alive_, 0);
  EXPECT_EQ(table_.size(), 0U);
}

TEST_F(NodeTableTest, AReusedNumberGetsANodeOfItsOwn) {
  Node* old_node = look_up({1, 10});
  Node* new_node = look_up({1, 10}, false);
  EXPECT_NE(old_node, new_node);
  EXPECT_EQ(look_up({1, 10}), new_node);
  EXPECT_EQ(alive_, 2);
  table_.forget(*old_node, 1);
  EXPECT_EQ(alive_, 1);
  table_.forget(*new_node, 2);
  EXPECT_EQ(alive_, 0);
}

TEST_F(NodeTableTest, LookupsAndForgetsOfSeveralThreadsBalance) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (ino_t i = 0; i < 2000; ++i) {
        table_.forget(*look_up({1, i % 7}), 1);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(table_.size(), 0U);
}

}  // namespace
}  // namespace pmemfs
