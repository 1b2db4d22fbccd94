/* deliveries.c: a queue on the real disk, in one process without a front: what the broker itself
 * can do, with every settle durable.
 *
 *     deliveries DIR pairs MESSAGES      MESSAGES are published, then acquired and accepted by 4
 *                                        workers, 100 at a time; as many again by 64 workers, one
 *                                        by one
 *     deliveries DIR batches MESSAGES    the first half of that
 *     deliveries DIR backlog MESSAGES    MESSAGES are published; memory then
 *     deliveries DIR start               how long a start takes, and memory then
 *     deliveries DIR held MESSAGES       MESSAGES are acquired by turns of 1000 and kept: memory
 *
 * One loop. DIR is a data folder, made if it is missing. Prints one JSON object. */
#include "wire.h"

#include "base/mem.h"
#include "broker/broker.h"
#include "broker/delivery.h"
#include "broker/subscription.h"
#include "io/disk.h"
#include "io/loop.h"
#include "store/embedded.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define WORKERS_MAX 64
#define VALUE_BYTES 100
#define PUBLISH_BATCH 1000
#define TURN_MAX 1000

struct worker {
    struct acquire_op acquire;
    struct settle_op settle;
    struct settle_item items[TURN_MAX];
};

static struct {
    struct loop *loop;
    struct store *store;
    struct embedded *embedded;
    struct broker *broker;
    struct uuid queue;
    const char *what;
    uint64_t messages, published, settled, lock_ms;
    uint32_t turn; /* messages at a time */
    unsigned workers, idle;
    struct worker worker[WORKERS_MAX];
    struct produce_op produce;
    double batch_s, single_s, publish_s, start_s;
    struct timespec from, began;
} s;

static const struct actor actor = {.principal = "User:ANONYMOUS", .address = "bench"};

static double since(const struct timespec *from)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - from->tv_sec) + (double)(now.tv_nsec - from->tv_nsec) / 1e9;
}

static void mark(void)
{
    clock_gettime(CLOCK_MONOTONIC, &s.from);
}

static void check(enum err err, const char *what)
{
    if (err == ERR_OK)
        return;
    fprintf(stderr, "deliveries: %s: %s\n", what, err_name(err));
    exit(1);
}

static uint64_t rss_kib(void)
{
    uint64_t pages = 0, ignored;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%" SCNu64 " %" SCNu64, &ignored, &pages) != 2)
        pages = 0;
    if (f != NULL)
        fclose(f);
    return pages * 4;
}

/* ---- the end ---- */

static void closed(void *arg, enum err err)
{
    (void)arg;
    check(err, "the stop");
    loop_stop(s.loop);
}

static void finish(void)
{
    printf("{\"what\":\"%s\",\"messages\":%" PRIu64 ",\"start_ms\":%.1f,\"rss_kib\":%" PRIu64,
           s.what, s.messages, s.start_s * 1e3, rss_kib());
    if (s.publish_s > 0)
        printf(",\"publish_per_s\":%.0f", (double)s.published / s.publish_s);
    if (s.batch_s > 0)
        printf(",\"pairs_by_100_per_s\":%.0f", (double)s.messages / s.batch_s);
    if (s.single_s > 0)
        printf(",\"pairs_by_1_64_workers_per_s\":%.0f", (double)s.messages / s.single_s);
    printf("}\n");
    embedded_close(s.embedded, closed, NULL);
}

/* ---- receiving ---- */

static void publish_start(void);
static void work(struct worker *w);

static void round_over(void)
{
    if (s.turn == 1) {
        s.single_s = since(&s.from);
        finish();
        return;
    }
    s.batch_s = since(&s.from);
    if (strcmp(s.what, "pairs") != 0) {
        finish();
        return;
    }
    s.turn = 1;
    publish_start();
}

static void settled(struct op *op)
{
    struct worker *w = container_of(op, struct worker, settle.op);
    check(op->err, "settle");
    s.settled += w->settle.items_n;
    acquire_free(&w->acquire);
    work(w);
}

static void acquired(struct op *op)
{
    struct worker *w = container_of(op, struct worker, acquire.op);
    check(op->err, "acquire");
    if (w->acquire.n == 0) {
        acquire_free(&w->acquire);
        if (++s.idle == s.workers)
            round_over();
        return;
    }
    if (strcmp(s.what, "held") == 0) {
        acquire_free(&w->acquire);
        work(w);
        return;
    }
    for (uint32_t i = 0; i < w->acquire.n; i++)
        w->items[i] =
            (struct settle_item){.token = w->acquire.messages[i].token, .verb = SETTLE_ACCEPT};
    w->settle = (struct settle_op){.op.done = settled,
                                   .actor = &actor,
                                   .subscription = s.queue,
                                   .items = w->items,
                                   .items_n = w->acquire.n};
    broker_settle(s.broker, &w->settle);
}

