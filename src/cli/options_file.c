#include "cli/options_file.h"

#include "base/mem.h"
#include "io/disk.h"
#include "spec/json_text.h"

#include <string.h>

#define FILE_BYTES_MAX ((size_t)1 << 20)
#define MEMORY_MAX ((size_t)16 << 20)

static json_t *root_of(const struct options_file *file)
{
    return file->trees.n ? file->trees.at[0].root : NULL;
}

static unsigned line_of(const struct options_file *file, const char *key)
{
    return file->trees.n ? spec_lines_find(file->trees.at[0].lines, key) : 0;
}

static enum err refuse(const struct spec_place *place, struct err_text *text, const char *what)
{
    char where[OPTIONS_PLACE_MAX];
    return err_say(text, ERR_REQUEST_INVALID, "%s: %s", spec_place_put(place, where, sizeof where),
                   what);
}

/* ---- keys ----------------------------------------------------------------------------------- */

static size_t first_word(const char *path)
{
    return strcspn(path, ".");
}

static bool is_table_key(const struct option_set *set, const char *key)
{
    for (size_t i = 0; set->file_kind && i < set->file_kind->n; i++) {
        const char *path = set->file_kind->fields[i].path;
        if (strlen(key) == first_word(path) && !strncmp(path, key, strlen(key)))
            return true;
    }
    return false;
}

/* The option that names the file is none of the file's. */
static bool is_option_key(const struct option_set *set, const char *key)
{
    for (size_t i = 0; i < set->n; i++) {
        if (!strcmp(set->options[i].name, key))
            return strcmp(key, set->file_option) != 0;
    }
    return false;
}

static enum err unknown_key(const struct option_set *set, const struct options_file *file,
                            const char *key, struct err_text *text)
{
    struct spec_place place = {.file = file->path, .line = line_of(file, key)};
    struct str_nearest near;
    char what[160];
    str_nearest_init(&near, str_of(key));
    for (size_t i = 0; i < set->n; i++) {
        if (strcmp(set->options[i].name, set->file_option) != 0)
            str_nearest_offer(&near, str_of(set->options[i].name));
    }
    for (size_t i = 0; set->file_kind && i < set->file_kind->n; i++) {
        const char *path = set->file_kind->fields[i].path;
        str_nearest_offer(&near, (struct str){path, first_word(path)});
    }
    snprintf(place.path, sizeof place.path, "%s", key);
    snprintf(what, sizeof what, "there is no such option%s%.*s%s",
             near.best.at ? "; did you mean " : "", (int)near.best.len,
             near.best.at ? near.best.at : "", near.best.at ? "?" : "");
    return refuse(&place, text, what);
}

/* The keys of the table go into an object of their own. */
static enum err sort_keys(const struct option_set *set, const struct options_file *file,
                          json_t *of_table, struct err_text *text)
{
    const char *key;
    json_t *value;
    json_object_foreach(root_of(file), key, value)
    {
        if (is_table_key(set, key))
            json_object_set(of_table, key, value);
        else if (!is_option_key(set, key))
            return unknown_key(set, file, key, text);
    }
    return ERR_OK;
}

static enum err read_table(const struct option_set *set, struct options_file *file, json_t *object,
                           void *out, struct err_text *text)
{
    struct spec_place where = {.file = file->path};
    struct spec_tree tree = file->trees.at[0];
    struct err_text what = {""};
    tree.root = object;
    enum err err =
        spec_read_tree(set->file_kind, &tree, file->path, &file->memory, out, &where, &what);
    return err ? refuse(&where, text, what.s[0] ? what.s : err_meaning(err)) : ERR_OK;
}

static enum err check(const struct option_set *set, struct options_file *file, void *out,
                      struct err_text *text)
{
    struct spec_place place = {.file = file->path};
    if (set->file_kind)
        spec_init(set->file_kind, out);
    if (file->trees.n == 0)
        return ERR_OK;
    if (file->trees.n > 1 || !json_is_object(root_of(file)))
        return refuse(&place, text, "must be one object of options, such as `log-level: debug`");
    json_t *of_table = json_object();
    enum err err = sort_keys(set, file, of_table, text);
    if (!err && set->file_kind)
        err = read_table(set, file, of_table, out, text);
    json_decref(of_table);
    return err;
}

enum err options_file_read(const struct option_set *set, const char *path, void *out,
                           struct options_file *file, struct err_text *text)
{
    struct spec_place place = {.file = path};
    struct err_text what = {""};
    struct buf *bytes = NULL;
    size_t len;
    *file = (struct options_file){.path = path};
    arena_init(&file->memory, MEMORY_MAX);
    enum err err = disk_read_file(disk_real(), path, FILE_BYTES_MAX, &bytes, &len);
    if (err)
        return refuse(&place, text,
                      err == ERR_NOT_FOUND           ? "there is no such file"
                      : err == ERR_MESSAGE_TOO_LARGE ? "is larger than 1 MiB"
                                                     : "cannot be read");
    struct str all = {(const char *)bytes->data, len};
    err = spec_trees_yaml(all, &file->trees, &place.line, &what);
    buf_unref(bytes);
    if (err)
        return refuse(&place, text, what.s[0] ? what.s : err_meaning(err));
    return check(set, file, out, text);
}

void options_file_free(struct options_file *file)
{
    spec_trees_free(&file->trees);
    arena_free(&file->memory);
}

/* ---- values --------------------------------------------------------------------------------- */

size_t options_file_values(const struct options_file *file, const struct option *o)
{
    json_t *value = json_object_get(root_of(file), o->name);
    if (!value || json_is_null(value))
        return 0;
    return json_is_array(value) && o->kind == OPTION_LIST ? json_array_size(value) : 1;
}

/* As it would stand behind a flag. */
static const char *text_of(struct options_file *file, json_t *value)
{
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_boolean(value))
        return json_is_true(value) ? "true" : "false";
    if (!json_is_number(value))
        return ""; /* a list or an object: said to be empty, with what would be right */
    size_t len;
    char *number = json_text(value, JSON_ENCODE_ANY, &len);
    const char *text = arena_strndup(&file->memory, number, len);
    mem_free(number);
    return text ? text : "";
}

const char *options_file_value(struct options_file *file, const struct option *o, size_t i,
                               char out[OPTIONS_PLACE_MAX])
{
    json_t *value = json_object_get(root_of(file), o->name);
    struct spec_place place = {.file = file->path, .line = line_of(file, o->name)};
    snprintf(place.path, sizeof place.path, "%s", o->name);
    spec_place_put(&place, out, OPTIONS_PLACE_MAX);
    if (json_is_array(value) && o->kind == OPTION_LIST)
        value = json_array_get(value, i);
    return text_of(file, value);
}
