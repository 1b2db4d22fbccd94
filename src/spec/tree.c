/* tree.c: trees from JSON, and where in a tree a path leads. YAML is in tree_yaml.c. */
#include "spec/tree_internal.h"

#include <string.h>

#define FILE_BYTES_MAX (4 * SPEC_DOCUMENT_BYTES_MAX)
/* A node and its key for each value, and the keys' bytes. */
#define MEMORY_MAX (SPEC_VALUES_MAX * (size_t)128 + FILE_BYTES_MAX)

enum err spec_trees_init(struct spec_trees *out, size_t n)
{
    arena_init(&out->memory, MEMORY_MAX);
    out->n = 0;
    out->at = arena_zalloc(&out->memory, n, sizeof *out->at);
    return out->at ? ERR_OK : ERR_MEMORY;
}

enum err spec_trees_check_size(struct str text, struct err_text *wrong)
{
    if (text.len <= FILE_BYTES_MAX)
        return ERR_OK;
    return err_say(wrong, ERR_CONFIG_INVALID, "is larger than %zu bytes", FILE_BYTES_MAX);
}

void spec_trees_free(struct spec_trees *t)
{
    for (size_t i = 0; i < t->n; i++)
        json_decref(t->at[i].root);
    arena_free(&t->memory);
    *t = (struct spec_trees){0};
}

/* ---- JSON ----------------------------------------------------------------------------------- */

/* Behind the string that begins at *at, or at the end. */
static const char *behind_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\')
            at++;
    }
    return at < end ? at + 1 : end;
}

/* Depth and number of values, before a parser that calls itself sees the text. */
static enum err check_json_shape(struct str text, struct err_text *wrong)
{
    const char *at = text.at, *end = text.at + text.len;
    size_t depth = 0, values = 1;
    while (at < end) {
        if (*at == '"') {
            at = behind_string(at, end);
            continue;
        }
        if (*at == '[' || *at == '{') {
            depth++;
            values++;
        }
        depth -= (*at == ']' || *at == '}') && depth > 0;
        values += *at == ',';
        if (depth > SPEC_DEPTH_MAX)
            return err_say(wrong, ERR_CONFIG_INVALID, "has values inside of more than %d others",
                           SPEC_DEPTH_MAX);
        if (values > SPEC_VALUES_MAX)
            return err_say(wrong, ERR_CONFIG_INVALID, "has more than %d values", SPEC_VALUES_MAX);
        at++;
    }
    return ERR_OK;
}

enum err spec_trees_json(struct str text, struct spec_trees *out, unsigned *line,
                         struct err_text *wrong)
{
    json_error_t error;
    *out = (struct spec_trees){0};
    *line = 0;
    enum err err = spec_trees_check_size(text, wrong);
    if (!err)
        err = check_json_shape(text, wrong);
    if (err)
        return err;
    json_t *root = json_loadb(text.at ? text.at : "", text.len,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!root) {
        *line = error.line > 0 ? (unsigned)error.line : 0;
        return err_say(wrong, ERR_CONFIG_INVALID, "is not JSON: %s", error.text);
    }
    err = spec_trees_init(out, 1);
    if (err) {
        json_decref(root);
        return err;
    }
    out->at[out->n++].root = root;
    return ERR_OK;
}

/* ---- lines ---------------------------------------------------------------------------------- */

/* Does the path go on with this key of an object? Then behind it and its dot; else NULL. Keys may
 * have dots in them. */
static const char *behind_key(const char *path, struct str key)
{
    if (strncmp(path, key.at, key.len) != 0)
        return NULL;
    const char *rest = path + key.len;
    if (*rest == '.')
        return rest + 1;
    return *rest == '[' || *rest == '\0' ? rest : NULL;
}

static const struct spec_lines *step_by_key(const struct spec_lines *at, const char **path)
{
    for (const struct spec_lines *child = at->first; child; child = child->next) {
        const char *rest = child->key.at ? behind_key(*path, child->key) : NULL;
        if (rest) {
            *path = rest;
            return child;
        }
    }
    return NULL;
}

/* "[2].name" */
static const struct spec_lines *step_by_index(const struct spec_lines *at, const char **path)
{
    const char *end = strchr(*path, ']');
    int64_t index;
    if (!end || str_to_i64((struct str){*path + 1, (size_t)(end - *path - 1)}, &index))
        return NULL;
    const struct spec_lines *child = at->first;
    while (child && index-- > 0)
        child = child->next;
    *path = end[1] == '.' ? end + 2 : end + 1;
    return child;
}

unsigned spec_lines_find(const struct spec_lines *lines, const char *path)
{
    unsigned line = 0;
    for (const struct spec_lines *at = lines; at;) {
        line = at->line;
        if (!*path)
            break;
        at = *path == '[' ? step_by_index(at, &path) : step_by_key(at, &path);
    }
    return line;
}
