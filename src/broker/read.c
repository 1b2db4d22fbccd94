/* Reading verbs of a partition: fetch, list offsets, end of an epoch; and trimming it. */
#include "broker/access.h"
#include "broker/delivery_internal.h"
#include "broker/partition.h"
#include "broker/stragglers.h"

#include <inttypes.h>

static struct partition *enter(struct partition **at, struct partition *p)
{
    *at = p;
    partition_enter(p);
    return p;
}

/* ---- fetch ---- */

static void read_marks(struct read_op *op, const struct partition *p)
{
    op->high_watermark = op->last_stable = p->end;
    op->log_start = p->log_start;
    op->epoch = partition_epoch(p);
}

static void read_answer(struct read_op *op, enum err err)
{
    struct partition *p = op->at;
    struct broker *b = p->broker;
    read_marks(op, p);
    partition_leave(p);
    op_finish(b, &op->op, err);
}

static void read_done(struct store_read *read, enum err err)
{
    struct read_op *op = container_of(read, struct read_op, read);
    if (err == ERR_OK)
        chunkq_move(&op->records, &read->out);
    else
        chunkq_clear(&read->out);
    read_answer(op, err);
}

static void read_start(struct read_op *op)
{
    struct partition *p = op->at;
    if (op->offset < p->log_start || op->offset > p->end) {
        read_answer(op, ERR_OFFSET_RANGE);
        return;
    }
    op->read = (struct store_read){
        .log = p->log,
        .from = op->offset,
        .limit = p->end,
        .bytes_max = op->bytes_max,
        .min_one = op->min_one,
        .done = read_done,
    };
    chunkq_init(&op->read.out);
    if (op->offset == p->end || (op->bytes_max == 0 && !op->min_one))
        read_answer(op, ERR_OK);
    else
        store_read(p->broker->store, &op->read);
}

/* Kafka's rule (KIP-595): the follower's last epoch ended, as we know it, before the offset from
 * which it wants to read: then its log has something that ours has not. */
static void read_epoch_found(struct store_find *find, enum err err)
{
    struct read_op *op = container_of(find, struct read_op, find);
    if (err == ERR_OK && find->offset < 0)
        err = ERR_OFFSET_RANGE;
    if (err != ERR_OK) {
        read_answer(op, err);
    } else if (find->found_epoch < op->last_fetched_epoch || find->offset < op->offset) {
        op->diverging_epoch = find->found_epoch;
        op->diverging_end = find->offset;
        read_answer(op, ERR_OK);
    } else {
        read_start(op);
    }
}

static void read_check_epoch(struct read_op *op)
{
    struct partition *p = op->at;
    int32_t present = partition_epoch(p);
    if (op->last_fetched_epoch > present) {
        read_answer(op, ERR_OFFSET_RANGE);
        return;
    }
    if (op->last_fetched_epoch < 0 || op->last_fetched_epoch == present || p->log == NULL) {
        read_start(op);
        return;
    }
    op->find = (struct store_find){
        .log = p->log,
        .what = STORE_FIND_EPOCH,
        .epoch = op->last_fetched_epoch,
        .limit = p->end,
        .done = read_epoch_found,
    };
    store_find(p->broker->store, &op->find);
}

static void read_run(struct broker *b, struct op *base)
{
    struct read_op *op = container_of(base, struct read_op, op);
    struct partition *p;
    enum err err = partition_get(b, &op->topic, op->partition, &p);
    if (err == ERR_OK) {
        read_marks(op, p);
        err = partition_epoch_check(p, op->leader_epoch);
    }
    if (err != ERR_OK) {
        op_finish(b, base, err);
        return;
    }
    enter(&op->at, p);
    read_check_epoch(op);
}

void broker_read(struct broker *b, struct read_op *op)
{
    chunkq_init(&op->records);
    op->high_watermark = op->last_stable = op->log_start = -1;
    op->epoch = op->diverging_epoch = -1;
    op->diverging_end = -1;
    op->op.run = read_run;
    if (access_refuses_topic(b, &op->op, op->actor, &op->topic, ACCESS_RECEIVER))
        return;
    op_submit(b, broker_shard_of_partition(&op->topic, op->partition), &op->op);
}

