/* list_offsets.c: ListOffsets (KIP-79, 207, 734, 405, 1005): -1 latest, -2 earliest, -3 largest
 * timestamp, -4 earliest local, -5 latest tiered, -6 earliest pending upload, else by time. Version
 * 0 answers with a list of offsets, which holds the one found. */
#include "front/kafka/conn.h"
#include "front/kafka/fan.h"
#include "front/kafka/partition_fan.h"
#include "front/kafka/verbs.h"

#include "base/assert.h"

struct list_part {
    struct list_op op;
    struct list_all *all;
    int64_t old_style[1];
};

struct list_all {
    struct fan fan;
    struct list_part *parts; /* of all topics, in order */
};

static void fill(struct kafka_request *rq, struct list_part *p,
                 struct kafka_list_offsets_response_topic_partition *out)
{
    enum err err = p->op.op.err;
    out->partition_index = p->op.partition;
    out->error_code = err_kafka(err);
    out->offset = err ? -1 : p->op.offset;
    out->timestamp = err ? -1 : p->op.found_timestamp;
    out->leader_epoch = err ? -1 : p->op.found_epoch;
    p->old_style[0] = p->op.offset;
    out->old_style_offsets = p->old_style;
    out->old_style_offsets_n = rq->version == 0 && !err && p->op.offset >= 0;
}

static void answer(struct kafka_request *rq)
{
    const struct kafka_list_offsets_request *in = rq->in;
    struct list_part *next = ((struct list_all *)rq->state_of_verb)->parts;
    struct kafka_list_offsets_response out;
    wire_default(rq->api->response, &out);
    out.topics = arena_zalloc(&rq->arena, (size_t)in->topics_n, sizeof *out.topics);
    out.topics_n = out.topics ? in->topics_n : 0;
    for (int32_t i = 0; i < out.topics_n; i++) {
        struct kafka_list_offsets_response_topic *t = &out.topics[i];
        int32_t n = in->topics[i].partitions_n;
        t->name = in->topics[i].name;
        t->partitions = arena_zalloc(&rq->arena, (size_t)n, sizeof *t->partitions);
        t->partitions_n = t->partitions ? n : 0;
        for (int32_t k = 0; k < t->partitions_n; k++)
            fill(rq, &next[k], &t->partitions[k]);
        next += n;
    }
    kafka_respond(rq, &out);
}

static void listed(struct op *op)
{
    struct list_part *p = container_of(op, struct list_part, op.op);
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

static void submit(struct kafka_request *rq, struct list_part *p, struct str name,
                   const struct kafka_list_offsets_request_topic_partition *in)
{
    const struct kafka_list_offsets_request *all = rq->in;
    p->op = (struct list_op){.op.done = listed,
                             .actor = &rq->actor,
                             .partition = in->partition_index,
                             .timestamp = in->timestamp,
                             .leader_epoch = in->current_leader_epoch,
                             .committed = all->isolation_level == 1,
                             .offset = -1};
    p->op.op.err = partition_find(rq->conn->broker, name, in->partition_index, &p->op.topic);
    if (!p->op.op.err && !timestamp_known(rq, in->timestamp))
        p->op.op.err = ERR_VERSION_UNSUPPORTED;
    if (p->op.op.err)
        return;
    fan_add(&p->all->fan);
    broker_list_offset(rq->conn->broker, &p->op);
}

void kafka_list_offsets_run(struct kafka_request *rq)
{
    const struct kafka_list_offsets_request *in = rq->in;
    struct list_all *all = arena_zalloc(&rq->arena, 1, sizeof *all);
    weir_assert(all);
    size_t n = 0;
    for (int32_t i = 0; i < in->topics_n; i++)
        n += (size_t)in->topics[i].partitions_n;
    struct list_part *p = all->parts = arena_zalloc(&rq->arena, n, sizeof *p);
    rq->state_of_verb = all;
    if (!p) {
        kafka_respond_close(rq, "a ListOffsets of too many partitions");
        return;
    }
    fan_begin(&all->fan, rq, answer);
    for (int32_t i = 0; i < in->topics_n; i++) {
        for (int32_t k = 0; k < in->topics[i].partitions_n; k++, p++) {
            p->all = all;
            submit(rq, p, in->topics[i].name, &in->topics[i].partitions[k]);
        }
    }
    fan_done(&all->fan);
}
