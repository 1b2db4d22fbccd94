#include "cli/resource_files.h"

#include "base/mem.h"
#include "io/disk.h"
#include "io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX (4 * SPEC_DOCUMENT_BYTES_MAX)
#define STDIN_PATH "-"

/* ---- one file ------------------------------------------------------------------------------- */

static enum err read_stdin(struct wr *out, struct err_text *text)
{
    char chunk[4096];
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0) {
        if (out->len + n > FILE_BYTES_MAX)
            return err_say(text, ERR_CONFIG_INVALID, "standard input is larger than 4 MiB");
        wr_bytes(out, chunk, n);
    }
    return ferror(stdin) ? err_say(text, ERR_IO, "standard input cannot be read") : ERR_OK;
}

static enum err read_bytes(const char *path, struct wr *out, struct err_text *text)
{
    struct buf *bytes = NULL;
    size_t len;
    if (!strcmp(path, STDIN_PATH))
        return read_stdin(out, text);
    enum err err = disk_read_file(disk_real(), path, FILE_BYTES_MAX, &bytes, &len);
    if (err)
        return err_say(text, err, "%s: %s", path,
                       err == ERR_NOT_FOUND           ? "there is no such file"
                       : err == ERR_MESSAGE_TOO_LARGE ? "is larger than 4 MiB"
                                                      : err_meaning(err));
    wr_bytes(out, bytes->data, len);
    buf_unref(bytes);
    return ERR_OK;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n > m && !strcmp(s + n - m, end);
}

static enum err parse(struct resource_file *f, const struct wr *bytes, struct err_text *text)
{
    struct str content = {bytes->buf ? (const char *)bytes->buf->data : "", bytes->len};
    struct spec_place where = {0};
    struct err_text what = {""};
    char place[512];
    const char *name = strcmp(f->path, STDIN_PATH) ? f->path : "standard input";
    enum err err = ends_with(f->path, ".json")
                       ? spec_documents_json(content, name, &f->docs, &where, &what)
                       : spec_documents_yaml(content, name, &f->docs, &where, &what);
    if (!err)
        return ERR_OK;
    return err_say(text, err, "%s: %s", spec_place_put(&where, place, sizeof place),
                   what.s[0] ? what.s : err_meaning(err));
}

static enum err add_file(struct resource_files *out, const char *path, struct err_text *text)
{
    struct wr bytes;
    if (out->n == RESOURCE_FILES_MAX)
        return err_say(text, ERR_CONFIG_INVALID, "there are more than %d files",
                       RESOURCE_FILES_MAX);
    struct resource_file *f = &out->at[out->n++];
    *f = (struct resource_file){.path = mem_strdup(path)};
    wr_init(&bytes, 0);
    enum err err = read_bytes(path, &bytes, text);
    if (!err)
        err = parse(f, &bytes, text);
    wr_free(&bytes);
    return err;
}

/* ---- folders -------------------------------------------------------------------------------- */

struct listing {
    char *names[RESOURCE_FILES_MAX];
    size_t n;
};

static void take_name(void *arg, const char *name, bool is_dir)
{
    struct listing *l = arg;
    bool ours = ends_with(name, ".yaml") || ends_with(name, ".yml") || ends_with(name, ".json");
    if (!is_dir && ours && l->n < RESOURCE_FILES_MAX)
        l->names[l->n++] = mem_strdup(name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ERR_NOT_FOUND: it is no folder. */
static enum err add_folder(struct resource_files *out, const char *path, struct err_text *text)
{
    static struct listing l;
    l.n = 0;
    enum err err = disk_real()->ops->list(disk_real(), path, take_name, &l);
    if (err)
        return ERR_NOT_FOUND;
    qsort(l.names, l.n, sizeof *l.names, by_name);
    if (l.n == 0)
        err = err_say(text, ERR_CONFIG_INVALID, "%s: has no *.yaml, *.yml or *.json", path);
    for (size_t i = 0; i < l.n; i++) {
        char file[1024];
        snprintf(file, sizeof file, "%s/%s", path, l.names[i]);
        if (!err)
            err = add_file(out, file, text);
        mem_free(l.names[i]);
    }
    return err;
}

enum err resource_files_read(const struct option_list *paths, struct resource_files *out,
                             struct err_text *text)
{
    log_set_level(ENV_ERROR); /* what is asked for and is not a folder is no news */
    *out = (struct resource_files){mem_zalloc(RESOURCE_FILES_MAX, sizeof *out->at), 0};
    enum err err = ERR_OK;
    for (size_t i = 0; i < paths->n && !err; i++) {
        err =
            strcmp(paths->at[i], STDIN_PATH) ? add_folder(out, paths->at[i], text) : ERR_NOT_FOUND;
        if (err == ERR_NOT_FOUND)
            err = add_file(out, paths->at[i], text);
    }
    if (err)
        resource_files_free(out);
    return err;
}

void resource_files_free(struct resource_files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        spec_documents_free(&f->at[i].docs);
        mem_free(f->at[i].path);
    }
    mem_free(f->at);
    *f = (struct resource_files){0};
}

const struct spec_document *resource_files_document(const struct resource_files *f, size_t i)
{
    for (size_t file = 0; file < f->n; file++) {
        if (i < f->at[file].docs.n)
            return &f->at[file].docs.at[i];
        i -= f->at[file].docs.n;
    }
    return NULL;
}

json_t *resource_files_json(const struct resource_files *f)
{
    json_t *array = json_array();
    const struct spec_document *doc;
    for (size_t i = 0; (doc = resource_files_document(f, i)) != NULL; i++)
        json_array_append(array, doc->root);
    return array;
}
