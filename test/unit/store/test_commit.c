#include "store/commit.h"

#include "base/mem.h"
#include "io/sim.h"

#include "../check.h"

#include <string.h>

#define REACTORS 3

static struct sim *sim;
static struct loop *loops[REACTORS];
static struct writer writer;
static enum err failed;
static unsigned starved;

/* An item, and when it was done. */
struct work {
    struct commit_item item;
    unsigned reactor, number;
    unsigned done;             /* 0: not yet; else in which order */
    uint64_t durable, written; /* the journal's, then */
};

static unsigned done_count;

static void work_done(struct commit_item *item, enum err err)
{
    struct work *w = container_of(item, struct work, item);
    assert_int_equal(err, ERR_OK);
    assert_int_equal(w->done, 0);
    w->done = ++done_count;
    w->durable = writer.journal.durable;
    w->written = writer.journal.next - 1;
}

static void complete(void *arg, unsigned reactor, struct list *items)
{
    (void)arg;
    struct list *l;
    while ((l = list_pop(items))) {
        struct commit_item *item = container_of(l, struct commit_item, link);
        assert_int_equal(container_of(item, struct work, item)->reactor, reactor);
        item->done(item, ERR_OK);
    }
}

static void on_failed(void *arg, enum err err, const char *what)
{
    (void)arg;
    (void)what;
    assert_int_equal(failed, ERR_OK);
    failed = err;
}

static void on_starved(void *arg)
{
    (void)arg;
    starved++;
}

static void make(enum commit_where where)
{
    sim = sim_make(&(struct sim_conf){.seed = 5});
    struct disk *disk = sim_disk(sim);
    sim_loops(sim, REACTORS, loops);
    assert_int_equal(disk_mkdir(disk, "/d"), ERR_OK);
    assert_int_equal(disk_mkdir(disk, "/d/journal"), ERR_OK);
    struct journal_conf conf = {.disk = disk,
                                .dir = "/d",
                                .first_bytes = 64 * JOURNAL_BLOCK,
                                .file_bytes = 64 * JOURNAL_BLOCK,
                                .total_bytes = 1024 * JOURNAL_BLOCK,
                                .next_sequence = 1};
    struct writer_ops ops = {complete, on_failed, on_starved, NULL};
    assert_int_equal(writer_open(&writer, &conf, &ops, loops, REACTORS, where), ERR_OK);
    failed = ERR_OK;
    done_count = starved = 0;
}

static int setup_inline(void **state)
{
    (void)state;
    make(COMMIT_INLINE);
    return 0;
}

static int setup_helper(void **state)
{
    (void)state;
    make(COMMIT_HELPER);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sim_run_until(sim, sim_mono_us(sim) + 1000000);
    writer_close(&writer);
    sim_free(sim);
    return 0;
}

/* frames 0: a barrier. */
static struct work *work_make(unsigned reactor, unsigned frames, bool sync, struct commit_tag *tag)
{
    struct work *w = mem_zalloc(1, sizeof(*w));
    commit_item_init(&w->item, work_done);
    w->reactor = reactor;
    w->item.sync = sync;
    w->item.tag = tag;
    for (unsigned i = 0; i < frames; i++) {
        struct commit_frame *f = i ? mem_zalloc(1, sizeof(*f)) : &w->item.own;
        struct journal_frame head = {.kind = JOURNAL_START, .offset = i};
        journal_frame_put(f->head, &head);
        commit_item_add(&w->item, f);
    }
    return w;
}

static void work_free(struct work *w)
{
    for (struct commit_frame *next, *f = w->item.first; f; f = next) {
        next = f->next;
        if (f != &w->item.own)
            mem_free(f);
    }
    mem_free(w);
}

static void hand_over(struct work *w)
{
    struct list items;
    list_init(&items);
    list_push(&items, &w->item.link);
    writer_hand_over(&writer, w->reactor, &items);
}

/* Lets mails and jobs happen, then takes what is there, until nothing moves. */
static void settle(void)
{
    for (unsigned i = 0; i < 4; i++) {
        sim_run_until(sim, sim_mono_us(sim) + 10000);
        writer_run(&writer);
    }
    sim_run_until(sim, sim_mono_us(sim) + 10000);
}

static void test_one_group(void **state)
{
    (void)state;
    struct work *w[6];
    for (unsigned i = 0; i < 6; i++)
        hand_over(w[i] = work_make(i % 3, 1 + i, true, NULL));
    settle();
    assert_int_equal(writer.groups, 1);
    assert_int_equal(writer.syncs, 1);
    for (unsigned i = 0; i < 6; i++) {
        assert_true(w[i]->done);
        assert_int_equal(w[i]->durable, 1);
        if (i >= 3) /* in order on its reactor */
            assert_true(w[i]->done > w[i - 3]->done);
    }
    for (unsigned i = 0; i < 6; i++)
        work_free(w[i]);
    assert_true(writer_idle(&writer));
}

static void test_written_is_enough(void **state)
{
    (void)state;
    struct work *a = work_make(0, 1, false, NULL), *b = work_make(0, 1, true, NULL),
                *barrier = work_make(0, 0, true, NULL);
    hand_over(a);
    settle();
    assert_true(a->done);
    assert_int_equal(writer.syncs, 0);
    assert_int_equal(a->written, 1);
    assert_int_equal(a->durable, 0);
    hand_over(barrier); /* only a sync */
    settle();
    assert_true(barrier->done);
    assert_int_equal(barrier->durable, 1);
    assert_int_equal(writer.syncs, 1);
    assert_int_equal(writer.groups, 1);
    hand_over(b);
    settle();
    assert_int_equal(b->durable, 2);
    work_free(a);
    work_free(b);
    work_free(barrier);
}

