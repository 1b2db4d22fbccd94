/* Who calls: passwords, access keys, signatures and certificates, right, wrong and unknown. */
#include "http_rig.h"

#include "base/base64.h"
#include "broker/access.h"

#include "../../check.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#define KEY_1 "Zmlyc3Qta2V5LW9mLW9yZGVycw=="
#define KEY_2 "c2Vjb25kLWtleS1vZi1vcmRlcnM="

static struct web web;
static const struct http_listener closed_listener = {.authenticate = true};

static void done(struct op *op)
{
    (void)op;
}

static void change(struct access_op *op)
{
    op->op.done = done;
    broker_access_change(web.rig.brokers[0], op);
    web_run(&web);
    assert_int_equal(op->op.err, ERR_OK);
    access_unref(op->item);
}

static void make_user(const char *name, const char *password)
{
    struct access_op op = {.what = ACCESS_USER, .name = str_of(name)};
    const uint8_t salt[SCRAM_SALT_BYTES] = "salt";
    verifier_make(&op.verifiers[0], VERIFIER_SHA_256, str_of(password), salt, 4096);
    change(&op);
}

static void make_grant(const char *principal, unsigned roles, enum access_kind kind, const char *on)
{
    struct access_op op = {.what = ACCESS_GRANT, .name = str_of(principal)};
    snprintf(op.grant.principal, sizeof op.grant.principal, "%s", principal);
    snprintf(op.grant.on, sizeof op.grant.on, "%s", on);
    op.grant.roles = roles;
    op.grant.kind = kind;
    change(&op);
}

static int setup(void **state)
{
    (void)state;
    web_make(&web, 1, NULL);
    assert_int_equal(rig_create(&web.rig, 0, "orders", 1), ERR_OK);
    assert_int_equal(rig_create(&web.rig, 0, "open", 1), ERR_OK);
    struct access_op keys = {.what = ACCESS_KEYS, .name = STR_LIT("orders")};
    keys.keys[0] = STR_LIT(KEY_1);
    keys.keys[1] = STR_LIT(KEY_2);
    change(&keys);
    make_user("alice", "se:cret");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    web_free(&web);
    return 0;
}

/* The status of reading a topic's records with these fields. */
static int read_topic(const char *topic, const char *fields)
{
    char text[4000];
    snprintf(text, sizeof text, "GET /topics/%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", topic,
             fields);
    struct web_answer a = web_ask(&web, text);
    if (a.status == 401)
        assert_non_null(strstr(web_field(&web, &a, "www-authenticate"), "Basic realm="));
    return a.status;
}

static const char *basic(const char *pair)
{
    static char field[400];
    char text[300];
    base64_encode(text, pair, strlen(pair));
    snprintf(field, sizeof field, "Authorization: Basic %s\r\n", text);
    return field;
}

/* Of GET /topics/orders, by the key, valid for so long. */
static const char *token(const char *key, const char *resource, const char *expiry)
{
    static char field[2000];
    char text[1000], mac_text[64];
    uint8_t bytes[64], mac[32];
    size_t n;
    snprintf(text, sizeof text, "r=%s&e=%s", resource, expiry);
    assert_true(base64_decode(str_of(key), bytes, sizeof bytes, &n));
    HMAC(EVP_sha256(), bytes, (int)n, (const uint8_t *)text, strlen(text), mac, NULL);
    base64_encode(mac_text, mac, sizeof mac);
    size_t at = (size_t)snprintf(field, sizeof field, "aeg-sas-token: %s&s=", text);
    for (const char *c = mac_text; *c; c++)
        at += (size_t)snprintf(field + at, sizeof field - at, strchr("+/=", *c) ? "%%%02X" : "%c",
                               *c);
    snprintf(field + at, sizeof field - at, "\r\n");
    return field;
}

static void access_keys_open_their_topic(void **state)
{
    (void)state;
    assert_int_equal(read_topic("orders", ""), 403);
    assert_int_equal(read_topic("orders", "aeg-sas-key: " KEY_1 "\r\n"), 200);
    assert_int_equal(read_topic("orders", "aeg-sas-key: " KEY_2 "\r\n"), 200);
    assert_int_equal(read_topic("orders", "Authorization: SharedAccessKey " KEY_2 "\r\n"), 200);
    assert_int_equal(read_topic("orders", "aeg-sas-key: wrong\r\n"), 401);
    assert_int_equal(read_topic("orders", "aeg-sas-key:\r\n"), 401);
    assert_int_equal(read_topic("orders", "aeg-sas-key: " KEY_1 "\r\naeg-sas-token: x\r\n"), 401);
    assert_int_equal(read_topic("open", "aeg-sas-key: whatever\r\n"), 200);
    assert_int_equal(read_topic("open", "aeg-sas-key: " KEY_1 "\r\n"), 200); /* as anonymous */
    web.listener = &closed_listener;
    assert_int_equal(read_topic("orders", ""), 401);
    assert_int_equal(read_topic("orders", "aeg-sas-key: " KEY_1 "\r\n"), 200);
    assert_int_equal(read_topic("open", "aeg-sas-key: whatever\r\n"), 401);
    assert_int_equal(read_topic("open", ""), 401);
}

