/* Batches of published records, and which partition a record goes to. */
#include "base/assert.h"
#include "base/mem.h"
#include "broker/partition.h"
#include "broker/validate.h"

#include <inttypes.h>

/* ---- partitions ---- */

/* As org.apache.kafka.common.utils.Utils.murmur2. */
static uint32_t murmur2(const uint8_t *p, size_t n)
{
    const uint32_t m = 0x5bd1e995;
    uint32_t h = 0x9747b28c ^ (uint32_t)n, k;
    for (; n >= 4; n -= 4, p += 4) {
        k = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        k *= m;
        k ^= k >> 24;
        h = h * m ^ k * m;
    }
    k = n > 0 ? p[0] : 0;
    k |= n > 1 ? (uint32_t)p[1] << 8 : 0;
    k |= n > 2 ? (uint32_t)p[2] << 16 : 0;
    h = n > 0 ? (h ^ k) * m : h;
    h = (h ^ h >> 13) * m;
    return h ^ h >> 15;
}

int32_t publish_partition_of(struct str key, int32_t partitions)
{
    uint32_t hash = murmur2((const uint8_t *)key.at, key.len) & INT32_MAX;
    return (int32_t)(hash % (uint32_t)partitions);
}

static struct message_id message_id_of(const struct publish_op *op)
{
    if (op->message_id.at != NULL)
        return (struct message_id){{NULL, 0}, op->message_id};
    return message_id_of_headers(op->record.headers, op->record.headers_n);
}

int32_t publish_choose(const struct topic *topic, const struct publish_op *op)
{
    if (op->partition >= 0)
        return op->partition;
    if (op->record.key.at != NULL)
        return publish_partition_of(op->record.key, topic->partitions);
    if (topic->conf.duplicates_window_ms > 0) {
        struct str id = message_id_of(op).id;
        if (id.at != NULL)
            return publish_partition_of(id, topic->partitions);
    }
    return topic->partitions == 1 ? 0 : -1;
}

static bool turn_eq(const struct map_node *node, const void *topic)
{
    const struct publish_turn *t = container_of_const(node, struct publish_turn, node);
    return uuid_eq(t->topic, *(const struct uuid *)topic);
}

static struct publish_turn *turn_find(struct publish *pub, const struct uuid *topic)
{
    struct map_node *n = map_find(&pub->turns, uuid_hash(*topic), turn_eq, topic);
    return n != NULL ? container_of(n, struct publish_turn, node) : NULL;
}

/* Reactors begin apart from each other. */
static struct publish_turn *turn_add(struct publish *pub, const struct topic *topic)
{
    struct publish_turn *t = mem_zalloc(1, sizeof(*t));
    t->topic = topic->id;
    t->partition = (int32_t)pub->broker->env->reactor - 1;
    map_insert(&pub->turns, &t->node, uuid_hash(topic->id));
    return t;
}

int32_t publish_by_turns(struct publish *pub, const struct topic *topic, size_t bytes)
{
    struct publish_turn *t = turn_find(pub, &topic->id);
    if (t == NULL)
        t = turn_add(pub, topic);
    uint64_t now_us = env_mono_us(pub->broker->env);
    if (t->turn_us != now_us || t->bytes + bytes > PUBLISH_BATCH_BYTES) {
        t->partition++;
        t->turn_us = now_us;
        t->bytes = 0;
    }
    t->partition = t->partition < topic->partitions ? t->partition : 0;
    t->bytes += bytes;
    return t->partition;
}

static void turn_remove(struct publish *pub, struct publish_turn *t)
{
    map_remove(&pub->turns, &t->node);
    mem_free(t);
}

static void topic_changed(struct topic_watcher *w, struct broker *b, const struct topic *old,
                          const struct topic *now)
{
    struct publish *pub = container_of(w, struct publish, watcher);
    (void)b;
    struct publish_turn *t = now == NULL ? turn_find(pub, &old->id) : NULL;
    if (t != NULL)
        turn_remove(pub, t);
}

/* ---- batches ---- */

struct publish_batch *publish_batch_make(struct partition *p)
{
    struct publish_batch *batch = mem_zalloc(1, sizeof(*batch));
    batch->stamped = p->topic->conf.timestamp_type == TOPIC_APPEND_TIME;
    batch->append_ms = (int64_t)env_now_ms(p->broker->env);
    append_begin(&batch->append, p);
    batch_begin(&batch->builder, batch->stamped ? BATCH_APPEND_TIME : 0);
    list_init(&batch->link);
    list_init(&batch->ops);
    return batch;
}

