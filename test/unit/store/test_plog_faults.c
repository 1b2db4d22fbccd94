/* Every step that can fail does, in turn: the N-th disk call, the N-th sync, a disk that is full
 * from the N-th write on, a power cut in the N-th call. What was acknowledged is there afterwards,
 * what failed left no trace. */
#include "plog_world.h"

#include "base/mem.h"

#include <string.h>

#define T0 1700000000000
#define CALLS_MAX 2000

static struct pw w;
static unsigned errors;

static void set_faults(struct sim_disk_faults faults)
{
    sim_disk_set_faults(w.sim, &faults);
}

/* As pw_append, but the append may fail. */
static bool append(int n)
{
    for (int i = 0; i < n; i++) {
        size_t at = w.count;
        struct slice bytes;
        struct batch_builder b;
        char value[300];
        if (at == w.cap) {
            w.cap = w.cap ? w.cap * 2 : 64;
            w.batch = mem_realloc(w.batch, w.cap * sizeof *w.batch);
        }
        memset(value, 'a' + (int)(at % 26), sizeof value);
        batch_begin(&b, 0);
        batch_add(&b, T0 + (int64_t)at * 3, STR_LIT("k"), (struct str){value, sizeof value}, NULL,
                  0);
        bytes = batch_end(&b);
        batch_set_offset(bytes.buf->data, w.next);
        batch_set_leader_epoch(bytes.buf->data, w.epoch);
        w.batch[at] = (struct pw_batch){.bytes = bytes, .append_ms = T0 + (int64_t)at};
        w.count++;
        assert_int_equal(batch_head_read(bytes.at, bytes.len, &w.batch[at].head), ERR_OK);
        if (plog_append(w.log, &w.batch[at].head, bytes, w.batch[at].append_ms,
                        &w.batch[at].place) != ERR_OK)
            return false;
        w.next = batch_next_offset(&w.batch[at].head);
    }
    return true;
}

/* A turn as the store makes it: all of it, or nothing. */
static void turn(int n)
{
    size_t before = w.count;
    plog_mark(w.log);
    if (append(n) && plog_flush(w.log) == ERR_OK) {
        w.flushed = w.count;
        return;
    }
    errors++;
    if (plog_undo(w.log) != ERR_OK)
        errors++; /* the tail could not be cut back: it is overwritten or cut later */
    pw_forget(&w, before);
    assert_int_equal(plog_next_offset(w.log), w.next);
}

/* Without a mark: a flush that fails takes back what was queued. */
static void plain_turn(int n)
{
    size_t before = w.count;
    if (!append(n)) { /* an append that fails queued nothing; the others are written */
        errors++;
        slice_unref(w.batch[--w.count].bytes);
    }
    if (plog_flush(w.log) != ERR_OK) {
        errors++;
        pw_forget(&w, before);
    }
    w.flushed = w.count;
    assert_int_equal(plog_next_offset(w.log), w.next);
}

static void checkpoint(void)
{
    struct plog_sync *sync = plog_sync_begin(w.log);
    enum err err = plog_sync_run(sync);
    if (!err) {
        pw_take_state(&w, plog_sync_state(sync));
        w.journal = w.flushed;
    } else {
        errors++;
    }
    plog_sync_end(sync, err == ERR_OK);
}

static void find(void)
{
    struct chunkq q;
    int64_t next, offset, ts;
    int32_t epoch;
    chunkq_init(&q);
    errors += plog_read(w.log, w.log_start, w.next, 3000, true, &q, &next) != ERR_OK;
    chunkq_clear(&q);
    errors += plog_find_time(w.log, T0 + 50, w.next, &offset, &ts, &epoch) != ERR_OK;
}

static bool reopen(void)
{
    pw_close(&w);
    if (pw_try_open(&w) != ERR_OK) {
        errors++;
        return false;
    }
    for (size_t i = w.journal; i < w.flushed; i++) {
        struct pw_batch *b = &w.batch[i];
        if (plog_replay(w.log, b->place, &b->head, b->bytes.at, b->append_ms) != ERR_OK) {
            errors++;
            return false;
        }
    }
    if (plog_replay_end(w.log) != ERR_OK) {
        errors++;
        return false;
    }
    return true;
}

