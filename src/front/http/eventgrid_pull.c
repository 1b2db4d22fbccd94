/* Pull delivery of Event Grid's namespace topics (2023-11-01 and later), on the verbs of ledgers:
 *
 *     POST /topics/T/eventsubscriptions/S:receive?maxEvents=1..100&maxWaitTime=10..120
 *     POST /topics/T/eventsubscriptions/S:acknowledge | :release | :reject | :renewLock
 *
 * The second kind takes {"lockTokens": [...]} and tells of each token whether it was taken: one
 * that is none, or whose lock is lost, does not stop the others. :release has the query
 * releaseDelayInSeconds, which is 0, 10, 60, 600 or 3600.
 *
 * A receive waits for the first event; a client that goes away meanwhile gives back, uncounted,
 * what was acquired for it.
 */
#include "front/http/eventgrid.h"

#include "base/assert.h"
#include "base/base64.h"
#include "base/json.h"
#include "broker/delivery.h"
#include "broker/event.h"
#include "front/http/conn.h"

#include <string.h>

#define EVENTS_MAX 100
#define WAIT_MIN_S 10
#define WAIT_MAX_S 120
#define WAIT_DEFAULT_S 60
#define ANSWER_BYTES_MAX ((size_t)4 << 20) /* of records; the first comes whatever its size */
#define TOKENS_MAX 1000
#define TOKEN_TEXT BASE64_LEN(sizeof(struct lock_token))

/* The subscription that the path names; NULL: refused, and answered. */
static const struct subscription *named(struct http_request *rq, const struct topic **topic)
{
    *topic = eventgrid_topic(rq, rq->params[0]);
    if (!*topic)
        return NULL;
    const struct subscription *s = eventgrid_subscription(rq, *topic, rq->params[1]);
    if (s && s->conf.deliver != DELIVER_PULL) {
        http_answer_problem(rq, 400, "BadRequest",
                            "event subscription %s is pushed to its endpoint, not received",
                            s->name);
        return NULL;
    }
    if (s && s->conf.order == ORDER_KEY) {
        http_answer_problem(rq, 400, "BadRequest",
                            "event subscription %s is ordered by key: its messages are received "
                            "session by session, which this API has no words for",
                            s->name);
        return NULL;
    }
    return s;
}

/* ---- receive --------------------------------------------------------------------------------- */

struct receiving {
    struct acquire_op acquire;
    struct http_request *rq;
    struct uuid topic;
    char topic_name[TOPIC_NAME_MAX + 1];
    /* What is given back when the client has gone. */
    struct settle_op settle;
    struct settle_item items[EVENTS_MAX];
};

static void put_message(struct receiving *r, const struct message *m, struct wr *w)
{
    char token[TOKEN_TEXT + 1];
    struct event event;
    struct event_place place = {.topic_name = r->topic_name,
                                .topic = r->topic,
                                .partition = m->partition,
                                .offset = m->offset};
    event_of_record(&m->record, &place, &r->rq->arena, &event);
    base64_encode(token, m->token.b, sizeof m->token.b);
    wr_printf(w,
              "{\"brokerProperties\":{\"lockToken\":\"%s\",\"deliveryCount\":%u},\"event\":", token,
              m->deliveries);
    event_write_json(&event, w);
    wr_text(w, "}");
}

static void answer_messages(struct receiving *r)
{
    struct wr w;
    wr_init(&w, 1024);
    wr_text(&w, "{\"value\":[");
    for (uint32_t i = 0; i < r->acquire.n; i++) {
        if (i)
            wr_text(&w, ",");
        put_message(r, &r->acquire.messages[i], &w);
    }
    wr_text(&w, "]}");
    acquire_free(&r->acquire);
    http_answer_written(r->rq, 200, "application/json; charset=utf-8", &w);
}

static void given_back(struct op *op)
{
    struct receiving *r = container_of(op, struct receiving, settle.op);
    http_answer_empty(r->rq, 503); /* which nobody reads */
}

static void give_back(struct receiving *r)
{
    for (uint32_t i = 0; i < r->acquire.n; i++)
        r->items[i] = (struct settle_item){
            .token = r->acquire.messages[i].token, .verb = SETTLE_RELEASE, .uncounted = true};
    r->settle = (struct settle_op){.op.done = given_back,
                                   .actor = &r->rq->actor,
                                   .subscription = r->acquire.subscription,
                                   .items = r->items,
                                   .items_n = r->acquire.n};
    acquire_free(&r->acquire);
    broker_settle(r->rq->broker, &r->settle);
}

