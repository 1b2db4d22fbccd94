/* Produce is decoded by hand and its answer, like Fetch's, written by hand: both must be what the
 * tables say, in every version.
 *
 * An input is a Produce request without its length (the golden frames are such); anything else in
 * front of the header's end is not looked at. The request is decoded both ways and compared, sent,
 * and then what it names is fetched, in the Fetch version that the correlation id's last byte says.
 */
#include "answers.h"
#include "fuzz.h"

#include "front/kafka/produce_internal.h"

#define API_PRODUCE 0
#define API_FETCH 1
#define FETCHED_MAX 20

/* The request, as conn.c has it when it calls the handler. False: it would not. */
static bool request_of(const uint8_t *data, size_t size, struct kafka_request *rq)
{
    struct rd *r = &rq->body;
    rq->frame = slice_copy(data, size);
    rd_init(r, rq->frame.at, rq->frame.len);
    rq->api = kafka_api_find(rd_i16(r));
    rq->version = rd_i16(r);
    rq->correlation_id = rd_i32(r);
    if (r->bad || !rq->api || rq->api->key != API_PRODUCE || rq->version < rq->api->min ||
        rq->version > rq->api->max)
        return false;
    rq->flexible = rq->version >= rq->api->flexible_from;
    (void)wire_get_str(r, false);
    if (rq->flexible)
        wire_skip_tags(r);
    return !r->bad;
}

static void same_topic(const struct produce_topic *hand,
                       const struct kafka_produce_request_topic *table, int16_t version)
{
    if (version >= 13)
        weir_assert(uuid_eq(hand->id, table->topic_id));
    else
        fuzz_check_equal(hand->name.at, hand->name.len, table->name.at, table->name.len);
    weir_assert(hand->parts_n == table->partition_data_n);
    for (int32_t i = 0; i < hand->parts_n; i++) {
        const struct produce_part *a = &hand->parts[i];
        const struct kafka_produce_request_topic_partition *b = &table->partition_data[i];
        weir_assert(a->op.partition == b->index);
        /* The same bytes of the frame, not equal ones. */
        weir_assert((const char *)a->op.batch.at == b->records.at &&
                    a->op.batch.len == b->records.len);
    }
}

/* What the request is answered with as a whole. */
static enum err refusal(const struct kafka_produce_request *rq, int16_t version)
{
    if (version < 3)
        return ERR_MESSAGE_FORMAT;
    if (rq->acks < -1 || rq->acks > 1)
        return ERR_ACKS_INVALID;
    return rq->transactional_id.at ? ERR_REQUEST_INVALID : ERR_OK;
}

static bool has_too_many(const struct kafka_produce_request *rq)
{
    for (int32_t i = 0; i < rq->topic_data_n; i++) {
        if (rq->topic_data[i].partition_data_n > PRODUCE_PARTITIONS_MAX)
            return true;
    }
    return false;
}

/* Both decoders on the same bytes. False: the request does not decode. */
static bool compare(struct kafka_request *rq, struct arena *arena, int16_t *acks)
{
    struct rd r = rq->body;
    struct kafka_produce_request table;
    struct produce hand = {.rq = rq};
    enum err by_table =
        wire_decode(&kafka_produce_request_table, rq->version, rq->flexible, &r, arena, &table);
    enum err by_hand = kafka_produce_read(&hand);
    if (by_table == ERR_MEMORY || by_hand == ERR_MEMORY || (!by_table && has_too_many(&table)))
        return false;
    weir_assert(by_hand == by_table);
    if (by_hand)
        return false;
    weir_assert(rq->body.at == r.at);
    weir_assert(hand.acks == table.acks && hand.topics_n == table.topic_data_n);
    weir_assert(hand.refuse == refusal(&table, rq->version));
    for (int32_t i = 0; i < hand.topics_n; i++)
        same_topic(&hand.topics[i], &table.topic_data[i], rq->version);
    *acks = hand.acks;
    return true;
}

/* ---- answers -------------------------------------------------------------------------------- */

