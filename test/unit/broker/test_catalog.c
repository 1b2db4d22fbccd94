/* Topics: created, grown, configured, deleted; on every reactor; over restarts, failures and kills.
 */
#include "../check.h"

#include "base/mem.h"
#include "rig.h"

#include <stdio.h>
#include <string.h>

#define TS 1767225600000

static const struct uuid *catalog_id(void)
{
    static struct uuid id;
    id = topic_state_id(TOPIC_STATE_CATALOG);
    return &id;
}

static size_t topics_seen(struct rig *r, unsigned reactor)
{
    size_t n = 0;
    const struct topic *t = NULL, *before = NULL;
    while ((t = broker_topic_next(r->brokers[reactor], t)) != NULL) {
        if (before != NULL)
            assert_true(strcmp(before->name, t->name) < 0);
        before = t;
        n += !t->internal;
    }
    return n;
}

static void test_create(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 3; n++) {
        struct rig r;
        rig_make(&r, n);
        assert_int_equal(rig_create(&r, n - 1, "b", 3), ERR_OK);
        assert_int_equal(rig_create(&r, 0, "a", -1), ERR_OK);
        for (int round = 0; round < 2; round++) {
            for (unsigned i = 0; i < n; i++) {
                const struct topic *a = rig_topic(&r, i, "a"), *b = rig_topic(&r, i, "b");
                assert_non_null(a);
                assert_non_null(b);
                assert_int_equal(a->partitions, 1);
                assert_int_equal(b->partitions, 3);
                assert_false(uuid_eq(a->id, b->id));
                assert_int_equal(a->created_ms, TS);
                assert_ptr_equal(broker_topic_by_id(r.brokers[i], &b->id), b);
                assert_int_equal(topics_seen(&r, i), 2);
            }
            rig_restart(&r);
        }
        rig_free(&r);
    }
}

static void test_state_topics(void **state)
{
    struct rig r;
    enum err err;
    (void)state;
    rig_make(&r, 2);
    for (unsigned i = 0; i < 2; i++) {
        const struct topic *t = rig_topic(&r, i, "__consumer_offsets");
        assert_true(t != NULL && t->internal);
        assert_int_equal(t->partitions, BROKER_SHARDS);
        assert_non_null(rig_topic(&r, i, "__weir_catalog"));
    }
    assert_int_equal(rig_delete(&r, 0, "__weir_ledger"), ERR_TOPIC_INVALID);
    assert_int_equal(rig_delete(&r, 0, "__weir_catalog"), ERR_TOPIC_DENIED);
    assert_int_equal(rig_grow(&r, 0, "__consumer_offsets", 99), ERR_TOPIC_INVALID);
    assert_int_equal(rig_create(&r, 0, "__mine", 1), ERR_TOPIC_INVALID);
    assert_int_equal(rig_list(&r, 1, catalog_id(), 0, LIST_LATEST), 0);
    assert_int_equal(rig_create(&r, 0, "a", 1), ERR_OK);
    assert_int_equal(rig_list(&r, 1, catalog_id(), 0, LIST_LATEST), 1);
    char *values = rig_read(&r, 1, catalog_id(), 0, 0, &err);
    assert_int_equal(err, ERR_OK);
    assert_true(strlen(values) > 0);
    mem_free(values);
    rig_restart(&r);
    assert_int_equal(rig_list(&r, 1, catalog_id(), 0, LIST_LATEST), 1);
    rig_free(&r);
}

static struct err_text text;
static const struct topic *made;
static struct topic_conf conf_out;

static void create_done(struct op *op)
{
    struct topic_create_op *c = container_of(op, struct topic_create_op, op);
    text = c->text;
    made = c->topic;
    conf_out = c->conf;
}

static enum err create(struct rig *r, struct topic_create_op op)
{
    op.op.done = create_done;
    op.actor = &rig_actor;
    broker_topic_create(r->brokers[0], &op);
    rig_run(r);
    return op.op.err;
}

