/* The service: calls, groups by name, loading.
 *
 * A call: group_submit -> (the group's reactor) call_run -> the verb's run -> group_answer -> done.
 * While one call runs, others that arrive (from inside of a done) queue in the inbox.
 *
 * Load: one state log a shard is replayed into groups; then those that have members are STABLE and
 * every session starts anew, as after a coordinator change in Kafka: members that are still there
 * go on with their heartbeats, the others time out. A group that was in the middle of a rebalance
 * comes back as it was before it, and its members find out by the errors on their next requests.
 */
#include "broker/group_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

#define OUT_BYTES_MAX ((size_t)256 << 20) /* of one answer */

_Static_assert(offsetof(struct group_join_op, call) == offsetof(struct group_op, call) &&
                   offsetof(struct group_sync_op, call) == offsetof(struct group_op, call) &&
                   offsetof(struct group_heartbeat_op, call) == offsetof(struct group_op, call) &&
                   offsetof(struct group_leave_op, call) == offsetof(struct group_op, call) &&
                   offsetof(struct group_commit_op, call) == offsetof(struct group_op, call) &&
                   offsetof(struct group_fetch_op, call) == offsetof(struct group_op, call) &&
                   offsetof(struct group_describe_op, call) == offsetof(struct group_op, call) &&
                   offsetof(struct group_delete_op, call) == offsetof(struct group_op, call),
               "each op of a group begins with op and call");

static const char *const state_text[] = {
#define S(name, text, from) [GROUP_##name] = text,
    GROUP_STATES(S)
#undef S
};

const char *group_state_text(enum group_state state)
{
    return state_text[state];
}

/* ---- calls -------------------------------------------------------------------------------------
 */

static struct group_call *call_of(struct op *op)
{
    return &container_of(op, struct group_op, op)->call;
}

/* The output memory outlives the op's own: told may reuse that. */
static void call_done(struct op *op)
{
    struct arena out = call_of(op)->out;
    call_of(op)->told(op);
    arena_free(&out);
}

void groups_begin(struct groups *groups)
{
    groups->depth++;
}

static void doubtful_free(struct groups *groups);

void groups_end(struct groups *groups)
{
    weir_assert(groups->depth > 0);
    while (groups->depth == 1 && !list_empty(&groups->inbox)) {
        struct group_call *call = container_of(list_pop(&groups->inbox), struct group_call, link);
        call->run(groups, &container_of(call, struct group_op, call)->op);
    }
    if (groups->depth == 1)
        doubtful_free(groups);
    groups->depth--;
}

static void call_run(struct broker *b, struct op *op)
{
    struct groups *groups = b->groups;
    if (groups == NULL || !groups->loaded) {
        op_finish(b, op, ERR_COORDINATOR_LOADING);
        return;
    }
    groups_begin(groups);
    list_push(&groups->inbox, &call_of(op)->link);
    groups_end(groups);
}

void group_submit(struct broker *b, struct str group, struct op *op, group_run_fn *run)
{
    struct group_call *call = call_of(op);
    weir_assert(op->done != NULL);
    call->run = run;
    call->told = op->done;
    arena_init(&call->out, OUT_BYTES_MAX);
    op->done = call_done;
    op->run = call_run;
    op_submit(b, broker_shard_of_group(group), op);
}

void group_answer(struct groups *groups, struct op *op, enum err err)
{
    op_finish(groups->broker, op, err);
}

bool group_out_str(struct op *op, struct str s, struct str *out)
{
    *out = (struct str){NULL, 0};
    if (s.at == NULL)
        return true;
    char *p = arena_alloc(&call_of(op)->out, s.len);
    if (p == NULL)
        return false;
    memcpy(p, s.at, s.len);
    *out = (struct str){p, s.len};
    return true;
}

struct group_text group_text(struct str s)
{
    struct group_text out;
    size_t n = 0;
    out.s[n++] = '"';
    for (size_t i = 0; i < s.len && n < sizeof(out.s) - 2; i++) {
        char c = s.at[i];
        out.s[n++] = c == '"' || c == '\\' || (unsigned char)c < 0x20 || c == 0x7f ? '?' : c;
    }
    out.s[n++] = '"';
    out.s[n] = '\0';
    return out;
}