static void signatures_open_it_until_they_expire(void **state)
{
    static const char path[] = "http%3A%2F%2Flocalhost%2Ftopics%2Forders";
    (void)state;
    assert_int_equal(read_topic("orders", token(KEY_1, path, "1/1/2026+1:00:00+AM")), 200);
    assert_int_equal(read_topic("orders", token(KEY_2, path, "2026-01-01T00:00:01")), 200);
    assert_int_equal(read_topic("orders", token(KEY_2, path, "2026-01-01T00:00:00")), 401);
    assert_int_equal(read_topic("orders", token(KEY_2, path, "12/31/2025+11:59:59+PM")), 401);
    assert_int_equal(read_topic("orders", token("b3RoZXI=", path, "2027-01-01T00:00:00")), 401);
    assert_int_equal(
        read_topic("orders", token(KEY_1, "http%3A%2F%2Fh%2Ftopics", "2027-01-01T00:00:00")), 200);
    assert_int_equal(read_topic("orders", token(KEY_1, "http%3A%2F%2Fh%2Ftopics%2Fother",
                                                "2027-01-01T00:00:00")),
                     401);
    assert_int_equal(
        read_topic("orders", token(KEY_1, "http%3A%2F%2Fh%2Ftopics%2Ford", "2027-01-01T00:00:00")),
        401);
    assert_int_equal(read_topic("orders", "aeg-sas-token: nonsense\r\n"), 401);
    assert_int_equal(read_topic("open", "aeg-sas-token: nonsense\r\n"), 200);
}

static void passwords_open(void **state)
{
    (void)state;
    make_grant("User:alice", ACCESS_RECEIVER, ACCESS_TOPIC, "orders");
    assert_int_equal(read_topic("orders", basic("alice:se:cret")), 200);
    assert_int_equal(read_topic("orders", basic("alice:se:cret")), 200);
    assert_int_equal(read_topic("orders", basic("alice:wrong")), 401);
    assert_int_equal(read_topic("open", basic("alice:wrong")), 401); /* he is known */
    assert_int_equal(read_topic("orders", basic("bob:x")), 403);
    assert_int_equal(read_topic("open", basic("bob:x")), 200);
    assert_int_equal(read_topic("open", basic("no colon")), 401);
    assert_int_equal(read_topic("open", "Authorization: Basic !!!\r\n"), 401);
    assert_int_equal(read_topic("open", "Authorization: Bearer x.y.z\r\n"), 200);
    web.listener = &closed_listener;
    assert_int_equal(read_topic("orders", basic("alice:se:cret")), 200);
    assert_int_equal(read_topic("open", basic("bob:x")), 401);
    assert_int_equal(read_topic("open", "Authorization: Bearer x.y.z\r\n"), 401);
    make_user("alice", "changed"); /* at once, whatever was remembered */
    assert_int_equal(read_topic("orders", basic("alice:se:cret")), 401);
    assert_int_equal(read_topic("orders", basic("alice:changed")), 200);
}

/* Guessing costs us milliseconds: so many a second, and whoever was let in before does not wait. */
static void guesses_are_few(void **state)
{
    (void)state;
    make_user("bob", "builder");
    assert_int_equal(read_topic("open", basic("alice:se:cret")), 200);
    unsigned wrong = 0;
    for (unsigned i = 0; i < 30; i++)
        wrong += read_topic("open", basic("alice:guess")) == 401;
    assert_int_equal(wrong, PASSWORD_CACHE_TRIES_MAX - 1);
    assert_int_equal(read_topic("open", basic("alice:se:cret")), 200);
    assert_int_equal(read_topic("open", basic("bob:builder")), 429);
    fake_advance(&web.rig.world, 1000);
    assert_int_equal(read_topic("open", basic("bob:builder")), 200);
}

static void certificates_open(void **state)
{
    struct web_answer a;
    (void)state;
    make_grant("User:CN=bob", ACCESS_RECEIVER, ACCESS_TOPIC, "orders");
    web.listener = &closed_listener;
    for (int i = 0; i < 2; i++) {
        struct web_client *c = web_open(&web, 0);
        c->pipe.identity = i ? "User:CN=bob" : "User:CN=eve";
        web_say(c, "GET /topics/orders HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_true(web_answer(c, false, &a));
        assert_int_equal(a.status, i ? 200 : 403);
    }
}

static void what_is_public_asks_nobody(void **state)
{
    (void)state;
    web.listener = &closed_listener;
    struct web_answer a = web_ask(&web, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n"
                                        "Authorization: Basic !!!\r\n\r\n");
    assert_int_equal(a.status, 200);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(access_keys_open_their_topic),
        TEST(signatures_open_it_until_they_expire),
        TEST(passwords_open),
        TEST(guesses_are_few),
        TEST(certificates_open),
        TEST(what_is_public_asks_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