static void test_refused(void **state)
{
    struct rig r;
    struct topic_setting bad = {STR_LIT("retention.ms"), STR_LIT("soon")};
    struct topic_setting many[TOPIC_CONFIGS_MAX + 1];
    (void)state;
    rig_make(&r, 1);
    for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++)
        many[i] = (struct topic_setting){STR_LIT("retention.ms"), STR_LIT("1")};
    assert_int_equal(rig_create(&r, 0, "a.b", 1), ERR_OK);
    const struct {
        struct topic_create_op op;
        enum err err;
        const char *says;
    } cases[] = {
        {{.name = STR_LIT("a b"), .partitions = 1, .replication = 1}, ERR_TOPIC_INVALID, "0x20"},
        {{.name = STR_LIT("x"), .partitions = 0, .replication = 1}, ERR_PARTITIONS_INVALID, "1"},
        {{.name = STR_LIT("x"), .partitions = -2, .replication = 1}, ERR_PARTITIONS_INVALID, "1"},
        {{.name = STR_LIT("x"), .partitions = BROKER_PARTITIONS_MAX, .replication = 1},
         ERR_PARTITIONS_INVALID,
         "limit"},
        {{.name = STR_LIT("x"), .partitions = 1, .replication = 2}, ERR_REPLICATION_INVALID, "one"},
        {{.name = STR_LIT("x"), .partitions = 1, .replication = 0}, ERR_REPLICATION_INVALID, "one"},
        {{.name = STR_LIT("x"),
          .partitions = 1,
          .replication = 1,
          .settings = &bad,
          .settings_n = 1},
         ERR_CONFIG_INVALID,
         "retention.ms"},
        {{.name = STR_LIT("x"),
          .partitions = 1,
          .replication = 1,
          .settings = many,
          .settings_n = TOPIC_CONFIGS_MAX + 1},
         ERR_CONFIG_INVALID,
         "64"},
        {{.name = STR_LIT("a_b"), .partitions = 1, .replication = 1}, ERR_TOPIC_INVALID, "a.b"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(create(&r, cases[i].op), cases[i].err);
        assert_non_null(strstr(text.s, cases[i].says));
        assert_null(made);
    }
    assert_int_equal(topics_seen(&r, 0), 1);
    assert_int_equal(fake_disk_logs(r.disk), 2);
    rig_free(&r);
}

static void test_exists(void **state)
{
    struct rig r;
    (void)state;
    rig_make(&r, 1);
    assert_int_equal(rig_create(&r, 0, "a", 1), ERR_OK);
    struct topic_create_op op = {.name = STR_LIT("a"), .partitions = 4, .replication = 1};
    assert_int_equal(create(&r, op), ERR_TOPIC_EXISTS);
    assert_non_null(made);
    assert_int_equal(made->partitions, 1);
    topic_unref(made);
    rig_free(&r);
}

static void test_validate_only(void **state)
{
    struct rig r;
    struct topic_setting s = {STR_LIT("weir.flush"), STR_LIT("10ms")};
    (void)state;
    rig_make(&r, 1);
    struct topic_create_op op = {.name = STR_LIT("a"),
                                 .partitions = -1,
                                 .replication = 1,
                                 .settings = &s,
                                 .settings_n = 1,
                                 .validate_only = true};
    assert_int_equal(create(&r, op), ERR_OK);
    assert_null(made);
    assert_int_equal(conf_out.flush_ms, 10);
    assert_null(rig_topic(&r, 0, "a"));
    assert_int_equal(fake_disk_logs(r.disk), 0);
    rig_free(&r);
}

/* Two at once: one makes it, the other finds it. */
static void test_create_together(void **state)
{
    struct rig r;
    struct topic_create_op op[3];
    (void)state;
    rig_make(&r, 2);
    rig_defer(&r, true);
    for (unsigned i = 0; i < 3; i++) {
        op[i] = (struct topic_create_op){.op.done = create_done,
                                         .name = i < 2 ? STR_LIT("a.a") : STR_LIT("a_a"),
                                         .partitions = 2,
                                         .replication = 1};
        broker_topic_create(r.brokers[i % 2], &op[i]);
    }
    rig_run(&r);
    unsigned ok = 0, exists = 0, collides = 0;
    for (unsigned i = 0; i < 3; i++) {
        ok += op[i].op.err == ERR_OK;
        exists += op[i].op.err == ERR_TOPIC_EXISTS;
        collides += op[i].op.err == ERR_TOPIC_INVALID;
        topic_unref(op[i].topic);
    }
    assert_int_equal(ok, 1);
    assert_true(exists + collides == 2 && collides >= 1);
    assert_int_equal(topics_seen(&r, 0), 1);
    assert_int_equal(topics_seen(&r, 1), 1);
    rig_free(&r);
}

