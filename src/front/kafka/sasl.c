#include "front/kafka/sasl.h"

#include "auth/password.h"
#include "base/few.h"
#include "base/mem.h"
#include "base/secret.h"
#include "broker/access.h"
#include "front/kafka/verbs.h"

#include <stdio.h>
#include <string.h>

#define API_SASL_HANDSHAKE 17
#define API_VERSIONS 18
#define API_SASL_AUTHENTICATE 36

enum sasl_mechanism { SASL_PLAIN, SASL_SCRAM_SHA_256, SASL_SCRAM_SHA_512, SASL_MECHANISMS };
static const char *const mechanisms[] = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"};

/* One exchange, from the handshake to its end. */
struct kafka_sasl {
    struct kafka_conn *conn;
    enum sasl_mechanism mechanism;
    bool raw;       /* tokens are frames of their own */
    bool scram_met; /* the client's first message was taken */
    bool exists;    /* PLAIN: there is such a user */
    char user[SCRAM_USER_MAX + 1];
    struct scram_server scram;
    struct password_check check;
    struct list link;         /* in checks_waiting */
    struct kafka_request *rq; /* whose answer waits for the check, or for the delay */
    struct env_timer delay;
};

static struct env *env_of(const struct kafka_conn *conn)
{
    return broker_env(conn->broker);
}

/* ---- the connection ------------------------------------------------------------------------- */

static void deadline_fire(struct env_timer *timer)
{
    struct kafka_conn *conn = container_of(timer, struct kafka_conn, unknown_until);
    if (!conn->known)
        kafka_conn_refuse(conn, "no authentication in time");
}

void kafka_sasl_open(struct kafka_conn *conn)
{
    conn->principal = ACCESS_ANONYMOUS;
    conn->known = !conn->listener->authenticate;
    conn->unknown_until.fire = deadline_fire;
    if (!conn->known)
        env_timer_set(env_of(conn), &conn->unknown_until, KAFKA_UNKNOWN_MS * UINT64_C(1000));
}

static void sasl_end(struct kafka_conn *conn)
{
    struct kafka_sasl *sasl = conn->sasl;
    if (!sasl)
        return;
    env_timer_stop(env_of(conn), &sasl->delay);
    list_remove(&sasl->link);
    scram_server_free(&sasl->scram);
    secret_clear(sasl, sizeof *sasl);
    mem_free(sasl);
    conn->sasl = NULL;
}

void kafka_sasl_close(struct kafka_conn *conn)
{
    env_timer_stop(env_of(conn), &conn->unknown_until);
    sasl_end(conn);
    mem_free(conn->own_principal);
}

static void become(struct kafka_conn *conn, const char *principal)
{
    mem_free(conn->own_principal);
    conn->own_principal = mem_strdup(principal);
    conn->principal = conn->own_principal;
    conn->known = true;
    env_timer_stop(env_of(conn), &conn->unknown_until);
}

void kafka_sasl_identify(struct kafka_conn *conn)
{
    if (!conn->own_principal && conn->pipe->identity)
        become(conn, conn->pipe->identity);
}

bool kafka_sasl_expired(const struct kafka_conn *conn)
{
    return conn->session_until_us && env_mono_us(env_of(conn)) > conn->session_until_us;
}

bool kafka_sasl_admits(const struct kafka_request *rq, const char **why)
{
    int16_t key = rq->api->key;
    *why = NULL;
    if (key == API_VERSIONS || key == API_SASL_HANDSHAKE || key == API_SASL_AUTHENTICATE)
        return true;
    if (!rq->conn->known)
        *why = "a request before authentication";
    else if (rq->late)
        *why = "the session has run out and the client has not authenticated again";
    return *why == NULL;
}

bool kafka_sasl_raw(const struct kafka_conn *conn)
{
    return conn->sasl && conn->sasl->raw;
}

/* ---- answers -------------------------------------------------------------------------------- */

/* A token is answered with a token: four bytes of length, and it. */
static void respond_raw(struct kafka_request *rq, struct str token)
{
    struct wr w;
    wr_init(&w, token.len + 4);
    wr_u32(&w, 0);
    wr_bytes(&w, token.at, token.len);
    chunkq_add_slice(&rq->out, wr_take(&w));
    kafka_respond_chunks(rq);
}

static void respond(struct kafka_request *rq, enum err err, const char *message, struct str token)
{
    struct kafka_conn *conn = rq->conn;
    struct kafka_sasl_authenticate_response out;
    wire_default(rq->api->response, &out);
    out.error_code = err_kafka(err);
    out.error_message = message ? str_of(message) : (struct str){0};
    out.auth_bytes = token;
    if (!err && conn->session_until_us)
        out.session_lifetime_ms = conn->front->conf.sasl_session_ms;
    kafka_respond(rq, &out);
}

static void answer_token(struct kafka_request *rq, bool raw, struct wr *token)
{
    struct str text = {token->buf ? (const char *)token->buf->data : "", token->len};
    if (raw)
        respond_raw(rq, text);
    else
        respond(rq, ERR_OK, NULL, text);
    wr_free(token);
}

