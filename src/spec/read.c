/* read.c: a document's `spec` -> the struct of its kind, by the table.
 *
 * The tree is walked and each key looked for in the table: a field, or a group (the part of some
 * field's path before a dot), else it is unknown. The table's depth bounds the recursion.
 */
#include "spec/spec_internal.h"
#include "spec/tree.h"

#include <stdio.h>
#include <string.h>

/* One object that is described by one table: the whole spec, or an element of a list. */
struct reading {
    const struct spec_document *doc;
    struct arena *arena;
    struct spec_place *where;
    struct err_text *text;
    const struct spec_field *fields;
    size_t n;
    json_t *root;
    const char *at; /* the object's place in the document: "spec", "spec.properties[2]" */
    void *base;
};

static enum err wrong(struct reading *r, enum err err, const char *path)
{
    *r->where = r->doc->place;
    snprintf(r->where->path, sizeof r->where->path, "%s%s%s", r->at, *r->at && *path ? "." : "",
             path);
    unsigned line = spec_lines_find(r->doc->lines, r->where->path);
    if (line)
        r->where->line = line;
    return err;
}

struct str spec_group_of(const struct spec_field *field)
{
    const char *dot = strrchr(field->path, '.');
    return (struct str){field->path, dot ? (size_t)(dot - field->path) : 0};
}

static const struct spec_field *find_field(const struct reading *r, const char *path)
{
    for (size_t i = 0; i < r->n; i++) {
        if (!strcmp(r->fields[i].path, path))
            return &r->fields[i];
    }
    return NULL;
}

static bool is_group(const struct reading *r, const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < r->n; i++) {
        if (!strncmp(r->fields[i].path, path, len) && r->fields[i].path[len] == '.')
            return true;
    }
    return false;
}

/* The words that may stand where the path's last one does; else, that one's right path in another
 * group is told. */
static enum err unknown_field(struct reading *r, const char *path)
{
    const char *dot = strrchr(path, '.');
    size_t prefix = dot ? (size_t)(dot - path) + 1 : 0;
    struct str_nearest near;
    str_nearest_init(&near, str_of(path + prefix));
    for (size_t i = 0; i < r->n; i++) {
        const char *other = r->fields[i].path;
        if (strncmp(other, path, prefix) != 0)
            continue;
        const char *word = other + prefix, *end = strchrnul(word, '.');
        str_nearest_offer(&near, (struct str){word, (size_t)(end - word)});
    }
    for (size_t i = 0; i < r->n && !near.best.at; i++) {
        const char *last = strrchr(r->fields[i].path, '.');
        if (last && !strcmp(last + 1, path + prefix))
            near.best = str_of(r->fields[i].path);
    }
    err_say(r->text, ERR_CONFIG_INVALID, "there is no such field%s%.*s%s",
            near.best.at ? "; did you mean " : "", (int)near.best.len,
            near.best.at ? near.best.at : "", near.best.at ? "?" : "");
    return wrong(r, ERR_CONFIG_INVALID, path);
}

static enum err read_object(struct reading *r, json_t *object, const char *prefix);

/* The texts of an element follow the path in which it stands. */
static enum err read_list(struct reading *r, const struct spec_field *field, json_t *json)
{
    struct spec_list *list = spec_at(field, r->base);
    size_t n = json_array_size(json);
    if (!json_is_array(json) || n > SPEC_LIST_MAX)
        return wrong(r,
                     err_say(r->text, ERR_CONFIG_INVALID, "must be a list of objects, at most %d",
                             SPEC_LIST_MAX),
                     field->path);
    *list = (struct spec_list){arena_zalloc(r->arena, n, field->element_bytes), n};
    enum err err = list->at ? ERR_OK : ERR_MEMORY;
    for (size_t i = 0; i < n && !err; i++) {
        char at[SPEC_PATH_MAX];
        struct reading element = *r;
        snprintf(at, sizeof at, "%s%s%s[%zu]", r->at, *r->at ? "." : "", field->path, i);
        element.at = at;
        element.fields = field->fields;
        element.n = field->fields_n;
        element.root = json_array_get(json, i);
        element.base = (char *)list->at + i * field->element_bytes;
        spec_fields_default(field->fields, field->fields_n, element.base);
        err = read_object(&element, element.root, "");
    }
    return err;
}

