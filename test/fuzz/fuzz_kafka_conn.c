/* A client that sends anything, to a whole broker in memory.
 *
 * Its answers must follow their definitions, a second client must be served as if nothing had
 * happened, and everything is given back at the end.
 *
 * An input that begins with 0 is one frame without its length, as the golden requests are. Else the
 * first byte is the seed of the places where the stream is cut into pieces, with bit 7: the store
 * takes its time; bit 6: the client is slow to read. Then come items, each behind 2 bytes:
 *
 *     0 length 12    a frame; its length is put in front, and a running correlation id into it
 *     1 length 12    bytes as they are; answers are not checked from here on
 *     2 time 12      so many times 16 ms pass
 *     3 -            the connection breaks, and a new one begins
 */
#include "answers.h"
#include "fuzz.h"

#include "base/mem.h"

#define ITEMS_MAX 200
#define CONNS_MAX 5
#define SLOW_BYTES 100

enum { API_PRODUCE = 0, API_FETCH = 1, API_METADATA = 3, API_CREATE_TOPICS = 19 };

struct attack {
    struct front front;
    struct client *client;
    struct asked_list asked;
    struct rng rng;
    bool unchecked, slow;
    unsigned conns;
    int32_t correlation_id;
};

static void attack_connect(struct attack *a)
{
    a->client = client_open(&a->front, 0);
    a->client->output_max = a->slow ? SLOW_BYTES : SIZE_MAX;
    a->conns++;
    asked_free(&a->asked);
    a->asked = (struct asked_list){0};
    a->unchecked = false;
}

static void attack_look(struct attack *a)
{
    front_run(&a->front);
    if (!a->unchecked)
        answers_check(a->client, &a->asked);
    else
        a->client->taken = a->client->got.len;
}

/* In pieces; what is not taken at once is given again after the world has moved. */
static void attack_send(struct attack *a, const uint8_t *p, size_t n)
{
    unsigned stuck = 0;
    while (n > 0 && !a->client->closing && stuck < 3) {
        size_t piece = 1 + (size_t)rng_below(&a->rng, rng_below(&a->rng, 2) ? n : 8);
        piece = piece < n ? piece : n;
        size_t taken = client_push(a->client, p, piece);
        p += taken;
        n -= taken;
        stuck = taken ? 0 : stuck + 1;
        if (rng_below(&a->rng, 2) || !taken) {
            attack_look(a);
            client_drain(a->client);
        }
    }
    /* The rest of a frame that was cut off would be taken for the next one. */
    a->unchecked |= n > 0;
}

static void attack_frame(struct attack *a, const uint8_t *p, size_t n)
{
    uint8_t *frame = mem_alloc(4 + n);
    be32_put(frame, (uint32_t)n);
    if (n)
        memcpy(frame + 4, p, n);
    if (n >= 8) {
        be32_put(frame + 8, (uint32_t)++a->correlation_id);
        asked_add(&a->asked, (struct asked){.key = (int16_t)be16_get(p),
                                            .version = (int16_t)be16_get(p + 2),
                                            .correlation_id = a->correlation_id});
    }
    attack_send(a, frame, 4 + n);
    mem_free(frame);
}

static void attack_item(struct attack *a, struct rd *in)
{
    uint16_t head = rd_u16(in);
    size_t n = head & 0xfff;
    const uint8_t *p;
    switch (head >> 12 & 3) {
    case 0:
        p = fuzz_bytes(in, &n);
        attack_frame(a, p, n);
        break;
    case 1:
        a->unchecked = true;
        p = fuzz_bytes(in, &n);
        attack_send(a, p, n);
        break;
    case 2:
        attack_look(a);
        fake_advance(&a->front.rig.world, n * 16);
        break;
    default:
        if (a->conns < CONNS_MAX) {
            attack_look(a);
            client_break(a->client);
            attack_connect(a);
        }
    }
}

