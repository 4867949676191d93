/* libpmem.h: the C interface of the core mapping library, a drop-in for
 * libpmem 1 (SONAME libpmem.so.1, version node LIBPMEM_1.0).
 *
 * Every function may be called from any thread at any time. None of them keeps
 * a pointer that the caller passed in. Lengths are bytes. Functions that can
 * fail return NULL or -1, set errno, and leave a sentence about the failure for
 * pmem_errormsg().
 *
 * Source of the rules: the manual pages libpmem(7), pmem_is_pmem(3),
 * pmem_flush(3) and pmem_memmove_persist(3) of libpmem 1.
 */
#ifndef LIBPMEM_H
#define LIBPMEM_H 1

#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PMEM_MAJOR_VERSION 1
#define PMEM_MINOR_VERSION 1

/* Flags of pmem_map_file. */
#define PMEM_FILE_CREATE (1 << 0) /* make the file if it is missing */
#define PMEM_FILE_EXCL (1 << 1)   /* with CREATE: the file must be missing */
#define PMEM_FILE_SPARSE (1 << 2) /* with CREATE: do not allocate blocks */
#define PMEM_FILE_TMPFILE                           \
  (1 << 3) /* with CREATE: path is a directory, the \
              file in it never gets a name */

/* Flags of pmem_memmove, pmem_memcpy and pmem_memset. Unknown bits are
 * ignored. When several apply, the first of this order wins: NOFLUSH, then WC
 * or NONTEMPORAL, then WB or TEMPORAL, then the length of the copy. */
#define PMEM_F_MEM_NODRAIN (1U << 0)     /* leave out the final fence */
#define PMEM_F_MEM_NONTEMPORAL (1U << 1) /* stores that bypass the caches */
#define PMEM_F_MEM_TEMPORAL (1U << 2)    /* stores through the caches */
#define PMEM_F_MEM_WC (1U << 3)          /* write-combining, = NONTEMPORAL */
#define PMEM_F_MEM_WB (1U << 4)          /* write-back, = TEMPORAL */
#define PMEM_F_MEM_NOFLUSH (1U << 5)     /* neither flush nor fence */
#define PMEM_F_MEM_VALID_FLAGS                                         \
  (PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NONTEMPORAL | PMEM_F_MEM_TEMPORAL | \
   PMEM_F_MEM_WC | PMEM_F_MEM_WB | PMEM_F_MEM_NOFLUSH)

/* Maps a file or a Device DAX for reading and writing, shared.
 *
 * Without PMEM_FILE_CREATE the whole existing file is mapped: len must be 0 and
 * mode is not looked at. With it the file is opened or made with mode (as
 * open(2) applies it, umask included) and gets exactly len > 0 bytes, allocated
 * by posix_fallocate(3) unless PMEM_FILE_SPARSE is given. For a Device DAX only
 * CREATE and SPARSE are valid, both are ignored, and len is 0 or the exact size
 * of the device.
 *
 * Returns the address, and through mapped_lenp and is_pmemp (either may be
 * NULL) the length in bytes and whether pmem_persist is enough to make stores
 * durable (1) or pmem_msync is needed (0). Returns NULL on failure, with the
 * outputs untouched. What a failing call with CREATE|EXCL made is removed.
 *
 * errno:
 *   EINVAL   path is NULL; unknown flag; len given without CREATE; CREATE with
 *            len 0 or beyond the largest file; TMPFILE without CREATE; an empty
 *            file; not a regular file, directory or Device DAX; for a Device
 *            DAX a wrong len or flag
 *   EEXIST   CREATE|EXCL and the path exists
 *   EISDIR   path is a directory (without TMPFILE)
 *   ENOTDIR  TMPFILE and path is no directory
 *   EFBIG, ENOSPC, ENOMEM   the length is more than the file system, its free
 *            space or the address space allows
 *   and whatever open(2), ftruncate(2), posix_fallocate(3) and mmap(2) say.
 */
void* pmem_map_file(const char* path, size_t len, int flags, mode_t mode,
                    size_t* mapped_lenp, int* is_pmemp);

/* Removes all mappings in [addr, addr+len), as munmap(2) does: part of a range
 * may be removed, and one call may remove several.
 * Returns 0, or -1 with the errno of munmap(2): EINVAL (addr not aligned, len
 * 0, beyond the address space). A call that fails leaves everything as it was.
 */
