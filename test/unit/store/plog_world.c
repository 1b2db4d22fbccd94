#include "plog_world.h"

#include "base/list.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define T0 1700000000000
#define TIMES_MAX 8

void pw_make(struct pw *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    rng_seed(&w->rng, seed + 1);
    if (seed > 0) {
        w->sim = sim_make(&(struct sim_conf){.seed = seed, .disk_bytes = 64 << 20});
        w->disk = sim_disk(w->sim);
        snprintf(w->parent, sizeof w->parent, "/logs");
        assert_int_equal(disk_mkdir(w->disk, w->parent), ERR_OK);
        assert_int_equal(disk_sync_dir(w->disk, "/"), ERR_OK);
    } else {
        w->disk = disk_real();
        snprintf(w->parent, sizeof w->parent, "/tmp/weir-test-plog-XXXXXX");
        assert_non_null(mkdtemp(w->parent));
    }
    snprintf(w->dir, sizeof w->dir, "%s/topic-0", w->parent);
    w->conf = (struct store_log_conf){
        .segment_bytes = 16 << 10,
        .segment_ms = -1,
        .retention_ms = -1,
        .retention_bytes = -1,
        .delete_delay_ms = 1000,
        .index_interval_bytes = 512,
    };
    w->files = plog_files_make(1 + (unsigned)rng_below(&w->rng, 6));
    w->epoch = 1;
    w->now_ms = T0;
}

void pw_forget(struct pw *w, size_t n)
{
    while (w->count > n)
        slice_unref(w->batch[--w->count].bytes);
    if (w->flushed > n)
        w->flushed = n;
    w->next = n > 0 ? batch_next_offset(&w->batch[n - 1].head) : 0;
}

void pw_free(struct pw *w)
{
    pw_close(w);
    plog_files_free(w->files);
    assert_int_equal(plog_remove(w->disk, w->dir), ERR_OK);
    pw_forget(w, 0);
    mem_free(w->batch);
    pw_take_state(w, NULL);
    if (w->sim)
        sim_free(w->sim);
    else
        assert_int_equal(disk_rmdir(w->disk, w->parent), ERR_OK);
}

enum err pw_try_open(struct pw *w)
{
    struct err_text text = {""};
    struct plog_state none = {.log_start = w->log_start};
    if (w->state && w->state->log_start < w->log_start)
        w->state->log_start = w->log_start;
    enum err err =
        plog_open(w->disk, w->dir, &w->conf, w->state ? w->state : &none, &w->log, &text);
    if (!err)
        plog_use_files(w->log, w->files);
    else
        w->log = NULL;
    return err;
}

void pw_open(struct pw *w)
{
    assert_int_equal(pw_try_open(w), ERR_OK);
}

void pw_close(struct pw *w)
{
    plog_close(w->log);
    w->log = NULL;
}

static struct slice build(struct pw *w, int records, size_t value_bytes, int64_t ts)
{
    struct batch_builder b;
    char *value = mem_alloc(value_bytes + 1);
    rng_fill(&w->rng, value, value_bytes);
    batch_begin(&b, 0);
    for (int i = 0; i < records; i++)
        batch_add(&b, ts + (int64_t)rng_below(&w->rng, 5), STR_LIT("key"),
                  (struct str){value, value_bytes}, NULL, 0);
    mem_free(value);
    return batch_end(&b);
}

void pw_append(struct pw *w, int records, size_t value_bytes, int64_t ts)
{
    if (w->count == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 64;
        w->batch = mem_realloc(w->batch, w->cap * sizeof *w->batch);
    }
    struct pw_batch *b = &w->batch[w->count++];
    *b = (struct pw_batch){.bytes = build(w, records, value_bytes, ts)};
    uint8_t *p = b->bytes.buf->data + (b->bytes.at - b->bytes.buf->data);
    batch_set_offset(p, w->next);
    batch_set_leader_epoch(p, w->epoch);
    assert_int_equal(batch_head_read(p, b->bytes.len, &b->head), ERR_OK);
    b->append_ms = w->now_ms;
    w->now_ms += (int64_t)rng_below(&w->rng, 20) - 3;
    w->next = batch_next_offset(&b->head);
    assert_int_equal(plog_append(w->log, &b->head, b->bytes, b->append_ms, &b->place), ERR_OK);
    assert_int_equal(plog_next_offset(w->log), w->next);
}

void pw_flush(struct pw *w)
{
    assert_int_equal(plog_flush(w->log), ERR_OK);
    w->flushed = w->count;
}

void pw_fill(struct pw *w, int n, size_t value_bytes)
{
    for (int i = 0; i < n; i++)
        pw_append(w, 1, value_bytes, T0 + (int64_t)w->count * 10);
    pw_flush(w);
}

