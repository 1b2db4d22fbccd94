/* The table of committed offsets, against a plain array. */
#include "../check.h"

#include "base/random.h"
#include "broker/offsets.h"

#include <stdio.h>
#include <string.h>

#define TOPICS 5
#define PARTITIONS 40

struct model {
    bool there[TOPICS][PARTITIONS];
    int64_t offset[TOPICS][PARTITIONS];
    uint8_t id[TOPICS];
};

static struct str topic_name(unsigned t, char *out)
{
    out[0] = (char)('a' + t);
    return (struct str){out, 1};
}

static void check(const struct offsets *o, const struct model *m)
{
    size_t n = 0, walked = 0;
    char name[2];
    for (unsigned t = 0; t < TOPICS; t++) {
        for (int32_t p = 0; p < PARTITIONS; p++) {
            const struct offsets_entry *e = offsets_find(o, topic_name(t, name), p);
            assert_int_equal(e != NULL, m->there[t][p]);
            assert_true(e == NULL || e->offset == m->offset[t][p]);
            n += e != NULL;
        }
    }
    for (struct offsets_topic *t = offsets_next(o, NULL); t != NULL; t = offsets_next(o, t)) {
        assert_true(t->n > 0);
        for (size_t i = 1; i < t->n; i++)
            assert_true(t->entries[i - 1].partition < t->entries[i].partition);
        walked += t->n;
    }
    assert_int_equal(o->count, n);
    assert_int_equal(walked, n);
    assert_int_equal(o->bytes == 0, n == 0);
}

static void set(struct offsets *o, struct model *m, struct rng *rng, unsigned t, int32_t p)
{
    static const char text[] = "some metadata";
    char name[2];
    struct uuid id = {{m->id[t]}};
    struct offsets_entry e = {.partition = p,
                              .offset = (int64_t)rng_below(rng, 1000),
                              .metadata = {text, (size_t)rng_below(rng, sizeof(text))}};
    offsets_set(o, topic_name(t, name), &id, &e);
    m->there[t][p] = true;
    m->offset[t][p] = e.offset;
}

static void step(struct offsets *o, struct model *m, struct rng *rng)
{
    unsigned t = (unsigned)rng_below(rng, TOPICS);
    int32_t p = (int32_t)rng_below(rng, PARTITIONS);
    char name[2];
    switch (rng_below(rng, 20)) {
    case 0: /* made anew */
        m->id[t]++;
        memset(m->there[t], 0, sizeof(m->there[t]));
        set(o, m, rng, t, p);
        break;
    case 1:
        if (offsets_topic_find(o, topic_name(t, name)) != NULL)
            offsets_topic_remove(o, offsets_topic_find(o, topic_name(t, name)));
        memset(m->there[t], 0, sizeof(m->there[t]));
        break;
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
        offsets_remove(o, topic_name(t, name), p);
        m->there[t][p] = false;
        break;
    default:
        set(o, m, rng, t, p);
    }
}

static void test_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct offsets o;
        struct model m = {0};
        struct rng rng;
        rng_seed(&rng, seed);
        offsets_init(&o);
        for (unsigned i = 0; i < 2000; i++) {
            step(&o, &m, &rng);
            if (i % 50 == 0)
                check(&o, &m);
        }
        check(&o, &m);
        offsets_free(&o);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_model),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