static enum err read_field(struct reading *r, const struct spec_field *field, json_t *json)
{
    if (json_is_null(json)) {
        spec_value_default(field, r->base);
        return ERR_OK;
    }
    if (field->type == SPEC_LIST) {
        enum err err = read_list(r, field, json);
        if (err)
            return err;
    } else {
        enum err err = spec_value_read(field, json, r->arena, r->base, r->text);
        if (err)
            return wrong(r, err, field->path);
    }
    enum err err = field->check ? field->check(field, spec_at(field, r->base), r->text) : ERR_OK;
    return err ? wrong(r, err, field->path) : ERR_OK;
}

/* A group that is null: its fields get their defaults. */
static void default_group(struct reading *r, const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < r->n; i++) {
        if (!strncmp(r->fields[i].path, path, len) && r->fields[i].path[len] == '.')
            spec_value_default(&r->fields[i], r->base);
    }
}

static bool is_there(const struct reading *r, const struct spec_field *field)
{
    json_t *at = r->root;
    const char *word = field->path;
    while (at) {
        const char *end = strchrnul(word, '.');
        at = json_object_getn(at, word, (size_t)(end - word));
        if (!*end)
            break;
        word = end + 1;
    }
    return at && !json_is_null(at);
}

static enum err check_required(struct reading *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct spec_field *field = &r->fields[i];
        if (!field->required || is_there(r, field) || !spec_value_is_default(field, r->base))
            continue;
        err_say(r->text, ERR_CONFIG_INVALID, "is missing: %s", field->doc);
        return wrong(r, ERR_CONFIG_INVALID, field->path);
    }
    return ERR_OK;
}

/* prefix: the group in the table that the object is; "": the root. */
static enum err read_object(struct reading *r, json_t *object, const char *prefix)
{
    const char *key;
    json_t *value;
    if (object && !json_is_object(object))
        return wrong(r, err_say(r->text, ERR_CONFIG_INVALID, "must be an object"), prefix);
    json_object_foreach(object, key, value)
    {
        char path[SPEC_PATH_MAX];
        snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", key);
        bool dotted = strchr(key, '.') != NULL; /* a path is not a key */
        const struct spec_field *field = dotted ? NULL : find_field(r, path);
        enum err err = ERR_OK;
        if (field)
            err = read_field(r, field, value);
        else if (dotted || !is_group(r, path))
            err = unknown_field(r, path);
        else if (json_is_null(value))
            default_group(r, path);
        else
            err = read_object(r, value, path);
        if (err)
            return err;
    }
    return *prefix ? ERR_OK : check_required(r);
}

void spec_init(const struct spec_kind *kind, void *out)
{
    memset(out, 0, kind->bytes);
    spec_fields_default(kind->fields, kind->n, out);
}

static enum err read_root(const struct spec_kind *kind, const struct spec_document *doc,
                          const char *at, struct arena *arena, void *out, struct spec_place *where,
                          struct err_text *text)
{
    const char *field = "";
    struct reading r = {.doc = doc,
                        .arena = arena,
                        .where = where,
                        .text = text,
                        .fields = kind->fields,
                        .n = kind->n,
                        .root = doc->spec,
                        .at = at,
                        .base = out};
    enum err err = read_object(&r, doc->spec, "");
    if (err || !kind->check)
        return err;
    err = kind->check(out, arena, &field, text);
    return err ? wrong(&r, err, field) : ERR_OK;
}

enum err spec_read(const struct spec_kind *kind, const struct spec_document *doc,
                   struct arena *arena, void *out, struct spec_place *where, struct err_text *text)
{
    return read_root(kind, doc, "spec", arena, out, where, text);
}

enum err spec_read_tree(const struct spec_kind *kind, const struct spec_tree *tree,
                        const char *file, struct arena *arena, void *out, struct spec_place *where,
                        struct err_text *text)
{
    struct spec_document doc = {
        .spec = tree->root, .lines = tree->lines, .place = {.file = file, .line = tree->line}};
    return read_root(kind, &doc, "", arena, out, where, text);
}
