/* weir_ledger: power cuts and kills under a broker whose queue and sessions are being worked on.
 *
 *     weir_ledger [--seeds N] [--from SEED]
 *     weir_ledger --seed N [--trace]
 *
 * Most of them page idle ledgers out all the time (paged.h).
 *
 * A seed is a story of several lives, ended by power cuts, kill -9, in order, or by a disk call
 * that fails. Publishers and receivers call the broker's verbs on its reactors, so that each answer
 * is judged at once:
 *
 *     what was accepted or rejected, and answered so, is never delivered again;
 *     delivery counts of a message never go down but over a power cut;
 *     a session's messages come in their order, to one owner at a time.
 *
 * At the end all that is left is received and accepted:
 *
 *     nothing that was published, and answered so, is missing, unless its settle was asked for;
 *     what was rejected is in the dead letters once, what was accepted is not.
 *
 * Seeds run in child processes, since what a dead program had allocated is not freed.
 */
#include "weir_sim.h"

#include "base/mem.h"
#include "broker/delivery.h"
#include "broker/publish.h"
#include "broker/subscription.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOPICS 2 /* a queue, and a topic with a subscription by sessions */
#define PARTITIONS 2
#define MESSAGES_MAX 4000 /* of a partition */
#define OWNERS 4
#define SESSIONS 3
#define LOCK_MS 100
#define ATTEMPTS 100000
#define HELD_MAX 64
#define DRAIN_ROUNDS_MAX 400
#define SEEDS_PER_CHILD 4

struct msg {
    bool published;      /* it is known to be there */
    bool done, rejected; /* a settle was answered */
    uint32_t asked[2];   /* settles without an answer (yet): accepts, rejects */
    uint32_t deliveries;
    unsigned cut; /* power cuts there had been at that delivery */
    uint64_t owner, life;
    uint64_t seen_us; /* when that was answered */
    unsigned session;
};

struct held {
    unsigned topic;
    int32_t partition;
    int64_t offset;
    uint64_t life;
    struct lock_token token;
};

struct world {
    struct weir_sim w;
    struct uuid topic[TOPICS], subscription[TOPICS], dead;
    struct msg msgs[TOPICS][PARTITIONS][MESSAGES_MAX];
    struct held held[HELD_MAX];
    unsigned held_n, under_way, power_cuts;
    uint64_t delivered, settled, letters;
    bool draining, step_done;
};

static struct world s;

#define wrong(...) weir_sim_fail(&s.w, __VA_ARGS__)

/* ---- calls: made on a reactor, judged there ---- */

/* One verb on its way; of a life that ended it is lost, as its memory is. */
struct call {
    struct env_mail mail;
    unsigned reactor;
    uint64_t life, began_us;
    unsigned topic;
    union {
        struct publish_op publish;
        struct acquire_op acquire;
        struct settle_op settle;
        struct release_op release;
    };
    struct settle_item items[8];
    struct held of[8];
    char key[16], value[24];
    void (*start)(struct call *c, struct broker *b);
};

static void call_run(struct env_mail *mail, struct env *env)
{
    struct call *c = container_of(mail, struct call, mail);
    (void)env;
    c->start(c, s.w.brokers[c->reactor]);
}

static struct call *call_make(unsigned topic, void (*start)(struct call *c, struct broker *b))
{
    struct call *c = mem_zalloc(1, sizeof(*c));
    c->reactor = (unsigned)weir_sim_draw(&s.w, 0, s.w.n - 1);
    c->life = s.w.life;
    c->began_us = sim_mono_us(s.w.sim);
    c->topic = topic;
    c->start = start;
    c->mail.run = call_run;
    return c;
}

static void call_send(struct call *c)
{
    s.under_way++;
    env_post(s.w.envs[0], c->reactor, &c->mail);
}

static void call_end(struct call *c)
{
    s.under_way--;
    mem_free(c);
}

/* Nobody has settled it, and it must come again. */
static bool is_open(const struct msg *m)
{
    return m->published && !m->done && m->asked[0] == 0 && m->asked[1] == 0;
}

static struct msg *msg_of(unsigned topic, int32_t partition, int64_t offset)
{
    if (partition < 0 || partition >= PARTITIONS || offset < 0 || offset >= MESSAGES_MAX)
        wrong("a message at partition %d, offset %" PRId64, partition, offset);
    return &s.msgs[topic][partition][offset];
}

