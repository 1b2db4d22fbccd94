#include "weir_load.h"

#include "base/assert.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    SERVER = -1,
    OK = 0,
    OUT_OF_RANGE = 1,
    UNKNOWN = 3,
    NOT_AVAILABLE = 5,
    NOT_LEADER = 6,
    UNAVAILABLE = 15,
    SEQUENCE = 45,
    STORAGE = 56,
    SESSION_UNKNOWN = 70,
    SESSION_EPOCH = 71,
    ID_UNKNOWN = 100
};

static struct env *env_of(const struct load *l)
{
    return loop_env(l->w->outside);
}

static void tick_in(const struct load *l, struct env_timer *timer, uint64_t us)
{
    env_timer_set(env_of(l), timer, us);
}

static bool is_gone(const struct model_partition *p)
{
    return p->topic->fate == MODEL_LEAVING || p->topic->fate == MODEL_GONE;
}

/* A partition of a topic that is there; NULL: none was drawn. */
static struct model_partition *draw_partition(struct load *l)
{
    struct model *m = &l->model;
    for (unsigned tries = 0; m->topics_n && tries < 8; tries++) {
        struct model_topic *t = &m->topics[weir_sim_draw(l->w, 0, m->topics_n - 1)];
        if (t->fate == MODEL_THERE && t->partitions > 0)
            return &t->p[weir_sim_draw(l->w, 0, (uint64_t)t->partitions - 1)];
    }
    return NULL;
}

/* ---- producers ------------------------------------------------------------------------------ */

static void batch_free(struct load_batch *b)
{
    list_remove(&b->link);
    slice_unref(b->bytes);
    mem_free(b);
}

/* What was not acknowledged stays unknown for ever. */
static void lane_end(struct load_lane *lane)
{
    struct list *it;
    while ((it = list_pop(&lane->batches))) {
        struct load_batch *b = container_of(it, struct load_batch, link);
        if (b->sent)
            b->dead = true; /* its answer, or the loss of it, frees it */
        else
            batch_free(b);
    }
    lane->stream = NULL;
    lane->refused = false;
}

static void lanes_choose(struct load_producer *p)
{
    struct load *l = p->load;
    for (unsigned i = 0; i < LOAD_PRODUCER_STREAMS; i++) {
        struct load_lane *lane = &p->lanes[i];
        struct model_partition *to = draw_partition(l);
        if (lane->stream || !to)
            continue;
        lane->acked_end = 0;
        lane->stream = model_stream_make(&l->model, to, p->pid, p->value_max);
    }
}

/* The request's batches, until its answer. */
struct load_request {
    struct load_producer *producer;
    unsigned n;
    struct load_batch *batches[LOAD_PRODUCER_STREAMS];
};

static void batch_acked(struct load_producer *p, struct load_batch *b, int64_t offset)
{
    struct load_lane *lane = b->lane;
    if (lane->batches.next != &b->link)
        weir_sim_fail(p->load->w,
                      "%s: stream %u, %u+%u: acknowledged before the batch in front of it", p->name,
                      lane->stream->number, b->first, b->n);
    model_acked(&p->load->model, lane->stream, b->first, b->n, offset);
    if (offset < lane->acked_end)
        weir_sim_fail(p->load->w, "%s: acknowledged at %" PRId64 ", behind %" PRId64, p->name,
                      offset, lane->acked_end);
    lane->acked_end = offset + b->n;
    weir_sim_trace(p->load->w, "%s: stream %u %u+%u at %s-%d %" PRId64, p->name,
                   lane->stream->number, b->first, b->n, lane->stream->p->topic->name,
                   lane->stream->p->index, offset);
    batch_free(b);
}

static bool error_is_right(const struct load_lane *lane, const struct load_batch *b, int16_t code)
{
    if (code == SERVER && lane->producer->load->w->memory_fails)
        return true;
    switch (code) {
    case NOT_AVAILABLE:
    case STORAGE:
        return true;
    case NOT_LEADER: /* only those that are sure to try again may see it */
        return lane->producer->idempotent;
    case UNKNOWN:
    case ID_UNKNOWN:
        return is_gone(lane->stream->p);
    case SEQUENCE: /* something in front of it failed */
        return lane->producer->idempotent &&
               (lane->refused || lane->batches.next != (struct list *)&b->link);
    default:
        return false;
    }
}

static void batch_failed(struct load_producer *p, struct load_batch *b, int16_t code)
{
    struct load_lane *lane = b->lane;
    weir_sim_trace(p->load->w, "%s: stream %u %u+%u: error %d", p->name, lane->stream->number,
                   b->first, b->n, code);
    if (!error_is_right(lane, b, code))
        weir_sim_fail(p->load->w, "%s: stream %u, %u+%u: error %d", p->name, lane->stream->number,
                      b->first, b->n, code);
    if (p->idempotent) {
        b->sent = false;
        lane->refused = true;
    } else {
        model_refused(&p->load->model, lane->stream, b->first, b->n);
        batch_free(b);
    }
}

