#include "flow/push_validate.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/mem.h"
#include "flow/ascii.h"
#include "flow/push_internal.h"
#include "io/clock.h"

#include <stdio.h>
#include <string.h>

#define PENDING "pending:"
#define DONE_RATE "done:"
#define VALIDATION_MAX 64
#define HANDSHAKE_BYTES_MAX ((size_t)32 << 10)
#define ANSWER_BYTES 4096

struct handshake {
    struct pusher *p;
    struct arena arena;
    struct wr body;
    struct http_call call;
    struct http_header headers[4];
    struct env_timer timer;
    unsigned tries;
    bool calling, judging, putting; /* under way; judging: inside of the answer */
    bool waiting;                   /* for the owner's GET */
    bool stopped;
    struct subscription_conf conf;
    char validation[VALIDATION_MAX];
    struct subscription_put_op put;
};

/* ---- where it stands ------------------------------------------------------------------------ */

static bool begins(struct str s, const char *with)
{
    size_t n = strlen(with);
    return s.len >= n && !memcmp(s.at, with, n);
}

/* 0: there is none. */
static int64_t rate_of(struct str text)
{
    int64_t n;
    bool ok = text.at != NULL && str_to_i64(text, &n) == ERR_OK && n > 0;
    return !ok ? 0 : n < HANDSHAKE_RATE_MAX ? n : HANDSHAKE_RATE_MAX;
}

static int64_t allowed_rate(const struct subscription *s)
{
    struct str v = s->conf.validation;
    size_t n = strlen(DONE_RATE);
    if (v.at == NULL || !begins(v, DONE_RATE))
        return 0;
    return rate_of((struct str){v.at + n, v.len - n});
}

enum push_validation push_validation_of(const struct subscription *s)
{
    struct str v = s->conf.validation;
    if (v.at == NULL || v.len == 0 || str_is(v, "done") || allowed_rate(s) > 0)
        return PUSH_VALID;
    return begins(v, PENDING) ? PUSH_PENDING : PUSH_INVALID;
}

uint64_t push_validation_gap_us(const struct subscription *s)
{
    int64_t rate = allowed_rate(s);
    return rate > 0 ? (uint64_t)60 * 1000000 / (uint64_t)rate : 0;
}

static struct str code_of(const struct subscription *s)
{
    size_t n = strlen(PENDING);
    return (struct str){s->conf.validation.at + n, s->conf.validation.len - n};
}

/* ---- life ----------------------------------------------------------------------------------- */

static void end_if_over(struct handshake *h)
{
    struct pusher *p = h->p;
    if (!h->stopped || h->calling || h->judging || h->putting)
        return;
    env_timer_stop(p->push->env, &h->timer);
    p->handshake = NULL;
    arena_free(&h->arena);
    wr_free(&h->body);
    mem_free(h);
    pusher_pump(p);
}

void handshake_stop(struct handshake *h)
{
    h->stopped = true;
    if (h->calling)
        http_cancel(h->p->push->conf.http, &h->call);
    end_if_over(h);
}

/* ---- its outcome ---------------------------------------------------------------------------- */

/* Written or not: the subscription's watcher knows, and makes a new pusher of what is new. */
static void put_done(struct op *op)
{
    struct handshake *h = container_of(op, struct handshake, put.op);
    subscription_unref(h->put.subscription);
    h->putting = false;
    if (op->err == ERR_OK || op->err == ERR_NOT_FOUND)
        h->stopped = true;
    else if (!h->stopped)
        env_timer_set(h->p->push->env, &h->timer, (uint64_t)HANDSHAKE_AGAIN_MS * 1000);
    end_if_over(h);
}

