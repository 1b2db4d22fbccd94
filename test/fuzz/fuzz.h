/* fuzz.h: what the fuzz targets share: the entry that libFuzzer calls, and small readers of input.
 *
 * A target takes bytes and must end by itself, with all memory given back; what may not happen is
 * stated with weir_assert. Linked with libFuzzer it is called with mutated inputs; linked with
 * replay.c, once for every file of its corpus. State that lives between calls must not change what
 * a call does. Single thread.
 *
 * Inputs are read with struct rd (base/cursor.h): behind the end it gives zeros.
 */
#pragma once

#include "base/assert.h"
#include "base/cursor.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next n bytes, or what is left of them; *n becomes their number. */
static inline const uint8_t *fuzz_bytes(struct rd *in, size_t *n)
{
    *n = *n < rd_left(in) ? *n : rd_left(in);
    return rd_bytes(in, *n);
}

static inline void fuzz_check_equal(const void *a, size_t a_len, const void *b, size_t b_len)
{
    weir_assert(a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0));
}
