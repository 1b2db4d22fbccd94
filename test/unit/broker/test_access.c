/* Users, grants and keys: what is kept, who may change it, and what follows for the verbs. */
#include "broker/access.h"

#include "rig.h"

#include "base/mem.h"
#include "broker/access_internal.h"
#include "broker/group.h"
#include "broker/publish.h"
#include "broker/records.h"
#include "broker/statelog.h"
#include "broker/subscription.h"

#include "../check.h"

#include <stdio.h>
#include <string.h>

#define SEND ACCESS_SENDER
#define RECV ACCESS_RECEIVER
#define OWN ACCESS_OWNER

static struct rig r;

static int setup(void **state)
{
    (void)state;
    rig_make(&r, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_free(&r);
    return 0;
}

static struct actor actor_of(const char *principal)
{
    return (struct actor){.principal = principal, .address = "10.0.0.1:9"};
}

/* ---- calls ---------------------------------------------------------------------------------- */

static bool answered;
static char said[ERR_TEXT_MAX];

static void done(struct op *op)
{
    (void)op;
    answered = true;
}

/* Runs an op to its end, as `who`; the item is given back. */
static enum err change(struct access_op *op, const char *who)
{
    struct actor actor = actor_of(who);
    op->op.done = done;
    op->actor = &actor;
    answered = false;
    broker_access_change(r.brokers[1], op);
    rig_run(&r);
    assert_true(answered);
    snprintf(said, sizeof said, "%s", op->text.s);
    access_unref(op->item);
    return op->op.err;
}

static struct verifier verifier(enum verifier_hash hash, uint8_t mark)
{
    struct verifier v = {.hash = hash, .iterations = 4096, .salt_len = 3, .salt = "abc"};
    memset(v.stored_key, mark, sizeof v.stored_key);
    memset(v.server_key, mark + 1, sizeof v.server_key);
    return v;
}

static enum err put_user_as(const char *who, const char *name)
{
    struct access_op op = {.what = ACCESS_USER, .name = str_of(name)};
    op.verifiers[0] = verifier(VERIFIER_SHA_256, 1);
    op.verifiers[1] = verifier(VERIFIER_SHA_512, 2);
    return change(&op, who);
}

static enum err put_user(const char *name)
{
    return put_user_as(ACCESS_ANONYMOUS, name);
}

static struct access_op grant_op(const char *name, const char *principal, unsigned roles,
                                 enum access_kind kind, const char *on)
{
    struct access_op op = {.what = ACCESS_GRANT, .name = str_of(name)};
    struct access_grant *g = &op.grant;
    size_t n = strlen(on);
    snprintf(g->principal, sizeof g->principal, "%s", principal);
    g->roles = roles;
    g->kind = kind;
    g->prefix = n > 0 && on[n - 1] == '*';
    snprintf(g->on, sizeof g->on, "%.*s", (int)(n - g->prefix), on);
    return op;
}

static enum err grant_as(const char *who, const char *name, const char *principal, unsigned roles,
                         enum access_kind kind, const char *on)
{
    struct access_op op = grant_op(name, principal, roles, kind, on);
    return change(&op, who);
}

static enum err grant(const char *name, const char *principal, unsigned roles,
                      enum access_kind kind, const char *on)
{
    return grant_as(ACCESS_ANONYMOUS, name, principal, roles, kind, on);
}

static enum err drop_as(const char *who, enum access_what what, const char *name)
{
    struct access_op op = {.what = what, .act = ACCESS_DELETE, .name = str_of(name)};
    return change(&op, who);
}

static enum err put_keys(const char *topic, const char *first, const char *second)
{
    struct access_op op = {.what = ACCESS_KEYS, .name = str_of(topic)};
    if (first)
        op.keys[0] = str_of(first);
    if (second)
        op.keys[1] = str_of(second);
    return change(&op, ACCESS_ANONYMOUS);
}

/* On every reactor. */
static void may(const char *principal, enum access_kind kind, const char *name, unsigned roles)
{
    struct actor actor = actor_of(principal);
    for (unsigned i = 0; i < r.n; i++) {
        unsigned has = access_roles(r.brokers[i], &actor, kind, str_of(name));
        if (has != roles)
            print_error("%s on %s: %u, not %u\n", principal, name, has, roles);
        assert_int_equal(has, roles);
        for (unsigned role = 1; role <= 4; role *= 2)
            assert_int_equal(access_allows(r.brokers[i], &actor, kind, str_of(name), role),
                             (roles & role) != 0);
    }
}

static void topic_may(const char *principal, const char *name, unsigned roles)
{
    may(principal, ACCESS_TOPIC, name, roles);
}

/* An owner of the cluster, so that nothing else is open. */
static void close_cluster(void)
{
    assert_int_equal(put_user("root"), ERR_OK);
    assert_int_equal(grant("root", "User:root", OWN, ACCESS_CLUSTER, ""), ERR_OK);
}

/* ---- the decision --------------------------------------------------------------------------- */

static void without_declarations_everybody_owns_everything(void **state)
{
    (void)state;
    topic_may(ACCESS_ANONYMOUS, "t", SEND | RECV | OWN);
    topic_may("User:alice", "__consumer_offsets", SEND | RECV | OWN);
    may(ACCESS_ANONYMOUS, ACCESS_CLUSTER, "", SEND | RECV | OWN);
    assert_int_equal(access_roles(r.brokers[0], NULL, ACCESS_TOPIC, STR_LIT("t")), ACCESS_ANY);
    topic_may("Key:t/1", "t", SEND | RECV);
    topic_may("Key:t/1", "u", 0);
    struct actor key = actor_of("Key:t/1");
    static const char bytes[64] = "t/1"; /* a name that goes on behind a NUL */
    assert_int_equal(
        access_roles(r.brokers[0], &key, ACCESS_TOPIC, (struct str){bytes, sizeof bytes}), 0);
}

/* What the catalog holds is never shown but to who was granted the cluster, or it by name. */
static void the_catalog_is_not_open(void **state)
{
    struct uuid id = topic_state_id(TOPIC_STATE_CATALOG);
    struct actor anybody = actor_of(ACCESS_ANONYMOUS);
    struct read_op op = {.op.done = done,
                         .actor = &anybody,
                         .topic = id,
                         .leader_epoch = -1,
                         .last_fetched_epoch = -1,
                         .bytes_max = 1000};
    (void)state;
    topic_may(ACCESS_ANONYMOUS, "__weir_catalog", 0);
    broker_read(r.brokers[1], &op);
    rig_run(&r);
    assert_int_equal(op.op.err, ERR_TOPIC_DENIED);
    assert_int_equal(grant_as(ACCESS_ANONYMOUS, "all", "User:*", RECV, ACCESS_TOPIC, "__weir_*"),
                     ERR_OK);
    topic_may(ACCESS_ANONYMOUS, "__weir_catalog", 0);
    assert_int_equal(
        grant_as(ACCESS_ANONYMOUS, "it", "User:*", RECV, ACCESS_TOPIC, "__weir_catalog"),
        ERR_TOPIC_DENIED);
    close_cluster();
    topic_may("User:root", "__weir_catalog", SEND | RECV | OWN);
    topic_may("User:eve", "__weir_catalog", 0);
    assert_int_equal(grant_as("User:root", "it", "User:eve", RECV, ACCESS_TOPIC, "__weir_catalog"),
                     ERR_OK);
    topic_may("User:eve", "__weir_catalog", RECV);
}

static void what_is_granted_is_closed_to_others(void **state)
{
    (void)state;
    assert_int_equal(grant("a", "User:alice", SEND, ACCESS_TOPIC, "t"), ERR_OK);
    assert_int_equal(grant("b", "User:bob", RECV, ACCESS_TOPIC, "t"), ERR_OK);
    assert_int_equal(grant("c", "User:carol", OWN, ACCESS_TOPIC, "t"), ERR_OK);
    /* Nobody was granted the cluster: anybody manages it, and its topics. */
    topic_may("User:alice", "t", SEND | OWN);
    topic_may("User:bob", "t", RECV | OWN);
    topic_may(ACCESS_ANONYMOUS, "t", OWN);
    topic_may(ACCESS_ANONYMOUS, "u", SEND | RECV | OWN);
    close_cluster();
    topic_may("User:alice", "t", SEND);
    topic_may("User:bob", "t", RECV);
    topic_may("User:carol", "t", SEND | RECV | OWN);
    topic_may("User:dave", "t", 0);
    topic_may(ACCESS_ANONYMOUS, "t", 0);
    topic_may("User:root", "t", SEND | RECV | OWN);
    /* What nobody was granted may be used, not owned. */
    topic_may(ACCESS_ANONYMOUS, "u", SEND | RECV);
    topic_may("User:alice", "u", SEND | RECV);
    topic_may(ACCESS_ANONYMOUS, "__consumer_offsets", 0);
    topic_may(ACCESS_ANONYMOUS, "weir.hops", 0);
    topic_may("User:root", "weir.hops", SEND | RECV | OWN);
    topic_may("User:root", "__consumer_offsets", SEND | RECV | OWN);
    may("User:alice", ACCESS_CLUSTER, "", 0);
    may("User:root", ACCESS_CLUSTER, "", SEND | RECV | OWN);
    may("User:alice", ACCESS_GROUP, "t", SEND | RECV); /* groups are a world of their own */
}

static void prefixes_and_everybody(void **state)
{
    (void)state;
    close_cluster();
    assert_int_equal(grant_as("User:root", "a", "User:alice", RECV, ACCESS_TOPIC, "pay*"), ERR_OK);
    assert_int_equal(grant_as("User:root", "b", "User:*", SEND, ACCESS_TOPIC, "payments"), ERR_OK);
    topic_may("User:alice", "payments", SEND | RECV);
    topic_may("User:alice", "pay", RECV);
    topic_may("User:alice", "pa", SEND | RECV); /* not covered */
    topic_may("User:bob", "payments", SEND);
    topic_may("User:bob", "payroll", 0);
    topic_may(ACCESS_ANONYMOUS, "payments", SEND);
    topic_may("Key:u/1", "payments", 0);
    assert_int_equal(grant_as("User:root", "all", "User:root", OWN, ACCESS_TOPIC, "*"), ERR_OK);
    topic_may(ACCESS_ANONYMOUS, "anything", 0);
    assert_int_equal(grant_as("User:root", "g", "User:alice", RECV, ACCESS_GROUP, "g-*"), ERR_OK);
    may("User:alice", ACCESS_GROUP, "g-1", RECV);
    may("User:bob", ACCESS_GROUP, "g-1", 0);
    may("User:bob", ACCESS_FUNCTION, "g-1", SEND | RECV); /* of another kind */
    assert_int_equal(grant_as("User:root", "f", "User:alice", SEND, ACCESS_FUNCTION, "g-1"),
                     ERR_OK);
    may("User:alice", ACCESS_FUNCTION, "g-1", SEND);
    may("User:bob", ACCESS_FUNCTION, "g-1", 0);
    topic_may("User:bob", "g-1", 0);
    assert_int_equal(grant_as("User:root", "c", "User:eve", RECV, ACCESS_CLUSTER, ""), ERR_OK);
    topic_may("User:eve", "payments", SEND | RECV); /* to everything in it; and User:* */
    may("User:eve", ACCESS_CLUSTER, "", RECV);
}

static void taking_a_grant_back_opens_again(void **state)
{
    (void)state;
    close_cluster();
    assert_int_equal(grant_as("User:root", "a", "User:alice", RECV, ACCESS_TOPIC, "t*"), ERR_OK);
    assert_int_equal(grant_as("User:root", "a2", "User:alice", SEND, ACCESS_TOPIC, "t*"), ERR_OK);
    topic_may("User:bob", "t1", 0);
    assert_int_equal(drop_as("User:root", ACCESS_GRANT, "a"), ERR_OK);
    topic_may("User:alice", "t1", SEND);
    topic_may("User:bob", "t1", 0);
    /* Replaced: another place, another role. */
    assert_int_equal(grant_as("User:root", "a2", "User:bob", RECV, ACCESS_TOPIC, "x"), ERR_OK);
    topic_may("User:bob", "t1", SEND | RECV);
    topic_may("User:alice", "x", 0);
    assert_int_equal(drop_as("User:root", ACCESS_GRANT, "a2"), ERR_OK);
    topic_may("User:alice", "x", SEND | RECV);
    assert_int_equal(drop_as("User:root", ACCESS_GRANT, "a2"), ERR_NOT_FOUND);
}

/* ---- what is kept --------------------------------------------------------------------------- */

static void it_is_all_there_after_a_restart(void **state)
{
    (void)state;
    assert_int_equal(rig_create(&r, 0, "t", 1), ERR_OK);
    close_cluster();
    assert_int_equal(grant_as("User:root", "a", "User:alice", RECV, ACCESS_TOPIC, "t*"), ERR_OK);
    struct access_op op = {.what = ACCESS_KEYS, .name = STR_LIT("t")};
    op.make_key[0] = true;
    op.keys[1] = STR_LIT("12345678");
    assert_int_equal(change(&op, "User:root"), ERR_OK);
    char key[ACCESS_KEY_MAX + 1];
    snprintf(key, sizeof key, "%s",
             access_find(r.brokers[0], ACCESS_KEYS, STR_LIT("t"))->keys.key[0]);
    assert_int_equal(strlen(key), 44);
    assert_int_equal(drop_as("User:root", ACCESS_USER, "none"), ERR_NOT_FOUND);
    for (int i = 0; i < 2; i++) {
        for (unsigned at = 0; at < 2; at++) {
            struct broker *b = r.brokers[at];
            const struct access_item *user = access_find(b, ACCESS_USER, STR_LIT("root"));
            struct verifier v = verifier(VERIFIER_SHA_512, 2);
            assert_memory_equal(&user->user.verifiers[1], &v, sizeof v);
            assert_int_equal(user->user.verifiers[0].salt_len, 3);
            assert_int_equal(access_key_find(b, STR_LIT("t"), str_of(key)), ACCESS_KEY_1);
            assert_null(access_next(b, ACCESS_USER, user));
            assert_ptr_equal(access_next(b, ACCESS_USER, NULL), user);
        }
        topic_may("User:alice", "t1", RECV);
        rig_restart(&r);
        assert_int_equal(r.load_err, ERR_OK);
    }
}

static void listings_are_in_name_order(void **state)
{
    static const char *const names[] = {"m", "b", "z", "a", "ab", "c"};
    static const char *const want[] = {"a", "ab", "b", "c", "m", "z"};
    (void)state;
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(put_user(names[i]), ERR_OK);
    for (int i = 0; i < 2; i++) {
        const struct access_item *at = NULL;
        for (size_t k = 0; k < 6; k++) {
            at = access_next(r.brokers[1], ACCESS_USER, at);
            assert_string_equal(at->name, want[k]);
        }
        assert_null(access_next(r.brokers[1], ACCESS_USER, at));
        rig_restart(&r);
    }
    assert_null(access_find(r.brokers[0], ACCESS_USER, STR_LIT("aa")));
    assert_null(access_find(r.brokers[0], ACCESS_GRANT, STR_LIT("a")));
}

/* The log is cut behind snapshots as it grows: what has not changed for long is still there. */
static void it_outlives_the_cutting_of_its_log(void **state)
{
    char name[16];
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "old-%u", i);
        assert_int_equal(grant(name, "User:alice", RECV, ACCESS_TOPIC, name), ERR_OK);
    }
    for (unsigned i = 0; i < 24000; i++) {
        struct access_op op = {.what = ACCESS_USER, .name = STR_LIT("busy")};
        op.verifiers[0] = verifier(VERIFIER_SHA_256, (uint8_t)i);
        op.verifiers[1] = verifier(VERIFIER_SHA_512, (uint8_t)(i + 1));
        assert_int_equal(change(&op, ACCESS_ANONYMOUS), ERR_OK);
    }
    assert_true(statelog_start(access_log_of(r.brokers[0]->access_log)) > 0);
    rig_restart(&r);
    assert_int_equal(r.load_err, ERR_OK);
    for (unsigned i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "old-%u", i);
        topic_may("User:bob", name, OWN);
        topic_may("User:alice", name, RECV | OWN);
    }
    const struct access_item *busy = access_find(r.brokers[1], ACCESS_USER, STR_LIT("busy"));
    assert_int_equal(busy->user.verifiers[0].stored_key[0], (uint8_t)23999);
}

