/* floor_log.h: the floor server's storage: one ring file, and for each partition an array of where
 * its batches lie. No index beyond that, nothing checked, nothing recovered at start.
 *
 * Batches are gathered during a loop turn by pointer and written together: the caller keeps them in
 * place until log_commit, which does one pwritev and one fdatasync. A place is a byte count since
 * the start; modulo the ring it is a position in the file. The oldest batches are overwritten. One
 * thread. A failed write or sync ends the program.
 */
#pragma once

#include "wire.h"

#include <sys/uio.h>

/* One stored batch. */
struct log_entry {
    uint64_t offset, place;
    uint32_t bytes;
};

struct log_part {
    struct log_entry *entries; /* by offset; those before `first` were overwritten */
    size_t first, count, cap;
    uint64_t end; /* the next offset */
};

struct log {
    int fd;
    uint64_t ring;  /* bytes of the file */
    uint64_t place; /* where the next batch goes */
    struct log_part *parts;
    int part_count;
    struct iovec *iov; /* the batches of this turn ... */
    uint64_t *iov_at;  /* ... and their places */
    size_t iov_count, iov_cap;
};

/* Opens or makes the file and fills it with zeros up to `ring` bytes. */
void log_open(struct log *l, const char *path, uint64_t ring, int part_count);

/* NULL: there is no such partition. */
struct log_part *log_part(struct log *l, int32_t index);

/* The lowest offset that is still held. */
uint64_t log_start(struct log *l, struct log_part *p);

/* The index of the entry that holds `offset`, which lies between the start and the end. */
size_t log_find(const struct log_part *p, uint64_t offset);

/* Takes one record batch into the turn's group, writing its base offset into it. False: too short
 * to be one, or longer than the ring. */
bool log_append(struct log *l, struct log_part *p, uint8_t *batch, size_t bytes, uint64_t *base);

/* Writes and syncs what the turn gathered. */
void log_commit(struct log *l);

/* Says what failed and why (errno), and ends the program. */
void die(const char *what);
