/* weir_push: deliveries to endpoints and into topics, by the virtual clock, under kill -9 and power
 * cuts.
 *
 *     weir_push [--seeds N] [--from SEED]
 *     weir_push --seed N [--trace]
 *
 * A seed is a story: a topic, four subscriptions (one event a call; batches; batches in order of
 * their partitions, each event answered with one; into a topic), events, and several lives of the
 * broker. The endpoint lives outside, answers as it is drawn, and knows all that it was asked.
 * Judged at the end, and on the way:
 *
 *   - every acknowledged event was accepted by the endpoint, or lies once in the dead letters,
 *     where exactly those lie that the endpoint refuses for good
 *   - what was accepted SETTLED_US before a life ended does not come again: its settle is durable
 *   - the target topic has every acknowledged event once, and so has the topic of the answers: no
 *     answer without its settle, no settle without its answer
 *   - in order, an event is called for when those before it are done with
 *
 * And one story without ends: Event Grid's schedule over a day, to the second.
 */
#include "sim_http.h"
#include "weir_sim.h"

#include "base/mem.h"
#include "broker/delivery.h"
#include "broker/publish.h"
#include "broker/records.h"
#include "broker/subscription.h"
#include "flow/push.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND (1000 * WEIR_SIM_MS)
#define EVENTS_MAX 400
#define PARTITIONS 2
/* From the answer to a durable settle: a turn of the loop, mail, a sync, a slow disk. */
#define SETTLED_US (100 * WEIR_SIM_MS)
#define LIVES_MAX 12
#define DATA "\"data\":\"e" /* of an event in a batch */

enum { ONE, BATCH, ORDERED, COPY, SUBSCRIPTIONS };
static const char *const names[] = {"one", "batch", "ordered", "copy"};
static const char *const urls[] = {"http://endpoint/one", "http://endpoint/batch",
                                   "http://endpoint/ordered", NULL};

static const struct actor actor = {.principal = "User:test"};

struct seen {
    unsigned calls;
    bool accepted;        /* in this life or another */
    uint64_t accepted_us; /* when the caller was told, in this life; 0: not */
    bool settled;         /* it may not come again */
};

struct story {
    struct weir_sim w;
    struct sim_http http[WEIR_SIM_REACTORS_MAX];
    struct push *push[WEIR_SIM_REACTORS_MAX];
    struct rng rng; /* of the endpoint */
    struct seen seen[SUBSCRIPTIONS][EVENTS_MAX];
    bool acked[EVENTS_MAX];
    unsigned published;
    bool made; /* topics and subscriptions */
    unsigned fails_one_in;
    /* The schedule's story. */
    uint64_t attempts_us[64];
    unsigned attempts_n;
    bool always_fails;
};

static struct story *story;

/* ---- the endpoint --------------------------------------------------------------------------- */

/* For good: a property of the event. */
static bool is_refused(unsigned event)
{
    return event % 7 == 3;
}

/* The events of a call: "e12" as a body, or in "data" of a batch. */
static unsigned events_of(const struct http_call *call, unsigned *out)
{
    unsigned n = 0;
    const char *at = call->body.at, *end = at + call->body.len;
    if (call->body.len > 0 && *at == 'e') {
        out[n++] = (unsigned)strtoul(at + 1, NULL, 10);
        return n;
    }
    while ((at = memmem(at, (size_t)(end - at), DATA, strlen(DATA))) != NULL) {
        at += strlen(DATA);
        out[n++] = (unsigned)strtoul(at, NULL, 10);
    }
    return n;
}

static unsigned subscription_of(const struct http_call *call)
{
    unsigned sub = ONE;
    while (strcmp(call->url, urls[sub]) != 0)
        sub++;
    return sub;
}

/* One event for each. */
static struct wr answer_of(const unsigned *events, unsigned n)
{
    struct wr w = {NULL, 0};
    wr_u8(&w, '[');
    for (unsigned i = 0; i < n; i++) {
        char text[128];
        int len = snprintf(text, sizeof text,
                           "%s{\"specversion\":\"1.0\",\"type\":\"done\","
                           "\"datacontenttype\":\"text/plain\",\"data\":\"e%u\"}",
                           i ? "," : "", events[i]);
        wr_bytes(&w, text, (size_t)len);
    }
    wr_u8(&w, ']');
    return w;
}

