/* One call: who may be called is asked (the breaker of an address, the pool of a function), the
 * request is built and sent, the answer judged. */
#include "flow/push_internal.h"
#include "flow/reply_cause.h"

#include "base/assert.h"
#include "base/mem.h"
#include "flow/function_azure.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_BYTES 4096 /* for descriptions */
#define DESCRIPTION_BYTES 200
#define NO_WORKER_PAUSE_US ((uint64_t)1000000)

/* ---- the answer ----------------------------------------------------------------------------- */

/* For people: what went wrong, and how the endpoint put it. */
struct str push_lane_describe(struct push_lane *lane)
{
    const struct http_call *call = &lane->call;
    char text[DESCRIPTION_BYTES * 2];
    int n = call->outcome == HTTP_ANSWERED
                ? snprintf(text, sizeof text, "HTTP %d: %.*s", call->status,
                           (int)(call->answer.len < DESCRIPTION_BYTES ? call->answer.len
                                                                      : DESCRIPTION_BYTES),
                           call->answer.at ? call->answer.at : "")
                : snprintf(text, sizeof text, "%s", call->error);
    n = n < (int)sizeof text ? n : (int)sizeof text - 1;
    for (int i = 0; i < n; i++) {
        if ((unsigned char)text[i] < 0x20 || (unsigned char)text[i] > 0x7e)
            text[i] = ' ';
    }
    return (struct str){arena_strndup(&lane->arena, text, (size_t)n), (size_t)n};
}

struct retry_attempt push_lane_attempt(const struct push_lane *lane)
{
    const struct http_call *call = &lane->call;
    struct retry_attempt a = {.n = 1, .http = call->outcome, .status = call->status};
    a.retry_after_ms = outcome_retry_after_ms(http_answer_header(call, "retry-after"),
                                              env_now_ms(lane->p->push->env));
    return a;
}

/* A batch may be given up for one of its events: then each alone shows which. What a worker took
 * with it when it went is another's at once. */
static void soften(const struct push_lane *lane, struct push_verdict *v)
{
    bool worker = lane->slot.worker > 0;
    if (!lane->p->how.function)
        return;
    if (v->for_good && lane->n > 1) {
        v->for_good = false;
        v->wait_ms = 0;
    } else if (worker && lane->attempt.http == HTTP_UNREACHABLE) {
        v->wait_ms = 0;
    }
}

/* One message's share in a call that ended so: its own number of attempts decides how long it
 * waits. */
static struct push_verdict share(void *arg, const struct push_lane *lane, uint32_t attempt)
{
    struct retry_policy policy = push_policy(&lane->p->s->conf);
    struct retry_attempt a = lane->attempt;
    a.n = attempt;
    struct retry_verdict r = retry_judge(&policy, &a);
    struct push_verdict v = {.outcome = r.outcome,
                             .for_good = r.verb == RETRY_GIVE_UP,
                             .wait_ms = r.wait_ms,
                             .why = *(const struct str *)arg};
    soften(lane, &v);
    return v;
}