void pw_take_state(struct pw *w, const struct plog_state *state)
{
    if (w->state) {
        mem_free((void *)(uintptr_t)w->state->epoch);
        mem_free((void *)(uintptr_t)w->state->seal);
        mem_free(w->state);
        w->state = NULL;
    }
    if (!state)
        return;
    w->state = mem_alloc(sizeof *w->state);
    *w->state = *state;
    struct plog_epoch *epoch = mem_zalloc((size_t)state->epochs, sizeof *epoch);
    struct plog_sealed *seal = mem_zalloc((size_t)state->sealed, sizeof *seal);
    if (state->epochs > 0)
        memcpy(epoch, state->epoch, (size_t)state->epochs * sizeof *epoch);
    if (state->sealed > 0)
        memcpy(seal, state->seal, (size_t)state->sealed * sizeof *seal);
    w->state->epoch = epoch;
    w->state->seal = seal;
}

void pw_checkpoint(struct pw *w)
{
    struct plog_sync *sync = plog_sync_begin(w->log);
    assert_int_equal(plog_sync_run(sync), ERR_OK);
    pw_take_state(w, plog_sync_state(sync));
    w->journal = w->flushed;
    plog_sync_end(sync, true);
}

void pw_set_start(struct pw *w, int64_t log_start)
{
    if (log_start > w->log_start)
        w->log_start = log_start;
    plog_set_start(w->log, log_start, (uint64_t)w->now_ms);
}

/* Segments before this one may be gone. */
static int64_t kept_from(const struct pw *w)
{
    int64_t keep = 0;
    for (size_t i = 0; i < w->flushed; i++)
        if (w->batch[i].place.segment <= w->log_start)
            keep = w->batch[i].place.segment;
    return w->log_start >= w->next ? w->next : keep;
}

void pw_replay(struct pw *w)
{
    int64_t keep = kept_from(w);
    for (size_t i = w->journal; i < w->flushed; i++) {
        struct pw_batch *b = &w->batch[i];
        enum err err = ERR_OK;
        if (b->data_synced && b->place.segment < keep)
            continue;
        if (b->data_synced)
            err = plog_replay_ref(w->log, b->place, b->head.bytes, b->head.crc, b->append_ms);
        else
            err = plog_replay(w->log, b->place, &b->head, b->bytes.at, b->append_ms);
        assert_int_equal(err, ERR_OK);
    }
    assert_int_equal(plog_replay_end(w->log), ERR_OK);
}

void pw_crash(struct pw *w)
{
    pw_close(w);
    if (w->sim)
        sim_power_cut(w->sim);
    pw_open(w);
    pw_replay(w);
}

static size_t model_at(const struct pw *w, int64_t offset)
{
    size_t i = 0;
    while (i < w->flushed && batch_last_offset(&w->batch[i].head) < offset)
        i++;
    return i;
}

/* Compares the chunks with the model's batches from i on; returns how many they are. */
static size_t check_chunks(struct pw *w, struct chunkq *q, size_t i)
{
    size_t n = 0, at = 0, bytes = q->bytes;
    uint8_t *all = mem_alloc(bytes);
    for (struct chunk *c = q->head; c; c = c->next) {
        size_t got;
        assert_non_null(c->file);
        struct disk_file *file = container_of(c->file, struct disk_file, ref);
        assert_int_equal(disk_read(file, all + at, c->len, c->at, &got), ERR_OK);
        assert_int_equal(got, c->len);
        at += c->len;
    }
    assert_int_equal(at, bytes);
    for (at = 0; at < bytes; n++) {
        struct pw_batch *b = &w->batch[i + n];
        assert_true(i + n < w->flushed && b->bytes.len <= bytes - at);
        assert_memory_equal(all + at, b->bytes.at, b->bytes.len);
        at += b->bytes.len;
    }
    mem_free(all);
    return n;
}

/* The append times of what was read, model's batch `first` first. */
static void check_times(struct pw *w, struct chunkq *q, size_t first, size_t count)
{
    int64_t ms[TIMES_MAX];
    unsigned n = count < TIMES_MAX ? (unsigned)count : TIMES_MAX;
    memset(ms, 0x55, sizeof(ms));
    assert_int_equal(disk_load_chunks(q), ERR_OK);
    assert_int_equal(plog_append_times(w->log, q, ms, n), ERR_OK);
    for (unsigned i = 0; i < n && !w->times_lost; i++)
        assert_int_equal(ms[i], w->batch[first + i].append_ms);
    if (n < TIMES_MAX)
        assert_int_equal(ms[n], 0x5555555555555555);
}

void pw_check_read(struct pw *w, int64_t from, int64_t limit, size_t bytes_max, bool min_one)
{
    struct chunkq q;
    int64_t next;
    chunkq_init(&q);
    enum err err = plog_read(w->log, from, limit, bytes_max, min_one, &q, &next);
    if (from < w->log_start || from > w->next) {
        assert_int_equal(err, ERR_OFFSET_RANGE);
        return;
    }
    assert_int_equal(err, ERR_OK);
    size_t first = model_at(w, from), i = first, bytes = 0;
    for (; i < w->flushed && batch_last_offset(&w->batch[i].head) < limit; i++) {
        size_t n = w->batch[i].bytes.len;
        if (bytes + n > bytes_max && !(i == first && min_one))
            break;
        bytes += n;
    }
    assert_int_equal(q.bytes, bytes);
    assert_int_equal(check_chunks(w, &q, first), i - first);
    if (i > first)
        assert_int_equal(next, batch_next_offset(&w->batch[i - 1].head));
    else
        assert_int_equal(next, from);
    check_times(w, &q, first, i - first);
    chunkq_clear(&q);
}