/* ---- publish ---- */

static void published(struct op *op)
{
    struct call *c = container_of(op, struct call, publish.op);
    if (op->err == ERR_OK) {
        struct msg *m = msg_of(c->topic, c->publish.partition_out, c->publish.offset);
        m->published = true;
        m->session = (unsigned)(c->key[1] - '0');
    }
    call_end(c);
}

static void publish_start(struct call *c, struct broker *b)
{
    broker_publish(b, &c->publish);
}

static void act_publish(void)
{
    struct call *c = call_make((unsigned)weir_sim_draw(&s.w, 0, TOPICS - 1), publish_start);
    snprintf(c->key, sizeof(c->key), "s%u", (unsigned)weir_sim_draw(&s.w, 0, SESSIONS - 1));
    snprintf(c->value, sizeof(c->value), "v");
    c->publish = (struct publish_op){
        .op.done = published,
        .topic = s.topic[c->topic],
        .partition = -1,
        .record = {.key = str_of(c->key), .value = str_of(c->value), .timestamp = -1}};
    call_send(c);
}

/* ---- acquire ---- */

/* An acquire that was under way when the message was delivered to another one may be answered
 * behind that, if its lock had run out before. */
static void judge_delivery(unsigned topic, const struct message *d, uint64_t owner,
                           uint64_t began_us)
{
    struct msg *m = msg_of(topic, d->partition, d->offset);
    weir_sim_trace(&s.w, "topic %u: %d/%" PRId64 " to %" PRIu64 ", delivery %u", topic,
                   d->partition, d->offset, owner, d->deliveries);
    m->session = (unsigned)(d->record.key.at[1] - '0');
    if (m->done)
        wrong("topic %u: %d/%" PRId64 " was settled and comes again", topic, d->partition,
              d->offset);
    if (d->deliveries <= m->deliveries && m->cut == s.power_cuts && began_us > m->seen_us)
        wrong("topic %u: %d/%" PRId64 ": delivery %u after delivery %u", topic, d->partition,
              d->offset, d->deliveries, m->deliveries);
    m->published = true;
    if (d->deliveries > m->deliveries || m->cut != s.power_cuts)
        m->deliveries = d->deliveries;
    m->seen_us = sim_mono_us(s.w.sim);
    m->cut = s.power_cuts;
    if (m->life != s.w.life) /* what former lives did not answer was not done */
        m->asked[0] = m->asked[1] = 0;
    m->owner = owner;
    m->life = s.w.life;
    s.delivered++;
}

/* What comes before it in its session is settled, being settled, or with the same owner. */
static void judge_order(const struct message *d, uint64_t owner)
{
    const struct msg *m = msg_of(1, d->partition, d->offset);
    for (int64_t i = 0; i < d->offset; i++) {
        const struct msg *other = &s.msgs[1][d->partition][i];
        if (!is_open(other) || other->session != m->session)
            continue;
        if (other->owner != owner || other->life != s.w.life)
            wrong("session %u: %d/%" PRId64 " comes before %" PRId64, m->session, d->partition,
                  d->offset, i);
    }
}

static void hold(unsigned topic, const struct message *d)
{
    struct held *h =
        &s.held[s.held_n < HELD_MAX ? s.held_n++ : weir_sim_draw(&s.w, 0, HELD_MAX - 1)];
    *h = (struct held){topic, d->partition, d->offset, s.w.life, d->token};
}

static void acquired(struct op *op)
{
    struct call *c = container_of(op, struct call, acquire.op);
    struct acquire_op *a = &c->acquire;
    for (uint32_t i = 0; i < a->n; i++) {
        judge_delivery(c->topic, &a->messages[i], a->owner, c->began_us);
        hold(c->topic, &a->messages[i]);
    }
    for (uint32_t i = 0; i < a->n && c->topic == 1; i++)
        judge_order(&a->messages[i], a->owner);
    acquire_free(a);
    call_end(c);
}

static void acquire_start(struct call *c, struct broker *b)
{
    broker_acquire(b, &c->acquire);
}

static void act_acquire(void)
{
    struct call *c = call_make((unsigned)weir_sim_draw(&s.w, 0, TOPICS - 1), acquire_start);
    c->acquire = (struct acquire_op){.op.done = acquired,
                                     .subscription = s.subscription[c->topic],
                                     .partition = -1,
                                     .owner = weir_sim_draw(&s.w, 1, OWNERS),
                                     .messages_max = (uint32_t)weir_sim_draw(&s.w, 1, 10),
                                     .bytes_max = 100000,
                                     .wait_ms = (uint32_t)weir_sim_draw(&s.w, 0, 10)};
    call_send(c);
}