/* ---- list offsets ---- */

static void list_answer(struct list_op *op, enum err err)
{
    struct partition *p = op->at;
    struct broker *b = p->broker;
    partition_leave(p);
    op_finish(b, &op->op, err);
}

static void list_found(struct store_find *find, enum err err)
{
    struct list_op *op = container_of(find, struct list_op, find);
    if (err == ERR_OK && find->offset >= 0) {
        op->offset = find->offset;
        op->found_timestamp = find->timestamp;
        op->found_epoch = find->found_epoch;
    }
    list_answer(op, err);
}

/* The first offset itself is known; looked up is only the epoch of what lies there. */
static void list_earliest_found(struct store_find *find, enum err err)
{
    struct list_op *op = container_of(find, struct list_op, find);
    if (err == ERR_OK)
        op->found_epoch = find->offset >= 0 ? find->found_epoch : partition_epoch(op->at);
    list_answer(op, err);
}

static void list_find(struct list_op *op, enum store_find_what what, int64_t ts,
                      void (*done)(struct store_find *find, enum err err))
{
    op->find = (struct store_find){
        .log = op->at->log,
        .what = what,
        .ts = ts,
        .limit = op->at->end,
        .done = done,
        .offset = -1,
    };
    if (op->at->log != NULL)
        store_find(op->at->broker->store, &op->find);
    else
        done(&op->find, ERR_OK); /* a state log that nothing was written to */
}

static void list_start(struct list_op *op)
{
    struct partition *p = op->at;
    switch (op->timestamp) {
    case LIST_LATEST:
        op->offset = p->end;
        op->found_epoch = partition_epoch(p);
        list_answer(op, ERR_OK);
        break;
    case LIST_EARLIEST:
    case LIST_EARLIEST_LOCAL:
        op->offset = p->log_start;
        list_find(op, STORE_FIND_TIME, INT64_MIN, list_earliest_found);
        break;
    case LIST_MAX_TIMESTAMP:
        list_find(op, STORE_FIND_MAX_TIME, 0, list_found);
        break;
    case LIST_LATEST_TIERED: /* nothing is in remote storage, nor on its way there */
    case LIST_EARLIEST_PENDING_UPLOAD:
        list_answer(op, ERR_OK);
        break;
    default:
        if (op->timestamp < 0)
            list_answer(op, ERR_VERSION_UNSUPPORTED);
        else
            list_find(op, STORE_FIND_TIME, op->timestamp, list_found);
    }
}

static void list_run(struct broker *b, struct op *base)
{
    struct list_op *op = container_of(base, struct list_op, op);
    struct partition *p;
    enum err err = partition_get(b, &op->topic, op->partition, &p);
    if (err == ERR_OK)
        err = partition_epoch_check(p, op->leader_epoch);
    if (err != ERR_OK) {
        op_finish(b, base, err);
        return;
    }
    enter(&op->at, p);
    list_start(op);
}

void broker_list_offset(struct broker *b, struct list_op *op)
{
    op->offset = op->found_timestamp = -1;
    op->found_epoch = -1;
    op->op.run = list_run;
    if (access_refuses_topic(b, &op->op, op->actor, &op->topic, ACCESS_ANY))
        return;
    op_submit(b, broker_shard_of_partition(&op->topic, op->partition), &op->op);
}

/* ---- end of an epoch ---- */

static void epoch_answer(struct epoch_op *op, enum err err)
{
    struct partition *p = op->at;
    struct broker *b = p->broker;
    partition_leave(p);
    op_finish(b, &op->op, err);
}

