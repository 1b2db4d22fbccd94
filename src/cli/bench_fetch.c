/* A consumer without a group reads its partitions from their beginning to what was their end when
 * it began, and throws the records away. The time runs from the first delivery to the last, and the
 * records of that first delivery are not counted, so that connecting is not part of the figure.
 */
#include "cli/bench_run.h"

#include "base/mem.h"
#include "cli/bench_client.h"
#include "io/clock.h"

enum {
    BATCH = 5000, /* records taken from librdkafka at once */
    WAIT_MS = 100,
    STALL_US = 30000000, /* without a record: give up */
};

/* Assigns every partition that holds something; *total is how many records there are. */
static enum err start_reading(struct bench_client *c, uint64_t *total, struct err_text *text)
{
    int64_t *offsets = mem_alloc((size_t)c->partitions * sizeof *offsets);
    enum err err = ERR_OK;
    *total = 0;
    for (int32_t i = 0; i < c->partitions && !err; i++) {
        int64_t next = 0;
        err = bench_client_range(c, i, &offsets[i], &next, text);
        *total += err ? 0 : (uint64_t)(next - offsets[i]);
        if (!err && next == offsets[i])
            offsets[i] = -1;
    }
    if (!err && !*total)
        err = err_say(text, ERR_NOT_FOUND, "topic '%s' is empty: `weir bench produce` fills it",
                      c->topic_name);
    if (!err)
        err = bench_consumer_assign(c, offsets, text);
    mem_free(offsets);
    return err;
}

/* Counts and frees what was delivered. */
static void count_batch(struct bench_client *c, rd_kafka_message_t **batch, ssize_t n,
                        struct bench_rate *out, struct err_text *text)
{
    for (ssize_t i = 0; i < n; i++) {
        if (batch[i]->err) {
            out->failed++;
            err_say(text, ERR_INTERNAL, "%s", c->k->err2str(batch[i]->err));
        } else {
            out->records++;
            out->bytes += batch[i]->len;
        }
        c->k->message_destroy(batch[i]);
    }
}

static enum err read_all(struct bench_client *c, uint64_t total, struct bench_rate *out,
                         struct err_text *text)
{
    rd_kafka_message_t **batch = mem_alloc(BATCH * sizeof(rd_kafka_message_t *));
    rd_kafka_queue_t *queue = c->k->queue_get_consumer(c->rk);
    uint64_t begun = clock_mono_us(), cpu_begun = clock_cpu_us(), last = begun, start = 0;
    uint64_t cpu = cpu_begun, before_start = 0, first_bytes = 0;
    bool stalled = false;
    while (before_start + out->records < total && !out->failed && !stalled) {
        uint64_t left = total - before_start - out->records;
        ssize_t n = c->k->consume_batch_queue(queue, WAIT_MS, batch, left < BATCH ? left : BATCH);
        count_batch(c, batch, n, out, text);
        uint64_t now = clock_mono_us();
        stalled = n <= 0 && now - last > STALL_US;
        last = n > 0 ? now : last;
        if (n > 0 && !start) {
            start = now;
            cpu = clock_cpu_us();
            before_start = out->records;
            first_bytes = out->bytes;
            out->records = out->bytes = 0;
        }
    }
    uint64_t got = before_start + out->records;
    if (!out->records) { /* all came in the first delivery */
        out->records = before_start;
        out->bytes = first_bytes;
        start = begun;
        cpu = cpu_begun;
    }
    out->seconds = (double)(last - start) / 1e6;
    out->cpu_seconds = (double)(clock_cpu_us() - cpu) / 1e6;
    c->k->queue_destroy(queue);
    mem_free(batch);
    if (stalled)
        return err_say(text, ERR_TIMED_OUT, "no record for 30 s, after %llu of %llu",
                       (unsigned long long)got, (unsigned long long)total);
    return ERR_OK;
}

/* limit 0: none. */
static uint64_t least(uint64_t total, int64_t limit)
{
    return limit && (uint64_t)limit < total ? (uint64_t)limit : total;
}

enum err bench_fetch(const struct bench_options *o, struct bench_rate *out, struct err_text *text)
{
    *out = (struct bench_rate){0};
    struct bench_client c;
    uint64_t total;
    enum err err = bench_consumer_open(&c, o, text);
    if (!err)
        err = start_reading(&c, &total, text);
    if (!err)
        err = read_all(&c, least(total, o->count), out, text);
    bench_client_close(&c);
    return err;
}
