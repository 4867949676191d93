/* The public header compiles as C, alone, and the library links from C. */
#include <libpmem.h>
#include <stdio.h>

int main(void) {
  const char* mismatch =
      pmem_check_version(PMEM_MAJOR_VERSION, PMEM_MINOR_VERSION);
  if (mismatch != NULL) {
    fprintf(stderr, "%s\n", mismatch);
    return 1;
  }
  if (pmem_check_version(PMEM_MAJOR_VERSION + 1, 0) == NULL) {
    fprintf(stderr, "another major version is accepted\n");
    return 1;
  }
  return 0;
}