int pmem_unmap(void* addr, size_t len);

/* Returns 1 if every byte of [addr, addr+len) was mapped by pmem_map_file and
 * is persistent memory, else 0 (also for len 0, for a range that wraps, and for
 * one that has been unmapped by munmap(2) or given to another mapping since).
 * PMEM_IS_PMEM_FORCE=0|1 in the environment overrides the finding; it is read
 * once, at the first question. */
int pmem_is_pmem(const void* addr, size_t len);

/* Makes stores to [addr, addr+len) durable: pmem_flush, then pmem_drain. Only
 * for ranges for which pmem_is_pmem answers 1. Never fails. */
void pmem_persist(const void* addr, size_t len);

/* Makes stores to any mapped range durable by msync(2). addr may have any
 * alignment. Returns 0, or -1 with the errno of msync(2): ENOMEM (not mapped),
 * EIO, EINVAL. Has no effect, and succeeds, on a Device DAX, whose stores
 * pmem_persist makes durable. */
int pmem_msync(const void* addr, size_t len);

/* The two halves of pmem_persist: write the cache lines of the range back, and
 * wait for all that the thread has written back so far. Never fail. */
void pmem_flush(const void* addr, size_t len);
void pmem_drain(void);

/* What pmem_flush, pmem_drain and pmem_persist do, and beyond: deep means out
 * of the buffers of the memory controller too, for programs that must survive
 * the failure of a platform's promise to empty these at power loss. It takes a
 * system call.
 *
 * pmem_deep_flush writes the cache lines back even where the platform or
 * PMEM_NO_FLUSH says that no flush is needed. pmem_deep_drain then waits: for
 * what is a mapping of a Device DAX by the deep_flush of its region in sysfs
 * (nothing, where that reads 0 or there is no region), for everything else by
 * msync(2). pmem_deep_persist is both.
 *
 * pmem_deep_drain and pmem_deep_persist return 0, or -1 with errno:
 *   ENOMEM   something in the range is not mapped; the range wraps
 *   EACCES   the region's deep_flush may not be written (it is root's)
 *   EIO      the file system or the region could not do it
 */
void pmem_deep_flush(const void* addr, size_t len);
int pmem_deep_drain(const void* addr, size_t len);
int pmem_deep_persist(const void* addr, size_t len);

/* 1 if the platform writes its CPU caches back on power loss, so that no flush
 * is needed; 0 if not; -1 if the kernel does not tell. */
int pmem_has_auto_flush(void);

/* Always 0: no platform of this library has a hardware drain. */
int pmem_has_hw_drain(void);

/* memmove(3), memcpy(3) and memset(3) into persistent memory. flags is 0 or
 * PMEM_F_MEM_*. Unless NOFLUSH or NODRAIN is given, what was written is durable
 * on return. dest and len that are multiples of 8 are written by stores of at
 * least 8 bytes. Return pmemdest. Never fail. */
void* pmem_memmove(void* pmemdest, const void* src, size_t len, unsigned flags);
void* pmem_memcpy(void* pmemdest, const void* src, size_t len, unsigned flags);
void* pmem_memset(void* pmemdest, int c, size_t len, unsigned flags);

/* The same with flags 0. */
void* pmem_memmove_persist(void* pmemdest, const void* src, size_t len);
void* pmem_memcpy_persist(void* pmemdest, const void* src, size_t len);
void* pmem_memset_persist(void* pmemdest, int c, size_t len);

/* The same with PMEM_F_MEM_NODRAIN: pmem_drain must follow. */
void* pmem_memmove_nodrain(void* pmemdest, const void* src, size_t len);
void* pmem_memcpy_nodrain(void* pmemdest, const void* src, size_t len);
void* pmem_memset_nodrain(void* pmemdest, int c, size_t len);

/* NULL if this library serves programs built for the given version (the same
 * major, at most its own minor), else a sentence, valid until the thread's next
 * failing call. */
const char* pmem_check_version(unsigned major_required,
                               unsigned minor_required);

/* What the thread's last failing call says about its failure; "" before the
 * first. Never NULL, and not cleared by success. */
const char* pmem_errormsg(void);

#ifdef __cplusplus
}
#endif

#endif /* LIBPMEM_H */