struct exchange {
    struct front front;
    struct client *client;
    struct asked_list asked;
};

static void exchange_frame(struct exchange *x, const uint8_t *p, size_t n)
{
    uint8_t length[4];
    be32_put(length, (uint32_t)n);
    asked_add(&x->asked, (struct asked){.key = (int16_t)be16_get(p),
                                        .version = (int16_t)be16_get(p + 2),
                                        .correlation_id = (int32_t)be32_get(p + 4)});
    if (!x->client->closing)
        client_send(x->client, length, sizeof length);
    if (!x->client->closing)
        client_send(x->client, p, n);
}

/* All that the request named, in two requests of one session where the version has sessions. */
static void exchange_fetch(struct exchange *x, int16_t version,
                           const struct kafka_produce_request *named)
{
    struct kafka_fetch_request_topic topics[FETCHED_MAX];
    struct kafka_fetch_request_topic_partition parts[FETCHED_MAX];
    struct kafka_fetch_request rq = {
        .replica_id = -1, .max_bytes = 1 << 20, .rack_id = STR_LIT(""), .topics = topics};
    for (int32_t i = 0; i < named->topic_data_n && i < FETCHED_MAX; i++) {
        const struct kafka_produce_request_topic *t = &named->topic_data[i];
        parts[i] = (struct kafka_fetch_request_topic_partition){
            .partition = t->partition_data_n ? t->partition_data[0].index : 0,
            .current_leader_epoch = -1,
            .last_fetched_epoch = -1,
            .log_start_offset = -1,
            .partition_max_bytes = 1 << 20,
            .high_watermark = INT64_MAX};
        topics[i] = (struct kafka_fetch_request_topic){.topic = t->name.at ? t->name : STR_LIT("t"),
                                                       .topic_id = t->topic_id,
                                                       .partitions = &parts[i],
                                                       .partitions_n = 1};
        rq.topics_n = i + 1;
    }
    for (int32_t turn = 0; turn < 2; turn++) {
        rq.isolation_level = (int8_t)turn;
        struct slice frame = frame_make(API_FETCH, version, 100 + turn, &rq);
        exchange_frame(x, frame.at + 4, frame.len - 4);
        slice_unref(frame);
    }
}

static void exchange(const struct kafka_request *rq, int16_t acks,
                     const struct kafka_produce_request *named)
{
    const struct kafka_api *fetch = kafka_api_find(API_FETCH);
    struct exchange x = {.client = NULL};
    uint8_t last = (uint8_t)rq->correlation_id;
    int16_t version = (int16_t)(fetch->min + last % (fetch->max - fetch->min + 1));
    front_make(&x.front, 1);
    enum err err = rig_create(&x.front.rig, 0, "t", 2);
    weir_assert(err == ERR_OK);
    x.client = client_open(&x.front, 0);
    exchange_frame(&x, rq->frame.at, rq->frame.len);
    weir_assert(acks == 0 || x.client->got.len > 0);
    if (!x.client->closing)
        exchange_fetch(&x, version, named);
    answers_check(x.client, &x.asked);
    weir_assert(x.client->closing || x.asked.next == x.asked.n);
    asked_free(&x.asked);
    front_free(&x.front);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kafka_request rq = {.conn = NULL};
    struct arena arena;
    int16_t acks;
    arena_init(&arena, KAFKA_REQUEST_MEMORY_MAX_DEFAULT);
    arena_init(&rq.arena, KAFKA_REQUEST_MEMORY_MAX_DEFAULT);
    if (request_of(data, size, &rq)) {
        struct rd r = rq.body;
        if (compare(&rq, &arena, &acks)) {
            struct kafka_produce_request named;
            enum err err = wire_decode(&kafka_produce_request_table, rq.version, rq.flexible, &r,
                                       &arena, &named);
            if (!err)
                exchange(&rq, acks, &named);
        }
    }
    slice_unref(rq.frame);
    arena_free(&rq.arena);
    arena_free(&arena);
    return 0;
}
