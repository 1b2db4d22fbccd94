/* wire.h: the few Kafka encodings that the benchmark's own programs need.
 *
 * A growing output buffer, a bounds-checked input cursor with a sticky error, CRC-32C, and a
 * monotonic clock. On purpose apart from src/: the floor server and the raw clients are what weir
 * is measured with, so they share no code with it. One thread; numbers are big-endian on the wire.
 * Out of memory ends the program.
 * Source: the Kafka protocol guide; record batch v2 of KIP-98.
 */
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum wire_api {
    WIRE_PRODUCE = 0,
    WIRE_FETCH = 1,
    WIRE_LIST_OFFSETS = 2,
    WIRE_METADATA = 3,
    WIRE_FIND_COORDINATOR = 10,
    WIRE_API_VERSIONS = 18,
    WIRE_INIT_PRODUCER_ID = 22,
};

/* Record batch v2: where the fields that we look at stand. */
enum wire_batch {
    WIRE_BATCH_LENGTH_AT = 8, /* bytes behind this field */
    WIRE_BATCH_MAGIC_AT = 16,
    WIRE_BATCH_CRC_AT = 17, /* CRC-32C of all behind it */
    WIRE_BATCH_CRC_FROM = 21,
    WIRE_BATCH_LAST_DELTA_AT = 23,
    WIRE_BATCH_COUNT_AT = 57,
    WIRE_BATCH_HEADER = 61,
    WIRE_BATCH_PREFIX = 12, /* base offset and length, not counted by the length */
};

static inline void *wire_alloc(void *old, size_t size)
{
    void *p = realloc(old, size ? size : 1);
    if (!p) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    return p;
}

static inline uint64_t wire_now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

/* ---- output ---- */

struct wire_out {
    uint8_t *p;
    size_t len, cap;
};

/* n bytes of room at the end; the caller fills them. */
static inline uint8_t *wire_room(struct wire_out *o, size_t n)
{
    if (o->cap - o->len < n) {
        o->cap = (o->len + n) * 2;
        o->p = wire_alloc(o->p, o->cap);
    }
    o->len += n;
    return o->p + o->len - n;
}

static inline void wire_put(struct wire_out *o, const void *data, size_t n)
{
    memcpy(wire_room(o, n), data, n);
}

static inline void wire_put8(struct wire_out *o, int v)
{
    *wire_room(o, 1) = (uint8_t)v;
}

static inline void wire_put16(struct wire_out *o, int v)
{
    uint16_t x = htobe16((uint16_t)v);
    wire_put(o, &x, sizeof x);
}

static inline void wire_put32(struct wire_out *o, int64_t v)
{
    uint32_t x = htobe32((uint32_t)v);
    wire_put(o, &x, sizeof x);
}

static inline void wire_put64(struct wire_out *o, int64_t v)
{
    uint64_t x = htobe64((uint64_t)v);
    wire_put(o, &x, sizeof x);
}

/* s NULL: the null string. */
static inline void wire_put_str(struct wire_out *o, const char *s)
{
    size_t n = s ? strlen(s) : 0;
    wire_put16(o, s ? (int)n : -1);
    if (n)
        wire_put(o, s, n);
}

static inline void wire_patch32(uint8_t *at, int64_t v)
{
    uint32_t x = htobe32((uint32_t)v);
    memcpy(at, &x, sizeof x);
}

/* Starts a request (header v1) at the end of o; returns where its size is to be patched. */
static inline size_t wire_request(struct wire_out *o, int api, int version, int32_t correlation)
{
    size_t at = o->len;
    wire_put32(o, 0);
    wire_put16(o, api);
    wire_put16(o, version);
    wire_put32(o, correlation);
    wire_put_str(o, "weir-bench");
    return at;
}

/* Ends the frame begun at `at`; `behind` bytes follow it from elsewhere. */
static inline void wire_end(struct wire_out *o, size_t at, size_t behind)
{
    wire_patch32(o->p + at, (int64_t)(o->len - at - 4 + behind));
}

/* ---- input ---- */

struct wire_in {
    const uint8_t *p, *end;
    bool bad; /* something was asked for beyond the end: all that was read since is 0 */
};

static inline const uint8_t *wire_take(struct wire_in *in, size_t n)
{
    if (in->bad || (size_t)(in->end - in->p) < n) {
        in->bad = true;
        return NULL;
    }
    in->p += n;
    return in->p - n;
}

static inline uint16_t wire_load16(const uint8_t *p)
{
    uint16_t x;
    memcpy(&x, p, sizeof x);
    return be16toh(x);
}

static inline uint32_t wire_load32(const uint8_t *p)
{
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return be32toh(x);
}

static inline uint64_t wire_load64(const uint8_t *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return be64toh(x);
}

static inline int wire_get8(struct wire_in *in)
{
    const uint8_t *p = wire_take(in, 1);
    return p ? (int8_t)*p : 0;
}

static inline int wire_get16(struct wire_in *in)
{
    const uint8_t *p = wire_take(in, 2);
    return p ? (int16_t)wire_load16(p) : 0;
}

static inline int32_t wire_get32(struct wire_in *in)
{
    const uint8_t *p = wire_take(in, 4);
    return p ? (int32_t)wire_load32(p) : 0;
}

static inline int64_t wire_get64(struct wire_in *in)
{
    const uint8_t *p = wire_take(in, 8);
    return p ? (int64_t)wire_load64(p) : 0;
}

/* A string or null; the pointer lives as long as the input. */
static inline const uint8_t *wire_get_str(struct wire_in *in, size_t *len)
{
    int n = wire_get16(in);
    *len = n > 0 ? (size_t)n : 0;
    return wire_take(in, *len);
}

static inline void wire_skip_str(struct wire_in *in)
{
    size_t len;
    wire_get_str(in, &len);
}

/* ---- CRC-32C, bit by bit: only tiny batches are made here ---- */

static inline uint32_t wire_crc32c(const uint8_t *p, size_t n)
{
    uint32_t crc = ~0u;
    while (n--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1u)));
    }
    return ~crc;
}
