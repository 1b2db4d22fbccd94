/* Attribute values in headers of HTTP: CloudEvents' HTTP protocol binding, 3.1.3.2. */
#include "broker/event.h"

#include <string.h>

static bool stands_for_itself(unsigned char ch)
{
    return ch > 0x20 && ch < 0x7f && ch != '"' && ch != '%';
}

struct str event_percent_encode(struct str value, struct arena *arena)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;
    for (size_t i = 0; i < value.len; i++)
        n += stands_for_itself((unsigned char)value.at[i]) ? 1 : 3;
    if (n == value.len)
        return value;
    char *p = arena_alloc(arena, n), *at = p;
    for (size_t i = 0; p != NULL && i < value.len; i++) {
        unsigned char ch = (unsigned char)value.at[i];
        if (stands_for_itself(ch)) {
            *at++ = (char)ch;
        } else {
            *at++ = '%';
            *at++ = hex[ch >> 4];
            *at++ = hex[ch & 15];
        }
    }
    return (struct str){p, n};
}

/* ---- decoding ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct str to_utf8(struct arena *arena, struct str raw)
{
    char *out = arena_alloc(arena, 2 * raw.len);
    size_t n = 0;
    if (!out)
        return (struct str){NULL, 0};
    for (size_t i = 0; i < raw.len; i++) {
        unsigned char c = (unsigned char)raw.at[i];
        if (c >= 0x80)
            out[n++] = (char)(0xc0 | c >> 6);
        out[n++] = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
    }
    return (struct str){out, n};
}

/* The byte at p, of which `left` are there: as it stands, or as %XX; *used is its length. */
static char decoded(const char *p, size_t left, size_t *used)
{
    int high = *p == '%' && left > 2 ? hex_digit(p[1]) : -1;
    int low = high >= 0 ? hex_digit(p[2]) : -1;
    *used = low >= 0 ? 3 : 1;
    if (low < 0)
        return *p;
    return (char)(high << 4 | low);
}

struct str event_percent_decode(struct str value, struct arena *arena)
{
    if (!utf8_valid(value.at, value.len))
        value = to_utf8(arena, value);
    if (value.at == NULL)
        return value;
    bool quoted = value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"';
    if (!quoted && memchr(value.at, '%', value.len) == NULL)
        return value;
    size_t n = 0, end = quoted ? value.len - 1 : value.len, used;
    char *out = arena_alloc(arena, value.len);
    for (size_t i = quoted; out && i < end; i += used) {
        if (quoted && value.at[i] == '\\' && i + 1 < end)
            i++;
        out[n++] = decoded(value.at + i, end - i, &used);
    }
    return (struct str){out, n};
}
