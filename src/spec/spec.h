/* spec.h: what users declare (topics, subscriptions, users ...), as tables of fields.
 *
 * A kind is a struct and a table with a row a field: its path in the document, its type, its place
 * in the struct, its default and bounds, a sentence of documentation. One interpreter reads JSON
 * and YAML into the struct (what is wrong is named by file, line and field, with the nearest right
 * word), writes the struct as canonical JSON (which is also how it is stored), compares two, and
 * generates the JSON schema and the documentation.
 *
 *     apiVersion: weir/v1alpha1
 *     kind: Subscription
 *     metadata: {name: fraud-check, labels: {team: risk}}
 *     spec:
 *       topic: payments
 *       retry: {attempts: 10, first: 10ms}       # path "retry.attempts", "retry.first"
 *
 * Texts that a struct points to live in the arena given to the reader. Pure; any thread. jansson
 * takes its memory from base/mem.h from the start of the program on: it never fails then.
 */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPEC_API_VERSION "weir/v1alpha1"
#define SPEC_LIST_MAX 256      /* elements of a list, keys of a map */
#define SPEC_DEPTH_MAX 16      /* values inside of values */
#define SPEC_VALUES_MAX 100000 /* in all documents of a file */
#define SPEC_DOCUMENTS_MAX 1000
#define SPEC_DOCUMENT_BYTES_MAX                                                                    \
    ((size_t)1 << 20) /* read; of all documents of a file, 4 times that */
#define SPEC_NAME_MAX 512
#define SPEC_PATH_MAX 128
#define SPEC_UNSET INT64_MIN

/* min and max bound numbers; both 0: not bounded. */
enum spec_type {
    SPEC_TEXT,     /* struct str; at NULL: not set; max: bytes */
    SPEC_BOOLEAN,  /* bool */
    SPEC_INT,      /* int64_t, min..max */
    SPEC_DURATION, /* int64_t, ms: 30s, PT30S, a number of ms; "none": -1 where min is -1 */
    SPEC_SIZE,     /* int64_t, bytes: 10GiB; "none": -1 where min is -1 */
    SPEC_TIME,     /* int64_t, Unix ms: RFC 3339; -1: not set */
    SPEC_DECIMAL,  /* int64_t, thousandths, also the bounds: 1.5, 1500m; SPEC_UNSET: not set */
    SPEC_CHOICE,   /* int64_t: index into choices */
    SPEC_TEXTS,    /* struct spec_texts: a list of text */
    SPEC_MAP,      /* struct spec_map: text -> text (numbers and booleans are taken as text) */
    SPEC_LIST,     /* struct spec_list: a list of objects, each of the table `fields` */
    SPEC_JSON,     /* struct str: any JSON value, kept as its canonical text */
    SPEC_PRESENT,  /* bool: an object of no fields that is there or not (`queue: {}`) */
};

struct spec_texts {
    struct str *at;
    size_t n;
};

struct spec_pair {
    struct str key, value;
};

struct spec_map {
    struct spec_pair *at;
    size_t n;
};

struct spec_list {
    void *at; /* n structs of the row's element_bytes */
    size_t n;
};

struct spec_field {
    const char *path; /* below spec: "retry.attempts" */
    enum spec_type type;
    size_t offset;
    const char *dflt; /* in text; NULL: not set (at NULL, 0, false; SPEC_TIME -1) */
    int64_t min, max;
    const char *const *choices; /* NULL-terminated */
    const char *doc;
    const struct spec_field *fields; /* SPEC_LIST */
    size_t fields_n, element_bytes;
    bool required;
    bool fixed;  /* may not be changed once it exists */
    bool secret; /* never shown */
    /* Optional: a check of its own, of the value at its place. text says what would be right, in
     * words that follow the field's path: "must begin with https:". */
    enum err (*check)(const struct spec_field *field, const void *value, struct err_text *text);
    const char *secret_if; /* secret where this boolean of the same object is true */
};

struct spec_kind {
    const char *name;   /* "Subscription" */
    const char *plural; /* "subscriptions": in the API's paths */
    const char *doc;
    const struct spec_field *fields;
    size_t n, bytes; /* of the struct */
    /* Optional, after all fields were read: what one field asks of another. May derive fields that
     * have no row; texts it makes are the arena's. field: the path of the one that is wrong. */
    enum err (*check)(void *value, struct arena *arena, const char **field, struct err_text *text);
};

