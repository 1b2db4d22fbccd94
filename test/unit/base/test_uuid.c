#include "base/uuid.h"

#include "base/random.h"

#include "../check.h"

#include <string.h>

static void test_known_texts(void **state)
{
    (void)state;
    struct uuid id = {{0}};
    char text[UUID_TEXT_MAX];
    assert_true(uuid_is_zero(id));
    uuid_format(id, text);
    assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAA");
    id.b[15] = 1; /* the id of Kafka's own metadata topic */
    assert_false(uuid_is_zero(id));
    uuid_format(id, text);
    assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAQ");
    for (uint8_t i = 0; i < 16; i++)
        id.b[i] = i;
    uuid_format(id, text);
    assert_string_equal(text, "AAECAwQFBgcICQoLDA0ODw");
    memset(id.b, 0xff, 16);
    uuid_format(id, text);
    assert_string_equal(text, "_____________________w");
    memset(id.b, 0xfb, 16);
    uuid_format(id, text);
    assert_string_equal(text, "-_v7-_v7-_v7-_v7-_v7-w");
}

static void test_round_trip(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 12);
    for (int i = 0; i < 2000; i++) {
        struct uuid id, back;
        char text[UUID_TEXT_MAX];
        rng_fill(&rng, id.b, 16);
        uuid_format(id, text);
        assert_int_equal(strlen(text), 22);
        assert_int_equal(uuid_parse(text, &back), ERR_OK);
        assert_true(uuid_eq(id, back));
        assert_int_equal(uuid_hash(id), uuid_hash(back));
        back.b[i % 16] ^= 1;
        assert_false(uuid_eq(id, back));
        assert_int_not_equal(uuid_hash(id), uuid_hash(back));
    }
}

static void test_parse_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "AAAAAAAAAAAAAAAAAAAAA",    /* 21 */
        "AAAAAAAAAAAAAAAAAAAAAAA",  /* 23 */
        "AAAAAAAAAAAAAAAAAAAAAA==", /* padded */
        "AAAAAAAAAAAAAAAAAAAAA+",   /* not the URL alphabet */
        "AAAA AAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAB", /* bits that belong to no byte */
        "AAAAAAAAAAAAAAAAAAAAA\xff",
    };
    struct uuid id;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(uuid_parse(bad[i], &id), ERR_REQUEST_INVALID);
}

static void test_from_random(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 13);
    for (int i = 0; i < 2000; i++) {
        uint8_t bytes[16];
        char text[UUID_TEXT_MAX];
        rng_fill(&rng, bytes, 16);
        bytes[0] = (uint8_t)i;
        struct uuid id = uuid_from_random(bytes);
        uuid_format(id, text);
        assert_int_equal(id.b[6] >> 4, 4);
        assert_int_equal(id.b[8] >> 6, 2);
        assert_int_not_equal(text[0], '-');
        assert_memory_equal(id.b + 9, bytes + 9, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_texts),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_from_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