/* ---- settle ---- */

static bool ends(enum settle_verb verb)
{
    return verb == SETTLE_ACCEPT || verb == SETTLE_REJECT;
}

static void settled(struct op *op)
{
    struct call *c = container_of(op, struct call, settle.op);
    for (size_t i = 0; i < c->settle.items_n; i++) {
        const struct settle_item *item = &c->items[i];
        struct msg *m = msg_of(c->topic, c->of[i].partition, c->of[i].offset);
        if (!ends(item->verb))
            continue;
        weir_sim_trace(&s.w, "topic %u: %d/%" PRId64 " %s: %s", c->topic, c->of[i].partition,
                       c->of[i].offset, item->verb == SETTLE_REJECT ? "reject" : "accept",
                       err_name(item->err));
        if (m->asked[item->verb == SETTLE_REJECT] > 0)
            m->asked[item->verb == SETTLE_REJECT]--;
        if (item->err != ERR_OK)
            continue;
        m->done = true;
        m->rejected = item->verb == SETTLE_REJECT;
        s.settled++;
    }
    call_end(c);
}

static void settle_start(struct call *c, struct broker *b)
{
    for (size_t i = 0; i < c->settle.items_n; i++) {
        struct msg *m = msg_of(c->topic, c->of[i].partition, c->of[i].offset);
        if (ends(c->items[i].verb))
            m->asked[c->items[i].verb == SETTLE_REJECT]++;
    }
    broker_settle(b, &c->settle);
}

static enum settle_verb draw_verb(void)
{
    static const enum settle_verb verbs[] = {SETTLE_ACCEPT, SETTLE_ACCEPT, SETTLE_ACCEPT,
                                             SETTLE_REJECT, SETTLE_RELEASE};
    return s.draining ? SETTLE_ACCEPT : verbs[weir_sim_draw(&s.w, 0, 4)];
}

/* Some of what is held, of one topic; tokens of former lives, too. */
static void act_settle(unsigned topic)
{
    struct call *c = call_make(topic, settle_start);
    size_t n = 0, most = weir_sim_draw(&s.w, 1, 8);
    for (unsigned i = 0; i < s.held_n && n < most; i++) {
        if (s.held[i].topic != topic)
            continue;
        c->of[n] = s.held[i];
        c->items[n++] = (struct settle_item){.token = s.held[i].token,
                                             .verb = draw_verb(),
                                             .delay_ms = (uint32_t)weir_sim_draw(&s.w, 0, 1) * 200};
        s.held[i--] = s.held[--s.held_n];
    }
    if (n == 0) {
        mem_free(c);
        return;
    }
    c->settle = (struct settle_op){
        .op.done = settled, .subscription = s.subscription[topic], .items = c->items, .items_n = n};
    call_send(c);
}

static void released(struct op *op)
{
    call_end(container_of(op, struct call, release.op));
}

static void release_start(struct call *c, struct broker *b)
{
    broker_release_all(b, &c->release);
}

static void act_release(void)
{
    struct call *c = call_make((unsigned)weir_sim_draw(&s.w, 0, TOPICS - 1), release_start);
    c->release = (struct release_op){.op.done = released,
                                     .subscription = s.subscription[c->topic],
                                     .owner = weir_sim_draw(&s.w, 1, OWNERS)};
    call_send(c);
}

/* ---- setting up ---- */

struct setup {
    struct env_mail mail;
    struct topic_create_op create;
    struct subscription_put_op put;
    struct subscription_conf conf;
    const char *name;
    unsigned step;
};

static const char *const topic_names[] = {"q", "t", "dead"};

static void setup_go(struct setup *u);

static void setup_created(struct op *op)
{
    struct setup *u = container_of(op, struct setup, create.op);
    if (op->err != ERR_OK)
        wrong("a topic cannot be made: %s", err_name(op->err));
    if (u->step < TOPICS)
        s.topic[u->step] = u->create.topic->id;
    else
        s.dead = u->create.topic->id;
    topic_unref(u->create.topic);
    u->step++;
    setup_go(u);
}

