#include "flow/breaker_log.h"

#include "base/arena.h"
#include "base/cursor.h"
#include "base/json.h"
#include "base/mem.h"
#include "broker/event.h"
#include "broker/records.h"
#include "flow/event_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define EVENT_SOURCE "/breakers"
#define EVENT_TYPE "weir.breaker.changed"
#define EVENT_BYTES_MAX EVENT_LOG_BYTES_MAX
#define READ_BYTES ((size_t)1 << 20)

struct breaker_log {
    struct broker *b;
    struct env *env;
    struct event_log *events;
    /* Loading. */
    struct endpoints *endpoints;
    struct records_op read;
    int64_t offset;        /* -1: the end */
    bool reading, waiting; /* in the loop; for an answer */
    void (*loaded)(void *arg);
    void *arg;
};

/* ---- writing -------------------------------------------------------------------------------- */

static void put_member(struct wr *w, const char *name, struct str text, bool quoted)
{
    wr_u8(w, w->len == 0 ? '{' : ',');
    json_write_string(w, str_of(name));
    wr_u8(w, ':');
    if (quoted)
        json_write_string(w, text);
    else
        json_write_raw(w, text);
}

static void put_number(struct wr *w, const char *name, double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.10g", value);
    put_member(w, name, str_of(text), false);
}

static void put_ms(struct wr *w, const char *name, uint64_t ms)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, ms);
    put_member(w, name, str_of(text), false);
}

static void put_data(struct wr *w, const struct endpoint *e, enum breaker_state from,
                     enum breaker_state to)
{
    const struct breaker *b = endpoint_breaker(e);
    put_member(w, "endpoint", str_of(endpoint_name(e)), true);
    put_member(w, "from", str_of(breaker_state_name(from)), true);
    put_member(w, "to", str_of(breaker_state_name(to)), true);
    put_number(w, "failureRate", (double)breaker_failure_rate(b));
    put_number(w, "slowCallRate", (double)breaker_slow_rate(b));
    put_ms(w, "calls", b->total.calls);
    put_ms(w, "attempts", b->attempts);
    put_ms(w, "since", endpoint_wall_ms(e, b->since_us));
    put_ms(w, "retryAt", to == BREAKER_OPEN ? endpoint_wall_ms(e, b->retry_us) : 0);
    wr_u8(w, '}');
}

void breaker_log_write(struct breaker_log *log, const struct endpoint *e, enum breaker_state from,
                       enum breaker_state to)
{
    struct wr data = {0};
    put_data(&data, e, from, to);
    event_log_write(log->events, STR_LIT(EVENT_SOURCE), STR_LIT(EVENT_TYPE),
                    str_of(endpoint_name(e)), (struct str){(const char *)data.buf->data, data.len});
    wr_free(&data);
}

/* ---- reading -------------------------------------------------------------------------------- */

struct told {
    struct str endpoint, to;
    int64_t attempts, since, retry;
};

static void tell_field(struct told *t, struct str name, const struct jr_value *v,
                       struct arena *arena)
{
    if (v->type == JR_STRING && str_is(name, "endpoint"))
        t->endpoint = jr_string(v, arena);
    else if (v->type == JR_STRING && str_is(name, "to"))
        t->to = jr_string(v, arena);
    else if (v->type != JR_NUMBER)
        return;
    else if (str_is(name, "attempts"))
        (void)!str_to_i64(v->text, &t->attempts);
    else if (str_is(name, "since"))
        (void)!str_to_i64(v->text, &t->since);
    else if (str_is(name, "retryAt"))
        (void)!str_to_i64(v->text, &t->retry);
}

static bool read_data(struct str data, struct arena *arena, struct told *t)
{
    struct jr j;
    struct jr_value name, value;
    jr_init(&j, data);
    jr_object(&j);
    while (jr_member(&j, &name) && jr_value(&j, &value))
        tell_field(t, name.text, &value, arena);
    return jr_end(&j) && t->endpoint.at != NULL && t->to.at != NULL && t->attempts >= 0 &&
           t->since >= 0 && t->retry >= 0;
}

