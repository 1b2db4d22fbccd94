/* alter_user_scram.c: AlterUserScramCredentials (KIP-554). All alterations of one user are one
 * change, done whole or not at all; each user is answered for himself. What the client sends of a
 * password is the result of its rounds, of which a verifier is made here and kept. */
#include "front/kafka/conn.h"
#include "front/kafka/fan.h"
#include "front/kafka/verbs.h"

#include "auth/scram.h"
#include "broker/access.h"

#define ALTERATIONS_MAX 1000 /* in one request */

struct alter {
    struct access_op op;
    struct alter_all *all;
    enum err err; /* why it is not tried */
    const char *why;
    bool touched[VERIFIER_HASHES];
};

struct alter_all {
    struct fan fan;
    struct alter *users;
    int32_t n;
};

static void answer(struct kafka_request *rq)
{
    const struct alter_all *all = rq->state_of_verb;
    struct kafka_alter_user_scram_response out;
    wire_default(rq->api->response, &out);
    out.results = kafka_alloc(rq, (size_t)all->n, sizeof *out.results);
    out.results_n = out.results ? all->n : 0;
    for (int32_t i = 0; i < out.results_n; i++) {
        const struct alter *a = &all->users[i];
        enum err err = a->err ? a->err : a->op.op.err;
        const char *text = a->why ? a->why : a->op.text.s[0] ? a->op.text.s : err_meaning(err);
        out.results[i].user = a->op.name;
        out.results[i].error_code = err_kafka(err);
        out.results[i].error_message = err ? str_of(text) : (struct str){0};
    }
    kafka_respond(rq, &out);
}

static void refuse(struct alter *a, enum err err, const char *why)
{
    if (a->err)
        return;
    a->err = err;
    a->why = why;
}

static struct alter *alter_of(struct alter_all *all, struct str user)
{
    for (int32_t i = 0; i < all->n; i++) {
        if (str_eq(all->users[i].op.name, user))
            return &all->users[i];
    }
    struct alter *a = &all->users[all->n++];
    a->all = all;
    a->op.what = ACCESS_USER;
    a->op.act = ACCESS_CHANGE;
    a->op.name = user;
    return a;
}

/* False: refused. */
static bool touch(struct alter *a, int8_t mechanism)
{
    if (mechanism < 1 || mechanism > VERIFIER_HASHES) {
        refuse(a, ERR_SASL_MECHANISM,
               "the mechanism must be 1 (SCRAM-SHA-256) or 2 (SCRAM-SHA-512)");
    } else if (a->touched[mechanism - 1]) {
        refuse(a, ERR_SCRAM_DUPLICATE, "a credential is altered twice in one request");
    } else {
        a->touched[mechanism - 1] = true;
        return true;
    }
    return false;
}

static void take_deletion(struct alter_all *all,
                          const struct kafka_alter_user_scram_request_deletion *in)
{
    struct alter *a = alter_of(all, in->name);
    if (touch(a, in->mechanism))
        a->op.drop[in->mechanism - 1] = true;
}

static void take_upsertion(struct alter_all *all,
                           const struct kafka_alter_user_scram_request_upsertion *in)
{
    struct alter *a = alter_of(all, in->name);
    if (!touch(a, in->mechanism))
        return;
    if (in->iterations < VERIFIER_ITERATIONS_MIN || in->iterations > VERIFIER_ITERATIONS_MAX) {
        refuse(a, ERR_SCRAM_INVALID, "iterations must be between 4096 and 16384");
        return;
    }
    if (!verifier_from_salted(&a->op.verifiers[in->mechanism - 1],
                              (enum verifier_hash)in->mechanism, in->salt, in->iterations,
                              in->salted_password))
        refuse(a, ERR_SCRAM_INVALID,
               "the salted password must have the length of the mechanism's hash, and the salt at "
               "most 64 bytes");
}

static void altered(struct op *op)
{
    struct alter *a = container_of(op, struct alter, op.op);
    access_unref(a->op.item);
    fan_done(&a->all->fan);
}

void kafka_alter_user_scram_run(struct kafka_request *rq)
{
    const struct kafka_alter_user_scram_request *in = rq->in;
    struct alter_all *all = kafka_alloc(rq, 1, sizeof *all);
    size_t most = (size_t)in->deletions_n + (size_t)in->upsertions_n;
    struct alter *users = kafka_alloc(rq, most, sizeof *users);
    if (!all || !users || most > ALTERATIONS_MAX) {
        kafka_respond_close(rq, "an AlterUserScramCredentials of too many users");
        return;
    }
    all->users = users;
    rq->state_of_verb = all;
    fan_begin(&all->fan, rq, answer);
    for (int32_t i = 0; i < in->deletions_n; i++)
        take_deletion(all, &in->deletions[i]);
    for (int32_t i = 0; i < in->upsertions_n; i++)
        take_upsertion(all, &in->upsertions[i]);
    for (int32_t i = 0; i < all->n; i++) {
        struct alter *a = &all->users[i];
        if (a->err)
            continue;
        a->op.actor = &rq->actor;
        a->op.op.done = altered;
        fan_add(&all->fan);
        broker_access_change(rq->conn->broker, &a->op);
    }
    fan_done(&all->fan);
}
