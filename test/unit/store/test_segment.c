/* Names of segment files, the walk over batches, entries in memory and in files. */
#include "base/cursor.h"
#include "base/mem.h"
#include "io/sim.h"
#include "store/segment_writer.h"

#include "../check.h"

#include <string.h>

#define T0 1700000000000

static struct sim *sim;
static struct disk *disk;
static struct disk_file *file;

static int make(void **state)
{
    (void)state;
    sim = sim_make(&(struct sim_conf){.seed = 3, .disk_bytes = 16 << 20});
    disk = sim_disk(sim);
    return disk_open(disk, "/f", DISK_READ | DISK_WRITE | DISK_CREATE, &file) != ERR_OK;
}

static int unmake(void **state)
{
    (void)state;
    disk_close(file);
    sim_free(sim);
    return 0;
}

static void names(void **state)
{
    (void)state;
    char path[SEGMENT_PATH_MAX];
    int64_t base;
    enum segment_file which;
    bool deleted;
    segment_path(path, "/d", 42, SEGMENT_TIMEINDEX, "");
    assert_string_equal(path, "/d/00000000000000000042.timeindex");
    segment_path(path, "/d", INT64_MAX, SEGMENT_LOG, ".deleted");
    assert_string_equal(path, "/d/09223372036854775807.log.deleted");

    assert_true(segment_name_parse(path + 3, &base, &which, &deleted));
    assert_int_equal(base, INT64_MAX);
    assert_int_equal(which, SEGMENT_LOG);
    assert_true(deleted);
    assert_true(segment_name_parse("00000000000000000007.append", &base, &which, &deleted));
    assert_int_equal(base, 7);
    assert_int_equal(which, SEGMENT_SIDECAR);
    assert_false(deleted);
    static const char *const bad[] = {
        "",
        "0",
        "00000000000000000007",
        "00000000000000000007.logs",
        "00000000000000000007.txnindex",
        "00000000000000000007.log.deletedx",
        "0000000000000000007.log",
        "000000000000000000007.log",
        "09223372036854775808.log",
        "99999999999999999999.log",
        "-0000000000000000007.log",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(segment_name_parse(bad[i], &base, &which, &deleted));
}

/* One batch with a value of n bytes. */
static struct slice batch(int64_t offset, size_t n, int64_t ts)
{
    struct batch_builder b;
    char *value = mem_zalloc(1, n + 1);
    batch_begin(&b, 0);
    batch_add(&b, ts, STR_LIT("k"), (struct str){value, n}, NULL, 0);
    mem_free(value);
    struct slice s = batch_end(&b);
    batch_set_offset(s.buf->data, offset);
    return s;
}

static void walks_batches_of_all_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 10, 9000, 1, 8192 - 75, 8192, 40000, 5, 5, 5, 20000, 3};
    const int n = sizeof sizes / sizeof *sizes;
    uint32_t place[sizeof sizes / sizeof *sizes], end = 0, at;
    struct segment_walk walk;
    struct batch_head head;
    const uint8_t *raw;

    for (int i = 0; i < n; i++) {
        struct slice s = batch(i, sizes[i], T0);
        place[i] = end;
        assert_int_equal(disk_write(file, s.at, s.len, end), ERR_OK);
        end += (uint32_t)s.len;
        slice_unref(s);
    }
    for (int from = 0; from < n; from++) {
        segment_walk_init(&walk, file, place[from], end);
        for (int i = from; i < n; i++) {
            assert_int_equal(segment_walk_next(&walk, &head, &at, &raw), ERR_OK);
            assert_int_equal(at, place[i]);
            assert_int_equal(head.base_offset, i);
            assert_int_equal(be64_get(raw), i);
        }
        assert_int_equal(segment_walk_next(&walk, &head, &at, &raw), ERR_NOT_FOUND);
    }
    /* whatever the end cuts is no batch */
    segment_walk_init(&walk, file, place[n - 1], end - 1);
    assert_int_equal(segment_walk_next(&walk, &head, &at, NULL), ERR_CORRUPT);
    segment_walk_init(&walk, file, place[n - 1], place[n - 1] + 60);
    assert_int_equal(segment_walk_next(&walk, &head, &at, NULL), ERR_CORRUPT);
    segment_walk_init(&walk, file, place[1] + 1, end);
    assert_int_equal(segment_walk_next(&walk, &head, &at, NULL), ERR_CORRUPT);
    segment_walk_init(&walk, file, 0, end + 5000); /* the file ends before */
    enum err err;
    while ((err = segment_walk_next(&walk, &head, &at, NULL)) == ERR_OK)
        ;
    assert_int_equal(err, ERR_CORRUPT);
}

static void index_entry(struct index_tail *t, uint32_t offset, uint32_t position)
{
    uint8_t e[INDEX_ENTRY_BYTES];
    be32_put(e, offset);
    be32_put(e + 4, position);
    index_tail_add(t, e, sizeof e);
}