static void on_produced(void *arg, const void *response)
{
    struct load_request *rq = arg;
    struct load_producer *p = rq->producer;
    const struct kafka_produce_response *r = response;
    if (r && r->responses_n != (int32_t)rq->n)
        weir_sim_fail(p->load->w, "%s: %d answers to %u topics", p->name, r->responses_n, rq->n);
    for (unsigned i = 0; i < rq->n; i++) {
        struct load_batch *b = rq->batches[i];
        struct load_lane *lane = b->lane;
        lane->waiting--;
        if (b->dead) {
            batch_free(b);
            continue;
        }
        if (!r) {
            b->sent = false;
            if (!p->idempotent)
                batch_free(b);
            continue;
        }
        const struct kafka_produce_response_topic *t = &r->responses[i];
        if (t->partition_responses_n != 1 ||
            t->partition_responses[0].index != lane->stream->p->index)
            weir_sim_fail(p->load->w, "%s: the answer is about another partition", p->name);
        if (t->partition_responses[0].error_code)
            batch_failed(p, b, t->partition_responses[0].error_code);
        else
            batch_acked(p, b, t->partition_responses[0].base_offset);
    }
    mem_free(rq);
}

static void on_pid(void *arg, const void *response)
{
    struct load_producer *p = arg;
    const struct kafka_init_producer_id_response *r = response;
    p->asks_pid = false;
    if (!r)
        return;
    if (r->error_code || r->producer_id < 0)
        weir_sim_fail(p->load->w, "%s: InitProducerId: error %d, id %" PRId64, p->name,
                      r->error_code, r->producer_id);
    for (unsigned i = 0; i < p->load->producers_n; i++) {
        if (p->load->producers[i].pid == r->producer_id)
            weir_sim_fail(p->load->w, "%s: producer id %" PRId64 " is another's", p->name,
                          r->producer_id);
    }
    p->pid = r->producer_id;
    p->epoch = r->producer_epoch;
}

static void ask_pid(struct load_producer *p)
{
    struct kafka_init_producer_id_request rq;
    wire_default(&kafka_init_producer_id_request_table, &rq);
    rq.transactional_id = (struct str){0};
    rq.transaction_timeout_ms = 60000;
    p->asks_pid = true;
    client_call(&p->client, 22, client_version(p->load->w, 22, 0), &rq, on_pid, p);
}

static struct load_batch *batch_make(struct load_lane *lane)
{
    struct load_producer *p = lane->producer;
    struct load *l = p->load;
    struct load_batch *b = mem_zalloc(1, sizeof *b);
    b->lane = lane;
    b->n = (uint32_t)weir_sim_draw(l->w, 1, p->batch_max);
    b->first = model_send(&l->model, lane->stream, b->n);
    b->bytes = model_batch(lane->stream, b->first, b->n, p->epoch, (int64_t)env_now_ms(env_of(l)));
    list_push(&lane->batches, &b->link);
    l->batches_left--;
    return b;
}

/* The lane's next batch to be sent; NULL: none now. */
static struct load_batch *lane_next(struct load_lane *lane)
{
    struct load *l = lane->producer->load;
    if (!lane->stream)
        return NULL;
    if (is_gone(lane->stream->p) && lane->waiting == 0)
        lane_end(lane);
    if (lane->waiting == 0)
        lane->refused = false;
    if (!lane->stream || lane->refused || lane->waiting >= LOAD_IN_FLIGHT)
        return NULL;
    list_for (it, &lane->batches) {
        struct load_batch *b = container_of(it, struct load_batch, link);
        if (!b->sent)
            return b;
    }
    if (l->draining || l->paused || l->batches_left == 0 || is_gone(lane->stream->p))
        return NULL;
    return batch_make(lane);
}

static void produce(struct load_producer *p)
{
    struct kafka_produce_request_topic_partition parts[LOAD_PRODUCER_STREAMS] = {0};
    struct kafka_produce_request_topic topics[LOAD_PRODUCER_STREAMS] = {0};
    struct load_request *rq = mem_zalloc(1, sizeof *rq);
    struct weir_sim *w = p->load->w;
    int16_t version = p->version;
    rq->producer = p;
    for (unsigned i = 0; i < LOAD_PRODUCER_STREAMS; i++) {
        struct load_batch *b = weir_sim_chance(w, 3) ? NULL : lane_next(&p->lanes[i]);
        if (!b)
            continue;
        const struct model_partition *to = p->lanes[i].stream->p;
        b->sent = true;
        p->lanes[i].waiting++;
        if (!to->topic->id_known && version > 12)
            version = 12;
        parts[rq->n] = (struct kafka_produce_request_topic_partition){
            to->index, {(const char *)b->bytes.at, b->bytes.len}};
        topics[rq->n] = (struct kafka_produce_request_topic){str_of(to->topic->name), to->topic->id,
                                                             &parts[rq->n], 1};
        rq->batches[rq->n++] = b;
    }
    if (rq->n == 0) {
        mem_free(rq);
        return;
    }
    struct kafka_produce_request in = {{0}, p->acks, 30000, topics, (int32_t)rq->n};
    client_call(&p->client, 0, version, &in, p->acks ? on_produced : NULL, rq);
    if (!p->acks)
        on_produced(rq, NULL);
}

static void on_producer_tick(struct env_timer *timer)
{
    struct load_producer *p = container_of(timer, struct load_producer, timer);
    struct load *l = p->load;
    tick_in(l, timer, weir_sim_draw(l->w, 1, 2 * p->pace_us));
    if (!p->client.is_up || l->paused)
        return;
    if (p->idempotent && p->pid < 0) {
        if (!p->asks_pid)
            ask_pid(p);
        return;
    }
    lanes_choose(p);
    produce(p);
}

static void on_producer_down(struct client *c)
{
    struct load_producer *p = c->arg;
    for (unsigned i = 0; i < LOAD_PRODUCER_STREAMS; i++)
        p->lanes[i].acked_end = 0;
}

