/* document.c: trees -> documents: apiVersion, kind, metadata; and how a place is written. */
#include "spec/tree.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* jansson takes its memory where everybody does; so it never fails for want of it. Here, because
 * every program that reads or writes a document links this file. */
__attribute__((constructor)) static void use_our_memory(void)
{
    json_set_alloc_funcs(mem_alloc, mem_free);
}

const char *spec_place_put(const struct spec_place *place, char *out, size_t cap)
{
    char line[24] = "";
    bool file = place->file != NULL;
    if (place->line != 0)
        snprintf(line, sizeof line, "%s%u", file ? ":" : "line ", place->line);
    bool before = file || place->line != 0;
    snprintf(out, cap, "%s%s%s%s", file ? place->file : "", line,
             before && place->path[0] ? ": " : "", place->path);
    return out;
}

/* ---- one document --------------------------------------------------------------------------- */

struct reading {
    struct spec_document *doc;
    struct arena *arena;
    struct spec_place *where;
    struct err_text *wrong;
};

static enum err wrong_at(struct reading *r, const char *path, const char *what)
{
    unsigned line = spec_lines_find(r->doc->lines, path);
    *r->where = r->doc->place;
    r->where->line = line ? line : r->doc->place.line;
    snprintf(r->where->path, sizeof r->where->path, "%s", path);
    return err_say(r->wrong, ERR_CONFIG_INVALID, "%s", what);
}

/* Every key of the object must be one of the words. */
static enum err check_keys(struct reading *r, json_t *object, const char *prefix,
                           const char *const *words)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        struct str_nearest near;
        bool found = false;
        str_nearest_init(&near, str_of(key));
        for (size_t i = 0; words[i]; i++) {
            found |= !strcmp(key, words[i]);
            str_nearest_offer(&near, str_of(words[i]));
        }
        if (found)
            continue;
        char path[SPEC_PATH_MAX], what[128];
        snprintf(path, sizeof path, "%s%s", prefix, key);
        snprintf(what, sizeof what, "there is no such field%s%s%s",
                 near.best.at ? "; did you mean " : "", near.best.at ? near.best.at : "",
                 near.best.at ? "?" : "");
        return wrong_at(r, path, what);
    }
    return ERR_OK;
}

static struct str str_of_json(json_t *json)
{
    return (struct str){json_string_value(json), json_string_length(json)};
}

static enum err read_labels(struct reading *r, json_t *labels)
{
    size_t n = json_object_size(labels), i = 0;
    const char *key;
    json_t *value;
    if (!labels || json_is_null(labels))
        return ERR_OK;
    if (!json_is_object(labels) || n > SPEC_LIST_MAX)
        return wrong_at(r, "metadata.labels", "must be an object of texts");
    r->doc->labels = (struct spec_map){arena_zalloc(r->arena, n, sizeof(struct spec_pair)), n};
    if (!r->doc->labels.at)
        return ERR_MEMORY;
    json_object_foreach(labels, key, value)
    {
        if (!json_is_string(value))
            return wrong_at(r, "metadata.labels",
                            "must be an object of texts, in quotes where "
                            "they look like numbers");
        r->doc->labels.at[i++] = (struct spec_pair){str_of(key), str_of_json(value)};
    }
    return ERR_OK;
}

static enum err read_metadata(struct reading *r, json_t *metadata)
{
    static const char *const words[] = {"name", "labels", NULL};
    if (!json_is_object(metadata))
        return wrong_at(r, "metadata",
                        metadata ? "must be an object with a name"
                                 : "is missing: metadata: {name: ...}");
    enum err err = check_keys(r, metadata, "metadata.", words);
    json_t *name = json_object_get(metadata, "name");
    if (err)
        return err;
    if (!json_is_string(name) || json_string_length(name) == 0 ||
        json_string_length(name) > SPEC_NAME_MAX)
        return wrong_at(r, "metadata.name",
                        name ? "must be text, in quotes where it looks like a number, and not long"
                             : "is missing");
    r->doc->name = str_of_json(name);
    return read_labels(r, json_object_get(metadata, "labels"));
}

/* `status` is what `weir get` shows beside; it is not read. */
static enum err read_root(struct reading *r, json_t *root)
{
    static const char *const words[] = {"apiVersion", "kind", "metadata", "spec", "status", NULL};
    if (!json_is_object(root))
        return wrong_at(r, "", "must be an object with apiVersion, kind, metadata and spec");
    enum err err = check_keys(r, root, "", words);
    json_t *version = json_object_get(root, "apiVersion"), *kind = json_object_get(root, "kind");
    json_t *spec = json_object_get(root, "spec");
    if (err)
        return err;
    if (!json_is_string(version) || strcmp(json_string_value(version), SPEC_API_VERSION) != 0)
        return wrong_at(r, "apiVersion", "must be " SPEC_API_VERSION);
    if (!json_is_string(kind))
        return wrong_at(r, "kind", kind ? "must be text" : "is missing");
    r->doc->kind = str_of_json(kind);
    if (spec && !json_is_null(spec) && !json_is_object(spec))
        return wrong_at(r, "spec", "must be an object");
    r->doc->spec = json_is_object(spec) ? spec : NULL;
    return read_metadata(r, json_object_get(root, "metadata"));
}

