/* Many subscriptions with filters on one topic: each receives what its own filter takes, nothing
 * else, whether filters are evaluated together or alone, while subscriptions come, change, go. */
#include "../check.h"

#include "base/mem.h"
#include "delivery_rig.h"

#include <stdio.h>
#include <string.h>

#define SUBSCRIPTIONS 70 /* more than a word of answers */
#define ROUNDS 30

static struct rig rig;

struct sub {
    struct uuid id;
    char name[8], filter[64];
    unsigned modulo, rest; /* n % modulo = rest */
    unsigned from, got, want;
};

static struct sub subs[SUBSCRIPTIONS];
static struct sub *making;

static void set_filter(struct subscription_conf *conf)
{
    conf->filter = str_of(making->filter);
}

static void sub_put(struct sub *s, unsigned modulo, unsigned rest)
{
    s->modulo = modulo;
    s->rest = rest;
    snprintf(s->filter, sizeof(s->filter), "mod%u = %u", modulo, rest);
    making = s;
    s->id = rig_subscribe(&rig, "t", s->name, set_filter);
}

/* Its number is the value; its attributes say what it is modulo 2 to 6. */
static void put_number(struct batch_builder *b, unsigned n)
{
    struct record_header headers[9] = {{STR_LIT("ce_specversion"), STR_LIT("1.0")},
                                       {STR_LIT("ce_id"), STR_LIT("i")},
                                       {STR_LIT("ce_source"), STR_LIT("/s")},
                                       {STR_LIT("ce_type"), STR_LIT("t")}};
    static const char *const names[] = {"ce_mod2", "ce_mod3", "ce_mod4", "ce_mod5", "ce_mod6"};
    char value[16], rests[5][4];
    snprintf(value, sizeof(value), "%u", n);
    for (unsigned i = 0; i < 5; i++) {
        snprintf(rests[i], sizeof(rests[i]), "%u", n % (i + 2));
        headers[4 + i] = (struct record_header){str_of(names[i]), str_of(rests[i])};
    }
    batch_add(b, (int64_t)rig_env(&rig, 0)->now_ms, (struct str){NULL, 0}, str_of(value), headers,
              9);
}

static void receive(struct sub *s, unsigned published)
{
    struct rig_acquire *a = rig_acquire(&rig, 0, s->id, 1, 1000);
    unsigned n = s->got;
    for (uint32_t i = 0; i < a->op.n; i++) {
        char text[16];
        assert_true(str_copy(text, sizeof(text), a->op.messages[i].record.value));
        while (n % s->modulo != s->rest)
            n++;
        assert_int_equal(strtoul(text, NULL, 10), n);
        n++;
    }
    while (n < published && n % s->modulo != s->rest)
        n++;
    assert_int_equal(n, published); /* nothing is left out */
    s->got = published;
    assert_int_equal(rig_settle_all(&rig, 0, s->id, a, SETTLE_ACCEPT), ERR_OK);
    rig_acquire_free(a);
}

static void test_each_its_own(void **state)
{
    unsigned published = 0;
    struct uuid t;
    (void)state;
    rig_make(&rig, 1);
    assert_int_equal(rig_create(&rig, 0, "t", 1), ERR_OK);
    t = rig_topic_id(&rig, "t");
    for (unsigned i = 0; i < SUBSCRIPTIONS; i++) {
        snprintf(subs[i].name, sizeof(subs[i].name), "s%u", i);
        sub_put(&subs[i], 2 + i % 5, i % 2);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct batch_builder b;
        batch_begin(&b, 0);
        for (unsigned n = 1 + round % 7; n > 0; n--)
            put_number(&b, published++);
        assert_int_equal(rig_produce(&rig, 0, &t, 0, batch_end(&b), NULL), ERR_OK);
        for (unsigned i = 0; i < SUBSCRIPTIONS; i++)
            if (i % 9 != 0 || round % 5 == 4) /* some lag behind */
                receive(&subs[i], published);
        rig_wait(&rig, round % 3 == 0 ? 1500 : 10);
        struct sub *s = &subs[round * 7 % SUBSCRIPTIONS];
        receive(s, published);
        if (round % 2 == 0) { /* another filter from here on */
            sub_put(s, 2 + (round + 1) % 5, round % 2);
        } else { /* one that begins anew */
            assert_int_equal(rig_unsubscribe(&rig, "t", s->name), ERR_OK);
            s->got = 0;
            sub_put(s, s->modulo, s->rest);
        }
    }
    for (unsigned i = 0; i < SUBSCRIPTIONS; i++)
        receive(&subs[i], published);
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_its_own)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
