#include "base/str.h"

#include <string.h>

bool str_copy(char *dst, size_t cap, struct str s)
{
    if (cap == 0)
        return false;
    size_t n = s.len < cap ? s.len : cap - 1;
    if (n != 0)
        memcpy(dst, s.at, n);
    dst[n] = '\0';
    return n == s.len;
}

void str_put_plain(char *dst, size_t cap, struct str s)
{
    size_t n = s.len < cap - 1 ? s.len : cap - 1;
    for (size_t i = 0; i < n; i++)
        dst[i] = s.at[i] > ' ' && s.at[i] < 0x7f && s.at[i] != '"' ? s.at[i] : '?';
    dst[n] = '\0';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static struct str str_from(struct str s, size_t from)
{
    return (struct str){s.at + from, s.len - from};
}

/* Counts down from zero for a negative number, so that INT64_MIN needs no special case. */
static bool add_digit(int64_t *v, char digit, bool negative)
{
    int64_t d = digit - '0';
    return !__builtin_mul_overflow(*v, 10, v) && !__builtin_add_overflow(*v, negative ? -d : d, v);
}

enum err str_to_i64(struct str s, int64_t *out)
{
    bool negative = s.len != 0 && s.at[0] == '-';
    size_t i = s.len != 0 && (s.at[0] == '-' || s.at[0] == '+') ? 1 : 0;
    if (i == s.len)
        return ERR_CONFIG_INVALID;
    int64_t v = 0;
    for (; i < s.len; i++) {
        if (!is_digit(s.at[i]) || !add_digit(&v, s.at[i], negative))
            return ERR_CONFIG_INVALID;
    }
    *out = v;
    return ERR_OK;
}

struct unit {
    const char *name;
    int64_t factor;
};

/* A number, bare or with one of the units behind it. A sign is for bare numbers: -1 is "none". */
static enum err parse_with_unit(struct str s, const struct unit *units, size_t count, int64_t *out)
{
    size_t digits = 0;
    while (digits < s.len && is_digit(s.at[digits]))
        digits++;
    if (digits == 0 || digits == s.len)
        return str_to_i64(s, out);
    int64_t v;
    if (str_to_i64((struct str){s.at, digits}, &v) != ERR_OK)
        return ERR_CONFIG_INVALID;
    for (size_t i = 0; i < count; i++) {
        if (!str_is(str_from(s, digits), units[i].name))
            continue;
        if (__builtin_mul_overflow(v, units[i].factor, &v))
            return ERR_CONFIG_INVALID;
        *out = v;
        return ERR_OK;
    }
    return ERR_CONFIG_INVALID;
}

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

enum err str_to_duration_ms(struct str s, int64_t *out)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000},
    };
    return parse_with_unit(s, units, COUNT_OF(units), out);
}

enum err str_to_size(struct str s, int64_t *out)
{
    static const struct unit units[] = {
        {"B", 1},
        {"KB", 1000},
        {"MB", 1000 * 1000},
        {"GB", 1000 * 1000 * 1000},
        {"TB", 1000LL * 1000 * 1000 * 1000},
        {"KiB", 1LL << 10},
        {"MiB", 1LL << 20},
        {"GiB", 1LL << 30},
        {"TiB", 1LL << 40},
    };
    return parse_with_unit(s, units, COUNT_OF(units), out);
}

/* Cuts "[v6]:port" or "host:port" at the colon; false: it is neither. */
static bool split_host_port(struct str s, struct str *host, struct str *port)
{
    if (s.len == 0)
        return false;
    if (s.at[0] == '[') {
        const char *end = memchr(s.at, ']', s.len);
        if (end == NULL || end == s.at + 1 || end + 1 == s.at + s.len || end[1] != ':')
            return false;
        *host = (struct str){s.at + 1, (size_t)(end - s.at - 1)};
        *port = str_from(s, host->len + 3);
        return true;
    }
    const char *colon = memchr(s.at, ':', s.len);
    if (colon == NULL)
        return false;
    *host = (struct str){s.at, (size_t)(colon - s.at)};
    *port = str_from(s, host->len + 1);
    return true;
}

static bool host_is_printable(struct str host)
{
    for (size_t i = 0; i < host.len; i++) {
        if (host.at[i] <= ' ' || host.at[i] == 0x7f || host.at[i] == '[' || host.at[i] == ']')
            return false;
    }
    return true;
}

enum err str_to_host_port(struct str s, char *host, size_t cap, uint16_t *port)
{
    struct str h, p;
    int64_t number;
    if (!split_host_port(s, &h, &p) || !host_is_printable(h) || h.len >= cap)
        return ERR_CONFIG_INVALID;
    if (p.len == 0 || !is_digit(p.at[0]) || str_to_i64(p, &number) != ERR_OK || number > UINT16_MAX)
        return ERR_CONFIG_INVALID;
    str_copy(host, cap, h);
    *port = (uint16_t)number;
    return ERR_OK;
}

#define DISTANCE_CHARS_MAX 64

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

/* One row of the usual table at a time: row[j] is the distance of a's first i characters from b's
 * first j. */
unsigned str_distance(struct str a, struct str b)
{
    unsigned row[DISTANCE_CHARS_MAX + 1];
    size_t na = a.len < DISTANCE_CHARS_MAX ? a.len : DISTANCE_CHARS_MAX;
    size_t nb = b.len < DISTANCE_CHARS_MAX ? b.len : DISTANCE_CHARS_MAX;
    for (size_t j = 0; j <= nb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            unsigned above = row[j];
            unsigned change = a.at[i - 1] != b.at[j - 1];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + change);
            diagonal = above;
        }
    }
    return row[nb];
}

void str_nearest_init(struct str_nearest *n, struct str given)
{
    size_t letters = given.len < 9 ? given.len : 9;
    *n = (struct str_nearest){.given = given, .least = (unsigned)letters / 3 + 2};
}

void str_nearest_offer(struct str_nearest *n, struct str word)
{
    unsigned distance = str_distance(n->given, word);
    if (distance >= n->least)
        return;
    n->least = distance;
    n->best = word;
}

/* The length of the sequence that begins with this byte, and the range of the byte behind it, which
 * is what excludes overlong forms, surrogates and values beyond U+10FFFF (RFC 3629, section 4). */
static size_t utf8_lead(uint8_t lead, uint8_t *lo, uint8_t *hi)
{
    *lo = 0x80;
    *hi = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef) {
        if (lead == 0xe0)
            *lo = 0xa0;
        if (lead == 0xed)
            *hi = 0x9f;
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if (lead == 0xf0)
            *lo = 0x90;
        if (lead == 0xf4)
            *hi = 0x8f;
        return 4;
    }
    return 0;
}

/* The length of the sequence of two to four bytes at p; 0: it is not well-formed. */
static size_t utf8_sequence(const uint8_t *p, size_t n)
{
    uint8_t lo, hi;
    size_t len = utf8_lead(p[0], &lo, &hi);
    if (len == 0 || len > n || p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    return len;
}

static bool is_ascii_word(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return (v & 0x8080808080808080) == 0;
}

bool utf8_valid(const void *data, size_t n)
{
    const uint8_t *p = data;
    while (n != 0) {
        size_t len = 1;
        if (n >= 8 && is_ascii_word(p))
            len = 8;
        else if (*p >= 0x80)
            len = utf8_sequence(p, n);
        if (len == 0)
            return false;
        p += len;
        n -= len;
    }
    return true;
}
