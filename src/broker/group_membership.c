/* Heartbeat and LeaveGroup. */
#include "broker/group_internal.h"

/* ---- Heartbeat ---------------------------------------------------------------------------------
 */

static enum err heartbeat(const struct group *g, const struct group_heartbeat_op *h)
{
    struct group_member *m;
    if (h->group.len == 0)
        return ERR_GROUP_INVALID;
    if (g == NULL)
        return ERR_MEMBER_UNKNOWN;
    enum err err = group_member_check(g, h->member_id, h->instance_id, &m);
    if (err != ERR_OK)
        return err;
    if (h->generation != g->generation)
        return ERR_GENERATION;
    group_member_alive(m);
    return g->state == GROUP_PREPARING ? ERR_REBALANCING : ERR_OK;
}

static void heartbeat_run(struct groups *groups, struct op *op)
{
    struct group_heartbeat_op *h = container_of(op, struct group_heartbeat_op, op);
    group_answer(groups, op, heartbeat(groups_find(groups, h->group), h));
}

void broker_group_heartbeat(struct broker *b, struct group_heartbeat_op *op)
{
    if (access_refuses(b, &op->op, op->actor, ACCESS_GROUP, op->group, ACCESS_RECEIVER))
        return;
    group_submit(b, op->group, &op->op, heartbeat_run);
}

/* ---- LeaveGroup --------------------------------------------------------------------------------
 */

/* By instance id alone an administrator removes a static member. */
static enum err find_leaver(const struct group *g, const struct group_leaver *l,
                            struct group_member **out)
{
    if (l->member_id.len != 0)
        return group_member_check(g, l->member_id, l->instance_id, out);
    *out = l->instance_id.at != NULL ? group_member_static(g, l->instance_id) : NULL;
    return *out != NULL ? ERR_OK : ERR_MEMBER_UNKNOWN;
}

/* An id that was given out and not come back with is forgotten. It was never a part of a
 * generation, so that is no reason to rebalance one (Kafka does). */
static enum err leave_one(struct group *g, const struct group_leaver *l)
{
    struct group_pending *p = group_pending_find(g, l->member_id);
    if (p != NULL) {
        group_pending_remove(p);
        return ERR_OK;
    }
    struct group_member *m;
    enum err err = find_leaver(g, l, &m);
    if (err != ERR_OK)
        return err;
    env_log(g->groups->env, ENV_INFO, "group.leave", "group=%s member=%s reason=%s",
            group_text(g->name).s, group_text(m->id).s, group_text(l->reason).s);
    group_member_drop(m);
    return ERR_OK;
}

static void leave_run(struct groups *groups, struct op *op)
{
    struct group_leave_op *l = container_of(op, struct group_leave_op, op);
    struct group *g = groups_find(groups, l->group);
    size_t before = g != NULL ? g->members_n : 0;
    for (size_t i = 0; i < l->leavers_n; i++)
        l->leavers[i].err = g != NULL ? leave_one(g, &l->leavers[i]) : ERR_MEMBER_UNKNOWN;
    if (g != NULL && g->members_n != before)
        group_after_drop(g, "a member left");
    else if (g != NULL)
        group_join_step(g); /* it may have waited for a pending one only */
    if (g != NULL)
        group_doubt(g);
    group_answer(groups, op, l->group.len != 0 ? ERR_OK : ERR_GROUP_INVALID);
}

void broker_group_leave(struct broker *b, struct group_leave_op *op)
{
    if (access_refuses(b, &op->op, op->actor, ACCESS_GROUP, op->group, ACCESS_RECEIVER))
        return;
    group_submit(b, op->group, &op->op, leave_run);
}
