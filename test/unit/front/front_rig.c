#include "front_rig.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/group.h"

#include <stdio.h>
#include <string.h>

static struct client *client_of(struct pipe *p)
{
    return container_of(p, struct client, pipe);
}

/* ---- the pipe ------------------------------------------------------------------------------- */

static bool fake_send(struct pipe *p, struct chunkq *q)
{
    struct client *c = client_of(p);
    for (struct chunk *k = q->head; k && !c->closing; k = k->next)
        wr_bytes(&c->got, k->slice.at, k->len);
    chunkq_clear(q);
    c->over |= c->got.len - c->taken > c->output_max;
    return !c->over;
}

static void fake_resume(struct pipe *p)
{
    client_of(p)->paused = false;
}

static void fake_close(struct pipe *p)
{
    client_of(p)->closing = true;
}

static void fake_abort(struct pipe *p, enum err why)
{
    (void)why;
    client_of(p)->closing = client_of(p)->aborted = true;
}

static const struct pipe_ops fake_ops = {fake_send, fake_resume, fake_close, fake_abort};

/* ---- the front ------------------------------------------------------------------------------ */

void front_make(struct front *f, unsigned reactors)
{
    *f = (struct front){0};
    rig_prepare(&f->rig, reactors);
    f->rig.conf.group_initial_delay_ms = 0;
    rig_boot(&f->rig);
    weir_assert(f->rig.load_err == ERR_OK);
    f->kafka = kafka_front_make(&kafka_conf_default, f->rig.brokers, reactors);
    arena_init(&f->arena, (size_t)1 << 30);
}

static bool close_some(struct front *f)
{
    bool any = false;
    for (unsigned i = 0; i < f->n; i++) {
        struct client *c = f->clients[i];
        if (!c->closing || c->gone)
            continue;
        c->gone = any = true;
        c->pipe.user_ops->closed(c->pipe.user, ERR_OK);
    }
    return any;
}

void front_run(struct front *f)
{
    do {
        rig_run(&f->rig);
    } while (close_some(f));
}

struct kafka_stats front_stats(const struct front *f)
{
    struct kafka_stats stats;
    kafka_front_stats(f->kafka, &stats);
    return stats;
}

static void clients_free(struct front *f)
{
    for (unsigned i = 0; i < f->n; i++)
        client_break(f->clients[i]);
    for (unsigned i = 0; i < f->rig.n; i++)
        groups_drain(broker_groups(f->rig.brokers[i]));
    front_run(f);
    weir_assert(front_stats(f).connections == 0 && front_stats(f).fetch_waits == 0);
    for (unsigned i = 0; i < f->n; i++) {
        wr_free(&f->clients[i]->got);
        mem_free(f->clients[i]);
    }
    f->n = 0;
    kafka_front_free(f->kafka);
}

void front_restart(struct front *f)
{
    clients_free(f);
    rig_restart(&f->rig);
    f->kafka = kafka_front_make(&kafka_conf_default, f->rig.brokers, f->rig.n);
}

void front_free(struct front *f)
{
    clients_free(f);
    rig_free(&f->rig);
    arena_free(&f->arena);
}

/* ---- clients -------------------------------------------------------------------------------- */

struct client *client_open(struct front *f, unsigned reactor)
{
    struct client *c = mem_zalloc(1, sizeof *c);
    weir_assert(f->n < CLIENTS_MAX);
    c->pipe.ops = &fake_ops;
    c->front = f;
    c->output_max = SIZE_MAX;
    wr_init(&c->got, 256);
    snprintf(c->pipe.local, sizeof c->pipe.local, "127.0.0.1:9092");
    snprintf(c->pipe.peer, sizeof c->pipe.peer, "127.0.0.1:%u", 40000 + f->n);
    f->clients[f->n++] = c;
    if (!kafka_front_accept(f->kafka, reactor, &c->pipe, f->listener))
        c->closing = c->gone = true;
    return c;
}

size_t client_push(struct client *c, const void *p, size_t n)
{
    size_t done = 0;
    while (done < n && !c->closing && !c->paused) {
        size_t cap;
        void *space = c->pipe.user_ops->space(c->pipe.user, &cap);
        if (!space) {
            c->paused = !c->closing;
            break;
        }
        weir_assert(cap > 0);
        cap = cap < n - done ? cap : n - done;
        memcpy(space, (const char *)p + done, cap);
        done += cap;
        c->pipe.user_ops->received(c->pipe.user, cap);
    }
    return done;
}

void client_send(struct client *c, const void *p, size_t n)
{
    size_t taken = client_push(c, p, n);
    weir_assert(taken == n || c->closing);
    front_run(c->front);
}

void client_end(struct client *c)
{
    c->pipe.user_ops->received(c->pipe.user, 0);
    front_run(c->front);
}

