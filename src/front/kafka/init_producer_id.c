/* init_producer_id.c: InitProducerId (KIP-98, KIP-360) for idempotent producers: a fresh id with
 * epoch 0 at every call. Transactional ids are refused until transactions are served. */
#include "front/kafka/conn.h"
#include "front/kafka/verbs.h"

void kafka_init_producer_id_run(struct kafka_request *rq)
{
    const struct kafka_init_producer_id_request *in = rq->in;
    struct kafka_init_producer_id_response out;
    wire_default(rq->api->response, &out);
    if (in->transactional_id.at) {
        /* The answer has no field for a reason; the log has it. */
        env_log(broker_env(rq->conn->broker), ENV_WARN, "kafka.transactions",
                "peer=%s why=\"a transactional id was given: this broker serves idempotent "
                "producers, not transactions\"",
                rq->conn->peer);
        out.error_code = err_kafka(ERR_REQUEST_INVALID);
    } else {
        out.producer_id = broker_producer_id(rq->conn->broker);
        out.error_code = err_kafka(out.producer_id < 0 ? ERR_INTERNAL : ERR_OK);
    }
    kafka_respond(rq, &out);
}