static void outcome(struct handshake *h, const char *validation)
{
    const struct subscription *s = h->p->s;
    env_log(h->p->push->env, ENV_INFO, "push.validation", "topic=%s subscription=%s outcome=%s",
            s->topic_name, s->name, validation);
    h->conf = s->conf;
    if (validation != h->validation)
        snprintf(h->validation, sizeof h->validation, "%s", validation);
    h->conf.validation = str_of(h->validation);
    h->put = (struct subscription_put_op){.op.done = put_done,
                                          .name = str_of(s->name),
                                          .conf = &h->conf,
                                          .update_only = true,
                                          .expected = s};
    h->putting = true;
    broker_subscription_put(h->p->push->b, &h->put);
}

static void failed(struct handshake *h, const char *why)
{
    const struct subscription *s = h->p->s;
    env_log(h->p->push->env, ENV_WARN, "push.validation_failed",
            "topic=%s subscription=%s try=%u why=\"%s\"", s->topic_name, s->name, h->tries, why);
    if (h->tries < HANDSHAKE_TRIES)
        env_timer_set(h->p->push->env, &h->timer, (uint64_t)HANDSHAKE_AGAIN_MS * 1000);
    else
        outcome(h, "failed");
}

/* ---- Event Grid's --------------------------------------------------------------------------- */

static void put_text(struct wr *w, const char *name, struct str value)
{
    wr_u8(w, w->buf->data[w->len - 1] == '{' ? ' ' : ',');
    json_write_string(w, str_of(name));
    wr_u8(w, ':');
    json_write_string(w, value);
}

static struct str validation_url(struct handshake *h)
{
    const char *base = h->p->push->conf.validation_url;
    struct str code = code_of(h->p->s);
    char id[UUID_TEXT_MAX], text[1024];
    if (!base)
        return STR_LIT("");
    uuid_format(h->p->s->id, id);
    int n = snprintf(text, sizeof text, "%s?id=%s&code=%.*s", base, id, (int)code.len, code.at);
    if (n < 0 || n >= (int)sizeof text)
        return STR_LIT("");
    return (struct str){arena_strndup(&h->arena, text, (size_t)n), (size_t)n};
}

static void write_event(struct handshake *h)
{
    const struct subscription *s = h->p->s;
    struct env *env = h->p->push->env;
    struct wr *w = &h->body;
    uint8_t random[16];
    char id[UUID_TEXT_MAX], time[25];
    env_random(env, random, sizeof random);
    uuid_format(uuid_from_random(random), id);
    clock_format_utc(env_now_ms(env), time);
    w->len = 0;
    wr_bytes(w, "[{", 2);
    put_text(w, "id", str_of(id));
    put_text(w, "topic", str_of(s->topic_name));
    put_text(w, "subject", STR_LIT(""));
    wr_bytes(w, ",\"data\":{", 9);
    put_text(w, "validationCode", code_of(s));
    put_text(w, "validationUrl", validation_url(h));
    wr_u8(w, '}');
    put_text(w, "eventType", STR_LIT("Microsoft.EventGrid.SubscriptionValidationEvent"));
    put_text(w, "eventTime", str_of(time));
    put_text(w, "metadataVersion", STR_LIT("1"));
    put_text(w, "dataVersion", STR_LIT("1"));
    wr_bytes(w, "}]", 2);
}

static void eventgrid_request(struct handshake *h)
{
    write_event(h);
    h->headers[0] =
        (struct http_header){STR_LIT("Content-Type"), STR_LIT("application/json; charset=utf-8")};
    h->headers[1] =
        (struct http_header){STR_LIT("aeg-event-type"), STR_LIT("SubscriptionValidation")};
    h->headers[2] =
        (struct http_header){STR_LIT("aeg-subscription-name"), push_name_upper(&h->arena, h->p->s)};
    h->call.method = "POST";
    h->call.headers_n = 3;
    h->call.body = (struct str){(const char *)h->body.buf->data, h->body.len};
}