static void clients_cannot_see_the_log(void **state)
{
    struct uuid id = topic_state_id(TOPIC_STATE_ACCESS);
    (void)state;
    assert_int_equal(put_user("root"), ERR_OK);
    for (unsigned i = 0; i < 2; i++) {
        enum err err;
        assert_null(broker_topic_by_id(r.brokers[i], &id));
        mem_free(rig_read(&r, i, &id, 0, 0, &err));
        assert_int_equal(err, ERR_TOPIC_UNKNOWN);
    }
}

static void what_does_not_change_is_not_written(void **state)
{
    (void)state;
    struct access_op op = grant_op("a", "User:alice", RECV, ACCESS_TOPIC, "t");
    op.validate_only = true;
    assert_int_equal(change(&op, ACCESS_ANONYMOUS), ERR_OK);
    assert_true(op.created && op.changed);
    assert_null(access_find(r.brokers[0], ACCESS_GRANT, STR_LIT("a")));
    op.validate_only = false;
    assert_int_equal(change(&op, ACCESS_ANONYMOUS), ERR_OK);
    assert_true(op.created && op.changed);
    assert_int_equal(change(&op, ACCESS_ANONYMOUS), ERR_OK);
    assert_false(op.created || op.changed);
    op.grant.roles = SEND;
    assert_int_equal(change(&op, ACCESS_ANONYMOUS), ERR_OK);
    assert_true(!op.created && op.changed);
}

