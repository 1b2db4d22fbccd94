/* find_coordinator.c: FindCoordinator (KIP-699 from version 4): this broker coordinates everything.
 * Key types: 0 group; 1 transaction and 2 share are not served and say so. */
#include "front/kafka/conn.h"
#include "front/kafka/verbs.h"

#include "broker/access.h"

static enum err key_check(struct kafka_request *rq, const struct kafka_find_coordinator_request *in,
                          struct str key, const char **why)
{
    *why = NULL;
    if (in->key_type == 1) {
        *why = "transactions are not supported by this broker";
        return ERR_REQUEST_INVALID;
    }
    if (in->key_type != 0) {
        *why = "the key type must be 0 (group)";
        return ERR_REQUEST_INVALID;
    }
    if (key.len == 0) {
        *why = err_meaning(ERR_GROUP_INVALID);
        return ERR_GROUP_INVALID;
    }
    if (access_check(rq->conn->broker, &rq->actor, ACCESS_GROUP, key, ACCESS_ANY)) {
        *why = err_meaning(ERR_GROUP_DENIED);
        return ERR_GROUP_DENIED;
    }
    return ERR_OK;
}

static void answer_one(struct kafka_request *rq, const struct kafka_find_coordinator_request *in)
{
    struct kafka_find_coordinator_response out;
    const char *why;
    wire_default(rq->api->response, &out);
    enum err err = key_check(rq, in, in->key, &why);
    out.error_code = err_kafka(err);
    out.error_message = why ? str_of(why) : (struct str){0};
    out.node_id = err ? -1 : BROKER_NODE_ID;
    out.port = -1;
    if (!err)
        kafka_advertised(rq->conn, &out.host, &out.port);
    kafka_respond(rq, &out);
}

void kafka_find_coordinator_run(struct kafka_request *rq)
{
    const struct kafka_find_coordinator_request *in = rq->in;
    if (rq->version < 4) {
        answer_one(rq, in);
        return;
    }
    struct kafka_find_coordinator_response out;
    wire_default(rq->api->response, &out);
    size_t n = (size_t)in->coordinator_keys_n;
    out.coordinators = kafka_alloc(rq, n, sizeof *out.coordinators);
    out.coordinators_n = out.coordinators ? (int32_t)n : 0;
    for (int32_t i = 0; i < out.coordinators_n; i++) {
        struct kafka_find_coordinator_response_coordinator *c = &out.coordinators[i];
        const char *why;
        c->key = in->coordinator_keys[i];
        enum err err = key_check(rq, in, c->key, &why);
        c->error_code = err_kafka(err);
        c->error_message = why ? str_of(why) : (struct str){0};
        c->node_id = err ? -1 : BROKER_NODE_ID;
        c->port = -1;
        if (!err)
            kafka_advertised(rq->conn, &c->host, &c->port);
    }
    kafka_respond(rq, &out);
}
