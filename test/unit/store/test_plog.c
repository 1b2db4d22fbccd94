/* A log on the real disk and on the simulated one: the same tests. */
#include "plog_world.h"

#include "base/list.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define T0 1700000000000

static struct pw w;

static int make_real(void **state)
{
    (void)state;
    pw_make(&w, 0);
    pw_open(&w);
    return 0;
}

static int make_sim(void **state)
{
    (void)state;
    pw_make(&w, 7);
    pw_open(&w);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    pw_free(&w);
    return 0;
}

struct name_count {
    const char *ending;
    int n;
};

static void count_name(void *arg, const char *name, bool is_dir)
{
    struct name_count *c = arg;
    size_t n = strlen(name), e = strlen(c->ending);
    (void)is_dir;
    c->n += n >= e && strcmp(name + n - e, c->ending) == 0;
}

static int files_ending(const char *ending)
{
    struct name_count c = {ending, 0};
    enum err err = disk_list(w.disk, w.dir, count_name, &c);
    return err == ERR_NOT_FOUND ? -1 : c.n;
}

static uint64_t file_size(const char *name)
{
    char path[256];
    struct disk_file *f;
    uint64_t size;
    snprintf(path, sizeof path, "%s/%s", w.dir, name);
    assert_int_equal(disk_open(w.disk, path, DISK_READ, &f), ERR_OK);
    assert_int_equal(disk_size(f, &size), ERR_OK);
    disk_close(f);
    return size;
}

/* Bit rot. */
static void flip(const char *ending, int64_t base, uint64_t at)
{
    char path[256];
    struct disk_file *f;
    uint8_t b;
    size_t got;
    snprintf(path, sizeof path, "%s/%020" PRId64 "%s", w.dir, base, ending);
    assert_int_equal(disk_open(w.disk, path, DISK_READ | DISK_WRITE, &f), ERR_OK);
    assert_int_equal(disk_read(f, &b, 1, at, &got), ERR_OK);
    assert_int_equal(got, 1);
    b ^= 0x40;
    assert_int_equal(disk_write(f, &b, 1, at), ERR_OK);
    disk_close(f);
}

static void empty_log_has_no_files(void **state)
{
    (void)state;
    struct chunkq q;
    int64_t next;
    chunkq_init(&q);
    assert_int_equal(files_ending(""), -1);
    assert_int_equal(plog_read(w.log, 0, 0, 100, true, &q, &next), ERR_OK);
    assert_int_equal(q.bytes, 0);
    assert_int_equal(plog_read(w.log, 1, 1, 100, true, &q, &next), ERR_OFFSET_RANGE);
    assert_int_equal(plog_flush(w.log), ERR_OK);
    assert_false(plog_dirty(w.log));
    assert_int_equal(plog_epoch(w.log), -1);
    pw_check(&w);
    pw_checkpoint(&w);
    assert_int_equal(files_ending(""), -1);
    pw_crash(&w);
    pw_check(&w);
}

static void append_and_read(void **state)
{
    (void)state;
    pw_append(&w, 3, 100, T0);
    assert_int_equal(w.batch[0].place.segment, 0);
    assert_int_equal(w.batch[0].place.at, 0);
    assert_int_equal(files_ending(""), -1); /* queued only */
    pw_append(&w, 1, 0, T0 + 5);
    assert_int_equal(w.batch[1].place.at, w.batch[0].bytes.len);
    pw_flush(&w);
    assert_int_equal(files_ending(".log"), 1);
    assert_int_equal(plog_bytes(w.log), w.batch[0].bytes.len + w.batch[1].bytes.len);
    assert_true(plog_dirty(w.log));
    pw_check(&w);
    pw_check_read(&w, 0, 3, 10000, false);
    pw_check_read(&w, 0, 2, 10000, false); /* the batch reaches over the limit */
    pw_check_read(&w, 1, 4, 10000, false); /* inside of a batch */
}

