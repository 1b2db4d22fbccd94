/* Authentication on a connection: both mechanisms, framed and raw, what is served before, delays,
 * sessions; and the requests that manage credentials. */
#include "front_rig.h"

#include "auth/scram.h"
#include "base/base64.h"
#include "base/mem.h"
#include "broker/access.h"
#include "front/kafka/sasl.h"

#include "../check.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#define FETCH 1
#define LIST_OFFSETS 2
#define METADATA 3
#define HANDSHAKE 17
#define API_VERSIONS 18
#define CREATE_TOPICS 19
#define AUTHENTICATE 36
#define DESCRIBE_SCRAM 50
#define ALTER_SCRAM 51

static struct front f;
static const struct kafka_listener closed_listener = {.authenticate = true};

static int setup(void **state)
{
    (void)state;
    front_make(&f, 1);
    front_topic(&f, "t", 1, 0);
    f.listener = &closed_listener;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    front_free(&f);
    return 0;
}

static void with_session(int64_t ms)
{
    struct kafka_conf conf = kafka_conf_default;
    conf.sasl_session_ms = ms;
    kafka_front_free(f.kafka);
    f.kafka = kafka_front_make(&conf, f.rig.brokers, 1);
}

/* ---- users ---- */

static void done(struct op *op)
{
    (void)op;
}

static void change(struct access_op *op)
{
    op->op.done = done;
    broker_access_change(f.rig.brokers[0], op);
    front_run(&f);
    assert_int_equal(op->op.err, ERR_OK);
    access_unref(op->item);
}

static void make_user(const char *name, const char *password)
{
    struct access_op op = {.what = ACCESS_USER, .name = str_of(name)};
    const uint8_t salt[SCRAM_SALT_BYTES] = "salt";
    verifier_make(&op.verifiers[0], VERIFIER_SHA_256, str_of(password), salt, 4096);
    verifier_make(&op.verifiers[1], VERIFIER_SHA_512, str_of(password), salt, 4096);
    change(&op);
}

static void make_grant(const char *name, const char *principal, unsigned roles,
                       enum access_kind kind, const char *on)
{
    struct access_op op = {.what = ACCESS_GRANT, .name = str_of(name)};
    snprintf(op.grant.principal, sizeof op.grant.principal, "%s", principal);
    snprintf(op.grant.on, sizeof op.grant.on, "%s", on);
    op.grant.roles = roles;
    op.grant.kind = kind;
    change(&op);
}

/* ---- clients ---- */

static int16_t handshake(struct client *c, int16_t version, const char *mechanism)
{
    struct kafka_sasl_handshake_request in = {str_of(mechanism)};
    const struct kafka_sasl_handshake_response *out = client_call(c, HANDSHAKE, version, &in);
    assert_int_equal(out->mechanisms_n, 3);
    assert_true(str_is(out->mechanisms[0], "PLAIN"));
    assert_true(str_is(out->mechanisms[1], "SCRAM-SHA-256"));
    assert_true(str_is(out->mechanisms[2], "SCRAM-SHA-512"));
    return out->error_code;
}

static void send_token(struct client *c, int16_t version, struct str token)
{
    struct kafka_sasl_authenticate_request in = {token};
    client_request(c, AUTHENTICATE, version, &in);
}

static const struct kafka_sasl_authenticate_response *take_token(struct client *c, int16_t version)
{
    return client_answer(c, AUTHENTICATE, version);
}

static bool quiet(struct client *c)
{
    int32_t id;
    struct str body;
    return !client_answer_bytes(c, &id, &body);
}

static struct str plain_token(const char *user, const char *password, char out[256])
{
    int n = snprintf(out, 256, "%c%s%c%s", 0, user, 0, password);
    return (struct str){out, (size_t)n};
}

/* The answer to a whole PLAIN exchange; waits out the delay of a refusal. */
static int16_t plain_with(struct client *c, int16_t version, const char *user, const char *password)
{
    char text[256];
    assert_int_equal(handshake(c, 1, "PLAIN"), 0);
    send_token(c, version, plain_token(user, password, text));
    fake_advance(&f.rig.world, SASL_FAILURE_DELAY_MS);
    front_run(&f);
    return take_token(c, version)->error_code;
}