/* An event that is called for first comes behind all that were called for in its partition. */
static void check_order(struct story *s, unsigned event)
{
    for (unsigned later = event + PARTITIONS; later < s->published; later += PARTITIONS) {
        if (s->seen[ORDERED][event].calls == 0 && s->seen[ORDERED][later].calls > 0)
            weir_sim_fail(&s->w, "ordered: e%u comes behind e%u", event, later);
    }
}

static struct sim_answer endpoint(void *arg, const struct http_call *call)
{
    struct story *s = arg;
    struct sim_answer a = {.outcome = HTTP_ANSWERED, .status = 200};
    a.after_us = 100 + rng_below(&s->rng, 20 * WEIR_SIM_MS);
    unsigned events[EVENTS_MAX], n = events_of(call, events), sub = subscription_of(call);
    if (strcmp(call->method, "OPTIONS") == 0)
        return a;
    s->attempts_us[s->attempts_n < 63 ? s->attempts_n++ : 63] = sim_mono_us(s->w.sim);
    bool refused = false;
    for (unsigned i = 0; i < n; i++) {
        struct seen *e = &s->seen[sub][events[i]];
        if (e->settled)
            weir_sim_fail(&s->w, "%s: e%u comes again after it was settled", names[sub], events[i]);
        if (sub == ORDERED)
            check_order(s, events[i]);
        e->calls++;
        refused |= is_refused(events[i]) && sub == ONE;
    }
    if (s->always_fails || (s->fails_one_in && rng_one_in(&s->rng, s->fails_one_in)))
        a.status = 500;
    else if (refused)
        a.status = 400;
    else if (rng_one_in(&s->rng, 40))
        a.outcome = HTTP_UNREACHABLE;
    if (sub == ORDERED && a.outcome == HTTP_ANSWERED && a.status == 200) {
        a.type = "application/cloudevents-batch+json";
        a.body = answer_of(events, n);
    }
    return a;
}

static void answered(void *arg, const struct http_call *call)
{
    struct story *s = arg;
    unsigned events[EVENTS_MAX], n = events_of(call, events), sub = subscription_of(call);
    if (call->outcome != HTTP_ANSWERED || call->status != 200)
        return;
    for (unsigned i = 0; i < n; i++) {
        s->seen[sub][events[i]].accepted = true;
        s->seen[sub][events[i]].accepted_us = sim_mono_us(s->w.sim);
    }
}

/* What was accepted some time ago is settled; at the end of a life the rest is in doubt. */
static void note_time(struct story *s, bool over)
{
    uint64_t now = sim_mono_us(s->w.sim);
    for (unsigned sub = 0; sub < COPY; sub++) {
        for (unsigned i = 0; i < s->published; i++) {
            struct seen *e = &s->seen[sub][i];
            e->settled |= e->accepted_us > 0 && now - e->accepted_us >= SETTLED_US;
            if (over && !e->settled)
                e->accepted_us = 0;
        }
    }
}

/* ---- inside of the program ------------------------------------------------------------------ */

/* Runs fn on reactor 0, and the world until *done. */
struct inside {
    struct env_mail mail;
    void (*fn)(struct inside *in);
    bool done;
};

static void inside_run(struct env_mail *mail, struct env *env)
{
    struct inside *in = container_of(mail, struct inside, mail);
    (void)env;
    in->fn(in);
}

static bool inside(struct story *s, struct inside *in, void (*fn)(struct inside *in))
{
    in->fn = fn;
    in->mail.run = inside_run;
    in->done = false;
    env_post(s->w.envs[0], 0, &in->mail);
    return weir_sim_run_until(&s->w, &in->done, 60 * SECOND);
}

struct make_topic {
    struct inside in;
    struct topic_create_op op;
    const char *name;
    int32_t partitions;
};

