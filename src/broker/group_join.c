/* JoinGroup: how a member comes into a group, or comes back.
 *
 *     no member id, v4+      gets one and comes again with it (KIP-394)
 *     no member id, static   the instance id is known: takes that member's place (KIP-345)
 *     a pending id           becomes a member
 *     a member's id          joins the next generation, or hears of the present one again
 */
#include "broker/group_internal.h"

#include "base/assert.h"
#include "broker/consumer_protocol.h"

#include <stdio.h>
#include <string.h>

#define UUID_HEX_BYTES 36
#define ID_PREFIX_MAX 249 /* of a client id or instance id in a member id */
#define MEMBER_ID_MAX (ID_PREFIX_MAX + 1 + UUID_HEX_BYTES + 1)
#define HOST_MAX 128

static struct group_join_op *join_of(struct op *op)
{
    return container_of(op, struct group_join_op, op);
}

/* ---- the answer --------------------------------------------------------------------------------
 */

static bool fill_members(const struct group *g, struct group_join_op *j)
{
    struct group_member_view *v = arena_zalloc(&j->call.out, g->members_n, sizeof(*v));
    size_t n = 0;
    if (v == NULL)
        return false;
    list_for (it, &g->members) {
        const struct group_member *m = group_member_of(it);
        if (!group_out_str(&j->op, m->id, &v[n].member_id) ||
            !group_out_str(&j->op, m->instance_id, &v[n].instance_id) ||
            !group_out_str(&j->op, group_member_metadata(m, g->protocol), &v[n].metadata))
            return false;
        n++;
    }
    j->members = v;
    j->members_n = n;
    return true;
}

enum err group_join_fill(struct group_member *m, struct group_join_op *j,
                         struct group_member *leader, bool members)
{
    const struct group *g = m->group;
    j->generation = g->generation;
    j->skip_assignment = false;
    j->members = NULL;
    j->members_n = 0;
    bool ok = group_out_str(&j->op, g->protocol_type, &j->protocol_type_out) &&
              group_out_str(&j->op, g->protocol, &j->protocol_out) &&
              group_out_str(&j->op, leader->id, &j->leader) &&
              group_out_str(&j->op, m->id, &j->member_id_out) && (!members || fill_members(g, j));
    return ok ? ERR_OK : ERR_MEMORY;
}

static void answer(struct groups *groups, struct group_join_op *j, enum err err)
{
    group_answer(groups, &j->op, err);
}

/* The present generation once more. */
static void answer_again(struct group_member *m, struct group_join_op *j, bool members)
{
    enum err err = group_join_fill(m, j, m->group->leader, members);
    answer(m->group->groups, j, err);
}

/* ---- ids and names -----------------------------------------------------------------------------
 */

static void uuid_hex(const uint8_t *b, char *out)
{
    snprintf(out, UUID_HEX_BYTES + 1,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
             b[15]);
}

/* Cut at a character's beginning. */
static size_t prefix_len(struct str s)
{
    if (s.len <= ID_PREFIX_MAX)
        return s.len;
    size_t n = ID_PREFIX_MAX;
    while (n > 0 && ((uint8_t)s.at[n] & 0xc0) == 0x80)
        n--;
    return n;
}

/* "<client id>-<uuid>", for static members "<instance id>-<uuid>". */
static struct str make_id(struct groups *groups, const struct group_join_op *j, char *out)
{
    struct str prefix = j->instance_id.at != NULL ? j->instance_id : j->actor->client_id;
    size_t n = prefix_len(prefix);
    uint8_t random[16];
    env_random(groups->env, random, sizeof(random));
    random[6] = (uint8_t)((random[6] & 0x0f) | 0x40);
    random[8] = (uint8_t)((random[8] & 0x3f) | 0x80);
    if (n != 0)
        memcpy(out, prefix.at, n);
    out[n++] = '-';
    uuid_hex(random, out + n);
    return (struct str){out, n + UUID_HEX_BYTES};
}

/* Kafka shows a client's host as Java prints an address: "/127.0.0.1". */
static struct str host_of(const struct actor *actor, char out[HOST_MAX])
{
    const char *a = actor->address != NULL ? actor->address : "";
    const char *colon = strrchr(a, ':');
    size_t n = colon != NULL ? (size_t)(colon - a) : strlen(a);
    if (n >= 2 && a[0] == '[' && a[n - 1] == ']') {
        a++;
        n -= 2;
    }
    snprintf(out, HOST_MAX, "/%.*s", (int)n, a);
    return str_of(out);
}

/* ---- new members -------------------------------------------------------------------------------
 */

static void member_take(struct group_member *m, struct group_join_op *j)
{
    m->session_ms = j->session_timeout_ms;
    m->rebalance_ms =
        j->rebalance_timeout_ms >= 0 ? j->rebalance_timeout_ms : j->session_timeout_ms;
}

/* Of a member that is in the log with what it said before. */
static enum err take_protocols(struct group_member *m, const struct group_join_op *j)
{
    bool kept = m->group->kept.buf != NULL;
    group_keep(m->group);
    enum err err = group_member_protocols(m, j->protocols, j->protocols_n);
    if (err != ERR_OK && !kept)
        group_keep_drop(m->group);
    return err;
}

