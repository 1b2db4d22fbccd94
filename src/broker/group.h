/* group.h: consumer groups of the classic protocol: membership, assignment, committed offsets.
 *
 * A group lives on the shard of its name (broker_shard_of_group) and is touched only there; its
 * state is the fold of __consumer_offsets (one partition a shard, Kafka's own record format: offset
 * commits with key version 1, group metadata with key version 2), kept by statelog.h with one
 * entity a group.
 *
 * States (Kafka's GroupCoordinator, KIP-62, 134, 345, 394, 559, 814):
 *
 *     EMPTY --join--> PREPARING_REBALANCE --all joined or time out--> COMPLETING_REBALANCE
 *       ^                  ^       |                                     |  leader's sync
 *       |                  |       +-- nobody left --> EMPTY             v
 *       +---- last leaves -+----- join, leave, expiry, growth ------- STABLE
 *     DEAD: deleted, or nothing left to keep.
 *
 * Verbs are ops: submitted on any reactor, answered there. Join and sync wait inside the group. All
 * borrowed strings and byte ranges of an op stay valid until its done.
 *
 * What one verb puts out is copied into memory of its call, so that it may be read on another
 * reactor and whatever happens to the group meanwhile.
 *
 * Limits: GROUP_MEMBERS_MAX members a group, GROUP_PROTOCOLS_MAX protocols a member, metadata of
 * one member GROUP_METADATA_MAX bytes, a committed offset's metadata 4096 bytes, names and ids
 * GROUP_NAME_MAX bytes, one group GROUP_BYTES_MAX and all groups of a reactor GROUPS_BYTES_MAX
 * bytes of metadata and offsets (beyond: ERR_COORDINATOR_UNAVAILABLE).
 */
#pragma once

#include "base/arena.h"
#include "base/list.h"
#include "base/str.h"
#include "base/uuid.h"
#include "broker/actor.h"
#include "broker/op.h"

#include <stdbool.h>
#include <stdint.h>

#define GROUP_MEMBERS_MAX 10000
#define GROUP_PROTOCOLS_MAX 64
#define GROUP_METADATA_MAX ((size_t)1 << 20)
#define GROUP_SESSION_MIN_MS 6000
#define GROUP_SESSION_MAX_MS 1800000
#define GROUP_OFFSET_METADATA_MAX 4096
#define GROUP_NAME_MAX INT16_MAX /* older versions of the protocol have two bytes for a length */
#define GROUP_BYTES_MAX ((size_t)64 << 20)
#define GROUPS_BYTES_MAX ((size_t)512 << 20)

struct groups;

/* Private: one call of a verb. Follows the op in each of the structs below. */
struct group_call {
    struct list link; /* calls that came while another one was being run */
    void (*run)(struct groups *groups, struct op *op);
    void (*told)(struct op *op); /* the caller's op.done */
    struct arena out;            /* what the outputs point to */
};

struct group_protocol {
    struct str name, metadata;
};

struct group_member_view { /* in a join answer, for the leader */
    struct str member_id, instance_id, metadata;
};

struct group_join_op {
    struct op op;
    struct group_call call; /* private */
    const struct actor *actor;
    struct str group, member_id, instance_id /* at NULL: dynamic */, protocol_type, reason;
    const struct group_protocol *protocols;
    size_t protocols_n;
    int32_t session_timeout_ms, rebalance_timeout_ms;
    bool member_id_required;  /* JoinGroup v4 and later: 79 with an id for a new dynamic member */
    bool can_skip_assignment; /* v9 */
    /* out; strings valid inside of done only */
    int32_t generation;
    struct str protocol_type_out, protocol_out, leader, member_id_out;
    bool skip_assignment;
    const struct group_member_view *members; /* leader only */
    size_t members_n;
};
void broker_group_join(struct broker *b, struct group_join_op *op);

struct group_assignment {
    struct str member_id, assignment;
};

struct group_sync_op {
    struct op op;
    struct group_call call; /* private */
    const struct actor *actor;
    struct str group, member_id, instance_id, protocol_type, protocol; /* at NULL: not told */
    int32_t generation;
    const struct group_assignment *assignments;
    size_t assignments_n;
    /* out; valid inside of done only */
    struct str assignment, protocol_type_out, protocol_out;
};
void broker_group_sync(struct broker *b, struct group_sync_op *op);

