/* Delivery to a model: events are scored, and those that come out are outputs of the settle that
 * accepts what went in, one atomic group.
 *
 *     gather     a row of features for each event; who has none is given up
 *     score      by the server, if there is one and its endpoint may be called now; else, and when
 *                the call fails, by the model's file or fallback score; if by neither: later
 *     publish    the events with their scores, where reply.routes and reply.topic lead
 *
 * While an endpoint comes back it takes a part of the calls (endpoint.h); the rest is scored by the
 * fallback, so what the server gets grows, and nothing waits for it. */
#include "flow/push_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_BYTES_MAX HTTP_CALL_ANSWER_BYTES_MAX

/* In the lane's arena. */
struct push_scoring {
    uint32_t n; /* rows: of the events that have features */
    float *rows;
    double *scores;
    uint32_t *events; /* the number of each row's event */
    const char **why; /* of each event: why it is given up; NULL: it is not */
    bool single;
    enum model_scorer by;
    uint64_t begin_us;
    char id[24]; /* of the call */
};

static struct model_stats *stats_of(const struct push_lane *lane)
{
    return models_stats(lane->p->push->models, lane->p->s->conf.target);
}

static uint64_t clock_us(const struct push_lane *lane)
{
    return env_clock_us(lane->p->push->env);
}

/* ---- gather --------------------------------------------------------------------------------- */

static void event_at(struct push_lane *lane, uint32_t i, struct event *out)
{
    const struct message *m = push_lane_message(lane, i);
    struct event_place place = {lane->p->s->topic_name, lane->p->s->topic, m->partition, m->offset};
    event_of_record(&m->record, &place, &lane->arena, out);
}

static bool give_up(struct push_lane *lane, uint32_t i, const char *why)
{
    const char *copy = arena_strndup(&lane->arena, why, strlen(why));
    lane->scoring->why[i] = copy;
    return copy != NULL;
}

static bool make(struct push_lane *lane)
{
    struct arena *a = &lane->arena;
    uint32_t features = model_features_n(lane->p->model);
    struct push_scoring *sc = arena_zalloc(a, 1, sizeof *sc);
    lane->scoring = sc;
    if (!sc)
        return false;
    sc->rows = arena_alloc(a, (size_t)lane->n * features * sizeof *sc->rows);
    sc->scores = arena_alloc(a, lane->n * sizeof *sc->scores);
    sc->events = arena_alloc(a, lane->n * sizeof *sc->events);
    sc->why = arena_zalloc(a, lane->n, sizeof *sc->why);
    sc->begin_us = clock_us(lane);
    return sc->rows && sc->scores && sc->events && sc->why;
}

static bool gather(struct push_lane *lane)
{
    const struct model *m = lane->p->model;
    uint32_t features = model_features_n(m);
    struct err_text text;
    struct event e;
    if (!make(lane))
        return false;
    struct push_scoring *sc = lane->scoring;
    for (uint32_t i = 0; i < lane->n; i++) {
        event_at(lane, i, &e);
        if (model_features(m, &e, sc->rows + (size_t)sc->n * features, &text) == ERR_OK)
            sc->events[sc->n++] = i;
        else if (!give_up(lane, i, text.s))
            return false;
    }
    return true;
}

/* ---- publish -------------------------------------------------------------------------------- */

static const struct topic *find_topic(void *arg, struct str name)
{
    return broker_topic(arg, name);
}

static void begin_reply(struct push_lane *lane)
{
    static const struct str source = {"/weir/models", 12}; /* of none: they keep their own */
    reply_begin(&lane->reply, &(struct reply_conf){.s = lane->p->s,
                                                   .messages = push_lane_message(lane, 0),
                                                   .messages_n = lane->n,
                                                   .source = source,
                                                   .arena = &lane->arena,
                                                   .topic = find_topic,
                                                   .arg = lane->p->push->b});
}

/* The event of the k-th row, with its score. What is the event's own fault gives that up. */
static enum err add_outcome(struct push_lane *lane, uint32_t k)
{
    struct push_scoring *sc = lane->scoring;
    struct err_text text = {""};
    struct event e, out;
    size_t before = lane->reply.n;
    const char *why = text.s;
    event_at(lane, sc->events[k], &e);
    enum err err = model_outcome(lane->p->model, &e, sc->scores[k], sc->single, sc->by,
                                 &lane->arena, &out, &text);
    if (err == ERR_OK) {
        err = reply_add(&lane->reply, &out, sc->events[k]);
        why = lane->reply.text.s;
    }
    if (err != ERR_RECORD_INVALID)
        return err;
    lane->reply.n = before;
    return give_up(lane, sc->events[k], why) ? ERR_OK : ERR_MEMORY;
}

