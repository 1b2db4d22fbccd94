#include "../check.h"

#include "base/mem.h"
#include "rig.h"

#include <string.h>

static void check_read(struct rig *r, unsigned from, const struct uuid *id, int32_t partition,
                       int64_t offset, const char *values)
{
    enum err err;
    char *got = rig_read(r, from, id, partition, offset, &err);
    assert_int_equal(err, ERR_OK);
    assert_string_equal(got, values);
    mem_free(got);
}

static void test_produce_and_read(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 3; n++) {
        struct rig r;
        rig_make(&r, n);
        assert_int_equal(rig_create(&r, n - 1, "t", 5), ERR_OK);
        struct uuid id = rig_topic_id(&r, "t");
        for (int32_t p = 0; p < 5; p++) {
            int64_t offset;
            assert_int_equal(rig_produce(&r, 0, &id, p, rig_batch(2, 1), &offset), ERR_OK);
            assert_int_equal(offset, 0);
            assert_int_equal(rig_produce(&r, n - 1, &id, p, rig_batch(3, 1), &offset), ERR_OK);
            assert_int_equal(offset, 2);
            check_read(&r, 0, &id, p, 0, "v0 v1 v0 v1 v2 ");
            check_read(&r, n - 1, &id, p, 3, "v1 v2 ");
            check_read(&r, 0, &id, p, 5, "");
        }
        rig_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_produce_and_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
