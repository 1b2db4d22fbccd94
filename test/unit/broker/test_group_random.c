/* Groups under random calls, failing writes, slow writes, passing time and kill -9, against what
 * must always hold:
 *
 *     - of one generation all members are told the same leader, and only that one gets the members
 *     - the generation never goes back, over a restart not below one that members have synced in
 *     - what a sync brings was assigned by that generation's leader, to this member
 *     - a fetch finds the last commit that was acknowledged, or a later one that was under way
 *     - once everybody follows the protocol again, the group becomes stable with all of them
 *
 * Clients here are careless: they join, sync, leave and commit at any moment, several at a time. */
#include "../check.h"

#include "rig.h"

#include "base/mem.h"
#include "broker/group.h"

#include <stdio.h>
#include <string.h>

#define CLIENTS 6
#define GROUPS 2
#define MEMBERS_MAX 100
#define ID_MAX 96
#define GENERATIONS_MAX 4096
#define COMMITS_MAX 65536

struct client {
    char id[ID_MAX];
    const char *instance; /* NULL: dynamic */
    unsigned group;
    int32_t generation;
    bool leads;
    char members[MEMBERS_MAX][ID_MAX];
    size_t members_n;
    bool joining, syncing, synced, beating; /* of the well-behaved part */
    int32_t told;                           /* by the last heartbeat */
};

struct group_model {
    char leaders[GENERATIONS_MAX][ID_MAX]; /* identity, of this life of the broker */
    int32_t generation;                    /* the last told */
    int32_t synced;                        /* the last that somebody synced in */
    int64_t sent, acked;                   /* commits, as values that grow */
};

struct world {
    struct rig rig;
    struct rng rng;
    unsigned from;
    struct client clients[CLIENTS];
    struct group_model groups[GROUPS];
    bool failed[COMMITS_MAX]; /* commits that will never be seen */
    int64_t next_commit;
    struct list calls;
    bool deferred, polite;
};

struct call {
    struct list link;
    struct world *world;
    struct client *client;
    unsigned group;
    char id[ID_MAX];
    int64_t value, floor;
    union {
        struct group_join_op join;
        struct group_sync_op sync;
        struct group_heartbeat_op beat;
        struct group_leave_op leave;
        struct group_commit_op commit;
        struct group_fetch_op fetch;
        struct {
            struct op op;
            struct group_call call;
        } any;
    } op;
    struct group_protocol protocols[2];
    struct group_leaver leaver;
    struct group_offset offset;
    char texts[MEMBERS_MAX][ID_MAX * 3];
    char ids[MEMBERS_MAX][ID_MAX];
    struct group_assignment assignments[MEMBERS_MAX];
};

static const struct actor actor = {.principal = "User:ANONYMOUS", .client_id = {"c", 1}};
static const char *const group_names[GROUPS] = {"one", "two"};

static struct call *call_make(struct world *w, struct client *c)
{
    struct call *call = mem_zalloc(1, sizeof(*call));
    call->world = w;
    call->client = c;
    call->group = c->group;
    snprintf(call->id, sizeof(call->id), "%s", c->id);
    list_push(&w->calls, &call->link);
    return call;
}

static void call_free(struct call *call)
{
    list_remove(&call->link);
    mem_free(call);
}

static struct call *call_of(struct op *op)
{
    return container_of(op, struct call, op.any.op);
}

static struct str instance_of(const struct client *c)
{
    return c->instance != NULL ? str_of(c->instance) : (struct str){NULL, 0};
}

static struct broker *broker(struct world *w)
{
    return w->rig.brokers[w->from];
}

/* A static member is known by its instance id, which begins its member ids; others by their id. */
static void identity(char *out, struct str id)
{
    size_t n = id.len;
    if (n > 37 && id.at[0] == 's')
        n -= 37;
    assert_true(n < ID_MAX);
    snprintf(out, ID_MAX, "%.*s", (int)n, id.at);
}

/* ---- join ---- */

static void check_leader(struct group_model *g, int32_t generation, struct str leader)
{
    char who[ID_MAX];
    identity(who, leader);
    assert_true(generation > 0 && generation < GENERATIONS_MAX);
    if (g->leaders[generation][0] == '\0')
        snprintf(g->leaders[generation], ID_MAX, "%s", who);
    assert_string_equal(g->leaders[generation], who);
}

static void take_members(struct client *c, const struct group_join_op *j)
{
    c->leads = j->members_n != 0;
    c->members_n = 0;
    assert_true(j->members_n <= MEMBERS_MAX);
    for (size_t i = 0; i < j->members_n; i++)
        assert_true(str_copy(c->members[c->members_n++], ID_MAX, j->members[i].member_id));
}

