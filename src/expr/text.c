#include "expr/text.h"

#include "expr/case_def.h"

#include <string.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- UTF-8 ---------------------------------------------------------------------------------- */

static size_t sequence_bytes(uint8_t lead)
{
    return lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
}

uint32_t text_next(struct str s, size_t *i)
{
    const uint8_t *p = (const uint8_t *)s.at + *i;
    if (p[0] < 0x80) {
        *i += 1;
        return p[0];
    }
    size_t n = sequence_bytes(p[0]);
    if (n == 0 || n > s.len - *i || !utf8_valid(p, n)) {
        *i += 1;
        return TEXT_STRAY + p[0];
    }
    uint32_t c = p[0] & (0xffu >> (n + 1));
    for (size_t k = 1; k < n; k++)
        c = c << 6 | (p[k] & 0x3f);
    *i += n;
    return c;
}

size_t text_put(char *out, uint32_t c)
{
    if (c < 0x80 || c >= TEXT_STRAY) {
        out[0] = (char)(c < 0x80 ? c : c - TEXT_STRAY);
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t k = n - 1; k > 0; k--) {
        out[k] = (char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    out[0] = (char)(leads[n] | c);
    return n;
}

size_t text_length(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; n++)
        text_next(s, &i);
    return n;
}

size_t text_bytes(struct str s, size_t n)
{
    size_t i = 0;
    while (n > 0 && i < s.len) {
        text_next(s, &i);
        n--;
    }
    return i;
}

/* ---- white space ---------------------------------------------------------------------------- */

static bool is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

struct str text_trim(struct str s)
{
    size_t first = s.len, last = 0;
    for (size_t i = 0; i < s.len;) {
        size_t at = i;
        if (is_space(text_next(s, &i)))
            continue;
        first = at < first ? at : first;
        last = i;
    }
    return first < last ? (struct str){s.at + first, last - first} : (struct str){s.at, 0};
}

/* ---- upper and lower case ------------------------------------------------------------------- */

struct case_run {
    uint32_t first, last, step;
    int32_t delta;
};

#define CASE(first, last, step, delta) {first, last, step, delta},
static const struct case_run to_upper[] = {CASE_TO_UPPER(CASE)};
static const struct case_run to_lower[] = {CASE_TO_LOWER(CASE)};
#undef CASE

static uint32_t mapped(const struct case_run *runs, size_t n, uint32_t c)
{
    size_t lo = 0;
    while (n > 0) { /* the last run that begins at or before c */
        size_t half = n / 2;
        if (runs[lo + half].first <= c) {
            lo += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    if (lo == 0)
        return c;
    const struct case_run *run = &runs[lo - 1];
    if (c > run->last || (c - run->first) % run->step != 0)
        return c;
    return (uint32_t)((int32_t)c + run->delta);
}

uint32_t text_upper(uint32_t c)
{
    if (c < 0x80)
        return c >= 'a' && c <= 'z' ? c - 32 : c;
    return mapped(to_upper, COUNT_OF(to_upper), c);
}

uint32_t text_lower(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    return mapped(to_lower, COUNT_OF(to_lower), c);
}

/* As .NET's OrdinalIgnoreCase, which Event Grid compares with: by upper case. */
bool text_begins_nocase(struct str a, struct str b, size_t *used)
{
    size_t i = 0, j = 0;
    while (j < b.len) {
        if (i == a.len)
            return false;
        if (a.at[i] == b.at[j] && (uint8_t)a.at[i] < 0x80) {
            i++;
            j++;
        } else if (text_upper(text_next(a, &i)) != text_upper(text_next(b, &j))) {
            return false;
        }
    }
    *used = i;
    return true;
}

bool text_equals_nocase(struct str a, struct str b)
{
    size_t used;
    return text_begins_nocase(a, b, &used) && used == a.len;
}

/* Both have the same number of characters at the end, if not of bytes. */
bool text_ends_nocase(struct str a, struct str b)
{
    size_t have = text_length(a), want = text_length(b);
    if (want > have)
        return false;
    size_t skip = text_bytes(a, have - want);
    return text_equals_nocase((struct str){a.at + skip, a.len - skip}, b);
}

bool text_contains_nocase(struct str a, struct str b)
{
    size_t used;
    for (size_t i = 0; i < a.len; text_next(a, &i)) {
        if (text_begins_nocase((struct str){a.at + i, a.len - i}, b, &used))
            return true;
    }
    return b.len == 0;
}
