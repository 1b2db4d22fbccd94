#include "group_steps.h"

#include "../check.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 24
#define OUT_MAX 16384
#define ITEMS_MAX 16
#define METADATA_BYTES 512

struct client {
    char id[512];
    char instance[64];
    int32_t generation;
};

/* One call under way. */
struct call {
    struct list link;
    struct steps *steps;
    char member;
    char line[STEP_LINE_MAX]; /* the words of the step, which the op borrows */
    char *words[WORDS_MAX];
    size_t n;
    char bytes[ITEMS_MAX][METADATA_BYTES];
    union {
        struct group_join_op join;
        struct group_sync_op sync;
        struct group_heartbeat_op beat;
        struct group_leave_op leave;
        struct group_commit_op commit;
        struct group_fetch_op fetch;
        struct group_describe_op describe;
        struct group_list_op list;
        struct group_delete_op del;
        struct {
            struct op op;
            struct group_call call;
        } any;
    } op;
    struct group_protocol protocols[ITEMS_MAX];
    struct group_assignment assignments[ITEMS_MAX];
    struct group_leaver leavers[ITEMS_MAX];
    struct group_offset offsets[ITEMS_MAX];
};

struct steps {
    struct rig *rig;
    unsigned from;
    struct client clients[128];
    struct list calls;
    char out[OUT_MAX];
    size_t out_n;
    bool losing;
};

static const struct actor actor = {
    .principal = "User:ANONYMOUS", .client_id = {"client", 6}, .address = "127.0.0.1:4711"};

/* ---- what is said ---- */

__attribute__((format(printf, 2, 3))) static void say(struct steps *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(s->out + s->out_n, OUT_MAX - s->out_n, fmt, ap);
    va_end(ap);
    assert_true(n >= 0 && s->out_n + (size_t)n < OUT_MAX);
    s->out_n += (size_t)n;
}

static void say_next(struct steps *s)
{
    if (s->out_n != 0)
        say(s, "; ");
}

static void say_str(struct steps *s, struct str text)
{
    say(s, "%.*s", (int)text.len, text.at != NULL ? text.at : "");
}

/* Between these an id stands for its member: one that joins now is known by it only later. */
#define ID_BEGIN '\x01'
#define ID_END '\x02'

static void say_member(struct steps *s, struct str id)
{
    say(s, "%c%.*s%c", ID_BEGIN, (int)id.len, id.at, ID_END);
}

static char member_of(const struct steps *s, struct str id)
{
    for (char c = 'a'; c <= 'z'; c++) {
        if (id.len != 0 && str_is(id, s->clients[(int)c].id))
            return c;
    }
    return '?';
}

static void resolve_members(struct steps *s)
{
    char *to = s->out;
    for (const char *at = s->out; *at != '\0'; at++) {
        const char *end = strchr(at, ID_END);
        if (*at != ID_BEGIN || end == NULL) {
            *to++ = *at;
            continue;
        }
        *to++ = member_of(s, (struct str){at + 1, (size_t)(end - at - 1)});
        at = end;
    }
    *to = '\0';
}

/* ---- words ---- */

static struct broker *broker(struct steps *s)
{
    return s->rig->brokers[s->from];
}

/* The value of KEY=VALUE; NULL: not given. */
static char *option(struct call *c, const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 1; i < c->n; i++) {
        if (strncmp(c->words[i], key, len) == 0 && c->words[i][len] == '=')
            return c->words[i] + len + 1;
    }
    return NULL;
}

static bool flag(struct call *c, const char *word)
{
    for (size_t i = 1; i < c->n; i++) {
        if (strcmp(c->words[i], word) == 0)
            return true;
    }
    return false;
}

static int32_t number(struct call *c, const char *key, int32_t otherwise)
{
    const char *v = option(c, key);
    return v != NULL ? (int32_t)strtol(v, NULL, 10) : otherwise;
}

static struct str text(struct call *c, const char *key, const char *otherwise)
{
    const char *v = option(c, key);
    if (v == NULL)
        v = otherwise;
    return v != NULL ? str_of(v) : (struct str){NULL, 0};
}