static uint32_t settle_items(struct push_lane *lane)
{
    struct settle_item *items = push_lane_items(lane, lane->n);
    uint32_t given_up = 0;
    for (uint32_t i = 0; i < lane->n; i++) {
        const char *why = lane->scoring->why[i];
        items[i].verb = why ? SETTLE_REJECT : SETTLE_ACCEPT;
        items[i].uncounted = false;
        given_up += why != NULL;
        if (!why)
            continue;
        items[i].reason = STR_LIT(PUSH_REASON_REFUSED);
        items[i].description = str_of(why);
        items[i].outcome = str_of(outcome_text(OUTCOME_BAD_REQUEST));
    }
    return given_up;
}

static void publish(struct push_lane *lane)
{
    struct push_scoring *sc = lane->scoring;
    enum err err = ERR_OK;
    begin_reply(lane);
    for (uint32_t k = 0; k < sc->n && err == ERR_OK; k++)
        err = add_outcome(lane, k);
    if (err != ERR_OK) {
        push_outputs_failed(lane, err, lane->reply.text.s, push_model_begin);
        return;
    }
    struct model_stats *stats = stats_of(lane);
    uint32_t given_up = settle_items(lane);
    model_stats_count(stats, sc->by, sc->n, clock_us(lane) - sc->begin_us);
    atomic_fetch_add_explicit(&stats->refused, given_up, memory_order_relaxed);
    atomic_fetch_add_explicit(&lane->p->push->stats.appended, lane->reply.n, memory_order_relaxed);
    lane->delivered = true;
    lane->settle.outputs = lane->reply.n > 0 ? lane->reply.outputs : NULL;
    lane->settle.outputs_n = lane->reply.n;
#ifdef FAULT_model_forgets
    lane->settle.outputs_n = 0;
#endif
    push_lane_settle(lane);
}

void push_model_failed(struct push_lane *lane, enum err err)
{
    atomic_fetch_sub_explicit(&lane->p->push->stats.appended, lane->settle.outputs_n,
                              memory_order_relaxed);
    push_outputs_failed(lane, err, lane->settle.text.s, push_model_begin);
}

/* ---- score ---------------------------------------------------------------------------------- */

/* False: it cannot be scored here. */
static bool score_here(struct push_lane *lane)
{
    struct push_scoring *sc = lane->scoring;
    sc->single = false;
    if (!model_score(lane->p->model, sc->rows, sc->n, sc->scores, &sc->by))
        return false;
    sc->single = sc->by == MODEL_BY_XGBOOST;
    return true;
}

static enum err read_answer(struct push_lane *lane, struct err_text *text)
{
    struct push_scoring *sc = lane->scoring;
    const struct http_call *call = &lane->call;
    if (call->answer_cut)
        return err_say(text, ERR_REQUEST_INVALID, "it is larger than %zu bytes", ANSWER_BYTES_MAX);
    sc->by = MODEL_BY_SERVER;
    return oip_read_scores(call->answer, model_conf(lane->p->model)->server_output, sc->n,
                           sc->scores, &sc->single, text);
}

/* The server did not score. An answer that is none is the server's fault. */
static void failed(struct push_lane *lane, struct retry_attempt a, struct str why)
{
    struct pusher *p = lane->p;
    if (p->model_failures++ == 0)
        env_log(p->push->env, ENV_WARN, "model.server_failed",
                "subscription=%s model=%.*s why=\"%.*s\"", p->s->name, (int)p->s->conf.target.len,
                p->s->conf.target.at, (int)why.len, why.at);
    if (score_here(lane)) {
        push_time_end(lane, model_scorer_text(lane->scoring->by), "fallback");
        publish(lane);
        return;
    }
    push_lane_judge(lane, &a, why);
}

static void judge(struct push_lane *lane)
{
    struct pusher *p = lane->p;
    struct retry_attempt a = push_lane_attempt(lane);
    struct retry_policy policy = push_policy(&p->s->conf);
    struct err_text text = {""};
    bool good = lane->call.outcome == HTTP_ANSWERED && lane->call.status == 200;
    bool read = good && read_answer(lane, &text) == ERR_OK;
    struct str why = push_lane_describe(lane);
    if (good && !read) {
        a.http = HTTP_ANSWER_BAD;
        why = (struct str){arena_strndup(&lane->arena, text.s, strlen(text.s)), strlen(text.s)};
    }
    enum delivery_outcome outcome = retry_judge(&policy, &a).outcome;
    push_lane_count(lane, outcome);
    push_lane_tell_endpoint(lane, &a, outcome);
#ifdef FAULT_model_trusts
    read = good;
#endif
    if (!read) {
        failed(lane, a, why);
        return;
    }
    p->model_failures = 0;
    push_time_end(lane, model_scorer_text(MODEL_BY_SERVER), "200");
    publish(lane);
}

