/* plain.h: how much of a text is plain ASCII, which most text is and which needs no looking at:
 * sixteen bytes at a time, in the compiler's own vectors (SSE2, NEON or what there is). Pure.
 */
#pragma once

#include "base/str.h"

#define PLAIN_STEP sizeof(plain_step)

typedef int8_t plain_step __attribute__((vector_size(16)));

/* Which of two numbers of eight bytes has the first byte that is not zero, and where. */
static inline size_t plain_first(const uint64_t found[2])
{
    uint64_t w = found[0] != 0 ? found[0] : found[1];
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    int bits = __builtin_ctzll(w);
#else
    int bits = __builtin_clzll(w);
#endif
    return (size_t)bits / 8 + (found[0] != 0 ? 0 : sizeof(w));
}

/* Of PLAIN_STEP bytes: how many stand before the first one that is not plain; PLAIN_STEP: all are.
 * As signed bytes those beyond ASCII are below the blank, too. */
static inline size_t plain_in_step(const char *at, char a, char b)
{
    plain_step v;
    uint64_t found[2];
    memcpy(&v, at, sizeof(v));
    plain_step bad = (v < 0x20) | (v == (int8_t)a) | (v == (int8_t)b);
    memcpy(found, &bad, sizeof(found));
    return (found[0] | found[1]) == 0 ? PLAIN_STEP : plain_first(found);
}

/* How many bytes at the beginning are no control character (below 0x20), not beyond ASCII, and
 * neither a nor b. */
static inline size_t plain_bytes(struct str s, char a, char b)
{
    size_t n = 0;
    while (s.len - n >= PLAIN_STEP) {
        size_t more = plain_in_step(s.at + n, a, b);
        n += more;
        if (more < PLAIN_STEP)
            return n;
    }
    while (n < s.len && (signed char)s.at[n] >= 0x20 && s.at[n] != a && s.at[n] != b)
        n++;
    return n;
}