/* Changes that meet each other go one at a time, in order, each on what the one before left. */
static void changes_that_meet_go_one_by_one(void **state)
{
    static const enum err want[] = {ERR_OK,        ERR_OK, ERR_CONFIG_INVALID,
                                    ERR_NOT_FOUND, ERR_OK, ERR_OK};
    static struct access_op ops[6];
    struct actor actor = actor_of(ACCESS_ANONYMOUS);
    (void)state;
    rig_defer(&r, true);
    for (size_t i = 0; i < 6; i++) {
        ops[i] = grant_op("a", "User:alice", i == 2 ? 64 : RECV, ACCESS_TOPIC, "t");
        ops[i].act = i == 1 || i == 3 ? ACCESS_DELETE : ACCESS_PUT;
        ops[i].op.done = done;
        ops[i].actor = &actor;
        broker_access_change(r.brokers[0], &ops[i]);
    }
    assert_int_equal(r.world.logged[ENV_WARN], 0);
    rig_defer(&r, false);
    rig_run(&r);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(ops[i].op.err, want[i]);
        access_unref(ops[i].item);
    }
    assert_false(ops[5].created || ops[5].changed);
    topic_may("User:bob", "t", OWN);
}

static void bad_declarations_are_refused_with_words(void **state)
{
    static const struct {
        const char *name, *principal;
        unsigned roles;
        enum access_kind kind;
        const char *on, *text;
    } grants[] = {
        {"g", "alice", RECV, ACCESS_TOPIC, "t", "must be \"User:\" and a name"},
        {"g", "User:", RECV, ACCESS_TOPIC, "t", "must be \"User:\" and a name"},
        {"g", "Key:t/1", RECV, ACCESS_TOPIC, "t", "must be \"User:\" and a name"},
        {"g", "User:a", 0, ACCESS_TOPIC, "t", "gives Sender, Receiver or Owner"},
        {"g", "User:a", 8, ACCESS_TOPIC, "t", "gives Sender, Receiver or Owner"},
        {"g", "User:a", RECV, ACCESS_TOPIC, "", "names it"},
        {"g", "User:a", RECV, ACCESS_GROUP, "", "names it"},
        {"g", "User:a", RECV, ACCESS_CLUSTER, "x", "has no name"},
        {"g", "User:a", RECV, ACCESS_TOPIC, "t t", ""},
        {"", "User:a", RECV, ACCESS_TOPIC, "t", "a grant's name is 1 to 255 bytes"},
        {"a\nb", "User:a", RECV, ACCESS_TOPIC, "t", "a grant's name is 1 to 255 bytes"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof grants / sizeof grants[0]; i++) {
        enum err err = grant(grants[i].name, grants[i].principal, grants[i].roles, grants[i].kind,
                             grants[i].on);
        assert_true(err == ERR_CONFIG_INVALID || err == ERR_TOPIC_INVALID);
        assert_non_null(strstr(said, grants[i].text));
    }
    assert_int_equal(put_user("ANONYMOUS"), ERR_CONFIG_INVALID);
    assert_int_equal(put_user("a\"b"), ERR_CONFIG_INVALID);
    struct access_op op = {.what = ACCESS_USER, .name = STR_LIT("u")};
    assert_int_equal(change(&op, ACCESS_ANONYMOUS), ERR_CONFIG_INVALID);
    op.verifiers[0] = verifier(VERIFIER_SHA_256, 1);
    op.verifiers[0].iterations = 4095;
    assert_int_equal(change(&op, ACCESS_ANONYMOUS), ERR_SCRAM_INVALID);
    op.verifiers[0].iterations = 16385;
    assert_int_equal(change(&op, ACCESS_ANONYMOUS), ERR_SCRAM_INVALID);
    op.verifiers[0].iterations = 16384;
    op.verifiers[0].salt_len = 0;
    assert_int_equal(change(&op, ACCESS_ANONYMOUS), ERR_SCRAM_INVALID);
    assert_int_equal(put_keys("none", "12345678", NULL), ERR_TOPIC_UNKNOWN);
    assert_int_equal(rig_create(&r, 0, "t", 1), ERR_OK);
    assert_int_equal(put_keys("t", "1234567", NULL), ERR_CONFIG_INVALID);
    assert_int_equal(put_keys("t", "1234 5678", NULL), ERR_CONFIG_INVALID);
    assert_int_equal(put_keys("t", "12345678", "12345678"), ERR_CONFIG_INVALID);
    assert_int_equal(put_keys("t", NULL, NULL), ERR_CONFIG_INVALID);
    static char longest[ACCESS_KEY_MAX + 2];
    memset(longest, 'k', ACCESS_KEY_MAX + 1);
    assert_int_equal(put_keys("t", longest, NULL), ERR_CONFIG_INVALID);
    longest[ACCESS_KEY_MAX] = '\0';
    assert_int_equal(put_keys("t", longest, NULL), ERR_OK);
}

/* ---- users ---------------------------------------------------------------------------------- */

static void credentials_change_one_by_one(void **state)
{
    struct access_op op = {.what = ACCESS_USER, .act = ACCESS_CHANGE, .name = STR_LIT("alice")};
    (void)state;
    op.drop[0] = true;
    assert_int_equal(change(&op, ACCESS_ANONYMOUS), ERR_SCRAM_UNKNOWN);
    op.drop[0] = false;
    op.verifiers[0] = verifier(VERIFIER_SHA_256, 1);
    assert_int_equal(change(&op, ACCESS_ANONYMOUS), ERR_OK);
    assert_true(op.created);
    op.verifiers[0].iterations = 0;
    op.verifiers[1] = verifier(VERIFIER_SHA_512, 5);
    assert_int_equal(change(&op, ACCESS_ANONYMOUS), ERR_OK);
    const struct access_item *alice = access_find(r.brokers[1], ACCESS_USER, STR_LIT("alice"));
    assert_int_equal(alice->user.verifiers[0].stored_key[0], 1);
    assert_int_equal(alice->user.verifiers[1].stored_key[0], 5);
    op.verifiers[1].iterations = 0;
    op.drop[1] = true;
    assert_int_equal(change(&op, ACCESS_ANONYMOUS), ERR_OK);
    alice = access_find(r.brokers[1], ACCESS_USER, STR_LIT("alice"));
    assert_int_equal(alice->user.verifiers[1].iterations, 0);
    assert_int_equal(change(&op, ACCESS_ANONYMOUS), ERR_SCRAM_UNKNOWN);
    op.drop[0] = true;
    op.drop[1] = false;
    assert_int_equal(change(&op, ACCESS_ANONYMOUS), ERR_OK); /* the last: the user goes */
    assert_null(access_find(r.brokers[1], ACCESS_USER, STR_LIT("alice")));
    rig_restart(&r);
    assert_null(access_find(r.brokers[1], ACCESS_USER, STR_LIT("alice")));
}

static void nobody_locks_himself_out(void **state)
{
    (void)state;
    assert_int_equal(grant("root", "User:root", OWN, ACCESS_CLUSTER, ""), ERR_POLICY);
    assert_non_null(strstr(said, "make the user first"));
    assert_int_equal(put_user("root"), ERR_OK);
    assert_int_equal(grant("r", "User:root", RECV, ACCESS_CLUSTER, ""), ERR_POLICY);
    assert_int_equal(grant("root", "User:root", OWN, ACCESS_CLUSTER, ""), ERR_OK);
    assert_int_equal(put_user("eve"), ERR_CLUSTER_DENIED);
    assert_int_equal(drop_as("User:root", ACCESS_USER, "root"), ERR_POLICY);
    struct access_op op = {.what = ACCESS_USER, .act = ACCESS_CHANGE, .name = STR_LIT("root")};
    op.drop[0] = op.drop[1] = true;
    assert_int_equal(change(&op, "User:root"), ERR_POLICY);
    assert_int_equal(grant_as("User:root", "root", "User:root", SEND, ACCESS_CLUSTER, ""),
                     ERR_POLICY);
    assert_int_equal(grant_as("User:root", "root", "User:eve", OWN, ACCESS_CLUSTER, ""),
                     ERR_POLICY);
    assert_int_equal(put_user_as("User:root", "eve"), ERR_OK);
    assert_int_equal(grant_as("User:root", "eve", "User:eve", OWN, ACCESS_CLUSTER, ""), ERR_OK);
    assert_int_equal(drop_as("User:root", ACCESS_USER, "root"), ERR_OK);
    assert_int_equal(drop_as("User:eve", ACCESS_GRANT, "eve"), ERR_POLICY); /* root's is left */
    assert_int_equal(drop_as("User:eve", ACCESS_GRANT, "root"), ERR_OK);
    /* The last grant: the cluster is open again, for whoever it was opened by. */
    assert_int_equal(drop_as("User:eve", ACCESS_GRANT, "eve"), ERR_OK);
    may(ACCESS_ANONYMOUS, ACCESS_CLUSTER, "", SEND | RECV | OWN);
    /* Who comes with a certificate is known to the authority, not to us. */
    assert_int_equal(grant("c", "User:CN=root,O=weir", OWN, ACCESS_CLUSTER, ""), ERR_OK);
    may("User:CN=root,O=weir", ACCESS_CLUSTER, "", SEND | RECV | OWN);
}

static void owners_grant_what_is_theirs(void **state)
{
    (void)state;
    assert_int_equal(rig_create(&r, 0, "t", 1), ERR_OK);
    close_cluster();
    assert_int_equal(grant_as("User:root", "a", "User:alice", OWN, ACCESS_TOPIC, "t"), ERR_OK);
    assert_int_equal(grant_as("User:alice", "b", "User:bob", RECV, ACCESS_TOPIC, "t"), ERR_OK);
    topic_may("User:bob", "t", RECV);
    assert_int_equal(grant_as("User:alice", "c", "User:bob", RECV, ACCESS_TOPIC, "u"),
                     ERR_TOPIC_DENIED);
    assert_int_equal(grant_as("User:alice", "c", "User:bob", RECV, ACCESS_TOPIC, "t*"),
                     ERR_CLUSTER_DENIED);
    assert_int_equal(grant_as("User:alice", "c", "User:alice", OWN, ACCESS_CLUSTER, ""),
                     ERR_CLUSTER_DENIED);
    /* Nor by moving or taking somebody else's. */
    assert_int_equal(grant_as("User:alice", "root", "User:alice", OWN, ACCESS_TOPIC, "t"),
                     ERR_CLUSTER_DENIED);
    assert_int_equal(drop_as("User:alice", ACCESS_GRANT, "root"), ERR_CLUSTER_DENIED);
    assert_int_equal(drop_as("User:bob", ACCESS_GRANT, "a"), ERR_TOPIC_DENIED);
    assert_int_equal(put_user_as("User:alice", "x"), ERR_CLUSTER_DENIED);
    struct access_op op = {.what = ACCESS_KEYS, .name = STR_LIT("t"), .make_key = {true, true}};
    assert_int_equal(change(&op, "User:bob"), ERR_TOPIC_DENIED);
    assert_int_equal(change(&op, "User:alice"), ERR_OK);
    assert_int_equal(drop_as("User:alice", ACCESS_GRANT, "b"), ERR_OK);
}

/* ---- keys ----------------------------------------------------------------------------------- */

static enum access_key key(const char *topic, const char *presented)
{
    return access_key_find(r.brokers[1], str_of(topic), str_of(presented));
}

static void keys_rotate_without_a_drop(void **state)
{
    struct access_op op = {.what = ACCESS_KEYS, .act = ACCESS_CHANGE, .name = STR_LIT("t")};
    char principal[ACCESS_PRINCIPAL_MAX + 1];
    (void)state;
    assert_int_equal(rig_create(&r, 0, "t", 1), ERR_OK);
    assert_int_equal(key("t", "anything"), ACCESS_KEY_UNDECLARED);
    assert_int_equal(put_keys("t", "first-key", "second-key"), ERR_OK);
    assert_int_equal(key("t", "first-key"), ACCESS_KEY_1);
    assert_int_equal(key("t", "second-key"), ACCESS_KEY_2);
    assert_int_equal(key("t", "second-ke"), ACCESS_KEY_WRONG);
    assert_int_equal(key("t", ""), ACCESS_KEY_WRONG);
    assert_int_equal(key("u", "first-key"), ACCESS_KEY_UNDECLARED);
    op.make_key[0] = true;
    assert_int_equal(change(&op, ACCESS_ANONYMOUS), ERR_OK);
    assert_int_equal(key("t", "first-key"), ACCESS_KEY_WRONG);
    assert_int_equal(key("t", "second-key"), ACCESS_KEY_2);
    op.make_key[0] = false;
    op.keys[1] = STR_LIT("third-key");
    assert_int_equal(change(&op, ACCESS_ANONYMOUS), ERR_OK);
    assert_int_equal(key("t", "third-key"), ACCESS_KEY_2);
    assert_string_equal(access_key_principal(STR_LIT("t"), ACCESS_KEY_2, principal), "Key:t/2");
    topic_may("Key:t/2", "t", SEND | RECV);
    topic_may("Key:t/2", "t2", 0);
    may("Key:t/2", ACCESS_GROUP, "t", 0);
    may("Key:t/2", ACCESS_CLUSTER, "", 0);
    topic_may(ACCESS_ANONYMOUS, "t", OWN);
    /* One key only. */
    assert_int_equal(put_keys("t", NULL, "third-key"), ERR_OK);
    assert_int_equal(key("t", ""), ACCESS_KEY_WRONG);
    assert_int_equal(key("t", "third-key"), ACCESS_KEY_2);
    assert_int_equal(drop_as(ACCESS_ANONYMOUS, ACCESS_KEYS, "t"), ERR_OK);
    assert_int_equal(key("t", "third-key"), ACCESS_KEY_UNDECLARED);
    topic_may(ACCESS_ANONYMOUS, "t", SEND | RECV | OWN);
}

static void keys_go_with_their_topic(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof name, "t%d", i);
        assert_int_equal(rig_create(&r, 0, name, 1), ERR_OK);
        assert_int_equal(put_keys(name, "first-key", NULL), ERR_OK);
    }
    assert_int_equal(rig_delete(&r, 1, "t0"), ERR_OK);
    assert_int_equal(key("t0", "x"), ACCESS_KEY_UNDECLARED);
    /* Between the two records a crash leaves the keys; the next start removes them. */
    rig_lose_memory(true);
    rig_defer(&r, true);
    struct topic_delete_op op = {.op.done = done, .actor = &rig_actor, .name = STR_LIT("t2")};
    broker_topic_delete(r.brokers[0], &op);
    while (fake_deliver_all(&r.world))
        ;
    rig_kill(&r, 1);
    rig_lose_memory(false);
    rig_boot(&r);
    assert_null(broker_topic(r.brokers[0], STR_LIT("t2")));
    assert_int_equal(key("t1", "first-key"), ACCESS_KEY_1);
    assert_int_equal(key("t2", "x"), ACCESS_KEY_UNDECLARED);
    rig_restart(&r);
    assert_int_equal(key("t2", "x"), ACCESS_KEY_UNDECLARED);
}