static void topic_made(struct op *op)
{
    struct make_topic *m = container_of(op, struct make_topic, op.op);
    topic_unref(m->op.topic);
    if (op->err && op->err != ERR_TOPIC_EXISTS)
        weir_sim_fail(&story->w, "no topic: %s", err_name(op->err));
    m->in.done = true;
}

static void make_topic(struct inside *in)
{
    struct make_topic *m = container_of(in, struct make_topic, in);
    m->op = (struct topic_create_op){.op.done = topic_made,
                                     .actor = &actor,
                                     .name = str_of(m->name),
                                     .partitions = m->partitions,
                                     .replication = 1};
    broker_topic_create(story->w.brokers[0], &m->op);
}

struct make_subscription {
    struct inside in;
    struct subscription_put_op op;
    struct subscription_conf conf;
    const char *name;
};

static void subscription_made(struct op *op)
{
    struct make_subscription *m = container_of(op, struct make_subscription, op.op);
    if (op->err)
        weir_sim_fail(&story->w, "no subscription: %s", m->op.text.s);
    subscription_unref(m->op.subscription);
    m->in.done = true;
}

static void make_subscription(struct inside *in)
{
    struct make_subscription *m = container_of(in, struct make_subscription, in);
    m->op = (struct subscription_put_op){
        .op.done = subscription_made, .actor = &actor, .name = str_of(m->name), .conf = &m->conf};
    broker_subscription_put(story->w.brokers[0], &m->op);
}

struct publish {
    struct inside in;
    struct publish_op op;
    struct story *s;
    unsigned event;
    char text[16];
};

static void published(struct op *op)
{
    struct publish *p = container_of(op, struct publish, op.op);
    if (op->err == ERR_OK)
        p->s->acked[p->event] = true;
    mem_free(p);
}

static void publish(struct inside *in)
{
    struct publish *p = container_of(in, struct publish, in);
    const struct topic *t = broker_topic(p->s->w.brokers[0], STR_LIT("t"));
    p->op = (struct publish_op){.op.done = published,
                                .actor = &actor,
                                .topic = t->id,
                                .partition = (int32_t)(p->event % PARTITIONS),
                                .record = {.value = str_of(p->text), .timestamp = -1}};
    broker_publish(p->s->w.brokers[0], &p->op);
}

static void publish_next(struct story *s)
{
    struct publish *p = mem_zalloc(1, sizeof *p);
    p->s = s;
    p->event = s->published++;
    snprintf(p->text, sizeof p->text, "e%u", p->event);
    p->in.fn = publish;
    p->in.mail.run = inside_run;
    env_post(s->w.envs[0], 0, &p->in.mail);
}

struct read_all {
    struct inside in;
    struct records_op op;
    const char *name;
    int32_t partitions;
    unsigned counts[EVENTS_MAX];
};

static void read_more(struct read_all *r);

static void read_done(struct op *op)
{
    struct read_all *r = container_of(op, struct read_all, op.op);
    int64_t next = r->op.next_offset;
    for (unsigned i = 0; i < r->op.n; i++) {
        for (uint32_t k = 0; k < records_count(r->op.batches[i]); k++) {
            struct record record;
            records_get(r->op.batches[i], k, &record);
            if (record.offset >= r->op.offset && record.value.len > 1)
                r->counts[strtoul(record.value.at + 1, NULL, 10)]++;
        }
        records_unref(r->op.batches[i]);
    }
    if (op->err != ERR_OK && op->err != ERR_TOPIC_UNKNOWN)
        weir_sim_fail(&story->w, "reading %s: %s", r->name, err_name(op->err));
    if (op->err == ERR_OK && r->op.n > 0) {
        r->op.offset = next;
    } else {
        r->op.partition++;
        r->op.offset = 0;
    }
    read_more(r);
}

static void read_more(struct read_all *r)
{
    const struct topic *t = broker_topic(story->w.brokers[0], str_of(r->name));
    if (!t || r->op.partition == t->partitions) {
        r->in.done = true;
        return;
    }
    r->op = (struct records_op){.op.done = read_done,
                                .actor = &actor,
                                .topic = t->id,
                                .partition = r->op.partition,
                                .offset = r->op.offset,
                                .bytes_max = 1 << 20};
    broker_records(story->w.brokers[0], &r->op);
}