static int16_t plain(struct client *c, const char *user, const char *password)
{
    return plain_with(c, 2, user, password);
}

/* 0, or Metadata's error of the topic; -2: the connection was closed instead. */
static int metadata(struct client *c)
{
    struct kafka_metadata_request_topic t = {.name = STR_LIT("t")};
    struct kafka_metadata_request in;
    wire_default(&kafka_metadata_request_table, &in);
    in.topics = &t;
    in.topics_n = 1;
    client_request(c, METADATA, 9, &in);
    if (c->gone)
        return -2;
    const struct kafka_metadata_response *out = client_answer(c, METADATA, 9);
    return out->topics[0].error_code;
}

/* ---- SCRAM, from the client's side ---- */

struct scram_client {
    enum verifier_hash hash;
    const char *user, *password;
    char auth[2048], first[256], last[1024], signature[128];
};

static void hmac(enum verifier_hash hash, const void *key, const void *p, size_t n, uint8_t *out)
{
    HMAC(hash == VERIFIER_SHA_256 ? EVP_sha256() : EVP_sha512(), key, (int)verifier_hash_len(hash),
         p, n, out, NULL);
}

static struct str scram_begin(struct scram_client *s)
{
    snprintf(s->first, sizeof s->first, "n,,n=%s,r=clientnonce", s->user);
    return str_of(s->first);
}

static struct str scram_answer(struct scram_client *s, struct str challenge)
{
    char nonce[256], salt_text[128], proof[128];
    uint8_t salt[64], salted[64], key[64], stored[64], sig[64];
    size_t n = verifier_hash_len(s->hash), salt_len;
    int iterations;
    char text[512];
    const EVP_MD *md = s->hash == VERIFIER_SHA_256 ? EVP_sha256() : EVP_sha512();
    assert_true(str_copy(text, sizeof text, challenge));
    assert_int_equal(sscanf(text, "r=%255[^,],s=%127[^,],i=%d", nonce, salt_text, &iterations), 3);
    assert_int_equal(strncmp(nonce, "clientnonce", 11), 0);
    assert_true(base64_decode(str_of(salt_text), salt, sizeof salt, &salt_len));
    PKCS5_PBKDF2_HMAC(s->password, (int)strlen(s->password), salt, (int)salt_len, iterations, md,
                      (int)n, salted);
    hmac(s->hash, salted, "Client Key", 10, key);
    EVP_Digest(key, n, stored, NULL, md, NULL);
    snprintf(s->auth, sizeof s->auth, "%s,%s,c=biws,r=%s", s->first + 3, text, nonce);
    hmac(s->hash, stored, s->auth, strlen(s->auth), sig);
    for (size_t i = 0; i < n; i++)
        key[i] ^= sig[i];
    base64_encode(proof, key, n);
    snprintf(s->last, sizeof s->last, "c=biws,r=%s,p=%s", nonce, proof);
    hmac(s->hash, salted, "Server Key", 10, key);
    hmac(s->hash, key, s->auth, strlen(s->auth), sig);
    snprintf(s->signature, sizeof s->signature, "v=");
    base64_encode(s->signature + 2, sig, n);
    return str_of(s->last);
}