static void attack_run(struct attack *a, const uint8_t *data, size_t size)
{
    struct rd in;
    rd_init(&in, data, size);
    if (size == 0 || data[0] == 0) {
        attack_frame(a, data, size);
        attack_look(a);
        return;
    }
    (void)rd_u8(&in);
    for (unsigned i = 0; i < ITEMS_MAX && rd_left(&in); i++)
        attack_item(a, &in);
    attack_look(a);
    client_drain(a->client);
    attack_look(a);
}

/* ---- the well-behaved client ---------------------------------------------------------------- */

static void well_create(struct client *c, struct str name)
{
    struct kafka_create_topics_request_topic topic = {
        .name = name, .num_partitions = 2, .replication_factor = 1};
    struct kafka_create_topics_request rq = {.topics = &topic, .topics_n = 1, .timeout_ms = 1000};
    struct kafka_create_topics_response *r = client_call(c, API_CREATE_TOPICS, 4, &rq);
    weir_assert(r->topics_n == 1 && r->topics[0].error_code == 0);
}

static void well_produce(struct client *c, struct str name, struct slice batch)
{
    struct kafka_produce_request_topic_partition part = {
        .index = 1, .records = {(const char *)batch.at, batch.len}};
    struct kafka_produce_request_topic topic = {
        .name = name, .partition_data = &part, .partition_data_n = 1};
    struct kafka_produce_request rq = {
        .acks = -1, .timeout_ms = 1000, .topic_data = &topic, .topic_data_n = 1};
    struct kafka_produce_response *r = client_call(c, API_PRODUCE, 7, &rq);
    weir_assert(r->responses_n == 1 && r->responses[0].partition_responses_n == 1);
    weir_assert(r->responses[0].partition_responses[0].error_code == 0);
    weir_assert(r->responses[0].partition_responses[0].base_offset == 0);
}

static void well_fetch(struct client *c, struct str name, struct slice batch)
{
    struct kafka_fetch_request_topic_partition part = {.partition = 1,
                                                       .current_leader_epoch = -1,
                                                       .log_start_offset = -1,
                                                       .partition_max_bytes = 1 << 20};
    struct kafka_fetch_request_topic topic = {
        .topic = name, .partitions = &part, .partitions_n = 1};
    struct kafka_fetch_request rq = {.replica_id = -1,
                                     .min_bytes = 1,
                                     .max_bytes = 1 << 20,
                                     .session_epoch = -1,
                                     .topics = &topic,
                                     .topics_n = 1};
    struct kafka_fetch_response *r = client_call(c, API_FETCH, 10, &rq);
    weir_assert(r->responses_n == 1 && r->responses[0].partitions_n == 1);
    const struct kafka_fetch_response_topic_partition *got = &r->responses[0].partitions[0];
    weir_assert(got->error_code == 0 && got->high_watermark == 3);
    /* The log writes base offset and leader epoch; the rest is as it was sent. */
    weir_assert(got->records.len == batch.len);
    fuzz_check_equal(got->records.at + 16, batch.len - 16, batch.at + 16, batch.len - 16);
}

static void well_served(struct front *front)
{
    struct str name = STR_LIT("well-behaved-7Qx");
    struct client *c = client_open(front, 0);
    struct slice batch = rig_batch(3, (int64_t)rig_env(&front->rig, 0)->now_ms);
    well_create(c, name);
    well_produce(c, name, batch);
    well_fetch(c, name, batch);
    weir_assert(!c->closing);
    slice_unref(batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct attack a = {.slow = size > 0 && data[0] & 0x40};
    front_make(&a.front, 1);
    rng_seed(&a.rng, size > 0 ? data[0] : 0);
    enum err err = rig_create(&a.front.rig, 0, "t", 2);
    weir_assert(err == ERR_OK);
    struct uuid id = rig_topic_id(&a.front.rig, "t");
    err = rig_produce(&a.front.rig, 0, &id, 0, rig_batch(5, 1767225600000), NULL);
    weir_assert(err == ERR_OK);
    rig_defer(&a.front.rig, size > 0 && data[0] & 0x80);
    attack_connect(&a);
    attack_run(&a, data, size);
    well_served(&a.front);
    asked_free(&a.asked);
    front_free(&a.front);
    return 0;
}
