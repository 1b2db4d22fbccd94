/* Dead letters, and settles with outputs: all of it is there, or nothing. */
#include "../check.h"

#include "base/mem.h"
#include "delivery_rig.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;

static int setup(void **state)
{
    rig_prepare(&rig, *state != NULL ? 3 : 1);
    rig.conf.state_slack_bytes = 300; /* snapshots all the time */
    rig_boot(&rig);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_free(&rig);
    return 0;
}

/* The first record of the topic, over all of its partitions; its headers as "name=value " in
 * *headers. False: there is none. Freed by the caller. */
static bool first_record(const char *topic, char **value, char **headers)
{
    const struct topic *t = rig_topic(&rig, 0, topic);
    struct uuid id = rig_topic_id(&rig, topic);
    for (int32_t p = 0; p < t->partitions; p++) {
        struct slice batch;
        struct store_log_id log = {id, (uint32_t)p};
        struct batch_head head;
        struct record_iter it;
        struct record r;
        struct record_header h;
        struct wr w;
        if (fake_disk_batches(rig.disk, &log) == 0)
            continue;
        batch = fake_disk_batch(rig.disk, &log, 0);
        assert_int_equal(batch_head_read(batch.at, batch.len, &head), ERR_OK);
        record_iter_init(&it, &head, batch.at + BATCH_HEAD_BYTES, batch.len - BATCH_HEAD_BYTES);
        assert_int_equal(record_iter_next(&it, &r), ERR_OK);
        *value = mem_strndup(r.value.at, r.value.len);
        wr_init(&w, 64);
        while (record_header_next(&r, &h)) {
            wr_bytes(&w, h.key.at, h.key.len);
            wr_u8(&w, '=');
            wr_bytes(&w, h.value.at, h.value.len);
            wr_u8(&w, ' ');
        }
        *headers = mem_strndup((const char *)w.buf->data, w.len);
        wr_free(&w);
        return true;
    }
    return false;
}

static int64_t end_of(const char *topic)
{
    const struct topic *t = rig_topic(&rig, 0, topic);
    struct uuid id = rig_topic_id(&rig, topic);
    int64_t n = 0;
    for (int32_t p = 0; p < t->partitions; p++)
        n += rig_list(&rig, 0, &id, p, LIST_LATEST);
    return n;
}

static void check_has(const char *headers, const char *what)
{
    if (strstr(headers, what) == NULL)
        fail_msg("no \"%s\" in \"%s\"", what, headers);
}

static void test_reject(void **state)
{
    (void)state;
    struct uuid q = rig_queue(&rig, "q", 2);
    char *value, *headers, want[64];
    uint64_t first = rig_env(&rig, 0)->now_ms;
    rig_put(&rig, "q", 1, "key", "bad");
    struct rig_acquire *a = rig_acquire(&rig, 0, q, 1, 1);
    struct record_header changed = {STR_LIT("colour"), STR_LIT("red")};
    struct settle_item item = {.token = a->op.messages[0].token,
                               .verb = SETTLE_REJECT,
                               .reason = STR_LIT("broken"),
                               .description = STR_LIT("cannot be read"),
                               .outcome = STR_LIT("400"),
                               .properties = &changed,
                               .properties_n = 1};
    rig_wait(&rig, 1000);
    assert_int_equal(rig_settle(&rig, rig.n - 1, q, &item, 1), ERR_OK);
    assert_int_equal(item.err, ERR_OK);
    assert_true(first_record("q.dead", &value, &headers));
    assert_string_equal(value, "bad");
    check_has(headers, "weir-dead-letter-reason=broken ");
    check_has(headers, "weir-dead-letter-description=cannot be read ");
    check_has(headers, "weir-dead-letter-outcome=400 ");
    check_has(headers, "weir-dead-letter-topic=q ");
    check_has(headers, "weir-dead-letter-partition=1 ");
    check_has(headers, "weir-dead-letter-offset=0 ");
    check_has(headers, "weir-dead-letter-subscription=q ");
    check_has(headers, "weir-dead-letter-deliveries=1 ");
    check_has(headers, "colour=red ");
    snprintf(want, sizeof(want), "weir-dead-letter-first-delivery=%llu ",
             (unsigned long long)first);
    check_has(headers, want);
    snprintf(want, sizeof(want), "weir-dead-letter-last-delivery=%llu ", (unsigned long long)first);
    check_has(headers, want);
    mem_free(value);
    mem_free(headers);
    assert_int_equal(rig_stat(&rig, q).dead_lettered_total, 1);
    rig_acquire_free(a);
    rig_restart(&rig);
    rig_wait(&rig, 61000);
    a = rig_acquire(&rig, 0, q, 1, 1);
    assert_int_equal(a->op.n, 0);
    rig_acquire_free(a);
    assert_int_equal(end_of("q.dead"), 1);
}