static void joined(struct op *op)
{
    struct call *call = call_of(op);
    struct client *c = call->client;
    struct group_join_op *j = &call->op.join;
    struct group_model *g = &call->world->groups[call->group];
    c->joining = false;
    if (op->err == ERR_OK) {
        check_leader(g, j->generation, j->leader);
        assert_true(j->generation >= g->generation && j->generation >= g->synced);
        assert_int_equal(j->members_n != 0, str_eq(j->leader, j->member_id_out));
        g->generation = j->generation;
        c->generation = j->generation;
        c->synced = false;
        take_members(c, j);
    }
    if (op->err == ERR_OK || op->err == ERR_MEMBER_ID_REQUIRED)
        assert_true(str_copy(c->id, sizeof(c->id), j->member_id_out));
    if (op->err == ERR_MEMBER_UNKNOWN || op->err == ERR_INSTANCE_FENCED)
        c->id[0] = '\0';
    call_free(call);
}

static void do_join(struct world *w, struct client *c)
{
    struct call *call = call_make(w, c);
    static const char *const metadata[] = {"m0", "m1", "m2"};
    const char *said = metadata[w->polite ? 0 : rng_below(&w->rng, 3)];
    size_t n = w->polite || rng_one_in(&w->rng, 2) ? 2 : 1;
    call->protocols[0] = (struct group_protocol){STR_LIT("range"), str_of(said)};
    call->protocols[1] = (struct group_protocol){STR_LIT("sticky"), STR_LIT("x")};
    call->op.join = (struct group_join_op){.op.done = joined,
                                           .actor = &actor,
                                           .group = str_of(group_names[c->group]),
                                           .member_id = str_of(call->id),
                                           .instance_id = instance_of(c),
                                           .protocol_type = STR_LIT("consumer"),
                                           .protocols = call->protocols,
                                           .protocols_n = n,
                                           .session_timeout_ms = 10000,
                                           .rebalance_timeout_ms = 15000,
                                           .member_id_required = !rng_one_in(&w->rng, 3),
                                           .can_skip_assignment = true};
    if (!w->polite && c->instance == NULL && rng_one_in(&w->rng, 20))
        call->op.join.member_id = STR_LIT("");
    c->joining = true;
    broker_group_join(broker(w), &call->op.join);
}

/* ---- sync ---- */

/* "generation/leader/member" */
static void check_assignment(const struct call *call)
{
    const struct group_sync_op *s = &call->op.sync;
    const struct group_model *g = &call->world->groups[call->group];
    char want[ID_MAX * 3], who[ID_MAX];
    identity(who, s->member_id);
    snprintf(want, sizeof(want), "%d/%s/%s", s->generation, g->leaders[s->generation], who);
    assert_true(str_is(s->assignment, want));
}

static void synced(struct op *op)
{
    struct call *call = call_of(op);
    struct client *c = call->client;
    struct group_model *g = &call->world->groups[call->group];
    c->syncing = false;
    if (op->err == ERR_OK) {
        if (g->leaders[call->op.sync.generation][0] != '\0')
            check_assignment(call);
        if (call->op.sync.generation > g->synced)
            g->synced = call->op.sync.generation;
        c->synced = call->op.sync.generation == c->generation;
    }
    if (op->err == ERR_MEMBER_UNKNOWN || op->err == ERR_INSTANCE_FENCED)
        c->id[0] = '\0';
    if (op->err != ERR_OK)
        c->generation = -1;
    call_free(call);
}

static void do_sync(struct world *w, struct client *c)
{
    struct call *call = call_make(w, c);
    struct group_sync_op *s = &call->op.sync;
    *s = (struct group_sync_op){.op.done = synced,
                                .actor = &actor,
                                .group = str_of(group_names[c->group]),
                                .member_id = str_of(call->id),
                                .instance_id = instance_of(c),
                                .generation = c->generation,
                                .assignments = call->assignments};
    for (size_t i = 0; c->leads && i < c->members_n; i++) {
        char me[ID_MAX], who[ID_MAX];
        identity(me, str_of(call->id));
        identity(who, str_of(c->members[i]));
        snprintf(call->texts[i], sizeof(call->texts[i]), "%d/%s/%s", c->generation, me, who);
        snprintf(call->ids[i], ID_MAX, "%s", c->members[i]);
        call->assignments[i].member_id = str_of(call->ids[i]);
        call->assignments[i].assignment = str_of(call->texts[i]);
        s->assignments_n++;
    }
    c->syncing = true;
    broker_group_sync(broker(w), s);
}

/* ---- heartbeat, leave ---- */

static void beaten(struct op *op)
{
    struct call *call = call_of(op);
    struct client *c = call->client;
    c->beating = false;
    if (op->err == ERR_MEMBER_UNKNOWN || op->err == ERR_INSTANCE_FENCED)
        c->id[0] = '\0';
    if (op->err != ERR_OK)
        c->generation = -1;
    call_free(call);
}

