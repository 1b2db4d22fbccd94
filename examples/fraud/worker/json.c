#include "json.h"

#include <stdlib.h>
#include <string.h>

enum { INTEGER_DIGITS_MAX = 18 };

/* ---- checking: each returns where the thing ends, NULL if it is none ---- */

static const char *blank(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

static const char *text(const char *at, const char *end)
{
    if (at == end || *at++ != '"')
        return NULL;
    while (at < end && *at != '"') {
        if ((unsigned char)*at < 0x20)
            return NULL;
        at += *at == '\\' ? 2 : 1;
    }
    return at < end ? at + 1 : NULL;
}

static const char *digits(const char *at, const char *end)
{
    const char *first = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at > first ? at : NULL;
}

static const char *number(const char *at, const char *end)
{
    at += at < end && *at == '-';
    at = digits(at, end);
    if (at != NULL && at < end && *at == '.')
        at = digits(at + 1, end);
    if (at != NULL && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        at = digits(at, end);
    }
    return at;
}

static const char *word(const char *at, const char *end)
{
    static const char *const words[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(words[i]);
        if ((size_t)(end - at) >= n && memcmp(at, words[i], n) == 0)
            return at + n;
    }
    return NULL;
}

static const char *check(const char *at, const char *end, int depth);

/* `at` is behind the brace. */
static const char *inside(const char *at, const char *end, char close, int depth)
{
    at = blank(at, end);
    if (at < end && *at == close)
        return at + 1;
    for (;;) {
        if (close == '}') {
            at = text(at, end);
            at = at ? blank(at, end) : NULL;
            if (at == NULL || at == end || *at++ != ':')
                return NULL;
        }
        at = check(at, end, depth + 1);
        at = at ? blank(at, end) : NULL;
        if (at == NULL || at == end)
            return NULL;
        if (*at == close)
            return at + 1;
        if (*at++ != ',')
            return NULL;
        at = blank(at, end);
    }
}

static const char *check(const char *at, const char *end, int depth)
{
    at = blank(at, end);
    if (at == end || depth > JSON_DEPTH_MAX)
        return NULL;
    switch (*at) {
    case '{':
        return inside(at + 1, end, '}', depth);
    case '[':
        return inside(at + 1, end, ']', depth);
    case '"':
        return text(at, end);
    case 't':
    case 'f':
    case 'n':
        return word(at, end);
    default:
        return number(at, end);
    }
}

struct json json_read(const char *from, size_t n)
{
    const char *end = from + n, *at = blank(from, end);
    const char *behind = check(at, end, 0);
    if (behind == NULL || blank(behind, end) != end)
        return (struct json){0};
    return (struct json){at, (size_t)(behind - at)};
}

/* ---- walking over what was checked ---- */

/* Behind a number or a word. */
static const char *plain(const char *at, const char *end)
{
    static const char behind[] = ",]} \t\r\n";
    while (at < end && memchr(behind, *at, sizeof behind - 1) == NULL)
        at++;
    return at;
}

/* Where a checked value ends. */
static const char *skip(const char *at, const char *end)
{
    int depth = 0;
    do {
        if (*at == '"')
            at = text(at, end);
        else if (*at == '{' || *at == '[')
            depth++, at++;
        else if (*at == '}' || *at == ']')
            depth--, at++;
        else if (depth > 0)
            at++;
        else
            at = plain(at, end);
    } while (depth > 0);
    return at;
}

static struct json_walk walk(struct json value, char kind)
{
    if (json_kind(value) != kind)
        return (struct json_walk){0};
    return (struct json_walk){value.at + 1, value.at + value.len - 1};
}

struct json_walk json_members(struct json object)
{
    return walk(object, '{');
}

struct json_walk json_items(struct json array)
{
    return walk(array, '[');
}

bool json_item(struct json_walk *w, struct json *value)
{
    w->at = w->at ? blank(w->at, w->end) : w->end;
    if (w->at == w->end)
        return false;
    const char *behind = skip(w->at, w->end + 1);
    *value = (struct json){w->at, (size_t)(behind - w->at)};
    w->at = blank(behind, w->end);
    w->at += w->at < w->end && *w->at == ',';
    return true;
}

bool json_member(struct json_walk *w, struct json *name, struct json *value)
{
    w->at = w->at ? blank(w->at, w->end) : w->end;
    if (w->at == w->end)
        return false;
    const char *behind = text(w->at, w->end);
    *name = (struct json){w->at, (size_t)(behind - w->at)};
    w->at = blank(behind, w->end) + 1; /* the colon */
    return json_item(w, value);
}

bool json_is(struct json value, const char *wanted)
{
    size_t n = strlen(wanted);
    return value.len == n + 2 && *value.at == '"' && memcmp(value.at + 1, wanted, n) == 0;
}

bool json_to_integer(struct json value, int64_t *out)
{
    int64_t found = 0;
    bool negative = json_kind(value) == '-';
    if (value.len == 0 || value.len > INTEGER_DIGITS_MAX)
        return false;
    for (size_t i = negative; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return false;
        found = found * 10 + value.at[i] - '0';
    }
    *out = negative ? -found : found;
    return true;
}

/* A number ends before a comma or a brace: strtod does not read on. */
bool json_to_real(struct json value, double *out)
{
    char kind = json_kind(value);
    if (kind != '-' && (kind < '0' || kind > '9'))
        return false;
    *out = strtod(value.at, NULL);
    return true;
}
