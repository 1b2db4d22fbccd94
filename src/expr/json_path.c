#include "expr/json_path.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

#define ROOT "data"
#define ROOT_BYTES (sizeof(ROOT) - 1)

/* ---- text ----------------------------------------------------------------------------------- */

static bool is_key_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || (uint8_t)c >= 0x80;
}

static size_t key_bytes(struct str s, size_t i)
{
    size_t n = 0;
    while (i + n < s.len && is_key_byte(s.at[i + n]))
        n++;
    return n;
}

/* From the quote at s.at[i] to behind the one that closes it; s.len where none does. */
static size_t quoted_end(struct str s, size_t i)
{
    char quote = s.at[i++];
    while (i < s.len && s.at[i] != quote)
        i += s.at[i] == '\\' ? 2 : 1;
    return i < s.len ? i + 1 : s.len;
}

size_t json_path_length(struct str s)
{
    size_t i = ROOT_BYTES;
    while (i < s.len && (s.at[i] == '.' || s.at[i] == '[')) {
        if (s.at[i] == '.') {
            i++;
            i += key_bytes(s, i);
            continue;
        }
        i++;
        while (i < s.len && s.at[i] != ']')
            i = s.at[i] == '\'' || s.at[i] == '"' ? quoted_end(s, i) : i + 1;
        i += i < s.len ? 1 : 0;
    }
    return i;
}

static enum err wrong(size_t place, const char *what, size_t *at, const char **right)
{
    *at = place;
    *right = what;
    return ERR_REQUEST_INVALID;
}

/* The text between quotes that begins at s.at[i], without its escapes; *i moves behind it. */
static bool read_quoted(struct str s, size_t *i, struct arena *arena, struct str *out)
{
    char quote = s.at[*i];
    size_t from = *i + 1, end = quoted_end(s, *i), n = 0;
    if (end <= from || end > s.len || s.at[end - 1] != quote)
        return false;
    char *copy = arena_alloc(arena, end - from);
    if (copy == NULL)
        return false;
    for (size_t k = from; k < end - 1; k++) {
        if (s.at[k] == '\\' && (s.at[k + 1] == '\\' || s.at[k + 1] == '\'' || s.at[k + 1] == '"'))
            k++;
        if (k < end - 1)
            copy[n++] = s.at[k];
    }
    *out = (struct str){copy, n};
    *i = end;
    return true;
}

static bool read_index(struct str s, size_t *i, uint32_t *out)
{
    size_t from = *i;
    uint64_t v = 0;
    while (*i < s.len && s.at[*i] >= '0' && s.at[*i] <= '9' && v <= JSON_PATH_INDEX_MAX)
        v = v * 10 + (uint64_t)(s.at[(*i)++] - '0');
    *out = (uint32_t)v;
    return *i > from && v <= JSON_PATH_INDEX_MAX;
}

static enum err read_bracket(struct str s, size_t *i, struct arena *arena, struct json_step *step,
                             size_t *at, const char **right)
{
    size_t from = *i;
    if (*i < s.len && (s.at[*i] == '\'' || s.at[*i] == '"')) {
        if (!read_quoted(s, i, arena, &step->key))
            return wrong(from, "a key in quotes, which are closed", at, right);
    } else if (!read_index(s, i, &step->index)) {
        return wrong(from, "an index such as [0], or a key in quotes such as ['odd key']", at,
                     right);
    }
    if (*i >= s.len || s.at[*i] != ']')
        return wrong(*i, "']'", at, right);
    (*i)++;
    return ERR_OK;
}