/* ---- verbs ---------------------------------------------------------------------------------- */

/* Every verb by somebody who may not. */
static void verbs_refuse_who_may_not(void **state)
{
    struct actor eve = actor_of("User:eve");
    (void)state;
    assert_int_equal(rig_create(&r, 0, "t", 2), ERR_OK);
    close_cluster();
    assert_int_equal(grant_as("User:root", "t", "User:root", OWN, ACCESS_TOPIC, "*"), ERR_OK);
    assert_int_equal(grant_as("User:root", "g", "User:root", OWN, ACCESS_GROUP, "*"), ERR_OK);
    struct uuid id = rig_topic(&r, 0, "t")->id;
#define REFUSED(verb, want, ...)                                                                   \
    do {                                                                                           \
        for (unsigned at = 0; at < 2; at++) {                                                      \
            struct verb##_op op = {.op.done = done, .actor = &eve, __VA_ARGS__};                   \
            answered = false;                                                                      \
            VERB(r.brokers[at], &op);                                                              \
            rig_run(&r);                                                                           \
            assert_true(answered);                                                                 \
            assert_int_equal(op.op.err, want);                                                     \
        }                                                                                          \
    } while (0)
    struct slice batch = rig_batch(1, 1000);
#define VERB broker_produce
    REFUSED(produce, ERR_TOPIC_DENIED, .topic = id, .partition = 1, .batch = batch);
    slice_unref(batch);
#undef VERB
#define VERB broker_read
    REFUSED(read, ERR_TOPIC_DENIED, .topic = id, .partition = 1, .bytes_max = 100);
#undef VERB
#define VERB broker_records
    REFUSED(records, ERR_TOPIC_DENIED, .topic = id, .partition = 1, .bytes_max = 1);
#undef VERB
#define VERB broker_list_offset
    REFUSED(list, ERR_TOPIC_DENIED, .topic = id, .partition = 1, .timestamp = LIST_LATEST);
#undef VERB
#define VERB broker_epoch_end
    REFUSED(epoch, ERR_TOPIC_DENIED, .topic = id, .partition = 1, .current_epoch = -1);
#undef VERB
#define VERB broker_trim
    REFUSED(trim, ERR_TOPIC_DENIED, .topic = id, .partition = 1, .offset = -1);
#undef VERB
#define VERB broker_topic_create
    REFUSED(topic_create, ERR_TOPIC_DENIED, .name = STR_LIT("new"), .partitions = 1,
            .replication = 1);
#undef VERB
#define VERB broker_topic_delete
    REFUSED(topic_delete, ERR_TOPIC_DENIED, .name = STR_LIT("t"));
    REFUSED(topic_delete, ERR_TOPIC_DENIED, .id = id);
    REFUSED(topic_delete, ERR_TOPIC_DENIED, .name = STR_LIT("is-not-there"));
#undef VERB
#define VERB broker_topic_grow
    REFUSED(topic_grow, ERR_TOPIC_DENIED, .name = STR_LIT("t"), .partitions = 3);
#undef VERB
#define VERB broker_topic_configure
    REFUSED(topic_configure, ERR_TOPIC_DENIED, .name = STR_LIT("t"));
#undef VERB
#define VERB broker_publish
    REFUSED(publish, ERR_TOPIC_DENIED, .topic = id, .partition = -1);
#undef VERB
#define VERB broker_subscription_put
    struct subscription_conf conf;
    spec_init(&subscription_kind, &conf);
    conf.topic = STR_LIT("t");
    REFUSED(subscription_put, ERR_TOPIC_DENIED, .name = STR_LIT("s"), .conf = &conf);
    conf.topic = STR_LIT("eves");
    conf.to_topic = STR_LIT("t");
    assert_int_equal(grant_as("User:root", "e", "User:eve", OWN, ACCESS_TOPIC, "eves"), ERR_OK);
    REFUSED(subscription_put, ERR_TOPIC_DENIED, .name = STR_LIT("s"), .conf = &conf);
    conf.to_topic = (struct str){0};
    conf.dead_letter = STR_LIT("t");
    REFUSED(subscription_put, ERR_TOPIC_DENIED, .name = STR_LIT("s"), .conf = &conf);
    conf.dead_letter = (struct str){0};
    conf.url = STR_LIT("https://x.example");
    conf.reply_topic = STR_LIT("t");
    REFUSED(subscription_put, ERR_TOPIC_DENIED, .name = STR_LIT("s"), .conf = &conf);
    struct reply_route routes[] = {{.topic = STR_LIT("eves")}, {.topic = STR_LIT("t")}};
    conf.reply_topic = (struct str){0};
    conf.routes = (struct spec_list){routes, 2};
    REFUSED(subscription_put, ERR_TOPIC_DENIED, .name = STR_LIT("s"), .conf = &conf);
    conf = (struct subscription_conf){.topic = STR_LIT("eves"), .to_function = STR_LIT("f")};
    REFUSED(subscription_put, ERR_CLUSTER_DENIED, .name = STR_LIT("s"), .conf = &conf);
    conf = (struct subscription_conf){.topic = STR_LIT("eves"), .to_model = STR_LIT("m")};
    REFUSED(subscription_put, ERR_CLUSTER_DENIED, .name = STR_LIT("s"), .conf = &conf);
#undef VERB
#define VERB broker_subscription_delete
    REFUSED(subscription_delete, ERR_TOPIC_DENIED, .topic = id, .name = STR_LIT("s"));
#undef VERB
#define VERB broker_group_join
    REFUSED(group_join, ERR_GROUP_DENIED, .group = STR_LIT("g"));
#undef VERB
#define VERB broker_group_sync
    REFUSED(group_sync, ERR_GROUP_DENIED, .group = STR_LIT("g"));
#undef VERB
#define VERB broker_group_heartbeat
    REFUSED(group_heartbeat, ERR_GROUP_DENIED, .group = STR_LIT("g"));
#undef VERB
#define VERB broker_group_leave
    REFUSED(group_leave, ERR_GROUP_DENIED, .group = STR_LIT("g"));
#undef VERB
#define VERB broker_group_commit
    REFUSED(group_commit, ERR_GROUP_DENIED, .group = STR_LIT("g"));
#undef VERB
#define VERB broker_group_fetch
    REFUSED(group_fetch, ERR_GROUP_DENIED, .group = STR_LIT("g"));
#undef VERB
#define VERB broker_group_describe
    REFUSED(group_describe, ERR_GROUP_DENIED, .group = STR_LIT("g"));
#undef VERB
#define VERB broker_group_delete
    REFUSED(group_delete, ERR_GROUP_DENIED, .group = STR_LIT("g"));
#undef VERB
}

