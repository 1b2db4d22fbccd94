/* What deliveries tell weir.hops: each step of a message that is pulled, to its end or its dead
 * letter; nothing of peeking, and of pushes only what the lanes do not tell. */
#include "../check.h"

#include "base/mem.h"
#include "broker/hop.h"
#include "broker/records_cache.h"
#include "delivery_rig.h"

#include <stdio.h>
#include <string.h>

static struct rig r;
static struct uuid s;

static void with_dead_letters(struct subscription_conf *conf)
{
    conf->start = START_EARLIEST;
    conf->attempts = 2;
    conf->dead_letter = STR_LIT("dead");
}

static void make(void (*change)(struct subscription_conf *conf))
{
    rig_make(&r, 1);
    assert_int_equal(rig_create(&r, 0, "orders", 1), ERR_OK);
    rig_put(&r, "orders", 0, NULL, "v");
    s = rig_subscribe(&r, "orders", "fraud", change);
}

static void add_hop(struct wr *w, const char *hop)
{
    static const char *const keys[] = {"\"step\":\"", "\"outcome\":\"",
                                       "\"attempt\":", "\"topic\":\"", "\"cause\":{\"topic\":\""};
    for (size_t i = 0; i < 5; i++) {
        const char *at = strstr(hop, keys[i]);
        at = at != NULL ? at + strlen(keys[i]) : "-";
        wr_bytes(w, at, strcspn(at, "\",}"));
        wr_u8(w, i == 4 ? '\n' : ' ');
    }
}

static void add_batch(struct wr *w, struct slice batch)
{
    struct batch_head head;
    struct records *records;
    struct record rec;
    assert_int_equal(batch_head_read(batch.at, batch.len, &head), ERR_OK);
    assert_int_equal(records_decode(&head, batch.at, -1, &records), ERR_OK);
    for (uint32_t i = 0; i < records_count(records); i++) {
        records_get(records, i, &rec);
        char *hop = mem_strndup(rec.value.at, rec.value.len);
        add_hop(w, hop);
        mem_free(hop);
    }
    records_unref(records);
}

/* All hops, one after the other, a line each: "step outcome attempt topic cause". mem_free. */
static char *hops(void)
{
    struct wr w;
    for (int i = 0; i < 3; i++)
        rig_wait(&r, HOP_FLUSH_MS);
    struct uuid id = rig_topic_id(&r, HOP_TOPIC);
    struct store_log_id log = {id, 0};
    wr_init(&w, 64);
    for (size_t i = 0; i < fake_disk_batches(r.disk, &log); i++)
        add_batch(&w, fake_disk_batch(r.disk, &log, i));
    char *out = mem_strndup((const char *)w.buf->data, w.len);
    wr_free(&w);
    return out;
}

static void check_hops(const char *wanted)
{
    char *got = hops();
    assert_string_equal(got, wanted);
    mem_free(got);
}

static void settle(enum settle_verb verb)
{
    struct rig_acquire *a = rig_acquire(&r, 0, s, 1, 1);
    assert_int_equal(a->op.n, 1);
    assert_int_equal(rig_settle_all(&r, 0, s, a, verb), ERR_OK);
    rig_acquire_free(a);
}

static void test_pulled(void **state)
{
    (void)state;
    make(with_dead_letters);
    (void)rig_peek(&r, 0, s, 0, 1);
    settle(SETTLE_RELEASE);
    settle(SETTLE_ACCEPT);
    check_hops("receive - 1 orders -\n"
               "settle release - orders -\n"
               "receive - 2 orders -\n"
               "settle accept - orders -\n");
    rig_free(&r);
}

static void test_dead_letter(void **state)
{
    (void)state;
    make(with_dead_letters);
    settle(SETTLE_REJECT);
    char *got = hops();
    assert_non_null(strstr(got, "settle reject - orders -\n"));
    assert_non_null(strstr(got, "dead-letter rejected 1 orders -\n"));
    assert_non_null(strstr(got, "publish - 1 dead orders\n")); /* and what it comes of */
    mem_free(got);
    rig_free(&r);
}

static void expiring(struct subscription_conf *conf)
{
    conf->start = START_EARLIEST;
    conf->ttl_ms = 60000;
    conf->dead_letter = STR_LIT("dead");
    conf->dead_letter_expired = false;
}

static void test_expired(void **state)
{
    (void)state;
    make(expiring);
    settle(SETTLE_RELEASE); /* it was looked at */
    rig_wait(&r, 61000);
    rig_wait(&r, 61000);
    char *got = hops();
    assert_non_null(strstr(got, "expire - - orders -\n"));
    mem_free(got);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pulled),
        cmocka_unit_test(test_dead_letter),
        cmocka_unit_test(test_expired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