static void producer_make(struct load *l, unsigned i)
{
    static const int16_t acks[] = {-1, -1, -1, 1, 1, 0};
    struct load_producer *p = &l->producers[i];
    p->load = l;
    snprintf(p->name, sizeof p->name, "producer%u", i);
    p->client.name = p->name;
    p->client.down = on_producer_down;
    p->client.arg = p;
    p->pid = -1;
    p->idempotent = weir_sim_draw(l->w, 0, 2) > 0;
    p->version = client_version(l->w, 0, 3);
    p->acks = p->idempotent ? -1 : acks[weir_sim_draw(l->w, 0, 5)];
    p->value_max = weir_sim_chance(l->w, 4) ? 4000 : 200;
    p->batch_max = weir_sim_chance(l->w, 4) ? 20 : 3;
    p->pace_us = weir_sim_draw(l->w, 50, 2000);
    if (weir_sim_chance(l->w, 40)) { /* large enough to be written to the segment alone */
        p->value_max = 600000;
        p->batch_max = 2;
        p->pace_us = 20000;
    }
    for (unsigned k = 0; k < LOAD_PRODUCER_STREAMS; k++) {
        p->lanes[k].producer = p;
        list_init(&p->lanes[k].batches);
    }
    p->timer.fire = on_producer_tick;
    tick_in(l, &p->timer, weir_sim_draw(l->w, 1, 1000));
    client_start(&p->client, l->w);
}

/* ---- consumers ------------------------------------------------------------------------------ */

static void consume(struct load_consumer *c);

static uint64_t records_seen(struct load *l, struct model_partition *p, struct str bytes,
                             int64_t from, int64_t high_watermark, int64_t *next)
{
    uint64_t n = 0;
    const uint8_t *at = (const uint8_t *)bytes.at;
    for (size_t left = bytes.len; left;) {
        struct batch_head head;
        struct record_iter it;
        struct record r;
        enum err err = batch_head_read(at, left, &head);
        if (err || head.bytes > left || !batch_crc_ok(at, &head))
            weir_sim_fail(l->w, "%s-%d: a batch was served that is not whole", p->topic->name,
                          p->index);
        if (batch_next_offset(&head) > high_watermark)
            weir_sim_fail(l->w,
                          "%s-%d: records up to %" PRId64 " were served, the high watermark is "
                          "%" PRId64,
                          p->topic->name, p->index, batch_next_offset(&head), high_watermark);
        record_iter_init(&it, &head, at + BATCH_HEAD_BYTES, head.bytes - BATCH_HEAD_BYTES);
        while (record_iter_next(&it, &r) == ERR_OK) {
            model_seen(&l->model, p, r.offset, r.key, r.value);
            n += r.offset >= from;
        }
        if (batch_next_offset(&head) > *next)
            *next = batch_next_offset(&head);
        at += head.bytes;
        left -= head.bytes;
    }
    return n;
}

static struct load_position *position_of(struct load_consumer *c, int16_t version,
                                         const struct kafka_fetch_response_topic *t, int32_t index)
{
    for (unsigned i = 0; i < c->n; i++) {
        const struct model_topic *mine = c->at[i].p->topic;
        bool same = version >= 13 ? uuid_eq(mine->id, t->topic_id) : str_is(t->topic, mine->name);
        if (same && c->at[i].p->index == index)
            return &c->at[i];
    }
    return NULL;
}

static void position_drop(struct load_consumer *c, struct load_position *at)
{
    *at = c->at[--c->n];
    c->session_id = c->session_epoch = 0;
    for (unsigned i = 0; i < c->n; i++)
        c->at[i].in_session = false;
}

static void part_fetched(struct load_consumer *c, struct load_position *at,
                         const struct kafka_fetch_response_topic_partition *r)
{
    struct load *l = c->load;
    struct model_partition *p = at->p;
    if (r->error_code == UNKNOWN || r->error_code == ID_UNKNOWN) {
        if (!is_gone(p))
            weir_sim_fail(l->w, "%s: %s-%d is unknown", c->name, p->topic->name, p->index);
        position_drop(c, at);
        return;
    }
    if (r->error_code == OUT_OF_RANGE && at->offset < p->start_max) {
        at->offset = p->start_min;
        at->in_session = false;
        return;
    }
    if (r->error_code == NOT_LEADER || r->error_code == NOT_AVAILABLE ||
        (r->error_code == STORAGE && l->disk_fails) ||
        (r->error_code == SERVER && l->w->memory_fails))
        return;
    if (r->error_code || r->high_watermark < at->offset)
        weir_sim_fail(
            l->w, "%s: fetch of %s-%d from %" PRId64 ": error %d, high watermark %" PRId64, c->name,
            p->topic->name, p->index, at->offset, r->error_code, r->high_watermark);
    int64_t before = at->offset;
    records_seen(l, p, r->records, 0, r->high_watermark, &at->offset);
    if (at->offset != before)
        at->in_session = false;
}

