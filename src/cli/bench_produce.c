/* Each producer is one librdkafka client with one thread, which hands records over in groups of
 * --stick to one partition after the other, and takes the delivery reports in between. All records
 * share one payload, which is not copied: what is measured is the broker, so the generator should
 * cost little. The time ends with the last acknowledgement.
 */
#include "cli/bench_run.h"

#include "base/mem.h"
#include "cli/bench_client.h"
#include "io/clock.h"

#include <pthread.h>
#include <string.h>

enum {
    FLUSH_MS = 60000,
};

struct producer {
    const struct bench_options *o;
    struct bench_client client;
    rd_kafka_message_t *group; /* `stick` messages */
    uint64_t quota;            /* records to send; 0: until until_us */
    uint64_t until_us;
    uint64_t sent, acknowledged, failed, last_ack_us;
    pthread_t thread;
    struct err_text why; /* of the first failed record */
};

static void failed(struct producer *p, uint64_t records, rd_kafka_resp_err_t code)
{
    if (!p->failed)
        snprintf(p->why.s, sizeof p->why.s, "%s", p->client.k->err2str(code));
    p->failed += records;
}

static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    struct producer *p = opaque;
    if (message->err)
        failed(p, 1, message->err);
    else
        p->acknowledged++;
}

static void take_reports(struct producer *p, int wait_ms)
{
    uint64_t before = p->acknowledged;
    p->client.k->poll(p->client.rk, wait_ms);
    if (p->acknowledged != before)
        p->last_ack_us = clock_mono_us();
}

/* librdkafka's queue is full: waits until there is room for many, not for one. Ends at the latest
 * when librdkafka gives the records up (message.timeout.ms). */
static void wait_room(struct producer *p)
{
    while (p->client.k->outq_len(p->client.rk) > BENCH_QUEUE_MAX / 4 * 3)
        take_reports(p, 10);
}

/* Hands over up to n records; what does not fit in librdkafka's queue is not sent. */
static void send_group(struct producer *p, int32_t partition, int n)
{
    int taken = p->client.k->produce_batch(p->client.topic, partition, 0, p->group, n);
    p->sent += (uint64_t)taken;
    for (int i = 0; i < n && taken < n; i++) {
        rd_kafka_resp_err_t code = p->group[i].err;
        if (code && code != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            failed(p, 1, code);
            p->sent++;
        }
        p->group[i].err = 0;
    }
    take_reports(p, 0);
    if (taken < n)
        wait_room(p);
}

static void *producer_main(void *arg)
{
    struct producer *p = arg;
    int32_t partition = 0;
    int stick = (int)p->o->stick;
    while (p->quota ? p->sent < p->quota : clock_mono_us() < p->until_us) {
        uint64_t left = p->quota ? p->quota - p->sent : (uint64_t)stick;
        send_group(p, partition, left < (uint64_t)stick ? (int)left : stick);
        partition = (partition + 1) % p->client.partitions;
    }
    uint64_t patience_us = clock_mono_us() + FLUSH_MS * 1000ull;
    while (p->client.k->outq_len(p->client.rk) > 0 && clock_mono_us() < patience_us)
        take_reports(p, 100);
    return NULL;
}

static void fill_group(struct producer *p, const struct bench_options *o, void *payload)
{
    p->group = mem_zalloc((size_t)o->stick, sizeof *p->group);
    for (int64_t i = 0; i < o->stick; i++) {
        p->group[i].payload = payload;
        p->group[i].len = (size_t)o->size;
    }
}

static void run_all(struct producer *all, const struct bench_options *o, struct bench_rate *out,
                    struct err_text *text)
{
    uint64_t start = clock_mono_us(), cpu = clock_cpu_us(), last = start;
    for (int64_t i = 0; i < o->producers; i++) {
        all[i].quota = (uint64_t)(o->count / o->producers + (i < o->count % o->producers));
        all[i].until_us = start + (uint64_t)o->seconds * 1000000;
        if (pthread_create(&all[i].thread, NULL, producer_main, &all[i]))
            err_say(text, ERR_MEMORY, "no thread for producer %d", (int)i);
    }
    for (int64_t i = 0; i < o->producers; i++) {
        struct producer *p = &all[i];
        pthread_join(p->thread, NULL);
        out->records += p->acknowledged;
        out->failed += p->sent - p->acknowledged;
        last = p->last_ack_us > last ? p->last_ack_us : last;
        if (p->why.s[0])
            *text = p->why;
    }
    out->bytes = out->records * (uint64_t)o->size;
    out->seconds = (double)(last - start) / 1e6;
    out->cpu_seconds = (double)(clock_cpu_us() - cpu) / 1e6;
}

enum err bench_produce(const struct bench_options *o, struct bench_rate *out, struct err_text *text)
{
    *out = (struct bench_rate){0};
    struct producer *all = mem_zalloc((size_t)o->producers, sizeof *all);
    char *payload = mem_alloc((size_t)o->size);
    for (int64_t i = 0; i < o->size; i++)
        payload[i] = (char)('a' + i % 26);
    enum err err = ERR_OK;
    int64_t opened = 0;
    while (opened < o->producers && !err) {
        struct producer *p = &all[opened++];
        p->o = o;
        fill_group(p, o, payload);
        err = bench_producer_open(&p->client, o, on_delivered, p, text);
    }
    if (!err)
        run_all(all, o, out, text);
    for (int64_t i = 0; i < opened; i++) {
        bench_client_close(&all[i].client);
        mem_free(all[i].group);
    }
    mem_free(payload);
    mem_free(all);
    return err;
}