/* A group of one's own does not open other people's topics. */
static void commits_and_fetches_look_at_topics(void **state)
{
    struct actor alice = actor_of("User:alice"), root = actor_of("User:root");
    (void)state;
    assert_int_equal(rig_create(&r, 0, "mine", 1), ERR_OK);
    assert_int_equal(rig_create(&r, 0, "theirs", 1), ERR_OK);
    close_cluster();
    assert_int_equal(grant_as("User:root", "t", "User:root", OWN, ACCESS_TOPIC, "theirs"), ERR_OK);
    for (int as_root = 0; as_root < 2; as_root++) {
        struct group_offset o[2] = {{.topic = STR_LIT("mine"), .commit_ms = -1},
                                    {.topic = STR_LIT("theirs"), .commit_ms = -1}};
        struct group_commit_op c = {.op.done = done,
                                    .actor = as_root ? &root : &alice,
                                    .group = STR_LIT("g"),
                                    .generation = -1,
                                    .retention_ms = -1,
                                    .offsets = o,
                                    .offsets_n = 2};
        broker_group_commit(r.brokers[0], &c);
        rig_run(&r);
        assert_int_equal(c.op.err, ERR_OK);
        assert_int_equal(o[0].err, ERR_OK);
        assert_int_equal(o[1].err, as_root ? ERR_OK : ERR_TOPIC_DENIED);
    }
    for (int as_root = 0; as_root < 2; as_root++) {
        struct group_offset o[2] = {{.topic = STR_LIT("mine")}, {.topic = STR_LIT("theirs")}};
        struct group_fetch_op f = {.op.done = done,
                                   .actor = as_root ? &root : &alice,
                                   .group = STR_LIT("g"),
                                   .member_epoch = -1,
                                   .offsets = o,
                                   .offsets_n = 2};
        broker_group_fetch(r.brokers[0], &f);
        rig_run(&r);
        assert_int_equal(o[0].offset, 0);
        assert_int_equal(o[1].err, as_root ? ERR_OK : ERR_TOPIC_DENIED);
        assert_int_equal(o[1].offset, as_root ? 0 : -1);
    }
}

