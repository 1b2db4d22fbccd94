/* A data folder with anything in it: a start refuses it with an error, or opens it; then all logs
 * can be read, a stop is clean, and a second start finds the same.
 *
 * An input is a byte that names one of the folders below, a byte that says which sums are made
 * right after the changes, and the changes (folder.h):
 *
 *     1 meta   2 manifest   4 heads and groups of the journal   8 batches in the journal, and what
 *     their frames say of them
 */
#include "folder.h"
#include "fuzz.h"

#include "../sim/store_world.h"

#include "base/crc32c.h"
#include "base/mem.h"
#include "store/journal_format.h"

#include <stdio.h>

enum { SUM_META = 1, SUM_MANIFEST = 2, SUM_JOURNAL = 4, SUM_BATCHES = 8 };

#define CHANGES_MAX 32
#define LOGS_MAX 64
#define READ_BYTES 3000
#define READS_MAX 10000

/* ---- folders that a store has left ---------------------------------------------------------- */

static void world_small(struct store_world *w)
{
    world_make(w, WORLD_SIM, 1, 5);
    w->conf.journal_first_bytes = 32 << 10;
    w->conf.journal_file_bytes = 64 << 10;
    w->conf.journal_bytes = 256 << 10;
    w->conf.reference_bytes = 2000;
}

static void fill(struct store_world *w, struct store_log *log, struct store_log_id id,
                 unsigned from, unsigned n)
{
    for (unsigned i = from; i < from + n; i++) {
        struct slice b = world_batch(i, 1 + i % 3, i % 5 == 4 ? 900 : 40, 1000 + i);
        int64_t at = world_append(w, id, log, b, 1000 + i);
        weir_assert(at >= 0);
        slice_unref(b);
    }
}

static void life(struct store_world *w)
{
    struct store_log_id a = world_id(1, 0), b = world_id(2, 0), c = world_id(3, 0);
    struct store_log *log_a = world_log(w, a, &world_log_conf);
    struct store_log *log_b = world_log(w, b, &world_log_conf);
    fill(w, log_a, a, 0, 12);
    fill(w, log_b, b, 0, 3);
    struct store_log *log_c = world_log(w, c, &world_log_conf);
    fill(w, log_c, c, 0, 2);
    enum err err = world_trim(w, a, log_a, 5);
    weir_assert(err == ERR_OK);
    err = world_remove(w, c, log_c);
    weir_assert(err == ERR_OK);
}

static void start(struct store_world *w)
{
    enum err err = world_start(w);
    weir_assert(err == ERR_OK);
}

static void make_killed(struct store_world *w)
{
    start(w);
    life(w);
    world_kill(w);
}

static void make_clean(struct store_world *w)
{
    start(w);
    life(w);
    enum err err = world_stop(w);
    weir_assert(err == ERR_OK);
}

static void make_both(struct store_world *w)
{
    make_clean(w);
    make_killed(w);
}

static void make_cut(struct store_world *w)
{
    make_clean(w);
    start(w);
    life(w);
    world_cut(w);
}

static void make_fresh(struct store_world *w)
{
    start(w);
    world_kill(w);
}

static void (*const makers[])(struct store_world *) = {make_killed, make_clean, make_both, make_cut,
                                                       make_fresh};
#define MAKERS (sizeof makers / sizeof makers[0])

/* What the dead process had is lost on purpose. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static const struct folder *folder_of(uint8_t which)
{
    static struct folder folders[MAKERS];
    struct folder *f = &folders[which % MAKERS];
    if (f->n > 0)
        return f;
    if (__lsan_disable)
        __lsan_disable();
    struct store_world w;
    world_small(&w);
    makers[which % MAKERS](&w);
    folder_take(f, w.disk, w.dir);
    world_free(&w);
    if (__lsan_enable)
        __lsan_enable();
    return f;
}

/* ---- sums ----------------------------------------------------------------------------------- */

static void sum_meta(struct folder_file *file)
{
    char line[16];
    for (size_t i = 0; i + 13 <= file->n; i++) {
        if ((i == 0 || file->p[i - 1] == '\n') && memcmp(file->p + i, "crc=", 4) == 0) {
            snprintf(line, sizeof line, "crc=%08x", crc32c(0, file->p, i));
            memcpy(file->p + i, line, 12);
            return;
        }
    }
}

static void sum_manifest(struct folder_file *file)
{
    if (file->n >= 8)
        be32_put(file->p + 4, crc32c(0, file->p + 8, file->n - 8));
}

/* Makes a carried batch right, and its frame after it. */
static void sum_batch(uint8_t *frame_at, struct journal_frame *frame, uint8_t *batch, size_t left)
{
    struct batch_head head;
    if (frame->kind != JOURNAL_PAYLOAD || frame->bytes > left || frame->bytes < BATCH_HEAD_BYTES)
        return;
    be32_put(batch + 8, frame->bytes - BATCH_PREFIX_BYTES);
    if (batch_head_read(batch, frame->bytes, &head) || head.bytes != frame->bytes)
        return;
    batch_crc_fix(batch);
    frame->head_crc = crc32c(0, batch, BATCH_CRC_FROM);
    frame->batch_crc = be32_get(batch + 17);
    journal_frame_put(frame_at, frame);
}

