/* idle.c: what ledgers cost that nobody touches, in memory and paged out (broker/paged.h), and how
 * long the first verb takes that meets one.
 *
 *     idle DIR [LEDGERS]
 *
 * Subscriptions of a topic of PARTITIONS partitions, each of which accepts one half of its messages
 * and gives back the other. Bytes are the allocator's, less what there is after the first
 * subscription, so with all that belongs to the others. The process looks for idle ledgers each
 * SWEEP_MS. Then one message is acquired of each ledger of a subscription, one after the other:
 * first while they are paged out, then the same again; the median of each. DIR is a data folder,
 * made if it is missing. Prints one JSON object. */
#include "base/mem.h"
#include "broker/broker.h"
#include "broker/delivery.h"
#include "broker/subscription.h"
#include "io/disk.h"
#include "io/loop.h"
#include "store/embedded.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PARTITIONS 100
#define MESSAGES 10   /* of a partition */
#define SWEEP_MS 8000 /* by then all is set up */
#define IDLE_US (3 * SWEEP_MS * 1000ull)
#define SUBSCRIPTIONS_MAX 1000

static struct {
    struct loop *loop;
    struct store *store;
    struct embedded *embedded;
    struct broker *broker;
    struct uuid topic, of[SUBSCRIPTIONS_MAX];
    unsigned subscriptions, at;
    struct topic_create_op create;
    struct subscription_put_op put;
    struct produce_op produce;
    struct acquire_op acquire;
    struct settle_op settle;
    struct settle_item items[PARTITIONS * MESSAGES];
    struct env_timer timer;
    size_t before, busy, idle;
    double took[2][PARTITIONS]; /* seconds: of the first round and the second */
    unsigned round;
    struct timespec from;
} s;

static const struct actor actor = {.principal = "User:ANONYMOUS", .address = "bench"};

static void check(enum err err, const char *what)
{
    if (err == ERR_OK)
        return;
    fprintf(stderr, "idle: %s: %s\n", what, err_name(err));
    exit(1);
}

static double since(const struct timespec *from)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - from->tv_sec) + (double)(now.tv_nsec - from->tv_nsec) / 1e9;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

/* ---- the end ---- */

static void closed(void *arg, enum err err)
{
    (void)arg;
    check(err, "the stop");
    loop_stop(s.loop);
}

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median_us(double took[PARTITIONS])
{
    qsort(took, PARTITIONS, sizeof(*took), by_time);
    return took[PARTITIONS / 2] * 1e6;
}

static void finish(void)
{
    double n = (double)(s.subscriptions - 1) * PARTITIONS;
    printf("{\"ledgers\":%.0f,\"in_memory_bytes_each\":%.0f,\"paged_out_bytes_each\":%.0f,"
           "\"first_verb_us\":%.1f,\"next_verb_us\":%.1f}\n",
           n, (double)(s.busy - s.before) / n, (double)(s.idle - s.before) / n,
           median_us(s.took[0]), median_us(s.took[1]));
    embedded_close(s.embedded, closed, NULL);
}

/* ---- verbs of what is paged out ---- */

static void touch(void);

static void touched(struct op *op)
{
    check(op->err, "acquire");
    if (s.acquire.n != 1)
        check(ERR_NOT_FOUND, "a message");
    s.took[s.round][s.at] = since(&s.from);
    acquire_free(&s.acquire);
    if (++s.at == PARTITIONS) {
        s.at = 0;
        s.round++;
    }
    if (s.round < 2)
        touch();
    else
        finish();
}

static void touch(void)
{
    clock_gettime(CLOCK_MONOTONIC, &s.from);
    s.acquire = (struct acquire_op){.op.done = touched,
                                    .actor = &actor,
                                    .subscription = s.of[0],
                                    .partition = (int32_t)s.at,
                                    .owner = broker_owner(s.broker),
                                    .messages_max = 1,
                                    .bytes_max = (size_t)1 << 20};
    broker_acquire(s.broker, &s.acquire);
}

static void idle(struct env_timer *timer)
{
    (void)timer;
    s.idle = heap_bytes();
    s.at = 0;
    touch();
}

/* ---- subscriptions, one after the other ---- */

static void subscribe(void);

static void settled(struct op *op)
{
    check(op->err, "settle");
    if (s.at == 0)
        s.before = heap_bytes();
    if (++s.at < s.subscriptions) {
        subscribe();
        return;
    }
    s.busy = heap_bytes();
    s.timer.fire = idle;
    env_timer_set(loop_env(s.loop), &s.timer, IDLE_US);
}

