/* oip.h: the Open Inference Protocol v2 over HTTP (KServe, Triton, MLServer, OpenVINO ...), as its
 * client: what is asked of a model server, and what it answers.
 *
 *     POST <url>/v2/models/<model>[/versions/<version>]/infer
 *     {"id": "7", "inputs": [{"name": "input-0", "shape": [2, 3], "datatype": "FP32",
 *                             "data": [1, 2.5, null, 4, 5, 6]}],
 *      "outputs": [{"name": "predict"}]}
 *     {"model_name": "fraud", "id": "7", "outputs": [{"name": "predict", "shape": [2],
 *                                                     "datatype": "FP32", "data": [0.1, 0.9]}]}
 *
 * A row of features is a row of the one input tensor. The score of a row is the last column of its
 * row of the output: all of it for shape [n] and [n, 1], the probability of "yes" for [n, 2].
 *
 * The protocol has no word for a missing value, and JSON none for NaN. Servers in Python (KServe,
 * MLServer) read null as NaN and refuse a bare NaN; Triton reads NaN and refuses null. So it is a
 * setting.
 *
 * Source: kserve/open-inference-protocol, specification/protocol/inference_rest.md and
 * open_inference_rest.yaml. Pure; any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"
#include "base/str.h"

#define OIP_COLUMNS_MAX 1024 /* of an output's row */

/* GET: 200 if the server is ready. */
#define OIP_READY_PATH "/v2/health/ready"

struct oip_target {
    struct str url; /* "http://host:8000" */
    struct str model;
    struct str version; /* at NULL: the server's choice */
};

/* NUL-terminated; NULL: the arena is full. */
char *oip_infer_url(const struct oip_target *t, struct arena *arena);
/* Is the model ready? Its path alone when `url` is at NULL. 200: yes. */
char *oip_ready_url(const struct oip_target *t, struct arena *arena);

struct oip_request {
    struct str id, input; /* the input tensor's name */
    struct str output;    /* at NULL: whatever the model has */
    const float *rows;    /* n times `features` */
    uint32_t n, features;
    bool nan_is_null; /* null for a missing value, else NaN */
};
/* Appends the body. */
void oip_write_request(const struct oip_request *r, struct wr *out);

/* The n scores of a 200's body: of the output of that name, at NULL of the first. *single: they are
 * FP32 or less. ERR_REQUEST_INVALID: it is no such answer; text says what is wrong. */
enum err must_use oip_read_scores(struct str body, struct str output, uint32_t n, double *scores,
                                  bool *single, struct err_text *text);
/* What an answer that is not 200 says is wrong, as its {"error": ...} puts it; at NULL: nothing.
 * In the arena, or part of the body. */
struct str oip_read_error(struct str body, struct arena *arena);
