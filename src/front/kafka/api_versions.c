/* api_versions.c: ApiVersions (KIP-35, KIP-511): what this broker serves, readable by a client of
 * any age: the response header is always version 0, and a request of an unknown version is answered
 * in version 0 with UNSUPPORTED_VERSION and the range of ApiVersions itself. */
#include "front/kafka/conn.h"
#include "front/kafka/verbs.h"

#include <ctype.h>
#include <stdio.h>

/* KIP-511: [a-zA-Z0-9](?:[a-zA-Z0-9\\-.]*[a-zA-Z0-9])? */
static bool software_ok(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        bool edge = i == 0 || i == s.len - 1;
        unsigned char c = (unsigned char)s.at[i];
        if (!isalnum(c) && (edge || (c != '-' && c != '.')))
            return false;
    }
    return s.len > 0;
}

static void fill_keys(struct kafka_request *rq, struct kafka_api_versions_response *out)
{
    struct kafka_api_versions_response_api_key *keys = kafka_alloc(rq, kafka_apis_n, sizeof *keys);
    for (size_t i = 0; keys && i < kafka_apis_n; i++) {
        keys[i].api_key = kafka_apis[i].key;
        keys[i].min_version = kafka_apis[i].min;
        keys[i].max_version = kafka_apis[i].max;
    }
    out->api_keys = keys;
    out->api_keys_n = (int32_t)kafka_apis_n;
}

static void answer_unknown_version(struct kafka_request *rq)
{
    struct kafka_api_versions_response_api_key key = {18, rq->api->min, rq->api->max};
    struct kafka_api_versions_response out;
    wire_default(rq->api->response, &out);
    out.error_code = err_kafka(ERR_VERSION_UNSUPPORTED);
    out.api_keys = &key;
    out.api_keys_n = 1;
    rq->version = 0;
    rq->flexible = false;
    kafka_respond(rq, &out);
}

void kafka_api_versions_run(struct kafka_request *rq)
{
    const struct kafka_api_versions_request *in = rq->in;
    if (!in) {
        answer_unknown_version(rq);
        return;
    }
    struct kafka_api_versions_response out;
    wire_default(rq->api->response, &out);
    struct str name = in->client_software_name, version = in->client_software_version;
    if (rq->version >= 3 && (!software_ok(name) || !software_ok(version))) {
        out.error_code = err_kafka(ERR_REQUEST_INVALID);
        kafka_respond(rq, &out);
        return;
    }
    snprintf(rq->conn->client_software, sizeof rq->conn->client_software, "%.*s/%.*s",
             (int)name.len, name.at, (int)version.len, version.at);
    fill_keys(rq, &out);
    kafka_respond(rq, &out);
}