/* Anybody may write to the topic: what is no event of ours is passed over. */
static void apply(struct breaker_log *log, const struct record *record, struct arena *arena)
{
    struct event_place place = {.topic_name = BREAKER_LOG_TOPIC, .offset = record->offset};
    struct event event;
    struct told t = {0};
    enum breaker_state state;
    char key[ENDPOINT_KEY_MAX], same[ENDPOINT_KEY_MAX];
    event_of_record(record, &place, arena, &event);
    if (!str_is(event.type, EVENT_TYPE) || event.data.at == NULL ||
        !read_data(event.data, arena, &t) || !breaker_state_parse(t.to.at, t.to.len, &state))
        return;
    if (!str_copy(key, sizeof key, t.endpoint) || !endpoint_key(str_of(key), same) ||
        strcmp(key, same) != 0)
        return;
    if (endpoint_reactor(str_of(key), log->env->reactors) == log->env->reactor)
        endpoint_restore(log->endpoints, key, state, (uint32_t)t.attempts, (uint64_t)t.since,
                         (uint64_t)t.retry);
}

static void apply_batch(struct breaker_log *log, struct records *batch)
{
    struct arena arena;
    arena_init(&arena, EVENT_BYTES_MAX);
    uint32_t n = records_count(batch);
    for (uint32_t i = records_find(batch, log->read.offset); i < n; i++) {
        struct record record;
        records_get(batch, i, &record);
        apply(log, &record, &arena);
        arena_reset(&arena);
    }
    arena_free(&arena);
}

/* Where to go on after an answer; -1: nowhere. */
static int64_t read_next(const struct records_op *r)
{
    if (r->op.err == ERR_OFFSET_RANGE && r->offset < r->log_start)
        return r->log_start;
    bool over = r->next_offset <= r->offset;
    return over || (r->op.err != ERR_OK && r->op.err != ERR_CORRUPT) ? -1 : r->next_offset;
}

static void read_on(struct breaker_log *log);

static void read_done(struct op *op)
{
    struct breaker_log *log = container_of(op, struct breaker_log, read.op);
    struct records_op *r = &log->read;
    for (unsigned i = 0; i < r->n; i++) {
        apply_batch(log, r->batches[i]);
        records_unref(r->batches[i]);
    }
    log->offset = read_next(r);
    log->waiting = false;
    if (log->offset < 0 && op->err != ERR_OK && op->err != ERR_OFFSET_RANGE)
        env_log(log->env, ENV_WARN, "breaker.not_read", "error=%s", err_name(op->err));
    read_on(log);
}

/* Reads as long as answers come at once. */
static void read_on(struct breaker_log *log)
{
    const struct topic *topic = broker_topic(log->b, STR_LIT(BREAKER_LOG_TOPIC));
    if (log->reading)
        return; /* from inside of the loop below, which goes on */
    log->reading = true;
    while (topic && log->offset >= 0 && !log->waiting) {
        log->read = (struct records_op){.op.done = read_done,
                                        .topic = topic->id,
                                        .offset = log->offset,
                                        .bytes_max = READ_BYTES};
        log->waiting = true;
        broker_records(log->b, &log->read);
    }
    log->reading = false;
    if (!log->waiting)
        log->loaded(log->arg);
}

void breaker_log_load(struct breaker_log *log, struct endpoints *endpoints, void (*done)(void *arg),
                      void *arg)
{
    log->endpoints = endpoints;
    log->loaded = done;
    log->arg = arg;
    read_on(log);
}

/* ---- */

struct breaker_log *breaker_log_make(struct broker *b)
{
    struct breaker_log *log = mem_zalloc(1, sizeof *log);
    const struct event_log_conf conf = {.broker = b,
                                        .topic = BREAKER_LOG_TOPIC,
                                        .retention_ms = BREAKER_LOG_RETENTION_MS,
                                        .lost = "breaker.not_logged"};
    log->b = b;
    log->env = broker_env(b);
    log->events = event_log_make(&conf);
    return log;
}

bool breaker_log_busy(const struct breaker_log *log)
{
    return event_log_busy(log->events);
}

void breaker_log_free(struct breaker_log *log)
{
    event_log_free(log->events);
    mem_free(log);
}