static void test_delete(void **state)
{
    struct rig r;
    (void)state;
    rig_make(&r, 2);
    assert_int_equal(rig_delete(&r, 1, "a"), ERR_TOPIC_UNKNOWN);
    assert_int_equal(rig_create(&r, 0, "a", 4), ERR_OK);
    struct uuid first = rig_topic_id(&r, "a");
    for (int32_t p = 0; p < 4; p++)
        assert_int_equal(rig_produce(&r, 0, &first, p, rig_batch(3, TS), NULL), ERR_OK);
    assert_int_equal(rig_delete(&r, 1, "a"), ERR_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_null(rig_topic(&r, i, "a"));
        assert_null(broker_topic_by_id(r.brokers[i], &first));
    }
    assert_int_equal(fake_disk_logs(r.disk), 1);
    assert_int_equal(rig_produce(&r, 0, &first, 0, rig_batch(1, TS), NULL), ERR_TOPIC_UNKNOWN);
    assert_int_equal(rig_create(&r, 0, "a", 4), ERR_OK);
    struct uuid second = rig_topic_id(&r, "a");
    assert_false(uuid_eq(first, second));
    assert_int_equal(rig_list(&r, 0, &second, 0, LIST_LATEST), 0);
    rig_restart(&r);
    struct uuid again = rig_topic_id(&r, "a");
    assert_true(uuid_eq(again, second));
    rig_free(&r);
}

static void ignore(struct op *op)
{
    (void)op;
}

static void test_delete_by_id(void **state)
{
    struct rig r;
    struct topic_delete_op op = {.op.done = ignore, .id = {{1}}};
    (void)state;
    rig_make(&r, 1);
    assert_int_equal(rig_create(&r, 0, "a", 1), ERR_OK);
    broker_topic_delete(r.brokers[0], &op);
    assert_int_equal(op.op.err, ERR_TOPIC_ID_UNKNOWN);
    op.id = *catalog_id();
    broker_topic_delete(r.brokers[0], &op);
    assert_int_equal(op.op.err, ERR_TOPIC_INVALID);
    op.id = rig_topic_id(&r, "a");
    broker_topic_delete(r.brokers[0], &op);
    assert_int_equal(op.op.err, ERR_OK);
    assert_string_equal(op.topic->name, "a");
    topic_unref(op.topic);
    assert_int_equal(topics_seen(&r, 0), 0);
    rig_free(&r);
}

static void test_grow(void **state)
{
    struct rig r;
    (void)state;
    rig_make(&r, 2);
    assert_int_equal(rig_grow(&r, 0, "a", 2), ERR_TOPIC_UNKNOWN);
    assert_int_equal(rig_create(&r, 0, "a", 1), ERR_OK);
    struct uuid id = rig_topic_id(&r, "a");
    assert_int_equal(rig_produce(&r, 0, &id, 0, rig_batch(3, TS), NULL), ERR_OK);
    assert_int_equal(rig_grow(&r, 1, "a", 1), ERR_PARTITIONS_INVALID);
    assert_int_equal(rig_grow(&r, 1, "a", BROKER_PARTITIONS_MAX + 1), ERR_PARTITIONS_INVALID);
    assert_int_equal(rig_grow(&r, 1, "a", 6), ERR_OK);
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(rig_topic(&r, i, "a")->partitions, 6);
            assert_int_equal(rig_topic(&r, i, "a")->generation, 1);
        }
        assert_int_equal(rig_list(&r, 0, &id, 0, LIST_LATEST), 3);
        for (int32_t p = 1; p < 6; p++)
            assert_int_equal(rig_list(&r, 1, &id, p, LIST_LATEST), 0);
        rig_restart(&r);
    }
    rig_free(&r);
}

static void test_configure(void **state)
{
    struct rig r;
    (void)state;
    rig_make(&r, 2);
    assert_int_equal(rig_configure(&r, "a", "retention.ms", "1"), ERR_TOPIC_UNKNOWN);
    assert_int_equal(rig_create(&r, 0, "a", 4), ERR_OK);
    struct uuid id = rig_topic_id(&r, "a");
    assert_int_equal(rig_configure(&r, "a", "retention.ms", "x"), ERR_CONFIG_INVALID);
    assert_int_equal(rig_configure(&r, "a", "retention.ms", "1234"), ERR_OK);
    assert_int_equal(rig_configure(&r, "a", "weir.flush", "os"), ERR_OK);
    for (int round = 0; round < 2; round++) {
        for (uint32_t p = 0; p < 4; p++) {
            const struct store_log_conf *c = fake_disk_conf(r.disk, &(struct store_log_id){id, p});
            assert_int_equal(c->retention_ms, 1234);
            assert_int_equal(c->flush, STORE_FLUSH_OS);
        }
        assert_int_equal(rig_topic(&r, 1, "a")->conf.retention_ms, 1234);
        rig_restart(&r);
    }
    assert_int_equal(rig_configure(&r, "a", "retention.ms", NULL), ERR_OK);
    assert_int_equal(rig_topic(&r, 1, "a")->conf.retention_ms, 604800000);
    assert_int_equal(rig_topic(&r, 1, "a")->generation, 0);
    rig_free(&r);
}

