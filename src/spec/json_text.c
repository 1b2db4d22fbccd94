#include "spec/json_text.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_SURE 15 /* every decimal of so many reads back, so zeros apart no fewer do */
#define DIGITS_MAX 17  /* so many always tell one from all others */
#define NUMBER_MAX 32

/* Where the string that begins at `at` is over. */
static const char *string_end(const char *at)
{
    for (at++; *at != '"'; at++)
        at += *at == '\\';
    return at + 1;
}

/* The number of n bytes at `at`, in as few as mean the same; out may lie before it. Returns how
 * many these are. */
static size_t number_put(const char *at, size_t n, char *out)
{
    char text[NUMBER_MAX];
    double number = strtod(at, NULL);
    memmove(out, at, n);
    if (!memchr(out, '.', n) && !memchr(out, 'e', n)) /* an integer */
        return n;
    json_t *real = json_real(number);
    size_t len = n;
    for (size_t digits = DIGITS_SURE; digits < DIGITS_MAX && len == n; digits++) {
        size_t m =
            json_dumpb(real, text, sizeof text - 1, JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
        weir_assert(m < sizeof text);
        text[m] = '\0';
        if (m >= n || strtod(text, NULL) != number)
            continue;
        memcpy(out, text, m);
        len = m;
    }
    json_decref(real);
    return len;
}

/* In place: nothing gets longer. */
static size_t numbers_shorten(char *text)
{
    char *out = text;
    const char *at = text;
    while (*at != '\0') {
        const char *from = at;
        if (*at == '-' || (*at >= '0' && *at <= '9')) {
            at += strspn(at, "-+.0123456789e");
            out += number_put(from, (size_t)(at - from), out);
            continue;
        }
        at = *at == '"' ? string_end(at) : at + 1;
        memmove(out, from, (size_t)(at - from));
        out += at - from;
    }
    *out = '\0';
    return (size_t)(out - text);
}

char *json_text(const json_t *json, size_t flags, size_t *len)
{
    char *text = json_dumps(json, flags);
    size_t n = text != NULL ? numbers_shorten(text) : 0;
    if (len != NULL)
        *len = n;
    return text;
}

void json_text_print(const json_t *json, size_t flags)
{
    char *text = json_text(json, flags, NULL);
    puts(text != NULL ? text : "null");
    mem_free(text);
}
