/* The states of a group, and what moves it from one to the next.
 *
 *     PREPARING   all members have to join again (or for the first time). A group that was EMPTY
 *                 waits for the initial delay, which newcomers extend up to the rebalance timeout;
 *                 any other until all have joined or the rebalance timeout has passed, when those
 *                 dynamic members that did not join are removed.
 *     COMPLETING  the generation begins: every join has been answered, the leader with the list of
 *                 members. It computes the assignment and syncs; members that have not synced when
 *                 the rebalance timeout has passed are removed, which is a new rebalance.
 *     STABLE      the assignment is in the log and has been handed out.
 *     EMPTY       nobody left, offsets stay.
 *
 * Static members that did not join again stay a part of the group until their session ends
 * (KIP-345). One timer serves the three waits, since they exclude each other.
 */
#include "broker/group_internal.h"

#include "base/assert.h"

#define NEW_MEMBER_JOIN_MS (5 * 60 * 1000) /* how long the join of a new member may wait */

static void complete_join(struct group *g);

/* ---- small steps ----------------------------------------------------------------------------- */

void group_become(struct group *g, enum group_state state)
{
#define FROM(name) (1u << GROUP_##name)
#define S(name, text, from) [GROUP_##name] = (from),
    static const unsigned before[] = {GROUP_STATES(S)};
#undef S
#undef FROM
    weir_assert((before[state] & 1u << g->state) != 0);
    g->state = state;
    g->state_ms = (int64_t)env_now_ms(g->groups->env);
}

static void timer_ms(struct group *g, int64_t ms)
{
    env_timer_set(g->groups->env, &g->rebalance, (uint64_t)ms * 1000);
}

/* The longest that a member asks for. */
static int32_t rebalance_timeout_ms(const struct group *g)
{
    int32_t longest = 0;
    list_for (it, &g->members) {
        int32_t ms = group_member_of(it)->rebalance_ms;
        longest = ms > longest ? ms : longest;
    }
    return longest;
}

/* A member that waits is alive; when it is answered its session begins anew, so that it has time to
 * act on the answer. */
void group_member_alive(struct group_member *m)
{
    int32_t ms = m->is_new ? NEW_MEMBER_JOIN_MS : m->session_ms;
    env_timer_set(m->group->groups->env, &m->session, (uint64_t)ms * 1000);
}

/* A join that waited before gets the error that lets its sender try again. */
void group_member_wait_join(struct group_member *m, struct group_join_op *j)
{
    group_member_answer_join(m, ERR_REBALANCING);
    m->join = j;
    m->group->joins_n++;
}

void group_member_answer_join(struct group_member *m, enum err err)
{
    struct group_join_op *j = m->join;
    struct group *g = m->group;
    if (j == NULL)
        return;
    m->join = NULL;
    g->joins_n--;
    group_member_alive(m);
    if (err == ERR_OK)
        err = group_join_fill(m, j, g->leader, m == g->leader);
    group_answer(g->groups, &j->op, err);
}

void group_member_answer_sync(struct group_member *m, enum err err)
{
    struct group_sync_op *s = m->sync;
    if (s == NULL)
        return;
    m->sync = NULL;
    group_member_alive(m);
    if (err == ERR_OK)
        err = group_sync_fill(m, s);
    group_answer(m->group->groups, &s->op, err);
}

void group_syncs_fail(struct group *g, enum err err)
{
    list_for (it, &g->members) {
        struct group_member *m = group_member_of(it);
        m->sync_pending = false;
        group_member_assign(m, (struct str){NULL, 0});
        group_member_answer_sync(m, err);
    }
    g->syncs_pending_n = 0;
}

/* ---- members go ------------------------------------------------------------------------------ */

void group_member_drop(struct group_member *m)
{
    group_member_answer_join(m, ERR_MEMBER_UNKNOWN);
    group_member_answer_sync(m, ERR_MEMBER_UNKNOWN);
    group_member_remove(m);
}

void group_after_drop(struct group *g, const char *why)
{
    if (g->state == GROUP_STABLE || g->state == GROUP_COMPLETING)
        group_prepare(g, why);
    else
        group_join_step(g);
    group_doubt(g);
}

/* A member whose join or sync waits is alive, but for a new one, of whom nothing is known since its
 * join came. */
void group_session_fire(struct env_timer *timer)
{
    struct group_member *m = container_of(timer, struct group_member, session);
    struct group *g = m->group;
    if (!m->is_new && (m->join != NULL || m->sync != NULL))
        return;
    groups_begin(g->groups);
    env_log(g->groups->env, ENV_INFO, "group.expired", "group=%s member=%s", group_text(g->name).s,
            group_text(m->id).s);
    group_member_drop(m);
    group_after_drop(g, "a member's session ended");
    groups_end(g->groups);
}

/* ---- PREPARING ------------------------------------------------------------------------------- */

static void initial_delay_start(struct group *g)
{
    uint32_t delay = broker_conf(g->groups->broker)->group_initial_delay_ms;
    uint32_t timeout = (uint32_t)rebalance_timeout_ms(g);
    g->delay_ms = delay;
    g->delay_left_ms = timeout > delay ? timeout - delay : 0;
    g->newcomers = false;
    timer_ms(g, delay);
}