struct group_heartbeat_op {
    struct op op;
    struct group_call call; /* private */
    const struct actor *actor;
    struct str group, member_id, instance_id;
    int32_t generation;
};
void broker_group_heartbeat(struct broker *b, struct group_heartbeat_op *op);

struct group_leaver {
    struct str member_id, instance_id, reason;
    enum err err; /* out */
};

struct group_leave_op {
    struct op op;
    struct group_call call; /* private */
    const struct actor *actor;
    struct str group;
    struct group_leaver *leavers; /* one for versions below 3 */
    size_t leavers_n;
};
void broker_group_leave(struct broker *b, struct group_leave_op *op);

/* Offsets of one partition; topics are kept by name and id. */
struct group_offset {
    struct str topic;
    int32_t partition;
    int64_t offset;       /* fetch: -1: none committed */
    int32_t leader_epoch; /* -1: not told */
    struct str metadata;
    int64_t commit_ms;    /* -1: now */
    struct uuid topic_id; /* out, of a commit or fetch of a known topic */
    enum err err;         /* out */
};

struct group_commit_op {
    struct op op;
    struct group_call call; /* private */
    const struct actor *actor;
    struct str group, member_id, instance_id;
    int32_t generation; /* -1 with an empty member id: a simple consumer, allowed while the group is
                           empty */
    int64_t retention_ms; /* -1: the broker's; Kafka's versions 2 to 4 carry it */
    struct group_offset *offsets;
    size_t offsets_n;
};
/* Answered when the commit is durable. Unknown topics get ERR_TOPIC_UNKNOWN each. */
void broker_group_commit(struct broker *b, struct group_commit_op *op);

struct group_fetch_op { /* OffsetFetch for one group */
    struct op op;
    struct group_call call; /* private */
    const struct actor *actor;
    struct str group;
    struct str member_id; /* at NULL: not told (below v9) */
    int32_t member_epoch; /* -1: not told */
    bool require_stable;
    bool all;                     /* every partition with a committed offset */
    struct group_offset *offsets; /* in: topic and partition; with `all` filled by the verb, */
    size_t offsets_n;             /* valid inside of done only */
};
void broker_group_fetch(struct broker *b, struct group_fetch_op *op);

struct group_member_desc {
    struct str member_id, instance_id, client_id, client_host, metadata, assignment;
};

struct group_describe_op {
    struct op op;
    struct group_call call; /* private */
    const struct actor *actor;
    struct str group;
    /* out; valid inside of done only. An unknown group: ERR_GROUP_UNKNOWN, state "Dead" */
    const char *state; /* "Stable" "PreparingRebalance" "CompletingRebalance" "Empty" "Dead" */
    struct str protocol_type, protocol;
    int32_t generation;
    const struct group_member_desc *members;
    size_t members_n;
};
void broker_group_describe(struct broker *b, struct group_describe_op *op);

struct group_listing {
    struct str group, protocol_type;
    const char *state;
};

/* All groups, of all shards and reactors. */
struct group_list_op {
    struct op op;
    const struct actor *actor;
    /* out, in name order, valid inside of done only */
    const struct group_listing *groups;
    size_t groups_n;
    struct group_list *list; /* private */
};
void broker_group_list(struct broker *b, struct group_list_op *op);

struct group_delete_op {
    struct op op;
    struct group_call call; /* private */
    const struct actor *actor;
    struct str group; /* ERR_GROUP_NOT_EMPTY, ERR_GROUP_UNKNOWN */
};
void broker_group_delete(struct broker *b, struct group_delete_op *op);

/* Called by broker.c: makes this reactor's group service and loads its shards; loaded is called
 * once per call, when all of them are there. */
struct groups *groups_make(struct broker *b, struct env *env, struct store *store,
                           void (*loaded)(void *arg, enum err err), void *arg);
void groups_free(struct groups *g);
/* Once partitions are open too, before anything is served: no offset is left beyond its log's end
 * where a crash may have shortened that. done may be called from inside. */
void groups_clamp(struct groups *g, void (*done)(void *arg, enum err err), void *arg);
/* Before a stop: joins and syncs that wait, and those that come from now on, are answered with
 * ERR_COORDINATOR_UNAVAILABLE. NULL is allowed. */
void groups_drain(struct groups *g);
/* The service of a broker; given by broker.c. */
struct groups *broker_groups(struct broker *b);
