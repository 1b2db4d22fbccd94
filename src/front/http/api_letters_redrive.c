/* api_letters_redrive.c: POST /api/v1/deadletters/TOPIC:redrive: letters are acquired, and those
 * that the filter takes appended to where they came from and settled, in one group.
 *
 *     acquire --none left, or enough--> release those that were left --> answer
 *        ^   \
 *        |    those that match --> settle with the appends of their records
 *        +-------------------------------+
 *
 * What does not match stays locked until the end, so that it is not looked at twice, save in a
 * request that takes longer than a lock lasts.
 */
#include "front/http/api_letters.h"
#include "front/http/verbs.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define AT_ONCE 100
#define LOOKED_MAX 100000 /* by one request */
#define BYTES_MAX ((size_t)4 << 20)
#define LOCK_MS 10000 /* outlives a turn; what a kill leaves locked is free after that */
#define MEMORY_MAX ((size_t)64 << 20)

struct redrive {
    struct letters letters;
    struct str to; /* at NULL: where each came from */
    uint64_t owner;
    struct acquire_op acquire;
    struct settle_op settle;
    struct release_op release;
    struct settle_item items[AT_ONCE];
    struct publish_op outputs[AT_ONCE];
    size_t n;            /* of this turn */
    struct arena memory; /* of this turn */
    int64_t redriven, looked, homeless;
    bool running, waiting, ended;
    bool more; /* the limit was reached */
    enum err err;
    struct err_text text;
};

/* ---- the end -------------------------------------------------------------------------------- */

static void released(struct op *base)
{
    struct redrive *r = container_of(base, struct redrive, release.op);
    struct http_request *rq = r->letters.rq;
    json_t *json =
        json_pack("{s:I, s:I, s:I, s:b}", "redriven", (json_int_t)r->redriven, "looked",
                  (json_int_t)r->looked, "homeless", (json_int_t)r->homeless, "more", (int)r->more);
    arena_free(&r->memory);
    letters_end(&r->letters);
    if (r->err && r->redriven == 0) {
        json_decref(json);
        http_answer_error(rq, r->err, &r->text);
        return;
    }
    if (r->err)
        json_object_set_new(json, "error",
                            json_string(r->text.s[0] ? r->text.s : err_meaning(r->err)));
    http_answer_json(rq, r->err ? err_http(r->err) : 200, json);
}

static void finish(struct redrive *r)
{
    r->ended = true;
    r->release = (struct release_op){.op.done = released,
                                     .subscription = r->letters.subscription,
                                     .owner = r->owner,
                                     .uncounted = true};
    broker_release_all(r->letters.rq->broker, &r->release);
}

/* ---- one turn ------------------------------------------------------------------------------- */

static void go(struct redrive *r);

/* "weir-redrive/TOPIC/PARTITION/OFFSET": another id than that of the first time, which a topic that
 * drops duplicates remembers. */
static enum err set_message_id(struct redrive *r, const struct message *m, struct publish_op *out)
{
    char id[TOPIC_NAME_MAX + 64];
    int len = snprintf(id, sizeof id, "weir-redrive/%s/%d/%lld", r->letters.topic->name,
                       m->partition, (long long)m->offset);
    char *copy = arena_strndup(&r->memory, id, (size_t)len);
    struct record_header *headers = (struct record_header *)(uintptr_t)out->record.headers;
    size_t n = 0;
    if (!copy)
        return ERR_MEMORY;
    for (size_t i = 0; i < out->record.headers_n; i++) {
        if (!str_is(headers[i].key, "message-id"))
            headers[n++] = headers[i];
    }
    if (n == PUBLISH_HEADERS_MAX)
        return ERR_RECORD_INVALID;
    headers[n++] = (struct record_header){STR_LIT("message-id"), {copy, (size_t)len}};
    out->record.headers_n = n;
    out->message_id = (struct str){copy, (size_t)len};
    return ERR_OK;
}