/* Every split of the entries between file and memory answers alike. */
static void floor_in_file_and_memory(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 2, 511, 512, 513, 1024, 3000};
    uint8_t e[INDEX_ENTRY_BYTES_MAX];
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
        for (uint32_t split = 0; split <= counts[c]; split += 1 + counts[c] / 5) {
            struct index_tail t = {0};
            for (uint32_t i = 0; i < counts[c]; i++) {
                index_entry(&t, 10 + i * 10, i * 7);
                if (i + 1 == split)
                    assert_int_equal(index_tail_write(&t, file), ERR_OK);
            }
            struct index_view v = {.file = file,
                                   .file_bytes = t.at,
                                   .mem = t.mem,
                                   .mem_bytes = t.len,
                                   .entry_bytes = INDEX_ENTRY_BYTES};
            assert_int_equal(index_view_count(&v), counts[c]);
            for (int64_t key = 0; key < counts[c] * 10 + 30; key += 1 + key % 7) {
                uint32_t n = 0, want = key < 10 ? 0 : (uint32_t)(key / 10);
                want = want > counts[c] ? counts[c] : want;
                enum err err = index_view_floor(&v, INDEX_OFFSET, key, &n, e);
                assert_int_equal(err, want == 0 ? ERR_NOT_FOUND : ERR_OK);
                if (want == 0)
                    continue;
                assert_int_equal(n, want - 1);
                assert_int_equal(index_field_get(e, INDEX_OFFSET), want * 10);
                assert_int_equal(index_field_get(e, INDEX_POSITION), (want - 1) * 7);
            }
            index_tail_free(&t);
        }
}

static void cut_entries_do_not_come_back(void **state)
{
    (void)state;
    struct index_tail t = {0};
    uint32_t crc;
    for (uint32_t i = 0; i < 10; i++)
        index_entry(&t, i, i);
    struct index_mark mark = index_tail_mark(&t);
    for (uint32_t i = 10; i < 20; i++)
        index_entry(&t, i, i);
    assert_int_equal(index_tail_write(&t, file), ERR_OK);
    index_tail_cut(&t, mark);
    assert_true(index_tail_pending(&t));
    index_entry(&t, 99, 99);
    assert_int_equal(index_tail_write(&t, file), ERR_OK);
    assert_false(index_tail_pending(&t));
    uint64_t size;
    assert_int_equal(disk_size(file, &size), ERR_OK);
    assert_int_equal(size, 11 * INDEX_ENTRY_BYTES);
    assert_int_equal(index_file_crc(file, (uint32_t)size, &crc), ERR_OK);
    assert_int_equal(crc, t.crc);
    assert_int_equal(index_file_crc(file, (uint32_t)size + 1, &crc), ERR_CORRUPT);
    index_tail_free(&t);
}

/* Kafka's rules: an entry when more than the interval was appended since the last one, a time entry
 * only when the largest timestamp grew. */
static void entries_by_kafkas_rules(void **state)
{
    (void)state;
    static const int64_t times[] = {5, 3, 9, 9, 2, 11, 1, 1};
    struct segment seg = {.base = 100, .max_timestamp = -1};
    struct segment_writer *w = segment_writer_make(&seg);
    struct batch_head head;
    uint32_t bytes = 0;
    for (int i = 0; i < 8; i++) {
        struct slice s = batch(100 + i, 100, T0 + times[i]);
        assert_int_equal(batch_head_read(s.at, s.len, &head), ERR_OK);
        segment_writer_count(w, &head, s.at, T0 + 1000 + i, head.bytes);
        bytes += head.bytes;
        slice_unref(s);
    }
    assert_int_equal(w->bytes, bytes);
    /* more than one batch since the last entry: at batches 2, 4, 6 */
    const struct index_tail *t = &w->tail[SEGMENT_INDEX];
    assert_int_equal(t->len, 3 * INDEX_ENTRY_BYTES);
    for (uint32_t i = 0; i < 3; i++) {
        const uint8_t *e = t->mem + i * INDEX_ENTRY_BYTES;
        assert_int_equal(index_field_get(e, INDEX_OFFSET), 2 + 2 * i);
        assert_int_equal(index_field_get(e, INDEX_POSITION), (2 + 2 * i) * head.bytes);
    }
    t = &w->tail[SEGMENT_TIMEINDEX]; /* 9 at batch 2, nothing new at 4, 11 (of batch 5) at 6 */
    assert_int_equal(t->len, 2 * TIMEINDEX_ENTRY_BYTES);
    assert_int_equal(index_field_get(t->mem, TIMEINDEX_TIME), T0 + 9);
    assert_int_equal(index_field_get(t->mem, TIMEINDEX_OFFSET), 2);
    assert_int_equal(index_field_get(t->mem + 12, TIMEINDEX_TIME), T0 + 11);
    assert_int_equal(index_field_get(t->mem + 12, TIMEINDEX_OFFSET), 5);
    segment_writer_seal(w);
    assert_int_equal(t->len, 2 * TIMEINDEX_ENTRY_BYTES);
    assert_int_equal(seg.max_timestamp, T0 + 11);

    t = &w->tail[SEGMENT_SIDECAR];
    assert_int_equal(t->len, SIDECAR_HEAD_BYTES + 8 * SIDECAR_ENTRY_BYTES);
    int64_t first;
    assert_int_equal(segment_sidecar_head(t->mem, &first), ERR_OK);
    assert_int_equal(first, T0 + 1000);
    const uint8_t *e = t->mem + SIDECAR_HEAD_BYTES + 7 * SIDECAR_ENTRY_BYTES;
    assert_int_equal(index_field_get(e, SIDECAR_OFFSET), 7);
    assert_int_equal(index_field_get(e, SIDECAR_POSITION), bytes - head.bytes);
    assert_int_equal(index_field_get(e, SIDECAR_TIME), 7);
    segment_writer_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test_setup_teardown(walks_batches_of_all_sizes, make, unmake),
        cmocka_unit_test_setup_teardown(floor_in_file_and_memory, make, unmake),
        cmocka_unit_test_setup_teardown(cut_entries_do_not_come_back, make, unmake),
        cmocka_unit_test(entries_by_kafkas_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