static void on_fetched(void *arg, const void *response)
{
    struct load_consumer *c = arg;
    const struct kafka_fetch_response *r = response;
    if (!r || r->error_code) {
        if (r && r->error_code != SESSION_UNKNOWN && r->error_code != SESSION_EPOCH &&
            !c->load->w->memory_fails)
            weir_sim_fail(c->load->w, "%s: fetch: error %d", c->name, r->error_code);
        c->session_id = c->session_epoch = 0;
        for (unsigned i = 0; i < c->n; i++)
            c->at[i].in_session = false;
        return;
    }
    c->session_id = r->session_id;
    c->session_epoch = r->session_id ? c->session_epoch + 1 : 0;
    for (int32_t i = 0; i < r->responses_n; i++) {
        const struct kafka_fetch_response_topic *t = &r->responses[i];
        for (int32_t k = 0; k < t->partitions_n; k++) {
            struct load_position *at =
                position_of(c, c->version, t, t->partitions[k].partition_index);
            if (at)
                part_fetched(c, at, &t->partitions[k]);
        }
    }
    if (c->client.is_up && !c->load->paused)
        consume(c);
}

static void positions_choose(struct load_consumer *c)
{
    unsigned most = sizeof c->at / sizeof c->at[0];
    for (unsigned tries = 0; tries < 4 && c->n < most; tries++) {
        struct model_partition *p = draw_partition(c->load);
        bool have = !p || (!p->topic->id_known && c->version > 12);
        for (unsigned i = 0; i < c->n; i++)
            have |= c->at[i].p == p;
        if (!have)
            c->at[c->n++] = (struct load_position){.p = p, .offset = p->start_min};
    }
}

static void consume(struct load_consumer *c)
{
    struct kafka_fetch_request_topic_partition parts[MODEL_PARTITIONS * 2];
    struct kafka_fetch_request_topic topics[MODEL_PARTITIONS * 2];
    struct kafka_fetch_request rq;
    struct load *l = c->load;
    int32_t n = 0;
    if (c->client.waiting || c->n == 0)
        return;
    for (unsigned i = 0; i < c->n; i++) {
        struct load_position *at = &c->at[i];
        if (at->in_session && c->session_epoch > 0)
            continue;
        wire_default(&kafka_fetch_request_topic_partition_table, &parts[n]);
        parts[n].partition = at->p->index;
        parts[n].fetch_offset = at->offset;
        parts[n].partition_max_bytes = (int32_t)weir_sim_draw(l->w, 1, 100000);
        topics[n] = (struct kafka_fetch_request_topic){str_of(at->p->topic->name), at->p->topic->id,
                                                       &parts[n], 1};
        at->in_session = c->sessions;
        n++;
    }
    wire_default(&kafka_fetch_request_table, &rq);
    rq.max_wait_ms = (int32_t)weir_sim_draw(l->w, 0, 100);
    rq.min_bytes = weir_sim_chance(l->w, 4) ? 5000 : 1;
    rq.max_bytes = 1 << 20;
    rq.isolation_level = (int8_t)weir_sim_draw(l->w, 0, 1);
    rq.session_id = c->session_id;
    rq.session_epoch = c->sessions ? c->session_epoch : -1;
    rq.topics = topics;
    rq.topics_n = n;
    client_call(&c->client, 1, c->version, &rq, on_fetched, c);
}

static void on_consumer_tick(struct env_timer *timer)
{
    struct load_consumer *c = container_of(timer, struct load_consumer, timer);
    struct load *l = c->load;
    tick_in(l, timer, weir_sim_draw(l->w, 1, 20 * WEIR_SIM_MS));
    if (!c->client.is_up || l->paused || c->client.waiting)
        return;
    unsigned before = c->n;
    positions_choose(c);
    if (c->n != before) { /* a session of more partitions begins anew */
        c->session_id = c->session_epoch = 0;
        for (unsigned i = 0; i < c->n; i++)
            c->at[i].in_session = false;
    }
    consume(c);
}

static void consumer_make(struct load *l, unsigned i)
{
    struct load_consumer *c = &l->consumers[i];
    c->load = l;
    snprintf(c->name, sizeof c->name, "consumer%u", i);
    c->client.name = c->name;
    c->client.arg = c;
    c->version = client_version(l->w, 1, 4);
    c->sessions = c->version >= 7 && weir_sim_draw(l->w, 0, 2) > 0;
    c->timer.fire = on_consumer_tick;
    tick_in(l, &c->timer, weir_sim_draw(l->w, 1, 20000));
    client_start(&c->client, l->w);
}

/* ---- committers ----------------------------------------------------------------------------- */

static void on_committed(void *arg, const void *response)
{
    struct load_committer *c = arg;
    const struct kafka_offset_commit_response *r = response;
    struct load *l = c->load;
    if (!r)
        return;
    if (r->topics_n != 1 || r->topics[0].partitions_n != 1)
        weir_sim_fail(l->w, "%s: an answer about %d topics", c->name, r->topics_n);
    int16_t code = r->topics[0].partitions[0].error_code;
    if ((code == UNKNOWN || code == ID_UNKNOWN) && is_gone(c->p))
        return;
    if (code == UNAVAILABLE || (code == SERVER && l->w->memory_fails)) /* it was not taken */
        return;
    if (code)
        weir_sim_fail(l->w, "%s: commit of %s-%d: error %d", c->name, c->p->topic->name,
                      c->p->index, code);
    model_commit_of(&l->model, c->group, c->p)->acked = c->offset;
}

