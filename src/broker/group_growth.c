/* When a topic grows, its consumers should share the new partitions at once.
 *
 * Kafka's clients look at a topic's partitions again after metadata.max.age.ms (five minutes); the
 * leader then sees the new ones and joins, which is a rebalance. Until then nobody reads them, and
 * members that had nothing to do stay idle. Two things make it faster:
 *
 *   - each member that fetches from the topic is answered once with NOT_LEADER (broker/topic.h), at
 *     which it refreshes its metadata;
 *   - about a second later, when that has happened, the groups that subscribe to the topic and are
 *     stable are rebalanced from here.
 *
 * The leader assigns what its own metadata shows. A member that has no partition of the topic does
 * not fetch from it, so nobody has told it to look again: as a leader it would hand out the old
 * partitions once more. So for this one rebalance the leader is chosen among those that have some.
 *
 * If some assignment has a new partition when the second is over, a leader has noticed by itself
 * and nothing is done. If the group is in a rebalance then, that one's leader may have known or
 * not: it is looked at again a second later. Each growth causes one rebalance at most; members that
 * understand nothing of ConsumerProtocol are not concerned.
 */
#include "broker/group_internal.h"

#include "base/mem.h"
#include "broker/consumer_protocol.h"

#define GROWTH_DELAY_US ((uint64_t)1000 * 1000)

static bool concerned(const struct group *g, struct str topic)
{
    if (g->state == GROUP_EMPTY || !str_is(g->protocol_type, CONSUMER_PROTOCOL_TYPE))
        return false;
    list_for (it, &g->members) {
        const struct group_member *m = group_member_of(it);
        for (size_t i = 0; i < m->protocols_n; i++) {
            if (consumer_subscribed(m->protocols[i].metadata, topic))
                return true;
        }
    }
    return false;
}

/* Of two growths of one topic the first tells which partitions are new. */
static bool is_marked(const struct group *g, struct str topic)
{
    for (size_t i = 0; i < g->growths_n; i++) {
        if (str_eq(g->growths[i].topic, topic))
            return true;
    }
    return false;
}

static void mark(struct group *g, struct str topic, int32_t old_partitions)
{
    if (is_marked(g, topic) || g->growths_n == GROUP_GROWTHS_MAX)
        return;
    if (g->growths == NULL)
        g->growths = mem_alloc(GROUP_GROWTHS_MAX * sizeof(*g->growths));
    g->growths[g->growths_n++] = (struct group_growth){group_str_keep(topic), old_partitions};
}

void group_growth_mark(struct group *g, const struct topic *old, const struct topic *now)
{
    struct str topic = str_of(now->name);
    if (!concerned(g, topic))
        return;
    mark(g, topic, old->partitions);
    env_timer_set(g->groups->env, &g->growth, GROWTH_DELAY_US);
}

void group_growth_clear(struct group *g)
{
    env_timer_stop(g->groups->env, &g->growth);
    while (g->growths_n != 0)
        group_str_drop(&g->growths[--g->growths_n].topic);
    mem_free(g->growths);
    g->growths = NULL;
}

static bool assigned(const struct group *g, const struct group_growth *growth)
{
    list_for (it, &g->members) {
        if (consumer_assigned(group_member_of(it)->assignment, growth->topic,
                              growth->old_partitions))
            return true;
    }
    return false;
}

static bool has_some(const struct group *g, const struct group_member *m)
{
    for (size_t i = 0; i < g->growths_n; i++) {
        if (consumer_assigned(m->assignment, g->growths[i].topic, 0))
            return true;
    }
    return false;
}

static bool all_assigned(const struct group *g)
{
    for (size_t i = 0; i < g->growths_n; i++) {
        if (!assigned(g, &g->growths[i]))
            return false;
    }
    return true;
}

void group_growth_fire(struct env_timer *timer)
{
    struct group *g = container_of(timer, struct group, growth);
    struct groups *groups = g->groups;
    if (g->state == GROUP_PREPARING || g->state == GROUP_COMPLETING) {
        env_timer_set(groups->env, &g->growth, GROWTH_DELAY_US);
        return;
    }
    groups_begin(groups);
    bool due = g->state == GROUP_STABLE && !all_assigned(g);
    list_for (it, &g->members) {
        struct group_member *m = group_member_of(it);
        m->knows_growth = due && has_some(g, m);
    }
    group_growth_clear(g);
    if (due)
        group_prepare(g, "a topic has new partitions");
    groups_end(groups);
}

struct group_member *group_growth_leader(const struct group *g)
{
    if (g->leader != NULL && g->leader->knows_growth && g->leader->join != NULL)
        return g->leader;
    list_for (it, &g->members) {
        struct group_member *m = group_member_of(it);
        if (m->knows_growth && m->join != NULL)
            return m;
    }
    return NULL;
}
