#include "base/base64.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(char *out, const void *p, size_t n)
{
    const uint8_t *in = p;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)in[i] << 16;
        v |= i + 1 < n ? (uint32_t)in[i + 1] << 8 : 0;
        v |= i + 2 < n ? in[i + 2] : 0;
        *out++ = letters[v >> 18];
        *out++ = letters[v >> 12 & 63];
        *out++ = i + 1 < n ? letters[v >> 6 & 63] : '=';
        *out++ = i + 2 < n ? letters[v & 63] : '=';
    }
    *out = '\0';
}

/* 0 to 63; 64: no letter of base64. */
static uint32_t value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0') + 52;
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

/* One group of four characters into up to three bytes; 0: not one. */
static size_t group_decode(const char *at, bool last, uint8_t out[3])
{
    size_t pad = last && at[3] == '=' ? (at[2] == '=' ? 2 : 1) : 0;
    uint32_t v = 0;
    for (size_t i = 0; i < 4; i++) {
        uint32_t letter = i < 4 - pad ? value_of(at[i]) : 0;
        if (letter > 63)
            return 0;
        v = v << 6 | letter;
    }
    if ((pad == 1 && (v & 0xff)) || (pad == 2 && (v & 0xffff)))
        return 0;
    out[0] = (uint8_t)(v >> 16);
    out[1] = (uint8_t)(v >> 8);
    out[2] = (uint8_t)v;
    return 3 - pad;
}

bool base64_decode(struct str text, void *out, size_t cap, size_t *n)
{
    uint8_t *to = out, group[3];
    size_t len = 0;
    if (text.len % 4 != 0)
        return false;
    for (size_t i = 0; i < text.len; i += 4) {
        size_t got = group_decode(text.at + i, i + 4 == text.len, group);
        if (got == 0 || got > cap - len)
            return false;
        for (size_t j = 0; j < got; j++)
            to[len++] = group[j];
    }
    *n = len;
    return true;
}
