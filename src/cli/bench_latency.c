/* Three threads share a run: the main thread sends each record when it is due, one takes the
 * acknowledgements, one reads the records back. A record carries the instant at which it was due,
 * so that both delays are counted from there, however late it was sent: what waits behind a stall
 * is charged for the whole of its wait ("coordinated omission" is avoided).
 *
 * All records go to partition 0, which the reader follows from the end that it had at the start.
 * With `single` a record is due when the one before it was acknowledged and read.
 */
#include "cli/bench_run.h"

#include "base/mem.h"
#include "cli/bench_client.h"
#include "io/clock.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>

enum {
    FLUSH_MS = 60000,
    READ_REST_US = 10000000,
    SINGLE_MS = 30000, /* one record at a time: longest wait for one */
    PARTITION = 0,
};

/* What the first bytes of a record's value hold; our own program reads them back. */
struct mark {
    uint64_t due_us;
    uint64_t run; /* tells this run's records from others' */
};

struct run {
    const struct bench_options *o;
    struct bench_client producer, consumer;
    struct bench_delays *out;
    rd_kafka_message_t *group; /* `burst` messages */
    char *values;              /* and their values, side by side */
    uint64_t id, count_from_us;
    atomic_bool stop;
    atomic_uint_fast64_t acknowledged, failed, received;
    bool single;
    sem_t progress; /* single: raised by each acknowledgement and each read */
    pthread_t ack_thread, read_thread;
    struct err_text why;
};

static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    struct run *r = opaque;
    uint64_t due_us = (uint64_t)(uintptr_t)message->_private;
    if (message->err) {
        if (!r->failed)
            err_say(&r->why, ERR_INTERNAL, "%s", r->producer.k->err2str(message->err));
        r->failed++;
    } else {
        if (due_us >= r->count_from_us)
            bench_hist_add(&r->out->acknowledged, clock_mono_us() - due_us);
        r->acknowledged++;
    }
    if (r->single)
        sem_post(&r->progress);
}

static void *ack_main(void *arg)
{
    struct run *r = arg;
    while (!r->stop)
        r->producer.k->poll(r->producer.rk, 100);
    return NULL;
}

static void take_record(struct run *r, const rd_kafka_message_t *message)
{
    struct mark mark;
    if (message->err || message->len < sizeof mark)
        return;
    memcpy(&mark, message->payload, sizeof mark);
    if (mark.run != r->id)
        return;
    if (mark.due_us >= r->count_from_us)
        bench_hist_add(&r->out->received, clock_mono_us() - mark.due_us);
    r->received++;
    if (r->single)
        sem_post(&r->progress);
}

static void *read_main(void *arg)
{
    struct run *r = arg;
    while (!r->stop) {
        rd_kafka_message_t *message = r->consumer.k->consumer_poll(r->consumer.rk, 100);
        if (!message)
            continue;
        take_record(r, message);
        r->consumer.k->message_destroy(message);
    }
    return NULL;
}

/* Sends n records that are due at the same instant; waits while librdkafka's queue is full. */
static void send_due(struct run *r, uint64_t due_us, int n)
{
    struct mark mark = {due_us, r->id};
    for (int i = 0; i < n; i++) {
        memcpy(r->group[i].payload, &mark, sizeof mark);
        r->group[i]._private = (void *)(uintptr_t)due_us;
    }
    const struct rdkafka *k = r->producer.k;
    for (int sent = 0; sent < n;) {
        int taken = k->produce_batch(r->producer.topic, PARTITION, RD_KAFKA_MSG_F_COPY,
                                     r->group + sent, n - sent);
        sent += taken;
        if (sent < n)
            clock_sleep_until_us(clock_mono_us() + 1000);
    }
    r->out->sent += (uint64_t)n;
}

/* When record i is due, us since the first. */
static uint64_t due_after_us(int64_t i, int64_t rate)
{
    return (uint64_t)(i / rate * 1000000 + i % rate * 1000000 / rate);
}

static void send_at_rate(struct run *r, uint64_t start_us)
{
    const struct bench_options *o = r->o;
    int64_t total = o->warmup_s * o->rate + (o->count ? o->count : o->seconds * o->rate);
    for (int64_t i = 0; i < total; i += o->burst) {
        uint64_t due_us = start_us + due_after_us(i, o->rate);
        if (clock_mono_us() < due_us)
            clock_sleep_until_us(due_us);
        send_due(r, due_us, (int)(total - i < o->burst ? total - i : o->burst));
    }
}

