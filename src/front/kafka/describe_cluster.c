/* describe_cluster.c: DescribeCluster (KIP-700). One broker, which is its own controller. */
#include "front/kafka/conn.h"
#include "front/kafka/verbs.h"

void kafka_describe_cluster_run(struct kafka_request *rq)
{
    const struct kafka_describe_cluster_request *in = rq->in;
    struct kafka_describe_cluster_response out;
    struct kafka_describe_cluster_response_broker self = {.broker_id = BROKER_NODE_ID};
    char cluster[UUID_TEXT_MAX];
    wire_default(rq->api->response, &out);
    if (in->endpoint_type != 1) { /* 2: controllers (KIP-919) */
        out.error_code = err_kafka(ERR_REQUEST_INVALID);
        out.error_message = str_of("the endpoint type must be 1 (brokers)");
        kafka_respond(rq, &out);
        return;
    }
    kafka_advertised(rq->conn, &self.host, &self.port);
    uuid_format(broker_conf(rq->conn->broker)->cluster_id, cluster);
    out.endpoint_type = 1;
    out.cluster_id = str_of(cluster);
    out.controller_id = BROKER_NODE_ID;
    out.brokers = &self;
    out.brokers_n = 1;
    if (in->include_cluster_authorized_operations)
        out.cluster_authorized_operations = kafka_cluster_operations(rq);
    kafka_respond(rq, &out);
}
