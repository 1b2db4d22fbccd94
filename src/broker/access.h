/* access.h: who may do what: users, access keys and grants, and the one place that decides.
 *
 * A front finds out who calls (SASL, an access key, a SAS token, TLS) and puts it into the actor;
 * every verb asks here whether that actor may. What is declared is kept in the state log of
 * TOPIC_STATE_ACCESS, which no client can read, and copied to every reactor like topics.
 *
 * Principals: "User:alice"; "User:CN=alice,O=acme" (a certificate); "Key:payments/1" (an access key
 * of the topic payments: Sender and Receiver there, and nothing else); "User:ANONYMOUS" without a
 * known credential. A grant to "User:*" is for everybody but keys.
 *
 * Roles: Sender appends, and calls functions with requests; Receiver reads, commits, acquires and
 * settles; Owner does all, and is needed to create, change, delete, trim and grant. A grant is on a
 * topic, a group or a function, by name or by prefix ("payments-*"), or on the cluster, where it
 * holds for everything in it.
 *
 *     may A do R on X?
 *     yes, if a grant on X or on the cluster gives A the role R, or Owner;
 *     yes, if nobody was granted X, R is not Owner, and A is no key;
 *     yes, if nobody was granted the cluster, R is Owner, and A is no key;
 *     else no.
 *
 * So anonymous users may use what nobody was granted, and manage everything as long as nobody was
 * granted the cluster: the records of a topic that was granted stay closed to them even then. A
 * topic with access keys counts as granted, to its keys. Internal topics ("__...", and weir's own,
 * "weir.hops" and the like) need what the cluster needs; __weir_catalog, in which are secrets, a
 * grant of Owner on the cluster, or one of its own. An actor of NULL is the broker itself.
 *
 * Nobody locks himself out: a change that would leave the cluster granted, but to no Owner who can
 * still log in, is refused.
 */
#pragma once

#include "base/list.h"
#include "base/verifier.h"
#include "broker/actor.h"
#include "broker/op.h"
#include "broker/topic.h"

#include <stdatomic.h>
#include <stdbool.h>

#define ACCESS_NAME_MAX 255      /* of a user or grant, bytes */
#define ACCESS_PRINCIPAL_MAX 511 /* "User:" and what follows, bytes */
#define ACCESS_KEY_MAX 128       /* characters of an access key */
#define ACCESS_KEY_MIN 8
#define ACCESS_ITEMS_MAX 100000
#define ACCESS_ANONYMOUS "User:ANONYMOUS"

enum access_role {
    ACCESS_SENDER = 1,
    ACCESS_RECEIVER = 2,
    ACCESS_OWNER = 4,
    ACCESS_ANY = 7, /* as what a verb needs: one of them will do */
};

enum access_kind { ACCESS_CLUSTER, ACCESS_TOPIC, ACCESS_GROUP, ACCESS_FUNCTION };
#define ACCESS_KINDS 4

/* May the actor act in that role on the resource? On this reactor's copy; name is ignored for the
 * cluster. A denial is logged (a few lines a second at most). A few nanoseconds where nothing is
 * declared. */
bool access_allows(struct broker *b, const struct actor *actor, enum access_kind kind,
                   struct str name, enum access_role role);
/* All roles that it has there, as bits; nothing is logged. For listings. */
unsigned access_roles(struct broker *b, const struct actor *actor, enum access_kind kind,
                      struct str name);
/* access_allows as an error: ERR_OK, or the kind's (Kafka's 29, 30, 31; ERR_FUNCTION_DENIED). */
enum err must_use access_check(struct broker *b, const struct actor *actor, enum access_kind kind,
                               struct str name, enum access_role role);
/* The first lines of a verb, where it is called, with its outputs set: if the actor may not, the op
 * is answered with that, and the verb returns. A topic that does not exist is not refused here. */
bool access_refuses(struct broker *b, struct op *op, const struct actor *actor,
                    enum access_kind kind, struct str name, enum access_role role);
