/* The process that is killed: a broker on the real disk with two reactors; a publisher for each
 * session, and receivers that take the next session and settle, release, walk away or forget. */
#include "session_note.h"

#include "base/mem.h"
#include "base/random.h"
#include "broker/broker.h"
#include "broker/subscription.h"
#include "io/clock.h"
#include "io/disk.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/thread.h"
#include "store/embedded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REACTORS 2
#define TAKE_MAX 6
#define WAIT_MS 1000

struct publisher {
    struct publish_op op;
    uint32_t session, number;
    char key[16], value[16];
};

struct receiver {
    struct acquire_op acquire;
    struct settle_op settle;
    struct settle_item item;
    struct session_op session_op;
    uint64_t owner;
    uint32_t number; /* of this receiver */
    uint32_t session;
    char name[16], state[16];
    struct note held[TAKE_MAX];
    uint32_t held_n, at;
};

static struct process {
    const struct session_life *life;
    struct rng rng;
    struct loop *loops[REACTORS];
    struct env *envs[REACTORS];
    struct store *stores[REACTORS];
    struct broker *brokers[REACTORS], *b;
    struct embedded *embedded;
    struct env_mail begin;
    struct topic_create_op create;
    struct subscription_put_op subscribe;
    struct subscription_conf conf;
    struct uuid topic, subscription;
    struct publisher publishers[SESSIONS];
    struct receiver receivers[RECEIVERS];
    struct settle_op former;
    struct settle_item former_items[HELD_MAX];
} p;

static const struct actor actor = {.principal = "User:crash", .address = "-"};

static _Noreturn void fail(const char *what, enum err err, const char *text)
{
    fprintf(stderr, "process: %s: %s %s\n", what, err_name(err), text);
    _exit(2);
}

static void tell(struct note note)
{
    bool begins = note.kind == NOTE_TAKE;
    note.at_us = begins ? env_mono_us(p.envs[0]) : clock_mono_us();
    if (write(p.life->out, &note, sizeof(note)) != sizeof(note))
        _exit(3);
}

/* ---- publishers ---- */

static void publish(struct publisher *w);

static void published(struct op *op)
{
    struct publisher *w = container_of(op, struct publisher, op.op);
    tell((struct note){
        .kind = NOTE_SENT, .session = w->session, .number = w->number, .err = op->err});
    w->number++;
    publish(w);
}

static void publish(struct publisher *w)
{
    if (w->number >= NUMBERS_MAX)
        return;
    snprintf(w->value, sizeof(w->value), "%u", w->number);
    w->op = (struct publish_op){
        .op.done = published,
        .actor = &actor,
        .topic = p.topic,
        .partition = -1,
        .record = {.key = str_of(w->key), .value = str_of(w->value), .timestamp = -1}};
    tell((struct note){.kind = NOTE_SEND, .session = w->session, .number = w->number});
    broker_publish(p.b, &w->op);
}

/* ---- receivers ---- */

static void take(struct receiver *r);
static void step(struct receiver *r);

static uint32_t number_of(struct str text)
{
    char copy[16] = "";
    if (text.len > 0 && text.len < sizeof(copy))
        memcpy(copy, text.at, text.len);
    return (uint32_t)strtoul(copy, NULL, 10);
}

static void session_call(struct receiver *r, enum session_verb verb, void (*done)(struct op *op))
{
    r->session_op = (struct session_op){.op.done = done,
                                        .actor = &actor,
                                        .subscription = p.subscription,
                                        .session = str_of(r->name),
                                        .owner = r->owner,
                                        .verb = verb};
    if (verb == SESSION_SET_STATE)
        r->session_op.state = str_of(r->state);
    broker_session(p.b, &r->session_op);
}

static void left(struct op *op)
{
    struct receiver *r = container_of(op, struct receiver, session_op.op);
    tell((struct note){
        .kind = NOTE_LEFT, .receiver = r->number, .session = r->session, .err = op->err});
    r->session = SESSION_NONE;
    take(r);
}

static void leave(struct receiver *r)
{
    tell((struct note){.kind = NOTE_LEAVE, .receiver = r->number, .session = r->session});
    session_call(r, SESSION_RELEASE, left);
}

static void settled(struct op *op)
{
    struct receiver *r = container_of(op, struct receiver, settle.op);
    struct note note = r->held[r->at];
    note.kind = NOTE_SETTLED;
    note.verb = r->item.verb;
    note.err = r->item.err;
    tell(note);
    r->at++;
    step(r);
}