static size_t fetched_n;

static void fetched(struct op *op)
{
    fetched_n = container_of(op, struct group_fetch_op, op)->offsets_n;
}

static void listed(struct op *op)
{
    fetched_n = container_of(op, struct group_list_op, op)->groups_n;
}

static void listings_show_what_one_may_see(void **state)
{
    static const char *const who[] = {"User:alice", "User:root"};
    (void)state;
    assert_int_equal(rig_create(&r, 0, "mine", 1), ERR_OK);
    assert_int_equal(rig_create(&r, 0, "theirs", 1), ERR_OK);
    for (int i = 0; i < 2; i++) {
        struct group_offset o[2] = {{.topic = STR_LIT("mine"), .commit_ms = -1},
                                    {.topic = STR_LIT("theirs"), .commit_ms = -1}};
        struct group_commit_op c = {.op.done = done,
                                    .actor = &rig_actor,
                                    .group = i ? STR_LIT("hidden") : STR_LIT("seen"),
                                    .generation = -1,
                                    .retention_ms = -1,
                                    .offsets = o,
                                    .offsets_n = 2};
        broker_group_commit(r.brokers[0], &c);
        rig_run(&r);
    }
    close_cluster();
    assert_int_equal(grant_as("User:root", "t", "User:root", OWN, ACCESS_TOPIC, "theirs"), ERR_OK);
    assert_int_equal(grant_as("User:root", "g", "User:root", OWN, ACCESS_GROUP, "hidden"), ERR_OK);
    for (size_t i = 0; i < 2; i++) {
        struct actor actor = actor_of(who[i]);
        struct group_fetch_op f = {.op.done = fetched,
                                   .actor = &actor,
                                   .group = STR_LIT("seen"),
                                   .member_epoch = -1,
                                   .all = true};
        broker_group_fetch(r.brokers[0], &f);
        rig_run(&r);
        assert_int_equal(fetched_n, 1 + i);
        struct group_list_op l = {.op.done = listed, .actor = &actor};
        broker_group_list(r.brokers[0], &l);
        rig_run(&r);
        assert_int_equal(fetched_n, 1 + i);
    }
}

