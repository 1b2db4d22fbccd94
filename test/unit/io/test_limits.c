/* What the system allows: the soft limit of files follows the hard one. */
#include "io/limits.h"

#include "../check.h"

#include <malloc.h>
#include <sys/resource.h>

static void files_are_raised_to_the_hard_limit(void **state)
{
    struct rlimit before, low, now;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = (struct rlimit){64, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(limits_raise_files(), before.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_int_equal(now.rlim_cur, before.rlim_max);
    assert_int_equal(now.rlim_max, before.rlim_max);
    assert_int_equal(limits_raise_files(), before.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* Large buffers come from the heap, which keeps them: no mapping of their own that is given back.
 * The sanitizer has its own allocator, which mallopt does not reach: nothing to see there. */
static void large_buffers_stay_in_the_heap(void **state)
{
    (void)state;
    limits_keep_heap((uint64_t)64 << 20);
    struct mallinfo2 before = mallinfo2();
    if (before.arena == 0 && before.hblkhd == 0)
        skip();
    void *p = malloc((size_t)8 << 20);
    struct mallinfo2 with = mallinfo2();
    assert_non_null(p);
    assert_int_equal(with.hblkhd, before.hblkhd);
    free(p);
    assert_true(mallinfo2().arena >= with.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_raised_to_the_hard_limit),
        cmocka_unit_test(large_buffers_stay_in_the_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