struct str group_str_keep(struct str s)
{
    if (s.at == NULL)
        return s;
    return (struct str){mem_strndup(s.at, s.len), s.len};
}

void group_str_drop(struct str *s)
{
    mem_free((void *)s->at);
    *s = (struct str){NULL, 0};
}

/* ---- groups by name ----------------------------------------------------------------------------
 */

static bool name_eq(const struct map_node *node, const void *key)
{
    const struct str *name = key;
    return str_eq(container_of_const(node, struct group, by_name)->name, *name);
}

struct group *groups_find(const struct groups *groups, struct str name)
{
    uint64_t hash = hash_bytes(name.at, name.len);
    struct map_node *n = map_find(&groups->by_name, hash, name_eq, &name);
    return n != NULL ? container_of(n, struct group, by_name) : NULL;
}

struct group *groups_next(const struct groups *groups, const struct group *g)
{
    struct map_node *n = map_next(&groups->by_name, g != NULL ? &g->by_name : NULL);
    return n != NULL ? container_of(n, struct group, by_name) : NULL;
}

struct group *groups_add(struct groups *groups, struct str name)
{
    struct group *g = mem_zalloc(1, sizeof(*g));
    g->groups = groups;
    g->log = groups->shards[broker_shard_of_group(name)].log;
    g->name = group_str_keep(name);
    g->state_ms = -1;
    g->rebalance.fire = group_rebalance_fire;
    g->growth.fire = group_growth_fire;
    list_init(&g->doubt);
    list_init(&g->members);
    list_init(&g->pending);
    list_init(&g->writes);
    map_init(&g->members_by_id);
    map_init(&g->members_by_instance);
    map_init(&g->protocols);
    offsets_init(&g->offsets);
    map_insert(&groups->by_name, &g->by_name, hash_bytes(name.at, name.len));
    groups->bytes += sizeof(*g) + name.len;
    return g;
}

static void group_free(struct group *g)
{
    struct groups *groups = g->groups;
    env_timer_stop(groups->env, &g->rebalance);
    group_growth_clear(g);
    while (!list_empty(&g->members))
        group_member_remove(group_member_of(g->members.next));
    while (!list_empty(&g->pending))
        group_pending_remove(container_of(g->pending.next, struct group_pending, link));
    while (!list_empty(&g->writes)) {
        struct group_write *w = container_of(g->writes.next, struct group_write, link);
        group_write_free(w);
    }
    group_charge(g, 0, g->offsets.bytes);
    offsets_free(&g->offsets);
    slice_unref(g->kept);
    map_free(&g->members_by_id);
    map_free(&g->members_by_instance);
    map_free(&g->protocols);
    map_remove(&groups->by_name, &g->by_name);
    list_remove(&g->doubt);
    groups->bytes -= sizeof(*g) + g->name.len;
    group_str_drop(&g->protocol_type);
    group_str_drop(&g->protocol);
    group_str_drop(&g->name);
    mem_free(g);
}

static bool group_blank(const struct group *g)
{
    return g->state == GROUP_EMPTY && !g->stored && g->pending_n == 0 && g->offsets.count == 0 &&
           list_empty(&g->writes) && g->entity.pending == 0 && !g->entity.held;
}

void group_doubt(struct group *g)
{
    if (!list_linked(&g->doubt))
        list_push(&g->groups->doubtful, &g->doubt);
}

static void doubtful_free(struct groups *groups)
{
    struct list *it;
    while ((it = list_pop(&groups->doubtful)) != NULL) {
        struct group *g = container_of(it, struct group, doubt);
        if (!group_blank(g))
            continue;
        if (g->log != NULL)
            statelog_forget(g->log, &g->entity);
        group_free(g);
    }
}

bool group_has_room(struct group *g, size_t bytes)
{
    struct groups *groups = g->groups;
    if (g->bytes + g->offsets.bytes + bytes > GROUP_BYTES_MAX)
        return false;
    if (groups->bytes + bytes <= GROUPS_BYTES_MAX)
        return true;
    if (!groups->full_told)
        env_log(groups->env, ENV_WARN, "groups.full", "bytes=%zu limit=%zu", groups->bytes,
                GROUPS_BYTES_MAX);
    groups->full_told = true;
    return false;
}

void group_charge(struct group *g, size_t more, size_t less)
{
    g->groups->bytes = g->groups->bytes + more - less;
}