static void sum_group(uint8_t *p, size_t left, unsigned sums)
{
    struct journal_group_head head;
    if (!journal_group_head_get(p, &head) || journal_heads_bytes(head.frames) > left)
        return;
    uint64_t at = journal_heads_bytes(head.frames);
    for (uint32_t i = 0; i < head.frames && sums & SUM_BATCHES && at <= left; i++) {
        struct journal_frame frame;
        uint8_t *frame_at = p + journal_heads_bytes(i);
        if (!journal_frame_get(frame_at, &frame))
            break;
        sum_batch(frame_at, &frame, p + at, left - at);
        at += journal_frame_payload(&frame);
    }
    journal_group_head_put(p, &head);
}

static void sum_journal(struct folder_file *file, unsigned sums)
{
    for (size_t at = 0; at + JOURNAL_BLOCK <= file->n; at += JOURNAL_BLOCK) {
        uint8_t *p = file->p + at;
        if (memcmp(p, "WJF1", 4) == 0)
            be32_put(p + 4, crc32c(0, p + 8, JOURNAL_FILE_HEAD_BYTES - 8));
        else if (memcmp(p, "WJG1", 4) == 0)
            sum_group(p, file->n - at, sums);
    }
}

static void make_sums(struct folder *f, unsigned sums)
{
    for (size_t i = 0; i < f->n; i++) {
        struct folder_file *file = &f->files[i];
        const char *name = strrchr(file->path, '/') + 1;
        if (file->is_dir)
            continue;
        if (sums & SUM_META && strcmp(name, "meta") == 0)
            sum_meta(file);
        if (sums & SUM_MANIFEST && strcmp(name, "manifest") == 0)
            sum_manifest(file);
        if (sums & (SUM_JOURNAL | SUM_BATCHES) && strstr(name, ".wj"))
            sum_journal(file, sums);
    }
}

/* ---- what a store holds --------------------------------------------------------------------- */

struct ids {
    struct store_log_id at[LOGS_MAX];
    size_t n;
};

static void add_id(void *arg, const struct store_log_id *id)
{
    struct ids *ids = arg;
    if (ids->n < LOGS_MAX)
        ids->at[ids->n++] = *id;
}

static void list_run(struct store_world *w, void *arg)
{
    w->stores[0]->ops->each(w->stores[0], add_id, arg);
    world_done(w);
}

static uint32_t mix(uint32_t sum, uint64_t v)
{
    return crc32c(sum, &v, sizeof v);
}

/* The sum of all that can be read of a log. */
static uint32_t read_log(struct store_world *w, struct store_log_id id)
{
    struct store_open op = {.log = NULL};
    enum err err = world_open(w, &op, id, &world_log_conf, false);
    uint32_t sum = mix(0, (uint64_t)err);
    if (err)
        return sum;
    /* A start behind the end is only possible where the manifest itself says so, with a right sum:
     * nothing is there to be read then. */
    sum = mix(mix(sum, (uint64_t)op.log_start), (uint64_t)op.end);
    int64_t from = op.log_start, next;
    for (unsigned i = 0; from < op.end && i < READS_MAX; i++, from = next) {
        struct slice got;
        err = world_read(w, id, op.log, from, INT64_MAX, READ_BYTES, &got, &next);
        sum = mix(sum, (uint64_t)err);
        if (err)
            break;
        sum = crc32c(sum, got.at, got.len);
        slice_unref(got);
        if (next <= from) { /* a batch's offset is not under its CRC */
            weir_assert(got.len > 0 || next == from);
            break;
        }
    }
    struct store_find time = {.log = op.log, .what = STORE_FIND_TIME, .ts = 1005, .limit = op.end};
    struct store_find max = {.log = op.log, .what = STORE_FIND_MAX_TIME, .limit = op.end};
    sum = mix(sum, (uint64_t)world_find(w, id, &time));
    sum = mix(mix(sum, (uint64_t)time.offset), (uint64_t)time.timestamp);
    sum = mix(sum, (uint64_t)world_find(w, id, &max));
    sum = mix(mix(sum, (uint64_t)max.offset), (uint64_t)max.timestamp);
    world_close(w, op.log, id);
    return sum;
}

static uint32_t read_all(struct store_world *w)
{
    struct ids ids = {.n = 0};
    uint32_t sum = 0;
    bool done = world_call(w, 0, list_run, &ids);
    weir_assert(done);
    /* In no order: so is the sum. */
    for (size_t i = 0; i < ids.n; i++)
        sum += mix(read_log(w, ids.at[i]), ids.at[i].partition);
    return sum;
}

static void try_folder(struct store_world *w)
{
    enum err err = world_start(w);
    if (err) {
        if (w->text.s[0] == 0)
            fprintf(stderr, "refused with %s and not a word\n", err_name(err));
        weir_assert(w->text.s[0] != 0);
        return;
    }
    uint32_t before = read_all(w);
    err = world_stop(w);
    weir_assert(err == ERR_OK);
    start(w);
    weir_assert(w->report.clean && w->report.groups == 0 && w->report.cut_bytes == 0);
    weir_assert(read_all(w) == before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd in;
    struct folder folder;
    struct store_world w;
    rd_init(&in, data, size);
    folder_copy(&folder, folder_of(rd_u8(&in)));
    unsigned sums = rd_u8(&in);
    for (unsigned i = 0; i < CHANGES_MAX && rd_left(&in); i++)
        folder_change(&folder, &in);
    make_sums(&folder, sums);
    world_small(&w);
    folder_lay(&folder, w.disk);
    try_folder(&w);
    world_free(&w);
    folder_free(&folder);
    return 0;
}