/* What a new member will take, about. */
static size_t join_bytes(const struct group_join_op *j)
{
    size_t bytes = sizeof(struct group_member) + 2 * MEMBER_ID_MAX + j->instance_id.len;
    for (size_t i = 0; i < j->protocols_n; i++)
        bytes += sizeof(*j->protocols) + j->protocols[i].name.len + j->protocols[i].metadata.len;
    return bytes;
}

static void add_member(struct group *g, struct group_join_op *j, struct str id)
{
    char host[HOST_MAX];
    if (g->members_n == 0) {
        group_str_drop(&g->protocol_type);
        g->protocol_type = group_str_keep(j->protocol_type);
    }
    struct group_member *m =
        group_member_add(g, id, j->instance_id, j->actor->client_id, host_of(j->actor, host));
    member_take(m, j);
    m->is_new = true;
    enum err err = group_member_protocols(m, j->protocols, j->protocols_n);
    if (err != ERR_OK) {
        group_member_remove(m);
        answer(g->groups, j, err);
        return;
    }
    g->newcomers = g->state == GROUP_PREPARING && g->initial;
    group_member_wait_join(m, j);
    group_member_alive(m);
    group_rebalance(g, "a member joined");
}

static void join_dynamic(struct group *g, struct group_join_op *j, struct str id)
{
    if (!j->member_id_required) {
        add_member(g, j, id);
        return;
    }
    group_pending_add(g, id, j->session_timeout_ms);
    enum err err =
        group_out_str(&j->op, id, &j->member_id_out) ? ERR_MEMBER_ID_REQUIRED : ERR_MEMORY;
    answer(g->groups, j, err);
}

/* ---- a static member comes back (KIP-345) -------------------------------------------------------
 */

/* Versions below 9 cannot tell a leader to leave the assignment as it is: it is told another's id
 * as the leader's (its own former one), so that it takes itself for a follower (KIP-814). */
static void replaced_answer(struct group_member *m, struct group_join_op *j,
                            const struct group_write *w)
{
    struct group *g = m->group;
    bool leads = m == g->leader;
    m->join = NULL;
    g->joins_n--;
    enum err err = group_join_fill(m, j, g->leader, leads && j->can_skip_assignment);
    if (err == ERR_OK && leads && j->can_skip_assignment)
        j->skip_assignment = true;
    else if (err == ERR_OK && leads && !group_out_str(&j->op, w->old_member_id, &j->leader))
        err = ERR_MEMORY;
    group_member_alive(m);
    answer(g->groups, j, err);
}

/* Unless a rebalance has begun meanwhile: then the join waits for that as any other. */
static void replaced_stored(struct group_write *w, enum err err)
{
    struct group *g = w->group;
    struct group_member *m = group_member_find(g, w->member_id);
    if (m == NULL || m->join == NULL || &m->join->op != w->op || g->state != GROUP_STABLE ||
        g->generation != w->generation)
        return;
    if (err == ERR_OK) {
        replaced_answer(m, m->join, w);
        return;
    }
    group_member_answer_join(m, group_write_error(err));
    group_member_rename(m, w->old_member_id);
}

static void replaced_write(struct group_member *m, struct group_join_op *j, struct str old_id)
{
    struct group_write *w = group_write_make(m->group, replaced_stored);
    w->op = &j->op;
    w->member_id = group_str_keep(m->id);
    w->old_member_id = group_str_keep(old_id);
    group_write_group(w);
    group_write_submit(w);
}

/* Does the group have to be assigned anew, now that the member says this? By Kafka's rule when the
 * choice of the protocol changes; and when a consumer subscribes to other topics, since it would
 * not get them (nor be rid of the old ones) until some later rebalance. */
static bool replaced_differs(const struct group_member *m, bool same_topics)
{
    const struct group *g = m->group;
    return !str_eq(group_vote(g), g->protocol) ||
           (str_is(g->protocol_type, CONSUMER_PROTOCOL_TYPE) && !same_topics);
}

static bool same_topics(const struct group_member *m, const struct group_join_op *j)
{
    const struct group *g = m->group;
    for (size_t i = 0; g->protocol.at != NULL && i < j->protocols_n; i++) {
        if (str_eq(j->protocols[i].name, g->protocol))
            return consumer_subscriptions_equal(group_member_metadata(m, g->protocol),
                                                j->protocols[i].metadata);
    }
    return true;
}

static void replace(struct group_member *m, struct group_join_op *j, struct str id)
{
    struct group *g = m->group;
    bool same = same_topics(m, j);
    enum err err = take_protocols(m, j);
    if (err != ERR_OK) {
        answer(g->groups, j, err);
        return;
    }
    struct str old_id = group_str_keep(m->id);
    group_member_answer_join(m, ERR_INSTANCE_FENCED);
    group_member_answer_sync(m, ERR_INSTANCE_FENCED);
    group_member_rename(m, id);
    member_take(m, j);
    group_member_wait_join(m, j);
    group_member_alive(m);
    if (g->state == GROUP_STABLE && !replaced_differs(m, same)) {
        group_keep_drop(g);
        replaced_write(m, j, old_id);
    } else {
        group_rebalance(g, "a static member came back");
    }
    group_str_drop(&old_id);
}

