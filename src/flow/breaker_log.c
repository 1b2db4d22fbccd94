#include "flow/breaker_log.h"

#include "base/arena.h"
#include "base/assert.h"
#include "base/cursor.h"
#include "base/json.h"
#include "base/mem.h"
#include "broker/event.h"
#include "broker/publish.h"
#include "broker/records.h"
#include "io/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define EVENT_TYPE "weir.breaker.changed"
#define EVENT_BYTES_MAX ((size_t)64 << 10)
#define READ_BYTES ((size_t)1 << 20)
#define AGAIN_US ((uint64_t)1000000)

/* One event on its way. */
struct note {
    struct list link;
    struct breaker_log *log;
    unsigned tries;
    struct arena arena; /* of the record */
    struct publish_op op;
};

struct breaker_log {
    struct broker *b;
    struct env *env;
    struct list notes; /* the first is being written */
    size_t notes_n;
    bool writing;
    struct env_timer again;
    struct topic_create_op create;
    struct topic_setting setting;
    /* Loading. */
    struct endpoints *endpoints;
    struct records_op read;
    int64_t offset;        /* -1: the end */
    bool reading, waiting; /* in the loop; for an answer */
    void (*loaded)(void *arg);
    void *arg;
};

/* ---- writing -------------------------------------------------------------------------------- */

static void write_next(struct breaker_log *log);

static void note_free(struct breaker_log *log, struct note *n)
{
    list_remove(&n->link);
    log->notes_n--;
    arena_free(&n->arena);
    mem_free(n);
}

static struct note *first_note(struct breaker_log *log)
{
    return container_of(log->notes.next, struct note, link);
}

static void try_again(struct breaker_log *log, enum err err)
{
    struct note *n = first_note(log);
    if (++n->tries == BREAKER_LOG_TRIES) {
        env_log(log->env, ENV_WARN, "breaker.not_logged", "error=%s", err_name(err));
        note_free(log, n);
    }
    env_timer_set(log->env, &log->again, AGAIN_US);
}

static void topic_made(struct op *op)
{
    struct breaker_log *log = container_of(op, struct breaker_log, create.op);
    topic_unref(log->create.topic);
    log->writing = false;
    if (op->err == ERR_OK || op->err == ERR_TOPIC_EXISTS)
        write_next(log);
    else
        try_again(log, op->err);
}

static void make_topic(struct breaker_log *log)
{
    log->setting =
        (struct topic_setting){STR_LIT("retention.ms"), STR_LIT(BREAKER_LOG_RETENTION_MS)};
    log->create = (struct topic_create_op){.op.done = topic_made,
                                           .name = STR_LIT(BREAKER_LOG_TOPIC),
                                           .partitions = 1,
                                           .replication = 1,
                                           .settings = &log->setting,
                                           .settings_n = 1};
    log->writing = true;
    broker_topic_create(log->b, &log->create);
}

static void written(struct op *op)
{
    struct note *n = container_of(op, struct note, op.op);
    struct breaker_log *log = n->log;
    log->writing = false;
    if (op->err == ERR_TOPIC_UNKNOWN) {
        make_topic(log);
    } else if (op->err != ERR_OK) {
        try_again(log, op->err);
    } else {
        note_free(log, n);
        write_next(log);
    }
}

static void write_next(struct breaker_log *log)
{
    if (log->writing || list_empty(&log->notes) || env_timer_armed(&log->again))
        return;
    struct note *n = first_note(log);
    const struct topic *topic = broker_topic(log->b, STR_LIT(BREAKER_LOG_TOPIC));
    if (!topic) {
        make_topic(log);
        return;
    }
    n->op.topic = topic->id;
    log->writing = true;
    broker_publish(log->b, &n->op);
}

static void again(struct env_timer *timer)
{
    write_next(container_of(timer, struct breaker_log, again));
}

/* ---- events --------------------------------------------------------------------------------- */

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

static struct str copy(struct arena *arena, const void *p, size_t n)
{
    return (struct str){arena_copy(arena, p, n), n};
}

static enum err make_record(struct breaker_log *log, struct note *n, const struct endpoint *e,
                            struct wr *data)
{
    struct event event;
    char id[33], time[25];
    uint8_t random[40];
    event_init(&event);
    env_random(log->env, random, sizeof random);
    for (int i = 0; i < 16; i++)
        snprintf(id + 2 * i, 3, "%02x", random[i]);
    clock_format_utc(env_now_ms(log->env), time);
    event.id = copy(&n->arena, id, 32);
    event.source = STR_LIT("/breakers");
    event.type = STR_LIT(EVENT_TYPE);
    event.time = copy(&n->arena, time, strlen(time));
    event.subject = copy(&n->arena, endpoint_name(e), strlen(endpoint_name(e)));
    event.datacontenttype = STR_LIT("application/json");
    event.data = copy(&n->arena, data->buf->data, data->len);
    event.data_is_json = true;
    n->op.record.key = event.subject;
    return event_to_record(&event, random + 16, &n->arena, &n->op.record, &n->op.text);
}

void breaker_log_write(struct breaker_log *log, const struct endpoint *e, enum breaker_state from,
                       enum breaker_state to)
{
    struct note *n = mem_zalloc(1, sizeof *n);
    struct wr data = {0};
    n->log = log;
    arena_init(&n->arena, EVENT_BYTES_MAX);
    n->op = (struct publish_op){.op.done = written, .partition = 0};
    put_data(&data, e, from, to);
    enum err err = make_record(log, n, e, &data);
    wr_free(&data);
    weir_assert(err == ERR_OK); /* our own words, bounded by ENDPOINT_KEY_MAX */
    list_push(&log->notes, &n->link);
    if (++log->notes_n > BREAKER_LOG_WAITING_MAX)
        note_free(log, container_of(log->notes.next->next, struct note, link));
    write_next(log);
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
    log->b = b;
    log->env = broker_env(b);
    log->again.fire = again;
    list_init(&log->notes);
    return log;
}

bool breaker_log_busy(const struct breaker_log *log)
{
    return log->writing;
}

void breaker_log_free(struct breaker_log *log)
{
    weir_assert(!log->writing);
    env_timer_stop(log->env, &log->again);
    while (!list_empty(&log->notes))
        note_free(log, first_note(log));
    mem_free(log);
}
