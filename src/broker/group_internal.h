/* group_internal.h: what groups are made of. Inside of broker/group*.c and offsets_*.c only.
 *
 *     groups (one a reactor)
 *       |--- shards: one statelog each (a shard is a partition of __consumer_offsets)
 *       |
 *       +--- group, by name
 *              |--- members: in order of joining, by id, by instance id
 *              |--- pending: ids given out (MEMBER_ID_REQUIRED) whose owner has not come back yet
 *              |--- offsets: durable ones only
 *              +--- writes: what is on its way to the log
 *
 * Files: group.c (service, calls, load), group_members.c (members, protocols), group_rebalance.c
 * (the states), group_join.c, group_sync.c, group_membership.c (heartbeat, leave), group_log.c
 * (records), group_admin.c, group_growth.c, offsets_commit.c, offsets_fetch.c, offsets_expiry.c.
 *
 * Everything that changes a group runs between groups_begin and groups_end. An op that is answered
 * may bring the next one from inside of its done: calls that come meanwhile wait until the present
 * one is over, and groups are freed only then, so a loop over members may answer them.
 */
#pragma once

#include "base/map.h"
#include "broker/access.h"
#include "broker/broker_internal.h"
#include "broker/group.h"
#include "broker/offsets.h"
#include "broker/statelog.h"

/* State, Kafka's name for it, and the states that may come before it. */
#define GROUP_STATES(S)                                                                            \
    S(EMPTY, "Empty", FROM(PREPARING))                                                             \
    S(PREPARING, "PreparingRebalance", FROM(EMPTY) | FROM(COMPLETING) | FROM(STABLE))              \
    S(COMPLETING, "CompletingRebalance", FROM(PREPARING))                                          \
    S(STABLE, "Stable", FROM(COMPLETING))

enum group_state {
#define S(name, text, from) GROUP_##name,
    GROUP_STATES(S)
#undef S
};

struct group_member {
    struct map_node by_id, by_instance;
    struct list link; /* in group->members */
    struct group *group;
    struct str id, instance_id /* at NULL: dynamic */, client_id, client_host;
    int32_t session_ms, rebalance_ms;
    struct group_protocol *protocols; /* one block with their bytes */
    size_t protocols_n, protocols_bytes;
    struct str assignment;
    struct str assignment_next; /* of a sync whose record is on its way to the log */
    struct group_join_op *join; /* waits for the join phase to complete */
    struct group_sync_op *sync; /* waits for the assignment */
    struct env_timer session;
    bool is_new;       /* never got an answer to a join: its id is not known to anyone yet */
    bool sync_pending; /* has not synced in this generation */
    bool knows_growth; /* has partitions of a topic that has grown: see group_growth.c */
};

struct group_pending {
    struct list link;
    struct group *group;
    struct env_timer expiry;
    struct str id; /* lies behind the struct */
};

#define GROUP_GROWTHS_MAX 16

/* A topic that the members subscribe to and that has grown. */
struct group_growth {
    struct str topic; /* owned */
    int32_t old_partitions;
};

struct group {
    struct statelog_entity entity;
    struct map_node by_name;
    struct list doubt; /* in groups->doubtful */
    struct groups *groups;
    struct statelog *log;
    struct str name;
    enum group_state state;
    int64_t state_ms; /* when the state was entered, Unix ms; -1: not known */
    bool initial;     /* PREPARING from EMPTY: waits for the initial delay, not for members */
    bool newcomers;   /* since the initial delay was set or extended */
    uint32_t delay_ms, delay_left_ms;
    int32_t generation;
    struct str protocol_type, protocol; /* owned; at NULL: none */
    struct group_member *leader;
    struct list members, pending;
    struct map members_by_id, members_by_instance;
    struct map protocols; /* how many members know each */
    size_t members_n, pending_n;
    size_t joins_n; /* members whose join waits */
    size_t syncs_pending_n;
    struct env_timer rebalance; /* initial delay, join phase or sync phase, by state */
    bool stored;                /* the log has a record of the group itself */
    struct slice kept;          /* that record's value while memory is ahead of it: PREPARING and
                                 * COMPLETING; empty if there is none */
    struct offsets offsets;
    struct list writes;
    size_t bytes; /* of members */
    struct env_timer growth;
    struct group_growth *growths; /* room for GROUP_GROWTHS_MAX; NULL: none */
    size_t growths_n;
};