static void few_attempts(struct subscription_conf *conf)
{
    conf->attempts = 2;
    conf->dead_letter = str_of("dead");
}

/* After its attempts a message is a dead letter, however they ended. */
static void test_attempts(void **state)
{
    (void)state;
    char *value, *headers;
    assert_int_equal(rig_create(&rig, 0, "t", 1), ERR_OK);
    struct uuid s = rig_subscribe(&rig, "t", "s", few_attempts);
    rig_put(&rig, "t", 0, NULL, "v0");
    rig_put(&rig, "t", 0, NULL, "v1");
    struct rig_acquire *a = rig_acquire(&rig, 0, s, 1, 2);
    rig_wait(&rig, 61000);
    rig_acquire_free(a);
    a = rig_acquire(&rig, 0, s, 1, 2);
    assert_string_equal(rig_values(a), "v0 v1 ");
    struct settle_item item = {.token = a->op.messages[1].token, .verb = SETTLE_RELEASE};
    assert_int_equal(rig_settle(&rig, 0, s, &item, 1), ERR_OK);
    assert_true(item.dead_lettered);
    rig_run(&rig);
    assert_true(first_record("dead", &value, &headers));
    assert_string_equal(value, "v1");
    check_has(headers, "weir-dead-letter-reason=max-deliveries ");
    check_has(headers, "weir-dead-letter-deliveries=2 ");
    mem_free(value);
    mem_free(headers);
    rig_wait(&rig, 61000);
    assert_int_equal(end_of("dead"), 2);
    rig_acquire_free(a);
    a = rig_acquire(&rig, 0, s, 1, 2);
    assert_int_equal(a->op.n, 0);
    rig_acquire_free(a);
    assert_int_equal(rig_stat(&rig, s).dead_lettered_total, 2);
}

static void no_letters(struct subscription_conf *conf)
{
    conf->attempts = 1;
}

static void test_dropped(void **state)
{
    (void)state;
    assert_int_equal(rig_create(&rig, 0, "t", 1), ERR_OK);
    struct uuid s = rig_subscribe(&rig, "t", "s", no_letters);
    rig_put(&rig, "t", 0, NULL, "v0");
    rig_put(&rig, "t", 0, NULL, "v1");
    struct rig_acquire *a = rig_acquire(&rig, 0, s, 1, 1);
    assert_int_equal(rig_settle_all(&rig, 0, s, a, SETTLE_REJECT), ERR_OK);
    rig_acquire_free(a);
    a = rig_acquire(&rig, 0, s, 1, 1);
    assert_int_equal(rig_settle_all(&rig, 0, s, a, SETTLE_RELEASE), ERR_OK);
    rig_run(&rig);
    rig_acquire_free(a);
    assert_int_equal(rig_stat(&rig, s).dropped_total, 2);
    assert_int_equal(rig_stat(&rig, s).ready, 0);
}

static void short_ttl(struct subscription_conf *conf)
{
    conf->ttl_ms = 5000;
    conf->dead_letter = str_of("dead");
}

static void short_ttl_dropped(struct subscription_conf *conf)
{
    conf->ttl_ms = 5000;
}