/* ---- all of a file -------------------------------------------------------------------------- */

static enum err read_all(struct spec_documents *out, const char *file, struct spec_place *where,
                         struct err_text *wrong)
{
    struct spec_trees *trees = out->trees;
    out->n = trees->n;
    out->at = arena_zalloc(&trees->memory, trees->n, sizeof *out->at);
    enum err err = out->at ? ERR_OK : ERR_MEMORY;
    for (size_t i = 0; i < trees->n && !err; i++) {
        struct reading r = {&out->at[i], &trees->memory, where, wrong};
        out->at[i].place = (struct spec_place){.file = file, .line = trees->at[i].line};
        out->at[i].lines = trees->at[i].lines;
        out->at[i].root = trees->at[i].root;
        err = read_root(&r, trees->at[i].root);
    }
    return err;
}

/* Of JSON, an array of documents is as many trees. */
static enum err spread_array(struct spec_trees *trees, struct err_text *wrong)
{
    if (trees->n != 1 || !json_is_array(trees->at[0].root))
        return ERR_OK;
    json_t *array = trees->at[0].root;
    size_t n = json_array_size(array);
    if (n > SPEC_DOCUMENTS_MAX)
        return err_say(wrong, ERR_CONFIG_INVALID, "there are more than %d documents",
                       SPEC_DOCUMENTS_MAX);
    struct spec_tree *at = arena_zalloc(&trees->memory, n, sizeof *at);
    if (!at)
        return ERR_MEMORY;
    for (size_t i = 0; i < n; i++)
        at[i].root = json_incref(json_array_get(array, i));
    json_decref(array);
    trees->at = at;
    trees->n = n;
    return ERR_OK;
}

static enum err documents(enum err err, const char *file, unsigned line, struct spec_documents *out,
                          struct spec_place *where, struct err_text *wrong)
{
    if (err)
        *where = (struct spec_place){.file = file, .line = line};
    if (!err)
        err = read_all(out, file, where, wrong);
    if (err)
        spec_documents_free(out);
    return err;
}

enum err spec_documents_yaml(struct str text, const char *file, struct spec_documents *out,
                             struct spec_place *where, struct err_text *wrong)
{
    unsigned line;
    *out = (struct spec_documents){.trees = mem_zalloc(1, sizeof *out->trees)};
    enum err err = spec_trees_yaml(text, out->trees, &line, wrong);
    return documents(err, file, line, out, where, wrong);
}

enum err spec_documents_json(struct str text, const char *file, struct spec_documents *out,
                             struct spec_place *where, struct err_text *wrong)
{
    unsigned line;
    *out = (struct spec_documents){.trees = mem_zalloc(1, sizeof *out->trees)};
    enum err err = spec_trees_json(text, out->trees, &line, wrong);
    if (!err)
        err = spread_array(out->trees, wrong);
    return documents(err, file, line, out, where, wrong);
}

unsigned spec_document_line(const struct spec_document *doc, const char *path)
{
    return spec_lines_find(doc->lines, path);
}

struct spec_document spec_document_of(const struct spec_kind *kind, struct str name, json_t *spec)
{
    return (struct spec_document){.kind = str_of(kind->name), .name = name, .spec = spec};
}

void spec_documents_free(struct spec_documents *d)
{
    if (d->trees) {
        spec_trees_free(d->trees);
        mem_free(d->trees);
    }
    *d = (struct spec_documents){0};
}

const struct spec_kind *spec_kind_find(const struct spec_kind *const *kinds, size_t n,
                                       struct str name, struct err_text *text)
{
    struct str_nearest near;
    str_nearest_init(&near, name);
    for (size_t i = 0; i < n; i++) {
        if (str_is(name, kinds[i]->name))
            return kinds[i];
        str_nearest_offer(&near, str_of(kinds[i]->name));
    }
    char known[128] = "";
    size_t used = 0;
    for (size_t i = 0; i < n && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                 kinds[i]->name);
    err_say(text, ERR_CONFIG_INVALID, "there is no kind \"%.*s\"; %s%s%s",
            (int)(name.len < 64 ? name.len : 64), name.at,
            near.best.at ? "did you mean " : "there are ", near.best.at ? near.best.at : known,
            near.best.at ? "?" : "");
    return NULL;
}
