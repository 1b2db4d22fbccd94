/* api_letters_list.c: GET /api/v1/deadletters: every topic that some subscription names for its
 * dead letters. */
#include "front/http/api_letters.h"
#include "front/http/verbs.h"

#define BOXES_MAX 1000

struct box;

/* One end of a partition. */
struct end {
    struct list_op op;
    struct box *box;
};

/* One topic: what waits there, by its subscription or, where it has none yet, all of it. */
struct box {
    struct listing *all;
    struct str topic;
    json_t *row, *from;
    struct ledger_stat_op stat;
    struct end *ends; /* the first and the last offset of each partition, in turn */
    int32_t ends_n, ends_left;
};

struct listing {
    struct http_request *rq;
    struct box *boxes;
    size_t n, left; /* left counts the loop that starts them too */
};

/* ---- counting ------------------------------------------------------------------------------- */

static void box_done(struct listing *all)
{
    if (--all->left)
        return;
    json_t *rows = json_array();
    for (size_t i = 0; i < all->n; i++)
        json_array_append_new(rows, all->boxes[i].row);
    http_answer_json(all->rq, 200, json_pack("{s:o}", "items", rows));
}

static void counted(struct box *box, int64_t waiting)
{
    json_object_set_new(box->row, "waiting", json_integer(waiting));
    box_done(box->all);
}

static void stat_done(struct op *base)
{
    struct box *box = container_of(base, struct box, stat.op);
    counted(box, (int64_t)(box->stat.ready + box->stat.acquired + box->stat.delayed));
}

static void end_done(struct op *base)
{
    struct box *box = container_of(base, struct end, op.op)->box;
    int64_t waiting = 0;
    if (--box->ends_left)
        return;
    for (int32_t i = 0; i < box->ends_n; i += 2) {
        if (!box->ends[i].op.op.err && !box->ends[i + 1].op.op.err)
            waiting += box->ends[i + 1].op.offset - box->ends[i].op.offset;
    }
    counted(box, waiting);
}

static void count_log(struct box *box, const struct topic *t)
{
    struct http_request *rq = box->all->rq;
    box->ends = http_alloc(rq, (size_t)t->partitions * 2, sizeof *box->ends);
    if (!box->ends) {
        counted(box, 0);
        return;
    }
    box->ends_n = box->ends_left = t->partitions * 2;
    for (int32_t i = 0; i < box->ends_n; i++) {
        box->ends[i] = (struct end){.op = {.op.done = end_done,
                                           .actor = &rq->actor,
                                           .topic = t->id,
                                           .partition = i / 2,
                                           .timestamp = i % 2 ? LIST_LATEST : LIST_EARLIEST,
                                           .leader_epoch = -1},
                                    .box = box};
    }
    for (int32_t i = 0, n = box->ends_n; i < n; i++)
        broker_list_offset(rq->broker, &box->ends[i].op);
}

static void count(struct box *box)
{
    struct http_request *rq = box->all->rq;
    struct broker *b = rq->broker;
    const struct topic *t = broker_topic(b, box->topic);
    const struct subscription *s =
        t ? broker_subscription(b, &t->id, STR_LIT(LETTERS_SUBSCRIPTION)) : NULL;
    if (s) {
        box->stat = (struct ledger_stat_op){
            .op.done = stat_done, .actor = &rq->actor, .subscription = s->id};
        broker_ledger_stat(b, &box->stat);
    } else if (t) {
        count_log(box, t);
    } else {
        counted(box, 0); /* no message has died yet: the topic is made by the first */
    }
}

/* ---- which there are ------------------------------------------------------------------------ */

static struct box *find_box(struct listing *all, struct str topic)
{
    for (size_t i = 0; i < all->n; i++) {
        if (str_eq(all->boxes[i].topic, topic))
            return &all->boxes[i];
    }
    if (all->n == BOXES_MAX)
        return NULL;
    struct box *box = &all->boxes[all->n++];
    box->all = all;
    box->topic = topic;
    box->from = json_array();
    box->row = json_pack("{s:o, s:o}", "topic", json_stringn(topic.at, topic.len), "subscriptions",
                         box->from);
    return box;
}

static void find_boxes(struct listing *all)
{
    struct http_request *rq = all->rq;
    for (const struct subscription *s = api_subscription_next(rq, NULL); s;
         s = api_subscription_next(rq, s)) {
        struct box *box = s->conf.dead_letter.at ? find_box(all, s->conf.dead_letter) : NULL;
        if (box)
            json_array_append_new(box->from, json_pack("{s:s, s:s}", "topic", s->topic_name,
                                                       "subscription", s->name));
    }
}

void http_api_letters(struct http_request *rq)
{
    static const char *const none[] = {NULL};
    struct err_text text = {""};
    struct listing *all = http_alloc(rq, 1, sizeof *all);
    enum err err = http_query_only(rq, none, &text);
    if (all)
        all->boxes = http_alloc(rq, BOXES_MAX, sizeof *all->boxes);
    if (err || !all || !all->boxes) {
        http_answer_error(rq, err ? err : ERR_MEMORY, &text);
        return;
    }
    all->rq = rq;
    rq->state = all;
    find_boxes(all);
    size_t n = all->n;
    all->left = n + 1;
    for (size_t i = 0; i < n; i++)
        count(&all->boxes[i]);
    box_done(all);
}
