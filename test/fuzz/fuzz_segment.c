/* One log's files with anything in them: opening, reading, finding by time, checking and going on
 * appending give right answers or errors, whatever the batches, indexes and sidecars hold.
 *
 * The log below is changed as the input says (folder.h), behind one byte:
 *
 *     1 lengths and CRCs of batches are made right      4 the log was never at a checkpoint
 *     2 the state believes the changed indexes          8 ... its indexes were not
 */
#include "folder.h"
#include "fuzz.h"

#include "base/crc32c.h"
#include "base/mem.h"
#include "io/sim.h"
#include "store/plog.h"
#include "store/segment.h"

#include <stdio.h>

enum { RIGHT_BATCHES = 1, BELIEVE = 2, NO_STATE = 4, NO_ACTIVE = 8 };

#define DIR "/logs/t-0"
#define T0 1700000000000
#define CHANGES_MAX 32
#define SEALED_MAX 16

static const struct store_log_conf conf = {.segment_bytes = 2500,
                                           .segment_ms = -1,
                                           .retention_ms = -1,
                                           .retention_bytes = -1,
                                           .delete_delay_ms = 1000,
                                           .index_interval_bytes = 300};

/* ---- the log, as it was before -------------------------------------------------------------- */

static struct original {
    struct folder folder;
    struct plog_state state;
    struct plog_sealed seal[SEALED_MAX];
    struct plog_epoch epoch[4];
} original;

static struct slice make_batch(int64_t offset, int32_t epoch, unsigned i)
{
    struct batch_builder b;
    char value[80];
    memset(value, 'a' + (int)(i % 26), sizeof value);
    batch_begin(&b, 0);
    for (unsigned k = 0; k <= i % 3; k++)
        batch_add(&b, T0 + (int64_t)((i * 7) % 40) + k, STR_LIT("key"),
                  (struct str){value, sizeof value}, NULL, 0);
    struct slice s = batch_end(&b);
    batch_set_offset(s.buf->data, offset);
    batch_set_leader_epoch(s.buf->data, epoch);
    return s;
}

static void append_some(struct plog *log, int32_t epoch, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct batch_head head;
        struct plog_place place;
        struct slice b = make_batch(plog_next_offset(log), epoch, i);
        enum err err = batch_head_read(b.at, b.len, &head);
        weir_assert(err == ERR_OK);
        err = plog_append(log, &head, b, T0 + i, &place);
        weir_assert(err == ERR_OK);
        err = plog_flush(log);
        weir_assert(err == ERR_OK);
        slice_unref(b);
    }
}

static void keep_state(const struct plog_state *state)
{
    weir_assert(state->sealed > 1 && state->sealed <= SEALED_MAX && state->epochs <= 4);
    original.state = *state;
    memcpy(original.seal, state->seal, (size_t)state->sealed * sizeof original.seal[0]);
    memcpy(original.epoch, state->epoch, (size_t)state->epochs * sizeof original.epoch[0]);
    original.state.seal = original.seal;
    original.state.epoch = original.epoch;
}

static struct sim *make_disk(void)
{
    struct sim *sim = sim_make(&(struct sim_conf){.seed = 1, .disk_bytes = 16 << 20});
    enum err err = disk_mkdir(sim_disk(sim), "/logs");
    weir_assert(err == ERR_OK);
    return sim;
}

static void make_original(void)
{
    struct sim *sim = make_disk();
    struct plog *log;
    enum err err = plog_open(sim_disk(sim), DIR, &conf, NULL, &log, NULL);
    weir_assert(err == ERR_OK);
    err = plog_replay_end(log);
    weir_assert(err == ERR_OK);
    append_some(log, 1, 14);
    append_some(log, 3, 14);
    struct plog_sync *sync = plog_sync_begin(log);
    err = plog_sync_run(sync);
    weir_assert(err == ERR_OK);
    keep_state(plog_sync_state(sync));
    plog_sync_end(sync, true);
    plog_close(log);
    folder_take(&original.folder, sim_disk(sim), DIR);
    sim_free(sim);
}

/* ---- made right ----------------------------------------------------------------------------- */

static struct folder_file *file_of(struct folder *f, int64_t base, enum segment_file which)
{
    char path[SEGMENT_PATH_MAX];
    segment_path(path, DIR, base, which, "");
    struct folder_file *file = folder_find(f, path);
    return file && !file->gone ? file : NULL;
}

static void right_batches(struct folder_file *file)
{
    struct batch_head head;
    for (size_t at = 0; at + BATCH_HEAD_BYTES <= file->n; at += head.bytes) {
        uint8_t *p = file->p + at;
        p[16] = 2;
        if (batch_head_read(p, file->n - at, &head) || head.bytes > file->n - at) {
            be32_put(p + 8, (uint32_t)(file->n - at - BATCH_PREFIX_BYTES));
            if (batch_head_read(p, file->n - at, &head))
                return;
        }
        batch_crc_fix(p);
    }
}

static void believe_one(struct folder *f, int64_t base, enum segment_file which, uint32_t *bytes,
                        uint32_t *crc)
{
    const struct folder_file *file = file_of(f, base, which);
    size_t n = file ? file->n : 0;
    if (bytes)
        *bytes = (uint32_t)n;
    *crc = n ? crc32c(0, file->p, n) : 0;
}