/* What nobody took in time is a dead letter, or counted. */
static void test_ttl(void **state)
{
    (void)state;
    char *value, *headers;
    assert_int_equal(rig_create(&rig, 0, "t", 1), ERR_OK);
    struct uuid s = rig_subscribe(&rig, "t", "s", short_ttl);
    struct uuid d = rig_subscribe(&rig, "t", "d", short_ttl_dropped);
    rig_put(&rig, "t", 0, NULL, "v0");
    rig_wait(&rig, 3000);
    rig_put(&rig, "t", 0, NULL, "v1");
    rig_wait(&rig, 3000);
    struct rig_acquire *a = rig_acquire(&rig, 0, s, 1, 5);
    assert_string_equal(rig_values(a), "v1 ");
    rig_acquire_free(a);
    a = rig_acquire(&rig, 0, d, 1, 5);
    assert_string_equal(rig_values(a), "v1 ");
    rig_acquire_free(a);
    rig_run(&rig);
    assert_true(first_record("dead", &value, &headers));
    assert_string_equal(value, "v0");
    check_has(headers, "weir-dead-letter-reason=expired ");
    mem_free(value);
    mem_free(headers);
    assert_int_equal(rig_stat(&rig, s).expired_total, 1);
    assert_int_equal(rig_stat(&rig, d).expired_total, 1);
}

/* ---- outputs ---- */

static void op_done(struct op *op)
{
    op->done = NULL;
}

static enum err settle_with(struct uuid subscription, struct settle_item *items, size_t n,
                            struct publish_op *outputs, size_t outputs_n, struct err_text *text)
{
    struct settle_op op = {.op.done = op_done,
                           .actor = &rig_actor,
                           .subscription = subscription,
                           .items = items,
                           .items_n = n,
                           .outputs = outputs,
                           .outputs_n = outputs_n};
    broker_settle(rig.brokers[0], &op);
    rig_run(&rig);
    assert_null(op.op.done);
    if (text != NULL)
        *text = op.text;
    return op.op.err;
}

static struct publish_op output(const char *topic, const char *value)
{
    return (struct publish_op){
        .actor = &rig_actor,
        .topic = rig_topic_id(&rig, topic),
        .partition = -1,
        .record = {.key = str_of(value), .value = str_of(value), .timestamp = -1}};
}