/* Adds the letter to this turn, if the filter takes it. */
static enum err take(struct redrive *r, const struct message *m)
{
    struct http_request *rq = r->letters.rq;
    struct event_place place = letters_place(&r->letters, m);
    struct letter letter;
    letter_read(&m->record, &letter);
    r->looked++;
    if (!letter_matches(&letter, &place, &r->memory, r->letters.filter))
        return ERR_OK;
    struct str to = r->to.at ? r->to : letter.topic;
    const struct topic *t = to.at ? broker_topic(rq->broker, to) : NULL;
    if (!t) { /* its topic is gone, or it is no letter */
        r->homeless++;
        return ERR_OK;
    }
    struct publish_op *out = &r->outputs[r->n];
    *out = (struct publish_op){.actor = &rq->actor, .topic = t->id, .partition = -1};
    enum err err = letter_record(&letter, &r->memory, &out->record);
    if (!err && t->conf.duplicates_window_ms > 0)
        err = set_message_id(r, m, out);
    r->items[r->n] = (struct settle_item){.token = m->token, .verb = SETTLE_ACCEPT};
    r->n += !err;
    return err;
}

static void settled(struct op *base)
{
    struct redrive *r = container_of(base, struct redrive, settle.op);
    r->err = base->err;
    r->text = r->settle.text;
    r->redriven += base->err ? 0 : (int64_t)r->n;
    acquire_free(&r->acquire);
    arena_reset(&r->memory);
    r->waiting = false;
    go(r);
}

static void settle(struct redrive *r)
{
    r->waiting = true;
    r->settle = (struct settle_op){.op.done = settled,
                                   .actor = &r->letters.rq->actor,
                                   .subscription = r->letters.subscription,
                                   .items = r->items,
                                   .items_n = r->n,
                                   .outputs = r->outputs,
                                   .outputs_n = r->n};
    broker_settle(r->letters.rq->broker, &r->settle);
}

static void acquired(struct op *base)
{
    struct redrive *r = container_of(base, struct redrive, acquire.op);
    uint32_t n = r->acquire.n;
    r->waiting = false;
    r->err = base->err;
    r->text = r->acquire.text;
    r->n = 0;
    for (uint32_t i = 0; i < n && !r->err; i++)
        r->err = take(r, &r->acquire.messages[i]);
    if (!r->err && r->n) {
        settle(r);
        return;
    }
    acquire_free(&r->acquire);
    arena_reset(&r->memory);
    r->ended = n == 0;
    go(r);
}

static void acquire(struct redrive *r)
{
    int64_t left = r->letters.limit - r->redriven;
    r->waiting = true;
    r->acquire = (struct acquire_op){.op.done = acquired,
                                     .actor = &r->letters.rq->actor,
                                     .subscription = r->letters.subscription,
                                     .partition = -1,
                                     .owner = r->owner,
                                     .messages_max = (uint32_t)(left < AT_ONCE ? left : AT_ONCE),
                                     .bytes_max = BYTES_MAX,
                                     .lock_ms = LOCK_MS};
    broker_acquire(r->letters.rq->broker, &r->acquire);
}

/* An op may be done before it is submitted: the loop goes on instead of calling itself. */
static void go(struct redrive *r)
{
    if (r->running)
        return;
    r->running = true;
    while (!r->waiting && !r->ended && !r->err) {
        r->more = r->redriven >= r->letters.limit || r->looked >= LOOKED_MAX;
        if (r->more)
            break;
        acquire(r);
    }
    r->running = false;
    if (!r->waiting)
        finish(r);
}

static void begun(struct letters *l)
{
    struct redrive *r = container_of(l, struct redrive, letters);
    r->owner = broker_owner(l->rq->broker);
    arena_init(&r->memory, MEMORY_MAX);
    go(r);
}

void http_api_letters_redrive(struct http_request *rq)
{
    static const char *const names[] = {"filter", "limit", "to", NULL};
    struct redrive *r = http_alloc(rq, 1, sizeof *r);
    struct str to = http_query(rq, "to");
    if (!r) {
        http_answer_error(rq, ERR_MEMORY, NULL);
    } else if (to.at && !broker_topic(rq->broker, to)) {
        http_answer_problem(rq, 404, "TOPIC_UNKNOWN", "there is no topic %.*s",
                            (int)(to.len < 200 ? to.len : 200), to.at);
    } else {
        r->to = to;
        letters_begin(&r->letters, rq, names, begun);
    }
}