static void received(struct op *op)
{
    struct receiving *r = container_of(op, struct receiving, acquire.op);
    r->rq->cancel = NULL;
    if (op->err)
        http_answer_error(r->rq, op->err, &r->acquire.text);
    else if (r->acquire.n && !r->rq->conn->pipe)
        give_back(r);
    else
        answer_messages(r);
}

static void stop_waiting(struct http_request *rq)
{
    struct receiving *r = rq->state;
    broker_acquire_cancel(rq->broker, &r->acquire);
}

static enum err receive_read(struct http_request *rq, int64_t *events, int64_t *wait_s,
                             struct err_text *text)
{
    static const char *const names[] = {"api-version", "maxEvents", "maxWaitTime", NULL};
    *events = 1;
    *wait_s = WAIT_DEFAULT_S;
    enum err err = http_query_only(rq, names, text);
    if (!err)
        err = http_query_int(rq, "maxEvents", 1, EVENTS_MAX, events, text);
    if (!err)
        err = http_query_int(rq, "maxWaitTime", WAIT_MIN_S, WAIT_MAX_S, wait_s, text);
    return err;
}

void eventgrid_receive(struct http_request *rq)
{
    const struct topic *topic;
    struct err_text text = {""};
    int64_t events, wait_s;
    enum err err = receive_read(rq, &events, &wait_s, &text);
    struct receiving *r = err ? NULL : http_alloc(rq, 1, sizeof *r);
    if (!r) {
        http_answer_error(rq, err ? err : ERR_MEMORY, &text);
        return;
    }
    const struct subscription *s = named(rq, &topic);
    if (!s)
        return;
    r->rq = rq;
    r->topic = topic->id;
    str_copy(r->topic_name, sizeof r->topic_name, str_of(topic->name));
    r->acquire = (struct acquire_op){.op.done = received,
                                     .actor = &rq->actor,
                                     .subscription = s->id,
                                     .partition = -1,
                                     .owner = broker_owner(rq->broker),
                                     .messages_max = (uint32_t)events,
                                     .bytes_max = ANSWER_BYTES_MAX,
                                     .wait_ms = (uint32_t)wait_s * 1000};
    rq->state = r;
    rq->cancel = stop_waiting;
    broker_acquire(rq->broker, &r->acquire);
}

/* ---- acknowledge, release, reject, renewLock ------------------------------------------------- */

struct settling {
    struct settle_op settle;
    struct http_request *rq;
    struct str *tokens; /* as they came; those that are none have no item */
    bool *bad;
    size_t n;
};

static void put_failed(struct wr *w, struct str token, const char *code, const char *why)
{
    wr_text(w, "{\"lockToken\":");
    json_write_string(w, token);
    wr_printf(w, ",\"error\":{\"code\":\"%s\",\"message\":", code);
    json_write_string(w, str_of(why));
    wr_text(w, "}}");
}

/* The item of token i, or NULL: it is none of ours. */
static const struct settle_item *item_of(const struct settling *s, size_t i, size_t *next)
{
    return s->bad[i] ? NULL : &s->settle.items[(*next)++];
}

static void put_all_failed(const struct settling *s, struct wr *w)
{
    bool first = true;
    for (size_t i = 0, next = 0; i < s->n; i++) {
        const struct settle_item *item = item_of(s, i, &next);
        if (item && !item->err)
            continue;
        if (!first)
            wr_text(w, ",");
        first = false;
        if (!item)
            put_failed(w, s->tokens[i], "BadToken", "this is no lock token of this broker");
        else if (item->err == ERR_LOCK_LOST)
            put_failed(w, s->tokens[i], "TokenLost", err_meaning(item->err));
        else
            put_failed(w, s->tokens[i], "InternalServerError", err_meaning(item->err));
    }
}

static void put_all_succeeded(const struct settling *s, struct wr *w)
{
    bool first = true;
    for (size_t i = 0, next = 0; i < s->n; i++) {
        const struct settle_item *item = item_of(s, i, &next);
        if (!item || item->err)
            continue;
        if (!first)
            wr_text(w, ",");
        first = false;
        json_write_string(w, s->tokens[i]);
    }
}

static void answer_settled(struct settling *s)
{
    struct wr w;
    wr_init(&w, 256 + 64 * s->n);
    wr_text(&w, "{\"failedLockTokens\":[");
    put_all_failed(s, &w);
    wr_text(&w, "],\"succeededLockTokens\":[");
    put_all_succeeded(s, &w);
    wr_text(&w, "]}");
    http_answer_written(s->rq, 200, "application/json; charset=utf-8", &w);
}

static void settled(struct op *op)
{
    struct settling *s = container_of(op, struct settling, settle.op);
    /* Where no item could be settled, each says why. */
    if (op->err && !s->settle.items[0].err)
        http_answer_error(s->rq, op->err, &s->settle.text);
    else
        answer_settled(s);
}