/* ---- the end of an exchange ----------------------------------------------------------------- */

static void log_failure(const struct kafka_sasl *sasl, const char *why)
{
    struct kafka_conn *conn = sasl->conn;
    struct env *env = env_of(conn);
    char user[64];
    uint32_t left;
    bool logged = few_take(&kafka_reactor_of(conn)->failures, env_mono_us(env),
                           SASL_FAILURES_LOGGED_MAX, &left);
    if (left)
        env_log(env, ENV_WARN, "sasl.failed", "more=%u", left);
    if (!logged)
        return;
    str_put_plain(user, sizeof user, str_of(sasl->user));
    env_log(env, ENV_WARN, "sasl.failed", "peer=%s mechanism=%s user=\"%s\" why=\"%s\"", conn->peer,
            mechanisms[sasl->mechanism], user, why);
}

static void answer_failure(struct kafka_request *rq)
{
    struct kafka_sasl *sasl = rq->conn->sasl;
    char text[128];
    bool raw = sasl->raw;
    snprintf(text, sizeof text, "Authentication failed: invalid credentials with mechanism %s",
             mechanisms[sasl->mechanism]);
    sasl_end(rq->conn);
    rq->cancel = NULL;
    if (raw) {
        kafka_respond_close(rq, "authentication failed");
        return;
    }
    kafka_conn_finish(rq->conn, "authentication failed");
    respond(rq, ERR_AUTH_FAILED, text, STR_LIT(""));
}

static void delay_fire(struct env_timer *timer)
{
    answer_failure(container_of(timer, struct kafka_sasl, delay)->rq);
}

/* Who guesses waits for each answer, on a fresh connection each time. */
static void sasl_failed(struct kafka_request *rq, const char *why)
{
    struct kafka_sasl *sasl = rq->conn->sasl;
    log_failure(sasl, why);
    sasl->rq = rq;
    sasl->delay.fire = delay_fire;
    rq->cancel = answer_failure;
    env_timer_set(env_of(rq->conn), &sasl->delay, SASL_FAILURE_DELAY_MS * UINT64_C(1000));
}

/* user NULL: the anonymous one. */
static void sasl_done(struct kafka_request *rq, const char *user, struct wr *token)
{
    struct kafka_conn *conn = rq->conn;
    char principal[ACCESS_PRINCIPAL_MAX + 1] = ACCESS_ANONYMOUS;
    bool raw = conn->sasl->raw;
    if (user)
        snprintf(principal, sizeof principal, "User:%s", user);
    if (conn->authenticated && strcmp(principal, conn->principal) != 0) {
        wr_free(token);
        sasl_failed(rq, "another principal than before");
        return;
    }
    if (!conn->authenticated)
        become(conn, principal);
    conn->authenticated = true;
    uint64_t session_ms = (uint64_t)conn->front->conf.sasl_session_ms;
    conn->session_until_us = session_ms ? env_mono_us(env_of(conn)) + session_ms * 1000 : 0;
    sasl_end(conn);
    answer_token(rq, raw, token);
}

/* ---- PLAIN ---------------------------------------------------------------------------------- */

static void check_start(struct kafka_sasl *sasl)
{
    struct kafka_reactor *r = kafka_reactor_of(sasl->conn);
    if (r->checks >= SASL_CHECKS_MAX) {
        list_push(&r->checks_waiting, &sasl->link);
        sasl->rq->cancel = answer_failure;
        return;
    }
    r->checks++;
    sasl->rq->cancel = NULL;
    password_check_start(env_of(sasl->conn), sasl->conn->front->conf.password_threads,
                         &sasl->check);
}

static void check_ended(struct kafka_reactor *r)
{
    r->checks--;
    struct list *next = list_pop(&r->checks_waiting);
    if (next)
        check_start(container_of(next, struct kafka_sasl, link));
}

static void password_checked(struct password_check *check)
{
    struct kafka_sasl *sasl = container_of(check, struct kafka_sasl, check);
    struct kafka_request *rq = sasl->rq;
    struct wr nothing;
    char user[SCRAM_USER_MAX + 1];
    check_ended(kafka_reactor_of(sasl->conn));
    if (!check->ok || !sasl->exists) {
        sasl_failed(rq, "wrong password or unknown user");
        return;
    }
    memcpy(user, sasl->user, sizeof user);
    wr_init(&nothing, 0);
    sasl_done(rq, user, &nothing);
}

/* False: there is no such user; then a verifier that nothing matches takes the same time. */
static bool find_verifiers(struct kafka_sasl *sasl)
{
    struct kafka_conn *conn = sasl->conn;
    const struct access_item *item = access_find(conn->broker, ACCESS_USER, str_of(sasl->user));
    sasl->exists = item != NULL;
    if (item)
        memcpy(sasl->check.verifiers, item->user.verifiers, sizeof sasl->check.verifiers);
    else
        verifier_imagine(&sasl->check.verifiers[0], VERIFIER_SHA_256, str_of(sasl->user),
                         conn->front->sasl_secret);
    return sasl->exists;
}

