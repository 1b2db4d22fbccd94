/* buf.h: immutable, reference-counted memory, and slices of it.
 *
 * A buffer is filled once (from a socket, by an encoder) by whoever made it and then shared by log,
 * fronts and flow without copies. The count is atomic: a buffer may be released on another thread
 * than the one that made it. A slice names bytes inside a buffer and may or may not hold a
 * reference: the function that takes or returns one says which.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    atomic_uint refs;
    uint32_t magic;
    size_t cap;
    uint8_t data[];
};

/* refs 1, cap bytes, uninitialised. */
struct buf *buf_make(size_t cap);
/* As buf_make, NULL without memory: for sizes that come from input. */
struct buf *buf_try(size_t cap);
/* Another capacity, the bytes kept; b must be the caller's alone and may move. */
struct buf *buf_resize(struct buf *b, size_t cap);
struct buf *buf_ref(struct buf *b);
/* NULL is allowed. */
void buf_unref(struct buf *b);
struct buf *buf_copy(const void *p, size_t n);

struct slice {
    struct buf *buf; /* who keeps the bytes alive; NULL: static or borrowed memory */
    const uint8_t *at;
    size_t len;
};

/* The same bytes with a reference taken. */
struct slice slice_ref(struct slice s);
void slice_unref(struct slice s);
/* A part of s, from byte `from`, n bytes; no reference is taken. The range must lie inside. */
struct slice slice_sub(struct slice s, size_t from, size_t n);
/* A slice of a fresh buffer that holds a copy; the caller owns its reference. */
struct slice slice_copy(const void *p, size_t n);