void publish_batch_free(struct publish_batch *batch)
{
    list_remove(&batch->link);
    wr_free(&batch->builder.wr);
    slice_unref(batch->append.store.batch);
    mem_free(batch);
}

static size_t record_room(const struct batch_builder *b, const struct publish_record *r, int64_t ts)
{
    return batch_room(b, ts, r->key, r->value, r->headers, r->headers_n);
}

static enum err check_size(const struct partition *p, struct publish_op *op)
{
    static const struct batch_builder empty;
    const struct publish_record *r = &op->record;
    if (r->headers_n > PUBLISH_HEADERS_MAX)
        return err_say(&op->text, ERR_RECORD_INVALID, "the record has %zu headers: give at most %d",
                       r->headers_n, PUBLISH_HEADERS_MAX);
    size_t bytes = BATCH_HEAD_BYTES + record_room(&empty, r, 0);
    if (bytes > (uint64_t)p->topic->conf.max_message_bytes)
        return err_say(&op->text, ERR_MESSAGE_TOO_LARGE,
                       "the record takes %zu bytes as a batch: the topic's max.message.bytes is "
                       "%" PRId64,
                       bytes, p->topic->conf.max_message_bytes);
    return ERR_OK;
}

enum err publish_check(struct partition *p, struct publish_op *op)
{
    struct validate v = {
        .conf = &p->topic->conf, .now_ms = env_now_ms(p->broker->env), .text = &op->text};
    enum err err = append_allowed(p, &op->text);
    if (err == ERR_OK)
        err = check_size(p, op);
    if (err == ERR_OK)
        err = validate_record(&v, 0, op->record.timestamp, op->record.key);
    return err;
}

static void warn_forgotten(struct partition *p)
{
    uint64_t n = duplicates_forgotten(p->duplicates);
    if ((n & (n - 1)) == 0 && n != p->forgotten_told) {
        p->forgotten_told = n;
        env_log(p->broker->env, ENV_WARN, "duplicates.forgotten",
                "topic=%s partition=%" PRId32 " ids=%" PRIu64 " limit=%zu", p->topic->name,
                p->index, n, DUPLICATES_MAX);
    }
}

enum publish_known publish_ask(struct partition *p, struct publish_op *op,
                               struct publish_op **first)
{
    struct duplicate_found found;
    int64_t window = p->topic->conf.duplicates_window_ms;
    op->id = window > 0 ? duplicate_id_make(message_id_of(op)) : (struct duplicate_id){{0, 0}};
    if (!duplicate_id_given(&op->id))
        return PUBLISH_NEW;
    int64_t since_ms = (int64_t)env_now_ms(p->broker->env) - window;
    switch (duplicates_check(p->duplicates, op->id, since_ms, op, &found)) {
    case DUPLICATE_NEW:
        return PUBLISH_NEW;
    case DUPLICATE_UNDER_WAY:
        *first = found.tag;
        return PUBLISH_UNDER_WAY;
    case DUPLICATE_STORED:
        p->duplicates_dropped++;
        op->duplicate = true;
        op->offset = found.offset;
        op->append_ms = found.append_ms;
        return PUBLISH_KNOWN;
    }
    weir_unreachable();
}

bool publish_batch_add(struct publish_batch *batch, struct publish_op *op)
{
    const struct publish_record *r = &op->record;
    struct batch_builder *b = &batch->builder;
    const struct topic_conf *conf = &batch->append.at->topic->conf;
    size_t most = PUBLISH_BATCH_BYTES;
    if ((uint64_t)conf->max_message_bytes < most)
        most = (size_t)conf->max_message_bytes;
    int64_t ts = r->timestamp == -1 || batch->stamped ? batch->append_ms : r->timestamp;
    if (b->count > 0 && batch_bytes(b) + record_room(b, r, ts) > most)
        return false;
    op->index = b->count;
    batch_add(b, ts, r->key, r->value, r->headers, r->headers_n);
    list_push(&batch->ops, &op->link);
    return true;
}