static void settle(struct receiver *r, enum settle_verb verb)
{
    struct note note = r->held[r->at];
    note.kind = NOTE_SETTLE;
    note.verb = verb;
    tell(note);
    r->item = (struct settle_item){.token = note.token, .verb = verb};
    r->settle = (struct settle_op){.op.done = settled,
                                   .actor = &actor,
                                   .subscription = p.subscription,
                                   .items = &r->item,
                                   .items_n = 1};
    broker_settle(p.b, &r->settle);
}

static void was_set(struct op *op)
{
    struct receiver *r = container_of(op, struct receiver, session_op.op);
    tell((struct note){.kind = NOTE_WAS_SET,
                       .receiver = r->number,
                       .session = r->session,
                       .number = r->held[r->at].number,
                       .err = op->err});
    settle(r, SETTLE_ACCEPT);
}

static void set_state(struct receiver *r)
{
    uint32_t number = r->held[r->at].number;
    snprintf(r->state, sizeof(r->state), "%u", number);
    tell((struct note){
        .kind = NOTE_SET, .receiver = r->number, .session = r->session, .number = number});
    session_call(r, SESSION_SET_STATE, was_set);
}

/* With the next message; or it is time for others. */
static void step(struct receiver *r)
{
    uint64_t choice = p.life->draining ? 99 : rng_below(&p.rng, 100);
    if (r->at == r->held_n) {
        if (choice < 50)
            take(r); /* the next ones of this session, maybe */
        else
            leave(r);
    } else if (choice < 3) { /* forgets the session: its lock runs out */
        r->session = SESSION_NONE;
        take(r);
    } else if (choice < 8) {
        leave(r);
    } else if (choice < 20) {
        settle(r, SETTLE_RELEASE);
    } else if (choice < 50) {
        set_state(r);
    } else {
        settle(r, SETTLE_ACCEPT);
    }
}

static void got_state(struct op *op)
{
    struct receiver *r = container_of(op, struct receiver, session_op.op);
    struct slice state = r->session_op.state_out;
    if (op->err == ERR_OK)
        tell((struct note){.kind = NOTE_STATE,
                           .receiver = r->number,
                           .session = r->session,
                           .number = number_of((struct str){(const char *)state.at, state.len})});
    slice_unref(state);
    step(r);
}

static void take_message(struct receiver *r, const struct message *m)
{
    struct note note = {.kind = NOTE_MESSAGE,
                        .receiver = r->number,
                        .session = r->session,
                        .number = number_of(m->record.value),
                        .deliveries = m->deliveries,
                        .token = m->token};
    r->held[r->held_n++] = note;
    tell(note);
}

static void taken(struct op *op)
{
    struct receiver *r = container_of(op, struct receiver, acquire.op);
    struct acquire_op *a = &r->acquire;
    bool none = op->err != ERR_OK || a->session_out.at == NULL;
    if (op->err != ERR_OK && op->err != ERR_SESSION_LOCKED)
        fail("acquire", op->err, a->text.s);
    r->held_n = r->at = 0;
    r->session = none ? SESSION_NONE : number_of(a->session_out);
    snprintf(r->name, sizeof(r->name), "%u", r->session);
    tell((struct note){.kind = NOTE_TAKEN, .receiver = r->number, .session = r->session});
    for (uint32_t i = 0; i < a->n; i++) {
        take_message(r, &a->messages[i]);
        message_drop(&a->messages[i]);
    }
    acquire_free(a);
    if (none)
        take(r);
    else if (r->held_n == 0)
        leave(r);
    else
        session_call(r, SESSION_GET_STATE, got_state);
}

static void take(struct receiver *r)
{
    r->acquire = (struct acquire_op){.op.done = taken,
                                     .actor = &actor,
                                     .subscription = p.subscription,
                                     .partition = -1,
                                     .owner = r->owner,
                                     .messages_max = 1 + (uint32_t)rng_below(&p.rng, TAKE_MAX),
                                     .bytes_max = 1 << 20,
                                     .wait_ms = r->session == SESSION_NONE ? WAIT_MS : 0};
    if (r->session != SESSION_NONE)
        r->acquire.session = str_of(r->name);
    tell((struct note){.kind = NOTE_TAKE, .receiver = r->number, .session = r->session});
    broker_acquire(p.b, &r->acquire);
}

/* ---- tokens of a former process ---- */

static void former_settled(struct op *op)
{
    (void)op;
    for (uint32_t i = 0; i < p.life->held_n; i++) {
        struct note note = p.life->held[i];
        note.kind = NOTE_SETTLED;
        note.receiver = RECEIVERS;
        note.verb = SETTLE_ACCEPT;
        note.err = p.former_items[i].err;
        tell(note);
    }
}