static void setup_put(struct op *op)
{
    struct setup *u = container_of(op, struct setup, put.op);
    if (op->err != ERR_OK)
        wrong("a subscription cannot be made: %s: %s", err_name(op->err), u->put.text.s);
    s.subscription[u->step - 3] = u->put.subscription->id;
    subscription_unref(u->put.subscription);
    u->step++;
    setup_go(u);
}

/* Three topics, then two subscriptions. */
static void setup_go(struct setup *u)
{
    static const struct topic_setting queue = {STR_LIT("weir.queue"), STR_LIT("true")};
    static const struct topic_setting brief[] = {{STR_LIT("retention.ms"), STR_LIT("10")},
                                                 {STR_LIT("segment.ms"), STR_LIT("5")}};
    if (u->step < 3) {
        u->create = (struct topic_create_op){.op.done = setup_created,
                                             .name = str_of(topic_names[u->step]),
                                             .partitions = PARTITIONS,
                                             .replication = -1,
                                             .settings = u->step == 0   ? &queue
                                                         : u->step == 1 ? brief
                                                                        : NULL,
                                             .settings_n = u->step == 0   ? 1
                                                           : u->step == 1 ? 2
                                                                          : 0};
        broker_topic_create(s.w.brokers[0], &u->create);
        return;
    }
    s.step_done = u->step == 5;
    if (s.step_done)
        return;
    subscription_conf_init(&u->conf);
    u->conf.topic = str_of(topic_names[u->step - 3]);
    u->conf.start = START_EARLIEST;
    u->conf.lock_ms = LOCK_MS;
    u->conf.attempts = ATTEMPTS;
    u->conf.dead_letter = STR_LIT("dead");
    u->conf.order = u->step == 4 ? ORDER_KEY : ORDER_NONE;
    u->put = (struct subscription_put_op){
        .op.done = setup_put, .name = u->step == 3 ? STR_LIT("q") : STR_LIT("s"), .conf = &u->conf};
    broker_subscription_put(s.w.brokers[0], &u->put);
}

static void setup_run(struct env_mail *mail, struct env *env)
{
    (void)env;
    setup_go(container_of(mail, struct setup, mail));
}

static void set_up(void)
{
    struct setup *u = mem_zalloc(1, sizeof(*u));
    u->mail.run = setup_run;
    s.step_done = false;
    env_post(s.w.envs[0], 0, &u->mail);
    if (!weir_sim_run_until(&s.w, &s.step_done, 10000 * WEIR_SIM_MS))
        wrong("the topics are not made in time");
    mem_free(u);
}

/* ---- lives ---- */

static void start(void)
{
    sim_disk_set_faults(s.w.sim, &(struct sim_disk_faults){0});
    if (weir_sim_start(&s.w) != WEIR_SERVES)
        wrong("it does not start: %s: %s", err_name(s.w.err), s.w.text.s);
    s.under_way = 0;
}

/* quiet: without publishing, whose syncs would hide that others are missing. */
static void act(bool quiet)
{
    switch (weir_sim_draw(&s.w, quiet ? 4 : 0, 9)) {
    case 0:
    case 1:
    case 2:
    case 3:
        act_publish();
        break;
    case 4:
    case 5:
        act_acquire();
        break;
    case 6:
    case 7:
    case 8:
        act_settle((unsigned)weir_sim_draw(&s.w, 0, TOPICS - 1));
        break;
    default:
        if (weir_sim_chance(&s.w, 8))
            act_release();
    }
}

/* How a life ends if nothing else ends it. */
enum end { END_CUT_INSIDE, END_STOP, END_KILL, END_CUT, END_FAULT };

/* A call that does not return, or one that fails. */
static void draw_faults(enum end end)
{
    struct sim_disk_faults faults = {0};
    uint32_t *const counters[] = {&faults.fail_write_after, &faults.fail_sync_after,
                                  &faults.fail_rename_after, &faults.fail_any_after};
    if (end == END_CUT_INSIDE)
        faults.cut_after = (uint32_t)weir_sim_draw(&s.w, 1, 200);
    if (end == END_FAULT)
        *counters[weir_sim_draw(&s.w, 0, 3)] = (uint32_t)weir_sim_draw(&s.w, 1, 200);
    sim_disk_set_faults(s.w.sim, &faults);
}

/* The process that met the fault has ended by itself, or is killed. What the next one finds in the
 * page cache may not be on the disk; when the power goes, all that it promises must be. */
