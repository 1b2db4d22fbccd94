/* journal_world.h: a journal on a simulated disk, and groups to write to it. */
#pragma once

#include "base/crc32c.h"
#include "base/mem.h"
#include "io/sim.h"
#include "store/journal.h"

#include "../check.h"

#include <string.h>

static struct journal_world {
    struct sim *sim;
    struct disk *disk;
    struct loop *loop;
    struct journal journal;
    bool open, grown;
} jw;

static inline void jw_grown(struct journal *j)
{
    (void)j;
    jw.grown = true;
}

static inline void jw_make(void)
{
    jw = (struct journal_world){.sim = sim_make(&(struct sim_conf){.seed = 3})};
    jw.disk = sim_disk(jw.sim);
    sim_loops(jw.sim, 1, &jw.loop);
    assert_int_equal(disk_mkdir(jw.disk, "/d"), ERR_OK);
    assert_int_equal(disk_mkdir(jw.disk, "/d/journal"), ERR_OK);
    assert_int_equal(disk_sync_dir(jw.disk, "/"), ERR_OK);
    assert_int_equal(disk_sync_dir(jw.disk, "/d"), ERR_OK);
}

static inline void jw_open(uint32_t incarnation, uint64_t next)
{
    struct journal_conf conf = {.disk = jw.disk,
                                .dir = "/d",
                                .first_bytes = 16 * JOURNAL_BLOCK,
                                .file_bytes = 32 * JOURNAL_BLOCK,
                                .total_bytes = 200 * JOURNAL_BLOCK,
                                .incarnation = incarnation,
                                .salt = 1000 + incarnation,
                                .next_sequence = next};
    assert_int_equal(journal_open(&jw.journal, &conf), ERR_OK);
    jw.journal.grown = jw_grown;
    jw.open = true;
}

static inline void jw_close(void)
{
    if (jw.open)
        journal_close(&jw.journal);
    jw.open = false;
}

static inline void jw_free(void)
{
    jw_close();
    sim_free(jw.sim);
}

/* One batch of about `bytes` bytes in a group; returns the group's place. */
static inline struct journal_write jw_write_as(size_t bytes, bool sync, uint64_t durable)
{
    struct journal *j = &jw.journal;
    struct batch_builder b;
    char *value = mem_alloc(bytes);
    memset(value, 'v', bytes);
    batch_begin(&b, 0);
    batch_add(&b, 1, (struct str){0}, (struct str){value, bytes}, NULL, 0);
    mem_free(value);
    struct slice batch = batch_end(&b);
    struct journal_frame frame = {.kind = JOURNAL_PAYLOAD,
                                  .next_offset = 1,
                                  .bytes = (uint32_t)batch.len,
                                  .head_crc = crc32c(0, batch.at, BATCH_CRC_FROM),
                                  .batch_crc = be32_get(batch.at + 17)};
    uint64_t size = journal_pad(journal_heads_bytes(1) + batch.len);
    uint8_t *group = mem_zalloc(1, (size_t)size);
    struct journal_write w;
    journal_place(j, size, sync, &w);
    journal_frame_put(group + JOURNAL_GROUP_HEAD_BYTES, &frame);
    memcpy(group + journal_heads_bytes(1), batch.at, batch.len);
    struct journal_group_head head = {.incarnation = j->conf.incarnation,
                                      .frames = 1,
                                      .sequence = w.sequence,
                                      .durable = durable,
                                      .bytes = size,
                                      .salt = j->conf.salt};
    journal_group_head_put(group, &head);
    struct iovec iov[2] = {{j->file_head, JOURNAL_BLOCK}, {group, (size_t)size}};
    w.iov = w.begins_file ? iov : iov + 1;
    w.count = w.begins_file ? 2 : 1;
    assert_int_equal(journal_run(j, &w), ERR_OK);
    journal_ran(j, &w);
    mem_free(group);
    slice_unref(batch);
    return w;
}

static inline struct journal_write jw_write(size_t bytes, bool sync)
{
    return jw_write_as(bytes, sync, jw.journal.durable);
}

static inline void jw_grow(uint64_t need, bool in_advance)
{
    jw.grown = false;
    assert_true(journal_grow_start(&jw.journal, jw.loop, need, in_advance));
    assert_true(sim_run_while_not(jw.sim, &jw.grown, 10000000));
}