/* What a log goes through; a fault may hit anywhere. */
static void script(void *arg)
{
    (void)arg;
    turn(3);
    plain_turn(40);
    checkpoint();
    turn(60);
    find();
    plain_turn(5);
    pw_set_start(&w, w.flushed > 60 ? w.batch[60].head.base_offset : 0);
    plog_reap(w.log, UINT64_MAX);
    checkpoint();
    turn(50);
    find();
    if (!reopen()) {
        set_faults((struct sim_disk_faults){0}); /* as an operator would start it again */
        assert_true(reopen());
    }
    turn(10);
    checkpoint();
    plain_turn(10);
}

static void begin(uint64_t seed)
{
    pw_make(&w, seed);
    pw_open(&w);
    errors = 0;
}

/* The log goes on after the fault, and so it does after a restart. */
static void verify(void)
{
    set_faults((struct sim_disk_faults){0});
    pw_check(&w);
    turn(30);
    pw_check(&w);
    pw_crash(&w);
    pw_check(&w);
    checkpoint();
    pw_crash(&w);
    pw_check(&w);
}

typedef struct sim_disk_faults fault_at(uint32_t n);

static struct sim_disk_faults any_call(uint32_t n)
{
    return (struct sim_disk_faults){.fail_any_after = n};
}

static struct sim_disk_faults one_write(uint32_t n)
{
    return (struct sim_disk_faults){.fail_write_after = n};
}

static struct sim_disk_faults one_sync(uint32_t n)
{
    return (struct sim_disk_faults){.fail_sync_after = n};
}

static struct sim_disk_faults full(uint32_t n)
{
    return (struct sim_disk_faults){.full_after = n};
}

static void every_n(fault_at *fault, uint32_t at_least)
{
    uint32_t n = 1, hit = 0;
    for (; n < CALLS_MAX; n++) {
        begin(n);
        set_faults(fault(n));
        script(NULL);
        bool none = errors == 0;
        hit += !none;
        verify();
        pw_free(&w);
        if (none && n > at_least)
            break;
    }
    assert_true(n < CALLS_MAX);
    assert_true(hit >= at_least / 4); /* some calls may fail without harm: a rename, a spill */
}

static void nth_call_fails(void **state)
{
    (void)state;
    every_n(any_call, 200);
}

static void nth_write_fails(void **state)
{
    (void)state;
    every_n(one_write, 30);
}

static void nth_sync_fails(void **state)
{
    (void)state;
    every_n(one_sync, 20);
}

static void full_from_the_nth_write_on(void **state)
{
    (void)state;
    every_n(full, 30);
}

/* In a child: what the cut program had allocated is never freed. */
static void cut_lives(void *arg)
{
    (void)arg;
    bool cut = true;
    for (uint32_t n = 1; cut; n++) {
        assert_true(n < CALLS_MAX);
        for (uint64_t seed = 1; seed <= 3; seed++) {
            begin(seed * 1000 + n);
            set_faults((struct sim_disk_faults){.cut_after = n});
            cut = !sim_try(w.sim, script, NULL);
            if (cut) {
                w.log = NULL;
                w.files = plog_files_make(4);
                pw_forget(&w, w.flushed);
                pw_open(&w);
                pw_replay(&w);
            }
            verify();
            pw_free(&w);
        }
    }
}

static void power_cut_in_the_nth_call(void **state)
{
    (void)state;
    assert_int_equal(check_child_status(cut_lives, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nth_call_fails),
        cmocka_unit_test(nth_write_fails),
        cmocka_unit_test(nth_sync_fails),
        cmocka_unit_test(full_from_the_nth_write_on),
        cmocka_unit_test(power_cut_in_the_nth_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