static void acquired(struct op *op)
{
    check(op->err, "acquire");
    size_t n = s.acquire.n;
    for (size_t i = 0; i < n; i++)
        s.items[i] = (struct settle_item){.token = s.acquire.messages[i].token,
                                          .verb = i % 2 == 0 ? SETTLE_ACCEPT : SETTLE_RELEASE};
    acquire_free(&s.acquire);
    s.settle = (struct settle_op){.op.done = settled,
                                  .actor = &actor,
                                  .subscription = s.of[s.at],
                                  .items = s.items,
                                  .items_n = n};
    broker_settle(s.broker, &s.settle);
}

static void subscribed(struct op *op)
{
    check(op->err, "subscribe");
    s.of[s.at] = s.put.subscription->id;
    subscription_unref(s.put.subscription);
    s.acquire = (struct acquire_op){.op.done = acquired,
                                    .actor = &actor,
                                    .subscription = s.of[s.at],
                                    .partition = -1,
                                    .owner = broker_owner(s.broker),
                                    .messages_max = PARTITIONS * MESSAGES,
                                    .bytes_max = (size_t)1 << 20};
    broker_acquire(s.broker, &s.acquire);
}

static void subscribe(void)
{
    static struct subscription_conf conf;
    static char name[16];
    snprintf(name, sizeof(name), "s%u", s.at);
    subscription_conf_init(&conf);
    conf.topic = STR_LIT("t");
    conf.start = START_EARLIEST;
    conf.ttl_ms = -1;
    s.put = (struct subscription_put_op){
        .op.done = subscribed, .actor = &actor, .name = str_of(name), .conf = &conf};
    broker_subscription_put(s.broker, &s.put);
}

/* ---- messages ---- */

static void produce(void);

static void produced(struct op *op)
{
    check(op->err, "produce");
    slice_unref(s.produce.batch);
    if (++s.at < PARTITIONS) {
        produce();
        return;
    }
    s.at = 0;
    subscribe();
}

static void produce(void)
{
    struct batch_builder b;
    batch_begin(&b, 0);
    for (unsigned i = 0; i < MESSAGES; i++)
        batch_add(&b, 1, (struct str){NULL, 0}, STR_LIT("a message"), NULL, 0);
    s.produce = (struct produce_op){.op.done = produced,
                                    .actor = &actor,
                                    .topic = s.topic,
                                    .partition = (int32_t)s.at,
                                    .batch = batch_end(&b)};
    broker_produce(s.broker, &s.produce);
}

static void created(struct op *op)
{
    check(op->err, "create");
    s.topic = s.create.topic->id;
    topic_unref(s.create.topic);
    produce();
}

static void loaded(void *arg, enum err err)
{
    (void)arg;
    check(err, "load");
    s.create = (struct topic_create_op){.op.done = created,
                                        .actor = &actor,
                                        .name = STR_LIT("t"),
                                        .partitions = PARTITIONS,
                                        .replication = -1};
    broker_topic_create(s.broker, &s.create);
}

/* ---- the process ---- */

static void begin(struct env_mail *mail, struct env *env)
{
    (void)mail;
    (void)env;
    broker_set_load(&s.broker, 1, loaded, NULL);
}

static unsigned reactor_of(void *arg, const struct store_log_id *id)
{
    (void)arg;
    (void)id;
    return 0;
}

static void store_failed(void *arg, enum err err, const char *what)
{
    (void)arg;
    check(err, what);
}

int main(int argc, char **argv)
{
    struct embedded_report report;
    struct err_text text = {""};
    struct env_mail mail = {.run = begin};
    if (argc < 2) {
        fprintf(stderr, "usage: idle DIR [LEDGERS]\n");
        return 2;
    }
    unsigned ledgers = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 10000;
    s.subscriptions = ledgers / PARTITIONS + 1;
    if (s.subscriptions > SUBSCRIPTIONS_MAX)
        s.subscriptions = SUBSCRIPTIONS_MAX;
    check(loop_set_make(1, &s.loop), "loop");
    struct embedded_conf conf = {
        .dir = argv[1], .disk = disk_real(), .reactor_of = reactor_of, .failed = store_failed};
    enum err err = embedded_open(&conf, &s.loop, 1, &s.store, &s.embedded, &report, &text);
    if (err != ERR_OK)
        fprintf(stderr, "idle: %s\n", text.s);
    check(err, "open");
    struct broker_conf bc = broker_conf_default;
    struct env *env = loop_env(s.loop);
    bc.cluster_id = report.meta.cluster_id;
    bc.incarnation = report.meta.incarnation;
    bc.sweep_ms = SWEEP_MS;
    broker_set_make(&bc, 1, &env, &s.store, &s.broker);
    env_post(env, 0, &mail);
    loop_run(s.loop);
    return 0;
}
