/* SyncGroup: the leader brings the assignment, each member takes its part away.
 *
 * All syncs of a generation wait until the leader's assignment is durable: a generation that
 * members work in survives a restart. A rebalance that begins meanwhile answers them (REBALANCING),
 * and what the write brings then only tells which generation the log has.
 */
#include "broker/group_internal.h"

static struct group_sync_op *sync_of(struct op *op)
{
    return container_of(op, struct group_sync_op, op);
}

enum err group_sync_fill(struct group_member *m, struct group_sync_op *s)
{
    const struct group *g = m->group;
    struct str none = STR_LIT("");
    bool ok =
        group_out_str(&s->op, g->protocol_type, &s->protocol_type_out) &&
        group_out_str(&s->op, g->protocol, &s->protocol_out) &&
        group_out_str(&s->op, m->assignment.at != NULL ? m->assignment : none, &s->assignment);
    return ok ? ERR_OK : ERR_MEMORY;
}

/* ---- the leader's assignment -------------------------------------------------------------------
 */

static void become_stable(struct group *g)
{
    group_become(g, GROUP_STABLE);
    env_log(g->groups->env, ENV_INFO, "group.stable", "group=%s generation=%d members=%zu",
            group_text(g->name).s, g->generation, g->members_n);
    group_keep_drop(g);
    list_for (it, &g->members)
        group_member_take_next(group_member_of(it));
    list_for (it, &g->members)
        group_member_answer_sync(group_member_of(it), ERR_OK);
}

/* The group has gone on: what is in the log now is what a restart would bring back. */
static void keep_written(struct group *g, struct group_write *w)
{
    if (g->state != GROUP_PREPARING && g->state != GROUP_COMPLETING)
        return;
    group_keep_drop(g);
    g->kept = slice_ref(w->value);
}

static void assignment_stored(struct group_write *w, enum err err)
{
    struct group *g = w->group;
    bool present = g->state == GROUP_COMPLETING && g->generation == w->generation;
    if (err == ERR_OK)
        g->stored = true;
    if (present && err == ERR_OK) {
        become_stable(g);
    } else if (present) {
        group_syncs_fail(g, group_write_error(err));
        group_prepare(g, "the assignment could not be stored");
    } else if (err == ERR_OK) {
        keep_written(g, w);
    }
}

static bool being_written(const struct group *g)
{
    list_for (it, &g->writes) {
        const struct group_write *w = container_of(it, struct group_write, link);
        if (w->done == assignment_stored && w->generation == g->generation)
            return true;
    }
    return false;
}

static void next_clear(struct group *g)
{
    list_for (it, &g->members)
        group_member_assign_next(group_member_of(it), (struct str){NULL, 0});
}

static size_t assignment_bytes(const struct group_sync_op *s)
{
    size_t bytes = 0;
    for (size_t i = 0; i < s->assignments_n; i++)
        bytes += s->assignments[i].assignment.len;
    return bytes;
}

static void assignment_write(struct group *g, const struct group_sync_op *s)
{
    if (being_written(g))
        return;
    next_clear(g);
    if (!group_has_room(g, assignment_bytes(s))) {
        group_syncs_fail(g, ERR_INTERNAL);
        group_prepare(g, "the assignment is too large");
        return;
    }
    for (size_t i = 0; i < s->assignments_n; i++) {
        struct group_member *m = group_member_find(g, s->assignments[i].member_id);
        if (m != NULL)
            group_member_assign_next(m, group_str_keep(s->assignments[i].assignment));
    }
    struct group_write *w = group_write_make(g, assignment_stored);
    group_write_group(w);
    group_write_submit(w);
}

/* ---- request -----------------------------------------------------------------------------------
 */

static void synced(struct group_member *m)
{
    struct group *g = m->group;
    if (!m->sync_pending)
        return;
    m->sync_pending = false;
    if (--g->syncs_pending_n == 0)
        env_timer_stop(g->groups->env, &g->rebalance);
}

static void sync_wait(struct group_member *m, struct group_sync_op *s)
{
    group_member_answer_sync(m, ERR_REBALANCING);
    m->sync = s;
    synced(m);
    if (m == m->group->leader)
        assignment_write(m->group, s);
}

static void sync_stable(struct group_member *m, struct group_sync_op *s)
{
    synced(m);
    group_answer(m->group->groups, &s->op, group_sync_fill(m, s));
}

static bool differs(struct str told, struct str have)
{
    return told.at != NULL && have.at != NULL && !str_eq(told, have);
}

static enum err check(const struct group *g, const struct group_sync_op *s, struct group_member **m)
{
    if (s->group.len == 0)
        return ERR_GROUP_INVALID;
    if (g == NULL)
        return ERR_MEMBER_UNKNOWN;
    enum err err = group_member_check(g, s->member_id, s->instance_id, m);
    if (err != ERR_OK)
        return err;
    if (s->generation != g->generation)
        return ERR_GENERATION;
    if (differs(s->protocol_type, g->protocol_type) || differs(s->protocol, g->protocol))
        return ERR_GROUP_PROTOCOL;
    return g->state == GROUP_PREPARING ? ERR_REBALANCING : ERR_OK;
}

static void sync_run(struct groups *groups, struct op *op)
{
    struct group_sync_op *s = sync_of(op);
    struct group *g = groups_find(groups, s->group);
    struct group_member *m = NULL;
    enum err err = groups->draining ? ERR_COORDINATOR_UNAVAILABLE : check(g, s, &m);
    if (err == ERR_OK || err == ERR_REBALANCING)
        group_member_alive(m);
    if (err != ERR_OK)
        group_answer(groups, op, err);
    else if (g->state == GROUP_COMPLETING)
        sync_wait(m, s);
    else
        sync_stable(m, s);
}

void broker_group_sync(struct broker *b, struct group_sync_op *op)
{
    if (access_refuses(b, &op->op, op->actor, ACCESS_GROUP, op->group, ACCESS_RECEIVER))
        return;
    group_submit(b, op->group, &op->op, sync_run);
}