/* Below the first epoch that the log has: that one ended where the log starts. */
static void epoch_found(struct store_find *find, enum err err)
{
    struct epoch_op *op = container_of(find, struct epoch_op, find);
    if (err == ERR_OK) {
        bool known = find->offset >= 0;
        op->found_epoch = known ? find->found_epoch : op->asked_epoch;
        op->end_offset = known ? find->offset : op->at->log_start;
    }
    epoch_answer(op, err);
}

static void epoch_start(struct epoch_op *op)
{
    struct partition *p = op->at;
    int32_t present = partition_epoch(p);
    if (op->asked_epoch < 0 || op->asked_epoch > present) {
        epoch_answer(op, ERR_OK);
        return;
    }
    if (op->asked_epoch == present || p->log == NULL) {
        op->found_epoch = op->asked_epoch;
        op->end_offset = p->end;
        epoch_answer(op, ERR_OK);
        return;
    }
    op->find = (struct store_find){
        .log = p->log,
        .what = STORE_FIND_EPOCH,
        .epoch = op->asked_epoch,
        .limit = p->end,
        .done = epoch_found,
    };
    store_find(p->broker->store, &op->find);
}

static void epoch_run(struct broker *b, struct op *base)
{
    struct epoch_op *op = container_of(base, struct epoch_op, op);
    struct partition *p;
    enum err err = partition_get(b, &op->topic, op->partition, &p);
    if (err == ERR_OK)
        err = partition_epoch_check(p, op->current_epoch);
    if (err != ERR_OK) {
        op_finish(b, base, err);
        return;
    }
    enter(&op->at, p);
    epoch_start(op);
}

void broker_epoch_end(struct broker *b, struct epoch_op *op)
{
    op->found_epoch = -1;
    op->end_offset = -1;
    op->op.run = epoch_run;
    if (access_refuses_topic(b, &op->op, op->actor, &op->topic, ACCESS_ANY))
        return;
    op_submit(b, broker_shard_of_partition(&op->topic, op->partition), &op->op);
}

/* ---- trim ---- */

static void trim_done(struct store_trim *trim, enum err err)
{
    struct trim_op *op = container_of(trim, struct trim_op, trim);
    struct partition *p = op->at;
    struct broker *b = p->broker;
    bool moved = err == ERR_OK && trim->log_start > p->log_start;
    if (moved) {
        p->log_start = trim->log_start;
        records_cache_trim(&b->records, p, p->log_start);
    }
    op->log_start = p->log_start;
    if (moved) {
        partition_fire(p, true);
        if (!op->to_floor)
            stragglers_deleted(p);
        deliveries_start_moved(p);
    }
    partition_leave(p);
    op_finish(b, &op->op, err);
}

static enum err trim_check(struct broker *b, struct trim_op *op, struct partition **p)
{
    enum err err = partition_get(b, &op->topic, op->partition, p);
    if (err != ERR_OK)
        return err;
    if ((*p)->attached || (*p)->topic->internal)
        return ERR_TOPIC_INVALID;
    if (op->offset < -1 || op->offset > (*p)->end)
        return ERR_OFFSET_RANGE;
    return ERR_OK;
}

static void trim_run(struct broker *b, struct op *base)
{
    struct trim_op *op = container_of(base, struct trim_op, op);
    struct partition *p;
    enum err err = trim_check(b, op, &p);
    if (err != ERR_OK) {
        op_finish(b, base, err);
        return;
    }
    op->trim = (struct store_trim){
        .log = p->log,
        .log_start = op->offset == -1 ? p->end : op->offset,
        .done = trim_done,
    };
    op->log_start = p->log_start;
    if (op->trim.log_start <= p->log_start) {
        op_finish(b, base, ERR_OK);
        return;
    }
    enter(&op->at, p);
    store_trim(b->store, &op->trim);
}

void broker_trim(struct broker *b, struct trim_op *op)
{
    op->log_start = -1;
    op->op.run = trim_run;
    if (access_refuses_topic(b, &op->op, op->actor, &op->topic, ACCESS_OWNER))
        return;
    op_submit(b, broker_shard_of_partition(&op->topic, op->partition), &op->op);
}