/* Settings and partitions in one change: both, or neither. */
static void test_replace(void **state)
{
    static const struct topic_setting old = {STR_LIT("segment.ms"), STR_LIT("5000")},
                                      now = {STR_LIT("retention.ms"), STR_LIT("1234")};
    struct rig r;
    (void)state;
    rig_make(&r, 2);
    assert_int_equal(rig_create_with(&r, "a", 2, &old, 1), ERR_OK);
    struct uuid id = rig_topic_id(&r, "a");
    assert_int_equal(rig_replace(&r, "a", 1, &now, 1), ERR_PARTITIONS_INVALID);
    assert_int_equal(rig_replace(&r, "a", BROKER_PARTITIONS_MAX + 1, &now, 1),
                     ERR_PARTITIONS_INVALID);
    fake_disk_fail(r.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    assert_int_equal(rig_replace(&r, "a", 5, &now, 1), ERR_DISK_FULL);
    for (int round = 0; round < 2; round++) {
        const struct topic *t = rig_topic(&r, 1, "a");
        assert_true(t->partitions == 2 && t->conf.segment_ms == 5000);
        assert_int_equal(t->conf.retention_ms, 604800000);
        rig_restart(&r);
    }
    assert_int_equal(rig_replace(&r, "a", 5, &now, 1), ERR_OK);
    for (int round = 0; round < 2; round++) {
        const struct topic *t = rig_topic(&r, 1, "a");
        assert_true(t->partitions == 5 && t->conf.segment_ms == 604800000);
        assert_int_equal(t->generation, 1);
        for (uint32_t p = 0; p < 5; p++) {
            const struct store_log_conf *c = fake_disk_conf(r.disk, &(struct store_log_id){id, p});
            assert_int_equal(c->retention_ms, 1234);
            assert_int_equal(c->segment_ms, 604800000);
        }
        rig_restart(&r);
    }
    assert_int_equal(rig_replace(&r, "a", 0, NULL, 0), ERR_OK);
    assert_int_equal(rig_topic(&r, 1, "a")->conf.retention_ms, 604800000);
    assert_int_equal(rig_topic(&r, 1, "a")->partitions, 5);
    rig_free(&r);
}

struct told {
    struct topic_watcher w;
    char seen[256];
};

static void told(struct topic_watcher *w, struct broker *b, const struct topic *old,
                 const struct topic *now)
{
    struct told *t = container_of(w, struct told, w);
    size_t n = strlen(t->seen);
    (void)b;
    snprintf(t->seen + n, sizeof(t->seen) - n, "%s:%d>%d ", (now ? now : old)->name,
             old != NULL ? old->partitions : 0, now != NULL ? now->partitions : 0);
}

static void test_watchers(void **state)
{
    struct rig r;
    struct told t[2] = {{.w = {.changed = told}}, {.w = {.changed = told}}};
    (void)state;
    rig_make(&r, 2);
    for (unsigned i = 0; i < 2; i++)
        broker_topic_watch(r.brokers[i], &t[i].w);
    assert_int_equal(rig_create(&r, 0, "a", 1), ERR_OK);
    assert_int_equal(rig_grow(&r, 0, "a", 3), ERR_OK);
    assert_int_equal(rig_configure(&r, "a", "retention.ms", "1"), ERR_OK);
    assert_int_equal(rig_delete(&r, 0, "a"), ERR_OK);
    for (unsigned i = 0; i < 2; i++)
        assert_string_equal(t[i].seen, "a:0>1 a:1>3 a:3>3 a:3>0 ");
    rig_free(&r);
}

/* A topic that was looked up stays valid for the rest of the turn. */
static void test_looked_up(void **state)
{
    struct rig r;
    (void)state;
    rig_make(&r, 1);
    assert_int_equal(rig_create(&r, 0, "a", 1), ERR_OK);
    const struct topic *t = rig_topic(&r, 0, "a");
    assert_int_equal(rig_delete(&r, 0, "a"), ERR_OK);
    assert_string_equal(t->name, "a");
    fake_advance(&r.world, 1); /* the next turn: it goes, as the sanitizer sees at the end */
    rig_free(&r);
}

/* ---- failures ---- */

static void test_failed_open(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 4; n++) {
        struct rig r;
        rig_make(&r, 2);
        fake_disk_fail(r.disk, FAKE_OPEN, n, 1, ERR_DISK_FULL);
        assert_int_equal(rig_create(&r, 0, "a", 4), ERR_DISK_FULL);
        assert_null(rig_topic(&r, 0, "a"));
        assert_int_equal(fake_disk_logs(r.disk), 0);
        assert_int_equal(rig_create(&r, 0, "a", 4), ERR_OK);
        fake_disk_fail(r.disk, FAKE_OPEN, n, 1, ERR_DISK_FULL);
        assert_int_equal(rig_grow(&r, 0, "a", 8), ERR_DISK_FULL);
        assert_int_equal(rig_topic(&r, 1, "a")->partitions, 4);
        assert_int_equal(fake_disk_logs(r.disk), 5);
        rig_free(&r);
    }
}

