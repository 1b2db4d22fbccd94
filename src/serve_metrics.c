#include "serve_metrics.h"

#include "base/mem.h"
#include "broker/env.h"
#include "broker/hop.h"
#include "ops/metrics.h"

/* One page on its way: by all reactors to reactor 0, and back. */
struct page {
    struct env_mail mail;
    struct serve_metrics *from;
    unsigned home;
    http_page_fn *done;
    void *done_arg;
    struct slice text;
    struct serve_function_stats functions;
};

static void metric(struct wr *w, const char *name, const char *type, const char *help, double value)
{
    metrics_head(w, name, type, help);
    metrics_line(w, name);
    metrics_value(w, value);
}

static void put_store(struct wr *w, const struct embedded *e)
{
    struct embedded_stat st;
    embedded_stat(e, &st);
    metric(w, "weir_journal_groups_total", "counter", "Groups written to the journal.",
           (double)st.groups);
    metric(w, "weir_journal_syncs_total", "counter", "Syncs of the journal.", (double)st.syncs);
    metric(w, "weir_journal_bytes", "gauge", "Size of the journal's files.",
           (double)st.journal_bytes);
    metric(w, "weir_journal_used_bytes", "gauge", "Written since the last checkpoint.",
           (double)st.journal_used);
    metric(w, "weir_journal_commit_seconds", "gauge",
           "Moving average of one write and sync of the journal.", (double)st.commit_us / 1e6);
    metric(w, "weir_checkpoints_total", "counter", "Checkpoints done.", (double)st.checkpoints);
    metric(w, "weir_scrub_passes_total", "counter", "How often all that is stored was read again.",
           (double)st.scrub_passes);
    metric(w, "weir_scrub_bytes_total", "counter", "Batches read to find what has changed on disk.",
           (double)st.scrub_bytes);
    metric(w, "weir_scrub_faults_total", "counter", "Faults that were found so.",
           (double)st.scrub_faults);
}

static void put_kafka(struct wr *w, const struct kafka_front *front)
{
    struct kafka_stats k;
    kafka_front_stats(front, &k);
    metric(w, "weir_kafka_connections", "gauge", "Open connections of Kafka clients.",
           (double)k.connections);
    metric(w, "weir_kafka_requests_total", "counter", "Requests of Kafka clients finished.",
           (double)k.requests);
    metric(w, "weir_kafka_errors_total", "counter",
           "Connections closed because of what a Kafka client sent.", (double)k.errors);
    metric(w, "weir_kafka_fetch_waits", "gauge", "Fetches that wait for records.",
           (double)k.fetch_waits);
}

static void put_http(struct wr *w, const struct http_front *front)
{
    struct http_stats h;
    http_front_stats(front, &h);
    metric(w, "weir_http_connections", "gauge", "Open connections of HTTP clients.",
           (double)h.connections);
    metric(w, "weir_http_requests_total", "counter", "HTTP requests answered.", (double)h.requests);
    metric(w, "weir_http_requests_running", "gauge", "HTTP requests under way, this one included.",
           (double)h.running);
    metric(w, "weir_http_errors_total", "counter",
           "HTTP connections closed because of what came in over them.", (double)h.errors);
    metric(w, "weir_http_refused_total", "counter",
           "HTTP connections that were not taken: there were too many.", (double)h.refused);
    metric(w, "weir_http_streams", "gauge", "HTTP answers that go on: server-sent events.",
           (double)h.streams);
}

static void put_hops(struct wr *w, const struct broker *b)
{
    struct hop_stat h;
    broker_hop_totals(b, &h);
    metric(w, "weir_hops_noted_total", "counter", "Steps of events noted for weir.hops.",
           (double)h.noted);
    metric(w, "weir_hops_skipped_total", "counter",
           "Steps not noted, to keep their cost within its bound.", (double)h.skipped);
    metric(w, "weir_hops_dropped_total", "counter",
           "Steps noted that could not be stored, or not soon enough.", (double)h.dropped);
}

static void extra(void *arg, struct wr *w)
{
    const struct page *p = arg;
    const struct serve_metrics *m = p->from;
    if (m->embedded)
        put_store(w, m->embedded);
    if (m->kafka)
        put_kafka(w, m->kafka);
    if (m->http)
        put_http(w, m->http);
    if (m->push)
        serve_push_metrics(m->push, w);
    serve_functions_metrics(&p->functions, w);
    put_hops(w, m->broker);
}

static void bring_home(struct env_mail *mail, struct env *env)
{
    struct page *p = container_of(mail, struct page, mail);
    (void)env;
    p->done(p->done_arg, p->text);
    serve_function_stats_free(&p->functions);
    mem_free(p);
}

static void gathered(void *arg, struct slice text)
{
    struct page *p = arg;
    struct env *env = broker_env(p->from->broker);
    p->text = text;
    p->mail.run = bring_home;
    env_post(env, p->home, &p->mail);
}

static void visit(struct env_mail *mail, struct env *env)
{
    struct page *p = container_of(mail, struct page, mail);
    if (p->from->functions)
        serve_functions_gather(p->from->functions, env->reactor, &p->functions);
    if (env->reactor > 0)
        env_post(env, env->reactor - 1, &p->mail);
    else
        metrics_gather(p->from->broker, extra, p, gathered, p);
}

void serve_metrics_page(void *arg, struct broker *b, http_page_fn *done, void *done_arg)
{
    struct page *p = mem_zalloc(1, sizeof *p);
    struct env *env = broker_env(b);
    *p = (struct page){
        .mail.run = visit, .from = arg, .home = env->reactor, .done = done, .done_arg = done_arg};
    env_post(env, env->reactors - 1, &p->mail);
}
