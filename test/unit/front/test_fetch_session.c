/* Fetch sessions: the table of KIP-227's cases, what is kept of a partition, and the bounds. */
#include "front/kafka/fetch_session.h"

#include "../broker/fake_env.h"
#include "../check.h"

#include <string.h>

static struct fake_world world;
static struct fetch_sessions *sessions;
static const struct uuid no_id;

static int setup(void **state)
{
    (void)state;
    fake_world_make(&world, 1);
    sessions = fetch_sessions_make(&world.envs[0].env);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fetch_sessions_free(sessions);
    fake_world_free(&world);
    return 0;
}

static struct fetch_session *enter(int32_t id, int32_t epoch, enum err expected)
{
    struct fetch_session *f = NULL;
    assert_int_equal(fetch_session_enter(sessions, id, epoch, false, &f), expected);
    assert_true((f != NULL) == (expected == ERR_OK));
    return f;
}

static void leave(struct fetch_session *f)
{
    fetch_session_leave(sessions, f);
}

static struct fetch_partition *put(struct fetch_session *f, const char *topic, int32_t partition)
{
    return fetch_session_put(sessions, f, str_of(topic), &no_id, partition);
}

/* A session that is kept, with one partition; its id. */
static int32_t make_one(void)
{
    struct fetch_session *f = enter(0, 0, ERR_OK);
    int32_t id = f->id;
    assert_non_null(put(f, "t", 0));
    leave(f);
    return id;
}

static void without_a_session_nothing_is_kept(void **state)
{
    (void)state;
    struct fetch_session *f = enter(0, -1, ERR_OK);
    assert_int_equal(f->id, 0);
    assert_true(f->full);
    assert_non_null(put(f, "t", 0));
    leave(f);
    assert_int_equal(fetch_sessions_count(sessions), 0);
}

static void a_new_one_is_kept_and_counts_its_epochs(void **state)
{
    (void)state;
    int32_t id = make_one();
    assert_true(id > 0);
    assert_int_equal(fetch_sessions_count(sessions), 1);
    for (int32_t epoch = 1; epoch < 5; epoch++) {
        struct fetch_session *f = enter(id, epoch, ERR_OK);
        assert_int_equal(f->id, id);
        assert_false(f->full);
        assert_int_equal(f->count, 1);
        leave(f);
    }
    (void)enter(id, 4, ERR_FETCH_SESSION_EPOCH);
    (void)enter(id, 6, ERR_FETCH_SESSION_EPOCH);
    leave(enter(id, 5, ERR_OK));
}

static void unknown_ids_are_refused(void **state)
{
    (void)state;
    int32_t id = make_one();
    (void)enter(id ^ 1, 1, ERR_FETCH_SESSION_UNKNOWN);
    (void)enter(0, 1, ERR_FETCH_SESSION_UNKNOWN);
    (void)enter(-5, 1, ERR_FETCH_SESSION_UNKNOWN);
}

static void the_last_epoch_closes(void **state)
{
    (void)state;
    int32_t id = make_one();
    struct fetch_session *f = enter(id, -1, ERR_OK);
    assert_int_equal(f->id, 0);
    assert_int_equal(f->count, 0);
    leave(f);
    assert_int_equal(fetch_sessions_count(sessions), 0);
    (void)enter(id, 1, ERR_FETCH_SESSION_UNKNOWN);
}

static void starting_over_replaces(void **state)
{
    (void)state;
    int32_t id = make_one();
    struct fetch_session *f = enter(id, 0, ERR_OK);
    assert_true(f->id != 0 && f->id != id);
    assert_true(f->full);
    leave(f);
    assert_int_equal(fetch_sessions_count(sessions), 1);
    (void)enter(id, 1, ERR_FETCH_SESSION_UNKNOWN);
}

/* The request that waits on it still owns it; it goes when that is over. */
static void one_that_is_in_use_is_replaced_later(void **state)
{
    (void)state;
    int32_t id = make_one();
    struct fetch_session *used = enter(id, 1, ERR_OK);
    (void)enter(id, 2, ERR_FETCH_SESSION_EPOCH);
    struct fetch_session *f = enter(id, 0, ERR_OK);
    leave(f);
    assert_int_equal(used->count, 1);
    leave(used);
    assert_int_equal(fetch_sessions_count(sessions), 1);
    (void)enter(id, 2, ERR_FETCH_SESSION_UNKNOWN);
}

static void names_and_ids_do_not_mix(void **state)
{
    (void)state;
    int32_t id = make_one();
    struct fetch_session *f;
    assert_int_equal(fetch_session_enter(sessions, id, 1, true, &f), ERR_FETCH_SESSION_TOPIC_ID);
    leave(enter(id, 1, ERR_OK));
}

static void the_epoch_wraps_around_to_1(void **state)
{
    (void)state;
    int32_t id = make_one();
    struct fetch_session *f = enter(id, 1, ERR_OK);
    f->epoch = INT32_MAX;
    leave(f);
    leave(enter(id, INT32_MAX, ERR_OK));
    leave(enter(id, 1, ERR_OK));
}

/* ---- partitions ----------------------------------------------------------------------------- */

