/* list_offsets.c: ListOffsets (KIP-79, 207, 734, 405, 1005): -1 latest, -2 earliest, -3 largest
 * timestamp, -4 earliest local, -5 latest tiered, -6 earliest pending upload, else by time. Version
 * 0 answers with a list of offsets, which holds the one found. */
#include "front/kafka/fan.h"
#include "front/kafka/verbs.h"

#define ROW struct kafka_list_offsets_response_topic_partition
#define ASKED struct kafka_list_offsets_request_topic_partition

struct list_part {
    struct list_op op;
    struct list_all *all;
    ROW *row;
};

struct list_all {
    struct fan fan;
    struct kafka_list_offsets_response out;
};

static void answer(struct kafka_request *rq)
{
    kafka_respond(rq, &((struct list_all *)rq->state_of_verb)->out);
}

static void fill(struct list_part *p)
{
    enum err err = p->op.op.err;
    p->row->error_code = err_kafka(err);
    p->row->offset = err ? -1 : p->op.offset;
    p->row->timestamp = err ? -1 : p->op.found_timestamp;
    p->row->leader_epoch = err ? -1 : p->op.found_epoch;
    p->row->old_style_offsets = &p->op.offset;
    p->row->old_style_offsets_n = !err && p->op.offset >= 0;
}

static void listed(struct op *op)
{
    struct list_part *p = container_of(op, struct list_part, op.op);
    fill(p);
    fan_done(&p->all->fan);
}

/* The lowest version that knows each special timestamp. */
static bool timestamp_known(const struct kafka_request *rq, int64_t timestamp)
{
    static const int16_t since[] = {
        [-LIST_LATEST] = 0,        [-LIST_EARLIEST] = 0,
        [-LIST_MAX_TIMESTAMP] = 7, [-LIST_EARLIEST_LOCAL] = 8,
        [-LIST_LATEST_TIERED] = 9, [-LIST_EARLIEST_PENDING_UPLOAD] = 11};
    if (timestamp >= 0)
        return true;
    return timestamp >= LIST_EARLIEST_PENDING_UPLOAD && rq->version >= since[-timestamp];
}

static void submit(struct list_all *all, struct list_part *p, struct str topic, const ASKED *asked)
{
    struct kafka_request *rq = all->fan.rq;
    const struct kafka_list_offsets_request *in = rq->in;
    p->all = all;
    p->row->partition_index = asked->partition_index;
    p->op = (struct list_op){.op.done = listed,
                             .actor = &rq->actor,
                             .partition = asked->partition_index,
                             .timestamp = asked->timestamp,
                             .leader_epoch = asked->current_leader_epoch,
                             .committed = in->isolation_level == 1};
    p->op.op.err = fan_find_partition(&all->fan, topic, asked->partition_index, &p->op.topic);
    if (!p->op.op.err && !timestamp_known(rq, asked->timestamp))
        p->op.op.err = ERR_VERSION_UNSUPPORTED;
    if (p->op.op.err) {
        fill(p);
        return;
    }
    fan_add(&all->fan);
    broker_list_offset(rq->conn->broker, &p->op);
}

static void ask_topic(struct list_all *all, const struct kafka_list_offsets_request_topic *t,
                      struct kafka_list_offsets_response_topic *out)
{
    size_t n = (size_t)t->partitions_n;
    ROW *rows = kafka_alloc(all->fan.rq, n, sizeof *rows);
    struct list_part *parts = kafka_alloc(all->fan.rq, n, sizeof *parts);
    if (!rows || !parts)
        return;
    out->name = t->name;
    out->partitions = rows;
    out->partitions_n = t->partitions_n;
    for (size_t i = 0; i < n; i++) {
        parts[i].row = &rows[i];
        submit(all, &parts[i], t->name, &t->partitions[i]);
    }
}

void kafka_list_offsets_run(struct kafka_request *rq)
{
    const struct kafka_list_offsets_request *in = rq->in;
    struct list_all *all = kafka_alloc(rq, 1, sizeof *all);
    if (!all) {
        kafka_respond_close(rq, "a ListOffsets of too many partitions");
        return;
    }
    rq->state_of_verb = all;
    wire_default(rq->api->response, &all->out);
    fan_begin(&all->fan, rq, answer);
    all->out.topics = kafka_alloc(rq, (size_t)in->topics_n, sizeof *all->out.topics);
    all->out.topics_n = all->out.topics ? in->topics_n : 0;
    for (int32_t i = 0; i < all->out.topics_n; i++)
        ask_topic(all, &in->topics[i], &all->out.topics[i]);
    fan_done(&all->fan);
}