static int16_t scram(struct client *c, enum verifier_hash hash, const char *user,
                     const char *password)
{
    struct scram_client s = {.hash = hash, .user = user, .password = password};
    assert_int_equal(handshake(c, 1, scram_mechanism(hash)), 0);
    send_token(c, 1, scram_begin(&s));
    const struct kafka_sasl_authenticate_response *out = take_token(c, 1);
    assert_int_equal(out->error_code, 0);
    send_token(c, 1, scram_answer(&s, out->auth_bytes));
    fake_advance(&f.rig.world, SASL_FAILURE_DELAY_MS);
    front_run(&f);
    out = take_token(c, 1);
    if (out->error_code == 0)
        assert_true(str_is(out->auth_bytes, s.signature));
    return out->error_code;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void nothing_is_served_before(void **state)
{
    struct kafka_api_versions_request in;
    (void)state;
    make_user("alice", "secret");
    struct client *c = client_open(&f, 0);
    wire_default(&kafka_api_versions_request_table, &in);
    in.client_software_name = in.client_software_version = STR_LIT("x");
    assert_int_equal(
        ((const struct kafka_api_versions_response *)client_call(c, API_VERSIONS, 3, &in))
            ->error_code,
        0);
    assert_int_equal(metadata(c), -2);
    client_free(c);
    c = client_open(&f, 0);
    assert_int_equal(handshake(c, 1, "PLAIN"), 0);
    assert_int_equal(metadata(c), -2);
}

static void passwords_open(void **state)
{
    (void)state;
    make_user("alice", "secret");
    struct client *c = client_open(&f, 0);
    assert_int_equal(plain(c, "alice", "secret"), 0);
    assert_int_equal(metadata(c), 0);
    c = client_open(&f, 0);
    assert_int_equal(scram(c, VERIFIER_SHA_256, "alice", "secret"), 0);
    assert_int_equal(metadata(c), 0);
    c = client_open(&f, 0);
    assert_int_equal(scram(c, VERIFIER_SHA_512, "alice", "secret"), 0);
    assert_int_equal(metadata(c), 0);
}

static void wrong_ones_do_not(void **state)
{
    static const char *const tries[][2] = {
        {"alice", "Secret"}, {"bob", "secret"}, {"alice", "secret "}, {"ANONYMOUS", "x"}};
    (void)state;
    make_user("alice", "secret");
    for (size_t i = 0; i < 4; i++) {
        struct client *c = client_open(&f, 0);
        assert_int_equal(plain(c, tries[i][0], tries[i][1]), 58);
        assert_true(c->gone);
        client_free(c);
        for (int hash = 1; hash <= 2; hash++) {
            c = client_open(&f, 0);
            assert_int_equal(scram(c, (enum verifier_hash)hash, tries[i][0], tries[i][1]), 58);
            assert_true(c->gone);
            client_free(c);
        }
    }
}

/* A refusal is not told at once, and not lost when the client does not wait for it. */
static void refusals_are_delayed(void **state)
{
    char text[256];
    (void)state;
    make_user("alice", "secret");
    struct client *c = client_open(&f, 0);
    assert_int_equal(handshake(c, 1, "PLAIN"), 0);
    send_token(c, 2, plain_token("alice", "wrong", text));
    fake_advance(&f.rig.world, SASL_FAILURE_DELAY_MS - 1);
    front_run(&f);
    assert_true(quiet(c));
    assert_false(c->gone);
    fake_advance(&f.rig.world, 1);
    front_run(&f);
    assert_int_equal(take_token(c, 2)->error_code, 58);
    assert_true(c->gone);
    c = client_open(&f, 0);
    assert_int_equal(handshake(c, 1, "PLAIN"), 0);
    send_token(c, 2, plain_token("alice", "wrong", text));
    client_break(c);
    assert_int_equal(front_stats(&f).connections, 0);
    c = client_open(&f, 0);
    assert_int_equal(handshake(c, 1, "PLAIN"), 0);
    send_token(c, 2, plain_token("alice", "wrong", text));
    kafka_front_drain(f.kafka, 0, false);
    front_run(&f);
    assert_true(c->gone);
}

static void states_are_kept(void **state)
{
    char text[256];
    (void)state;
    make_user("alice", "secret");
    struct client *c = client_open(&f, 0);
    send_token(c, 1, plain_token("alice", "secret", text));
    assert_int_equal(take_token(c, 1)->error_code, 34);
    assert_int_equal(handshake(c, 1, "OAUTHBEARER"), 33);
    assert_int_equal(handshake(c, 1, "GSSAPI"), 33);
    send_token(c, 1, plain_token("alice", "secret", text));
    assert_int_equal(take_token(c, 1)->error_code, 34);
    assert_int_equal(plain(c, "alice", "secret"), 0);
    assert_int_equal(handshake(c, 0, "PLAIN"), 34); /* the old way is for the first time only */
    send_token(c, 1, plain_token("alice", "secret", text));
    assert_int_equal(take_token(c, 1)->error_code, 34);
}

static void send_raw(struct client *c, struct str token)
{
    char frame[600];
    be32_put(frame, (uint32_t)token.len);
    memcpy(frame + 4, token.at, token.len);
    client_send(c, frame, token.len + 4);
}

static struct str take_raw(struct client *c)
{
    assert_true(c->got.len - c->taken >= 4);
    const uint8_t *p = c->got.buf->data + c->taken;
    struct str token = {(const char *)p + 4, be32_get(p)};
    assert_true(c->got.len - c->taken >= 4 + token.len);
    c->taken += 4 + token.len;
    return token;
}

/* SaslHandshake v0, then tokens without headers, as kafka-python 2.0.2. */
static void raw_tokens(void **state)
{
    char text[256];
    (void)state;
    make_user("alice", "secret");
    struct client *c = client_open(&f, 0);
    assert_int_equal(handshake(c, 0, "PLAIN"), 0);
    send_raw(c, plain_token("alice", "secret", text));
    assert_int_equal(take_raw(c).len, 0);
    assert_int_equal(metadata(c), 0);

    c = client_open(&f, 0);
    struct scram_client s = {.hash = VERIFIER_SHA_512, .user = "alice", .password = "secret"};
    assert_int_equal(handshake(c, 0, "SCRAM-SHA-512"), 0);
    send_raw(c, scram_begin(&s));
    send_raw(c, scram_answer(&s, take_raw(c)));
    assert_true(str_is(take_raw(c), s.signature));
    assert_int_equal(metadata(c), 0);

    c = client_open(&f, 0);
    assert_int_equal(handshake(c, 0, "PLAIN"), 0);
    send_raw(c, plain_token("alice", "wrong", text));
    fake_advance(&f.rig.world, SASL_FAILURE_DELAY_MS);
    front_run(&f);
    assert_true(c->gone);
    assert_int_equal(c->got.len, c->taken); /* closed without a word, as in Kafka */
}

static void before_it_frames_are_small(void **state)
{
    uint8_t head[4];
    (void)state;
    struct client *c = client_open(&f, 0);
    be32_put(head, KAFKA_UNKNOWN_FRAME_MAX + 1);
    client_send(c, head, 4);
    assert_true(c->gone);
    c = client_open(&f, 0);
    be32_put(head, KAFKA_UNKNOWN_FRAME_MAX);
    client_send(c, head, 4);
    assert_false(c->gone);
    client_break(c);
    make_user("alice", "secret");
    c = client_open(&f, 0);
    assert_int_equal(plain(c, "alice", "secret"), 0);
    be32_put(head, KAFKA_UNKNOWN_FRAME_MAX + 1);
    client_send(c, head, 4);
    assert_false(c->gone);
}

static void before_it_time_is_short(void **state)
{
    (void)state;
    make_user("alice", "secret");
    struct client *slow = client_open(&f, 0), *c = client_open(&f, 0);
    assert_int_equal(plain(c, "alice", "secret"), 0);
    fake_advance(&f.rig.world, KAFKA_UNKNOWN_MS);
    front_run(&f);
    assert_true(slow->gone);
    assert_false(c->gone);
}

/* Any credential will do where none is needed; a known user's must be right even there. */
static void listeners_for_everybody(void **state)
{
    (void)state;
    f.listener = NULL;
    struct client *c = client_open(&f, 0);
    assert_int_equal(metadata(c), 0);
    assert_int_equal(plain(c, "whoever", "whatever"), 0);
    assert_int_equal(metadata(c), 0);
    make_user("alice", "secret");
    make_grant("g", "User:alice", ACCESS_RECEIVER, ACCESS_TOPIC, "t");
    make_grant("root", "User:alice", ACCESS_OWNER, ACCESS_CLUSTER, "");
    assert_int_equal(metadata(c), 29);
    client_free(c);
    c = client_open(&f, 0);
    assert_int_equal(metadata(c), 29);
    assert_int_equal(plain(c, "alice", "secret"), 0);
    assert_int_equal(metadata(c), 0);
    c = client_open(&f, 0);
    assert_int_equal(plain(c, "alice", "wrong"), 58);
}

static void certificates_open_too(void **state)
{
    (void)state;
    make_user("alice", "secret");
    make_grant("g", "User:CN=bob,O=acme", ACCESS_RECEIVER, ACCESS_TOPIC, "t");
    make_grant("root", "User:alice", ACCESS_OWNER, ACCESS_CLUSTER, "");
    struct client *c = client_open(&f, 0);
    c->pipe.identity = "User:CN=bob,O=acme";
    assert_int_equal(metadata(c), 0);
    c = client_open(&f, 0);
    c->pipe.identity = "User:CN=eve,O=acme";
    assert_int_equal(metadata(c), 29);
    assert_int_equal(plain(c, "alice", "secret"), 0); /* SASL over it says who it is */
    assert_int_equal(metadata(c), 0);
}

static void sessions_run_out(void **state)
{
    (void)state;
    make_user("alice", "secret");
    make_user("bob", "secret");
    with_session(60000);
    struct client *c = client_open(&f, 0);
    char text[256];
    assert_int_equal(handshake(c, 1, "PLAIN"), 0);
    send_token(c, 1, plain_token("alice", "secret", text));
    assert_int_equal(take_token(c, 1)->session_lifetime_ms, 60000);
    fake_advance(&f.rig.world, 50000);
    assert_int_equal(metadata(c), 0);
    assert_int_equal(plain(c, "alice", "secret"), 0); /* again, in time */
    fake_advance(&f.rig.world, 50000);
    assert_int_equal(metadata(c), 0);
    assert_int_equal(scram(c, VERIFIER_SHA_256, "alice", "secret"), 0);
    fake_advance(&f.rig.world, 60001);
    assert_int_equal(metadata(c), -2);

    c = client_open(&f, 0);
    assert_int_equal(plain(c, "alice", "secret"), 0);
    fake_advance(&f.rig.world, 60001); /* even now it may authenticate */
    assert_int_equal(plain(c, "alice", "secret"), 0);
    assert_int_equal(metadata(c), 0);
    assert_int_equal(plain(c, "bob", "secret"), 58); /* but not become another */
    assert_true(c->gone);
}

/* A request that came in time is served, however long it waits behind another. */
static void requests_that_came_in_time_are_served(void **state)
{
    struct kafka_fetch_request_topic_partition p;
    struct kafka_fetch_request_topic t = {
        .topic = STR_LIT("t"), .partitions = &p, .partitions_n = 1};
    struct kafka_fetch_request fetch;
    struct kafka_metadata_request metadata_in;
    (void)state;
    make_user("alice", "secret");
    with_session(60000);
    struct client *c = client_open(&f, 0);
    assert_int_equal(plain(c, "alice", "secret"), 0);
    wire_default(&kafka_fetch_request_topic_partition_table, &p);
    wire_default(&kafka_fetch_request_table, &fetch);
    p.partition_max_bytes = 1 << 20;
    fetch.max_wait_ms = 70000;
    fetch.min_bytes = 1;
    fetch.topics = &t;
    fetch.topics_n = 1;
    client_request(c, FETCH, 11, &fetch);
    wire_default(&kafka_metadata_request_table, &metadata_in);
    metadata_in.topics_n = -1;
    client_request(c, METADATA, 9, &metadata_in);
    int32_t id;
    struct str body;
    fake_advance(&f.rig.world, 70000);
    front_run(&f);
    assert_true(client_answer_bytes(c, &id, &body));
    (void)client_answer(c, METADATA, 9);
    assert_false(c->gone);
    assert_int_equal(metadata(c), -2);
}

/* ---- managing credentials ---- */

static struct kafka_alter_user_scram_request_upsertion upsertion(const char *name, int8_t mechanism,
                                                                 int32_t iterations)
{
    static char bytes[64] = "the salted password";
    return (struct kafka_alter_user_scram_request_upsertion){
        .name = str_of(name),
        .mechanism = mechanism,
        .iterations = iterations,
        .salt = STR_LIT("salt"),
        .salted_password = {bytes, mechanism == 2 ? 64 : 32}};
}

static int16_t code_of(const struct kafka_alter_user_scram_response *out, const char *user)
{
    for (int32_t i = 0; i < out->results_n; i++) {
        if (str_is(out->results[i].user, user)) {
            assert_int_equal(out->results[i].error_code != 0,
                             out->results[i].error_message.at != NULL);
            return out->results[i].error_code;
        }
    }
    fail();
    return -1;
}

static void credentials_are_altered_and_described(void **state)
{
    (void)state;
    f.listener = NULL;
    struct client *c = client_open(&f, 0);
    struct kafka_alter_user_scram_request_upsertion up[] = {
        upsertion("alice", 1, 8192), upsertion("alice", 2, 4096), upsertion("bob", 1, 4096),
        upsertion("few", 1, 4095),   upsertion("many", 1, 16385), upsertion("what", 3, 4096),
        upsertion("twice", 1, 4096), upsertion("twice", 1, 5000), upsertion("short", 2, 4096),
        upsertion("", 1, 4096)};
    up[8].salted_password.len = 32;
    struct kafka_alter_user_scram_request_deletion down[] = {{STR_LIT("nobody"), 1},
                                                             {STR_LIT("bob"), 1}};
    struct kafka_alter_user_scram_request in = {
        .deletions = down, .deletions_n = 1, .upsertions = up, .upsertions_n = 10};
    const struct kafka_alter_user_scram_response *out = client_call(c, ALTER_SCRAM, 0, &in);
    assert_int_equal(out->results_n, 9);
    assert_int_equal(code_of(out, "alice"), 0);
    assert_int_equal(code_of(out, "bob"), 0);
    assert_int_equal(code_of(out, "few"), 93);
    assert_int_equal(code_of(out, "many"), 93);
    assert_int_equal(code_of(out, "what"), 33);
    assert_int_equal(code_of(out, "twice"), 92);
    assert_int_equal(code_of(out, "short"), 93);
    assert_int_equal(code_of(out, "nobody"), 91);
    assert_true(code_of(out, "") != 0);

    struct kafka_describe_user_scram_request all = {NULL, -1};
    const struct kafka_describe_user_scram_response *d = client_call(c, DESCRIBE_SCRAM, 0, &all);
    assert_int_equal(d->error_code, 0);
    assert_int_equal(d->results_n, 2);
    assert_true(str_is(d->results[0].user, "alice"));
    assert_int_equal(d->results[0].credential_infos_n, 2);
    assert_int_equal(d->results[0].credential_infos[0].mechanism, 1);
    assert_int_equal(d->results[0].credential_infos[0].iterations, 8192);
    assert_int_equal(d->results[0].credential_infos[1].iterations, 4096);
    assert_int_equal(d->results[1].credential_infos_n, 1);

    in.deletions = down + 1;
    in.upsertions_n = 0;
    out = client_call(c, ALTER_SCRAM, 0, &in);
    assert_int_equal(code_of(out, "bob"), 0);
    struct kafka_describe_user_scram_request_user names[] = {
        {STR_LIT("bob")}, {STR_LIT("alice")}, {STR_LIT("eve")}, {STR_LIT("eve")}};
    struct kafka_describe_user_scram_request some = {names, 4};
    d = client_call(c, DESCRIBE_SCRAM, 0, &some);
    assert_int_equal(d->results_n, 4);
    assert_int_equal(d->results[0].error_code, 91);
    assert_int_equal(d->results[1].error_code, 0);
    assert_int_equal(d->results[2].error_code, 92);
}

static void only_owners_manage_credentials(void **state)
{
    (void)state;
    make_user("alice", "secret");
    make_user("bob", "secret");
    make_grant("root", "User:alice", ACCESS_OWNER, ACCESS_CLUSTER, "");
    struct kafka_alter_user_scram_request_upsertion up = upsertion("bob", 1, 4096);
    struct kafka_alter_user_scram_request in = {.upsertions = &up, .upsertions_n = 1};
    struct kafka_describe_user_scram_request all = {NULL, -1};
    for (int owner = 0; owner < 2; owner++) {
        struct client *c = client_open(&f, 0);
        assert_int_equal(plain(c, owner ? "alice" : "bob", "secret"), 0);
        const struct kafka_alter_user_scram_response *out = client_call(c, ALTER_SCRAM, 0, &in);
        assert_int_equal(code_of(out, "bob"), owner ? 0 : 31);
        const struct kafka_describe_user_scram_response *d =
            client_call(c, DESCRIBE_SCRAM, 0, &all);
        assert_int_equal(d->error_code, owner ? 0 : 31);
        assert_int_equal(d->results_n, owner ? 2 : 0);
    }
    struct client *c = client_open(&f, 0);
    assert_int_equal(plain(c, "bob", "secret"), 0); /* the SHA-512 one is as it was */
}

/* What a request may and what it shows follows from who asks. */
static void metadata_shows_what_one_may_see(void **state)
{
    (void)state;
    front_topic(&f, "other", 1, 0);
    make_user("alice", "secret");
    make_user("bob", "secret");
    make_grant("root", "User:alice", ACCESS_OWNER, ACCESS_CLUSTER, "");
    make_grant("t", "User:alice", ACCESS_OWNER, ACCESS_TOPIC, "t");
    struct client *c = client_open(&f, 0);
    assert_int_equal(plain(c, "bob", "secret"), 0);
    assert_int_equal(metadata(c), 29);
    struct kafka_metadata_request in;
    wire_default(&kafka_metadata_request_table, &in);
    in.topics_n = -1;
    in.include_topic_authorized_operations = true;
    in.include_cluster_authorized_operations = true;
    const struct kafka_metadata_response *out = client_call(c, METADATA, 9, &in);
    assert_int_equal(out->topics_n, 1); /* nor the internal ones */
    assert_true(str_is(out->topics[0].name, "other"));
    assert_int_equal(out->topics[0].topic_authorized_operations, 0x0518);
    assert_int_equal(out->cluster_authorized_operations, 0x1100);
    struct kafka_metadata_request_topic missing = {.name = STR_LIT("new")};
    in.topics = &missing;
    in.topics_n = 1;
    in.allow_auto_topic_creation = true;
    out = client_call(c, METADATA, 9, &in);
    assert_int_equal(out->topics[0].error_code, 29); /* he may not create it */
    assert_null(rig_topic(&f.rig, 0, "new"));
}

static int16_t list_offsets(struct client *c, const char *topic, int32_t partition)
{
    struct kafka_list_offsets_request_topic_partition p = {
        .partition_index = partition, .current_leader_epoch = -1, .timestamp = LIST_LATEST};
    struct kafka_list_offsets_request_topic t = {
        .name = str_of(topic), .partitions = &p, .partitions_n = 1};
    struct kafka_list_offsets_request in;
    wire_default(&kafka_list_offsets_request_table, &in);
    in.topics = &t;
    in.topics_n = 1;
    const struct kafka_list_offsets_response *out = client_call(c, LIST_OFFSETS, 5, &in);
    return out->topics[0].partitions[0].error_code;
}

/* Who may not see a topic is not told by the error whether it exists. */
static void what_is_hidden_might_not_exist(void **state)
{
    (void)state;
    make_user("alice", "secret");
    make_user("bob", "secret");
    make_grant("root", "User:alice", ACCESS_OWNER, ACCESS_CLUSTER, "");
    make_grant("t", "User:alice", ACCESS_OWNER, ACCESS_TOPIC, "t");
    make_grant("u", "User:alice", ACCESS_OWNER, ACCESS_TOPIC, "nowhere");
    struct client *c = client_open(&f, 0);
    assert_int_equal(plain(c, "bob", "secret"), 0);
    assert_int_equal(list_offsets(c, "t", 0), 29);
    assert_int_equal(list_offsets(c, "t", 7), 29);
    assert_int_equal(list_offsets(c, "nowhere", 0), 29);
    assert_int_equal(list_offsets(c, "open-to-all", 0), 3);
    struct slice batch = rig_batch(1, 1000);
    struct slice frame = frame_produce(&f, 7, 77, "nowhere", 0, 1, batch);
    c->correlation_id = 77;
    client_send(c, frame.at, frame.len);
    slice_unref(frame);
    assert_int_equal(
        only_produced((const struct kafka_produce_response *)client_answer(c, 0, 7))->error_code,
        29);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_served_before),
        TEST(passwords_open),
        TEST(wrong_ones_do_not),
        TEST(refusals_are_delayed),
        TEST(states_are_kept),
        TEST(raw_tokens),
        TEST(before_it_frames_are_small),
        TEST(before_it_time_is_short),
        TEST(listeners_for_everybody),
        TEST(certificates_open_too),
        TEST(sessions_run_out),
        TEST(requests_that_came_in_time_are_served),
        TEST(credentials_are_altered_and_described),
        TEST(only_owners_manage_credentials),
        TEST(metadata_shows_what_one_may_see),
        TEST(what_is_hidden_might_not_exist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