static void do_beat(struct world *w, struct client *c)
{
    struct call *call = call_make(w, c);
    call->op.beat = (struct group_heartbeat_op){.op.done = beaten,
                                                .actor = &actor,
                                                .group = str_of(group_names[c->group]),
                                                .member_id = str_of(call->id),
                                                .instance_id = instance_of(c),
                                                .generation = c->generation};
    c->beating = true;
    broker_group_heartbeat(broker(w), &call->op.beat);
}

static void left(struct op *op)
{
    struct call *call = call_of(op);
    if (op->err == ERR_OK && call->leaver.err == ERR_OK && strcmp(call->client->id, call->id) == 0)
        call->client->id[0] = '\0';
    call_free(call);
}

static void do_leave(struct world *w, struct client *c)
{
    struct call *call = call_make(w, c);
    call->leaver =
        (struct group_leaver){.member_id = str_of(call->id), .instance_id = instance_of(c)};
    call->op.leave = (struct group_leave_op){.op.done = left,
                                             .actor = &actor,
                                             .group = str_of(group_names[c->group]),
                                             .leavers = &call->leaver,
                                             .leavers_n = 1};
    broker_group_leave(broker(w), &call->op.leave);
}

/* ---- offsets ---- */

static void committed(struct op *op)
{
    struct call *call = call_of(op);
    struct group_model *g = &call->world->groups[call->group];
    if (op->err != ERR_OK)
        call->world->failed[call->value] = true;
    else if (call->value > g->acked)
        g->acked = call->value;
    call_free(call);
}

static void do_commit(struct world *w, struct client *c)
{
    bool outside = rng_one_in(&w->rng, 8);
    struct call *call = call_make(w, c);
    call->value = ++w->next_commit;
    assert_true(call->value < COMMITS_MAX);
    w->groups[c->group].sent = call->value;
    call->offset = (struct group_offset){.topic = STR_LIT("t"),
                                         .offset = call->value,
                                         .leader_epoch = -1,
                                         .metadata = str_of(group_names[c->group]),
                                         .commit_ms = -1};
    call->op.commit =
        (struct group_commit_op){.op.done = committed,
                                 .actor = &actor,
                                 .group = str_of(group_names[c->group]),
                                 .member_id = outside ? STR_LIT("") : str_of(call->id),
                                 .instance_id = outside ? (struct str){NULL, 0} : instance_of(c),
                                 .generation = outside ? -1 : c->generation,
                                 .retention_ms = -1,
                                 .offsets = &call->offset,
                                 .offsets_n = 1};
    broker_group_commit(broker(w), &call->op.commit);
}

static void fetched(struct op *op)
{
    struct call *call = call_of(op);
    struct world *w = call->world;
    assert_int_equal(op->err, ERR_OK);
    int64_t value = call->offset.offset;
    assert_true(value >= call->floor && value <= w->groups[call->group].sent);
    assert_true(value <= 0 || !w->failed[value]);
    assert_true(value < 0 || str_is(call->offset.metadata, group_names[call->group]));
    call_free(call);
}

static void do_fetch(struct world *w, struct client *c)
{
    struct call *call = call_make(w, c);
    call->floor = w->groups[c->group].acked;
    call->offset = (struct group_offset){.topic = STR_LIT("t")};
    call->op.fetch = (struct group_fetch_op){.op.done = fetched,
                                             .actor = &actor,
                                             .group = str_of(group_names[c->group]),
                                             .offsets = &call->offset,
                                             .offsets_n = 1};
    broker_group_fetch(broker(w), &call->op.fetch);
}

/* ---- the world ---- */

static void defer(struct world *w, bool deferred)
{
    if (w->deferred != deferred)
        rig_lose_memory(deferred);
    w->deferred = deferred;
    rig_defer(&w->rig, deferred);
    if (!deferred)
        rig_run(&w->rig);
}

static void forget_calls(struct world *w)
{
    while (!list_empty(&w->calls)) {
        struct call *call = container_of(w->calls.next, struct call, link);
        if (call->value != 0)
            w->groups[call->group].sent = w->next_commit;
        arena_free(&call->op.any.call.out);
        call_free(call);
    }
}

/* Which of the commits under way are there is not known; generations that nobody synced in may come
 * again. */
