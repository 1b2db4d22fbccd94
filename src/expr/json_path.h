/* json_path.h: paths into a JSON document, and a set of them as a tree that a scan walks along.
 *
 * A path is written as in JavaScript, behind the word `data`, which is the document itself:
 * data.customer.id, data.items[0].sku, data['odd key']. A key behind a dot is made of letters,
 * digits, _, $ and whatever is not ASCII; any other stands in brackets and quotes, where \' \" and
 * \\ are the quotes and the backslash.
 *
 *     data.a.b     slot 0            root -- a -- b (slot 0)
 *     data.a.c[1]  slot 1                       \ c -- [1] (slot 1)
 *
 * A set grows while programs are compiled and is immutable afterwards; then any thread may use it.
 */
#pragma once

#include "base/arena.h"
#include "base/str.h"

#define JSON_PATH_STEPS_MAX 32
#define JSON_PATH_INDEX_MAX 999999999u
#define JSON_PATHS_MAX 256 /* slots of one set */
#define JSON_NONE UINT16_MAX

/* One step: the member `key`, or, where key.at == NULL, the element `index`. */
struct json_step {
    struct str key;
    uint32_t index;
};

struct json_path {
    size_t n;
    struct json_step steps[JSON_PATH_STEPS_MAX];
};

/* How many bytes of s, which begins with `data`, are the path: up to the first byte that cannot
 * belong to it. */
size_t json_path_length(struct str s);
/* Keys with escapes are copied to the arena, others point into s. ERR_REQUEST_INVALID: *at is the
 * place in s and *right what would be right there. */
enum err must_use json_path_parse(struct str s, struct arena *arena, struct json_path *out,
                                  size_t *at, const char **right);

/* Indexes of nodes; JSON_NONE: none. */
struct json_node {
    struct json_step step;
    uint16_t slot;
    uint16_t child, sibling, parent;
};

struct json_paths {
    struct json_node *nodes; /* nodes[0] is the document, if there is any path */
    size_t n, cap;
    size_t slots;
    size_t slots_max;
};

void json_paths_init(struct json_paths *paths, size_t slots_max);
void json_paths_free(struct json_paths *paths);
/* The slot of the path, whose keys must live as long as the set; false: slots_max are in use. */
bool json_paths_add(struct json_paths *paths, const struct json_path *path, uint16_t *slot);
/* The path of a slot. */
void json_paths_get(const struct json_paths *paths, uint16_t slot, struct json_path *out);
