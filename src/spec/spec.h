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
 * Texts that a struct points to live in the arena given to the reader. Pure; any thread.
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
#define SPEC_LIST_MAX 256
#define SPEC_DEPTH_MAX 16
#define SPEC_DOCUMENT_BYTES_MAX ((size_t)1 << 20)

enum spec_type {
    SPEC_TEXT,     /* struct str; at NULL: not set */
    SPEC_BOOLEAN,  /* bool */
    SPEC_INT,      /* int64_t, min..max */
    SPEC_DURATION, /* int64_t, ms: 30s, PT30S, a number of ms; "none": -1 where min is -1 */
    SPEC_SIZE,     /* int64_t, bytes: 10GiB */
    SPEC_TIME,     /* int64_t, Unix ms: RFC 3339; -1: not set */
    SPEC_CHOICE,   /* int64_t: index into choices */
    SPEC_TEXTS,    /* struct spec_texts: a list of text */
    SPEC_MAP,      /* struct spec_map: text -> text */
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
    /* Optional: a check of its own. text says what would be right. */
    enum err (*check)(const struct spec_field *field, const void *value, struct err_text *text);
};

struct spec_kind {
    const char *name;   /* "Subscription" */
    const char *plural; /* "subscriptions": in the API's paths */
    const char *doc;
    const struct spec_field *fields;
    size_t n, bytes; /* of the struct */
};

/* Where in a document something is; line 0: not known (it came as JSON). */
struct spec_place {
    const char *file;
    unsigned line;
    char path[128];
};

/* A document on its way: kind, name, labels, and its `spec` as a tree. */
struct spec_document {
    struct str kind, name;
    struct spec_map labels;
    json_t *spec;
    struct spec_place place;
    struct spec_lines *lines; /* private: the lines of the fields; NULL for JSON */
};

/* Defaults of every field. */
void spec_init(const struct spec_kind *kind, void *out);
/* Fills the struct from the object; fields that are not named keep what *out has (so init first).
 * ERR_CONFIG_INVALID: where says the place, text what is wrong there and what would be right. */
enum err must_use spec_read(const struct spec_kind *kind, const struct spec_document *doc,
                            struct arena *arena, void *out, struct spec_place *where,
                            struct err_text *text);
/* The canonical JSON object of the struct: fields in the table's order, those at their default
 * left out, secrets only if asked for. A new reference. */
json_t *spec_write(const struct spec_kind *kind, const void *value, bool secrets);
/* The first field in which b may not differ from a, NULL: none. */
const struct spec_field *spec_fixed_change(const struct spec_kind *kind, const void *a,
                                           const void *b);