static void join_new(struct group *g, struct group_join_op *j)
{
    char text[MEMBER_ID_MAX];
    struct str id = make_id(g->groups, j, text);
    struct group_member *m =
        j->instance_id.at != NULL ? group_member_static(g, j->instance_id) : NULL;
    if (m != NULL)
        replace(m, j, id);
    else if (j->instance_id.at != NULL)
        add_member(g, j, id);
    else
        join_dynamic(g, j, id);
}

/* ---- members that are known --------------------------------------------------------------------
 */

static void join_again(struct group_member *m, struct group_join_op *j, const char *why)
{
    struct group *g = m->group;
    enum err err = take_protocols(m, j);
    if (err != ERR_OK) {
        answer(g->groups, j, err);
        return;
    }
    member_take(m, j);
    group_member_wait_join(m, j);
    group_member_alive(m);
    group_rebalance(g, why);
}

/* A leader that joins forces a rebalance, so that it can act on what only it has seen (a topic's
 * new partitions); a follower only if it has something new to say. */
static void join_member(struct group_member *m, struct group_join_op *j)
{
    struct group *g = m->group;
    bool matches = group_member_matches(m, j->protocols, j->protocols_n);
    group_member_alive(m);
    if (g->state == GROUP_PREPARING)
        join_again(m, j, "");
    else if (g->state == GROUP_COMPLETING && matches)
        answer_again(m, j, m == g->leader);
    else if (g->state == GROUP_STABLE && m != g->leader && matches)
        answer_again(m, j, false);
    else
        join_again(m, j, matches ? "the leader joined again" : "a member's metadata changed");
}

static void join_existing(struct group *g, struct group_join_op *j)
{
    struct group_pending *p = group_pending_find(g, j->member_id);
    if (p != NULL) {
        group_pending_remove(p);
        add_member(g, j, j->member_id);
        return;
    }
    struct group_member *m;
    enum err err = group_member_check(g, j->member_id, j->instance_id, &m);
    if (err != ERR_OK)
        answer(g->groups, j, err);
    else
        join_member(m, j);
}

/* ---- request -----------------------------------------------------------------------------------
 */

static enum err check_request(const struct group_join_op *j)
{
    if (j->group.len == 0 || j->group.len > GROUP_NAME_MAX)
        return ERR_GROUP_INVALID;
    if (j->session_timeout_ms < GROUP_SESSION_MIN_MS ||
        j->session_timeout_ms > GROUP_SESSION_MAX_MS)
        return ERR_SESSION_TIMEOUT;
    if (j->protocols_n > GROUP_PROTOCOLS_MAX || j->protocol_type.len > GROUP_NAME_MAX ||
        j->instance_id.len > GROUP_NAME_MAX)
        return ERR_REQUEST_INVALID;
    for (size_t i = 0; i < j->protocols_n; i++) {
        if (j->protocols[i].name.len > GROUP_NAME_MAX)
            return ERR_REQUEST_INVALID;
    }
    return ERR_OK;
}

static bool is_here(const struct group *g, struct str id)
{
    return id.len != 0 && (group_member_find(g, id) != NULL || group_pending_find(g, id) != NULL);
}

static enum err check_group(struct group *g, const struct group_join_op *j)
{
    bool here = is_here(g, j->member_id) ||
                (j->instance_id.at != NULL && group_member_static(g, j->instance_id) != NULL);
    if (!here && g->members_n + g->pending_n >= GROUP_MEMBERS_MAX)
        return ERR_GROUP_FULL;
    if (!group_supports(g, j->protocol_type, j->protocols, j->protocols_n))
        return ERR_GROUP_PROTOCOL;
    if (!group_has_room(g, join_bytes(j)))
        return ERR_COORDINATOR_UNAVAILABLE;
    return ERR_OK;
}

static void join_run(struct groups *groups, struct op *op)
{
    struct group_join_op *j = join_of(op);
    struct group *g = groups_find(groups, j->group);
    enum err err = check_request(j);
    j->member_id_out = j->member_id;
    j->generation = -1;
    if (groups->draining)
        err = ERR_COORDINATOR_UNAVAILABLE;
    if (err == ERR_OK && g == NULL && j->member_id.len != 0)
        err = ERR_MEMBER_UNKNOWN;
    if (err == ERR_OK && g == NULL)
        g = groups_add(groups, j->group);
    if (err == ERR_OK)
        err = check_group(g, j);
    if (g != NULL)
        group_doubt(g);
    if (err != ERR_OK)
        answer(groups, j, err);
    else if (j->member_id.len == 0)
        join_new(g, j);
    else
        join_existing(g, j);
}

void broker_group_join(struct broker *b, struct group_join_op *op)
{
    if (access_refuses(b, &op->op, op->actor, ACCESS_GROUP, op->group, ACCESS_RECEIVER))
        return;
    group_submit(b, op->group, &op->op, join_run);
}
