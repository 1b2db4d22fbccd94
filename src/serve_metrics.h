/* serve_metrics.h: the page of /metrics. It is gathered on reactor 0, to which the store's numbers
 * belong, for whichever reactor asks; functions' numbers on the way there, from every reactor. */
#pragma once

#include "front/http/http.h"
#include "front/kafka/kafka.h"
#include "serve_functions.h"
#include "serve_push.h"
#include "store/embedded.h"

/* What the page shows beside the broker; NULL: not yet. */
struct serve_metrics {
    struct broker *broker; /* reactor 0's */
    struct embedded *embedded;
    struct kafka_front *kafka;
    struct http_front *http;
    struct serve_push *push;
    struct serve_functions *functions;
};

/* For struct http_conf; arg is a struct serve_metrics. On b's reactor. */
void serve_metrics_page(void *arg, struct broker *b, http_page_fn *done, void *done_arg);