enum err json_path_parse(struct str s, struct arena *arena, struct json_path *out, size_t *at,
                         const char **right)
{
    size_t i = ROOT_BYTES;
    out->n = 0;
    if (s.len <= i || memcmp(s.at, ROOT, ROOT_BYTES) != 0)
        return wrong(0, "'data' with a path behind it", at, right);
    while (i < s.len) {
        if (out->n == JSON_PATH_STEPS_MAX)
            return wrong(i, "the end: a path has at most 32 steps", at, right);
        struct json_step *step = &out->steps[out->n++];
        *step = (struct json_step){0};
        if (s.at[i] == '[') {
            i++;
            enum err err = read_bracket(s, &i, arena, step, at, right);
            if (err != ERR_OK)
                return err;
            continue;
        }
        size_t n = s.at[i] == '.' ? key_bytes(s, i + 1) : 0;
        if (n == 0)
            return wrong(s.at[i] == '.' ? i + 1 : i,
                         "a key of letters, digits, _ and $; others as in data['odd key']", at,
                         right);
        step->key = (struct str){s.at + i + 1, n};
        i += 1 + n;
    }
    return ERR_OK;
}

/* ---- the tree ------------------------------------------------------------------------------- */

void json_paths_init(struct json_paths *paths, size_t slots_max)
{
    weir_assert(slots_max <= JSON_PATHS_MAX);
    *paths = (struct json_paths){.slots_max = slots_max};
}

void json_paths_free(struct json_paths *paths)
{
    mem_free(paths->nodes);
    *paths = (struct json_paths){0};
}

static uint16_t add_node(struct json_paths *paths, struct json_step step, uint16_t parent)
{
    if (paths->n == paths->cap) {
        paths->cap = paths->cap != 0 ? paths->cap * 2 : 8;
        paths->nodes = mem_realloc(paths->nodes, paths->cap * sizeof(paths->nodes[0]));
    }
    weir_assert(paths->n < JSON_NONE);
    uint16_t node = (uint16_t)paths->n++;
    paths->nodes[node] = (struct json_node){step, JSON_NONE, JSON_NONE, JSON_NONE, parent};
    if (parent != JSON_NONE) {
        paths->nodes[node].sibling = paths->nodes[parent].child;
        paths->nodes[parent].child = node;
    }
    return node;
}

static bool same_step(const struct json_step *a, const struct json_step *b)
{
    return str_eq(a->key, b->key) && (a->key.at != NULL || a->index == b->index);
}

static uint16_t find_child(const struct json_paths *paths, uint16_t node,
                           const struct json_step *step)
{
    uint16_t child = paths->nodes[node].child;
    while (child != JSON_NONE && !same_step(&paths->nodes[child].step, step))
        child = paths->nodes[child].sibling;
    return child;
}

/* The node of the path as far as it is there; *steps: how far. */
static uint16_t find(const struct json_paths *paths, const struct json_path *path, size_t *steps)
{
    uint16_t node = 0;
    for (*steps = 0; *steps < path->n; (*steps)++) {
        uint16_t child = find_child(paths, node, &path->steps[*steps]);
        if (child == JSON_NONE)
            break;
        node = child;
    }
    return node;
}

bool json_paths_add(struct json_paths *paths, const struct json_path *path, uint16_t *slot)
{
    size_t steps = 0;
    if (paths->n == 0)
        add_node(paths, (struct json_step){0}, JSON_NONE);
    uint16_t node = find(paths, path, &steps);
    if (steps < path->n || paths->nodes[node].slot == JSON_NONE) {
        if (paths->slots == paths->slots_max)
            return false;
        for (; steps < path->n; steps++)
            node = add_node(paths, path->steps[steps], node);
        paths->nodes[node].slot = (uint16_t)paths->slots++;
    }
    *slot = paths->nodes[node].slot;
    return true;
}

void json_paths_get(const struct json_paths *paths, uint16_t slot, struct json_path *out)
{
    size_t node = 0;
    while (paths->nodes[node].slot != slot)
        weir_assert(++node < paths->n);
    out->n = 0;
    for (size_t up = node; up != 0; up = paths->nodes[up].parent)
        out->n++;
    for (size_t k = out->n; k > 0; k--) {
        out->steps[k - 1] = paths->nodes[node].step;
        node = paths->nodes[node].parent;
    }
}
