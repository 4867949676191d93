/* A client of libpmem as users write them: C, nothing but the public header.
 * Usage: client FOLDER. Prints what the library answers to a fixed series of
 * calls, then which library that was; exits with 1 if data came out wrong. */
#include <errno.h>
#include <libpmem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH = 1 << 20 };

static int wrong_bytes = 0;

static void expect_bytes(const char* what, const void* found,
                         const void* wanted, size_t length) {
  if (memcmp(found, wanted, length) != 0) {
    printf("%s: wrong bytes\n", what);
    wrong_bytes = 1;
  }
}

/* A mapping that is refused: by which errno, and is there a message? */
static void refuse(const char* what, const char* path, size_t length,
                   int flags) {
  errno = 0;
  void* address = pmem_map_file(path, length, flags, 0600, NULL, NULL);
  printf("%s: %s, %s\n", what, address == NULL ? strerror(errno) : "mapped",
         pmem_errormsg()[0] == '\0' ? "no message" : "a message");
}

/* Where the process has its libpmem from. */
static void print_library(void) {
  char line[4096];
  const char* path = "none";
  FILE* maps = fopen("/proc/self/maps", "r");
  while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
    char* slash = strchr(line, '/');
    if (slash != NULL && strstr(slash, "/libpmem.so") != NULL) {
      slash[strcspn(slash, "\n")] = '\0';
      path = slash;
      break;
    }
  }
  printf("library: %s\n", path);
}

static void refusals(const char* folder, const char* file) {
  refuse("missing", "/nonexistent/file", 0, 0);
  refuse("length without CREATE", file, LENGTH, 0);
  refuse("CREATE without length", file, 0, PMEM_FILE_CREATE);
  refuse("unknown flag", file, LENGTH, PMEM_FILE_CREATE | 1 << 4);
  refuse("exists", file, LENGTH, PMEM_FILE_CREATE | PMEM_FILE_EXCL);
  refuse("folder", folder, 0, 0);
}

static void copies(char* mapped) {
  static char source[LENGTH];
  static char wanted[LENGTH];
  const size_t half = LENGTH / 2;
  size_t i;
  for (i = 0; i < LENGTH; ++i) {
    source[i] = (char)(i * 7 + i / 251);
  }
  pmem_memcpy_persist(mapped, source, LENGTH);
  expect_bytes("memcpy", mapped, source, LENGTH);
  pmem_memmove_persist(mapped + 3, mapped, half);
  memcpy(wanted, source, LENGTH);
  memmove(wanted + 3, wanted, half);
  expect_bytes("memmove", mapped, wanted, LENGTH);
  pmem_memset_nodrain(mapped + 5, 'x', 1000);
  pmem_drain();
  memset(wanted + 5, 'x', 1000);
  expect_bytes("memset", mapped, wanted, LENGTH);
  pmem_memcpy(mapped, source, 100, PMEM_F_MEM_NONTEMPORAL);
  pmem_memmove(mapped + 200, source, 100, PMEM_F_MEM_NOFLUSH);
  pmem_memset(mapped + 300, 'y', 100, PMEM_F_MEM_TEMPORAL);
  pmem_flush(mapped, 400);
  pmem_drain();
  pmem_persist(mapped, 400);
  printf("msync: %d\n", pmem_msync(mapped + 1, 4096));
  printf("deep_persist: %d\n", pmem_deep_persist(mapped, 4096));
  pmem_deep_flush(mapped, 4096);
  printf("deep_drain: %d\n", pmem_deep_drain(mapped, 4096));
}

int main(int argc, char** argv) {
  char file[4096];
  size_t length = 0;
  int is_pmem = -1;
  char* mapped = NULL;
  if (argc != 2) {
    return 2;
  }
  snprintf(file, sizeof(file), "%s/region", argv[1]);
  printf("check_version: %s\n",
         pmem_check_version(PMEM_MAJOR_VERSION, PMEM_MINOR_VERSION) == NULL
             ? "served"
             : "refused");
  printf("check_version 2.0: %s\n", pmem_check_version(2, 0));
  mapped =
      pmem_map_file(file, LENGTH, PMEM_FILE_CREATE, 0600, &length, &is_pmem);
  if (mapped == NULL) {
    printf("map_file: %s\n", pmem_errormsg());
    return 1;
  }
  printf("mapped: %zu, is_pmem %d\n", length, is_pmem);
  printf("is_pmem: %d\n", pmem_is_pmem(mapped, length));
  printf("hw_drain: %d, auto_flush: %d\n", pmem_has_hw_drain(),
         pmem_has_auto_flush());
  copies(mapped);
  refusals(argv[1], file);
  printf("unmap: %d\n", pmem_unmap(mapped, length));
  errno = 0;
  printf("unmap of nothing: %d", pmem_unmap(NULL, 0));
  printf(", %s\n", strerror(errno));
  remove(file);
  print_library();
  return wrong_bytes;
}