/* False: neither came in time. */
static bool wait_progress(struct run *r)
{
    uint64_t wall_ms = clock_wall_ms() + SINGLE_MS;
    struct timespec until = {.tv_sec = (time_t)(wall_ms / 1000)};
    return sem_timedwait(&r->progress, &until) == 0 && sem_timedwait(&r->progress, &until) == 0;
}

static void send_singly(struct run *r)
{
    uint64_t end_us = r->count_from_us + (uint64_t)r->o->seconds * 1000000;
    int64_t counted = 0;
    for (;;) {
        uint64_t now_us = clock_mono_us();
        if (r->o->count ? counted == r->o->count : now_us >= end_us)
            return;
        send_due(r, now_us, 1);
        counted += now_us >= r->count_from_us;
        if (!wait_progress(r) || r->failed)
            return;
    }
}

static void settle(struct run *r)
{
    uint64_t until_us = clock_mono_us() + FLUSH_MS * 1000ull;
    while (r->acknowledged + r->failed < r->out->sent && clock_mono_us() < until_us)
        clock_sleep_until_us(clock_mono_us() + 1000);
    until_us = clock_mono_us() + READ_REST_US;
    while (r->received < r->acknowledged && clock_mono_us() < until_us)
        clock_sleep_until_us(clock_mono_us() + 1000);
}

static void measure(struct run *r)
{
    uint64_t start_us = clock_mono_us(), cpu_us = clock_cpu_us();
    r->count_from_us = start_us + (uint64_t)r->o->warmup_s * 1000000;
    if (r->single)
        send_singly(r);
    else
        send_at_rate(r, start_us);
    r->out->seconds = (double)(clock_mono_us() - start_us) / 1e6;
    settle(r);
    r->out->cpu_seconds = (double)(clock_cpu_us() - cpu_us) / 1e6;
    r->out->failed = r->out->sent - r->acknowledged;
    r->out->lost =
        r->acknowledged - (r->received < r->acknowledged ? r->received : r->acknowledged);
}

static enum err start_reading(struct run *r, struct err_text *text)
{
    int64_t first, *offsets = mem_alloc((size_t)r->consumer.partitions * sizeof *offsets);
    for (int32_t i = 0; i < r->consumer.partitions; i++)
        offsets[i] = -1;
    enum err err = bench_client_range(&r->consumer, PARTITION, &first, &offsets[PARTITION], text);
    if (!err)
        err = bench_consumer_assign(&r->consumer, offsets, text);
    mem_free(offsets);
    return err;
}

static enum err run_threads(struct run *r, struct err_text *text)
{
    if (pthread_create(&r->ack_thread, NULL, ack_main, r))
        return err_say(text, ERR_MEMORY, "no thread for the acknowledgements");
    if (pthread_create(&r->read_thread, NULL, read_main, r)) {
        r->stop = true;
        pthread_join(r->ack_thread, NULL);
        return err_say(text, ERR_MEMORY, "no thread for the reader");
    }
    measure(r);
    r->stop = true;
    pthread_join(r->ack_thread, NULL);
    pthread_join(r->read_thread, NULL);
    return ERR_OK;
}

static void make_group(struct run *r)
{
    size_t n = (size_t)r->o->burst, size = (size_t)r->o->size;
    r->group = mem_zalloc(n, sizeof *r->group);
    r->values = mem_zalloc(n, size);
    for (size_t i = 0; i < n; i++) {
        r->group[i].payload = r->values + i * size;
        r->group[i].len = size;
    }
}

enum err bench_latency(const struct bench_options *o, bool single, struct bench_delays *out,
                       struct err_text *text)
{
    memset(out, 0, sizeof *out);
    struct bench_options quick = *o;
    quick.linger_ms = o->linger_ms == BENCH_LINGER_AUTO ? 0 : o->linger_ms;
    struct run r = {.o = &quick, .out = out, .single = single, .id = clock_mono_us()};
    sem_init(&r.progress, 0, 0);
    make_group(&r);
    enum err err = bench_producer_open(&r.producer, &quick, on_delivered, &r, text);
    if (!err)
        err = bench_consumer_open(&r.consumer, &quick, text);
    if (!err)
        err = start_reading(&r, text);
    if (!err)
        err = run_threads(&r, text);
    if (!err && r.why.s[0] && text)
        *text = r.why;
    bench_client_close(&r.producer);
    bench_client_close(&r.consumer);
    mem_free(r.group);
    mem_free(r.values);
    sem_destroy(&r.progress);
    return err;
}
