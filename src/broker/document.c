#include "broker/document_internal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "spec/json_text.h"

#include <string.h>

#define DOCUMENT_MAGIC 0x646f6375u
#define RECORD_VERSION 1

const struct spec_kind *document_spec(enum document_kind kind)
{
    static const struct spec_kind *const kinds[DOCUMENT_KINDS] = {&function_kind, &model_kind};
    weir_assert(kind < DOCUMENT_KINDS);
    return kinds[kind];
}

const struct document *document_ref(const struct document *d)
{
    weir_check(d, DOCUMENT_MAGIC);
    atomic_fetch_add_explicit(&((struct document *)d)->refs, 1, memory_order_relaxed);
    return d;
}

static void document_free(struct document *d)
{
    arena_free(&d->texts);
    d->magic = 0;
    mem_free(d);
}

void document_unref(const struct document *d)
{
    if (d == NULL)
        return;
    weir_check(d, DOCUMENT_MAGIC);
    struct document *own = (struct document *)d;
    if (atomic_fetch_sub_explicit(&own->refs, 1, memory_order_acq_rel) == 1)
        document_free(own);
}

/* ---- making ---- */

static enum err read_spec(struct document *d, json_t *spec, struct err_text *text)
{
    const struct spec_kind *kind = document_spec(d->kind);
    struct spec_document doc = spec_document_of(kind, str_of(d->name), spec);
    struct spec_place where = {0};
    struct err_text wrong = {""};
    spec_init(kind, &d->conf);
    enum err err = spec_read(kind, &doc, &d->texts, &d->conf, &where, &wrong);
    if (err == ERR_MEMORY)
        return err_say(text, err, "it is larger than %zu bytes", DOCUMENT_BYTES_MAX);
    return err != ERR_OK ? err_say(text, err, "%s %s", where.path, wrong.s) : ERR_OK;
}

enum err document_make(const struct document_parts *parts, const struct document **out,
                       struct err_text *text)
{
    struct document *d = mem_zalloc(1, sizeof(*d));
    atomic_init(&d->refs, 1);
    d->magic = DOCUMENT_MAGIC;
    d->kind = parts->kind;
    d->id = parts->id;
    d->created_ms = parts->created_ms;
    bool whole = str_copy(d->name, sizeof(d->name), parts->name);
    weir_assert(whole);
    arena_init_small(&d->texts, DOCUMENT_BYTES_MAX, 1024);
    enum err err = read_spec(d, parts->spec, text);
    if (err != ERR_OK) {
        document_free(d);
        return err;
    }
    *out = d;
    return ERR_OK;
}

/* ---- records ---- */

char *document_encode(const struct document *d)
{
    json_t *o = json_pack("{s:i, s:s, s:I, s:o}", "version", RECORD_VERSION, "name", d->name,
                          "created", (json_int_t)d->created_ms, "spec",
                          spec_write(document_spec(d->kind), &d->conf, true));
    char *text = json_text(o, JSON_COMPACT | JSON_PRESERVE_ORDER, NULL);
    weir_assert(text != NULL);
    json_decref(o);
    return text;
}

struct fields {
    const char *name;
    int version;
    json_int_t created;
    json_t *spec;
};

static bool fields_read(json_t *o, struct fields *f)
{
    return json_unpack(o, "{s:i, s:s, s:I, s:o}", "version", &f->version, "name", &f->name,
                       "created", &f->created, "spec", &f->spec) == 0 &&
           topic_name_check(str_of(f->name), NULL) == ERR_OK;
}

enum err document_decode(enum document_kind kind, struct uuid id, struct str value,
                         const struct document **out, struct err_text *text)
{
    struct fields f;
    json_t *o = json_loadb(value.at, value.len, JSON_REJECT_DUPLICATES, NULL);
    enum err err;
    if (o == NULL || !fields_read(o, &f))
        err = err_say(text, ERR_CORRUPT, "the catalog holds a record that is no %s",
                      document_spec(kind)->name);
    else if (f.version > RECORD_VERSION)
        err = err_say(text, ERR_FORMAT_NEWER, "the catalog holds a %s in format %d: %d is known",
                      document_spec(kind)->name, f.version, RECORD_VERSION);
    else
        err = document_make(&(struct document_parts){.kind = kind,
                                                     .id = id,
                                                     .name = str_of(f.name),
                                                     .created_ms = (uint64_t)f.created,
                                                     .spec = f.spec},
                            out, text);
    json_decref(o);
    return err;
}