static void partitions_are_found_again_and_forgotten(void **state)
{
    (void)state;
    struct fetch_session *f = enter(0, 0, ERR_OK);
    struct uuid a = {{1}}, b = {{2}};
    struct str none = {0};
    struct fetch_partition *t0 = put(f, "t", 0), *t1 = put(f, "t", 1), *u0 = put(f, "u", 0);
    struct fetch_partition *a0 = fetch_session_put(sessions, f, none, &a, 0);
    struct fetch_partition *b0 = fetch_session_put(sessions, f, none, &b, 0);
    assert_int_equal(f->count, 5);
    assert_true(t0 != t1 && t0 != u0 && a0 != b0);
    assert_ptr_equal(put(f, "t", 1), t1);
    assert_ptr_equal(fetch_session_put(sessions, f, none, &b, 0), b0);
    fetch_session_forget(sessions, f, STR_LIT("t"), &no_id, 1);
    fetch_session_forget(sessions, f, STR_LIT("t"), &no_id, 7);
    fetch_session_forget(sessions, f, none, &a, 0);
    assert_int_equal(f->count, 3);
    /* A name is more than its beginning. */
    struct fetch_partition *nul =
        fetch_session_put(sessions, f, (struct str){"u\0x", 3}, &no_id, 0);
    assert_ptr_not_equal(nul, u0);
    assert_int_equal(nul->name.len, 3);
    leave(f);
}

static void what_was_answered_comes_last(void **state)
{
    (void)state;
    struct fetch_session *f = enter(0, 0, ERR_OK);
    struct fetch_partition *p[3];
    for (int i = 0; i < 3; i++)
        p[i] = put(f, "t", i);
    fetch_session_answered(f, p[0]);
    assert_ptr_equal(container_of(f->partitions.next, struct fetch_partition, link), p[1]);
    assert_ptr_equal(container_of(f->partitions.prev, struct fetch_partition, link), p[0]);
    leave(f);
}

/* ---- bounds --------------------------------------------------------------------------------- */

static void the_cache_is_full_until_one_is_idle(void **state)
{
    int32_t first, second;
    (void)state;
    first = make_one();
    second = make_one();
    for (int i = 2; i < FETCH_SESSIONS_MAX; i++)
        (void)make_one();
    assert_int_equal(fetch_sessions_count(sessions), FETCH_SESSIONS_MAX);

    struct fetch_session *f = enter(0, 0, ERR_OK);
    assert_int_equal(f->id, 0); /* served all the same, without a session */
    leave(f);
    leave(enter(first, 1, ERR_OK)); /* the second is now the least recently used */

    fake_advance(&world, FETCH_SESSION_IDLE_MS - 1);
    f = enter(0, 0, ERR_OK);
    assert_int_equal(f->id, 0);
    leave(f);
    fake_advance(&world, 1);
    f = enter(0, 0, ERR_OK);
    assert_int_not_equal(f->id, 0);
    leave(f);
    assert_int_equal(fetch_sessions_count(sessions), FETCH_SESSIONS_MAX);
    (void)enter(second, 1, ERR_FETCH_SESSION_UNKNOWN);
    leave(enter(first, 2, ERR_OK));
}

static void one_in_use_is_never_the_one_to_go(void **state)
{
    (void)state;
    int32_t first = make_one();
    for (int i = 1; i < FETCH_SESSIONS_MAX; i++)
        (void)make_one();
    struct fetch_session *used = enter(first, 1, ERR_OK);
    fake_advance(&world, FETCH_SESSION_IDLE_MS * 2);
    for (int i = 0; i < FETCH_SESSIONS_MAX; i++)
        leave(enter(0, 0, ERR_OK));
    assert_int_equal(used->count, 1);
    leave(used);
    leave(enter(first, 2, ERR_OK));
}

static void a_session_has_so_many_partitions(void **state)
{
    (void)state;
    struct fetch_session *f = enter(0, -1, ERR_OK);
    for (int32_t i = 0; i < FETCH_SESSION_PARTITIONS_MAX; i++)
        assert_non_null(put(f, "t", i));
    assert_null(put(f, "t", FETCH_SESSION_PARTITIONS_MAX));
    assert_non_null(put(f, "t", 5));
    fetch_session_forget(sessions, f, STR_LIT("t"), &no_id, 5);
    assert_non_null(put(f, "t", FETCH_SESSION_PARTITIONS_MAX));
    leave(f);
}

/* Long names count: then no more fits, and what is freed is there for others. */
static void all_sessions_have_so_many_bytes(void **state)
{
    static char name[1 << 20];
    int32_t n = 0;
    (void)state;
    memset(name, 'x', sizeof name);
    for (unsigned round = 0; round < 2; round++) {
        struct fetch_session *f = enter(0, 0, ERR_OK);
        struct str long_name = {name, sizeof name};
        for (n = 0; fetch_session_put(sessions, f, long_name, &no_id, n); n++)
            assert_true(n < 300);
        assert_int_equal(n,
                         FETCH_SESSIONS_BYTES_MAX / (sizeof name + sizeof(struct fetch_partition)));
        struct fetch_session *other = enter(0, 0, ERR_OK);
        assert_int_equal(other->id, 0); /* nothing is kept beside it */
        leave(other);
        fetch_session_close(sessions, f);
        leave(f);
    }
    assert_int_equal(fetch_sessions_count(sessions), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
        TEST(without_a_session_nothing_is_kept),
        TEST(a_new_one_is_kept_and_counts_its_epochs),
        TEST(unknown_ids_are_refused),
        TEST(the_last_epoch_closes),
        TEST(starting_over_replaces),
        TEST(one_that_is_in_use_is_replaced_later),
        TEST(names_and_ids_do_not_mix),
        TEST(the_epoch_wraps_around_to_1),
        TEST(partitions_are_found_again_and_forgotten),
        TEST(what_was_answered_comes_last),
        TEST(the_cache_is_full_until_one_is_idle),
        TEST(one_in_use_is_never_the_one_to_go),
        TEST(a_session_has_so_many_partitions),
        TEST(all_sessions_have_so_many_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
