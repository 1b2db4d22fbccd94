/* Requests of real clients, as recorded on the wire (test/wire/golden): header and body are what
 * the tables say, nothing is left over, and what was read is written back to the same bytes. */
#include "front/kafka/messages.h"

#include "base/buf.h"

#include "../check.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define FRAME_MAX 16384

struct row {
    int16_t key, flexible_from;
    const struct wire_message *table;
};

/* What is flexible from when: Kafka's definitions, as api.c has them. Requests of other keys (of
 * newer clients, which asked a Kafka) are counted and left out. */
static const struct row rows[] = {
    {0, 9, &kafka_produce_request_table},
    {1, 12, &kafka_fetch_request_table},
    {2, 6, &kafka_list_offsets_request_table},
    {3, 9, &kafka_metadata_request_table},
    {8, 8, &kafka_offset_commit_request_table},
    {9, 6, &kafka_offset_fetch_request_table},
    {10, 3, &kafka_find_coordinator_request_table},
    {11, 6, &kafka_join_group_request_table},
    {12, 4, &kafka_heartbeat_request_table},
    {13, 4, &kafka_leave_group_request_table},
    {14, 4, &kafka_sync_group_request_table},
    {15, 5, &kafka_describe_groups_request_table},
    {16, 3, &kafka_list_groups_request_table},
    {18, 3, &kafka_api_versions_request_table},
    {19, 5, &kafka_create_topics_request_table},
    {20, 4, &kafka_delete_topics_request_table},
    {21, 2, &kafka_delete_records_request_table},
    {22, 2, &kafka_init_producer_id_request_table},
    {23, 4, &kafka_offset_for_leader_epoch_request_table},
    {32, 4, &kafka_describe_configs_request_table},
    {37, 2, &kafka_create_partitions_request_table},
    {42, 2, &kafka_delete_groups_request_table},
    {60, 0, &kafka_describe_cluster_request_table},
};

static const struct row *row_of(int16_t key)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].key == key)
            return &rows[i];
    }
    return NULL;
}

static size_t read_file(const char *name, uint8_t *out)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", GOLDEN, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(out, 1, FRAME_MAX, f);
    assert_true(n > 0 && n < FRAME_MAX);
    fclose(f);
    return n;
}

/* False: a key that the tables lack. */
static bool replay(const char *name)
{
    uint8_t frame[FRAME_MAX];
    size_t n = read_file(name, frame);
    struct rd r;
    struct arena a;
    struct wr w;
    rd_init(&r, frame, n);
    const struct row *row = row_of(rd_i16(&r));
    if (!row)
        return false;
    int16_t version = rd_i16(&r);
    bool flexible = version >= row->flexible_from;
    (void)rd_i32(&r);
    (void)wire_get_str(&r, false);
    if (flexible)
        wire_skip_tags(&r);
    assert_false(r.bad);
    size_t head = n - rd_left(&r);

    arena_init(&a, 1 << 20);
    void *in = arena_alloc(&a, row->table->size);
    if (wire_decode(row->table, version, flexible, &r, &a, in) || rd_left(&r))
        fail_msg("%s: %zu bytes are left", name, rd_left(&r));
    wr_init(&w, 64);
    wire_encode(row->table, version, flexible, in, &w);
    assert_int_equal(w.len, n - head);
    assert_memory_equal(w.buf->data, frame + head, w.len);
    wr_free(&w);
    arena_free(&a);
    return true;
}

static void recorded_requests_are_read_and_written_back(void **state)
{
    DIR *dir = opendir(GOLDEN);
    unsigned read = 0, unknown = 0;
    struct dirent *e;
    (void)state;
    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL) {
        if (!strstr(e->d_name, ".bin"))
            continue;
        if (replay(e->d_name))
            read++;
        else
            unknown++;
    }
    closedir(dir);
    assert_true(read >= 90);
    assert_true(unknown < read / 10);
}

/* Every key of the table was sent by some client, but for what none of them needs. */
static void every_kind_of_request_was_recorded(void **state)
{
    bool seen[sizeof rows / sizeof rows[0]] = {false};
    uint8_t frame[FRAME_MAX];
    DIR *dir = opendir(GOLDEN);
    struct dirent *e;
    (void)state;
    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL) {
        if (!strstr(e->d_name, ".bin"))
            continue;
        (void)read_file(e->d_name, frame);
        const struct row *row = row_of((int16_t)be16_get(frame));
        if (row)
            seen[row - rows] = true;
    }
    closedir(dir);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_true(seen[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_requests_are_read_and_written_back),
        cmocka_unit_test(every_kind_of_request_was_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