/* Messages of three partitions, settled together with records in two other topics. */
static void test_outputs(void **state)
{
    (void)state;
    struct uuid q = rig_queue(&rig, "q", 3);
    assert_int_equal(rig_create(&rig, 0, "out", 3), ERR_OK);
    assert_int_equal(rig_create(&rig, 0, "side", 1), ERR_OK);
    for (int32_t p = 0; p < 3; p++)
        rig_put(&rig, "q", p, NULL, "v");
    struct rig_acquire *a = rig_acquire(&rig, 0, q, 1, 3);
    assert_int_equal(a->op.n, 3);
    struct settle_item items[3];
    struct publish_op outputs[3] = {output("out", "a"), output("out", "b"), output("side", "c")};
    for (unsigned i = 0; i < 3; i++)
        items[i] = (struct settle_item){.token = a->op.messages[i].token, .verb = SETTLE_ACCEPT};
    /* a full disk: nothing of it */
    fake_disk_fail(rig.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    assert_int_equal(settle_with(q, items, 3, outputs, 3, NULL), ERR_DISK_FULL);
    assert_int_equal(end_of("out") + end_of("side"), 0);
    assert_int_equal(rig_stat(&rig, q).acquired, 3);
    /* an output that cannot be: nothing of it */
    outputs[1].partition = 7;
    struct err_text text;
    assert_int_equal(settle_with(q, items, 3, outputs, 3, &text), ERR_TOPIC_UNKNOWN);
    outputs[1].partition = -1;
    assert_int_equal(end_of("out") + end_of("side"), 0);
    assert_int_equal(rig_stat(&rig, q).acquired, 3);
    /* one item that is not held: nothing of it */
    struct settle_item kept = items[2];
    items[2].token.b[15] ^= 1;
    assert_int_equal(settle_with(q, items, 3, outputs, 3, NULL), ERR_LOCK_LOST);
    assert_int_equal(items[2].err, ERR_LOCK_LOST);
    assert_int_equal(end_of("out") + end_of("side"), 0);
    assert_int_equal(rig_stat(&rig, q).acquired, 3);
    items[2] = kept;
    /* and all of it */
    assert_int_equal(settle_with(q, items, 3, outputs, 3, NULL), ERR_OK);
    assert_int_equal(end_of("out"), 2);
    assert_int_equal(end_of("side"), 1);
    assert_int_equal(outputs[2].offset, 0);
    assert_int_equal(rig_stat(&rig, q).acquired, 0);
    assert_int_equal(settle_with(q, items, 3, outputs, 3, NULL), ERR_LOCK_LOST);
    rig_acquire_free(a);
    rig_restart(&rig);
    rig_wait(&rig, 61000);
    assert_int_equal(rig_stat(&rig, q).ready, 0);
    assert_int_equal(end_of("out"), 2);
}

/* A crash at any moment of such a settle: all or nothing is there afterwards. */
static void test_outputs_crash(void **state)
{
    (void)state;
    struct uuid q = rig_queue(&rig, "q", 3);
    assert_int_equal(rig_create(&rig, 0, "out", 3), ERR_OK);
    unsigned settled = 0, rounds = 40;
    for (unsigned i = 0; i < rounds; i++) {
        for (int32_t p = 0; p < 3; p++)
            rig_put(&rig, "q", p, NULL, "v");
        int64_t before = end_of("out");
        struct rig_acquire *a = rig_acquire(&rig, 0, q, 1, 3);
        assert_int_equal(a->op.n, 3);
        struct settle_item items[3];
        struct publish_op outputs[2] = {output("out", "a"), output("out", "b")};
        for (unsigned k = 0; k < 3; k++)
            items[k] =
                (struct settle_item){.token = a->op.messages[k].token, .verb = SETTLE_ACCEPT};
        rig_lose_memory(true);
        struct settle_op *op = mem_zalloc(1, sizeof(*op));
        *op = (struct settle_op){.op.done = op_done,
                                 .actor = &rig_actor,
                                 .subscription = q,
                                 .items = items,
                                 .items_n = 3,
                                 .outputs = outputs,
                                 .outputs_n = 2};
        rig_defer(&rig, true);
        broker_settle(rig.brokers[0], op);
        for (unsigned k = 0; k < i && op->op.done != NULL; k++) {
            if (!fake_deliver(&rig.world, k % rig.n) && k % 3 == 0)
                fake_store_step(rig.stores[k / 3 % rig.n]);
        }
        bool answered = op->op.done == NULL && op->op.err == ERR_OK;
        rig_kill(&rig, i % 2);
        rig_lose_memory(false);
        rig_boot(&rig);
        int64_t added = end_of("out") - before;
        rig_acquire_free(a);
        mem_free(op);
        rig_wait(&rig, 61000);
        a = rig_acquire(&rig, 0, q, 1, 5);
        assert_int_equal(added, a->op.n == 0 ? 2 : 0);
        assert_int_equal(a->op.n, added == 0 ? 3 : 0);
        if (answered)
            assert_int_equal(added, 2);
        settled += added == 2;
        assert_int_equal(rig_settle_all(&rig, 0, q, a, SETTLE_ACCEPT), ERR_OK);
        rig_acquire_free(a);
    }
    assert_true(settled > 0 && settled < rounds);
}

#define ONE(name) cmocka_unit_test_prestate_setup_teardown(name, setup, teardown, NULL)
#define THREE(name)                                                                                \
    {                                                                                              \
#name " (3 reactors)", name, setup, teardown, &rig                                         \
    }
#define BOTH(name) ONE(name), THREE(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_reject), BOTH(test_attempts), BOTH(test_dropped),
        BOTH(test_ttl),    BOTH(test_outputs),  BOTH(test_outputs_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