static void segments_roll(void **state)
{
    (void)state;
    pw_fill(&w, 100, 1000);
    assert_true(plog_segments(w.log) > 5);
    assert_int_equal(files_ending(".log"), plog_segments(w.log));
    for (size_t i = 1; i < w.count; i++) {
        bool same = w.batch[i].place.segment == w.batch[i - 1].place.segment;
        if (!same)
            assert_int_equal(w.batch[i].place.segment, w.batch[i].head.base_offset);
        assert_int_equal(w.batch[i].place.at,
                         same ? w.batch[i - 1].place.at + w.batch[i - 1].bytes.len : 0);
        assert_true(w.batch[i].place.at + w.batch[i].bytes.len <= 16 << 10);
    }
    pw_check(&w);
    pw_checkpoint(&w);
    pw_check(&w);
    pw_crash(&w);
    pw_check(&w);
}

static void rolls_by_age(void **state)
{
    (void)state;
    w.conf.segment_ms = 1000;
    plog_configure(w.log, &w.conf);
    pw_fill(&w, 2, 10);
    assert_int_equal(plog_segments(w.log), 1);
    w.now_ms += 1100;
    pw_fill(&w, 1, 10);
    assert_int_equal(plog_segments(w.log), 2);
    pw_crash(&w);
    w.now_ms += 1100; /* the first append time comes from the sidecar, or the journal */
    pw_fill(&w, 1, 10);
    assert_int_equal(plog_segments(w.log), 3);
    pw_checkpoint(&w);
    pw_crash(&w);
    w.now_ms += 500;
    pw_fill(&w, 1, 10);
    assert_int_equal(plog_segments(w.log), 3);
    w.now_ms += 600;
    pw_fill(&w, 1, 10);
    assert_int_equal(plog_segments(w.log), 4);
    pw_check(&w);
}

static void append_time_that_does_not_fit(void **state)
{
    (void)state;
    pw_fill(&w, 1, 10);
    w.now_ms += INT64_C(0x80000000);
    pw_fill(&w, 1, 10);
    w.now_ms -= INT64_C(0x100000000);
    pw_fill(&w, 1, 10);
    assert_int_equal(plog_segments(w.log), 3);
    pw_check(&w);
}

static void batch_larger_than_a_segment(void **state)
{
    (void)state;
    pw_fill(&w, 2, 100);
    pw_fill(&w, 1, 40000);
    pw_fill(&w, 2, 100);
    assert_int_equal(plog_segments(w.log), 3);
    pw_check(&w);
    pw_check_read(&w, 2, 5, 1000, true);
    pw_check_read(&w, 2, 5, 1000, false);
    pw_check_read(&w, 0, 5, 40000, false);
}

static void reads_of_every_size(void **state)
{
    (void)state;
    pw_fill(&w, 60, 700);
    for (size_t bytes = 0; bytes < 20000; bytes += 331)
        for (int64_t from = 0; from < 60; from += 7) {
            pw_check_read(&w, from, w.next, bytes, false);
            pw_check_read(&w, from, 50, bytes, true);
        }
}

static void reopens_from_a_checkpoint(void **state)
{
    (void)state;
    pw_fill(&w, 50, 500);
    pw_checkpoint(&w);
    assert_false(plog_dirty(w.log));
    pw_close(&w);
    pw_open(&w);
    assert_int_equal(plog_next_offset(w.log), w.next);
    pw_check(&w); /* without plog_replay_end */
    pw_fill(&w, 50, 500);
    pw_check(&w);
}

static void cuts_what_nobody_knows(void **state)
{
    (void)state;
    pw_fill(&w, 20, 500);
    pw_checkpoint(&w);
    size_t known = w.count;
    uint32_t segments = plog_segments(w.log);
    pw_fill(&w, 80, 500); /* written, never acknowledged: not in the journal */
    pw_close(&w);
    pw_forget(&w, known);
    pw_open(&w);
    pw_check(&w);
    assert_true(files_ending(".log") > (int)segments);
    assert_int_equal(plog_replay_end(w.log), ERR_OK);
    assert_int_equal(files_ending(".log"), segments);
    char name[64];
    snprintf(name, sizeof name, "%020" PRId64 ".log", w.state->synced.segment);
    assert_int_equal(file_size(name), w.state->synced.at);
    pw_check(&w);
    pw_fill(&w, 80, 400);
    pw_check(&w);
    pw_checkpoint(&w);
    pw_crash(&w);
    pw_check(&w);
}