static void settle_former(void)
{
    for (uint32_t i = 0; i < p.life->held_n; i++) {
        struct note note = p.life->held[i];
        p.former_items[i] = (struct settle_item){.token = note.token, .verb = SETTLE_ACCEPT};
        note.kind = NOTE_SETTLE;
        note.receiver = RECEIVERS;
        note.verb = SETTLE_ACCEPT;
        tell(note);
    }
    p.former = (struct settle_op){.op.done = former_settled,
                                  .actor = &actor,
                                  .subscription = p.subscription,
                                  .items = p.former_items,
                                  .items_n = p.life->held_n};
    if (p.life->held_n > 0)
        broker_settle(p.b, &p.former);
}

/* ---- start ---- */

static void subscribed(struct op *op)
{
    if (op->err != ERR_OK)
        fail("subscribe", op->err, p.subscribe.text.s);
    p.subscription = p.subscribe.subscription->id;
    subscription_unref(p.subscribe.subscription);
    settle_former();
    for (uint32_t i = 0; i < RECEIVERS; i++) {
        p.receivers[i].number = i;
        p.receivers[i].session = SESSION_NONE;
        p.receivers[i].owner = broker_owner(p.b);
        take(&p.receivers[i]);
    }
    for (uint32_t i = 0; i < SESSIONS && !p.life->draining; i++) {
        struct publisher *w = &p.publishers[i];
        w->session = i;
        w->number = p.life->next_number[i];
        snprintf(w->key, sizeof(w->key), "%u", i);
        publish(w);
    }
}

static void created(struct op *op)
{
    if (op->err != ERR_OK && op->err != ERR_TOPIC_EXISTS)
        fail("create", op->err, p.create.text.s);
    p.topic = p.create.topic->id;
    topic_unref(p.create.topic);
    subscription_conf_init(&p.conf);
    p.conf.topic = STR_LIT("t");
    p.conf.order = ORDER_KEY;
    p.conf.start = START_EARLIEST;
    p.conf.lock_ms = LOCK_MS;
    p.conf.attempts = 1000;
    p.subscribe = (struct subscription_put_op){
        .op.done = subscribed, .actor = &actor, .name = STR_LIT("s"), .conf = &p.conf};
    broker_subscription_put(p.b, &p.subscribe);
}

static void loaded(void *arg, enum err err)
{
    (void)arg;
    if (err != ERR_OK)
        fail("load", err, "");
    p.create = (struct topic_create_op){.op.done = created,
                                        .actor = &actor,
                                        .name = STR_LIT("t"),
                                        .partitions = 2,
                                        .replication = 1};
    broker_topic_create(p.b, &p.create);
}

static void begin(struct env_mail *mail, struct env *env)
{
    (void)mail;
    (void)env;
    broker_set_load(p.brokers, REACTORS, loaded, NULL);
}

static unsigned reactor_of(void *arg, const struct store_log_id *id)
{
    (void)arg;
    return broker_shard_of_partition(&id->topic, (int32_t)id->partition) % REACTORS;
}

static void store_failed(void *arg, enum err err, const char *what)
{
    (void)arg;
    fail("store", err, what);
}

static void open_broker(void)
{
    struct embedded_conf conf = {.dir = p.life->dir,
                                 .disk = disk_real(),
                                 .reactor_of = reactor_of,
                                 .failed = store_failed,
                                 .journal_first_bytes = 64 << 10,
                                 .journal_file_bytes = 256 << 10,
                                 .journal_bytes = 4 << 20};
    struct embedded_report report;
    struct err_text text = {""};
    enum err err = loop_set_make(REACTORS, p.loops);
    for (unsigned i = 0; err == ERR_OK && i < REACTORS; i++)
        p.envs[i] = loop_env(p.loops[i]);
    if (err == ERR_OK)
        err = embedded_open(&conf, p.loops, REACTORS, p.stores, &p.embedded, &report, &text);
    if (err != ERR_OK)
        fail("open", err, text.s);
    struct broker_conf bc = broker_conf_default;
    bc.cluster_id = report.meta.cluster_id;
    bc.incarnation = report.meta.incarnation;
    broker_set_make(&bc, REACTORS, p.envs, p.stores, p.brokers);
    p.b = p.brokers[0];
}

static void run_loop(void *loop)
{
    loop_run(loop);
}

_Noreturn void session_process(const struct session_life *life)
{
    struct thread *thread;
    p.life = life;
    rng_seed(&p.rng, life->seed);
    log_set_level(ENV_ERROR);
    open_broker();
    enum err err = thread_start("weir-loop", run_loop, p.loops[1], &thread);
    if (err != ERR_OK)
        fail("thread", err, "");
    p.begin.run = begin;
    env_post(p.envs[0], 0, &p.begin);
    loop_run(p.loops[0]);
    _exit(4);
}