struct groups_shard {
    struct groups *groups;
    struct statelog *log;
};

struct groups {
    struct broker *broker;
    struct env *env;
    struct store *store;
    struct groups_shard shards[BROKER_SHARDS]; /* those of this reactor */
    struct map by_name;
    struct list inbox;    /* calls that wait for the one that runs */
    struct list doubtful; /* groups that may have nothing left to keep */
    unsigned depth;       /* of groups_begin */
    size_t bytes;         /* of all groups' members and offsets */
    bool full_told;
    struct topic_watcher watcher;
    struct env_timer topics_gone; /* looks for offsets of topics that are gone */
    struct env_timer expiry;
    bool loaded, draining;
    unsigned loading; /* state logs not loaded yet */
    enum err load_err;
    void (*loaded_fn)(void *arg, enum err err);
    void *loaded_arg;
};

/* ---- group.c: the service ----------------------------------------------------------------------
 */

/* How each op of group.h begins. */
struct group_op {
    struct op op;
    struct group_call call;
};

typedef void group_run_fn(struct groups *groups, struct op *op);

/* Sends the op to the group's reactor, where run is called. */
void group_submit(struct broker *b, struct str group, struct op *op, group_run_fn *run);
void group_answer(struct groups *groups, struct op *op, enum err err);
void groups_begin(struct groups *groups);
void groups_end(struct groups *groups);
struct group *groups_find(const struct groups *groups, struct str name);
struct group *groups_add(struct groups *groups, struct str name);
/* NULL first. */
struct group *groups_next(const struct groups *groups, const struct group *g);
/* At the end of the present call it is freed if nothing of it is left to keep. */
void group_doubt(struct group *g);
/* Room for more bytes of members or offsets? */
bool group_has_room(struct group *g, size_t bytes);
void group_charge(struct group *g, size_t more, size_t less);
const char *group_state_text(enum group_state state);

/* A name or text that a client chose, as it goes into the log: in quotes, cut, and without what
 * could be taken for another field. */
struct group_text {
    char s[132];
};
struct group_text group_text(struct str s);

/* A copy that the caller owns; NULL stays NULL. */
struct str group_str_keep(struct str s);
void group_str_drop(struct str *s);
/* A copy in the op's output memory. False: no room. */
bool group_out_str(struct op *op, struct str s, struct str *out);

/* ---- group_members.c ---------------------------------------------------------------------------
 */

struct group_member *group_member_find(const struct group *g, struct str id);
struct group_member *group_member_static(const struct group *g, struct str instance_id);
/* ERR_MEMBER_UNKNOWN, ERR_INSTANCE_FENCED. */
enum err must_use group_member_check(const struct group *g, struct str id, struct str instance_id,
                                     struct group_member **out);
/* Empty but for its identity; the first member leads. */
struct group_member *group_member_add(struct group *g, struct str id, struct str instance_id,
                                      struct str client_id, struct str client_host);
/* Unlinks and frees; its waiting calls must have been answered. Another member leads then. */
void group_member_remove(struct group_member *m);
/* The member goes on under another id. */
void group_member_rename(struct group_member *m, struct str id);
/* ERR_MEMORY, ERR_REQUEST_INVALID: too large. */
enum err must_use group_member_protocols(struct group_member *m, const struct group_protocol *p,
                                         size_t n);
bool group_member_matches(const struct group_member *m, const struct group_protocol *p, size_t n);
/* What the member said about the protocol; empty if it does not know it. */
struct str group_member_metadata(const struct group_member *m, struct str protocol);
/* Takes over the string. */
void group_member_assign(struct group_member *m, struct str assignment);
/* For when the sync's record is durable; that moment. */
void group_member_assign_next(struct group_member *m, struct str assignment);
void group_member_take_next(struct group_member *m);
/* All members of the group, and so this one, could use one of these. */
bool group_supports(const struct group *g, struct str type, const struct group_protocol *p,
                    size_t n);