static void read_all(struct inside *in)
{
    read_more(container_of(in, struct read_all, in));
}

/* ---- lives ---------------------------------------------------------------------------------- */

static void start_push(struct inside *in)
{
    struct story *s = story;
    for (unsigned i = 0; i < s->w.n; i++)
        push_start(s->push[i]);
    in->done = true;
}

/* All reactors of a simulated machine run on this thread: push_start need not travel. */
static bool start(struct story *s)
{
    struct inside in;
    enum weir_start how = weir_sim_start(&s->w);
    if (how != WEIR_SERVES)
        weir_sim_fail(&s->w, "it does not start: %s", s->w.text.s);
    for (unsigned i = 0; i < s->w.n; i++) {
        sim_http_init(&s->http[i], s->w.envs[i], endpoint, answered, s);
        struct push_conf conf = {.http = &s->http[i].client, .origin = "weir.sim"};
        s->push[i] = push_make(s->w.brokers[i], i == 0 ? NULL : s->push[0], &conf);
    }
    return inside(s, &in, start_push);
}

static void topic(struct story *s, const char *name, int32_t partitions)
{
    static struct make_topic m;
    m = (struct make_topic){.name = name, .partitions = partitions};
    if (!inside(s, &m.in, make_topic))
        weir_sim_fail(&s->w, "topic %s is not made", name);
}

static void subscribe(struct story *s, unsigned sub)
{
    static struct make_subscription m;
    m = (struct make_subscription){.name = names[sub]};
    subscription_conf_init(&m.conf);
    m.conf.topic = STR_LIT("t");
    m.conf.attempts = 1000;
    m.conf.retry_first_ms = 10;
    m.conf.retry_max_ms = 1000;
    if (sub == COPY) {
        m.conf.to_topic = STR_LIT("copied");
    } else {
        m.conf.url = str_of(urls[sub]);
        m.conf.dead_letter = sub == ONE ? STR_LIT("one.dead") : STR_LIT("batch.dead");
        m.conf.concurrency = 1 + (int64_t)weir_sim_draw(&s->w, 0, 15);
        m.conf.format = sub == ONE ? FORMAT_CE_BINARY : FORMAT_CE_BATCH;
        if (sub == ORDERED) {
            m.conf.order = ORDER_PARTITION;
            m.conf.reply_topic = STR_LIT("answers");
        }
        m.conf.batch_events_max = 5;
    }
    if (!inside(s, &m.in, make_subscription))
        weir_sim_fail(&s->w, "subscription %s is not made", names[sub]);
}

static void make_all(struct story *s)
{
    topic(s, "t", PARTITIONS);
    topic(s, "copied", PARTITIONS);
    topic(s, "answers", PARTITIONS);
    topic(s, "one.dead", 1);
    topic(s, "batch.dead", 1);
    for (unsigned sub = 0; sub < SUBSCRIPTIONS; sub++)
        subscribe(s, sub);
}

/* Publishes and delivers for a while, then the life ends. */
static void live(struct story *s)
{
    struct weir_sim *w = &s->w;
    bool inside_of_a_write = weir_sim_chance(w, 3);
    uint64_t steps = weir_sim_draw(w, 1, 60);
    if (inside_of_a_write)
        sim_disk_set_faults(
            w->sim, &(struct sim_disk_faults){.cut_after = (uint32_t)weir_sim_draw(w, 1, 200)});
    bool alive = true;
    for (uint64_t i = 0; i < steps && alive; i++) {
        if (s->published < EVENTS_MAX && weir_sim_chance(w, 2))
            publish_next(s);
        alive = weir_sim_run(w, weir_sim_draw(w, 100, 40 * WEIR_SIM_MS));
        if (alive)
            note_time(s, false);
    }
    sim_disk_set_faults(w->sim, &(struct sim_disk_faults){0});
    note_time(s, true);
    if (!alive)
        return;
    if (weir_sim_chance(w, 2))
        weir_sim_kill(w);
    else
        weir_sim_cut(w);
}