void push_lane_count(struct push_lane *lane, enum delivery_outcome outcome)
{
    struct push_stats *s = &lane->p->push->stats;
    const struct http_call *call = &lane->call;
    double seconds = (double)call->took_us / 1e6;
    unsigned i = 0;
    while (i < PUSH_BUCKETS && seconds > push_bucket_seconds[i])
        i++;
    atomic_fetch_add_explicit(&s->calls[outcome], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->events[outcome], lane->n, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->took[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->took_us, call->took_us, memory_order_relaxed);
}

/* For `weir trace`: "enrich/3". */
static void time_end(struct push_lane *lane, enum delivery_outcome outcome)
{
    char status[16], by[PUSH_TIME_TEXT] = "";
    bool answered = lane->call.outcome == HTTP_ANSWERED;
    if (answered)
        snprintf(status, sizeof status, "%d", lane->call.status);
    if (lane->slot.worker > 0)
        snprintf(by, sizeof by, "%.32s/%u", lane->p->fn.name.at ? lane->p->s->conf.target.at : "",
                 lane->slot.worker);
    push_time_end(lane, by, answered ? status : outcome_text(outcome));
}

static void delivered(struct push_lane *lane)
{
    lane->delivered = true;
    push_lane_items(lane, lane->n);
    for (uint32_t i = 0; i < lane->n; i++)
        lane->items[i].verb = SETTLE_ACCEPT;
#ifdef FAULT_reply_unsettled
    if (lane->reply.n > 0)
        lane->items[0].verb = SETTLE_RELEASE;
#endif
#ifndef FAULT_reply_lost
    lane->settle.outputs = lane->reply.outputs;
    lane->settle.outputs_n = lane->reply.n;
#endif
    push_lane_settle(lane);
}

/* All of the call wait for the same while. */
static void fail(struct push_lane *lane, struct str why)
{
    env_random(lane->p->push->env, &lane->attempt.random, sizeof lane->attempt.random);
    push_lane_fail(lane, share, &why);
}

void push_lane_judge(struct push_lane *lane, const struct retry_attempt *a, struct str why)
{
    lane->attempt = *a;
    fail(lane, why);
}

static void not_delivered(struct push_lane *lane, struct str why)
{
#ifdef FAULT_push_forgets
    lane->reply.n = 0;
    delivered(lane);
    return;
#endif
    fail(lane, why);
}

/* The endpoint took the events, but what it answered cannot be taken from it: a failure of its own,
 * if it is no answer; else of the topics that it is for. */
static enum delivery_outcome answer_outcome(struct push_lane *lane, enum err err,
                                            enum delivery_outcome outcome)
{
    if (err == ERR_OK)
        return outcome;
    lane->attempt.http =
        err == ERR_TOPIC_UNKNOWN || err == ERR_POLICY ? HTTP_ANSWERED : HTTP_ANSWER_BAD;
    lane->attempt.status = 404; /* of what was answered for: tried again */
    return outcome_of_call(lane->attempt.http, lane->attempt.status);
}

void push_lane_tell_endpoint(const struct push_lane *lane, const struct retry_attempt *a,
                             enum delivery_outcome outcome)
{
    struct endpoint *e = lane->p->user.endpoint;
    if (e && a->http == HTTP_NO_ROOM) /* weir's own doing */
        endpoint_abandon(e);
    else if (e)
        endpoint_end(e, a, outcome, lane->call.took_us);
}

static void judge(struct push_lane *lane)
{
    struct pusher *p = lane->p;
    struct retry_policy policy = push_policy(&p->s->conf);
    lane->attempt = push_lane_attempt(lane);
    const struct retry_attempt called = lane->attempt;
    struct retry_verdict v = retry_judge(&policy, &called);
    bool taken = v.verb == RETRY_DELIVERED;
    enum err err = taken ? push_reply_take(lane) : ERR_OK;
    enum delivery_outcome outcome = answer_outcome(lane, err, v.outcome);
    push_lane_count(lane, outcome);
    time_end(lane, outcome);
    struct str why = taken ? str_of(lane->reply.text.s) : push_lane_describe(lane);
    bool own = err != ERR_OK && lane->attempt.http == HTTP_ANSWER_BAD;
    push_lane_tell_endpoint(lane, own ? &lane->attempt : &called, own ? outcome : v.outcome);
    if (taken && err == ERR_OK)
        delivered(lane);
    else
        not_delivered(lane, why);
}

static void call_over(struct push *push)
{
    atomic_store_explicit(&push->stats.under_way, push->calls - 1, memory_order_relaxed);
    if (push->calls-- >= PUSH_CALLS_MAX)
        push_pump(push);
}

/* The permit or the slot: whoever gave it learns how the call went. */
static void give(struct push_lane *lane)
{
    static const enum function_result results[] = {[HTTP_TIMED_OUT] = FUNCTION_TIMED_OUT,
                                                   [HTTP_UNREACHABLE] = FUNCTION_BROKEN,
                                                   [HTTP_ANSWER_BAD] = FUNCTION_BROKEN};
    enum http_outcome http = lane->call.outcome;
    size_t n = sizeof results / sizeof results[0];
    if (!lane->slot_out)
        return;
    lane->slot_out = false;
    lane->p->slots_out--;
    function_give(&lane->slot, (size_t)http < n ? results[http] : FUNCTION_DONE, lane->call.took_us,
                  lane->n);
}

/* Its worker is gone, whatever still holds the connection. */
static void lost(struct function_slot *slot)
{
    struct push_lane *lane = container_of(slot, struct push_lane, slot);
    if (!lane->calling)
        return;
    lane->worker_lost = true;
    http_cancel(lane->http, &lane->call);
}

static void note_lost(struct push_lane *lane)
{
    if (!lane->worker_lost || lane->call.outcome != HTTP_CANCELLED)
        return;
    lane->call.outcome = HTTP_UNREACHABLE;
    (void)str_copy(lane->call.error, sizeof lane->call.error, STR_LIT("the worker is gone"));
}

void push_lane_call_over(struct push_lane *lane)
{
    lane->calling = false;
    call_over(lane->p->push);
}

static void called(struct http_call *call)
{
    struct push_lane *lane = call->user;
    push_lane_call_over(lane);
    note_lost(lane);
    give(lane);
    if (call->outcome != HTTP_CANCELLED) {
        judge(lane);
        return;
    }
    if (lane->p->user.endpoint)
        endpoint_abandon(lane->p->user.endpoint);
    time_end(lane, OUTCOME_CANCELED);
    push_lane_count(lane, OUTCOME_CANCELED);
    push_lane_release(lane);
}

/* ---- the call ------------------------------------------------------------------------------- */

static size_t answer_bytes(const struct push_lane *lane)
{
    bool all = lane->p->how.reply || lane->p->how.azure;
    return all ? HTTP_CALL_ANSWER_BYTES_MAX : ANSWER_BYTES;
}

void push_lane_call(struct push_lane *lane)
{
    struct push *push = lane->p->push;
    lane->calling = true;
    lane->http = lane->slot_out && lane->slot.worker > 0 ? push->conf.local : push->conf.http;
    push->calls++;
    atomic_store_explicit(&push->stats.under_way, push->calls, memory_order_relaxed);
    http_call(lane->http, &lane->call);
}

static void call(struct push_lane *lane)
{
    struct pusher *p = lane->p;
    lane->call = (struct http_call){.method = "POST",
                                    .url = lane->request.url,
                                    .headers = lane->request.headers,
                                    .headers_n = lane->request.headers_n,
                                    .body = lane->request.body,
                                    .timeout_ms = lane->p->how.timeout_ms,
                                    .answer_bytes_max = answer_bytes(lane),
                                    .done = called,
                                    .user = lane};
    if (p->gap_us > 0)
        p->next_us = env_mono_us(p->push->env) + p->gap_us;
    push_time_begin(lane, p->doc ? HOP_CALL : HOP_PUSH);
    push_lane_call(lane);
}

/* Nothing is called. */
static void give_unused(struct push_lane *lane)
{
    if (lane->p->user.endpoint)
        endpoint_abandon(lane->p->user.endpoint);
    if (!lane->slot_out)
        return;
    lane->slot_out = false;
    lane->p->slots_out--;
    function_give(&lane->slot, FUNCTION_UNCALLED, 0, 0);
}

/* No request can be made of it: it never will. */
static void refuse(struct push_lane *lane, enum err err, const struct err_text *text)
{
    enum delivery_outcome outcome =
        err == ERR_MEMORY ? OUTCOME_PAYLOAD_TOO_LARGE : OUTCOME_BAD_REQUEST;
    give_unused(lane);
    push_lane_items(lane, lane->n);
    arena_reset(&lane->arena);
    for (uint32_t i = 0; i < lane->n; i++) {
        struct settle_item *item = &lane->items[i];
        item->verb = SETTLE_REJECT;
        item->uncounted = false;
        item->reason = STR_LIT(PUSH_REASON_REFUSED);
        item->description =
            (struct str){arena_strndup(&lane->arena, text->s, strlen(text->s)), strlen(text->s)};
        item->outcome = str_of(outcome_text(outcome));
    }
    lane->delivered = true; /* what follows may go on */
    push_lane_settle(lane);
}

/* Who was asked whether weir may post is told who posts. */
static const char *origin_of(const struct pusher *p)
{
    bool asked = p->s->conf.validation.at != NULL && p->s->conf.format != FORMAT_EVENTGRID;
    return asked ? p->push->conf.origin : NULL;
}

static void send_request(struct push_lane *lane, struct str url)
{
    struct pusher *p = lane->p;
    struct err_text text = {""};
    uint8_t random[AZURE_RANDOM_BYTES];
    if (lane->p->how.azure)
        env_random(p->push->env, random, sizeof random);
    const struct push_request_conf conf = {.s = p->s,
                                           .how = &lane->p->how,
                                           .url = url,
                                           .origin = origin_of(p),
                                           .arena = &lane->arena,
                                           .body = &lane->body,
                                           .now_ms = env_now_ms(p->push->env),
                                           .random = random};
    enum err err =
        push_request_build(&conf, push_lane_message(lane, 0), lane->n, &lane->request, &text);
    if (err == ERR_OK)
        call(lane);
    else
        refuse(lane, err, &text);
}

/* ---- functions ------------------------------------------------------------------------------ */

/* There is a worker, or there will be none. Its address is that of a server: its root is called. */
static void ready(struct function_slot *slot, enum err err)
{
    struct push_lane *lane = container_of(slot, struct push_lane, slot);
    struct pusher *p = lane->p;
    lane->slot_waits = false;
    if (err == ERR_OK) {
        lane->slot_out = true;
        send_request(lane, str_of(slot->url));
        return;
    }
    p->slots_out--;
    if (p->user.endpoint)
        endpoint_abandon(p->user.endpoint);
    pusher_pause(p, NO_WORKER_PAUSE_US);
    push_lane_release(lane);
}

static void take_slot(struct push_lane *lane)
{
    struct pusher *p = lane->p;
    const struct message *m = push_lane_message(lane, 0);
    bool kept = p->s->conf.order == ORDER_PARTITION;
    lane->slot = (struct function_slot){
        .user = &p->fn, .partition = kept ? m->partition : -1, .ready = ready, .lost = lost};
    if (lane->n == 1) /* of several nobody knows of which a line tells */
        lane->slot.correlation = reply_trace_read(m->record).correlation;
    lane->slot_waits = true;
    lane->worker_lost = false;
    p->slots_out++;
    function_take(&lane->slot);
}

/* ---- begin and cancel ----------------------------------------------------------------------- */

void push_call_begin(struct push_lane *lane)
{
    struct pusher *p = lane->p;
    lane->n = push_request_take(&p->how, push_lane_message(lane, 0), lane->end - lane->from);
    lane->slot.worker = 0;
    bool may = !p->leaving && !p->push->stopping &&
               (!p->user.endpoint || endpoint_begin(p->user.endpoint));
    if (!may)
        push_lane_release(lane);
    else if (p->doc)
        take_slot(lane);
    else
        send_request(lane, p->s->conf.target);
}

void push_call_cancel(struct push_lane *lane)
{
    struct pusher *p = lane->p;
    if (lane->calling)
        http_cancel(lane->http, &lane->call);
    if (!lane->slot_waits)
        return;
    function_cancel(&lane->slot);
    lane->slot_waits = false;
    p->slots_out--;
    if (p->user.endpoint)
        endpoint_abandon(p->user.endpoint);
    push_lane_release(lane);
}