static void replay_without_any_checkpoint(void **state)
{
    (void)state;
    pw_fill(&w, 60, 500);
    pw_crash(&w);
    pw_check(&w);
    pw_fill(&w, 10, 500);
    pw_crash(&w);
    pw_check(&w);
}

static void replay_refuses_a_hole(void **state)
{
    (void)state;
    pw_fill(&w, 20, 500);
    pw_close(&w);
    pw_open(&w);
    struct pw_batch *b = &w.batch[3];
    assert_int_equal(plog_replay(w.log, b->place, &b->head, b->bytes.at, 0), ERR_CORRUPT);
    b = &w.batch[0];
    assert_int_equal(plog_replay(w.log, b->place, &b->head, b->bytes.at, b->append_ms), ERR_OK);
    b = &w.batch[2];
    assert_int_equal(plog_replay(w.log, b->place, &b->head, b->bytes.at, 0), ERR_CORRUPT);
    struct plog_place place = {w.batch[1].place.segment, w.batch[1].place.at + 1};
    b = &w.batch[1];
    assert_int_equal(plog_replay(w.log, place, &b->head, b->bytes.at, 0), ERR_CORRUPT);
    pw_replay(&w);
    pw_check(&w);
}

static void references(void **state)
{
    (void)state;
    pw_fill(&w, 20, 500);
    struct plog_sync *sync = plog_sync_begin_data(w.log);
    assert_int_equal(plog_sync_run(sync), ERR_OK);
    plog_sync_end(sync, true);
    for (size_t i = 0; i < w.count; i++)
        w.batch[i].data_synced = i % 3 != 0;
    pw_crash(&w);
    pw_check(&w);
    pw_close(&w);
    pw_open(&w);
    struct pw_batch *b = &w.batch[0];
    uint32_t crc = b->head.crc, n = b->head.bytes;
    assert_int_equal(plog_replay_ref(w.log, b->place, n, crc ^ 1, 0), ERR_CORRUPT);
    assert_int_equal(plog_replay_ref(w.log, b->place, n - 1, crc, 0), ERR_CORRUPT);
    assert_int_equal(plog_replay_ref(w.log, (struct plog_place){999, 0}, n, crc, 0), ERR_CORRUPT);
    flip(".log", b->place.segment, b->place.at + n - 1);
    assert_int_equal(plog_replay_ref(w.log, b->place, n, crc, 0), ERR_CORRUPT);
    flip(".log", b->place.segment, b->place.at + n - 1);
    assert_int_equal(plog_replay_ref(w.log, b->place, n, crc, b->append_ms), ERR_OK);
    pw_replay(&w);
    pw_check(&w);
}

static void short_segment_is_corruption(void **state)
{
    (void)state;
    char path[256];
    struct disk_file *f;
    struct err_text text = {""};
    pw_fill(&w, 50, 500);
    pw_checkpoint(&w);
    pw_close(&w);
    snprintf(path, sizeof path, "%s/%020" PRId64 ".log", w.dir, w.state->synced.segment);
    assert_int_equal(disk_open(w.disk, path, DISK_WRITE, &f), ERR_OK);
    assert_int_equal(disk_truncate(f, w.state->synced.at - 1), ERR_OK);
    disk_close(f);
    assert_int_equal(plog_open(w.disk, w.dir, &w.conf, w.state, &w.log, &text), ERR_CORRUPT);
    assert_non_null(strstr(text.s, path));
    assert_int_equal(disk_unlink(w.disk, path), ERR_OK);
    assert_int_equal(plog_open(w.disk, w.dir, &w.conf, w.state, &w.log, &text), ERR_CORRUPT);
    w.log = NULL;
}