static void called(struct http_call *call)
{
    struct push_lane *lane = call->user;
    push_lane_call_over(lane);
    if (call->outcome != HTTP_CANCELLED) {
        judge(lane);
        return;
    }
    endpoint_abandon(lane->p->user.endpoint);
    push_lane_count(lane, OUTCOME_CANCELED);
    push_time_end(lane, NULL, outcome_text(OUTCOME_CANCELED));
    push_lane_release(lane);
}

static void call(struct push_lane *lane)
{
    static const struct http_header headers[] = {{{"Content-Type", 12}, {"application/json", 16}}};
    struct push_scoring *sc = lane->scoring;
    const struct model_conf *c = model_conf(lane->p->model);
    struct oip_target target;
    bool there = model_target(lane->p->model, &target);
    weir_assert(there);
    uint8_t random[8];
    env_random(lane->p->push->env, random, sizeof random);
    snprintf(sc->id, sizeof sc->id, "%02x%02x%02x%02x%02x%02x%02x%02x", random[0], random[1],
             random[2], random[3], random[4], random[5], random[6], random[7]);
    lane->body.len = 0;
    oip_write_request(&(struct oip_request){.id = str_of(sc->id),
                                            .input = c->server_input,
                                            .output = c->server_output,
                                            .rows = sc->rows,
                                            .n = sc->n,
                                            .features = model_features_n(lane->p->model),
                                            .nan_is_null = c->missing == MISSING_NULL},
                      &lane->body);
    lane->call = (struct http_call){.method = "POST",
                                    .url = oip_infer_url(&target, &lane->arena),
                                    .headers = headers,
                                    .headers_n = 1,
                                    .body = {(const char *)lane->body.buf->data, lane->body.len},
                                    .timeout_ms = (uint32_t)c->timeout_ms,
                                    .answer_bytes_max = ANSWER_BYTES_MAX,
                                    .done = called,
                                    .user = lane};
    push_time_begin(lane, HOP_SCORE);
    push_lane_call(lane);
}

/* May the server be called now? Then it is (or will be). */
static bool is_served(const struct push_lane *lane)
{
    const struct pusher *p = lane->p;
    struct endpoint *e = p->user.endpoint;
    if (!e || push_full(p->push))
        return false;
    uint32_t most = (uint32_t)model_conf(p->model)->concurrency;
    return endpoint_room(e, most, p->lanes_n - 1) > 0 && endpoint_begin(e);
}

void push_model_begin(struct push_lane *lane)
{
    struct pusher *p = lane->p;
    if (p->leaving || p->push->stopping || !p->model) {
        push_lane_release(lane);
        return;
    }
    uint32_t most = lane->one_by_one ? 1 : model_batch(p->model), left = lane->end - lane->from;
    lane->n = left < most ? left : most;
    if (!gather(lane)) {
        push_outputs_failed(lane, ERR_MEMORY, "there is no room for its features",
                            push_model_begin);
        return;
    }
    if (lane->scoring->n > 0 && is_served(lane)) {
        call(lane);
        return;
    }
    push_time_begin(lane, HOP_SCORE);
    if (lane->scoring->n > 0 && !score_here(lane)) {
        push_time_end(lane, NULL, outcome_text(OUTCOME_CANCELED));
        push_lane_release(lane); /* until the server may be called again */
        return;
    }
    push_time_end(lane, model_scorer_text(lane->scoring->by), "scored");
    publish(lane);
}

/* ---- for the pusher ------------------------------------------------------------------------- */

uint32_t push_model_lanes(const struct pusher *p)
{
    return p->user.endpoint ? (uint32_t)model_conf(p->model)->concurrency : 1;
}

uint32_t push_model_room(const struct pusher *p)
{
    if (!p->model)
        return 0;
    uint32_t most = push_model_lanes(p);
    if (p->user.endpoint && !model_falls_back(p->model))
        return endpoint_room(p->user.endpoint, most, p->lanes_n);
    return p->lanes_n < most ? most - p->lanes_n : 0;
}

void push_model_join(struct pusher *p)
{
    struct oip_target target;
    p->model = models_get(p->push->models, p->s->conf.target);
    if (!p->model || !model_target(p->model, &target))
        return;
    p->user.ready = OIP_READY_PATH;
    endpoint_join(p->push->endpoints, target.url, &p->user);
}
