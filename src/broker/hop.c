/* Hops: from hop_note into a batch, and the batch into weir.hops.
 *
 *     hop_note ---> builder ---- full, or the timer ----> flush: to the log as one produce_op
 *                                                          |  no such topic: it is made first
 *                                  flight_done  <----------+
 */
#include "broker/hop.h"

#include "base/codec.h"
#include "base/json.h"
#include "base/mem.h"
#include "broker/broker_internal.h"
#include "broker/event_internal.h"

#include <string.h>

#define RETRY_US 1000000u

static const char *const step_names[] = {
#define X(name, text) text,
    HOP_STEPS(X)
#undef X
};

/* What is on its way for a reactor: the topic's creation, or a batch. */
struct hop_flight {
    struct hops *hops;
    struct topic_create_op create;
    struct topic_setting settings[3];
    struct produce_op produce;
};

void hops_init(struct hops *h, struct broker *b)
{
    *h = (struct hops){.broker = b, .share = HOP_SHARE_ALL};
    h->notes = HOP_NOTES;
    h->looks = HOP_LOOKS;
    wr_init(&h->line, 512);
}

void hops_free(struct hops *h)
{
    env_timer_stop(h->broker->env, &h->flush);
    if (h->filling)
        wr_free(&h->builder.wr);
    wr_free(&h->line);
    if (h->flight != NULL)
        slice_unref(h->flight->produce.batch);
    mem_free(h->flight);
}

/* One writer: no locked instruction is needed. */
static void count(atomic_ullong *counter, uint64_t n)
{
    uint64_t was = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, was + n, memory_order_relaxed);
}

void broker_hop_stat(const struct broker *b, struct hop_stat *out)
{
    const struct hops *h = &b->hops;
    out->noted = atomic_load_explicit(&h->noted, memory_order_relaxed);
    out->batches = atomic_load_explicit(&h->batches, memory_order_relaxed);
    out->dropped = atomic_load_explicit(&h->dropped, memory_order_relaxed);
    out->skipped = atomic_load_explicit(&h->skipped, memory_order_relaxed);
}

void broker_hop_totals(const struct broker *b, struct hop_stat *out)
{
    *out = (struct hop_stat){0};
    for (unsigned i = 0; i < b->set->n; i++) {
        struct hop_stat one;
        broker_hop_stat(b->set->brokers[i], &one);
        out->noted += one.noted;
        out->batches += one.batches;
        out->dropped += one.dropped;
        out->skipped += one.skipped;
    }
}

/* ---- one hop ---- */

/* The trace id in a traceparent; at NULL: it has none. */
static struct str trace_id(struct str traceparent)
{
    if (traceparent.at == NULL || !event_trace_ok(traceparent))
        return (struct str){NULL, 0};
    return (struct str){traceparent.at + 3, 32};
}