void publish_batch_close(struct publish_batch *batch)
{
    int32_t count = batch->builder.count;
    append_set(&batch->append, batch_end(&batch->builder), count);
    batch->append_ms = batch->append.store.append_ms;
}

void publish_answer(struct broker *b, struct publish_op *op, enum err err)
{
    if (op->joined)
        op->op.err = err;
    else
        op_finish(b, &op->op, err);
}

/* Those that waited for the first one: it is stored, or one of them is the first now. */
static void waiters_end(struct broker *b, struct list *waiters, const struct publish_op *first,
                        enum err err)
{
    struct list *it;
    int64_t offset = first->offset, append_ms = first->append_ms;
    while ((it = list_pop(waiters)) != NULL) {
        struct publish_op *op = container_of(it, struct publish_op, link);
        op->duplicate = err == ERR_OK;
        op->offset = offset;
        op->append_ms = append_ms;
        if (err == ERR_OK || op->joined)
            publish_answer(b, op, err);
        else
            publish_again(b, op);
    }
}

/* What the record's partition learns, before the partition may go. */
static void record_end(struct partition *p, const struct publish_batch *batch,
                       struct publish_op *op, enum err err)
{
    if (err == ERR_OK) {
        op->offset = batch->append.store.base_offset + op->index;
        op->append_ms = batch->append_ms;
    }
    if (!duplicate_id_given(&op->id))
        return;
    duplicates_done(p->duplicates, op->id, op->offset, op->append_ms);
    list_for (it, &op->waiters)
        p->duplicates_dropped += err == ERR_OK;
    warn_forgotten(p);
}

static void record_hop(struct broker *b, const struct publish_op *op, struct hop *hop)
{
    struct hop_text text;
    uint64_t took_us = hop->end_us > op->begin_us ? hop->end_us - op->begin_us : 0;
    hop->follows = hop->follows && took_us == hop->took_us;
    hop->took_us = took_us;
    hop->offset = op->offset;
    hop->cause = uuid_is_zero(op->cause.topic) ? NULL : &op->cause;
    hop_of_headers(hop, op->record.headers, op->record.headers_n, &text);
    hop_note(b, hop);
    hop->follows = true;
}

/* Everything of which weir.hops tells begins here. */
static void batch_hops(const struct partition *p, const struct list *ops)
{
    struct broker *b = p->broker;
    struct hop hop = {.step = HOP_PUBLISH,
                      .topic = p->topic_id,
                      .partition = p->index,
                      .end_us = env_clock_us(b->env)};
    list_for (at, ops)
        if (hop_wanted(b))
            record_hop(b, container_of(at, struct publish_op, link), &hop);
}

void publish_batch_end(struct publish_batch *batch, enum err err)
{
    struct partition *p = batch->append.at;
    struct broker *b = p->broker;
    struct list ops, *it;
    list_init(&ops);
    list_move(&ops, &batch->ops);
    list_for (at, &ops)
        record_end(p, batch, container_of(at, struct publish_op, link), err);
    if (err == ERR_OK)
        batch_hops(p, &ops);
    append_end(&batch->append, err);
    publish_batch_free(batch);
    while ((it = list_pop(&ops)) != NULL) {
        struct publish_op *op = container_of(it, struct publish_op, link);
        struct list waiters;
        list_init(&waiters);
        list_move(&waiters, &op->waiters);
        waiters_end(b, &waiters, op, err);
        publish_answer(b, op, err);
    }
}

/* ---- the reactor's ---- */

void publish_init(struct publish *pub, struct broker *b)
{
    pub->broker = b;
    list_init(&pub->open);
    list_init(&pub->sent);
    map_init(&pub->turns);
    pub->watcher.changed = topic_changed;
    broker_topic_watch(b, &pub->watcher);
}

static void batches_free(struct list *batches)
{
    struct list *it;
    while ((it = list_pop(batches)) != NULL)
        publish_batch_free(container_of(it, struct publish_batch, link));
}

void publish_free(struct publish *pub)
{
    struct map_node *n;
    env_timer_stop(pub->broker->env, &pub->flush);
    batches_free(&pub->open);
    batches_free(&pub->sent);
    while ((n = map_next(&pub->turns, NULL)) != NULL)
        turn_remove(pub, container_of(n, struct publish_turn, node));
    map_free(&pub->turns);
}