static void believe(struct folder *f, struct plog_state *state, struct plog_sealed *seal)
{
    struct plog_entries *a = &state->active;
    int64_t base = state->synced.segment;
    for (int32_t i = 0; i < state->sealed; i++) {
        believe_one(f, seal[i].segment, SEGMENT_INDEX, NULL, &seal[i].index_crc);
        believe_one(f, seal[i].segment, SEGMENT_TIMEINDEX, NULL, &seal[i].timeindex_crc);
        believe_one(f, seal[i].segment, SEGMENT_SIDECAR, NULL, &seal[i].append_crc);
    }
    believe_one(f, base, SEGMENT_INDEX, &a->index_bytes, &a->index_crc);
    believe_one(f, base, SEGMENT_TIMEINDEX, &a->timeindex_bytes, &a->timeindex_crc);
    believe_one(f, base, SEGMENT_SIDECAR, &a->append_bytes, &a->append_crc);
}

/* ---- use ------------------------------------------------------------------------------------ */

static void try_read(struct plog *log, int64_t from, size_t max, bool min_one)
{
    struct chunkq q;
    int64_t next = -1;
    chunkq_init(&q);
    enum err err = plog_read(log, from, plog_next_offset(log), max, min_one, &q, &next);
    if (!err) {
        weir_assert(min_one || q.bytes <= max);
        /* `next` is not checked: a batch's offset is not under its CRC, and may be anything. */
        err = disk_load_chunks(&q);
        weir_assert(err == ERR_OK);
    }
    chunkq_clear(&q);
}

static void try_find(struct plog *log)
{
    int64_t offset, timestamp;
    int32_t epoch;
    int64_t end = plog_next_offset(log);
    for (int64_t ts = T0 - 1; ts < T0 + 60; ts += 9) {
        if (!plog_find_time(log, ts, end, &offset, &timestamp, &epoch))
            weir_assert(offset == -1 || (offset < end && timestamp >= ts));
    }
    if (!plog_find_max_time(log, end, &offset, &timestamp, &epoch))
        weir_assert(offset < end);
    for (epoch = -1; epoch < 5; epoch++) {
        int32_t found;
        plog_epoch_end(log, epoch, &found, &offset);
        weir_assert(found <= epoch);
    }
}

static void count_head(void *arg, const struct batch_head *head, int64_t append_ms)
{
    uint64_t *n = arg;
    (void)append_ms;
    weir_assert(head->magic == 2);
    (*n)++;
}

static void no_matter(void *arg, const char *file, uint64_t at, const char *what)
{
    (void)arg;
    (void)at;
    weir_assert(file[0] != 0 && what[0] != 0);
}

static void try_append(struct plog *log)
{
    for (unsigned i = 0; i < 6; i++) {
        struct batch_head head;
        struct plog_place place;
        struct slice b = make_batch(plog_next_offset(log), 4, i);
        enum err err = batch_head_read(b.at, b.len, &head);
        weir_assert(err == ERR_OK);
        err = plog_append(log, &head, b, T0 + i, &place);
        if (!err)
            err = plog_flush(log);
        slice_unref(b);
        if (err)
            return;
    }
    struct plog_sync *sync = plog_sync_begin(log);
    enum err err = plog_sync_run(sync);
    plog_sync_end(sync, err == ERR_OK);
}

static void try_log(struct disk *disk, const struct plog_state *state)
{
    struct plog *log;
    struct plog_check_result result;
    struct err_text text = {{0}};
    uint64_t n = 0;
    enum err err = plog_check(disk, DIR, state, no_matter, NULL, &result);
    err = plog_open(disk, DIR, &conf, state, &log, &text);
    if (err) {
        weir_assert(text.s[0] != 0);
        return;
    }
    err = plog_replay_end(log);
    if (!err) {
        for (int64_t from = plog_start(log) - 1; from <= plog_next_offset(log) + 1; from += 3)
            try_read(log, from, from % 2 ? 700 : 1, from % 4 < 2);
        try_read(log, plog_start(log), SIZE_MAX, false);
        err = plog_scan(log, plog_start(log), count_head, &n);
        try_find(log);
        try_append(log);
        try_read(log, plog_start(log), SIZE_MAX, false);
    }
    plog_close(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd in;
    struct folder folder;
    struct plog_sealed seal[SEALED_MAX];
    if (original.folder.n == 0)
        make_original();
    rd_init(&in, data, size);
    uint8_t how = rd_u8(&in);
    folder_copy(&folder, &original.folder);
    for (unsigned i = 0; i < CHANGES_MAX && rd_left(&in); i++)
        folder_change(&folder, &in);
    struct plog_state state = original.state;
    memcpy(seal, original.seal, sizeof seal);
    state.seal = seal;
    for (size_t i = 0; how & RIGHT_BATCHES && i < folder.n; i++) {
        if (strstr(folder.files[i].path, ".log"))
            right_batches(&folder.files[i]);
    }
    if (how & BELIEVE)
        believe(&folder, &state, seal);
    if (how & NO_ACTIVE)
        state.active = (struct plog_entries){0};
    struct sim *sim = make_disk();
    folder_lay(&folder, sim_disk(sim));
    try_log(sim_disk(sim), how & NO_STATE ? NULL : &state);
    sim_free(sim);
    folder_free(&folder);
    return 0;
}