/* Where in a document something is; line 0: not known (it came as JSON). */
struct spec_place {
    const char *file; /* NULL: none */
    unsigned line;
    char path[SPEC_PATH_MAX]; /* "spec.retry.attempts"; "": the document */
};
/* "weir.yaml:12: spec.retry.attempts", what of it is known; cut at cap. Returns out. */
const char *spec_place_put(const struct spec_place *place, char *out, size_t cap);

/* A document on its way: kind, name, labels, and its `spec` as a tree. */
struct spec_document {
    struct str kind, name;
    struct spec_map labels;
    json_t *spec; /* an object; NULL: none, which is an empty one */
    json_t *root; /* the whole of it */
    struct spec_place place;
    const struct spec_lines *lines; /* private: the lines of the fields; NULL for JSON */
};

/* The documents of one file or request body. */
struct spec_documents {
    struct spec_document *at; /* spec, kind, name and labels are owned by this */
    size_t n;
    struct spec_trees *trees; /* private */
};

/* YAML 1.2, the core schema: several documents with --- between; no anchors, aliases and tags.
 * file is what places call it (borrowed; NULL: none). What is wrong with one document is said for
 * all: nothing is to be done then. ERR_CONFIG_INVALID with place and text; out is then empty. */
enum err must_use spec_documents_yaml(struct str text, const char *file, struct spec_documents *out,
                                      struct spec_place *where, struct err_text *wrong);
/* One document, or an array of them. */
enum err must_use spec_documents_json(struct str text, const char *file, struct spec_documents *out,
                                      struct spec_place *where, struct err_text *wrong);
/* The line of the field ("spec.retry.attempts"), or of what of its path is there; 0: not known. */
unsigned spec_document_line(const struct spec_document *doc, const char *path);
/* `spec` and name from elsewhere, as one document: borrows both. */
struct spec_document spec_document_of(const struct spec_kind *kind, struct str name, json_t *spec);
void spec_documents_free(struct spec_documents *d);

/* NULL: there is none of this name; text names the nearest. */
const struct spec_kind *spec_kind_find(const struct spec_kind *const *kinds, size_t n,
                                       struct str name, struct err_text *text);

/* Defaults of every field. */
void spec_init(const struct spec_kind *kind, void *out);
/* Fills the struct from the object; fields that are not named keep what *out has (so init first),
 * those that are null get their default. ERR_CONFIG_INVALID: where says the place, text what is
 * wrong there and what would be right. ERR_MEMORY: more than the arena allows. */
enum err must_use spec_read(const struct spec_kind *kind, const struct spec_document *doc,
                            struct arena *arena, void *out, struct spec_place *where,
                            struct err_text *text);
/* The canonical JSON object of the struct: fields in the table's order, those at their default
 * left out, secrets only if asked for. A new reference. */
json_t *spec_write(const struct spec_kind *kind, const void *value, bool secrets);
/* A whole document around it; labels may be NULL. A new reference. */
json_t *spec_write_document(const struct spec_kind *kind, struct str name,
                            const struct spec_map *labels, json_t *spec);
/* Its text as YAML, beginning with "---". Whatever JSON value it is; strings that YAML would take
 * for something else are quoted. */
void spec_put_yaml(json_t *document, struct wr *out);

bool spec_equal(const struct spec_kind *kind, const void *a, const void *b);
/* The first field at the path, or below it, that is not at its default; NULL: none. For what one
 * field asks of others that were given. */
const struct spec_field *spec_given(const struct spec_kind *kind, const void *value,
                                    const char *path);
/* The first field in which b may not differ from a, NULL: none. */
const struct spec_field *spec_fixed_change(const struct spec_kind *kind, const void *a,
                                           const void *b);
/* What differs: an array of {"field", "was", "now"}, without the values of secrets. a NULL: the
 * defaults. A new reference. */
json_t *spec_changes(const struct spec_kind *kind, const void *a, const void *b);

/* JSON schema (draft 2020-12) of a document of any of the kinds. A new reference. */
json_t *spec_schema(const struct spec_kind *const *kinds, size_t n);
/* The fields as rows of a Markdown table: path, type, default, documentation. */
void spec_put_docs(const struct spec_kind *kind, struct wr *out);
