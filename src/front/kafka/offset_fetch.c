/* offset_fetch.c: OffsetFetch: one group's offsets, or (version 8 and later, KIP-709) those of
 * several; topics by name, from version 10 on by id; all topics when none are named (version 2 and
 * later: null). Version 0 is answered from the same place as all others.
 *
 * Inside, every version has the form of the newest; old answers are made from that. */
#include "front/kafka/conn.h"
#include "front/kafka/fan.h"
#include "front/kafka/verbs.h"

#include "broker/broker.h"
#include "broker/group.h"

#define GROUPS_SINCE 8
#define TOPIC_ID_SINCE 10
#define TOP_ERROR_SINCE 2

typedef struct kafka_offset_fetch_response_group_topic topic_out;
typedef struct kafka_offset_fetch_response_group_topic_partition partition_out;

struct fetch {
    struct group_fetch_op op;
    struct fetch_all *all;
    const struct kafka_offset_fetch_request_group_topic *topics; /* asked for */
    int32_t topics_n;
    struct kafka_offset_fetch_response_group out;
};

struct fetch_all {
    struct fan fan;
    struct fetch *fetches;
    int32_t n;
};

/* ---- answer --------------------------------------------------------------------------------- */

static bool fill_partition(struct kafka_request *rq, const struct group_offset *o,
                           partition_out *out)
{
    const char *metadata = arena_strndup(&rq->arena, o->metadata.at, o->metadata.len);
    out->partition_index = o->partition;
    out->committed_offset = o->err ? -1 : o->offset;
    out->committed_leader_epoch = o->err ? -1 : o->leader_epoch;
    out->metadata = (struct str){metadata, o->metadata.len};
    out->error_code = err_kafka(o->err);
    return metadata != NULL;
}

/* n offsets of one topic. */
static bool fill_topic(struct kafka_request *rq, const struct group_offset *o, int32_t n,
                       topic_out *out)
{
    const char *name = arena_strndup(&rq->arena, o[0].topic.at, o[0].topic.len);
    out->name = (struct str){name, o[0].topic.len};
    out->topic_id = o[0].topic_id;
    out->partitions = kafka_alloc(rq, (size_t)n, sizeof *out->partitions);
    if (!name || !out->partitions)
        return false;
    out->partitions_n = n;
    for (int32_t i = 0; i < n; i++) {
        if (!fill_partition(rq, &o[i], &out->partitions[i]))
            return false;
    }
    return true;
}

/* Everything the group has: partitions of one topic follow each other. */
static bool fill_all(struct kafka_request *rq, struct fetch *f)
{
    const struct group_offset *o = f->op.offsets;
    size_t n = f->op.offsets_n, topics = 0;
    for (size_t i = 0; i < n; i++)
        topics += i == 0 || !str_eq(o[i].topic, o[i - 1].topic);
    f->out.topics = kafka_alloc(rq, topics, sizeof *f->out.topics);
    for (size_t i = 0, k; f->out.topics && i < n; i = k) {
        for (k = i + 1; k < n && str_eq(o[k].topic, o[i].topic);)
            k++;
        if (!fill_topic(rq, &o[i], (int32_t)(k - i), &f->out.topics[f->out.topics_n++]))
            return false;
    }
    return f->out.topics != NULL;
}

static bool fill_asked(struct kafka_request *rq, struct fetch *f)
{
    const struct group_offset *o = f->op.offsets;
    f->out.topics = kafka_alloc(rq, (size_t)f->topics_n, sizeof *f->out.topics);
    for (int32_t i = 0; f->out.topics && i < f->topics_n; i++) {
        int32_t n = f->topics[i].partition_indexes_n;
        topic_out *t = &f->out.topics[f->out.topics_n++];
        if (n > 0 && !fill_topic(rq, o, n, t))
            return false;
        t->name = f->topics[i].name;
        t->topic_id = f->topics[i].topic_id;
        o += n;
    }
    return f->out.topics != NULL;
}

/* The outputs live until this returns. */
static void fetched(struct op *op)
{
    struct fetch *f = container_of(op, struct fetch, op.op);
    struct fan *fan = &f->all->fan;
    enum err err = op->err;
    if (!err && !(f->op.all ? fill_all(fan->rq, f) : fill_asked(fan->rq, f)))
        err = ERR_MEMORY;
    if (err)
        f->out.topics_n = 0;
    f->out.error_code = err_kafka(err);
    fan_done(fan);
}

static bool old_partitions(struct kafka_request *rq, const topic_out *in, int16_t error,
                           struct kafka_offset_fetch_response_topic *out)
{
    out->name = in->name;
    out->partitions = kafka_alloc(rq, (size_t)in->partitions_n, sizeof *out->partitions);
    if (!out->partitions)
        return false;
    out->partitions_n = in->partitions_n;
    for (int32_t i = 0; i < in->partitions_n; i++) {
        const partition_out *p = &in->partitions[i];
        out->partitions[i] = (struct kafka_offset_fetch_response_topic_partition){
            .partition_index = p->partition_index,
            .committed_offset = p->committed_offset,
            .committed_leader_epoch = p->committed_leader_epoch,
            .metadata = p->metadata,
            .error_code = error ? error : p->error_code};
    }
    return true;
}

/* Versions 0 and 1 have no place for the group's error but the partitions. */
static bool fill_unfetched(struct kafka_request *rq, struct fetch *f)
{
    for (size_t i = 0; i < f->op.offsets_n; i++) {
        f->op.offsets[i].offset = f->op.offsets[i].leader_epoch = -1;
        f->op.offsets[i].metadata = STR_LIT("");
    }
    return fill_asked(rq, f);
}

