/* json.h: JSON without a tree: a value is the piece of the text in which it stands, which is
 * checked once and then walked over. What a worker passes on it need not read: it copies the piece.
 *
 *     struct json_walk w = json_members(object);
 *     for (struct json name, value; json_member(&w, &name, &value);)
 *         if (json_is(name, "amount")) ...
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 64

struct json {
    const char *at; /* with the quotes of a text, the braces of an object */
    size_t len;     /* 0: there is none */
};

struct json_walk {
    const char *at, *end;
};

/* The one value that the text holds; len 0: it is not JSON, or deeper than JSON_DEPTH_MAX. */
struct json json_read(const char *text, size_t n);

/* '{', '[', '"', 't', 'f', 'n', or a digit or '-'; 0: there is none. */
static inline char json_kind(struct json value)
{
    return value.len ? *value.at : 0;
}

/* Over the members of an object, as json_read gave it; over nothing, if it is none. */
struct json_walk json_members(struct json object);
bool json_member(struct json_walk *w, struct json *name, struct json *value);
/* Over the items of an array, likewise. */
struct json_walk json_items(struct json array);
bool json_item(struct json_walk *w, struct json *value);

/* Is it that text? Written without escapes. */
bool json_is(struct json value, const char *text);
/* A whole number of up to 18 digits, and none of them after a point. */
bool json_to_integer(struct json value, int64_t *out);
bool json_to_real(struct json value, double *out);
