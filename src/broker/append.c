#include "broker/append.h"

#include "broker/delivery_internal.h"
#include "broker/partition.h"

enum err append_allowed(const struct partition *p, struct err_text *text)
{
    if (p->attached || p->topic->internal)
        return err_say(text, ERR_TOPIC_INVALID, "topic %s is internal: clients only read it",
                       p->topic->name);
    return floor_allows(p, text);
}

void append_begin(struct append *a, struct partition *p)
{
    a->at = p;
    a->records = 0;
    partition_enter(p);
}

void append_set(struct append *a, struct slice batch, int32_t records)
{
    a->store = (struct store_append){
        .log = a->at->log,
        .batch = batch,
        .append_ms = (int64_t)env_now_ms(a->at->broker->env),
        .base_offset = -1,
    };
    a->records = records;
}

void append_end(struct append *a, enum err err)
{
    struct partition *p = a->at;
    if (err == ERR_OK) {
        p->records_in += (uint64_t)a->records;
        p->bytes_in += a->store.batch.len;
    }
    partition_leave(p);
}