static void kill_and_boot(struct world *w)
{
    rig_kill(&w->rig, (unsigned)rng_below(&w->rng, 4));
    forget_calls(w);
    if (w->deferred)
        rig_lose_memory(false);
    w->deferred = false;
    rig_boot(&w->rig);
    assert_int_equal(w->rig.load_err, ERR_OK);
    for (unsigned i = 0; i < GROUPS; i++) {
        memset(w->groups[i].leaders, 0, sizeof(w->groups[i].leaders));
        w->groups[i].generation = w->groups[i].synced;
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        w->clients[i].joining = w->clients[i].syncing = w->clients[i].beating = false;
}

static void pass(struct world *w, unsigned ms)
{
    fake_advance(&w->rig.world, ms);
    fake_deliver_all(&w->rig.world);
}

static void disturb(struct world *w)
{
    switch (rng_below(&w->rng, 40)) {
    case 0:
        kill_and_boot(w);
        break;
    case 1:
    case 2:
        if (!w->deferred)
            fake_disk_fail(w->rig.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
        break;
    case 3:
    case 4:
    case 5:
        defer(w, !w->deferred);
        break;
    case 6:
        pass(w, (unsigned)rng_below(&w->rng, 12000));
        break;
    default:
        pass(w, (unsigned)rng_below(&w->rng, 700));
    }
}

static void careless(struct world *w)
{
    struct client *c = &w->clients[rng_below(&w->rng, CLIENTS)];
    switch (rng_below(&w->rng, 16)) {
    case 0:
        disturb(w);
        break;
    case 1:
    case 2:
    case 3:
    case 4:
        do_join(w, c);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        do_sync(w, c);
        break;
    case 9:
    case 10:
        do_beat(w, c);
        break;
    case 11:
        if (rng_one_in(&w->rng, 4))
            do_leave(w, c);
        break;
    case 12:
        do_fetch(w, c);
        break;
    default:
        do_commit(w, c);
    }
    fake_deliver_all(&w->rig.world);
}

/* What a client library does. */
static void follow(struct world *w, struct client *c)
{
    if (c->joining || c->syncing || c->beating)
        return;
    if (c->id[0] == '\0' || c->generation < 0)
        do_join(w, c);
    else if (!c->synced)
        do_sync(w, c);
    else
        do_beat(w, c);
}

static bool all_stable(struct world *w)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *c = &w->clients[i];
        if (!c->synced || c->generation < 0 || c->joining || c->syncing)
            return false;
        for (unsigned k = 0; k < i; k++) {
            if (w->clients[k].group == c->group && w->clients[k].generation != c->generation)
                return false;
        }
    }
    return true;
}

/* A client library has one call under way. */
static void finish_calls(struct world *w)
{
    unsigned rounds = 0;
    for (; rounds < 400 && !list_empty(&w->calls); rounds++) {
        pass(w, 1000);
        rig_run(&w->rig);
    }
    assert_true(list_empty(&w->calls));
}

static void settle(struct world *w)
{
    unsigned rounds = 0, calm = 0;
    defer(w, false);
    fake_disk_fail(w->rig.disk, FAKE_COMMIT, 0, 0, ERR_OK);
    finish_calls(w);
    w->polite = true;
    for (; rounds < 2000 && calm < 20; rounds++) {
        for (unsigned i = 0; i < CLIENTS; i++)
            follow(w, &w->clients[i]);
        pass(w, 500);
        rig_run(&w->rig);
        calm = all_stable(w) ? calm + 1 : 0;
    }
    assert_true(rounds < 2000);
    for (unsigned i = 0; i < CLIENTS; i++)
        do_fetch(w, &w->clients[i]);
    rig_run(&w->rig);
    w->polite = false;
}

static void run(uint64_t seed, unsigned reactors)
{
    struct world *w = mem_zalloc(1, sizeof(*w));
    rng_seed(&w->rng, seed);
    list_init(&w->calls);
    rig_make(&w->rig, reactors);
    w->from = reactors - 1;
    assert_int_equal(rig_create(&w->rig, 0, "t", 1), ERR_OK);
    for (unsigned i = 0; i < CLIENTS; i++) {
        static const char *const instances[CLIENTS] = {NULL, NULL, "s-one", "s-two"};
        w->clients[i] =
            (struct client){.group = i % GROUPS, .generation = -1, .instance = instances[i]};
    }
    for (unsigned i = 0; i < GROUPS; i++)
        w->groups[i].acked = -1;
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 600; i++)
            careless(w);
        settle(w);
    }
    rig_kill(&w->rig, 0);
    forget_calls(w);
    fake_world_free(&w->rig.world);
    fake_disk_free(w->rig.disk);
    mem_free(w);
}

static void test_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++)
        run(seed, seed % 2 == 0 ? 1 : 3);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_random),
};

/* GROUP_SEED=N: that one only. */
int main(void)
{
    const char *seed = getenv("GROUP_SEED");
    if (seed != NULL) {
        uint64_t n = strtoull(seed, NULL, 10);
        run(n, n % 2 == 0 ? 1 : 3);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