/* ---- load --------------------------------------------------------------------------------------
 */

static void group_load_end(struct group *g)
{
    if (list_empty(&g->members)) {
        group_doubt(g);
        return;
    }
    g->state = GROUP_STABLE;
    list_for (it, &g->members)
        group_member_alive(group_member_of(it));
}

static void groups_load_end(struct groups *groups)
{
    groups_begin(groups);
    for (struct group *g = groups_next(groups, NULL); g != NULL; g = groups_next(groups, g)) {
        g->log = groups->shards[broker_shard_of_group(g->name)].log;
        group_load_end(g);
    }
    groups->loaded = groups->load_err == ERR_OK;
    if (groups->loaded) {
        broker_topic_watch(groups->broker, &groups->watcher);
        groups_expiry_start(groups);
        groups_topics_gone(groups);
    }
    groups_end(groups);
    groups->loaded_fn(groups->loaded_arg, groups->load_err);
}

static void load_less(struct groups *groups, enum err err)
{
    if (groups->load_err == ERR_OK)
        groups->load_err = err;
    if (--groups->loading == 0)
        groups_load_end(groups);
}

static void shard_loaded(void *user, struct statelog *log, enum err err)
{
    (void)log;
    struct groups_shard *shard = user;
    load_less(shard->groups, err);
}

static void topic_changed(struct topic_watcher *w, struct broker *b, const struct topic *old,
                          const struct topic *now)
{
    (void)b;
    struct groups *groups = container_of(w, struct groups, watcher);
    if (old != NULL && now == NULL)
        groups_topics_gone(groups);
    if (old == NULL || now == NULL || now->partitions <= old->partitions)
        return;
    for (struct group *g = groups_next(groups, NULL); g != NULL; g = groups_next(groups, g))
        group_growth_mark(g, old, now);
}

struct groups *groups_make(struct broker *b, struct env *env, struct store *store,
                           void (*loaded)(void *arg, enum err err), void *arg)
{
    struct groups *groups = mem_zalloc(1, sizeof(*groups));
    *groups = (struct groups){.broker = b,
                              .env = env,
                              .store = store,
                              .watcher.changed = topic_changed,
                              .loading = 1,
                              .loaded_fn = loaded,
                              .loaded_arg = arg};
    map_init(&groups->by_name);
    list_init(&groups->inbox);
    list_init(&groups->doubtful);
    list_init(&groups->watcher.link);
    for (unsigned i = 0; i < BROKER_SHARDS; i++) {
        if (broker_reactor_of_shard(b, i) != env->reactor)
            continue;
        struct groups_shard *shard = &groups->shards[i];
        shard->groups = groups;
        groups->loading++;
        struct statelog_conf conf = {.store = store,
                                     .env = env,
                                     .broker = b,
                                     .topic = topic_state_id(TOPIC_STATE_OFFSETS),
                                     .partition = i,
                                     .ops = &group_log_ops,
                                     .user = shard,
                                     .loaded = shard_loaded};
        statelog_open(&conf, &shard->log);
    }
    load_less(groups, ERR_OK);
    return groups;
}

/* The logs go first: they list the groups. */
void groups_free(struct groups *groups)
{
    if (groups == NULL)
        return;
    groups_expiry_stop(groups);
    list_remove(&groups->watcher.link);
    for (unsigned i = 0; i < BROKER_SHARDS; i++)
        statelog_free(groups->shards[i].log);
    struct group *g;
    while ((g = groups_next(groups, NULL)) != NULL)
        group_free(g);
    weir_assert(groups->bytes == 0);
    map_free(&groups->by_name);
    mem_free(groups);
}

static void group_drain(struct group *g)
{
    list_for (it, &g->members) {
        group_member_answer_join(group_member_of(it), ERR_COORDINATOR_UNAVAILABLE);
        group_member_answer_sync(group_member_of(it), ERR_COORDINATOR_UNAVAILABLE);
    }
}

void groups_drain(struct groups *groups)
{
    if (groups == NULL)
        return;
    groups->draining = true;
    groups_begin(groups);
    for (struct group *g = groups_next(groups, NULL); g != NULL; g = groups_next(groups, g))
        group_drain(g);
    groups_end(groups);
}