/* Who knocks a thousand times fills no log. */
static void denials_are_logged_a_few_a_second(void **state)
{
    struct actor eve = actor_of("User:eve");
    (void)state;
    close_cluster();
    unsigned before = r.world.logged[ENV_WARN];
    for (int i = 0; i < 1000; i++)
        assert_false(access_allows(r.brokers[0], &eve, ACCESS_CLUSTER, STR_LIT(""), OWN));
    assert_int_equal(r.world.logged[ENV_WARN] - before, 10);
    fake_advance(&r.world, 1000);
    assert_false(access_allows(r.brokers[0], &eve, ACCESS_CLUSTER, STR_LIT(""), OWN));
    assert_int_equal(r.world.logged[ENV_WARN] - before, 12); /* and how many there were more */
}

/* Random bytes where a record should be are an error at the start, never a crash. */
static void records_are_read_with_care(void **state)
{
    struct wr w;
    struct access_item *item = access_item_make(ACCESS_GRANT, STR_LIT("g")), *out;
    struct rng rng;
    (void)state;
    rng_seed(&rng, 3);
    wr_init(&w, 64);
    item->grant = grant_op("g", "User:alice", RECV, ACCESS_TOPIC, "t*").grant;
    access_item_encode(item, &w);
    struct str value = {(const char *)w.buf->data, w.len};
    assert_int_equal(access_item_decode(ACCESS_GRANT, STR_LIT("g"), value, &out), ERR_OK);
    assert_true(access_item_eq(item, out));
    access_unref(out);
    for (size_t n = 0; n < w.len; n++)
        assert_int_equal(
            access_item_decode(ACCESS_GRANT, STR_LIT("g"), (struct str){value.at, n}, &out),
            ERR_CORRUPT);
    for (int i = 0; i < 20000; i++) {
        char bytes[64];
        memcpy(bytes, value.at, value.len);
        for (uint64_t k = rng_below(&rng, 4) + 1; k > 0; k--)
            bytes[rng_below(&rng, value.len)] = (char)rng_below(&rng, 256);
        if (access_item_decode((enum access_what)rng_below(&rng, 3), STR_LIT("g"),
                               (struct str){bytes, value.len}, &out) == ERR_OK)
            access_unref(out);
    }
    w.buf->data[0] = 2;
    assert_int_equal(access_item_decode(ACCESS_GRANT, STR_LIT("g"), value, &out), ERR_FORMAT_NEWER);
    wr_free(&w);
    access_unref(item);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_declarations_everybody_owns_everything),
        TEST(the_catalog_is_not_open),
        TEST(what_is_granted_is_closed_to_others),
        TEST(prefixes_and_everybody),
        TEST(taking_a_grant_back_opens_again),
        TEST(it_is_all_there_after_a_restart),
        TEST(listings_are_in_name_order),
        TEST(it_outlives_the_cutting_of_its_log),
        TEST(clients_cannot_see_the_log),
        TEST(what_does_not_change_is_not_written),
        TEST(changes_that_meet_go_one_by_one),
        TEST(bad_declarations_are_refused_with_words),
        TEST(credentials_change_one_by_one),
        TEST(nobody_locks_himself_out),
        TEST(owners_grant_what_is_theirs),
        TEST(keys_rotate_without_a_drop),
        TEST(keys_go_with_their_topic),
        TEST(verbs_refuse_who_may_not),
        TEST(commits_and_fetches_look_at_topics),
        TEST(listings_show_what_one_may_see),
        TEST(denials_are_logged_a_few_a_second),
        TEST(records_are_read_with_care),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