static bool fill_old(struct kafka_request *rq, struct fetch *f,
                     struct kafka_offset_fetch_response *out)
{
    int16_t error = f->out.error_code;
    out->error_code = error;
    if (error && rq->version < TOP_ERROR_SINCE && !fill_unfetched(rq, f))
        return false;
    out->topics = kafka_alloc(rq, (size_t)f->out.topics_n, sizeof *out->topics);
    if (!out->topics)
        return false;
    out->topics_n = f->out.topics_n;
    for (int32_t i = 0; i < f->out.topics_n; i++) {
        if (!old_partitions(rq, &f->out.topics[i], error, &out->topics[i]))
            return false;
    }
    return true;
}

static bool fill_groups(struct kafka_request *rq, const struct fetch_all *all,
                        struct kafka_offset_fetch_response *out)
{
    out->groups = kafka_alloc(rq, (size_t)all->n, sizeof *out->groups);
    if (!out->groups)
        return false;
    out->groups_n = all->n;
    for (int32_t i = 0; i < all->n; i++)
        out->groups[i] = all->fetches[i].out;
    return true;
}

static void answer(struct kafka_request *rq)
{
    struct fetch_all *all = rq->state_of_verb;
    struct kafka_offset_fetch_response out;
    wire_default(rq->api->response, &out);
    bool ok = rq->version >= GROUPS_SINCE ? fill_groups(rq, all, &out)
                                          : fill_old(rq, &all->fetches[0], &out);
    if (ok)
        kafka_respond(rq, &out);
    else
        kafka_respond_close(rq, "an OffsetFetch of too many partitions");
}

/* ---- request -------------------------------------------------------------------------------- */

static enum err find_name(struct kafka_request *rq,
                          const struct kafka_offset_fetch_request_group_topic *t, struct str *out)
{
    *out = t->name;
    return rq->version < TOPIC_ID_SINCE ? ERR_OK : kafka_topic_name(rq, &t->topic_id, out);
}

static bool take_offsets(struct kafka_request *rq, struct fetch *f)
{
    for (int32_t i = 0; i < f->topics_n; i++)
        f->op.offsets_n += (size_t)f->topics[i].partition_indexes_n;
    struct group_offset *o = f->op.offsets =
        kafka_alloc(rq, f->op.offsets_n, sizeof *f->op.offsets);
    for (int32_t i = 0; o && i < f->topics_n; i++) {
        struct str name;
        enum err err = find_name(rq, &f->topics[i], &name);
        for (int32_t k = 0; k < f->topics[i].partition_indexes_n; k++)
            *o++ = (struct group_offset){
                .topic = name, .partition = f->topics[i].partition_indexes[k], .err = err};
    }
    return f->op.offsets != NULL;
}

static bool take(struct kafka_request *rq, struct fetch *f,
                 const struct kafka_offset_fetch_request_group *g)
{
    const struct kafka_offset_fetch_request *in = rq->in;
    f->all = rq->state_of_verb;
    f->topics = g->topics;
    f->topics_n = g->topics_n > 0 ? g->topics_n : 0;
    f->out.group_id = g->group_id;
    f->op = (struct group_fetch_op){.op.done = fetched,
                                    .actor = &rq->actor,
                                    .group = g->group_id,
                                    .member_id = g->member_id,
                                    .member_epoch = g->member_epoch,
                                    .require_stable = in->require_stable,
                                    .all = g->topics_n < 0};
    return take_offsets(rq, f);
}

/* The only group of versions below 8, in the form of the later ones. */
static bool take_old(struct kafka_request *rq, struct fetch *f)
{
    const struct kafka_offset_fetch_request *in = rq->in;
    struct kafka_offset_fetch_request_group g = {
        .group_id = in->group_id, .member_epoch = -1, .topics_n = in->topics_n};
    size_t n = in->topics_n > 0 ? (size_t)in->topics_n : 0;
    g.topics = kafka_alloc(rq, n, sizeof *g.topics);
    if (!g.topics)
        return false;
    for (size_t i = 0; i < n; i++) {
        g.topics[i].name = in->topics[i].name;
        g.topics[i].partition_indexes = in->topics[i].partition_indexes;
        g.topics[i].partition_indexes_n = in->topics[i].partition_indexes_n;
    }
    return take(rq, f, &g);
}

static bool take_all(struct kafka_request *rq, struct fetch_all *all)
{
    const struct kafka_offset_fetch_request *in = rq->in;
    if (!all->fetches)
        return false;
    if (rq->version < GROUPS_SINCE)
        return take_old(rq, &all->fetches[0]);
    for (int32_t i = 0; i < all->n; i++) {
        if (!take(rq, &all->fetches[i], &in->groups[i]))
            return false;
    }
    return true;
}

void kafka_offset_fetch_run(struct kafka_request *rq)
{
    const struct kafka_offset_fetch_request *in = rq->in;
    int32_t n = rq->version >= GROUPS_SINCE ? in->groups_n : 1;
    struct fetch_all *all = kafka_alloc(rq, 1, sizeof *all);
    struct fetch *fetches = kafka_alloc(rq, (size_t)n, sizeof *fetches);
    rq->state_of_verb = all;
    if (all)
        *all = (struct fetch_all){.fetches = fetches, .n = n};
    if (!all || !take_all(rq, all)) {
        kafka_respond_close(rq, "an OffsetFetch of too many partitions");
        return;
    }
    fan_begin(&all->fan, rq, answer);
    for (int32_t i = 0; i < all->n; i++) {
        fan_add(&all->fan);
        broker_group_fetch(rq->conn->broker, &all->fetches[i].op);
    }
    fan_done(&all->fan);
}