static void log_start_and_deletion(void **state)
{
    (void)state;
    pw_fill(&w, 100, 500);
    int64_t base = w.batch[99].place.segment;
    struct chunkq q;
    int64_t next;
    chunkq_init(&q);
    assert_int_equal(plog_read(w.log, 0, w.next, 1000, true, &q, &next), ERR_OK);
    pw_set_start(&w, 40);
    pw_check(&w);
    assert_true(files_ending(".log.deleted") > 0);
    pw_set_start(&w, 30); /* never back */
    assert_int_equal(plog_start(w.log), 40);

    struct disk_file *file = container_of(q.head->file, struct disk_file, ref);
    uint8_t p[10];
    size_t got;
    assert_int_equal(disk_read(file, p, sizeof p, q.head->at, &got), ERR_OK);
    assert_memory_equal(p, w.batch[0].bytes.at, sizeof p);
    chunkq_clear(&q);

    assert_int_equal(plog_reap(w.log, (uint64_t)w.now_ms), (uint64_t)w.now_ms + 1000);
    assert_true(files_ending(".log.deleted") > 0);
    assert_int_equal(plog_reap(w.log, (uint64_t)w.now_ms + 1000), 0);
    assert_int_equal(files_ending(".deleted"), 0);

    pw_set_start(&w, w.next);
    pw_check(&w);
    assert_int_equal(plog_segments(w.log), 1); /* the active one stays */
    assert_int_equal(w.batch[99].place.segment, base);
    pw_crash(&w);
    pw_check(&w);
    pw_fill(&w, 50, 500);
    pw_checkpoint(&w);
    pw_check(&w);
    pw_set_start(&w, w.next - 3);
    pw_crash(&w);
    pw_check(&w);
}

static void log_start_behind_what_is_left(void **state)
{
    (void)state;
    pw_fill(&w, 50, 500);
    pw_checkpoint(&w);
    pw_fill(&w, 50, 500);
    pw_set_start(&w, 90);
    pw_close(&w);
    pw_forget(&w, 50); /* nothing was promised for the later ones, and the journal lost them */
    pw_open(&w);
    pw_replay(&w);
    w.next = 90;
    assert_int_equal(plog_next_offset(w.log), 90);
    assert_int_equal(plog_start(w.log), 90);
    assert_int_equal(files_ending(".log"), 0);
    pw_fill(&w, 5, 100);
    pw_check_read(&w, 90, 95, 10000, false);
}

static void retention_by_size(void **state)
{
    (void)state;
    pw_fill(&w, 100, 500);
    assert_int_equal(plog_retention(w.log, (uint64_t)w.now_ms, w.next), 0);
    w.conf.retention_bytes = 30000;
    plog_configure(w.log, &w.conf);
    assert_int_equal(plog_retention(w.log, (uint64_t)w.now_ms, 1), 0); /* not durable yet */
    int64_t start = plog_retention(w.log, (uint64_t)w.now_ms, w.next);
    assert_true(start > 0);
    pw_set_start(&w, start);
    assert_true(plog_bytes(w.log) >= 30000 && plog_bytes(w.log) < 30000 + (16 << 10));
    pw_check(&w);
}

static void retention_by_time(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        pw_append(&w, 1, 500, T0 + i * 1000);
    pw_flush(&w);
    w.conf.retention_ms = 50000;
    plog_configure(w.log, &w.conf);
    uint64_t now = (uint64_t)T0 + 100000;
    int64_t start = plog_retention(w.log, now, w.next);
    assert_true(start > 20 && start <= 50);
    for (size_t i = 0; i < w.count; i++) /* a segment's last batch decides */
        if (w.batch[i].head.base_offset < start)
            assert_true(now - (uint64_t)w.batch[i].head.max_timestamp > 50000);
    pw_set_start(&w, start);
    pw_check(&w);
    uint32_t segments = plog_segments(w.log);
    assert_true(segments > 1);

    /* all of it: the active segment is rolled first */
    start = plog_retention(w.log, now + 100000, w.next);
    assert_int_equal(start, w.next);
    pw_set_start(&w, start);
    assert_int_equal(plog_segments(w.log), 0);
    assert_int_equal(plog_bytes(w.log), 0);
    pw_checkpoint(&w);
    pw_crash(&w);
    pw_check(&w);
    pw_fill(&w, 3, 100);
    assert_int_equal(w.batch[w.count - 3].place.segment, start);
    pw_check(&w);
}

