#include "flow/event_log.h"

#include "base/arena.h"
#include "base/assert.h"
#include "base/mem.h"
#include "broker/event.h"
#include "broker/publish.h"
#include "io/clock.h"

#include <stdio.h>
#include <string.h>

#define AGAIN_US ((uint64_t)1000000)

/* One event on its way. */
struct note {
    struct list link;
    struct event_log *log;
    unsigned tries;
    struct arena arena; /* of the record */
    struct publish_op op;
};

struct event_log {
    struct event_log_conf conf;
    struct env *env;
    struct list notes; /* the first is being written */
    size_t notes_n;
    bool writing;
    struct env_timer again;
    struct topic_create_op create;
    struct topic_setting setting;
};

static void write_next(struct event_log *log);

static void note_free(struct event_log *log, struct note *n)
{
    list_remove(&n->link);
    log->notes_n--;
    arena_free(&n->arena);
    mem_free(n);
}

static struct note *first_note(struct event_log *log)
{
    return container_of(log->notes.next, struct note, link);
}

static void try_again(struct event_log *log, enum err err)
{
    struct note *n = first_note(log);
    if (++n->tries == EVENT_LOG_TRIES) {
        env_log(log->env, ENV_WARN, log->conf.lost, "error=%s", err_name(err));
        note_free(log, n);
    }
    env_timer_set(log->env, &log->again, AGAIN_US);
}

static void topic_made(struct op *op)
{
    struct event_log *log = container_of(op, struct event_log, create.op);
    topic_unref(log->create.topic);
    log->writing = false;
    if (op->err == ERR_OK || op->err == ERR_TOPIC_EXISTS)
        write_next(log);
    else
        try_again(log, op->err);
}

static void make_topic(struct event_log *log)
{
    log->setting = (struct topic_setting){STR_LIT("retention.ms"), str_of(log->conf.retention_ms)};
    log->create = (struct topic_create_op){.op.done = topic_made,
                                           .name = str_of(log->conf.topic),
                                           .partitions = 1,
                                           .replication = 1,
                                           .settings = &log->setting,
                                           .settings_n = 1};
    log->writing = true;
    broker_topic_create(log->conf.broker, &log->create);
}

static void written(struct op *op)
{
    struct note *n = container_of(op, struct note, op.op);
    struct event_log *log = n->log;
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

static void write_next(struct event_log *log)
{
    if (log->writing || list_empty(&log->notes) || env_timer_armed(&log->again))
        return;
    struct note *n = first_note(log);
    const struct topic *topic = broker_topic(log->conf.broker, str_of(log->conf.topic));
    if (!topic) {
        make_topic(log);
        return;
    }
    n->op.topic = topic->id;
    log->writing = true;
    broker_publish(log->conf.broker, &n->op);
}

static void again(struct env_timer *timer)
{
    write_next(container_of(timer, struct event_log, again));
}

/* ---- events --------------------------------------------------------------------------------- */

static struct str copy(struct arena *arena, struct str s)
{
    return (struct str){arena_copy(arena, s.at, s.len), s.len};
}

static enum err make_record(struct event_log *log, struct note *n, struct event *event)
{
    char id[33], time[25];
    uint8_t random[40];
    env_random(log->env, random, sizeof random);
    for (int i = 0; i < 16; i++)
        snprintf(id + 2 * i, 3, "%02x", random[i]);
    clock_format_utc(env_now_ms(log->env), time);
    event->id = copy(&n->arena, (struct str){id, 32});
    event->time = copy(&n->arena, str_of(time));
    event->datacontenttype = STR_LIT("application/json");
    event->data_is_json = true;
    n->op.record.key = event->subject;
    return event_to_record(event, random + 16, &n->arena, &n->op.record, &n->op.text);
}

void event_log_write(struct event_log *log, struct str source, struct str type, struct str subject,
                     struct str data)
{
    struct note *n = mem_zalloc(1, sizeof *n);
    struct event event;
    n->log = log;
    arena_init(&n->arena, EVENT_LOG_BYTES_MAX);
    n->op = (struct publish_op){.op.done = written, .partition = 0};
    event_init(&event);
    event.source = copy(&n->arena, source);
    event.type = copy(&n->arena, type);
    event.subject = copy(&n->arena, subject);
    event.data = copy(&n->arena, data);
    enum err err = make_record(log, n, &event);
    weir_assert(err == ERR_OK); /* our own words, within their bounds */
    list_push(&log->notes, &n->link);
    if (++log->notes_n > EVENT_LOG_WAITING_MAX)
        note_free(log, container_of(log->notes.next->next, struct note, link));
    write_next(log);
}

/* ---- */

struct event_log *event_log_make(const struct event_log_conf *conf)
{
    struct event_log *log = mem_zalloc(1, sizeof *log);
    log->conf = *conf;
    log->env = broker_env(conf->broker);
    log->again.fire = again;
    list_init(&log->notes);
    return log;
}

bool event_log_busy(const struct event_log *log)
{
    return log->writing;
}

void event_log_free(struct event_log *log)
{
    weir_assert(!log->writing);
    env_timer_stop(log->env, &log->again);
    while (!list_empty(&log->notes))
        note_free(log, first_note(log));
    mem_free(log);
}