static void plain_take(struct kafka_request *rq, struct str token)
{
    struct kafka_conn *conn = rq->conn;
    struct kafka_sasl *sasl = conn->sasl;
    struct sasl_plain m;
    if (sasl_plain_read(token, &m)) {
        sasl_failed(rq, "not a message of PLAIN");
        return;
    }
    (void)str_copy(sasl->user, sizeof sasl->user, m.user);
    if (!find_verifiers(sasl) && !conn->listener->authenticate) {
        struct wr nothing;
        wr_init(&nothing, 0);
        sasl_done(rq, NULL, &nothing);
        return;
    }
    memcpy(sasl->check.password, m.password.at, m.password.len);
    sasl->check.password_len = m.password.len;
    sasl->check.done = password_checked;
    sasl->rq = rq;
    check_start(sasl);
}

/* ---- SCRAM ---------------------------------------------------------------------------------- */

static void scram_first(struct kafka_request *rq, struct str token)
{
    struct kafka_conn *conn = rq->conn;
    struct kafka_sasl *sasl = conn->sasl;
    enum verifier_hash hash =
        sasl->mechanism == SASL_SCRAM_SHA_256 ? VERIFIER_SHA_256 : VERIFIER_SHA_512;
    if (scram_take_first(&sasl->scram, hash, token)) {
        sasl_failed(rq, "not a first message of SCRAM");
        return;
    }
    (void)str_copy(sasl->user, sizeof sasl->user, str_of(sasl->scram.user));
    const struct access_item *item = access_find(conn->broker, ACCESS_USER, str_of(sasl->user));
    const struct verifier *v = item ? &item->user.verifiers[hash - 1] : NULL;
    uint8_t random[SCRAM_NONCE_BYTES];
    struct wr out;
    env_random(env_of(conn), random, sizeof random);
    wr_init(&out, 128);
    scram_put_first(&sasl->scram, v && v->iterations ? v : NULL, random, conn->front->sasl_secret,
                    &out);
    sasl->scram_met = true;
    answer_token(rq, sasl->raw, &out);
}

static void scram_final(struct kafka_request *rq, struct str token)
{
    struct kafka_sasl *sasl = rq->conn->sasl;
    struct wr out;
    char user[SCRAM_USER_MAX + 1];
    wr_init(&out, 128);
    if (scram_take_final(&sasl->scram, token, &out)) {
        wr_free(&out);
        sasl_failed(rq, "wrong password or unknown user");
        return;
    }
    memcpy(user, sasl->user, sizeof user);
    sasl_done(rq, user, &out);
}

/* ---- requests ------------------------------------------------------------------------------- */

static void take(struct kafka_request *rq, struct str token)
{
    const struct kafka_sasl *sasl = rq->conn->sasl;
    if (sasl->mechanism == SASL_PLAIN)
        plain_take(rq, token);
    else if (!sasl->scram_met)
        scram_first(rq, token);
    else
        scram_final(rq, token);
}

void kafka_sasl_raw_run(struct kafka_request *rq)
{
    take(rq, (struct str){(const char *)rq->frame.at, rq->frame.len});
}

void kafka_sasl_authenticate_run(struct kafka_request *rq)
{
    const struct kafka_sasl_authenticate_request *in = rq->in;
    if (!rq->conn->sasl)
        respond(rq, ERR_SASL_STATE, "SaslHandshake comes first", STR_LIT(""));
    else
        take(rq, in->auth_bytes);
}

static enum err handshake(struct kafka_request *rq, struct str mechanism)
{
    struct kafka_conn *conn = rq->conn;
    unsigned m = 0;
    while (m < SASL_MECHANISMS && !str_is(mechanism, mechanisms[m]))
        m++;
    if (m == SASL_MECHANISMS)
        return ERR_SASL_MECHANISM;
    if (rq->version == 0 && conn->authenticated)
        return ERR_SASL_STATE; /* KIP-368: to authenticate again takes SaslAuthenticate */
    sasl_end(conn);
    conn->sasl = mem_zalloc(1, sizeof *conn->sasl);
    conn->sasl->conn = conn;
    list_init(&conn->sasl->link);
    conn->sasl->mechanism = m;
    conn->sasl->raw = rq->version == 0;
    return ERR_OK;
}

void kafka_sasl_handshake_run(struct kafka_request *rq)
{
    const struct kafka_sasl_handshake_request *in = rq->in;
    struct kafka_sasl_handshake_response out;
    struct str names[SASL_MECHANISMS];
    wire_default(rq->api->response, &out);
    for (unsigned i = 0; i < SASL_MECHANISMS; i++)
        names[i] = str_of(mechanisms[i]);
    out.error_code = err_kafka(handshake(rq, in->mechanism));
    out.mechanisms = names;
    out.mechanisms_n = SASL_MECHANISMS;
    kafka_respond(rq, &out);
}
