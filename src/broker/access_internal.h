/* access_internal.h: one reactor's copy of what access.h declares, and the truth on reactor 0.
 * Inside of broker/ only.
 *
 *     access_item.c    users, grants and keys: made, checked, written, read
 *     access.c         the copy, and the decision
 *     access_log.c     the fold of the state log, and the changes to it (reactor 0)
 */
#pragma once

#include "base/cursor.h"
#include "base/few.h"
#include "base/map.h"
#include "broker/access.h"
#include "broker/broker_internal.h"
#include "broker/leaving.h"

/* ---- items ---- */

/* One reference, empty but for its name, which fits. Change it only before it is shared. */
struct access_item *access_item_make(enum access_what what, struct str name);
struct access_item *access_item_copy(const struct access_item *item);
bool access_item_eq(const struct access_item *a, const struct access_item *b);
/* Names, principals, keys and verifiers as this broker takes them. */
enum err must_use access_name_check(enum access_what what, struct str name, struct err_text *text);
enum err must_use access_item_check(const struct access_item *item, struct err_text *text);
/* The value of an item's record. */
void access_item_encode(const struct access_item *item, struct wr *w);
/* ERR_CORRUPT, ERR_FORMAT_NEWER. */
enum err must_use access_item_decode(enum access_what what, struct str name, struct str value,
                                     struct access_item **out);

/* ---- the copy ---- */

/* Items of one kind in name order. */
struct access_list {
    const struct access_item **at; /* own references */
    size_t n, cap;
};

/* A name, or a prefix of names, that something was granted on. */
struct access_place {
    struct map_node node;
    enum access_kind kind;
    bool prefix, keys; /* keys: it is a topic with access keys */
    size_t grants_n, grants_cap;
    const struct access_item **grants; /* borrowed from the list */
    size_t on_len;
    char on[TOPIC_NAME_MAX + 1];
};

struct access {
    struct env *env;
    struct access_list lists[ACCESS_WHATS];
    size_t items;                                        /* in all lists */
    struct map places;                                   /* struct access_place */
    unsigned prefixes[ACCESS_KINDS][TOPIC_NAME_MAX + 1]; /* places with a prefix, by its length */
    struct leaving leaving;
    struct few denials; /* in the log */
};

struct access *access_make(struct env *env);
void access_free(struct access *a);
/* old NULL: comes in; now NULL: goes. Takes its own references. */
void access_copy_change(struct access *a, const struct access_item *old,
                        const struct access_item *now);
const struct access_item *access_copy_find(const struct access *a, enum access_what what,
                                           struct str name);
/* Is the cluster granted to nobody, or to an Owner who can log in, if `without` were replaced by
 * `with` (either may be NULL)? */
bool access_owner_left(const struct access *a, const struct access_item *without,
                       const struct access_item *with);

/* ---- the log ---- */

struct access_log;
struct statelog;
typedef void access_loaded_fn(void *arg, enum err err);
/* Reads it; loaded once. b is reactor 0's. */
struct access_log *access_log_open(struct broker *b, access_loaded_fn *loaded, void *arg);
void access_log_free(struct access_log *log);
/* Every item, in no order: for the load. */
void access_log_each(struct access_log *log, void (*fn)(void *arg, const struct access_item *item),
                     void *arg);
/* Its state log, for tests. */
struct statelog *access_log_of(struct access_log *log);
/* On reactor 0, once everything is loaded. */
void access_log_sweep(struct broker *b);