/* What the endpoint had to take, it has taken. */
static bool is_delivered(const struct story *s, unsigned event)
{
    return !s->acked[event] || ((s->seen[ONE][event].accepted || is_refused(event)) &&
                                s->seen[BATCH][event].accepted && s->seen[ORDERED][event].accepted);
}

static bool is_over(const struct story *s)
{
    for (unsigned i = 0; i < s->published; i++) {
        if (!is_delivered(s, i))
            return false;
    }
    return true;
}

static unsigned *counts_of(struct story *s, const char *name)
{
    static struct read_all r;
    memset(&r, 0, sizeof r);
    r.name = name;
    if (!inside(s, &r.in, read_all))
        weir_sim_fail(&s->w, "%s is not read", name);
    return r.counts;
}

/* Each event that is refused for good is a dead letter in the end. */
static bool are_buried(struct story *s)
{
    const unsigned *dead = counts_of(s, "one.dead");
    for (unsigned i = 0; i < s->published; i++) {
        if (s->acked[i] && is_refused(i) && dead[i] == 0)
            return false;
    }
    return true;
}

static void check_copies(struct story *s, const char *name)
{
    const unsigned *copies = counts_of(s, name);
    for (unsigned i = 0; i < s->published; i++) {
        if (copies[i] > 1 || (s->acked[i] && copies[i] != 1))
            weir_sim_fail(&s->w, "e%u is %u times in the topic %s", i, copies[i], name);
    }
}

static void judge(struct story *s)
{
    struct weir_sim *w = &s->w;
    for (unsigned i = 0; i < 3600 && !are_buried(s); i++)
        (void)weir_sim_run(w, 10 * SECOND);
    check_copies(s, "copied");
    check_copies(s, "answers");
    unsigned *dead = counts_of(s, "one.dead");
    for (unsigned i = 0; i < s->published; i++) {
        bool due = is_refused(i);
        if (dead[i] > due || (s->acked[i] && dead[i] != due))
            weir_sim_fail(w, "e%u is %u times in the dead letters", i, dead[i]);
    }
    dead = counts_of(s, "batch.dead");
    for (unsigned i = 0; i < s->published; i++) {
        if (dead[i] != 0)
            weir_sim_fail(w, "batch: e%u is in the dead letters", i);
    }
}

static void run_seed(uint64_t seed, bool trace)
{
    static struct story s;
    struct weir_sim_conf conf;
    memset(&s, 0, sizeof s);
    story = &s;
    weir_sim_defaults(&conf, seed);
    conf.trace = trace;
    conf.reactors = 1 + (unsigned)(seed % 3);
    conf.helper_commits = seed % 4 == 0;
    conf.broker.sweep_ms = seed % 2 == 0 ? 1000 : 0; /* pages idle ledgers out, or rarely */
    conf.checkpoint_ms = 50;
    weir_sim_make(&s.w, &conf);
    rng_seed(&s.rng, seed ^ 0x686f6f6b);
    s.fails_one_in = seed % 5 == 0 ? 2 : 6;
    if (!start(&s))
        weir_sim_fail(&s.w, "the push does not start");
    make_all(&s);
    for (uint64_t lives = weir_sim_draw(&s.w, 1, LIVES_MAX); lives > 0; lives--) {
        live(&s);
        if (!start(&s))
            weir_sim_fail(&s.w, "the push does not start");
    }
    for (unsigned i = 0; i < 3600 && !is_over(&s); i++) {
        (void)weir_sim_run(&s.w, 10 * SECOND);
        note_time(&s, false);
    }
    for (unsigned i = 0; i < s.published; i++) {
        if (!is_delivered(&s, i))
            weir_sim_fail(&s.w, "e%u was not delivered (%u and %u calls)", i, s.seen[ONE][i].calls,
                          s.seen[BATCH][i].calls);
    }
    (void)weir_sim_run(&s.w, 60 * SECOND);
    judge(&s);
}

/* ---- the schedule --------------------------------------------------------------------------- */

