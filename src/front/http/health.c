/* /healthz: 200 while the loop turns. /readyz: 200 once clients are served. /metrics: Prometheus'
 * text format, gathered by who made the front (struct http_conf). */
#include "front/http/conn.h"
#include "front/http/verbs.h"

void http_healthz(struct http_request *rq)
{
    http_answer_text(rq, 200, "ok\n");
}

void http_readyz(struct http_request *rq)
{
    const struct http_front *front = rq->conn->front;
    bool ready = atomic_load_explicit(&front->ready, memory_order_relaxed);
    if (ready && !rq->conn->reactor->draining)
        http_answer_text(rq, 200, "ready\n");
    else
        http_answer_text(rq, 503, "starting or stopping\n");
}

static void gathered(void *arg, struct slice page)
{
    http_answer(arg, 200, "text/plain; version=0.0.4; charset=utf-8", page);
}

void http_metrics(struct http_request *rq)
{
    const struct http_conf *conf = &rq->conn->front->conf;
    if (conf->metrics)
        conf->metrics(conf->arg, rq->broker, gathered, rq);
    else
        http_answer_problem(rq, 404, "NOT_FOUND", "no metrics are gathered");
}