void client_break(struct client *c)
{
    c->closing = true;
    front_run(c->front);
}

void client_free(struct client *c)
{
    struct front *f = c->front;
    client_break(c);
    for (unsigned i = 0; i < f->n; i++) {
        if (f->clients[i] == c)
            f->clients[i] = f->clients[--f->n];
    }
    wr_free(&c->got);
    mem_free(c);
}

void client_drain(struct client *c)
{
    bool was = c->over;
    c->over = false;
    if (was && c->pipe.user_ops->drained)
        c->pipe.user_ops->drained(c->pipe.user);
    front_run(c->front);
}

/* ---- requests and answers ------------------------------------------------------------------- */

struct slice frame_make(int16_t key, int16_t version, int32_t correlation_id, const void *in)
{
    const struct kafka_api *api = kafka_api_find(key);
    struct wr w;
    weir_assert(api);
    bool flexible = version >= api->flexible_from;
    wr_init(&w, 256);
    wr_i32(&w, 0);
    wr_i16(&w, key);
    wr_i16(&w, version);
    wr_i32(&w, correlation_id);
    wire_put_str(&w, false, STR_LIT("rig"), true);
    if (flexible)
        wire_put_no_tags(&w);
    wire_encode(api->request, version, flexible, in, &w);
    wr_patch_i32(&w, 0, (int32_t)w.len - 4);
    return wr_take(&w);
}

void client_request(struct client *c, int16_t key, int16_t version, const void *in)
{
    struct slice frame = frame_make(key, version, ++c->correlation_id, in);
    client_send(c, frame.at, frame.len);
    slice_unref(frame);
}

bool client_answer_bytes(struct client *c, int32_t *correlation_id, struct str *body)
{
    const uint8_t *p = c->got.buf->data + c->taken;
    size_t left = c->got.len - c->taken;
    size_t n = left >= 4 ? be32_get(p) : 0;
    if (left < 4 || left - 4 < n)
        return false;
    weir_assert(n >= 4);
    *correlation_id = (int32_t)be32_get(p + 4);
    *body = (struct str){(const char *)p + 8, n - 4};
    c->taken += 4 + n;
    return true;
}

void *client_answer(struct client *c, int16_t key, int16_t version)
{
    const struct kafka_api *api = kafka_api_find(key);
    bool flexible = version >= api->flexible_from;
    int32_t correlation_id;
    struct str body;
    struct rd r;
    bool there = client_answer_bytes(c, &correlation_id, &body);
    weir_assert(there && correlation_id == c->correlation_id);
    /* The next answer may move the bytes. */
    const void *kept = arena_copy(&c->front->arena, body.at, body.len);
    void *out = arena_alloc(&c->front->arena, api->response->size);
    rd_init(&r, kept, body.len);
    if (flexible && key != 18)
        wire_skip_tags(&r);
    enum err err = wire_decode(api->response, version, flexible, &r, &c->front->arena, out);
    weir_assert(err == ERR_OK && rd_left(&r) == 0);
    return out;
}

void *client_call(struct client *c, int16_t key, int16_t version, const void *in)
{
    client_request(c, key, version, in);
    return client_answer(c, key, version);
}

/* ---- shorthands ----------------------------------------------------------------------------- */

struct slice frame_produce(struct front *f, int16_t version, int32_t correlation_id,
                           const char *topic, int32_t partition, int16_t acks, struct slice batch)
{
    const struct topic *known = rig_topic(&f->rig, 0, topic);
    struct kafka_produce_request_topic_partition p = {
        .index = partition, .records = {(const char *)batch.at, batch.len}};
    struct kafka_produce_request_topic t = {
        .name = str_of(topic), .partition_data = &p, .partition_data_n = 1};
    struct kafka_produce_request in;
    if (known)
        t.topic_id = known->id;
    wire_default(&kafka_produce_request_table, &in);
    in.acks = acks;
    in.topic_data = &t;
    in.topic_data_n = 1;
    struct slice frame = frame_make(0, version, correlation_id, &in);
    slice_unref(batch);
    return frame;
}

const struct kafka_produce_response_topic_partition *
only_produced(const struct kafka_produce_response *out)
{
    weir_assert(out->responses_n == 1 && out->responses[0].partition_responses_n == 1);
    return &out->responses[0].partition_responses[0];
}

void front_topic(struct front *f, const char *name, int32_t partitions, unsigned records)
{
    enum err err = rig_create(&f->rig, 0, name, partitions);
    weir_assert(err == ERR_OK);
    struct uuid id = rig_topic_id(&f->rig, name);
    if (records)
        err = rig_produce(&f->rig, 0, &id, 0, rig_batch(records, 1000), NULL);
    weir_assert(err == ERR_OK);
}
