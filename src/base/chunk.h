/* chunk.h: bytes on their way out: a list of buffer slices and file ranges.
 *
 * What a front answers is a queue of chunks: encoded headers, slices of shared buffers, ranges of
 * segment files that leave by sendfile. A chunk owns one reference to its buffer or file.
 */
#pragma once

#include "base/buf.h"

/* An open file that several chunks share. The layer that opened it embeds this first in its own
 * handle (io/disk.h) and closes the file in release, when the last reference goes. */
struct file_ref {
    atomic_uint refs;
    void (*release)(struct file_ref *file);
};

struct file_ref *file_ref_get(struct file_ref *file);
void file_ref_put(struct file_ref *file);

struct chunk {
    struct chunk *next;
    struct slice slice;    /* file == NULL: these bytes; owns the buffer's reference */
    struct file_ref *file; /* else `len` bytes of the file from `at`; owns the reference */
    uint64_t at;
    size_t len; /* bytes left to send, for both kinds */
};

struct chunkq {
    struct chunk *head, *tail;
    size_t bytes; /* sum of len */
};

void chunkq_init(struct chunkq *q);
/* Takes over the caller's reference in s. Empty slices are dropped. */
void chunkq_add_slice(struct chunkq *q, struct slice s);
/* A copy of the bytes. */
void chunkq_add_copy(struct chunkq *q, const void *p, size_t n);
/* Takes over the caller's reference to file. */
void chunkq_add_file(struct chunkq *q, struct file_ref *file, uint64_t at, size_t len);
/* Moves all of `from` behind q; `from` is empty afterwards. */
void chunkq_move(struct chunkq *q, struct chunkq *from);
/* Drops n bytes from the front and what they referenced; n <= q->bytes. */
void chunkq_drop(struct chunkq *q, size_t n);
void chunkq_clear(struct chunkq *q);