static bool end_by_fault(void)
{
    if (s.w.alive)
        weir_sim_kill(&s.w);
    if (weir_sim_chance(&s.w, 2))
        return false;
    start();
    weir_sim_cut(&s.w);
    return true;
}

/* True: the power was cut. */
static bool end_life(enum end end)
{
    if (end == END_FAULT)
        return end_by_fault();
    if (!s.w.alive)
        return true;
    if (end == END_STOP && weir_sim_stop(&s.w))
        wrong("the stop fails: %s", err_name(s.w.err));
    if (end == END_KILL)
        weir_sim_kill(&s.w);
    if (s.w.alive)
        weir_sim_cut(&s.w);
    return end != END_STOP && end != END_KILL;
}

static void live(void)
{
    static const enum end ways[] = {END_CUT_INSIDE, END_STOP, END_KILL,  END_KILL,
                                    END_CUT,        END_CUT,  END_FAULT, END_FAULT};
    enum end end = ways[weir_sim_draw(&s.w, 0, sizeof(ways) / sizeof(ways[0]) - 1)];
    bool alive = true;
    draw_faults(end);
    for (uint64_t i = 0, n = weir_sim_draw(&s.w, 10, 150); i < n && alive; i++) {
        for (uint64_t k = weir_sim_draw(&s.w, 1, 8); k > 0; k--)
            act(i + 8 > n);
        alive =
            weir_sim_run(&s.w, weir_sim_draw(&s.w, 1, weir_sim_chance(&s.w, 10) ? 150000 : 3000));
    }
    bool cut = end_life(end);
    s.power_cuts += cut;
    weir_sim_trace(&s.w, "---- %s", cut ? "power cut" : "end");
}

/* ---- the end ---- */

static bool all_delivered(void)
{
    for (unsigned t = 0; t < TOPICS; t++)
        for (int32_t p = 0; p < PARTITIONS; p++)
            for (int64_t o = 0; o < MESSAGES_MAX; o++)
                if (is_open(&s.msgs[t][p][o]))
                    return false;
    return true;
}

static void drain(void)
{
    s.draining = true;
    for (unsigned i = 0; i < DRAIN_ROUNDS_MAX && !(i > 10 && all_delivered()); i++) {
        act_acquire();
        act_acquire();
        if (!weir_sim_run(&s.w, 20 * WEIR_SIM_MS))
            wrong("it stopped by itself: %s", err_name(s.w.err));
        while (s.held_n > 0) {
            act_settle(s.held[0].topic);
            if (!weir_sim_run(&s.w, 2 * WEIR_SIM_MS))
                wrong("it stopped by itself: %s", err_name(s.w.err));
        }
    }
    for (unsigned t = 0; t < TOPICS; t++)
        for (int32_t p = 0; p < PARTITIONS; p++)
            for (int64_t o = 0; o < MESSAGES_MAX; o++)
                if (is_open(&s.msgs[t][p][o]))
                    wrong("topic %u: %d/%" PRId64 " is lost", t, p, o);
}

/* Dead letters of a partition, by what their headers say. */
struct letters {
    struct env_mail mail;
    struct records_op op;
    uint32_t seen[TOPICS][PARTITIONS][MESSAGES_MAX];
};

static int64_t number_of(struct str s_)
{
    char text[24];
    (void)str_copy(text, sizeof(text), s_);
    return strtoll(text, NULL, 10);
}

static void letter_count(struct letters *l, const struct record *record)
{
    struct record r = *record;
    struct record_header h;
    unsigned topic = 0;
    int64_t partition = 0, offset = 0;
    while (record_header_next(&r, &h)) {
        if (str_is(h.key, "weir-dead-letter-topic"))
            topic = str_is(h.value, "t");
        if (str_is(h.key, "weir-dead-letter-partition"))
            partition = number_of(h.value);
        if (str_is(h.key, "weir-dead-letter-offset"))
            offset = number_of(h.value);
    }
    (void)msg_of(topic, (int32_t)partition, offset);
    l->seen[topic][partition][offset]++;
    s.letters++;
}

static void letters_next(struct letters *l);

