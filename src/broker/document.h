/* document.h: what users declare and flow/ makes work: functions and models. The broker keeps them,
 * checks their fields and who may change them, and tells every reactor of changes; what they mean
 * is flow's.
 *
 * A document is immutable and reference-counted; a change makes a new one of the same id. The truth
 * is the catalog's state log (one entity each, its value the canonical JSON of spec/spec.h); each
 * reactor holds its copy. Names are unique within a kind, by the rule of topic names.
 */
#pragma once

#include "base/arena.h"
#include "base/list.h"
#include "base/uuid.h"
#include "broker/actor.h"
#include "broker/function_conf.h"
#include "broker/model_conf.h"
#include "broker/op.h"
#include "broker/topic.h"

#include <stdatomic.h>

#define DOCUMENTS_MAX 10000 /* of a kind */
#define DOCUMENT_BYTES_MAX ((size_t)256 << 10)

enum document_kind { DOCUMENT_FUNCTION, DOCUMENT_MODEL, DOCUMENT_KINDS };

/* Its table: function_kind, model_kind. */
const struct spec_kind *document_spec(enum document_kind kind);

struct document {
    atomic_uint refs;
    uint32_t magic;
    enum document_kind kind;
    struct uuid id;
    char name[TOPIC_NAME_MAX + 1];
    uint64_t created_ms;
    union {
        struct function_conf function;
        struct model_conf model;
    } conf;             /* its texts are this struct's */
    struct arena texts; /* private */
};

const struct document *document_ref(const struct document *d);
void document_unref(const struct document *d);

/* From this reactor's copy; valid until the end of the turn, or until document_unref after
 * document_ref. */
const struct document *broker_document(struct broker *b, enum document_kind kind, struct str name);
/* By name in byte order; after NULL: the first. NULL at the end. */
const struct document *broker_document_next(struct broker *b, enum document_kind kind,
                                            const struct document *after);

/* Told on every reactor after its copy changed: old NULL: created; now NULL: deleted. */
struct document_watcher {
    struct list link;
    void (*changed)(struct document_watcher *w, struct broker *b, const struct document *old,
                    const struct document *now);
};
void broker_document_watch(struct broker *b, struct document_watcher *w);

/* ---- verbs, run on reactor 0; answered when durable and known on every reactor ---- */

/* Makes or changes. Needs Owner of the cluster: a function is a command that weir runs.
 * ERR_CONFIG_INVALID: text says what is wrong. ERR_POLICY: a command, where broker_conf().commands
 * is off; one that was put before stays, and is not run then either. */
struct document_put_op {
    struct op op;
    const struct actor *actor;
    enum document_kind kind;
    struct str name;
    const void *conf; /* struct function_conf or model_conf, the whole of it */
    bool create_only; /* ERR_EXISTS if it is there */
    bool update_only; /* ERR_NOT_FOUND if it is not */
    bool validate_only;
    /* out */
    const struct document *document; /* a reference for the caller; NULL on errors */
    bool created, changed;
    struct err_text text;
};
void broker_document_put(struct broker *b, struct document_put_op *op);

/* What the broker cannot check itself, it asks: one asked a kind, on reactor 0, before a document
 * of it is made, changed or validated. Flow looks whether a model's file is one. */
struct document_checker {
    struct list link;
    enum document_kind kind;
    /* Answered by broker_document_checked, possibly from inside; until then no other document
     * changes. `d` lives until the answer. */
    void (*check)(struct document_checker *checker, const struct document *d);
};
void broker_document_checker_add(struct broker *b, struct document_checker *checker);
void broker_document_checker_remove(struct document_checker *checker);
/* err, why: as the verb answers. */
void broker_document_checked(struct broker *b, enum err err, const char *why);

/* Subscriptions that deliver to it stay, and wait for another one of the name. ERR_NOT_FOUND. */
struct document_delete_op {
    struct op op;
    const struct actor *actor;
    enum document_kind kind;
    struct str name;
    struct err_text text;
};
void broker_document_delete(struct broker *b, struct document_delete_op *op);
