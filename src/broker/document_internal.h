/* document_internal.h: making documents, their records in the catalog, and each reactor's copy of
 * them. Inside of broker/ only.
 *
 * Record: key = format (1 byte: 3), kind (1 byte) and the document's id (16); value = a JSON
 * object, null: deleted. One statelog entity a document.
 *
 *     document.c            made, written, read
 *     documents.c           the copy
 *     document_catalog.c    the truth about them and the verbs that change it (reactor 0)
 */
#pragma once

#include "broker/catalog.h"
#include "broker/document.h"
#include "broker/leaving.h"

#define DOCUMENT_KEY_FORMAT 3

/* What one is made of. Borrowed. */
struct document_parts {
    enum document_kind kind;
    struct uuid id;
    struct str name;
    uint64_t created_ms;
    json_t *spec; /* canonical, with secrets */
};

/* With one reference. ERR_CONFIG_INVALID: text says which field. */
enum err must_use document_make(const struct document_parts *parts, const struct document **out,
                                struct err_text *text);
/* The value of its record; freed with mem_free. */
char *document_encode(const struct document *d);
enum err must_use document_decode(enum document_kind kind, struct uuid id, struct str value,
                                  const struct document **out, struct err_text *text);

/* ---- the copy: struct documents of broker_internal.h ---- */

void documents_init(struct documents *ds, struct env *env);
void documents_free(struct documents *ds);
const struct document *documents_find(const struct documents *ds, enum document_kind kind,
                                      struct str name);
/* now NULL: it goes. Takes its own reference and tells the watchers. */
void documents_change(struct broker *b, enum document_kind kind, struct str name,
                      const struct document *now);

/* ---- the truth ---- */

struct document_catalog;

struct document_catalog *document_catalog_make(struct broker *b);
void document_catalog_free(struct document_catalog *c);
extern const struct catalog_kind document_catalog_kind;
/* Every one that has a record: for the load. */
void document_catalog_each(struct document_catalog *c,
                           void (*fn)(void *arg, const struct document *d), void *arg);