static void letters_read(struct op *op)
{
    struct letters *l = container_of(op, struct letters, op.op);
    if (op->err != ERR_OK)
        wrong("the dead letters cannot be read: %s", err_name(op->err));
    for (unsigned i = 0; i < l->op.n; i++) {
        for (uint32_t k = 0; k < records_count(l->op.batches[i]); k++) {
            struct record record;
            records_get(l->op.batches[i], k, &record);
            letter_count(l, &record);
        }
        records_unref(l->op.batches[i]);
    }
    if (l->op.n > 0) {
        l->op.offset = l->op.next_offset;
    } else {
        l->op.partition++;
        l->op.offset = 0;
    }
    letters_next(l);
}

static void letters_next(struct letters *l)
{
    s.step_done = l->op.partition == PARTITIONS;
    if (s.step_done)
        return;
    l->op.op.done = letters_read;
    l->op.topic = s.dead;
    l->op.bytes_max = 100000;
    broker_records(s.w.brokers[0], &l->op);
}

static void letters_run(struct env_mail *mail, struct env *env)
{
    (void)env;
    letters_next(container_of(mail, struct letters, mail));
}

static void judge_letters(void)
{
    struct letters *l = mem_zalloc(1, sizeof(*l));
    l->mail.run = letters_run;
    s.step_done = false;
    env_post(s.w.envs[0], 0, &l->mail);
    if (!weir_sim_run_until(&s.w, &s.step_done, 10000 * WEIR_SIM_MS))
        wrong("the dead letters are not read in time");
    for (unsigned t = 0; t < TOPICS; t++) {
        for (int32_t p = 0; p < PARTITIONS; p++) {
            for (int64_t o = 0; o < MESSAGES_MAX; o++) {
                const struct msg *m = &s.msgs[t][p][o];
                uint32_t n = l->seen[t][p][o];
                if (n > 1 || (n == 1 && !m->rejected && m->asked[1] == 0))
                    wrong("topic %u: %d/%" PRId64 " has %u dead letters", t, p, o, n);
                if (n == 0 && m->rejected)
                    wrong("topic %u: %d/%" PRId64 " has no dead letter", t, p, o);
            }
        }
    }
    mem_free(l);
}

static void run_seed(uint64_t seed, bool trace)
{
    struct weir_sim_conf conf;
    struct rng r;
    rng_seed(&r, seed);
    memset(&s, 0, sizeof(s));
    weir_sim_defaults(&conf, seed);
    conf.reactors = 1 + (unsigned)rng_below(&r, 2);
    conf.helper_commits = rng_one_in(&r, 3);
    conf.sync_us = (uint32_t)(50 + rng_below(&r, 400));
    conf.checkpoint_ms = 2 + rng_below(&r, 200);
    conf.retention_ms = 10 + rng_below(&r, 200);
    if (rng_one_in(&r, 2))
        conf.broker.state_slack_bytes = 200 + rng_below(&r, 3000);
    if (!rng_one_in(&r, 3))
        conf.broker.sweep_ms = 1 + (uint32_t)rng_below(&r, 20);
    conf.trace = trace;
    weir_sim_make(&s.w, &conf);
    start();
    set_up();
    for (uint64_t lives = weir_sim_draw(&s.w, 1, 6); lives > 0; lives--) {
        live();
        start();
    }
    drain();
    judge_letters();
    printf("# seed %" PRIu64 ": %u cuts, %" PRIu64 " delivered, %" PRIu64 " settled, %" PRIu64
           " letters\n",
           seed, s.power_cuts, s.delivered, s.settled, s.letters);
    weir_sim_free(&s.w);
}

static int run_many(uint64_t from, uint64_t seeds)
{
    for (uint64_t at = from; at < from + seeds; at += SEEDS_PER_CHILD) {
        int status;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            for (uint64_t i = at; i < at + SEEDS_PER_CHILD && i < from + seeds; i++)
                run_seed(i, false);
            fflush(stdout);
            _exit(0);
        }
        if (waitpid(pid, &status, 0) != pid || status != 0) {
            printf("not ok 1 - seeds from %" PRIu64 "\n1..1\n", at);
            return 1;
        }
    }
    printf("ok 1 - seeds %" PRIu64 " to %" PRIu64 "\n1..1\n", from, from + seeds - 1);
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t from = 1, seeds = 100, one = 0;
    bool trace = false;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "0";
        if (strcmp(argv[i], "--from") == 0)
            from = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--seeds") == 0)
            seeds = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            one = strtoull(value, NULL, 10);
        trace = trace || strcmp(argv[i], "--trace") == 0;
    }
    if (one == 0)
        return run_many(from, seeds);
    run_seed(one, trace);
    return 0;
}
