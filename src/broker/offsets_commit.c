/* OffsetCommit: checked against the group's generation, durable before it is answered, and visible
 * to OffsetFetch from then on. */
#include "broker/group_internal.h"

static struct group_commit_op *commit_of(struct op *op)
{
    return container_of(op, struct group_commit_op, op);
}

/* ---- checks ------------------------------------------------------------------------------------
 */

static enum err check_offset(struct groups *groups, const struct actor *actor,
                             struct group_offset *o)
{
    enum err err = access_check(groups->broker, actor, ACCESS_TOPIC, o->topic, ACCESS_RECEIVER);
    if (err != ERR_OK)
        return err;
    const struct topic *t = broker_topic(groups->broker, o->topic);
    if (t == NULL || o->partition < 0 || o->partition >= t->partitions)
        return ERR_TOPIC_UNKNOWN;
    o->topic_id = t->id;
    return o->metadata.len <= GROUP_OFFSET_METADATA_MAX ? ERR_OK : ERR_OFFSET_METADATA_SIZE;
}

/* How many are left to commit. */
static size_t check_offsets(struct groups *groups, struct group_commit_op *c, size_t *bytes)
{
    size_t n = 0;
    for (size_t i = 0; i < c->offsets_n; i++) {
        struct group_offset *o = &c->offsets[i];
        if (o->err == ERR_OK)
            o->err = check_offset(groups, c->actor, o);
        if (o->err != ERR_OK)
            continue;
        n++;
        *bytes += offsets_entry_bytes(o->topic, o->metadata);
    }
    return n;
}

/* Kafka's rules. Somebody outside of any group protocol (generation -1) may commit while the group
 * is empty; a member in its generation, but not between its join and its sync. */
static enum err check_member(const struct group *g, const struct group_commit_op *c,
                             struct group_member **m)
{
    if (c->generation < 0 && g->state == GROUP_EMPTY)
        return ERR_OK;
    if (c->generation < 0 && c->member_id.len == 0 && c->instance_id.at == NULL)
        return ERR_MEMBER_UNKNOWN;
    enum err err = group_member_check(g, c->member_id, c->instance_id, m);
    if (err != ERR_OK)
        return err;
#ifndef FAULT_generation_unchecked
    if (c->generation != g->generation)
        return ERR_GENERATION;
#endif
    return g->state == GROUP_COMPLETING ? ERR_REBALANCING : ERR_OK;
}

/* ---- the write ---------------------------------------------------------------------------------
 */

static struct offsets_entry entry_of(const struct groups *groups, const struct group_commit_op *c,
                                     const struct group_offset *o)
{
    int64_t now = (int64_t)env_now_ms(groups->env);
    int64_t commit_ms = o->commit_ms >= 0 ? o->commit_ms : now;
    return (struct offsets_entry){
        .partition = o->partition,
        .leader_epoch = o->leader_epoch,
        .offset = o->offset,
        .commit_ms = commit_ms,
        .expire_ms =
            c->retention_ms >= 0 && c->retention_ms < INT64_MAX - now ? now + c->retention_ms : -1,
        .metadata = o->metadata,
    };
}

/* If the topic has been deleted while this was on its way, it is dropped again, with its record. */
static void commit_apply(struct group *g, const struct group_commit_op *c,
                         const struct group_offset *o)
{
    const struct topic *t = broker_topic(g->groups->broker, o->topic);
    if (t == NULL || !uuid_eq(t->id, o->topic_id))
        groups_topics_gone_soon(g->groups);
    size_t before = g->offsets.bytes;
    struct offsets_entry e = entry_of(g->groups, c, o);
    offsets_set(&g->offsets, o->topic, &o->topic_id, &e);
    group_charge(g, g->offsets.bytes, before);
}

static void committed(struct group_write *w, enum err err)
{
    struct group *g = w->group;
    struct group_commit_op *c = commit_of(w->op);
    for (size_t i = 0; i < c->offsets_n && err == ERR_OK; i++) {
        if (c->offsets[i].err == ERR_OK)
            commit_apply(g, c, &c->offsets[i]);
    }
    group_answer(g->groups, w->op, group_write_error(err));
}

const struct group_offset *group_write_offsets(const struct group_write *w, size_t *n)
{
    *n = 0;
    if (w->done != committed)
        return NULL;
    *n = commit_of(w->op)->offsets_n;
    return commit_of(w->op)->offsets;
}

static void commit_write(struct group *g, struct group_commit_op *c)
{
    struct group_write *w = group_write_make(g, committed);
    w->op = &c->op;
    for (size_t i = 0; i < c->offsets_n; i++) {
        struct offsets_entry e = entry_of(g->groups, c, &c->offsets[i]);
        if (c->offsets[i].err == ERR_OK)
            group_write_offset(w, c->offsets[i].topic, &e);
    }
    group_write_submit(w);
}

/* ---- request -----------------------------------------------------------------------------------
 */

static enum err commit(struct groups *groups, struct group_commit_op *c, struct group **out,
                       size_t bytes)
{
    struct group *g = groups_find(groups, c->group);
    struct group_member *m = NULL;
    if (c->group.len > GROUP_NAME_MAX)
        return ERR_GROUP_INVALID;
    if (g == NULL && c->generation >= 0)
        return ERR_GROUP_UNKNOWN;
    if (g == NULL)
        g = groups_add(groups, c->group);
    group_doubt(g);
    enum err err = check_member(g, c, &m);
    if (m != NULL && (err == ERR_OK || err == ERR_REBALANCING))
        group_member_alive(m);
    if (err != ERR_OK)
        return err;
    *out = g;
    return group_has_room(g, bytes) ? ERR_OK : ERR_COORDINATOR_UNAVAILABLE;
}

static void commit_run(struct groups *groups, struct op *op)
{
    struct group_commit_op *c = commit_of(op);
    struct group *g = NULL;
    size_t bytes = 0, n = check_offsets(groups, c, &bytes);
    enum err err = n != 0 ? commit(groups, c, &g, bytes) : ERR_OK;
    if (err != ERR_OK || n == 0)
        group_answer(groups, op, err);
    else
        commit_write(g, c);
}

void broker_group_commit(struct broker *b, struct group_commit_op *op)
{
    if (access_refuses(b, &op->op, op->actor, ACCESS_GROUP, op->group, ACCESS_RECEIVER))
        return;
    group_submit(b, op->group, &op->op, commit_run);
}