static void retention_without_timestamps(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        pw_append(&w, 1, 500, -10); /* at most -6: none */
    pw_flush(&w);
    w.conf.retention_ms = 50000;
    plog_configure(w.log, &w.conf);
    assert_int_equal(plog_retention(w.log, (uint64_t)w.now_ms + 49800, w.next) < w.next, true);
    assert_int_equal(plog_retention(w.log, (uint64_t)w.now_ms + 60000, w.next), w.next);
}

static void times_out_of_order(void **state)
{
    (void)state;
    for (int i = 0; i < 150; i++)
        pw_append(&w, 1 + i % 4, 200, T0 + (i * 7919) % 1000);
    pw_flush(&w);
    for (int round = 0; round < 2; round++) {
        for (int64_t ts = T0 - 1; ts < T0 + 1010; ts += 13) {
            pw_check_time(&w, ts, w.next);
            pw_check_time(&w, ts, w.next / 2);
        }
        pw_check_max_time(&w, w.next);
        pw_check_max_time(&w, w.next / 3);
        pw_checkpoint(&w); /* the second round reads the files' indexes */
        pw_crash(&w);
    }
    pw_set_start(&w, w.next / 2 + 1);
    for (int64_t ts = T0 - 1; ts < T0 + 1010; ts += 13)
        pw_check_time(&w, ts, w.next);
    pw_check_max_time(&w, w.next);
    pw_check_max_time(&w, w.log_start + 1);
}

static void epochs(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        w.epoch = 1 + i * 3;
        pw_fill(&w, 10, 300);
    }
    assert_int_equal(plog_epoch(w.log), 28);
    pw_check(&w);
    pw_crash(&w);
    pw_check(&w);
    pw_checkpoint(&w);
    pw_crash(&w);
    pw_check(&w);
    pw_set_start(&w, 35);
    pw_check(&w);
    int32_t epoch;
    int64_t end;
    plog_epoch_end(w.log, 3, &epoch, &end); /* before the first that is left */
    assert_int_equal(epoch, 3);
    assert_int_equal(end, 35);
    plog_epoch_end(w.log, 1000, &epoch, &end);
    assert_int_equal(epoch, 28);
    assert_int_equal(end, 100);
}

static void undo(void **state)
{
    (void)state;
    pw_fill(&w, 20, 500);
    int32_t epoch = w.epoch;
    for (int n = 0; n < 60; n += 6) {
        size_t before = w.count;
        uint64_t bytes = plog_bytes(w.log);
        uint32_t segments = plog_segments(w.log);
        plog_mark(w.log);
        w.epoch = epoch + 1;
        for (int i = 0; i < n; i++)
            pw_append(&w, 1, 500, T0 + 999999);
        if (n % 4 == 0)
            pw_flush(&w);
        if (n % 8 == 0)
            pw_append(&w, 2, 100, T0);
        w.epoch = epoch;
        assert_int_equal(plog_undo(w.log), ERR_OK);
        pw_forget(&w, before);
        w.flushed = before;
        assert_int_equal(plog_bytes(w.log), bytes);
        assert_int_equal(plog_segments(w.log), segments);
        pw_check(&w);
        plog_mark(w.log);
        pw_fill(&w, 3, 400);
        pw_check(&w);
    }
    pw_checkpoint(&w);
    pw_check(&w);
    pw_crash(&w);
    pw_check(&w);
}

static void broken_indexes_are_rebuilt(void **state)
{
    (void)state;
    pw_fill(&w, 100, 300);
    pw_checkpoint(&w);
    int64_t bases[] = {0, w.state->synced.segment};
    for (int i = 0; i < 2; i++) {
        pw_close(&w);
        flip(".index", bases[i], 3);
        flip(".timeindex", bases[i], 7);
        pw_open(&w);
        for (int64_t from = 0; from < w.next; from++)
            pw_check_read(&w, from, w.next, 1, true);
        for (int64_t ts = T0; ts < T0 + 1100; ts += 37)
            pw_check_time(&w, ts, w.next);
        pw_checkpoint(&w);
        pw_check(&w);
    }
    pw_close(&w);
    flip(".append", 0, 16 + 12);
    w.times_lost = true;
    pw_open(&w);
    assert_int_equal(plog_replay_end(w.log), ERR_OK);
    pw_check_read(&w, 0, w.next, SIZE_MAX, false);
    pw_checkpoint(&w);
}