static void commit(struct load_committer *c)
{
    struct load *l = c->load;
    struct model_partition *p = draw_partition(l);
    if (!p || p->topic->lossy)
        return;
    struct model_commit *known = model_commit_of(&l->model, c->group, p);
    int64_t from = known->asked < 0 ? 0 : known->asked;
    if (from > p->end)
        return;
    c->p = p;
    c->offset = (int64_t)weir_sim_draw(l->w, (uint64_t)from, (uint64_t)p->end);
    known->asked = c->offset;
    struct kafka_offset_commit_request_topic_partition part;
    struct kafka_offset_commit_request_topic topic = {str_of(p->topic->name), p->topic->id, &part,
                                                      1};
    struct kafka_offset_commit_request rq;
    wire_default(&kafka_offset_commit_request_topic_partition_table, &part);
    wire_default(&kafka_offset_commit_request_table, &rq);
    part.partition_index = p->index;
    part.committed_offset = c->offset;
    part.committed_metadata = STR_LIT("m");
    rq.group_id = str_of(c->group->name);
    rq.topics = &topic;
    rq.topics_n = 1;
    int16_t version = client_version(l->w, 8, 2);
    if (version > 9 && !p->topic->id_known)
        version = 9;
    client_call(&c->client, 8, version, &rq, on_committed, c);
}

static void on_committer_tick(struct env_timer *timer)
{
    struct load_committer *c = container_of(timer, struct load_committer, timer);
    tick_in(c->load, timer, weir_sim_draw(c->load->w, 1, 10 * WEIR_SIM_MS));
    if (c->client.is_up && !c->load->paused && !c->load->draining && !c->client.waiting)
        commit(c);
}

static void committer_make(struct load *l, unsigned i)
{
    struct load_committer *c = &l->committers[i];
    c->load = l;
    snprintf(c->name, sizeof c->name, "committer%u", i);
    c->client.name = c->name;
    c->group = model_group_make(&l->model, c->name);
    c->timer.fire = on_committer_tick;
    tick_in(l, &c->timer, 5000);
    client_start(&c->client, l->w);
}

/* ---- admin ---------------------------------------------------------------------------------- */

static void on_created(void *arg, const void *response)
{
    struct load_admin *a = arg;
    const struct kafka_create_topics_response *r = response;
    struct model_topic *t = a->topic;
    a->busy = false;
    if (!r)
        return;
    if (r->topics_n != 1)
        weir_sim_fail(a->load->w, "CreateTopics: %d answers", r->topics_n);
    int16_t code = r->topics[0].error_code;
    weir_sim_trace(a->load->w, "topic %s created: error %d", t->name, code);
    if (code == 0)
        model_topic_there(&a->load->model, t, &r->topics[0].topic_id, t->partitions_max);
    else if (code == STORAGE)
        t->fate = MODEL_GONE;
    else if (code != SERVER || !a->load->w->memory_fails)
        weir_sim_fail(a->load->w, "CreateTopics of %s: error %d", t->name, code);
}

static void create_topic(struct load_admin *a, const char *name, int32_t partitions, bool lossy)
{
    struct load *l = a->load;
    static const char *const rolls[] = {"2", "8", "30", "604800000"};
    struct kafka_create_topics_request_topic_config configs[] = {
        {STR_LIT("segment.ms"), str_of(rolls[weir_sim_draw(l->w, 0, 3)])},
        {STR_LIT("index.interval.bytes"), STR_LIT("512")},
        {STR_LIT("file.delete.delay.ms"), STR_LIT("20")},
        {STR_LIT("max.message.bytes"), STR_LIT("8388608")},
        {STR_LIT("weir.flush"),
         lossy ? (weir_sim_chance(l->w, 2) ? STR_LIT("os") : STR_LIT("10ms")) : STR_LIT("each")},
    };
    struct kafka_create_topics_request_topic topic;
    struct kafka_create_topics_request rq;
    a->topic = model_topic_ask(&l->model, name, partitions, lossy);
    if (!a->topic)
        return;
    wire_default(&kafka_create_topics_request_topic_table, &topic);
    wire_default(&kafka_create_topics_request_table, &rq);
    topic.name = str_of(name);
    topic.num_partitions = partitions;
    topic.replication_factor = 1;
    topic.configs = configs;
    topic.configs_n = sizeof configs / sizeof configs[0];
    rq.topics = &topic;
    rq.topics_n = 1;
    a->busy = true;
    client_call(&a->client, 19, client_version(l->w, 19, 2), &rq, on_created, a);
}

static void on_grown(void *arg, const void *response)
{
    struct load_admin *a = arg;
    const struct kafka_create_partitions_response *r = response;
    a->busy = false;
    if (!r)
        return;
    int16_t code = r->results_n == 1 ? r->results[0].error_code : -1;
    weir_sim_trace(a->load->w, "topic %s grown to %d: error %d", a->topic->name, a->partitions,
                   code);
    if (code == 0)
        model_topic_there(&a->load->model, a->topic, &(struct uuid){{0}}, a->partitions);
    else if (code != STORAGE)
        weir_sim_fail(a->load->w, "CreatePartitions of %s: error %d", a->topic->name, code);
}

static void grow_topic(struct load_admin *a, struct model_topic *t)
{
    struct kafka_create_partitions_request_topic topic;
    struct kafka_create_partitions_request rq;
    if (t->partitions_max == MODEL_PARTITIONS || t->partitions_max != t->partitions)
        return;
    wire_default(&kafka_create_partitions_request_topic_table, &topic);
    wire_default(&kafka_create_partitions_request_table, &rq);
    a->topic = t;
    a->partitions = t->partitions_max = t->partitions + 1;
    topic.name = str_of(t->name);
    topic.count = a->partitions;
    topic.assignments_n = -1;
    rq.topics = &topic;
    rq.topics_n = 1;
    rq.timeout_ms = 30000;
    a->busy = true;
    client_call(&a->client, 37, client_version(a->load->w, 37, 0), &rq, on_grown, a);
}

