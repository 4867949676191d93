// A program that keeps a list in a pool of libpmemobj, to be killed and started
// again. Usage: pmemobj_transactions COMMAND POOL
//
//   create   makes the pool, of 16 MiB
//   run      takes one step after the other, each a transaction; when one is
//            committed its number goes to standard output as a line of its own
//   half     takes some steps, and of one more only a part: its transaction
//   stays
//            open with kMark in the pool; says "half" and waits to be killed
//   check    opens the pool, which is when libpmemobj recovers it, compares the
//            list with what it must be after so many steps, and says how many
//
// Steps push numbered nodes onto the list and pop them off again, so that the
// list follows from the number of steps, and transactions allocate, free and
// write.
#include <inttypes.h>
#include <libpmemobj.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  kPushes = 32,
  kCycle = 2 * kPushes,
  kStepsBeforeTheHalf = 75,
  kPoolBytes = 16 << 20,
};

static const char kLayout[] = "pmemfs-transactions";
static const char kMark[16] = "half-made change";

struct Node {
  uint64_t step;
  PMEMoid next;
  unsigned char bytes[];
};

struct Root {
  uint64_t steps;
  PMEMoid head;
  uint64_t length;
  char mark[sizeof(kMark)];  // zeros, but in a transaction that stays half
};

static void fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, pmemobj_errormsg());
  exit(1);
}

// --- what a step makes ------------------------------------------------------

// Few sizes, since each takes a part of the pool for itself.
static size_t payload_size(uint64_t step) { return 40 + step % 4 * 500; }

static unsigned char payload_byte(uint64_t step, size_t index) {
  return (unsigned char)(step * 31 + index * 7 + 1);
}

static bool is_push(uint64_t step) { return step % kCycle < kPushes; }

static uint64_t length_after(uint64_t steps) {
  const uint64_t of_cycle = steps % kCycle;
  return of_cycle <= kPushes ? of_cycle : kCycle - of_cycle;
}

// --- steps, in a transaction ------------------------------------------------

static void push(struct Root* root) {
  const uint64_t step = root->steps;
  const size_t size = payload_size(step);
  const PMEMoid made = pmemobj_tx_alloc(sizeof(struct Node) + size, 0);
  if (OID_IS_NULL(made)) {
    fail("tx_alloc");
  }
  struct Node* node = pmemobj_direct(made);
  node->step = step;
  node->next = root->head;
  for (size_t i = 0; i < size; ++i) {
    node->bytes[i] = payload_byte(step, i);
  }
  root->head = made;
  root->length += 1;
}

static void pop(struct Root* root) {
  const PMEMoid gone = root->head;
  const struct Node* node = pmemobj_direct(gone);
  root->head = node->next;
  root->length -= 1;
  if (pmemobj_tx_free(gone) != 0) {
    fail("tx_free");
  }
}

static void begin(PMEMobjpool* pool, struct Root* root) {
  if (pmemobj_tx_begin(pool, NULL, TX_PARAM_NONE) != 0 ||
      pmemobj_tx_add_range_direct(root, sizeof(*root)) != 0) {
    fail("tx_begin");
  }
}

static void take_step(PMEMobjpool* pool, struct Root* root) {
  begin(pool, root);
  if (is_push(root->steps)) {
    push(root);
  } else {
    pop(root);
  }
  root->steps += 1;
  pmemobj_tx_commit();
  if (pmemobj_tx_end() != 0) {
    fail("tx_end");
  }
}

// --- commands ---------------------------------------------------------------

// The line is with the kernel when this returns; no kill can take it back.
static void say(const char* line) {
  const size_t length = strlen(line);
  if (write(STDOUT_FILENO, line, length) != (ssize_t)length) {
    perror("standard output");
    exit(1);
  }
}

static void run(PMEMobjpool* pool, struct Root* root) {
  for (;;) {
    char line[32];
    take_step(pool, root);
    snprintf(line, sizeof(line), "%" PRIu64 "\n", root->steps);
    say(line);
  }
}

static void half(PMEMobjpool* pool, struct Root* root) {
  for (int i = 0; i < kStepsBeforeTheHalf; ++i) {
    take_step(pool, root);
  }
  begin(pool, root);
  push(root);
  pop(root);
  push(root);
  memcpy(root->mark, kMark, sizeof(kMark));
  say("half\n");
  for (;;) {
    pause();
  }
}

static bool node_is_right(const struct Node* node, uint64_t step) {
  bool is_right = node->step == step;
  for (size_t i = 0; is_right && i < payload_size(step); ++i) {
    is_right = node->bytes[i] == payload_byte(step, i);
  }
  return is_right;
}

static bool list_is_right(const struct Root* root) {
  const uint64_t length = length_after(root->steps);
  const uint64_t first = root->steps - root->steps % kCycle;
  PMEMoid at = root->head;
  for (uint64_t left = length; left > 0; --left) {
    const struct Node* node = pmemobj_direct(at);
    if (node == NULL || !node_is_right(node, first + left - 1)) {
      return false;
    }
    at = node->next;
  }
  return OID_IS_NULL(at) && root->length == length;
}

static uint64_t objects_in(PMEMobjpool* pool) {
  uint64_t count = 0;
  for (PMEMoid at = pmemobj_first(pool); !OID_IS_NULL(at);
       at = pmemobj_next(at)) {
    ++count;
  }
  return count;
}

static int check(PMEMobjpool* pool, const struct Root* root) {
  static const char kNoMark[sizeof(kMark)];
  const bool is_right = list_is_right(root) &&
                        objects_in(pool) == root->length &&
                        memcmp(root->mark, kNoMark, sizeof(kNoMark)) == 0;
  printf("%" PRIu64 " steps, %s\n", root->steps,
         is_right ? "whole" : "NOT WHOLE");
  return is_right ? 0 : 1;
}

int main(int argc, char* argv[]) {
  if (argc != 3) {
    fputs("usage: pmemobj_transactions create|run|half|check POOL\n", stderr);
    return 2;
  }
  const char* command = argv[1];
  PMEMobjpool* pool = strcmp(command, "create") == 0
                          ? pmemobj_create(argv[2], kLayout, kPoolBytes, 0600)
                          : pmemobj_open(argv[2], kLayout);
  if (pool == NULL) {
    fail(argv[2]);
  }
  struct Root* root = pmemobj_direct(pmemobj_root(pool, sizeof(struct Root)));
  int status = 0;
  if (root == NULL) {
    fail("root");
  } else if (strcmp(command, "run") == 0) {
    run(pool, root);
  } else if (strcmp(command, "half") == 0) {
    half(pool, root);
  } else {
    status = check(pool, root);
  }
  pmemobj_close(pool);
  return status;
}