static bool answers_code(struct handshake *h)
{
    struct jr j;
    struct jr_value name, value;
    bool right = false;
    jr_init(&j, h->call.answer);
    jr_object(&j);
    while (jr_member(&j, &name) && jr_value(&j, &value)) {
        bool is = ascii_is(name.text, "validationresponse") && value.type == JR_STRING;
        if (is)
            right = str_eq(jr_string(&value, &h->arena), code_of(h->p->s));
    }
    return jr_end(&j) && right;
}

static void eventgrid_answer(struct handshake *h)
{
    if (h->call.outcome != HTTP_ANSWERED || h->call.status != 200) {
        failed(h, h->call.outcome == HTTP_ANSWERED ? "the answer is not 200" : h->call.error);
    } else if (answers_code(h)) {
        outcome(h, "done");
    } else {
        h->waiting = true;
        env_timer_set(h->p->push->env, &h->timer, (uint64_t)HANDSHAKE_MANUAL_MS * 1000);
    }
}

/* ---- CloudEvents' --------------------------------------------------------------------------- */

static void cloudevents_request(struct handshake *h)
{
    h->headers[0] =
        (struct http_header){STR_LIT("WebHook-Request-Origin"), str_of(h->p->push->conf.origin)};
    h->call.method = "OPTIONS";
    h->call.headers_n = 1;
}

static void cloudevents_answer(struct handshake *h)
{
    struct str origin = http_answer_header(&h->call, "webhook-allowed-origin");
    int64_t rate = rate_of(http_answer_header(&h->call, "webhook-allowed-rate"));
    bool named = origin.at != NULL && str_is(origin, h->p->push->conf.origin);
    if (h->call.outcome != HTTP_ANSWERED) {
        failed(h, h->call.error);
    } else if (!named && (origin.at == NULL || !str_is(origin, "*"))) {
        failed(h, "the answer does not allow this origin");
    } else if (rate == 0) {
        outcome(h, "done");
    } else {
        snprintf(h->validation, sizeof h->validation, DONE_RATE "%lld", (long long)rate);
        outcome(h, h->validation);
    }
}

/* ---- steps ---------------------------------------------------------------------------------- */

static bool is_eventgrid(const struct handshake *h)
{
    return h->p->s->conf.format == FORMAT_EVENTGRID;
}

static void called(struct http_call *call)
{
    struct handshake *h = container_of(call, struct handshake, call);
    h->calling = false;
    h->judging = true;
    if (!h->stopped && is_eventgrid(h))
        eventgrid_answer(h);
    else if (!h->stopped)
        cloudevents_answer(h);
    h->judging = false;
    end_if_over(h);
}

static void attempt(struct handshake *h)
{
    const struct subscription_conf *conf = &h->p->s->conf;
    arena_reset(&h->arena);
    h->tries++;
    h->call = (struct http_call){.url = arena_strndup(&h->arena, conf->target.at, conf->target.len),
                                 .headers = h->headers,
                                 .timeout_ms = HANDSHAKE_TIMEOUT_MS,
                                 .answer_bytes_max = ANSWER_BYTES,
                                 .done = called};
    if (is_eventgrid(h))
        eventgrid_request(h);
    else
        cloudevents_request(h);
    h->calling = true;
    http_call(h->p->push->conf.http, &h->call);
}

/* The time between two tries, or of the owner's GET, is over; or a put did not work out. */
static void timer_fired(struct env_timer *timer)
{
    struct handshake *h = container_of(timer, struct handshake, timer);
    if (h->stopped)
        return;
    if (h->waiting || h->tries == HANDSHAKE_TRIES)
        outcome(h, "failed");
    else
        attempt(h);
}

struct handshake *handshake_start(struct pusher *p)
{
    struct handshake *h = mem_zalloc(1, sizeof *h);
    h->p = p;
    h->timer.fire = timer_fired;
    arena_init(&h->arena, HANDSHAKE_BYTES_MAX);
    wr_init(&h->body, 512);
    attempt(h);
    return h;
}
