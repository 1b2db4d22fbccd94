/* broker_internal.h: what one reactor's broker is made of. Inside of broker/ only.
 *
 *     struct broker_set ----+---- broker (reactor 0) -- catalog: the truth about topics
 *       conf, all brokers   |        topics: this reactor's copy of it
 *                           |        partitions: those of this reactor's shards
 *                           |        groups: likewise
 *                           +---- broker (reactor 1) ...
 *
 * Everything of a struct broker is touched on its reactor only; the set is immutable once made.
 */
#pragma once

#include "broker/broker.h"
#include "broker/document.h"
#include "broker/function_status.h"
#include "broker/hop.h"
#include "broker/publish_internal.h"
#include "broker/records_cache.h"
#include "broker/subscription_internal.h"
#include "broker/topics.h"
#include "broker/visible.h"

#define BROKER_MAGIC 0x626b7231u
#define BROKER_REACTORS_MAX BROKER_SHARDS

struct access;
struct access_log;
struct catalog;
struct deliveries;
struct document_catalog;
struct schedule;
struct groups;
struct invoker;
struct subscription_catalog;

struct broker_set {
    struct broker_conf conf;
    unsigned n;
    struct broker *brokers[BROKER_REACTORS_MAX];
};

/* One reactor's copy of the documents of a kind, by name in byte order. */
struct document_list {
    const struct document **at; /* own references */
    size_t n, cap;
};

struct documents {
    struct document_list lists[DOCUMENT_KINDS];
    struct document_list requested; /* functions with an HTTP trigger */
    struct list watchers;           /* document_watcher */
    struct list checkers;           /* document_checker; on reactor 0 */
    struct function_teller *teller; /* NULL: none */
    struct leaving leaving;
};

struct broker {
    uint32_t magic;
    uint32_t producer_ids; /* given out by broker_producer_id */
    struct env *env;
    struct store *store;
    struct broker_set *set;
    struct topics topics;
    struct map partitions;  /* struct partition by topic id and index */
    struct list producing;  /* struct partition with producer state, for the sweep */
    struct env_timer sweep; /* expired producers */
    struct subscriptions subscriptions;
    struct catalog *catalog;                           /* reactor 0 */
    struct subscription_catalog *subscription_catalog; /* reactor 0 */
    struct documents documents;
    struct document_catalog *document_catalog; /* reactor 0 */
    struct groups *groups;                     /* NULL until loading began */
    struct records_cache records;
    struct publish publish;
    struct hops hops;
    struct visible visible;
    struct access *access;         /* this reactor's copy of users, grants and keys */
    struct access_log *access_log; /* reactor 0: the truth about them */
    struct deliveries *deliveries; /* NULL until loading began */
    struct schedule *schedule;     /* likewise */
    struct invoker *invoker;       /* NULL: functions cannot be called by requests */
    bool loaded;
};

static inline struct broker *broker_on(struct broker *b, unsigned reactor)
{
    return b->set->brokers[reactor];
}