static struct call *call_make(struct steps *s, const char *what)
{
    struct call *c = mem_zalloc(1, sizeof(*c));
    c->steps = s;
    assert_true(strlen(what) < sizeof(c->line));
    snprintf(c->line, sizeof(c->line), "%s", what);
    char *save;
    for (char *w = strtok_r(c->line, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
        assert_true(c->n < WORDS_MAX);
        c->words[c->n++] = w;
    }
    c->member = c->n > 1 ? c->words[1][0] : '-';
    list_push(&s->calls, &c->link);
    return c;
}

static void call_free(struct call *c)
{
    list_remove(&c->link);
    mem_free(c);
}

static struct call *call_of(struct op *op)
{
    return container_of(op, struct call, op.any.op);
}

static struct client *client_of(struct call *c)
{
    return &c->steps->clients[(int)c->member];
}

static struct str id_of(struct call *c)
{
    return text(c, "id", c->member == '-' ? "" : client_of(c)->id);
}

static struct str instance_of(struct call *c)
{
    const char *own = client_of(c)->instance;
    return text(c, "instance", own[0] != '\0' ? own : NULL);
}

/* "t,u" as a ConsumerProtocolSubscription, "t:0,t:1" as an assignment. */
static struct str consumer_bytes(char *out, const char *topics, bool partitions)
{
    struct wr w;
    wr_init(&w, 64);
    wr_i16(&w, 1);
    wr_i32(&w, 0);
    int32_t n = 0;
    for (const char *at = topics; *at != '\0'; n++) {
        size_t item = strcspn(at, ","), name = partitions ? strcspn(at, ":") : item;
        wr_i16(&w, (int16_t)name);
        wr_bytes(&w, at, name);
        if (partitions) {
            wr_i32(&w, 1);
            wr_i32(&w, (int32_t)strtol(at + name + 1, NULL, 10));
        }
        at += item + (at[item] == ',');
    }
    wr_patch_i32(&w, 2, n);
    wr_i32(&w, -1); /* user data */
    assert_true(w.len <= METADATA_BYTES);
    memcpy(out, w.buf->data, w.len);
    struct str bytes = {out, w.len};
    wr_free(&w);
    return bytes;
}

/* ---- join ---- */

static void joined(struct op *op)
{
    struct call *c = call_of(op);
    struct steps *s = c->steps;
    struct group_join_op *j = &c->op.join;
    struct client *m = client_of(c);
    say_next(s);
    if (op->err == ERR_OK || op->err == ERR_MEMBER_ID_REQUIRED)
        assert_true(str_copy(m->id, sizeof(m->id), j->member_id_out));
    if (op->err != ERR_OK) {
        say(s, "%c join %s", c->member, err_name(op->err));
        call_free(c);
        return;
    }
    m->generation = j->generation;
    say(s, "%c joined %d ", c->member, j->generation);
    say_str(s, j->protocol_out);
    if (j->members_n == 0) {
        say(s, " under ");
        say_member(s, j->leader);
    }
    for (size_t i = 0; i < j->members_n; i++) {
        say(s, "%s", i == 0 ? " leading " : ",");
        say_member(s, j->members[i].member_id);
    }
    assert_true(j->members_n == 0 || str_eq(j->leader, j->member_id_out));
    if (j->skip_assignment)
        say(s, " skip");
    call_free(c);
}

static void take_protocols(struct call *c)
{
    struct group_join_op *j = &c->op.join;
    const char *names = option(c, "protocols"), *topics = option(c, "topics");
    struct str metadata = text(c, "meta", "");
    if (topics != NULL)
        metadata = consumer_bytes(c->bytes[0], topics, false);
    j->protocols = c->protocols;
    if (names == NULL)
        names = "range";
    while (*names != '\0') {
        size_t len = strcspn(names, ",");
        assert_true(j->protocols_n < ITEMS_MAX);
        c->protocols[j->protocols_n++] = (struct group_protocol){{names, len}, metadata};
        names += len + (names[len] == ',');
    }
}

static void do_join(struct steps *s, struct call *c)
{
    if (option(c, "instance") != NULL)
        snprintf(client_of(c)->instance, sizeof(client_of(c)->instance), "%s",
                 option(c, "instance"));
    c->op.join = (struct group_join_op){.op.done = joined,
                                        .actor = &actor,
                                        .group = text(c, "g", "g"),
                                        .member_id = id_of(c),
                                        .instance_id = instance_of(c),
                                        .protocol_type = text(c, "type", "consumer"),
                                        .session_timeout_ms = number(c, "session", 10000),
                                        .rebalance_timeout_ms = number(c, "rebalance", 20000),
                                        .member_id_required = flag(c, "v4") || flag(c, "v9"),
                                        .can_skip_assignment = flag(c, "v9")};
    take_protocols(c);
    broker_group_join(broker(s), &c->op.join);
}

/* ---- sync, heartbeat, leave ---- */

static void synced(struct op *op)
{
    struct call *c = call_of(op);
    say_next(c->steps);
    if (op->err != ERR_OK) {
        say(c->steps, "%c sync %s", c->member, err_name(op->err));
    } else {
        say(c->steps, "%c synced ", c->member);
        struct str a = c->op.sync.assignment;
        if (a.len != 0 && a.at[0] == '\0')
            say(c->steps, "%zu bytes", a.len);
        else
            say_str(c->steps, a);
    }
    call_free(c);
}

static void do_sync(struct steps *s, struct call *c)
{
    struct group_sync_op *op = &c->op.sync;
    *op = (struct group_sync_op){.op.done = synced,
                                 .actor = &actor,
                                 .group = text(c, "g", "g"),
                                 .member_id = id_of(c),
                                 .instance_id = instance_of(c),
                                 .protocol_type = text(c, "type", NULL),
                                 .protocol = text(c, "protocol", NULL),
                                 .generation = number(c, "gen", client_of(c)->generation),
                                 .assignments = c->assignments};
    for (size_t i = 2; i < c->n; i++) {
        char *w = c->words[i];
        if (w[1] != '=' && w[1] != '@')
            continue;
        c->assignments[op->assignments_n].member_id = str_of(s->clients[(int)w[0]].id);
        c->assignments[op->assignments_n].assignment =
            w[1] == '=' ? str_of(w + 2) : consumer_bytes(c->bytes[i], w + 2, true);
        op->assignments_n++;
    }
    broker_group_sync(broker(s), op);
}

static void beaten(struct op *op)
{
    struct call *c = call_of(op);
    say_next(c->steps);
    say(c->steps, "%c beat %s", c->member, err_name(op->err));
    call_free(c);
}

static void do_beat(struct steps *s, struct call *c)
{
    c->op.beat =
        (struct group_heartbeat_op){.op.done = beaten,
                                    .actor = &actor,
                                    .group = text(c, "g", "g"),
                                    .member_id = id_of(c),
                                    .instance_id = instance_of(c),
                                    .generation = number(c, "gen", client_of(c)->generation)};
    broker_group_heartbeat(broker(s), &c->op.beat);
}

static void left(struct op *op)
{
    struct call *c = call_of(op);
    say_next(c->steps);
    say(c->steps, "leave");
    for (size_t i = 0; i < c->op.leave.leavers_n; i++)
        say(c->steps, " %s", err_name(op->err != ERR_OK ? op->err : c->leavers[i].err));
    call_free(c);
}

static void do_leave(struct steps *s, struct call *c)
{
    struct group_leave_op *op = &c->op.leave;
    *op = (struct group_leave_op){
        .op.done = left, .actor = &actor, .group = text(c, "g", "g"), .leavers = c->leavers};
    for (size_t i = 1; i < c->n; i++) {
        struct group_leaver *l = &c->leavers[op->leavers_n];
        if (strncmp(c->words[i], "g=", 2) == 0)
            continue;
        *l = (struct group_leaver){.member_id = STR_LIT(""), .reason = STR_LIT("test")};
        if (strncmp(c->words[i], "instance=", 9) == 0)
            l->instance_id = str_of(c->words[i] + 9);
        else
            l->member_id = str_of(s->clients[(int)c->words[i][0]].id);
        op->leavers_n++;
    }
    broker_group_leave(broker(s), op);
}

/* ---- offsets ---- */

static void committed(struct op *op)
{
    struct call *c = call_of(op);
    say_next(c->steps);
    say(c->steps, "%c commit", c->member);
    if (op->err != ERR_OK)
        say(c->steps, " %s", err_name(op->err));
    for (size_t i = 0; i < c->op.commit.offsets_n && op->err == ERR_OK; i++)
        say(c->steps, " %s", err_name(c->offsets[i].err));
    call_free(c);
}

/* "t:0=5/3/text" */
static bool take_offset(char *w, struct group_offset *o, bool value)
{
    char *colon = strchr(w, ':');
    if (colon == NULL)
        return false;
    *o = (struct group_offset){.topic = {w, (size_t)(colon - w)},
                               .leader_epoch = -1,
                               .metadata = STR_LIT(""),
                               .commit_ms = -1};
    char *end;
    o->partition = (int32_t)strtol(colon + 1, &end, 10);
    if (!value)
        return true;
    assert_true(*end == '=');
    o->offset = strtoll(end + 1, &end, 10);
    if (*end != '/')
        return true;
    o->leader_epoch = (int32_t)strtol(end + 1, &end, 10);
    if (*end == '/')
        o->metadata = str_of(end + 1);
    return true;
}

static size_t take_offsets(struct call *c, bool values)
{
    size_t n = 0;
    for (size_t i = 1; i < c->n; i++) {
        assert_true(n < ITEMS_MAX);
        n += take_offset(c->words[i], &c->offsets[n], values);
    }
    return n;
}

static void do_commit(struct steps *s, struct call *c)
{
    bool outside = c->member == '-';
    c->op.commit = (struct group_commit_op){
        .op.done = committed,
        .actor = &actor,
        .group = text(c, "g", "g"),
        .member_id = id_of(c),
        .instance_id = outside ? (struct str){NULL, 0} : instance_of(c),
        .generation = number(c, "gen", outside ? -1 : client_of(c)->generation),
        .retention_ms = number(c, "retention", -1),
        .offsets = c->offsets,
        .offsets_n = take_offsets(c, true)};
    for (size_t i = 0; i < c->op.commit.offsets_n && option(c, "time") != NULL; i++)
        c->offsets[i].commit_ms = strtoll(option(c, "time"), NULL, 10);
    broker_group_commit(broker(s), &c->op.commit);
}

static int offset_order(const void *a, const void *b)
{
    const struct group_offset *x = a, *y = b;
    int order = strncmp(x->topic.at, y->topic.at,
                        x->topic.len < y->topic.len ? x->topic.len : y->topic.len);
    return order != 0 ? order : x->partition - y->partition;
}

static void fetched(struct op *op)
{
    struct call *c = call_of(op);
    struct group_fetch_op *f = &c->op.fetch;
    say_next(c->steps);
    say(c->steps, "fetched");
    if (op->err != ERR_OK)
        say(c->steps, " %s", err_name(op->err));
    if (f->all && f->offsets_n != 0)
        qsort(f->offsets, f->offsets_n, sizeof(*f->offsets), offset_order);
    for (size_t i = 0; i < f->offsets_n && op->err == ERR_OK; i++) {
        struct group_offset *o = &f->offsets[i];
        say(c->steps, " ");
        if (f->all)
            say(c->steps, "%.*s:%d=", (int)o->topic.len, o->topic.at, o->partition);
        say(c->steps, "%lld", (long long)o->offset);
        if (o->leader_epoch >= 0 || o->metadata.len != 0)
            say(c->steps, "/%d/%.*s", o->leader_epoch, (int)o->metadata.len, o->metadata.at);
    }
    call_free(c);
}

static void do_fetch(struct steps *s, struct call *c)
{
    c->op.fetch = (struct group_fetch_op){.op.done = fetched,
                                          .actor = &actor,
                                          .group = text(c, "g", "g"),
                                          .member_epoch = -1,
                                          .all = flag(c, "all"),
                                          .offsets = c->offsets,
                                          .offsets_n = take_offsets(c, false)};
    broker_group_fetch(broker(s), &c->op.fetch);
}

/* ---- administration ---- */

static void described(struct op *op)
{
    struct call *c = call_of(op);
    struct steps *s = c->steps;
    struct group_describe_op *d = &c->op.describe;
    say_next(s);
    say(s, "%s", d->state);
    if (op->err != ERR_OK)
        say(s, " %s", err_name(op->err));
    else
        say(s, " %.*s/%.*s %d", (int)d->protocol_type.len, d->protocol_type.at,
            (int)d->protocol.len, d->protocol.at, d->generation);
    for (size_t i = 0; i < d->members_n; i++) {
        const struct group_member_desc *m = &d->members[i];
        say(s, " ");
        say_member(s, m->member_id);
        if (m->instance_id.at != NULL)
            say(s, "(%.*s)", (int)m->instance_id.len, m->instance_id.at);
        assert_true(str_is(m->client_id, "client") && str_is(m->client_host, "/127.0.0.1"));
        if (m->metadata.len != 0 && m->metadata.at[0] != '\0')
            say(s, "<%.*s", (int)m->metadata.len, m->metadata.at);
        if (m->assignment.len != 0 && m->assignment.at[0] != '\0')
            say(s, ">%.*s", (int)m->assignment.len, m->assignment.at);
    }
    call_free(c);
}

static void do_describe(struct steps *s, struct call *c)
{
    c->op.describe = (struct group_describe_op){
        .op.done = described, .actor = &actor, .group = text(c, "g", "g")};
    broker_group_describe(broker(s), &c->op.describe);
}

static void listed(struct op *op)
{
    struct call *c = call_of(op);
    say_next(c->steps);
    say(c->steps, "listed");
    if (op->err != ERR_OK)
        say(c->steps, " %s", err_name(op->err));
    for (size_t i = 0; i < c->op.list.groups_n; i++) {
        const struct group_listing *g = &c->op.list.groups[i];
        say(c->steps, " %.*s:%s:%.*s", (int)g->group.len, g->group.at, g->state,
            (int)g->protocol_type.len, g->protocol_type.at);
    }
    call_free(c);
}

static void do_list(struct steps *s, struct call *c)
{
    c->op.list.op.done = listed;
    c->op.list.actor = &actor;
    broker_group_list(broker(s), &c->op.list);
}

static void deleted(struct op *op)
{
    struct call *c = call_of(op);
    say_next(c->steps);
    say(c->steps, "delete %s", err_name(op->err));
    call_free(c);
}

static void do_delete(struct steps *s, struct call *c)
{
    c->op.del =
        (struct group_delete_op){.op.done = deleted, .actor = &actor, .group = text(c, "g", "g")};
    broker_group_delete(broker(s), &c->op.del);
}

/* ---- the world ---- */

static void forget_calls(struct steps *s)
{
    while (!list_empty(&s->calls)) {
        struct call *c = container_of(s->calls.next, struct call, link);
        if (strcmp(c->words[0], "list") != 0)
            arena_free(&c->op.any.call.out);
        call_free(c);
    }
}

static void do_topic(struct steps *s, struct call *c)
{
    int32_t n = (int32_t)strtol(c->words[2], NULL, 10);
    enum err err = rig_topic(s->rig, 0, c->words[1]) == NULL ? rig_create(s->rig, 0, c->words[1], n)
                                                             : rig_grow(s->rig, 0, c->words[1], n);
    assert_int_equal(err, ERR_OK);
    call_free(c);
}

static void do_drop(struct steps *s, struct call *c)
{
    assert_int_equal(rig_delete(s->rig, 0, c->words[1]), ERR_OK);
    call_free(c);
}

static void do_wait(struct steps *s, struct call *c)
{
    for (long ms = strtol(c->words[1], NULL, 10); ms > 0; ms -= 100) {
        fake_advance(&s->rig->world, ms < 100 ? (uint64_t)ms : 100);
        if (s->losing)
            fake_deliver_all(&s->rig->world);
        else
            rig_run(s->rig);
    }
    call_free(c);
}

static void do_fail(struct steps *s, struct call *c)
{
    unsigned after = c->n > 1 ? (unsigned)strtoul(c->words[1], NULL, 10) : 0;
    fake_disk_fail(s->rig->disk, FAKE_COMMIT, 1 + after, 1, ERR_DISK_FULL);
    call_free(c);
}

/* What is on its way to the disk when the process is killed is never freed. */
static void lose_memory(struct steps *s, bool on)
{
    if (s->losing != on)
        rig_lose_memory(on);
    s->losing = on;
}

static void do_defer(struct steps *s, struct call *c)
{
    lose_memory(s, true);
    rig_defer(s->rig, true);
    call_free(c);
}

static void do_flush(struct steps *s, struct call *c)
{
    rig_defer(s->rig, false);
    for (unsigned i = 0; i < s->rig->n; i++)
        fake_store_run(s->rig->stores[i]);
    lose_memory(s, false);
    call_free(c);
}

static void do_drain(struct steps *s, struct call *c)
{
    for (unsigned i = 0; i < s->rig->n; i++)
        groups_drain(broker_groups(s->rig->brokers[i]));
    call_free(c);
}

static void do_kill(struct steps *s, struct call *c)
{
    unsigned keep = c->n > 1 ? (unsigned)strtoul(c->words[1], NULL, 10) : 0;
    rig_kill(s->rig, keep);
    forget_calls(s);
    lose_memory(s, false);
    rig_boot(s->rig);
    assert_int_equal(s->rig->load_err, ERR_OK);
}

static const struct {
    const char *word;
    void (*run)(struct steps *s, struct call *c);
    bool deferred; /* what it starts is not waited for while writes are deferred */
} verbs[] = {
    {"join", do_join, true},         {"sync", do_sync, true},     {"beat", do_beat, true},
    {"leave", do_leave, true},       {"commit", do_commit, true}, {"fetch", do_fetch, true},
    {"describe", do_describe, true}, {"list", do_list, true},     {"delete", do_delete, true},
    {"topic", do_topic, false},      {"drop", do_drop, false},    {"wait", do_wait, true},
    {"fail", do_fail, false},        {"defer", do_defer, true},   {"flush", do_flush, false},
    {"drain", do_drain, false},      {"kill", do_kill, false},    {"restart", do_kill, false},
};

const char *steps_do(struct steps *s, const char *what)
{
    struct call *c = call_make(s, what);
    s->out_n = 0;
    s->out[0] = '\0';
    size_t i = 0, n = sizeof(verbs) / sizeof(verbs[0]);
    while (i < n && strcmp(verbs[i].word, c->words[0]) != 0)
        i++;
    if (i == n)
        fail_msg("no such step: %s", what);
    bool deferred = verbs[i].deferred;
    verbs[i].run(s, c);
    if (deferred)
        fake_deliver_all(&s->rig->world);
    else
        rig_run(s->rig);
    resolve_members(s);
    return s->out;
}

void steps_run(struct steps *s, const struct step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = steps_do(s, steps[i].what);
        if (strcmp(got, steps[i].want) != 0)
            fail_msg("reactors %u, step %zu \"%s\": \"%s\" came, not \"%s\"", s->rig->n, i,
                     steps[i].what, got, steps[i].want);
    }
}

struct steps *steps_make(struct rig *r, unsigned from)
{
    struct steps *s = mem_zalloc(1, sizeof(*s));
    s->rig = r;
    s->from = from;
    list_init(&s->calls);
    for (int c = 0; c < 128; c++)
        s->clients[c].generation = -1;
    return s;
}

void steps_free(struct steps *s)
{
    lose_memory(s, false);
    forget_calls(s);
    mem_free(s);
}

void steps_check(const struct step *steps, size_t n, void (*prepare)(struct broker_conf *conf))
{
    for (unsigned reactors = 1; reactors <= 3; reactors += 2) {
        struct rig r;
        rig_prepare(&r, reactors);
        if (prepare != NULL)
            prepare(&r.conf);
        rig_boot(&r);
        assert_int_equal(r.load_err, ERR_OK);
        assert_int_equal(rig_create(&r, 0, "t", 3), ERR_OK);
        struct steps *s = steps_make(&r, reactors - 1);
        steps_run(s, steps, n);
        rig_kill(&r, 0);
        steps_free(s);
        fake_world_free(&r.world);
        fake_disk_free(r.disk);
    }
}
