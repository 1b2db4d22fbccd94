/* function_conf.h: the settings of a function (kind: Function), one row each in the table
 * function_kind. What runs them is flow/function.h.
 *
 *     apiVersion: weir/v1alpha1
 *     kind: Function
 *     metadata: {name: enrich}
 *     spec:
 *       command: [./enrich, --model, small]     # or url: http://enrich.default.svc
 *       protocol: cloudevents-batch             # what a call looks like
 *       batch: {events: 64}
 *       workers: {max: 8, target: 100, idle: 30s}
 *       limits: {memory: 256MiB, cpu: 1.0, time: 10s}
 */
#pragma once

#include "spec/spec.h"

#define FUNCTION_WORKERS_MAX 200
#define FUNCTION_CONCURRENCY_MAX 1000 /* calls of one worker at once */

enum function_protocol {
    FUNCTION_CLOUDEVENTS,       /* binary mode, one event a call: Knative's way */
    FUNCTION_CLOUDEVENTS_BATCH, /* application/cloudevents-batch+json */
    FUNCTION_AZURE,             /* Azure Functions' custom handlers (flow/function_azure.h) */
};

/* What the trigger binding of an Azure Functions app is, and so how its events look in Data. */
enum function_trigger {
    TRIGGER_EVENTGRID, /* Event Grid's schema where the subscription's deliver.format is, else
                          CloudEvents */
    TRIGGER_SERVICEBUS,
    TRIGGER_EVENTHUB,
    TRIGGER_QUEUE,
    TRIGGER_KAFKA,
    TRIGGER_HTTP, /* called with requests, not with events */
};

struct function_conf {
    struct spec_texts command; /* argv; the worker listens on 127.0.0.1:$PORT */
    struct str url;            /* instead: somebody else runs it */
    struct str directory;      /* the command's working directory; at NULL: weir's own */
    struct spec_map env;       /* beside a small fixed environment: weir's own is not inherited */
    int64_t protocol;          /* enum function_protocol */
    int64_t batch_events_max;  /* of one call, batch protocols; 64 */
    int64_t batch_bytes;       /* preferred; 256 KiB */
    int64_t time_ms;           /* limits.time: of one call; 30 s. Then the worker is killed */
    /* workers */
    int64_t workers_min; /* 0 */
    int64_t workers_max; /* 8 */
    int64_t target;      /* events that wait for each worker, before there is another; 100 */
    int64_t concurrency; /* calls at once of each worker; 1 */
    int64_t idle_ms;     /* a worker without a call for so long stops; 30 s */
    int64_t start_ms;    /* it must be ready by then; 30 s */
    int64_t backoff_ms;  /* after a crash; doubles up to backoff_max_ms; 100 ms, 30 s */
    int64_t backoff_max_ms;
    int64_t stop_ms; /* between SIGTERM and SIGKILL; 5 s */
    /* limits, of one worker with its children where the system can tell */
    int64_t memory_bytes;     /* resident; 0: none */
    int64_t cpu_milli;        /* of a core, over ten seconds; 0: none */
    int64_t output_lines_max; /* a second of its output that is logged; 1000 */
    /* Azure */
    struct str azure_function;  /* the name in the path; at NULL: the resource's */
    struct str azure_trigger;   /* the trigger binding's name in Data; "event" */
    int64_t azure_trigger_type; /* enum function_trigger */
    /* of an HTTP trigger */
    struct spec_texts azure_methods; /* none: all that there are */
    struct str azure_route;          /* function_route.h; at NULL: the name in the path */
    struct str azure_response;       /* the HTTP output binding's name; "res" */
    bool azure_forward_http;         /* the request as it is */
    struct spec_list azure_out;      /* struct function_output */
    struct spec_map labels;
};

/* An output binding: `name` in Outputs (or $return) is published into `topic`. */
struct function_output {
    struct str name, topic;
};

/* Is it an Azure function with an HTTP trigger? */
static inline bool function_takes_requests(const struct function_conf *f)
{
    return f->protocol == FUNCTION_AZURE && f->azure_trigger_type == TRIGGER_HTTP;
}

extern const struct spec_kind function_kind;