static bool token_read(struct str text, struct lock_token *out)
{
    size_t n;
    return base64_decode(text, out->b, sizeof out->b, &n) && n == sizeof out->b;
}

/* Fills s from the body; the tokens' texts live in the request's arena. */
static enum err tokens_read(struct settling *s, const json_t *body, const struct settle_item *how,
                            struct err_text *text)
{
    const json_t *list = json_object_get(body, "lockTokens");
    size_t n = json_array_size(list);
    if (n == 0 || n > TOKENS_MAX)
        return err_say(text, ERR_REQUEST_INVALID,
                       "the body must be {\"lockTokens\": [...]} with 1 to %d tokens", TOKENS_MAX);
    s->n = n;
    s->tokens = http_alloc(s->rq, n, sizeof *s->tokens);
    s->bad = http_alloc(s->rq, n, sizeof *s->bad);
    s->settle.items = http_alloc(s->rq, n, sizeof *s->settle.items);
    if (!s->tokens || !s->bad || !s->settle.items)
        return ERR_MEMORY;
    for (size_t i = 0; i < n; i++) {
        const char *token = json_string_value(json_array_get(list, i));
        char *copy = token ? http_text(s->rq, str_of(token)) : NULL;
        if (!copy)
            return token ? ERR_MEMORY
                         : err_say(text, ERR_REQUEST_INVALID, "lock tokens must be strings");
        struct settle_item *item = &s->settle.items[s->settle.items_n];
        *item = *how;
        s->tokens[i] = str_of(copy);
        s->bad[i] = !token_read(s->tokens[i], &item->token);
        s->settle.items_n += !s->bad[i];
    }
    return ERR_OK;
}

static enum err settle_read(struct settling *s, const struct settle_item *how,
                            struct err_text *text)
{
    json_t *body;
    enum err err = http_body_json(s->rq, &body, text);
    if (err)
        return err;
    err = tokens_read(s, body, how, text);
    json_decref(body);
    return err;
}

static void settle(struct http_request *rq, const struct settle_item *how)
{
    const struct topic *topic;
    struct err_text text = {""};
    struct settling *s = http_alloc(rq, 1, sizeof *s);
    if (!s) {
        http_answer_error(rq, ERR_MEMORY, NULL);
        return;
    }
    s->rq = rq;
    enum err err = settle_read(s, how, &text);
    if (err) {
        http_answer_error(rq, err, &text);
        return;
    }
    const struct subscription *subscription = named(rq, &topic);
    if (!subscription)
        return;
    if (s->settle.items_n == 0) {
        answer_settled(s);
        return;
    }
    s->settle.op.done = settled;
    s->settle.actor = &rq->actor;
    s->settle.subscription = subscription->id;
    broker_settle(rq->broker, &s->settle);
}

/* Refuses what the query must not have; answers then. */
static bool query_is(struct http_request *rq, const char *const *names)
{
    struct err_text text = {""};
    enum err err = http_query_only(rq, names, &text);
    if (err)
        http_answer_error(rq, err, &text);
    return !err;
}

static const char *const version_only[] = {"api-version", NULL};

void eventgrid_acknowledge(struct http_request *rq)
{
    if (query_is(rq, version_only))
        settle(rq, &(struct settle_item){.verb = SETTLE_ACCEPT});
}

void eventgrid_reject(struct http_request *rq)
{
    if (query_is(rq, version_only))
        settle(rq, &(struct settle_item){.verb = SETTLE_REJECT, .reason = STR_LIT("Rejected")});
}

void eventgrid_renew(struct http_request *rq)
{
    if (query_is(rq, version_only))
        settle(rq, &(struct settle_item){.verb = SETTLE_RENEW});
}

void eventgrid_release(struct http_request *rq)
{
    static const char *const names[] = {"api-version", "releaseDelayInSeconds", NULL};
    static const int64_t delays[] = {0, 10, 60, 600, 3600};
    struct err_text text = {""};
    int64_t delay = 0;
    bool fits = false;
    if (!query_is(rq, names))
        return;
    enum err err = http_query_int(rq, "releaseDelayInSeconds", 0, 3600, &delay, &text);
    for (size_t i = 0; i < sizeof delays / sizeof *delays; i++)
        fits |= delay == delays[i];
    if (!err && !fits)
        err = err_say(&text, ERR_REQUEST_INVALID,
                      "releaseDelayInSeconds must be 0, 10, 60, 600 or 3600");
    if (err)
        http_answer_error(rq, err, &text);
    else
        settle(rq,
               &(struct settle_item){.verb = SETTLE_RELEASE, .delay_ms = (uint32_t)delay * 1000});
}