/* The vote; at NULL if there is none that all know. Borrowed from a member. */
struct str group_vote(const struct group *g);
struct group_pending *group_pending_find(const struct group *g, struct str id);
void group_pending_add(struct group *g, struct str id, int32_t expiry_ms);
void group_pending_remove(struct group_pending *p);

static inline struct group_member *group_member_of(struct list *link)
{
    return container_of(link, struct group_member, link);
}

/* ---- group_rebalance.c -------------------------------------------------------------------------
 */

/* From EMPTY, COMPLETING or STABLE: the members have to join again. */
void group_prepare(struct group *g, const char *why);
/* What the log says of a stable or empty group is kept, before memory changes to something else on
 * the way into a rebalance. New members are not a part of it. */
void group_keep(struct group *g);
void group_keep_drop(struct group *g);
/* As group_prepare; where that is so already, looks whether all have joined. */
void group_rebalance(struct group *g, const char *why);
/* In PREPARING: if all have joined, on to the next phase. */
void group_join_step(struct group *g);
/* The group goes on without it: answers what waits and takes the consequences. */
void group_member_drop(struct group_member *m);
void group_after_drop(struct group *g, const char *why);
/* Any sign of life renews the session. */
void group_member_alive(struct group_member *m);
void group_member_wait_join(struct group_member *m, struct group_join_op *j);
void group_member_answer_join(struct group_member *m, enum err err);
void group_member_answer_sync(struct group_member *m, enum err err);
void group_syncs_fail(struct group *g, enum err err);
void group_become(struct group *g, enum group_state state);
/* Fires by itself; for load. */
void group_session_fire(struct env_timer *timer);
void group_rebalance_fire(struct env_timer *timer);

/* ---- group_join.c ------------------------------------------------------------------------------
 */

/* Fills the outputs of a join that succeeded. */
enum err must_use group_join_fill(struct group_member *m, struct group_join_op *j,
                                  struct group_member *leader, bool members);

/* ---- group_sync.c ------------------------------------------------------------------------------
 */

enum err must_use group_sync_fill(struct group_member *m, struct group_sync_op *s);

/* ---- group_log.c -------------------------------------------------------------------------------
 */

/* One batch about one group on its way to the log. */
struct group_write {
    struct statelog_append append;
    struct list link; /* in group->writes */
    struct group *group;
    void (*done)(struct group_write *w, enum err err); /* the write is freed behind it */
    struct op *op;                                     /* that waits for it, or NULL */
    struct slice value; /* the group's record that it writes; empty: none, or a tombstone */
    int32_t generation;
    struct str member_id, old_member_id; /* owned; a static member that is replaced */
    struct batch_builder batch;
};

struct group_write *group_write_make(struct group *g,
                                     void (*done)(struct group_write *w, enum err err));
void group_write_group(struct group_write *w);
void group_write_group_gone(struct group_write *w);
void group_write_offset(struct group_write *w, struct str topic, const struct offsets_entry *e);
void group_write_offset_gone(struct group_write *w, struct str topic, int32_t partition);
void group_write_submit(struct group_write *w);
void group_write_free(struct group_write *w);
/* The record's value as memory says it now, without members that are new. */
struct slice group_value(const struct group *g, bool next_assignments);
/* What a client is told when a write failed: the coordinator is to be asked again. */
enum err group_write_error(enum err err);
extern const struct statelog_ops group_log_ops;

/* ---- offsets_commit.c, offsets_expiry.c, group_growth.c -------------------------------------- */

/* The offsets of a write that is under way and not in group->offsets yet; 0: none. */
const struct group_offset *group_write_offsets(const struct group_write *w, size_t *n);
void groups_expiry_start(struct groups *groups);
/* Drops the offsets of topics that are not there any more. Their records are submitted before
 * this returns, so before another topic of the name can be made. */
void groups_topics_gone(struct groups *groups);
void groups_topics_gone_soon(struct groups *groups);
void groups_expiry_stop(struct groups *groups);
/* The group is a subscriber of it: rebalance soon. */
void group_growth_mark(struct group *g, const struct topic *old, const struct topic *now);
void group_growth_clear(struct group *g);
void group_growth_fire(struct env_timer *timer);
/* The leader for a rebalance that growth caused; NULL: no matter who. */
struct group_member *group_growth_leader(const struct group *g);