static void work(struct worker *w)
{
    w->acquire = (struct acquire_op){.op.done = acquired,
                                     .actor = &actor,
                                     .subscription = s.queue,
                                     .partition = -1,
                                     .owner = (uint64_t)(w - s.worker) + 1,
                                     .messages_max = s.turn,
                                     .bytes_max = (size_t)16 << 20};
    broker_acquire(s.broker, &w->acquire);
}

static void receive(void)
{
    s.workers = s.turn == 1 ? WORKERS_MAX : strcmp(s.what, "held") == 0 ? 1 : 4;
    s.idle = 0;
    mark();
    for (unsigned i = 0; i < s.workers; i++)
        work(&s.worker[i]);
}

/* ---- publishing ---- */

static struct slice batch_make(unsigned n)
{
    static char value[VALUE_BYTES];
    struct batch_builder b;
    memset(value, 'x', sizeof(value));
    batch_begin(&b, 0);
    for (unsigned i = 0; i < n; i++)
        batch_add(&b, (int64_t)env_now_ms(loop_env(s.loop)), (struct str){NULL, 0},
                  (struct str){value, sizeof(value)}, NULL, 0);
    return batch_end(&b);
}

static void publish_next(void);

static void published(struct op *op)
{
    check(op->err, "publish");
    slice_unref(s.produce.batch);
    s.published += PUBLISH_BATCH;
    if (s.published % s.messages != 0) {
        publish_next();
        return;
    }
    s.publish_s += since(&s.from);
    if (strcmp(s.what, "backlog") == 0)
        finish();
    else
        receive();
}

static void publish_next(void)
{
    s.produce = (struct produce_op){.op.done = published,
                                    .actor = &actor,
                                    .topic = s.queue,
                                    .batch = batch_make(PUBLISH_BATCH)};
    broker_produce(s.broker, &s.produce);
}

static void publish_start(void)
{
    mark();
    publish_next();
}

/* ---- starting ---- */

static struct topic_create_op create;

static void created(struct op *op)
{
    if (op->err != ERR_TOPIC_EXISTS)
        check(op->err, "create");
    s.queue = create.topic->id;
    topic_unref(create.topic);
    if (strcmp(s.what, "start") == 0)
        finish();
    else
        publish_start();
}

static void loaded(void *arg, enum err err)
{
    static const struct topic_setting queue = {STR_LIT("weir.queue"), STR_LIT("true")};
    (void)arg;
    check(err, "load");
    s.start_s = since(&s.began);
    create = (struct topic_create_op){.op.done = created,
                                      .actor = &actor,
                                      .name = STR_LIT("queue"),
                                      .partitions = 1,
                                      .replication = -1,
                                      .settings = &queue,
                                      .settings_n = 1};
    broker_topic_create(s.broker, &create);
}

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
    if (argc < 3) {
        fprintf(stderr, "usage: deliveries DIR pairs|batches|backlog|held|start [MESSAGES]\n");
        return 2;
    }
    s.what = argv[2];
    s.messages = argc > 3 ? strtoull(argv[3], NULL, 10) / PUBLISH_BATCH * PUBLISH_BATCH : 0;
    s.turn = strcmp(s.what, "held") == 0 ? TURN_MAX : 100;
    clock_gettime(CLOCK_MONOTONIC, &s.began);
    check(loop_set_make(1, &s.loop), "loop");
    struct embedded_conf conf = {
        .dir = argv[1], .disk = disk_real(), .reactor_of = reactor_of, .failed = store_failed};
    enum err err = embedded_open(&conf, &s.loop, 1, &s.store, &s.embedded, &report, &text);
    if (err != ERR_OK)
        fprintf(stderr, "deliveries: %s\n", text.s);
    check(err, "open");
    struct broker_conf bc = broker_conf_default;
    struct env *env = loop_env(s.loop);
    bc.cluster_id = report.meta.cluster_id;
    bc.incarnation = report.meta.incarnation;
    broker_set_make(&bc, 1, &env, &s.store, &s.broker);
    env_post(env, 0, &mail);
    loop_run(s.loop);
    return 0;
}
