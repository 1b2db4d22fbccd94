/* model_conf.h: the settings of a model (kind: Model), one row each in the table model_kind. What
 * scores with it is flow/model.h.
 *
 *     kind: Model
 *     metadata: {name: fraud}
 *     spec:
 *       features: [data.amount, data.weekend, data.night, ...]   # in the model's order
 *       server: {url: http://triton:8000, model: fraud, version: "1", timeout: 50ms}   # OIP v2
 *       xgboost: {file: model.json}             # in process; with a server: the fallback
 *       fallback: {score: 0.5}                  # where neither can
 *       output: {type: payment.scored, field: score}
 */
#pragma once

#include "spec/spec.h"

#define MODEL_FEATURES_MAX 256

enum model_missing { MISSING_NULL, MISSING_NAN };

struct model_conf {
    struct spec_texts features; /* paths into the event's data; a missing one is NaN */
    /* Scored in process */
    struct str file; /* XGBoost's JSON; read by weir at start and when the document changes */
    /* Or by a server that speaks the Open Inference Protocol v2 over HTTP. With a file too, that is
     * the fallback while the server fails or its breaker is open. */
    struct str url;            /* "http://host:port", no path */
    struct str server_model;   /* its name there; at NULL: the resource's */
    struct str server_version; /* at NULL: the server's choice */
    struct str server_input;   /* the input tensor's name; "input-0" */
    struct str server_output;  /* at NULL: the first of the answer */
    int64_t missing;           /* enum model_missing: how a missing value is written */
    int64_t timeout_ms;        /* of a call; 1 s */
    int64_t batch_events_max;  /* rows of a call; 64 */
    int64_t concurrency;       /* calls at once; 4 */
    int64_t fallback_milli;    /* the score where neither can score, in thousandths; SPEC_UNSET: try
                                  again later */
    /* The event that comes out: the one that came in with the score in its data */
    struct str output_type;  /* its type; at NULL: as it was */
    struct str output_field; /* "score" */
    struct spec_map labels;
};
extern const struct spec_kind model_kind;
