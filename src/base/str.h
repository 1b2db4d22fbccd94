/* str.h: text that is not NUL-terminated, and numbers, sizes and durations from text. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes, not NUL-terminated. at == NULL is "absent" (Kafka's null string). */
struct str {
    const char *at;
    size_t len;
};

#define STR_LIT(s) ((struct str){(s), sizeof(s) - 1})
static inline struct str str_of(const char *s)
{
    return (struct str){s, s != NULL ? strlen(s) : 0};
}
static inline bool str_eq(struct str a, struct str b)
{
    if (a.len != b.len || (a.at == NULL) != (b.at == NULL))
        return false;
    return a.len == 0 || memcmp(a.at, b.at, a.len) == 0;
}
/* A literal's length is known when it is compiled. */
static inline bool str_is(struct str a, const char *s)
{
    return str_eq(a, str_of(s));
}
/* Copies at most cap - 1 bytes and a NUL; returns false when it was cut. */
bool str_copy(char *dst, size_t cap, struct str s);
/* Text from outside as one word of a log line: what is not printable ASCII, and quotes, become '?'.
 * Cut at cap - 1. */
void str_put_plain(char *dst, size_t cap, struct str s);

/* The parsers below say ERR_CONFIG_INVALID to anything else than what they describe, and leave the
 * output alone then. */

/* A whole decimal number, optional sign, nothing else; out of range is an error. */
enum err must_use str_to_i64(struct str s, int64_t *out);
/* "500ms" "30s" "10m" "7d" "2h", or a bare number of milliseconds, which may be negative. */
enum err must_use str_to_duration_ms(struct str s, int64_t *out);
/* "512" "64KiB" "10MiB" "1GiB" "10KB" (decimal) -> bytes. A bare number may be negative. */
enum err must_use str_to_size(struct str s, int64_t *out);
/* "HOST:PORT", "[::1]:9092", ":9092" -> host (may be empty, never in
 * brackets) and port. host has cap bytes. */
enum err must_use str_to_host_port(struct str s, char *host, size_t cap, uint16_t *port);
/* Edit distance (Levenshtein), for "did you mean": at most 64 characters are compared. */
unsigned str_distance(struct str a, struct str b);

/* "Did you mean": offer the words there are, one after the other; best is then the nearest one, at
 * NULL where none is near (one wrong letter in three). The words are borrowed. */
struct str_nearest {
    struct str given, best;
    unsigned least;
};
void str_nearest_init(struct str_nearest *n, struct str given);
void str_nearest_offer(struct str_nearest *n, struct str word);

/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, <= U+10FFFF)? */
bool utf8_valid(const void *p, size_t n);
