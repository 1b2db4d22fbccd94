/* Offsets that nobody needs any more, by Kafka's rules (KIP-211):
 *
 *     a group without members       offsets.retention.minutes after it became empty
 *     consumers, stable             the same time after the commit, for topics that none of them
 *                                   subscribes to
 *     never had members             the same time after the commit
 *     a commit with its own time    at that time (OffsetCommit 2 to 4)
 *     the topic was deleted         at once
 *
 * A group that is empty and has no offsets left is forgotten. Groups with writes under way are left
 * to the next round: a commit on its way counts. Offsets leave memory when their records are
 * submitted: should the log not take these, the offsets come back with the next start and expire
 * again.
 */
#include "broker/group_internal.h"

#include "broker/consumer_protocol.h"

#define EXPIRY_EVERY_US ((uint64_t)600 * 1000 * 1000) /* offsets.retention.check.interval.ms */

static void write_ignored(struct group_write *w, enum err err)
{
    struct group *g = w->group;
    if (err != ERR_OK)
        env_log(g->groups->env, ENV_WARN, "offsets.expiry", "group=%s error=%s",
                group_text(g->name).s, err_name(err));
}

static void write_end(struct group_write *w)
{
    if (w == NULL)
        return;
    if (w->batch.count != 0)
        group_write_submit(w);
    else
        group_write_free(w);
}

/* ---- expired --------------------------------------------------------------------------------- */

static bool subscribed(const struct group *g, struct str topic)
{
    list_for (it, &g->members) {
        if (consumer_subscribed(group_member_metadata(group_member_of(it), g->protocol), topic))
            return true;
    }
    return false;
}

static bool group_expires(const struct group *g)
{
    if (!list_empty(&g->writes))
        return false;
    return g->state == GROUP_EMPTY ||
           (g->state == GROUP_STABLE && str_is(g->protocol_type, CONSUMER_PROTOCOL_TYPE));
}

/* From when on the retention counts. */
static int64_t expiry_base(const struct group *g, const struct offsets_entry *e)
{
    bool had_members = g->protocol_type.at != NULL;
    return g->state == GROUP_EMPTY && had_members && g->state_ms >= 0 ? g->state_ms : e->commit_ms;
}

static bool expired(const struct group *g, const struct offsets_entry *e)
{
    int64_t now = (int64_t)env_now_ms(g->groups->env);
    if (e->expire_ms >= 0)
        return now >= e->expire_ms;
    return now - expiry_base(g, e) >= broker_conf(g->groups->broker)->offsets_retention_ms;
}

static void expire_topic(struct group_write *w, const struct offsets_topic *t)
{
    for (size_t i = 0; i < t->n; i++) {
        if (expired(w->group, &t->entries[i]))
            group_write_offset_gone(w, t->name, t->entries[i].partition);
    }
}

/* From the end: removing shifts what is behind, and the last entry takes the topic with it. */
static void drop_expired(struct group *g, struct offsets_topic *t)
{
    for (size_t i = t->n; i > 0; i--) {
        if (!expired(g, &t->entries[i - 1]))
            continue;
        bool last = t->n == 1;
        offsets_remove(&g->offsets, t->name, t->entries[i - 1].partition);
        if (last)
            return;
    }
}

static void expire(struct group *g)
{
    struct group_write *w = group_write_make(g, write_ignored);
    size_t before = g->offsets.bytes;
    struct offsets_topic *t = offsets_next(&g->offsets, NULL), *next;
    for (; t != NULL; t = next) {
        next = offsets_next(&g->offsets, t);
        if (g->state == GROUP_STABLE && subscribed(g, t->name))
            continue;
        expire_topic(w, t);
        drop_expired(g, t);
    }
    group_charge(g, g->offsets.bytes, before);
    if (g->state == GROUP_EMPTY && g->stored && g->offsets.count == 0 && g->pending_n == 0) {
        group_write_group_gone(w);
        g->stored = false;
        g->generation = 0;
        group_str_drop(&g->protocol_type);
    }
    write_end(w);
    group_doubt(g);
}

static void expiry_fire(struct env_timer *timer)
{
    struct groups *groups = container_of(timer, struct groups, expiry);
    groups_begin(groups);
    for (struct group *g = groups_next(groups, NULL); g != NULL; g = groups_next(groups, g)) {
        if (group_expires(g))
            expire(g);
        group_doubt(g);
    }
    groups_end(groups);
    env_timer_set(groups->env, &groups->expiry, EXPIRY_EVERY_US);
}

/* ---- deleted topics -------------------------------------------------------------------------- */

static bool topic_is_gone(const struct group *g, const struct offsets_topic *t)
{
    const struct topic *now = broker_topic(g->groups->broker, t->name);
    return now == NULL || !uuid_eq(now->id, t->id);
}

static void drop_gone(struct group *g)
{
    struct group_write *w = NULL;
    size_t before = g->offsets.bytes;
    struct offsets_topic *t = offsets_next(&g->offsets, NULL), *next;
    for (; t != NULL; t = next) {
        next = offsets_next(&g->offsets, t);
        if (!topic_is_gone(g, t))
            continue;
        if (w == NULL)
            w = group_write_make(g, write_ignored);
        for (size_t i = 0; i < t->n; i++)
            group_write_offset_gone(w, t->name, t->entries[i].partition);
        offsets_topic_remove(&g->offsets, t);
    }
    group_charge(g, g->offsets.bytes, before);
    write_end(w);
    group_doubt(g);
}

void groups_topics_gone(struct groups *groups)
{
    groups_begin(groups);
    for (struct group *g = groups_next(groups, NULL); g != NULL; g = groups_next(groups, g)) {
        if (g->offsets.count != 0)
            drop_gone(g);
    }
    groups_end(groups);
}

static void topics_gone_fire(struct env_timer *timer)
{
    groups_topics_gone(container_of(timer, struct groups, topics_gone));
}

void groups_topics_gone_soon(struct groups *groups)
{
    if (env_timer_armed(&groups->topics_gone))
        return;
    groups->topics_gone.fire = topics_gone_fire;
    env_timer_set(groups->env, &groups->topics_gone, 0);
}

void groups_expiry_start(struct groups *groups)
{
    groups->expiry.fire = expiry_fire;
    env_timer_set(groups->env, &groups->expiry, EXPIRY_EVERY_US);
}

void groups_expiry_stop(struct groups *groups)
{
    env_timer_stop(groups->env, &groups->expiry);
    env_timer_stop(groups->env, &groups->topics_gone);
}