static void state_without_entries(void **state)
{
    (void)state;
    pw_fill(&w, 100, 300);
    pw_checkpoint(&w);
    w.state->active = (struct plog_entries){0};
    pw_crash(&w);
    pw_check(&w);
    pw_fill(&w, 100, 300);
    pw_checkpoint(&w);
    pw_check(&w);
}

static void noted(void *arg, const char *file, uint64_t at, const char *what)
{
    (void)at;
    snprintf(arg, 400, "%s: %s", file, what);
}

static void check_finds(void **state)
{
    (void)state;
    struct plog_check_result r;
    char text[400];
    pw_fill(&w, 100, 300);
    pw_checkpoint(&w);
    assert_int_equal(plog_check(w.disk, w.dir, w.state, noted, text, &r), ERR_OK);
    assert_int_equal(r.faults, 0);
    assert_int_equal(r.batches, 100);
    assert_int_equal(r.bytes, plog_bytes(w.log));
    assert_int_equal(r.next_offset, 100);
    assert_int_equal(plog_check(w.disk, w.dir, NULL, noted, text, &r), ERR_OK);
    assert_int_equal(r.faults, 0);
    assert_int_equal(r.batches, 100);

    static const struct {
        const char *ending, *what;
        uint64_t at;
    } rot[] = {
        {".log", "CRC does not match its bytes", 100},
        {".log", "CRC over the batch's head", 15}, /* the leader epoch */
        {".log", "no whole batch", 16},
        {".index", "not the one in the manifest", 0},
        {".timeindex", "not the one in the manifest", 5},
        {".append", "not the one in the manifest", 24},
    };
    for (size_t i = 0; i < sizeof rot / sizeof *rot; i++) {
        text[0] = '\0';
        flip(rot[i].ending, 0, rot[i].at);
        assert_int_equal(plog_check(w.disk, w.dir, w.state, noted, text, &r), ERR_OK);
        assert_true(r.faults > 0);
        if (i < 3)
            assert_non_null(strstr(text, rot[i].what));
        flip(rot[i].ending, 0, rot[i].at);
    }
    /* without a manifest the entries are held against the batches */
    for (size_t i = 3; i < sizeof rot / sizeof *rot; i++) {
        flip(rot[i].ending, 0, rot[i].at);
        assert_int_equal(plog_check(w.disk, w.dir, NULL, noted, text, &r), ERR_OK);
        assert_true(r.faults > 0);
        flip(rot[i].ending, 0, rot[i].at);
    }
    assert_int_equal(plog_check(w.disk, w.dir, w.state, noted, text, &r), ERR_OK);
    assert_int_equal(r.faults, 0);
}

static void jobs_overlap(void **state)
{
    (void)state;
    pw_fill(&w, 30, 500);
    struct plog_sync *data = plog_sync_begin_data(w.log);
    struct plog_sync *sync = plog_sync_begin(w.log);
    assert_true(plog_sync_files(sync) > plog_sync_files(data));
    size_t reached = w.count;
    pw_fill(&w, 40, 500); /* goes on meanwhile */
    assert_int_equal(plog_sync_write(sync), ERR_OK);
    pw_fill(&w, 40, 500);
    assert_int_equal(disk_sync_all(w.disk, w.parent), ERR_OK);
    assert_int_equal(plog_sync_run(data), ERR_OK);
    plog_sync_end(data, true);
    pw_take_state(&w, plog_sync_state(sync));
    w.journal = reached;
    plog_sync_end(sync, true);
    pw_check(&w);
    pw_crash(&w);
    pw_check(&w);

    sync = plog_sync_begin(w.log); /* one that fails changes nothing */
    plog_sync_end(sync, false);
    assert_true(plog_dirty(w.log));
    pw_checkpoint(&w);
    pw_check(&w);
    pw_fill(&w, 10, 500);
    sync = plog_sync_begin(w.log);
    plog_sync_end(sync, false);
    pw_checkpoint(&w);
    pw_check(&w);
    pw_fill(&w, 10, 500);
    pw_crash(&w);
    pw_check(&w);
    pw_checkpoint(&w);
    pw_checkpoint(&w); /* nothing to do */
    pw_crash(&w);
    pw_check(&w);
}

