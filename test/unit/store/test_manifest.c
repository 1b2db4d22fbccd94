#include "store/manifest.h"

#include "base/mem.h"

#include "../sim_folder.h"

#include <string.h>

static const struct plog_epoch epochs[] = {{1, 0}, {4, 1000}};
static const struct plog_sealed seals[] = {{0, 5000, 1, 2, 3, 77}, {500, 6000, 4, 5, 6, 99}};

static struct manifest_log sample(uint32_t partition)
{
    return (struct manifest_log){
        .id = {.topic = {{9, 8, 7}}, .partition = partition},
        .state = {.log_start = 100,
                  .next_offset = 2000,
                  .synced = {.segment = 1200, .at = 4321},
                  .epochs = 2,
                  .epoch = epochs,
                  .sealed = 2,
                  .seal = seals,
                  .active = {.index_bytes = 8, .append_bytes = 16, .append_crc = 0xdeadbeef}},
        .snapshot_from = 1900,
        .snapshot = {NULL, (const uint8_t *)"snapshot", 8},
    };
}

static void check_equal(const struct manifest_log *a, const struct manifest_log *b)
{
    assert_memory_equal(&a->id, &b->id, sizeof(a->id));
    assert_int_equal(a->state.log_start, b->state.log_start);
    assert_int_equal(a->state.next_offset, b->state.next_offset);
    assert_int_equal(a->state.synced.segment, b->state.synced.segment);
    assert_int_equal(a->state.synced.at, b->state.synced.at);
    assert_int_equal(a->state.epochs, b->state.epochs);
    for (int32_t i = 0; i < a->state.epochs; i++) {
        assert_int_equal(a->state.epoch[i].epoch, b->state.epoch[i].epoch);
        assert_int_equal(a->state.epoch[i].start, b->state.epoch[i].start);
    }
    assert_int_equal(a->state.sealed, b->state.sealed);
    for (int32_t i = 0; i < a->state.sealed; i++)
        assert_memory_equal(&a->state.seal[i], &b->state.seal[i], sizeof(a->state.seal[i]));
    assert_memory_equal(&a->state.active, &b->state.active, sizeof(a->state.active));
    assert_int_equal(a->snapshot_from, b->snapshot_from);
    assert_int_equal(a->snapshot.len, b->snapshot.len);
    assert_memory_equal(a->snapshot.at, b->snapshot.at, a->snapshot.len);
}

static void test_entry(void **state)
{
    (void)state;
    struct manifest_log in = sample(3), out;
    struct store_log_id id;
    struct slice entry = manifest_log_encode(&in);
    manifest_log_id(entry, &id);
    assert_memory_equal(&id, &in.id, sizeof(id));
    assert_int_equal(manifest_log_decode(entry, &out), ERR_OK);
    check_equal(&in, &out);
    manifest_log_free(&out);
    /* cut anywhere, or with something behind it, it is no entry */
    for (size_t n = 0; n < entry.len; n++)
        assert_int_equal(manifest_log_decode(slice_sub(entry, 0, n), &out), ERR_CORRUPT);
    slice_unref(entry);
}

struct entries {
    struct slice at[8];
    uint32_t n;
};

static void entry_keep(void *arg, struct slice entry)
{
    struct entries *e = arg;
    e->at[e->n++] = slice_ref(entry);
}

static void write_three(bool clean)
{
    struct slice entries[3];
    for (uint32_t i = 0; i < 3; i++) {
        struct manifest_log log = sample(i);
        entries[i] = manifest_log_encode(&log);
    }
    struct manifest_head head = {
        .incarnation = 5, .clean = clean, .sequence = 1ull << 33, .file = 2, .at = 8192, .logs = 3};
    assert_int_equal(manifest_write(disk, "/d", &head, entries), ERR_OK);
    for (uint32_t i = 0; i < 3; i++)
        slice_unref(entries[i]);
}

static void test_file(void **state)
{
    (void)state;
    struct manifest_head head;
    struct entries got = {0};
    struct err_text text;
    assert_int_equal(manifest_read(disk, "/d", &head, entry_keep, &got, &text), ERR_NOT_FOUND);
    write_three(false);
    write_three(true);
    sim_power_cut(sim);
    assert_int_equal(manifest_read(disk, "/d", &head, entry_keep, &got, &text), ERR_OK);
    assert_int_equal(head.incarnation, 5);
    assert_true(head.clean);
    assert_true(head.sequence == 1ull << 33);
    assert_int_equal(head.file, 2);
    assert_int_equal(head.at, 8192);
    assert_int_equal(got.n, 3);
    for (uint32_t i = 0; i < 3; i++) {
        struct manifest_log want = sample(i), out;
        assert_int_equal(manifest_log_decode(got.at[i], &out), ERR_OK);
        check_equal(&want, &out);
        manifest_log_free(&out);
        slice_unref(got.at[i]);
    }
}

static void test_empty(void **state)
{
    (void)state;
    struct manifest_head head = {.file = MANIFEST_NO_FILE};
    struct entries got = {0};
    assert_int_equal(manifest_write(disk, "/d", &head, NULL), ERR_OK);
    assert_int_equal(manifest_read(disk, "/d", &head, entry_keep, &got, NULL), ERR_OK);
    assert_int_equal(got.n, 0);
    assert_int_equal(head.file, MANIFEST_NO_FILE);
}

static void test_damage(void **state)
{
    (void)state;
    struct manifest_head head;
    struct err_text text;
    struct buf *b;
    size_t n;
    write_three(false);
    assert_int_equal(disk_read_file(disk, "/d/manifest", 1 << 20, &b, &n), ERR_OK);
    for (size_t i = 0; i < n; i++) {
        struct entries got = {0};
        b->data[i] ^= 0x20;
        assert_int_equal(disk_replace_file(disk, "/d", "manifest", b->data, n), ERR_OK);
        assert_int_equal(manifest_read(disk, "/d", &head, entry_keep, &got, &text), ERR_CORRUPT);
        assert_int_equal(got.n, 0);
        assert_non_null(strstr(text.s, "/d/manifest"));
        b->data[i] ^= 0x20;
    }
    assert_int_equal(disk_replace_file(disk, "/d", "manifest", b->data, n - 1), ERR_OK);
    struct entries got = {0};
    assert_int_equal(manifest_read(disk, "/d", &head, entry_keep, &got, &text), ERR_CORRUPT);
    buf_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entry),
        cmocka_unit_test_setup_teardown(test_file, sim_folder_make, sim_folder_free),
        cmocka_unit_test_setup_teardown(test_empty, sim_folder_make, sim_folder_free),
        cmocka_unit_test_setup_teardown(test_damage, sim_folder_make, sim_folder_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
