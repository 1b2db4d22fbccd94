/* api_letters_peek.c: POST /api/v1/deadletters/TOPIC:peek: letters that wait, partition after
 * partition, until there are as many as were asked for. */
#include "front/http/api_letters.h"
#include "front/http/verbs.h"

#define PEEK_AT_ONCE 100
#define EVENT_MEMORY_MAX ((size_t)8 << 20)

struct peek {
    struct letters letters;
    struct peek_op op;
    json_t *items;
    struct arena memory; /* of one event at a time */
    bool running, waiting, more;
    enum err err;
};

static void finish(struct peek *p)
{
    struct http_request *rq = p->letters.rq;
    json_t *items = p->items;
    arena_free(&p->memory);
    letters_end(&p->letters);
    if (p->err) {
        json_decref(items);
        http_answer_error(rq, p->err, NULL);
        return;
    }
    http_answer_json(rq, 200, json_pack("{s:o, s:b}", "items", items, "more", (int)p->more));
}

static void take(struct peek *p, const struct message *m)
{
    struct event_place place = letters_place(&p->letters, m);
    struct letter letter;
    letter_read(&m->record, &letter);
    arena_reset(&p->memory);
    if (!letter_matches(&letter, &place, &p->memory, p->letters.filter))
        return;
    if ((int64_t)json_array_size(p->items) == p->letters.limit)
        p->more = true;
    else
        json_array_append_new(p->items, letter_json(&letter, &place, &p->memory));
}

/* Takes what the op has found; false: that was all. */
static bool next_place(struct peek *p)
{
    for (uint32_t i = 0; i < p->op.n; i++) {
        take(p, &p->op.messages[i]);
        p->op.from = p->op.messages[i].offset + 1;
    }
    if (p->op.n == 0) {
        p->op.partition++;
        p->op.from = 0;
    }
    peek_free(&p->op);
    return !p->more && p->op.partition < p->letters.topic->partitions;
}

static void go(struct peek *p);

static void peeked(struct op *base)
{
    struct peek *p = container_of(base, struct peek, op.op);
    p->err = base->err;
    p->waiting = false;
    go(p);
}

/* An op may be done before it is submitted: the loop goes on instead of calling itself. */
static void go(struct peek *p)
{
    if (p->running)
        return;
    p->running = true;
    while (!p->waiting && !p->err && next_place(p)) {
        p->waiting = true;
        broker_peek(p->letters.rq->broker, &p->op);
    }
    p->running = false;
    if (!p->waiting)
        finish(p);
}

static void begun(struct letters *l)
{
    struct peek *p = container_of(l, struct peek, letters);
    p->items = json_array();
    arena_init(&p->memory, EVENT_MEMORY_MAX);
    p->op = (struct peek_op){.op.done = peeked,
                             .actor = &l->rq->actor,
                             .subscription = l->subscription,
                             .messages_max = PEEK_AT_ONCE};
    p->waiting = true;
    broker_peek(l->rq->broker, &p->op);
}

void http_api_letters_peek(struct http_request *rq)
{
    static const char *const names[] = {"filter", "limit", NULL};
    struct peek *p = http_alloc(rq, 1, sizeof *p);
    if (p)
        letters_begin(&p->letters, rq, names, begun);
    else
        http_answer_error(rq, ERR_MEMORY, NULL);
}
