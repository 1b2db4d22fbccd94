#include "front/http/uri.h"

#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_plain(struct str raw, bool plus)
{
    return !memchr(raw.at, '%', raw.len) && !(plus && memchr(raw.at, '+', raw.len));
}

/* The byte that % and two digits at s[i] stand for; -1: they do not. */
static int encoded_byte(struct str s, size_t i)
{
    if (s.len - i < 3)
        return -1;
    int high = hex_digit(s.at[i + 1]), low = hex_digit(s.at[i + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

enum err uri_decode(struct str raw, bool plus, struct arena *arena, struct str *out)
{
    *out = raw;
    if (raw.len == 0 || is_plain(raw, plus))
        return ERR_OK;
    char *p = arena_alloc(arena, raw.len);
    size_t n = 0;
    if (!p)
        return ERR_MEMORY;
    for (size_t i = 0; i < raw.len; i++) {
        int c = raw.at[i];
        if (c == '%') {
            c = encoded_byte(raw, i);
            if (c <= 0)
                return ERR_REQUEST_INVALID;
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        p[n++] = (char)c;
    }
    *out = (struct str){p, n};
    return ERR_OK;
}

static struct str cut(struct str *rest, char at)
{
    const char *end = memchr(rest->at, at, rest->len);
    struct str part = {rest->at, end ? (size_t)(end - rest->at) : rest->len};
    size_t used = part.len + (end != NULL);
    rest->at += used;
    rest->len -= used;
    return part;
}

static enum err query_pair(struct str pair, struct arena *arena, struct http_field *out)
{
    struct str name = cut(&pair, '='); /* what is left is the value, never at NULL */
    enum err err = uri_decode(name, true, arena, &out->name);
    return err ? err : uri_decode(pair, true, arena, &out->value);
}

enum err uri_query(struct str raw, struct arena *arena, const struct http_field **out, size_t *n,
                   struct err_text *text)
{
    size_t pairs = 1;
    *n = 0;
    if (raw.len == 0)
        return ERR_OK;
    for (size_t i = 0; i < raw.len; i++)
        pairs += raw.at[i] == '&';
    if (pairs > HTTP_QUERY_MAX)
        return err_say(text, ERR_REQUEST_INVALID, "the query has %zu parameters; %d are the most",
                       pairs, HTTP_QUERY_MAX);
    struct http_field *at = arena_zalloc(arena, pairs, sizeof *at);
    if (!at)
        return ERR_MEMORY;
    *out = at;
    while (raw.len) {
        struct str pair = cut(&raw, '&');
        if (pair.len == 0)
            continue;
        enum err err = query_pair(pair, arena, &at[*n]);
        if (err == ERR_REQUEST_INVALID)
            return err_say(text, err,
                           "the query has a %% that two hexadecimal digits must follow: "
                           "%.*s",
                           (int)(pair.len < 100 ? pair.len : 100), pair.at);
        if (err)
            return err;
        ++*n;
    }
    return ERR_OK;
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~", c));
}

void uri_encode(struct wr *w, struct str s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (is_unreserved(s.at[i])) {
            wr_u8(w, c);
        } else {
            uint8_t *p = wr_room(w, 3);
            p[0] = '%';
            p[1] = (uint8_t)digits[c >> 4];
            p[2] = (uint8_t)digits[c & 15];
        }
    }
}
