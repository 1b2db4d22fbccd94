/* GET /topics/{topic}/partitions/{partition}/offsets/{offset}: one event, in binary mode: its data
 * is the body, its attributes are ce- fields. Accept: application/cloudevents+json: structured. */
#include "front/http/binary.h"
#include "front/http/events_out.h"
#include "front/http/topic_for.h"
#include "front/http/verbs.h"

struct one {
    struct http_request *rq;
    struct records_op read;
    char topic_name[TOPIC_NAME_MAX + 1];
};

static void answer(struct one *o, const struct record *record)
{
    struct http_request *rq = o->rq;
    struct event_place place = {o->topic_name, o->read.topic, o->read.partition, record->offset};
    char text[EVENTS_OUT_TEXT];
    struct event e;
    events_out_of(record, &place, &rq->arena, text, &e);
    http_header(rq, "Weir-Partition", "%d", place.partition);
    http_header(rq, "Weir-Offset", "%lld", (long long)place.offset);
    if (http_accepts(rq, "application/cloudevents+json")) {
        struct wr w;
        wr_init(&w, 256);
        event_write_json(&e, &w);
        http_answer_written(rq, 200, "application/cloudevents+json", &w);
        return;
    }
    binary_write(rq, &e);
    const char *type = e.datacontenttype.at ? http_text(rq, e.datacontenttype) : NULL;
    struct slice data = {0};
    if (e.data.len)
        data = slice_copy(e.data.at, e.data.len);
    http_answer(rq, 200, type, data);
}

/* The record with that offset, if the batches that were read have it. */
static bool find(const struct one *o, struct record *out)
{
    for (unsigned i = 0; i < o->read.n; i++) {
        const struct records *batch = o->read.batches[i];
        uint32_t at = records_find(batch, o->read.offset);
        if (records_head(batch)->attributes & BATCH_CONTROL || at == records_count(batch))
            continue;
        records_get(batch, at, out);
        return out->offset == o->read.offset;
    }
    return false;
}

static void was_read(struct op *op)
{
    struct one *o = container_of(op, struct one, read.op);
    struct record record;
    struct err_text text = {""};
    if (op->err == ERR_OFFSET_RANGE || (!op->err && !find(o, &record)))
        op->err = err_say(&text, ERR_NOT_FOUND,
                          "partition %d has no record at offset %lld; it has %lld to %lld",
                          o->read.partition, (long long)o->read.offset,
                          (long long)o->read.log_start, (long long)o->read.high_watermark - 1);
    struct records *held[RECORDS_READ_MAX];
    unsigned n = o->read.n;
    for (unsigned i = 0; i < n; i++)
        held[i] = o->read.batches[i];
    if (op->err)
        http_answer_error(o->rq, op->err, &text);
    else
        answer(o, &record);
    while (n)
        records_unref(held[--n]);
}

static enum err read_number(struct str s, int64_t max, const char *what, int64_t *out,
                            struct err_text *text)
{
    if (str_to_i64(s, out) || *out < 0 || *out > max)
        return err_say(text, ERR_REQUEST_INVALID, "the %s must be a number from 0 on, got \"%.*s\"",
                       what, (int)(s.len < 40 ? s.len : 40), s.at);
    return ERR_OK;
}

void http_read_record(struct http_request *rq)
{
    struct err_text text = {""};
    const struct topic *t = NULL;
    struct one *o = http_alloc(rq, 1, sizeof *o);
    int64_t partition = 0, offset = 0;
    enum err err = o ? http_topic(rq, rq->params[0], &t, &text) : ERR_MEMORY;
    if (!err)
        err = read_number(rq->params[1], INT32_MAX, "partition", &partition, &text);
    if (!err)
        err = read_number(rq->params[2], INT64_MAX, "offset", &offset, &text);
    if (!err && partition >= t->partitions)
        err = err_say(&text, ERR_TOPIC_UNKNOWN, "\"%s\" has the partitions 0 to %d", t->name,
                      t->partitions - 1);
    if (err) {
        http_answer_error(rq, err, &text);
        return;
    }
    o->rq = rq;
    (void)str_copy(o->topic_name, sizeof o->topic_name, str_of(t->name));
    o->read = (struct records_op){.op.done = was_read,
                                  .actor = &rq->actor,
                                  .topic = t->id,
                                  .partition = (int32_t)partition,
                                  .offset = offset,
                                  .bytes_max = 1};
    broker_records(rq->broker, &o->read);
}