static void fail_gap(struct story *s, unsigned i, uint64_t least, uint64_t gap)
{
    weir_sim_fail(&s->w, "attempt %u came %" PRIu64 " us after the one before, not %" PRIu64, i + 2,
                  gap, least);
}

static void check_schedule(struct story *s)
{
    static const uint64_t seconds[] = {10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200};
    if (s->attempts_n != 11)
        weir_sim_fail(&s->w, "%u attempts within a day, not 11", s->attempts_n);
    for (unsigned i = 0; i + 1 < s->attempts_n; i++) {
        uint64_t gap = s->attempts_us[i + 1] - s->attempts_us[i], least = seconds[i] * SECOND;
        uint64_t jitter = least / 10 < 60 * SECOND ? least / 10 : 60 * SECOND;
        if (gap < least || gap > least + jitter + SECOND)
            fail_gap(s, i, least, gap);
    }
}

/* One event that is never taken: eleven attempts in a day; the twelfth would come after its time to
 * live, so it is a dead letter then. */
static void run_schedule(bool trace)
{
    static struct story s;
    static struct make_subscription m;
    struct weir_sim_conf conf;
    memset(&s, 0, sizeof s);
    story = &s;
    weir_sim_defaults(&conf, 1);
    conf.trace = trace;
    conf.checkpoint_ms = 600000;
    conf.retention_ms = 3600000;
    weir_sim_make(&s.w, &conf);
    rng_seed(&s.rng, 1);
    s.always_fails = true;
    if (!start(&s))
        weir_sim_fail(&s.w, "the push does not start");
    topic(&s, "t", 1);
    topic(&s, "one.dead", 1);
    m = (struct make_subscription){.name = "one"};
    subscription_conf_init(&m.conf);
    m.conf.topic = STR_LIT("t");
    m.conf.url = str_of(urls[ONE]);
    m.conf.backoff = BACKOFF_EVENTGRID;
    m.conf.attempts = 30;
    m.conf.dead_letter = STR_LIT("one.dead");
    if (!inside(&s, &m.in, make_subscription))
        weir_sim_fail(&s.w, "the subscription is not made");
    publish_next(&s);
    for (unsigned minute = 0; minute < 48 * 60; minute++) {
        (void)weir_sim_run(&s.w, 60 * SECOND);
        if (s.attempts_n < 11 && minute % 30 == 0 && counts_of(&s, "one.dead")[0] != 0)
            weir_sim_fail(&s.w, "it is dead before its last attempt");
    }
    check_schedule(&s);
    if (counts_of(&s, "one.dead")[0] != 1)
        weir_sim_fail(&s.w, "there is no dead letter, or more than one");
}

/* ---- */

/* In a child: what a dead program had allocated is not freed. */
static bool in_child(void (*fn)(uint64_t seed, bool trace), uint64_t seed)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(120);
        fn(seed, false);
        _exit(0);
    }
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static void schedule(uint64_t seed, bool trace)
{
    (void)seed;
    run_schedule(trace);
}

static bool report(unsigned n, bool ok, const char *what)
{
    printf("%sok %u - %s\n", ok ? "" : "not ", n, what);
    return ok;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 60, from = 1, one = 0;
    bool trace = false, ok = true;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "1";
        if (strcmp(argv[i], "--seeds") == 0)
            seeds = strtoull(value, NULL, 10);
        if (strcmp(argv[i], "--from") == 0)
            from = strtoull(value, NULL, 10);
        if (strcmp(argv[i], "--seed") == 0)
            one = strtoull(value, NULL, 10);
        trace |= strcmp(argv[i], "--trace") == 0;
    }
    if (one) {
        run_seed(one, trace);
        _exit(0);
    }
    printf("1..2\n");
    ok &= report(1, in_child(schedule, 0), "Event Grid's schedule, to the second");
    bool all = true;
    for (uint64_t seed = from; seed < from + seeds && all; seed++)
        all = in_child(run_seed, seed);
    ok &= report(2, all, "kills and power cuts");
    return ok ? 0 : 1;
}