static void on_deleted(void *arg, const void *response)
{
    struct load_admin *a = arg;
    const struct kafka_delete_topics_response *r = response;
    a->busy = false;
    if (!r)
        return;
    int16_t code = r->responses_n == 1 ? r->responses[0].error_code : -1;
    weir_sim_trace(a->load->w, "topic %s deleted: error %d", a->topic->name, code);
    if (code == 0)
        a->topic->fate = MODEL_GONE;
    else if (code == STORAGE)
        a->topic->fate = MODEL_ASKED; /* or not: the next look tells */
    else
        weir_sim_fail(a->load->w, "DeleteTopics of %s: error %d", a->topic->name, code);
}

static void delete_topic(struct load_admin *a, struct model_topic *t)
{
    struct str name = str_of(t->name);
    struct kafka_delete_topics_request_topic topic = {name, {{0}}};
    struct kafka_delete_topics_request rq = {&topic, 1, &name, 1, 30000};
    a->topic = t;
    t->fate = MODEL_LEAVING;
    a->busy = true;
    client_call(&a->client, 20, client_version(a->load->w, 20, 1), &rq, on_deleted, a);
}

static void on_trimmed(void *arg, const void *response)
{
    struct load_admin *a = arg;
    const struct kafka_delete_records_response *r = response;
    a->busy = false;
    if (!r || is_gone(a->p))
        return;
    if (r->topics_n != 1 || r->topics[0].partitions_n != 1)
        weir_sim_fail(a->load->w, "DeleteRecords: %d answers", r->topics_n);
    const struct kafka_delete_records_response_topic_partition *p = &r->topics[0].partitions[0];
    weir_sim_trace(a->load->w, "%s-%d trimmed to %" PRId64 ": error %d", a->p->topic->name,
                   a->p->index, p->low_watermark, p->error_code);
    if (p->error_code == STORAGE || (p->error_code == SERVER && a->load->w->memory_fails))
        return;
    if (p->error_code)
        weir_sim_fail(a->load->w, "DeleteRecords of %s-%d: error %d", a->p->topic->name,
                      a->p->index, p->error_code);
    model_trimmed(&a->load->model, a->p, p->low_watermark);
}

static void delete_records(struct load_admin *a, struct model_partition *p)
{
    if (p->end <= p->start_max)
        return;
    bool all = weir_sim_chance(a->load->w, 4);
    int64_t to = (int64_t)weir_sim_draw(a->load->w, (uint64_t)p->start_max, (uint64_t)p->end);
    struct kafka_delete_records_request_topic_partition part = {p->index, all ? -1 : to};
    struct kafka_delete_records_request_topic topic = {str_of(p->topic->name), &part, 1};
    struct kafka_delete_records_request rq = {&topic, 1, 30000};
    model_trim_asked(p, all ? INT64_MAX : to);
    a->p = p;
    a->busy = true;
    client_call(&a->client, 21, client_version(a->load->w, 21, 0), &rq, on_trimmed, a);
}

static void on_admin_tick(struct env_timer *timer)
{
    struct load_admin *a = container_of(timer, struct load_admin, timer);
    struct load *l = a->load;
    struct model_partition *p = draw_partition(l);
    tick_in(l, timer, weir_sim_draw(l->w, 1, 20 * WEIR_SIM_MS));
    if (!a->client.is_up || l->paused || l->draining || a->busy || !p)
        return;
    uint64_t what = weir_sim_draw(l->w, 0, 9);
    char name[16];
    snprintf(name, sizeof name, "t%u", ++a->named);
    if (what == 0)
        create_topic(a, name, (int32_t)weir_sim_draw(l->w, 1, 3), weir_sim_chance(l->w, 4));
    else if (what == 1)
        grow_topic(a, p->topic);
    else if (what == 2 && l->model.topics_n > 2)
        delete_topic(a, p->topic);
    else if (what < 6)
        delete_records(a, p);
}