static uint32_t hex_value(char c)
{
    return (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* A number by which to choose: of the trace, so that an event's hops are noted all or none, on
 * every reactor; of the place where there is none. */
static uint32_t lot(const struct hop *hop, struct str trace)
{
    uint32_t n = 0;
    if (trace.at == NULL)
        return (uint32_t)hash_u64((uint64_t)hop->offset);
    for (size_t i = 24; i < 32; i++)
        n = n << 4 | hex_value(trace.at[i]);
    return n;
}

static bool is_sampled(struct broker *b, const struct hop *hop, struct str trace)
{
    uint32_t n = lot(hop, trace);
    if (trace.at != NULL && (hex_value(hop->traceparent.at[EVENT_TRACEPARENT_BYTES - 1]) & 1) == 0)
        return false;
    if (n % 100 >= b->set->conf.hops_percent)
        return false;
    bool in_share = n / 100 % HOP_SHARE_ALL < b->hops.share;
    count(&b->hops.skipped, !in_share);
    return in_share;
}

static void window_next(struct hops *h, uint64_t now_us)
{
    if (h->notes == 0 && h->share > 1)
        h->share /= 2;
    else if (h->notes > HOP_NOTES / 2 && h->share < HOP_SHARE_ALL)
        h->share *= 2;
    h->window_us = now_us;
    h->notes = HOP_NOTES;
    h->looks = HOP_LOOKS;
}

bool hop_wanted(struct broker *b)
{
    struct hops *h = &b->hops;
    if (!b->loaded || b->set->conf.hops_percent == 0)
        return false;
    uint64_t now_us = env_mono_us(b->env);
    if (now_us - h->window_us >= HOP_WINDOW_MS * 1000)
        window_next(h, now_us);
    if (h->notes == 0 || h->looks == 0) {
        count(&h->skipped, 1);
        return false;
    }
    h->looks--;
    return true;
}

static void put_text(struct wr *w, struct str name, struct str value)
{
    if (value.at == NULL)
        return;
    json_write_raw(w, name);
    value.len = value.len < HOP_TEXT_MAX ? value.len : HOP_TEXT_MAX;
    json_write_string(w, value);
}

static void put_int(struct wr *w, struct str name, int64_t value)
{
    json_write_raw(w, name);
    json_write_int(w, value);
}

/* Unix ms with three decimals. */
static void put_at(struct broker *b, struct wr *w, const struct hop *hop)
{
    uint64_t end_us = hop->end_us != 0 ? hop->end_us : env_clock_us(b->env);
    uint64_t wall_us = env_wall_us(b->env, end_us);
    unsigned us = (unsigned)(wall_us % 1000);
    const char text[] = {'.', (char)('0' + us / 100), (char)('0' + us / 10 % 10),
                         (char)('0' + us % 10)};
    put_int(w, STR_LIT(",\"at\":"), (int64_t)(wall_us / 1000));
    json_write_raw(w, (struct str){text, sizeof(text)});
}

static void put_number(struct wr *w, struct str name, uint64_t n)
{
    if (n > 0)
        put_int(w, name, (int64_t)n);
}

/* A topic by its name, or, when it is gone, by its id. */
static void put_topic(struct wr *w, const struct topic *t, const struct uuid *id)
{
    char text[UUID_TEXT_MAX];
    if (t == NULL)
        uuid_format(*id, text);
    json_write_raw(w, STR_LIT("\"topic\":"));
    json_write_string(w, str_of(t != NULL ? t->name : text));
}

static void put_place(struct wr *w, int32_t partition, int64_t offset)
{
    put_int(w, STR_LIT(",\"partition\":"), partition);
    put_int(w, STR_LIT(",\"offset\":"), offset);
}

static void put_cause(struct broker *b, struct wr *w, const struct publish_cause *c)
{
    json_write_raw(w, STR_LIT(",\"cause\":{"));
    put_topic(w, topics_find_id(&b->topics, &c->topic), &c->topic);
    put_place(w, c->partition, c->offset);
    put_text(w, STR_LIT(",\"subscription\":"), c->subscription);
    put_number(w, STR_LIT(",\"attempt\":"), c->attempt);
    wr_u8(w, '}');
}

/* What is the same for all events of a step. */
static void put_step(struct broker *b, struct wr *w, const struct hop *hop, const struct topic *t)
{
    put_text(w, STR_LIT("{\"step\":"), str_of(step_names[hop->step]));
    put_at(b, w, hop);
    put_number(w, STR_LIT(",\"took_us\":"), hop->took_us);
    wr_u8(w, ',');
    put_topic(w, t, &hop->topic);
    put_text(w, STR_LIT(",\"subscription\":"), hop->subscription);
    put_text(w, STR_LIT(",\"by\":"), hop->by);
    put_text(w, STR_LIT(",\"outcome\":"), hop->outcome);
    put_text(w, STR_LIT(",\"settle\":"), hop->settle);
    put_number(w, STR_LIT(",\"settled_us\":"), hop->settled_us);
}

static void put_event(struct broker *b, struct wr *w, const struct hop *hop, struct str trace)
{
    put_place(w, hop->partition, hop->offset);
    put_number(w, STR_LIT(",\"attempt\":"), hop->attempt);
    put_number(w, STR_LIT(",\"waited_us\":"), hop->waited_us);
    put_number(w, STR_LIT(",\"queued_us\":"), hop->queued_us);
    put_text(w, STR_LIT(",\"trace\":"), trace);
    if (trace.at != NULL)
        put_text(w, STR_LIT(",\"parent\":"), (struct str){trace.at + 33, 16});
    put_text(w, STR_LIT(",\"id\":"), hop->id);
    put_text(w, STR_LIT(",\"correlation\":"), hop->correlation);
    if (hop->cause != NULL)
        put_cause(b, w, hop->cause);
    wr_u8(w, '}');
}

/* FNV-1a: the same in every process, unlike hash_bytes. */
static uint64_t fold(uint64_t h, const void *p, size_t n)
{
    const uint8_t *at = p;
    for (size_t i = 0; i < n; i++)
        h = (h ^ at[i]) * 0x100000001b3;
    return h;
}

static uint64_t fold_number(uint64_t h, uint64_t n)
{
    uint8_t b[8];
    be64_put(b, n);
    return fold(h, b, sizeof(b));
}

uint64_t hop_span(struct str topic, int32_t partition, int64_t offset, struct str subscription,
                  uint32_t attempt)
{
    uint64_t h = fold(0xcbf29ce484222325, topic.at, topic.len);
    h = fold_number(h, (uint64_t)(uint32_t)partition << 32 | attempt);
    h = fold_number(h, (uint64_t)offset);
    h = fold(h, subscription.at, subscription.at != NULL ? subscription.len : 0);
    return h != 0 ? h : 1;
}

/* ---- what an event says of itself ---- */

static void take_header(struct hop *hop, const struct record_header *h)
{
    if (h->value.at == NULL)
        return;
    if (str_is(h->key, "ce_id") || (str_is(h->key, "message-id") && hop->id.at == NULL))
        hop->id = h->value;
    else if (str_is(h->key, "ce_traceparent") ||
             (str_is(h->key, "traceparent") && hop->traceparent.at == NULL))
        hop->traceparent = h->value;
    else if (str_is(h->key, "ce_correlationid") ||
             (str_is(h->key, "correlationid") && hop->correlation.at == NULL))
        hop->correlation = h->value;
}

/* Where there is no trace, or none that is one. */
static void derive(struct hop *hop, struct hop_text *text)
{
    struct event_place place = {NULL, hop->topic, hop->partition, hop->offset};
    if (hop->traceparent.at != NULL && event_trace_ok(hop->traceparent))
        return;
    event_trace_derive(&place, text->traceparent);
    hop->traceparent = (struct str){text->traceparent, EVENT_TRACEPARENT_BYTES};
}

void hop_of_record(struct hop *hop, const struct record *record, struct hop_text *text)
{
    struct record r = *record;
    struct record_header h;
    hop->traceparent = hop->id = hop->correlation = (struct str){NULL, 0};
    while (record_header_next(&r, &h))
        take_header(hop, &h);
    derive(hop, text);
}

void hop_of_headers(struct hop *hop, const struct record_header *headers, size_t n,
                    struct hop_text *text)
{
    hop->traceparent = hop->id = hop->correlation = (struct str){NULL, 0};
    for (size_t i = 0; i < n; i++)
        take_header(hop, &headers[i]);
    derive(hop, text);
}

/* ---- into the topic ---- */

static void hops_flush(struct hops *h);

static void flush_fire(struct env_timer *timer)
{
    hops_flush(container_of(timer, struct hops, flush));
}

static void arm(struct hops *h, uint64_t delay_us)
{
    h->flush.fire = flush_fire;
    if (!env_timer_armed(&h->flush))
        env_timer_set(h->broker->env, &h->flush, delay_us);
}

static void look_busy(struct hops *h)
{
    atomic_store_explicit(&h->busy, h->filling || h->flight != NULL, memory_order_release);
}

/* What is gathered goes when its time has come. */
static void arm_next(struct hops *h)
{
    bool full = h->filling && batch_bytes(&h->builder) >= HOP_BATCH_BYTES;
    if (h->filling)
        arm(h, full || h->stopping ? 0 : HOP_FLUSH_MS * 1000);
}

static void drop_gathered(struct hops *h)
{
    if (!h->filling)
        return;
    count(&h->dropped, (uint64_t)h->builder.count);
    wr_free(&h->builder.wr);
    h->filling = false;
}

static void failed(struct hops *h, enum err err, const char *what)
{
    struct env *env = h->broker->env;
    if (h->stopping)
        drop_gathered(h);
    if (!h->stopping || err != ERR_CLOSED)
        env_log(env, ENV_WARN, "hops", "%s=%s", what, err_name(err));
    h->retry_us = env_mono_us(env) + RETRY_US;
    if (h->filling)
        arm(h, RETRY_US);
}

static void flight_end(struct hop_flight *f, enum err err, const char *what)
{
    struct hops *h = f->hops;
    slice_unref(f->produce.batch);
    mem_free(f);
    h->flight = NULL;
    if (err != ERR_OK)
        failed(h, err, what);
    else
        arm_next(h);
    look_busy(h);
}

static void produced(struct op *op)
{
    struct hop_flight *f = container_of(op, struct hop_flight, produce.op);
    struct hops *h = f->hops;
    if (op->err == ERR_OK)
        count(&h->batches, 1);
    else
        count(&h->dropped, (uint64_t)f->produce.head.count);
    flight_end(f, op->err, "append");
}

static void created(struct op *op)
{
    struct hop_flight *f = container_of(op, struct hop_flight, create.op);
    topic_unref(f->create.topic);
    flight_end(f, op->err == ERR_TOPIC_EXISTS ? ERR_OK : op->err, "topic");
}

static void topic_make_start(struct hop_flight *f)
{
    struct hops *h = f->hops;
    f->settings[0] = (struct topic_setting){STR_LIT("retention.ms"), STR_LIT("86400000")};
    f->settings[1] = (struct topic_setting){STR_LIT("retention.bytes"), STR_LIT(HOP_TOPIC_BYTES)};
    f->settings[2] = (struct topic_setting){STR_LIT("weir.flush"), STR_LIT("os")};
    f->create = (struct topic_create_op){
        .op.done = created,
        .name = STR_LIT(HOP_TOPIC),
        .partitions = (int32_t)h->broker->set->n,
        .replication = -1,
        .settings = f->settings,
        .settings_n = sizeof(f->settings) / sizeof(f->settings[0]),
    };
    broker_topic_create(h->broker, &f->create);
}

/* The batch, its records compressed where that makes it smaller. */
static struct slice pack(struct batch_builder *b)
{
    struct slice plain = batch_end(b), out = plain;
    struct buf *packed;
    size_t n, records = plain.len - BATCH_HEAD_BYTES;
    if (codec_compress(CODEC_LZ4, plain.at + BATCH_HEAD_BYTES, records, records, &packed, &n) !=
        ERR_OK)
        return plain;
    out.buf = buf_make(BATCH_HEAD_BYTES + n);
    out.at = out.buf->data;
    out.len = BATCH_HEAD_BYTES + n;
    memcpy(out.buf->data, plain.at, BATCH_HEAD_BYTES);
    memcpy(out.buf->data + BATCH_HEAD_BYTES, packed->data, n);
    buf_unref(packed);
    slice_unref(plain);
    batch_set_codec(out.buf->data, CODEC_LZ4, out.len);
    return out;
}

static void flight_start(struct hops *h, const struct topic *topic)
{
    struct hop_flight *f = h->flight = mem_zalloc(1, sizeof(*f));
    f->hops = h;
    if (topic == NULL) {
        topic_make_start(f);
        return;
    }
    h->filling = false;
    f->produce.op.done = produced;
    f->produce.topic = topic->id;
    f->produce.partition = (int32_t)(h->broker->env->reactor % (unsigned)topic->partitions);
    f->produce.batch = pack(&h->builder);
    f->produce.built_here = true;
    broker_produce(h->broker, &f->produce);
}

static void hops_flush(struct hops *h)
{
    if (!h->filling || h->flight != NULL)
        return;
    uint64_t now_us = env_mono_us(h->broker->env);
    if (now_us < h->retry_us)
        arm(h, h->retry_us - now_us);
    else
        flight_start(h, topics_find(&h->broker->topics, STR_LIT(HOP_TOPIC)));
}

static bool has_room(const struct hops *h)
{
    return !h->filling || batch_bytes(&h->builder) < HOP_BUFFER_BYTES;
}

/* The line begins with what hops of the same step have in common: false: it is one that is not
 * told of. */
static bool line_begin(struct broker *b, const struct hop *hop)
{
    struct hops *h = &b->hops;
    const struct topic *t = topics_find_id(&b->topics, &hop->topic);
    if (t != NULL && strcmp(t->name, HOP_TOPIC) == 0)
        return false;
    h->line.len = 0;
    put_step(b, &h->line, hop, t);
    h->shared = h->line.len;
    return true;
}

void hop_note(struct broker *b, const struct hop *hop)
{
    struct hops *h = &b->hops;
    struct str trace = trace_id(hop->traceparent);
    h->shared = hop->follows ? h->shared : 0;
    if (!is_sampled(b, hop, trace) || (h->shared == 0 && !line_begin(b, hop)))
        return;
    if (!has_room(h)) {
        count(&h->dropped, 1);
        return;
    }
    h->notes -= h->notes > 0;
    count(&h->noted, 1);
    h->line.len = h->shared;
    put_event(b, &h->line, hop, trace);
    if (!h->filling)
        batch_begin(&h->builder, 0);
    h->filling = true;
    batch_add(&h->builder, (int64_t)env_now_ms(b->env), trace,
              (struct str){(const char *)h->line.buf->data, h->line.len}, NULL, 0);
    look_busy(h);
    if (batch_bytes(&h->builder) >= HOP_BATCH_BYTES)
        hops_flush(h);
    else
        arm_next(h);
}

void broker_hops_stop(struct broker *b)
{
    struct hops *h = &b->hops;
    h->stopping = true;
    h->retry_us = 0;
    env_timer_stop(b->env, &h->flush);
    arm_next(h);
}

bool broker_hops_busy(const struct broker *b)
{
    bool busy = false;
    for (unsigned i = 0; i < b->set->n; i++)
        busy |= atomic_load_explicit(&b->set->brokers[i]->hops.busy, memory_order_acquire);
    return busy;
}

void hop_note_place(struct broker *b, struct hop *hop)
{
    struct record record;
    struct hop_text text;
    struct records *r = records_cached(b, &hop->topic, hop->partition, hop->offset);
    if (r != NULL) {
        records_get(r, records_find(r, hop->offset), &record);
        hop_of_record(hop, &record, &text);
    }
    hop_note(b, hop);
}