static void test_barrier_without_need(void **state)
{
    (void)state;
    struct work *barrier = work_make(1, 0, true, NULL);
    hand_over(barrier);
    settle();
    assert_true(barrier->done);
    assert_int_equal(writer.syncs, 0);
    work_free(barrier);
}

/* A tagged item waits for its other part, and all behind it on its reactor; others do not. */
static void test_tag_waits(void **state)
{
    (void)state;
    struct commit_tag tag = {.parts = 2};
    struct work *before = work_make(0, 1, true, NULL), *part0 = work_make(0, 1, true, &tag),
                *behind = work_make(0, 1, true, NULL), *other = work_make(1, 1, true, NULL),
                *part2 = work_make(2, 1, true, &tag);
    hand_over(before);
    hand_over(part0);
    hand_over(behind);
    hand_over(other);
    settle();
    assert_true(before->done && other->done);
    assert_false(part0->done || behind->done);
    hand_over(part2);
    settle();
    assert_true(part0->done && part2->done && behind->done);
    assert_int_equal(part0->written, part2->written); /* one group */
    assert_true(behind->done > part0->done);
    work_free(before);
    work_free(part0);
    work_free(behind);
    work_free(other);
    work_free(part2);
}

/* Two tags in opposite order on two reactors, tied to a third that is not complete: nothing may be
 * taken but what is closed, and it all goes once it is. */
static void test_tags_crossed(void **state)
{
    (void)state;
    struct commit_tag x = {.parts = 2}, y = {.parts = 3};
    struct work *x0 = work_make(0, 1, true, &x), *y0 = work_make(0, 1, true, &y),
                *y1 = work_make(1, 1, true, &y), *x1 = work_make(1, 1, true, &x),
                *y2 = work_make(2, 1, true, &y);
    hand_over(x0);
    hand_over(y0);
    hand_over(y1);
    hand_over(x1);
    settle();
    assert_int_equal(done_count, 0); /* x1 stands behind y1, which misses a part */
    hand_over(y2);
    settle();
    assert_int_equal(done_count, 5);
    assert_int_equal(writer.groups, 1);
    work_free(x0);
    work_free(x1);
    work_free(y0);
    work_free(y1);
    work_free(y2);
}

/* A group is closed when it is large, but never splits an item or a tagged pair. */
static void test_split(void **state)
{
    (void)state;
    enum { N = 40 };
    static uint8_t payload[600 << 10];
    struct work *w[N];
    for (unsigned i = 0; i < N; i++) {
        w[i] = work_make(0, 1, true, NULL);
        w[i]->item.own.payload = (struct slice){NULL, payload, sizeof(payload)};
        w[i]->item.payload_bytes = sizeof(payload);
        hand_over(w[i]);
    }
    writer_run(&writer);
    for (unsigned i = 0; i < 10; i++)
        settle();
    assert_int_equal(done_count, N);
    assert_true(writer.groups >= N * sizeof(payload) / COMMIT_GROUP_BYTES);
    assert_true(writer.groups < N);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(w[i]->done, i + 1);
        work_free(w[i]);
    }
}

static void test_held(void **state)
{
    (void)state;
    struct work *w = work_make(0, 1, true, NULL);
    writer.held = true;
    hand_over(w);
    settle();
    assert_false(w->done);
    writer.held = false;
    settle();
    assert_true(w->done);
    work_free(w);
}

static void test_failure(void **state)
{
    (void)state;
    struct work *a = work_make(0, 1, true, NULL), *b = work_make(0, 1, true, NULL);
    sim_disk_set_faults(sim, &(struct sim_disk_faults){.fail_sync_after = 1});
    hand_over(a);
    settle();
    assert_int_equal(failed, ERR_IO);
    hand_over(b);
    settle();
    assert_int_equal(done_count, 0);
    assert_int_equal(writer.groups, 0);
    work_free(a);
    work_free(b);
}

/* No room, and none to be had: said before anything is taken on, and again when it is too late. */
static void test_no_room(void **state)
{
    (void)state;
    static uint8_t payload[200 << 10];
    struct work *a = work_make(0, 1, true, NULL), *b = work_make(0, 1, true, NULL);
    a->item.own.payload = b->item.own.payload = (struct slice){NULL, payload, sizeof(payload)};
    a->item.payload_bytes = b->item.payload_bytes = sizeof(payload);
    sim_disk_set_faults(sim, &(struct sim_disk_faults){.full_after = 1});
    assert_true(writer_admits(&writer, sizeof(payload)));
    hand_over(a);
    settle();
    assert_true(a->done);
    assert_false(writer_admits(&writer, sizeof(payload)));
    assert_true(writer_admits(&writer, 1000));
    hand_over(b);
    settle();
    assert_false(b->done);
    assert_true(starved > 0);
    sim_disk_set_faults(sim, &(struct sim_disk_faults){0});
    writer_recycle(&writer, 1); /* a checkpoint made room */
    settle();
    assert_true(b->done);
    work_free(a);
    work_free(b);
}

#define BOTH(test)                                                                                 \
    cmocka_unit_test_setup_teardown(test, setup_inline, teardown),                                 \
        cmocka_unit_test_setup_teardown(test, setup_helper, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_one_group), BOTH(test_written_is_enough), BOTH(test_barrier_without_need),
        BOTH(test_tag_waits), BOTH(test_tags_crossed),      BOTH(test_split),
        BOTH(test_held),      BOTH(test_failure),           BOTH(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