static void test_failed_write(void **state)
{
    struct rig r;
    (void)state;
    rig_make(&r, 2);
    assert_int_equal(rig_create(&r, 0, "a", 2), ERR_OK);
    fake_disk_fail(r.disk, FAKE_COMMIT, 1, 4, ERR_DISK_FULL);
    assert_int_equal(rig_create(&r, 0, "b", 2), ERR_DISK_FULL);
    assert_int_equal(rig_grow(&r, 0, "a", 4), ERR_DISK_FULL);
    assert_int_equal(rig_configure(&r, "a", "retention.ms", "1"), ERR_DISK_FULL);
    assert_int_equal(rig_delete(&r, 0, "a"), ERR_DISK_FULL);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(topics_seen(&r, 1), 1);
        assert_int_equal(rig_topic(&r, 1, "a")->partitions, 2);
        assert_int_equal(rig_topic(&r, 1, "a")->conf.retention_ms, 604800000);
        assert_int_equal(fake_disk_logs(r.disk), 3);
        rig_restart(&r);
    }
    assert_int_equal(rig_create(&r, 0, "b", 2), ERR_OK);
    assert_int_equal(rig_delete(&r, 0, "a"), ERR_OK);
    rig_free(&r);
}

/* Logs that no topic owns go at the next start; state logs stay. */
static void test_orphans(void **state)
{
    struct rig r;
    struct store_log_id orphans[] = {{{{1, 2, 3}}, 0}, {{{1, 2, 3}}, 7}};
    (void)state;
    rig_make(&r, 2);
    assert_int_equal(rig_create(&r, 0, "a", 2), ERR_OK);
    struct store_log_id beyond = {rig_topic_id(&r, "a"), 2};
    rig_run(&r);
    rig_kill(&r, 0);
    fake_disk_add_log(r.disk, &orphans[0]);
    fake_disk_add_log(r.disk, &orphans[1]);
    fake_disk_add_log(r.disk, &beyond);
    rig_boot(&r);
    assert_int_equal(r.load_err, ERR_OK);
    assert_int_equal(fake_disk_logs(r.disk), 3);
    assert_false(fake_disk_has(r.disk, &beyond));
    rig_free(&r);
}

/* The process dies at each point of a change: afterwards the topic is as before or as wanted, on
 * every reactor, with as many logs as partitions. */