static void *run_job(void *arg)
{
    return plog_sync_run(arg) == ERR_OK ? arg : NULL;
}

/* As in production: the job on another thread while this one goes on. */
static void jobs_on_a_thread(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        pthread_t thread;
        void *done;
        pw_fill(&w, 20, 500);
        if (i % 3 == 1)
            pw_set_start(&w, w.next - 30);
        struct plog_sync *sync = plog_sync_begin(w.log);
        size_t reached = w.count;
        assert_int_equal(pthread_create(&thread, NULL, run_job, sync), 0);
        for (int k = 0; k < 30; k++) {
            pw_fill(&w, 4, 300);
            pw_check_read(&w, w.next - 4, w.next, 10000, true);
            pw_check_time(&w, T0 + k * 100, w.next);
        }
        plog_reap(w.log, UINT64_MAX);
        assert_int_equal(pthread_join(thread, &done), 0);
        assert_ptr_equal(done, sync);
        pw_take_state(&w, plog_sync_state(sync));
        w.journal = reached;
        plog_sync_end(sync, true);
        if (i % 2)
            pw_crash(&w);
    }
    pw_check(&w);
}

static void idle_log_gives_its_memory_back(void **state)
{
    (void)state;
    pw_fill(&w, 10, 500);
    pw_checkpoint(&w);
    pw_check(&w);
    for (int i = 0; i < 5; i++) {
        pw_fill(&w, 3, 300);
        pw_checkpoint(&w);
    }
    pw_check(&w);
    pw_crash(&w);
    pw_check(&w);
}

static void kafka_names_and_entries(void **state)
{
    (void)state;
    pw_fill(&w, 100, 300);
    pw_checkpoint(&w);
    assert_true(file_size("00000000000000000000.log") <= 16 << 10);
    assert_true(file_size("00000000000000000000.index") > 0);
    assert_int_equal(file_size("00000000000000000000.index") % 8, 0);
    assert_int_equal(file_size("00000000000000000000.timeindex") % 12, 0);
    assert_int_equal(file_size("00000000000000000000.append") % 16, 0);
}

static void removed_with_all_files(void **state)
{
    (void)state;
    pw_fill(&w, 100, 300);
    pw_checkpoint(&w);
    pw_close(&w);
    assert_int_equal(plog_remove(w.disk, w.dir), ERR_OK);
    assert_int_equal(files_ending(""), -1);
    assert_int_equal(plog_remove(w.disk, w.dir), ERR_OK);
}

#define BOTH(f)                                                                                    \
    cmocka_unit_test_setup_teardown(f, make_real, unmake),                                         \
        cmocka_unit_test_setup_teardown(f, make_sim, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(empty_log_has_no_files),
        BOTH(append_and_read),
        BOTH(segments_roll),
        BOTH(rolls_by_age),
        BOTH(append_time_that_does_not_fit),
        BOTH(batch_larger_than_a_segment),
        BOTH(reads_of_every_size),
        BOTH(reopens_from_a_checkpoint),
        BOTH(cuts_what_nobody_knows),
        BOTH(replay_without_any_checkpoint),
        BOTH(replay_refuses_a_hole),
        BOTH(references),
        BOTH(short_segment_is_corruption),
        BOTH(log_start_and_deletion),
        BOTH(log_start_behind_what_is_left),
        BOTH(retention_by_size),
        BOTH(retention_by_time),
        BOTH(retention_without_timestamps),
        BOTH(times_out_of_order),
        BOTH(epochs),
        BOTH(undo),
        BOTH(broken_indexes_are_rebuilt),
        BOTH(state_without_entries),
        BOTH(check_finds),
        BOTH(jobs_overlap),
        cmocka_unit_test_setup_teardown(jobs_on_a_thread, make_real, unmake),
        BOTH(idle_log_gives_its_memory_back),
        BOTH(kafka_names_and_entries),
        BOTH(removed_with_all_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
