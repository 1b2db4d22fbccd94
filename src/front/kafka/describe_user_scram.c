/* describe_user_scram.c: DescribeUserScramCredentials (KIP-554): which users have a password of
 * which mechanism. Nothing of the password, nor of its verifier. */
#include "front/kafka/conn.h"
#include "front/kafka/verbs.h"

#include "broker/access.h"

#include <stdio.h>

#define USERS_MAX 1000 /* named in one request */
#define RESULT struct kafka_describe_user_scram_response_result

static void fill_user(struct kafka_request *rq, const struct access_item *user, RESULT *out)
{
    out->credential_infos = kafka_alloc(rq, VERIFIER_HASHES, sizeof *out->credential_infos);
    for (int8_t i = 0; out->credential_infos && i < VERIFIER_HASHES; i++) {
        int32_t iterations = user->user.verifiers[i].iterations;
        if (iterations == 0)
            continue;
        out->credential_infos[out->credential_infos_n].mechanism = (int8_t)(i + 1);
        out->credential_infos[out->credential_infos_n++].iterations = iterations;
    }
}

static bool asked_twice(const struct kafka_describe_user_scram_request *in, int32_t i)
{
    for (int32_t k = 0; k < in->users_n; k++) {
        if (k != i && str_eq(in->users[k].name, in->users[i].name))
            return true;
    }
    return false;
}

static void fill_asked(struct kafka_request *rq, int32_t i, RESULT *out)
{
    const struct kafka_describe_user_scram_request *in = rq->in;
    struct str name = in->users[i].name;
    const struct access_item *user = access_find(rq->conn->broker, ACCESS_USER, name);
    char text[128];
    out->user = name;
    if (asked_twice(in, i)) {
        out->error_code = err_kafka(ERR_SCRAM_DUPLICATE);
        out->error_message = str_of("a user is named twice in one request");
    } else if (!user) {
        int n = snprintf(text, sizeof text, "user %.*s does not exist",
                         name.len < 64 ? (int)name.len : 64, name.at);
        out->error_code = err_kafka(ERR_SCRAM_UNKNOWN);
        out->error_message = kafka_keep(rq, (struct str){text, (size_t)n});
    } else {
        fill_user(rq, user, out);
    }
}

static void fill_all(struct kafka_request *rq, struct kafka_describe_user_scram_response *out)
{
    struct broker *b = rq->conn->broker;
    const struct access_item *user = NULL;
    size_t n = 0;
    while ((user = access_next(b, ACCESS_USER, user)))
        n++;
    out->results = kafka_alloc(rq, n, sizeof *out->results);
    while (out->results && (user = access_next(b, ACCESS_USER, user))) {
        RESULT *r = &out->results[out->results_n++];
        r->user = str_of(user->name);
        fill_user(rq, user, r);
    }
}

void kafka_describe_user_scram_run(struct kafka_request *rq)
{
    const struct kafka_describe_user_scram_request *in = rq->in;
    struct kafka_describe_user_scram_response out;
    wire_default(rq->api->response, &out);
    enum err err =
        access_check(rq->conn->broker, &rq->actor, ACCESS_CLUSTER, STR_LIT(""), ACCESS_OWNER);
    if (err) {
        out.error_code = err_kafka(err);
        out.error_message = str_of(err_meaning(err));
    } else if (in->users_n <= 0) {
        fill_all(rq, &out);
    } else if (in->users_n > USERS_MAX) {
        out.error_code = err_kafka(ERR_REQUEST_INVALID);
        out.error_message = str_of("name at most 1000 users, or none for all");
    } else {
        out.results = kafka_alloc(rq, (size_t)in->users_n, sizeof *out.results);
        out.results_n = out.results ? in->users_n : 0;
        for (int32_t i = 0; i < out.results_n; i++)
            fill_asked(rq, i, &out.results[i]);
    }
    kafka_respond(rq, &out);
}