bool access_refuses_topic(struct broker *b, struct op *op, const struct actor *actor,
                          const struct uuid *topic, enum access_role role);

/* ---- what is declared ---- */

enum access_what { ACCESS_USER, ACCESS_GRANT, ACCESS_KEYS };
#define ACCESS_WHATS 3

/* Who may log in, by SCRAM or by a password. */
struct access_user {
    struct verifier verifiers[VERIFIER_HASHES]; /* by hash - 1; iterations 0: has none */
};

struct access_grant {
    char principal[ACCESS_PRINCIPAL_MAX + 1];
    unsigned roles; /* bits of enum access_role */
    enum access_kind kind;
    bool prefix;                 /* all names that begin with `on` */
    char on[TOPIC_NAME_MAX + 1]; /* of the topic, group or function */
};

/* Two, so that one can be replaced while clients still use the other; empty: not set. */
struct access_keys {
    char key[2][ACCESS_KEY_MAX + 1];
};

/* One of these, immutable and shared by all reactors. */
struct access_item {
    atomic_uint refs;
    uint32_t magic;
    enum access_what what;
    char name[ACCESS_NAME_MAX + 1]; /* of the user, of the grant, or of the topic with the keys */
    union {
        struct access_user user;
        struct access_grant grant;
        struct access_keys keys;
    };
};

const struct access_item *access_ref(const struct access_item *item);
void access_unref(const struct access_item *item);

/* From this reactor's copy; valid until the end of the turn, or until access_unref after
 * access_ref. NULL: there is none. */
const struct access_item *access_find(struct broker *b, enum access_what what, struct str name);
/* By name in byte order: the first after `after` (NULL: the first of all); NULL at the end. */
const struct access_item *access_next(struct broker *b, enum access_what what,
                                      const struct access_item *after);

/* What a client presents as a topic's access key, compared in constant time. */
enum access_key {
    ACCESS_KEY_UNDECLARED, /* the topic has none: the caller is anonymous, whatever it presents */
    ACCESS_KEY_WRONG,
    ACCESS_KEY_1,
    ACCESS_KEY_2,
};
enum access_key access_key_find(struct broker *b, struct str topic, struct str presented);
/* "Key:payments/1" for ACCESS_KEY_1. out has ACCESS_PRINCIPAL_MAX + 1 bytes; returns it. */
const char *access_key_principal(struct str topic, enum access_key key, char *out);

/* ---- changing it ---- */

enum access_act {
    ACCESS_PUT,    /* makes or replaces it */
    ACCESS_CHANGE, /* users and keys: only what the op names; of a user that may be new */
    ACCESS_DELETE,
};

/* Runs on reactor 0; answered when it is durable and every reactor has it. Who may: the Owner of
 * the topic for its keys, the Owner of what a grant is on, else the Owner of the cluster. */
struct access_op {
    struct op op;
    const struct actor *actor;
    enum access_what what;
    enum access_act act;
    struct str name;
    bool validate_only;
    /* ACCESS_USER: a verifier of iterations 0 is "none" for PUT and "as it is" for CHANGE. A user
     * whose last verifier a CHANGE drops is deleted with it. */
    struct verifier verifiers[VERIFIER_HASHES];
    bool drop[VERIFIER_HASHES]; /* CHANGE: this one goes; ERR_SCRAM_UNKNOWN: there is none */
    /* ACCESS_GRANT */
    struct access_grant grant;
    /* ACCESS_KEYS: at NULL is "none" for PUT and "as it is" for CHANGE. */
    struct str keys[2];
    bool make_key[2]; /* a fresh random one instead */
    /* out */
    const struct access_item *item; /* as it is now, a reference for the caller; NULL: deleted */
    bool created, changed;
    struct err_text text;
};
/* ERR_NOT_FOUND: nothing to delete. ERR_TOPIC_UNKNOWN: keys for a topic that is not there.
 * ERR_CONFIG_INVALID, ERR_POLICY, ERR_SCRAM_*: text says what would be right. */
void broker_access_change(struct broker *b, struct access_op *op);
