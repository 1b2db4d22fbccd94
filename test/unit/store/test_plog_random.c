/* Long random lives of one log beside the model: appends, undone turns, reads, finds, trims,
 * retention, checkpoints that overlap with appends, kills and power cuts. One seed, one life. */
#include "plog_world.h"

#include "base/mem.h"

#include <stdlib.h>

#define T0 1700000000000
#define STEPS 150

static struct pw w;

static uint64_t below(uint64_t n)
{
    return rng_below(&w.rng, n);
}

static int64_t some_time(void)
{
    return T0 + (int64_t)below(5000);
}

static void append_some(void)
{
    for (uint64_t n = 1 + below(6); n > 0; n--)
        pw_append(&w, 1 + (int)below(4), below(20) == 0 ? 20000 : below(900), some_time());
}

static void turn(void)
{
    size_t before = w.count;
    int64_t durable = w.next;
    bool marked = below(2) == 0, flush = below(3) > 0;
    if (below(10) == 0)
        w.epoch++;
    if (marked)
        plog_mark(w.log);
    append_some();
    if (flush)
        pw_flush(&w);
    if (below(4) == 0) /* what was durable before may be trimmed meanwhile */
        pw_set_start(&w, w.log_start + (int64_t)below((uint64_t)(durable - w.log_start) + 1));
    if (marked && below(3) == 0) {
        assert_int_equal(plog_undo(w.log), ERR_OK);
        pw_forget(&w, before);
        if (w.count > 0)
            w.epoch = w.batch[w.count - 1].head.leader_epoch;
        return;
    }
    if (below(4) == 0) { /* a second flush in one turn */
        append_some();
    }
    pw_flush(&w);
}

static int64_t some_offset(void)
{
    return w.log_start + (int64_t)below((uint64_t)(w.next - w.log_start) + 1);
}

static void reads(void)
{
    for (int i = 0; i < 10; i++) {
        int64_t from = some_offset() - (int64_t)below(2);
        pw_check_read(&w, from, below(2) ? w.next : some_offset(), below(30000), below(2));
        pw_check_time(&w, some_time(), below(2) ? w.next : some_offset());
    }
    pw_check_max_time(&w, below(2) ? w.next : some_offset());
}

static void follow(void)
{
    int64_t at = some_offset();
    for (int i = 0; i < 20 && at < w.next; i++) { /* a consumer that goes on where it was */
        struct chunkq q;
        int64_t next;
        chunkq_init(&q);
        size_t bytes = 1 + below(5000);
        pw_check_read(&w, at, w.next, bytes, true);
        assert_int_equal(plog_read(w.log, at, w.next, bytes, true, &q, &next), ERR_OK);
        chunkq_clear(&q);
        assert_true(next > at);
        at = next;
    }
}

static void checkpoint(void)
{
    struct plog_sync *data = below(2) ? plog_sync_begin_data(w.log) : NULL;
    struct plog_sync *sync = plog_sync_begin(w.log);
    size_t reached = w.flushed;
    bool ok = below(4) > 0;
    for (uint64_t n = below(3); n > 0; n--)
        turn();
    if (data) {
        assert_int_equal(plog_sync_run(data), ERR_OK);
        for (size_t i = 0; i < reached; i++)
            w.batch[i].data_synced = below(2);
    }
    if (ok && below(2)) {
        assert_int_equal(plog_sync_run(sync), ERR_OK);
    } else if (ok) {
        assert_int_equal(plog_sync_write(sync), ERR_OK);
        assert_int_equal(disk_sync_all(w.disk, w.parent), ERR_OK);
    }
    for (uint64_t n = below(3); n > 0; n--)
        turn();
    if (ok) {
        pw_take_state(&w, plog_sync_state(sync));
        w.journal = reached;
    }
    if (data && below(2)) {
        plog_sync_end(data, true);
        data = NULL;
    }
    plog_sync_end(sync, ok);
    if (data)
        plog_sync_end(data, true);
}

static void retention(void)
{
    struct store_log_conf conf = w.conf;
    conf.retention_bytes = below(2) ? (int64_t)below(200000) : -1;
    conf.retention_ms = below(4) ? -1 : 1000;
    plog_configure(w.log, &conf);
    int64_t start = plog_retention(w.log, (uint64_t)T0 + below(8000), w.next);
    assert_true(start <= w.next);
    pw_set_start(&w, start);
    plog_configure(w.log, &w.conf);
}

static void step(void)
{
    uint64_t what = below(100);
    if (what < 55)
        turn();
    else if (what < 70)
        reads();
    else if (what < 75)
        follow();
    else if (what < 80)
        pw_set_start(&w, some_offset());
    else if (what < 83)
        retention();
    else if (what < 90)
        checkpoint();
    else if (what < 93)
        plog_reap(w.log, (uint64_t)w.now_ms + below(2000));
    else if (what < 97)
        pw_crash(&w);
    else
        pw_check(&w);
}

static void life(uint64_t seed)
{
    pw_make(&w, seed);
    w.conf.index_interval_bytes = (uint32_t)below(3000);
    w.conf.segment_bytes = 4000 + (int64_t)below(40000);
    pw_open(&w);
    for (int i = 0; i < STEPS; i++)
        step();
    pw_check(&w);
    pw_crash(&w);
    pw_check(&w);
    pw_free(&w);
}

/* SEED=n lives that one, SEEDS=n the first n. */
static void lives(void **state)
{
    (void)state;
    const char *one = getenv("SEED"), *many = getenv("SEEDS");
    uint64_t n = many ? strtoull(many, NULL, 10) : 60;
    if (one)
        life(strtoull(one, NULL, 10));
    for (uint64_t seed = 1; seed <= n && !one; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        life(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lives)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