static void initial_delay_over(struct group *g)
{
    if (!g->newcomers || g->delay_left_ms == 0) {
        complete_join(g);
        return;
    }
    uint32_t delay = broker_conf(g->groups->broker)->group_initial_delay_ms;
    uint32_t left = g->delay_left_ms;
    uint32_t next = delay < left ? delay : left;
    g->newcomers = false;
    g->delay_left_ms = left > g->delay_ms ? left - g->delay_ms : 0;
    g->delay_ms = next;
    timer_ms(g, next);
}

void group_keep(struct group *g)
{
    if (g->stored && g->kept.buf == NULL && (g->state == GROUP_STABLE || g->state == GROUP_EMPTY))
        g->kept = group_value(g, false);
}

void group_keep_drop(struct group *g)
{
    slice_unref(g->kept);
    g->kept = (struct slice){NULL, NULL, 0};
}

void group_prepare(struct group *g, const char *why)
{
    env_log(g->groups->env, ENV_INFO, "group.rebalance", "group=%s generation=%d reason=\"%s\"",
            group_text(g->name).s, g->generation, why);
    group_keep(g);
    if (g->state == GROUP_COMPLETING)
        group_syncs_fail(g, ERR_REBALANCING);
    list_for (it, &g->members)
        group_member_of(it)->sync_pending = false;
    g->syncs_pending_n = 0;
    g->initial = g->state == GROUP_EMPTY;
    group_become(g, GROUP_PREPARING);
    if (g->initial) {
        initial_delay_start(g);
        return;
    }
    timer_ms(g, rebalance_timeout_ms(g));
    group_join_step(g);
}

void group_rebalance(struct group *g, const char *why)
{
    if (g->state == GROUP_PREPARING)
        group_join_step(g);
    else
        group_prepare(g, why);
}

void group_join_step(struct group *g)
{
    if (g->state == GROUP_PREPARING && !g->initial && g->joins_n == g->members_n &&
        g->pending_n == 0)
        complete_join(g);
}

/* ---- on to the next generation --------------------------------------------------------------- */

static void drop_absent(struct group *g)
{
    list_for_safe (it, &g->members) {
        struct group_member *m = group_member_of(it);
        if (m->join == NULL && m->instance_id.at == NULL)
            group_member_drop(m);
    }
}

/* Who leads must be there. False: nobody is. */
static bool elect(struct group *g)
{
    struct group_member *fit = group_growth_leader(g);
    if (fit != NULL)
        g->leader = fit;
    if (g->leader != NULL && g->leader->join != NULL)
        return true;
    list_for (it, &g->members) {
        if (group_member_of(it)->join == NULL)
            continue;
        g->leader = group_member_of(it);
        return true;
    }
    return false;
}

static void empty_stored(struct group_write *w, enum err err)
{
    struct group *g = w->group;
    if (err == ERR_OK)
        g->stored = true;
    else
        env_log(g->groups->env, ENV_WARN, "group.store", "group=%s error=%s", group_text(g->name).s,
                err_name(err));
}

/* The generation before it stays the one in the log if this write fails: its members would time out
 * once more after a restart, no more than that. */
static void become_empty(struct group *g)
{
    group_str_drop(&g->protocol);
    group_growth_clear(g);
    group_keep_drop(g);
    group_become(g, GROUP_EMPTY);
    struct group_write *w = group_write_make(g, empty_stored);
    group_write_group(w);
    group_write_submit(w);
}

static void begin_member(struct group_member *m)
{
    m->is_new = false;
    m->sync_pending = true;
    m->knows_growth = false;
    group_member_alive(m);
    group_member_answer_join(m, ERR_OK);
}

static void begin_generation(struct group *g)
{
    group_str_drop(&g->protocol);
    g->protocol = group_str_keep(group_vote(g));
    weir_assert(g->protocol.at != NULL);
    group_become(g, GROUP_COMPLETING);
    g->syncs_pending_n = g->members_n;
    timer_ms(g, rebalance_timeout_ms(g));
    list_for (it, &g->members)
        begin_member(group_member_of(it));
}

static void complete_join(struct group *g)
{
    weir_assert(g->state == GROUP_PREPARING);
    env_timer_stop(g->groups->env, &g->rebalance);
    drop_absent(g);
    if (g->members_n != 0 && !elect(g)) {
        /* Only static members are left, and none has joined: until their sessions end. */
        timer_ms(g, rebalance_timeout_ms(g));
        return;
    }
    g->initial = false;
    g->generation = g->generation == INT32_MAX ? 1 : g->generation + 1;
    if (g->members_n == 0)
        become_empty(g);
    else
        begin_generation(g);
    group_doubt(g);
}

/* ---- COMPLETING ------------------------------------------------------------------------------ */

static void drop_unsynced(struct group *g)
{
    list_for_safe (it, &g->members) {
        if (group_member_of(it)->sync_pending)
            group_member_drop(group_member_of(it));
    }
    group_after_drop(g, "members did not sync");
}

void group_rebalance_fire(struct env_timer *timer)
{
    struct group *g = container_of(timer, struct group, rebalance);
    struct groups *groups = g->groups;
    groups_begin(groups);
    if (g->state == GROUP_PREPARING && g->initial)
        initial_delay_over(g);
    else if (g->state == GROUP_PREPARING)
        complete_join(g);
    else if (g->syncs_pending_n != 0)
        drop_unsynced(g);
    groups_end(groups);
}