/* The first record in [log_start, limit) with timestamp >= ts. */
static void model_time(struct pw *w, int64_t ts, int64_t limit, int64_t *offset, int64_t *found,
                       int32_t *epoch)
{
    struct record_iter it;
    struct record r;
    *offset = *found = *epoch = -1;
    for (size_t i = 0; i < w->flushed; i++) {
        struct pw_batch *b = &w->batch[i];
        record_iter_init(&it, &b->head, b->bytes.at + BATCH_HEAD_BYTES,
                         b->bytes.len - BATCH_HEAD_BYTES);
        while (record_iter_next(&it, &r) == ERR_OK) {
            if (r.offset >= limit)
                return;
            if (r.offset < w->log_start || r.timestamp < ts)
                continue;
            *offset = r.offset;
            *found = r.timestamp;
            *epoch = b->head.leader_epoch;
            return;
        }
    }
}

void pw_check_time(struct pw *w, int64_t ts, int64_t limit)
{
    int64_t offset, found, want_offset, want_found;
    int32_t epoch, want_epoch;
    assert_int_equal(plog_find_time(w->log, ts, limit, &offset, &found, &epoch), ERR_OK);
    model_time(w, ts, limit, &want_offset, &want_found, &want_epoch);
    assert_int_equal(offset, want_offset);
    assert_int_equal(found, want_found);
    assert_int_equal(epoch, want_epoch);
}

void pw_check_max_time(struct pw *w, int64_t limit)
{
    int64_t offset, found, want = -1, want_offset = -1;
    int32_t epoch;
    struct record_iter it;
    struct record r;
    for (size_t i = 0; i < w->flushed; i++) {
        struct pw_batch *b = &w->batch[i];
        record_iter_init(&it, &b->head, b->bytes.at + BATCH_HEAD_BYTES,
                         b->bytes.len - BATCH_HEAD_BYTES);
        while (record_iter_next(&it, &r) == ERR_OK)
            if (r.offset < limit && r.offset >= w->log_start && r.timestamp > want) {
                want = r.timestamp;
                want_offset = r.offset;
            }
    }
    assert_int_equal(plog_find_max_time(w->log, limit, &offset, &found, &epoch), ERR_OK);
    assert_int_equal(found, want);
    assert_int_equal(offset, want_offset);
}

struct scan_check {
    struct pw *w;
    size_t i;
};

static void check_scanned(void *arg, const struct batch_head *head, int64_t append_ms)
{
    struct scan_check *s = arg;
    assert_true(s->i < s->w->flushed);
    struct pw_batch *b = &s->w->batch[s->i++];
    assert_int_equal(head->base_offset, b->head.base_offset);
    assert_int_equal(head->crc, b->head.crc);
    assert_int_equal(append_ms, b->append_ms);
}

static void check_scan(struct pw *w, int64_t from)
{
    struct scan_check s = {w, model_at(w, from)};
    assert_int_equal(plog_scan(w->log, from, check_scanned, &s), ERR_OK);
    assert_int_equal(s.i, w->flushed);
}

static void check_epochs(struct pw *w)
{
    int32_t epoch;
    int64_t end;
    if (w->next == w->log_start)
        return;
    for (int32_t e = 1; e <= w->epoch + 1; e++) {
        int32_t known = -1;
        int64_t want = w->next;
        for (size_t i = model_at(w, w->log_start); i < w->flushed; i++) {
            if (w->batch[i].head.leader_epoch > e) {
                want = w->batch[i].head.base_offset;
                break;
            }
            known = w->batch[i].head.leader_epoch;
        }
        if (known < 0)
            continue;
        plog_epoch_end(w->log, e, &epoch, &end);
        assert_int_equal(epoch, known);
        assert_int_equal(end, want);
    }
}

static void no_fault(void *arg, const char *file, uint64_t at, const char *what)
{
    (void)arg;
    print_error("%s:%llu: %s\n", file, (unsigned long long)at, what);
    fail();
}

static void check_files(struct pw *w)
{
    struct plog_check_result r;
    if (!w->state)
        return;
    if (w->state->log_start < w->log_start)
        w->state->log_start = w->log_start;
    assert_int_equal(plog_check(w->disk, w->dir, w->state, no_fault, NULL, &r), ERR_OK);
    assert_int_equal(r.faults, 0);
}

void pw_check(struct pw *w)
{
    assert_int_equal(plog_next_offset(w->log), w->next);
    assert_int_equal(plog_start(w->log), w->log_start);
    pw_check_read(w, w->log_start, w->next, SIZE_MAX, false);
    for (int64_t from = w->log_start - 1; from <= w->next + 1; from++)
        pw_check_read(w, from, w->next, 1, true);
    check_scan(w, w->log_start);
    check_scan(w, w->log_start + (w->next - w->log_start) / 2);
    pw_check_max_time(w, w->next);
    check_epochs(w);
    check_files(w);
}