static void test_killed(void **state)
{
    (void)state;
    for (int verb = 0; verb < 3; verb++) {
        for (unsigned steps = 0; steps < 14; steps++) {
            struct rig r;
            struct topic_create_op create_op = {
                .op.done = ignore, .name = STR_LIT("b"), .partitions = 3, .replication = 1};
            struct topic_grow_op grow_op = {
                .op.done = ignore, .name = STR_LIT("a"), .partitions = 5};
            struct topic_delete_op delete_op = {.op.done = ignore, .name = STR_LIT("a")};
            rig_make(&r, 2);
            assert_int_equal(rig_create(&r, 0, "a", 2), ERR_OK);
            rig_defer(&r, true);
            rig_lose_memory(true);
            if (verb == 0)
                broker_topic_create(r.brokers[1], &create_op);
            else if (verb == 1)
                broker_topic_grow(r.brokers[1], &grow_op);
            else
                broker_topic_delete(r.brokers[1], &delete_op);
            for (unsigned i = 0; i < steps; i++) {
                fake_deliver_all(&r.world);
                if (!fake_store_step(r.stores[i % 2]))
                    fake_store_step(r.stores[1 - i % 2]);
            }
            rig_lose_memory(false);
            rig_kill(&r, steps % 2);
            topic_unref(verb == 0 ? create_op.topic : verb == 2 ? delete_op.topic : NULL);
            rig_boot(&r);
            assert_int_equal(r.load_err, ERR_OK);
            size_t logs = 1;
            for (const struct topic *t = NULL; (t = broker_topic_next(r.brokers[0], t)) != NULL;) {
                const struct topic *other = rig_topic(&r, 1, t->name);
                assert_true(other != NULL && other->partitions == t->partitions);
                if (t->internal)
                    continue;
                logs += (size_t)t->partitions;
                assert_true(verb != 1 || t->partitions == 2 || t->partitions == 5);
            }
            assert_int_equal(fake_disk_logs(r.disk), logs);
            rig_free(&r);
        }
    }
}

static void test_corrupt(void **state)
{
    struct rig r;
    struct store_log_id log = {*catalog_id(), 0};
    (void)state;
    rig_make(&r, 2);
    assert_int_equal(rig_create(&r, 0, "a", 2), ERR_OK);
    rig_kill(&r, 0);
    struct slice s = fake_disk_batch(r.disk, &log, 0);
    fake_disk_damage(r.disk, &log, 0, s.len - 13); /* the value's version */
    rig_boot(&r);
    assert_int_not_equal(r.load_err, ERR_OK);
    assert_int_equal(rig_create(&r, 0, "b", 1), ERR_LEADER_NOT_AVAILABLE);
    rig_free(&r);
}

static void test_load_fails(void **state)
{
    static const enum fake_kind kinds[] = {FAKE_OPEN, FAKE_READ};
    (void)state;
    for (unsigned k = 0; k < 2; k++) {
        for (unsigned n = 1; n <= (k == 0 ? 5 : 1); n++) {
            struct rig r;
            rig_make(&r, 2);
            assert_int_equal(rig_create(&r, 0, "a", 4), ERR_OK);
            rig_kill(&r, 0);
            fake_disk_fail(r.disk, kinds[k], n, 1, ERR_IO);
            rig_boot(&r);
            assert_int_equal(r.load_err, ERR_IO);
            rig_free(&r);
        }
    }
}

/* Verbs before the load has ended are told to come again. */
static void test_loading(void **state)
{
    struct rig r;
    struct uuid id = {{1}};
    (void)state;
    rig_prepare(&r, 1);
    rig_boot(&r);
    rig_kill(&r, 0);
    struct env *env = rig_env(&r, 0);
    r.stores[0] = fake_store_make(r.disk, env, NULL);
    struct store *store = fake_store_port(r.stores[0]);
    broker_set_make(&r.conf, 1, &env, &store, r.brokers);
    assert_int_equal(rig_create(&r, 0, "a", 1), ERR_LEADER_NOT_AVAILABLE);
    assert_int_equal(rig_delete(&r, 0, "a"), ERR_LEADER_NOT_AVAILABLE);
    assert_int_equal(rig_produce(&r, 0, &id, 0, rig_batch(1, TS), NULL), ERR_LEADER_NOT_AVAILABLE);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),        cmocka_unit_test(test_state_topics),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_exists),
        cmocka_unit_test(test_validate_only), cmocka_unit_test(test_create_together),
        cmocka_unit_test(test_delete),        cmocka_unit_test(test_delete_by_id),
        cmocka_unit_test(test_grow),          cmocka_unit_test(test_configure),
        cmocka_unit_test(test_watchers),      cmocka_unit_test(test_looked_up),
        cmocka_unit_test(test_failed_open),   cmocka_unit_test(test_failed_write),
        cmocka_unit_test(test_orphans),       cmocka_unit_test(test_killed),
        cmocka_unit_test(test_corrupt),       cmocka_unit_test(test_load_fails),
        cmocka_unit_test(test_loading),       cmocka_unit_test(test_replace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
