/* chunked.h: the chunked transfer coding of a request body (RFC 9112, 7.1), byte by byte.
 *
 * Strict: sizes are 1 to CHUNKED_DIGITS_MAX hexadecimal digits, every line ends in CR LF, a chunk
 * extension is printable and ignored, trailers are checked for their form and ignored (nothing in
 * them may change what the head said). Pure.
 */
#pragma once

#include "base/cursor.h"
#include "base/err.h"

#include <stdbool.h>

#define CHUNKED_DIGITS_MAX 8
#define CHUNKED_LINE_MAX 256           /* of a size with its extension, and of a trailer */
#define CHUNKED_OVERHEAD_MAX (4 << 10) /* of trailers */

enum chunked_at { /* what the next byte is of */
                  CHUNKED_SIZE,
                  CHUNKED_EXTENSION,
                  CHUNKED_SIZE_LF,
                  CHUNKED_DATA,
                  CHUNKED_DATA_CR,
                  CHUNKED_DATA_LF,
                  CHUNKED_TRAILER, /* its first byte */
                  CHUNKED_TRAILER_REST,
                  CHUNKED_TRAILER_LF,
                  CHUNKED_END_LF,
                  CHUNKED_DONE,
};

struct chunked {
    enum chunked_at at;
    uint64_t left; /* of the chunk's data */
    unsigned digits, line, trailers;
};

/* Zeroed is fresh. Appends data to out, at most to `max` bytes in it; *used says how many of the n
 * bytes belonged to the body, which is whole when c->at is CHUNKED_DONE. ERR_FRAME: bad syntax;
 * ERR_MESSAGE_TOO_LARGE: more than max. */
enum err must_use chunked_take(struct chunked *c, const uint8_t *p, size_t n, size_t max,
                               struct wr *out, size_t *used);