static void on_admin_down(struct client *c)
{
    ((struct load_admin *)c->arg)->busy = false;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void load_begin(struct load *l, struct weir_sim *w)
{
    memset(l, 0, sizeof *l);
    l->w = w;
    l->paused = true;
    model_init(&l->model, w);
    l->admin.load = l;
    l->admin.client.name = "admin";
    l->admin.client.arg = &l->admin;
    l->admin.client.down = on_admin_down;
    client_start(&l->admin.client, w);
    l->scanner.name = "scanner";
    client_start(&l->scanner, w);
}

void load_make(struct load *l, struct weir_sim *w)
{
    load_begin(l, w);
    l->admin.timer.fire = on_admin_tick;
    tick_in(l, &l->admin.timer, 1000);
    l->producers_n = (unsigned)weir_sim_draw(w, 1, LOAD_PRODUCERS);
    l->consumers_n = (unsigned)weir_sim_draw(w, 1, LOAD_CONSUMERS);
    l->committers_n = (unsigned)weir_sim_draw(w, 0, LOAD_COMMITTERS);
    for (unsigned i = 0; i < l->producers_n; i++)
        producer_make(l, i);
    for (unsigned i = 0; i < l->consumers_n; i++)
        consumer_make(l, i);
    for (unsigned i = 0; i < l->committers_n; i++)
        committer_make(l, i);
    l->members_n = (unsigned)weir_sim_draw(w, 0, LOAD_MEMBERS);
    if (l->members_n)
        l->group.group = model_group_make(&l->model, "members");
    for (unsigned i = 0; i < l->members_n; i++)
        member_make(&l->members[i], i, &l->model, &l->group, &l->paused, &l->draining);
}

void load_make_small(struct load *l, struct weir_sim *w)
{
    load_begin(l, w);
    l->producers_n = l->consumers_n = l->committers_n = l->members_n = 1;
    producer_make(l, 0);
    l->producers[0].idempotent = true;
    l->producers[0].acks = -1;
    consumer_make(l, 0);
    committer_make(l, 0);
    l->group.group = model_group_make(&l->model, "members");
    member_make(&l->members[0], 0, &l->model, &l->group, &l->paused, &l->draining);
}

static void client_end(struct client *c)
{
    client_stop(c);
    arena_free(&c->arena);
    mem_free(c->rx);
}

void load_free(struct load *l)
{
    for (unsigned i = 0; i < l->producers_n; i++) {
        client_end(&l->producers[i].client);
        for (unsigned k = 0; k < LOAD_PRODUCER_STREAMS; k++)
            lane_end(&l->producers[i].lanes[k]);
    }
    for (unsigned i = 0; i < l->consumers_n; i++)
        client_end(&l->consumers[i].client);
    for (unsigned i = 0; i < l->committers_n; i++)
        client_end(&l->committers[i].client);
    for (unsigned i = 0; i < l->members_n; i++)
        member_free(&l->members[i]);
    client_end(&l->admin.client);
    client_end(&l->scanner);
    model_free(&l->model);
}

static void admin_wait(struct load *l)
{
    for (unsigned i = 0; i < 1000 && l->admin.busy && l->w->alive; i++)
        (void)weir_sim_run(l->w, WEIR_SIM_MS);
}

void load_trim(struct load *l)
{
    struct model_partition *p = draw_partition(l);
    if (!p || !client_wait_up(&l->admin.client, 1000 * WEIR_SIM_MS))
        return;
    delete_records(&l->admin, p);
    admin_wait(l);
}

void load_create(struct load *l, const char *name, int32_t partitions, bool lossy)
{
    if (!client_wait_up(&l->admin.client, 1000 * WEIR_SIM_MS))
        return;
    create_topic(&l->admin, name, partitions, lossy);
    admin_wait(l);
}

void load_resume(struct load *l)
{
    l->paused = false;
}

bool load_is_drained(const struct load *l)
{
    for (unsigned i = 0; i < l->producers_n; i++) {
        for (unsigned k = 0; k < LOAD_PRODUCER_STREAMS; k++) {
            if (!list_empty(&l->producers[i].lanes[k].batches))
                return false;
        }
    }
    for (unsigned i = 0; i < l->committers_n; i++) {
        if (l->committers[i].client.waiting)
            return false;
    }
    return !l->admin.busy && members_are_settled(l->members, l->members_n);
}

void load_check_done(struct load *l)
{
    for (unsigned i = 0; i < l->producers_n; i++) {
        for (unsigned k = 0; k < LOAD_PRODUCER_STREAMS; k++) {
            const struct load_lane *lane = &l->producers[i].lanes[k];
            if (lane->stream && lane->stream->ordered)
                model_stream_done(&l->model, lane->stream);
        }
    }
}

/* A generation that was not synced may come again, with other members. */
void load_restarted(struct load *l)
{
    l->group.joined = l->group.synced;
}

void load_power_lost(struct load *l)
{
    for (unsigned i = 0; i < l->producers_n; i++) {
        struct load_producer *p = &l->producers[i];
        bool lossy = false;
        for (unsigned k = 0; k < LOAD_PRODUCER_STREAMS; k++) {
            if (p->lanes[k].stream && p->lanes[k].stream->p->topic->lossy) {
                lane_end(&p->lanes[k]);
                lossy = true;
            }
        }
        if (!lossy || !p->idempotent)
            continue;
        for (unsigned k = 0; k < LOAD_PRODUCER_STREAMS; k++)
            lane_end(&p->lanes[k]);
        p->pid = -1;
    }
}

/* ---- scanning ------------------------------------------------------------------------------- */

#define SCAN_ANSWER_US (UINT64_C(20) * 1000000)

static const void *scan_ask(struct load *l, int16_t key, int16_t version, const void *request)
{
    const void *r = client_ask(&l->scanner, key, version, request, SCAN_ANSWER_US);
    if (!r && l->w->alive)
        weir_sim_fail(l->w, "no answer to request %d version %d within 20 s", key, version);
    return r;
}

static bool metadata_find(void *arg, const char *name, struct uuid *id, int32_t *partitions)
{
    const struct kafka_metadata_response *r = arg;
    for (int32_t i = 0; i < r->topics_n; i++) {
        const struct kafka_metadata_response_topic *t = &r->topics[i];
        if (!str_is(t->name, name))
            continue;
        *id = t->topic_id;
        *partitions = t->partitions_n;
        return t->error_code == 0;
    }
    return false;
}

static bool scan_topics(struct load *l)
{
    struct kafka_metadata_request rq;
    wire_default(&kafka_metadata_request_table, &rq);
    rq.topics_n = -1;
    const struct kafka_metadata_response *r = scan_ask(l, 3, client_version(l->w, 3, 10), &rq);
    if (!r)
        return false;
    model_topics_settle(&l->model, metadata_find, (void *)(uintptr_t)r);
    return true;
}

/* One ListOffsets: -2 the start, -1 the end. False: this life is over. */
static bool scan_offset(struct load *l, const struct model_partition *p, int64_t which,
                        int64_t *out)
{
    struct kafka_list_offsets_request_topic_partition part = {p->index, -1, which, 1};
    struct kafka_list_offsets_request_topic topic = {str_of(p->topic->name), &part, 1};
    struct kafka_list_offsets_request rq = {-1, 0, &topic, 1, 1000};
    const struct kafka_list_offsets_response *r = scan_ask(l, 2, client_version(l->w, 2, 1), &rq);
    if (!r)
        return false;
    if (r->topics_n != 1 || r->topics[0].partitions_n != 1 || r->topics[0].partitions[0].error_code)
        weir_sim_fail(l->w, "ListOffsets of %s-%d: error %d", p->topic->name, p->index,
                      r->topics_n == 1 && r->topics[0].partitions_n == 1
                          ? r->topics[0].partitions[0].error_code
                          : -1);
    *out = r->topics[0].partitions[0].offset;
    return true;
}

static bool scan_partition(struct load *l, struct model_partition *p, bool power_lost)
{
    int64_t start, end;
    if (!scan_offset(l, p, -2, &start) || !scan_offset(l, p, -1, &end))
        return false;
    model_scan(&l->model, p, start, end, power_lost);
    uint64_t n = 0;
    for (int64_t at = start; at < end;) {
        struct kafka_fetch_request_topic_partition part;
        struct kafka_fetch_request_topic topic = {str_of(p->topic->name), p->topic->id, &part, 1};
        struct kafka_fetch_request rq;
        wire_default(&kafka_fetch_request_topic_partition_table, &part);
        wire_default(&kafka_fetch_request_table, &rq);
        part.partition = p->index;
        part.fetch_offset = at;
        part.partition_max_bytes = 1 << 20;
        rq.max_bytes = 1 << 20;
        rq.session_epoch = -1;
        rq.topics = &topic;
        rq.topics_n = 1;
        const struct kafka_fetch_response *r = scan_ask(l, 1, client_version(l->w, 1, 4), &rq);
        if (!r)
            return false;
        if (r->error_code || r->responses_n != 1 || r->responses[0].partitions_n != 1 ||
            r->responses[0].partitions[0].error_code)
            weir_sim_fail(l->w, "the scan's fetch of %s-%d from %" PRId64 " fails", p->topic->name,
                          p->index, at);
        const struct kafka_fetch_response_topic_partition *got = &r->responses[0].partitions[0];
        int64_t next = at;
        n += records_seen(l, p, got->records, at, got->high_watermark, &next);
        if (next == at)
            weir_sim_fail(l->w, "%s-%d: nothing is served at %" PRId64 ", below the end %" PRId64,
                          p->topic->name, p->index, at, end);
        at = next;
    }
    model_scanned(&l->model, p, start, end, n);
    return true;
}

static bool scan_group(struct load *l, struct model_group *g)
{
    struct kafka_offset_fetch_request rq;
    wire_default(&kafka_offset_fetch_request_table, &rq);
    rq.group_id = str_of(g->name);
    rq.topics_n = -1;
    int16_t version = (int16_t)weir_sim_draw(l->w, 2, 7);
    const struct kafka_offset_fetch_response *r = scan_ask(l, 9, version, &rq);
    if (!r)
        return false;
    if (r->error_code)
        weir_sim_fail(l->w, "OffsetFetch of %s: error %d", g->name, r->error_code);
    for (unsigned t = 0; t < l->model.topics_n; t++) {
        struct model_topic *topic = &l->model.topics[t];
        for (int32_t i = 0; topic->fate == MODEL_THERE && i < topic->partitions; i++) {
            int64_t offset = -1;
            for (int32_t k = 0; k < r->topics_n; k++) {
                for (int32_t j = 0; j < r->topics[k].partitions_n; j++) {
                    if (str_is(r->topics[k].name, topic->name) &&
                        r->topics[k].partitions[j].partition_index == i)
                        offset = r->topics[k].partitions[j].committed_offset;
                }
            }
            model_fetched(&l->model, g, &topic->p[i], &g->at[t][i], offset);
        }
    }
    return true;
}

/* Consumers of topics that lost their tail stand at its new end at most. */
static void positions_clamp(struct load *l)
{
    for (unsigned i = 0; i < l->consumers_n; i++) {
        struct load_consumer *c = &l->consumers[i];
        for (unsigned k = 0; k < c->n; k++) {
            struct load_position *at = &c->at[k];
            if (at->p->topic->lossy && at->offset > at->p->end)
                at->offset = at->p->end;
        }
    }
}

bool load_scan(struct load *l, bool power_lost)
{
    client_break(&l->scanner); /* it may not know yet that its stream has gone */
    if (!client_wait_up(&l->scanner, 10000 * WEIR_SIM_MS)) {
        if (l->w->alive)
            weir_sim_fail(l->w, "no connection within 10 s");
        return false;
    }
    if (!scan_topics(l))
        return false;
    for (unsigned t = 0; t < l->model.topics_n; t++) {
        struct model_topic *topic = &l->model.topics[t];
        for (int32_t i = 0; topic->fate == MODEL_THERE && i < topic->partitions; i++) {
            if (!scan_partition(l, &topic->p[i], power_lost))
                return false;
        }
    }
    for (unsigned g = 0; g < l->model.groups_n; g++) {
        if (!scan_group(l, &l->model.groups[g]))
            return false;
    }
    positions_clamp(l);
    return true;
}
