/* Message tables: what decodes must encode, and what was encoded must decode to the same bytes.
 *
 * An input is a request as it comes over the wire, without its length (the golden frames of real
 * clients are such); or, beginning with a byte above 0: that byte - 1 counts in the table of APIs,
 * then a version (from 128 on: of the answer) and the body.
 */
#include "fuzz.h"

#include "front/kafka/conn.h"

#define ARENA_BYTES_MAX ((size_t)16 << 20)

struct subject {
    const struct wire_message *message;
    int16_t version;
    bool flexible;
};

static bool subject_of_frame(struct rd *r, struct subject *s)
{
    const struct kafka_api *api = kafka_api_find(rd_i16(r));
    s->version = rd_i16(r);
    (void)rd_i32(r);
    (void)wire_get_str(r, false);
    if (!api || s->version < 0 || s->version > api->max)
        return false;
    s->message = api->request;
    s->flexible = s->version >= api->flexible_from;
    if (s->flexible)
        wire_skip_tags(r);
    return !r->bad;
}

static bool subject_of_choice(struct rd *r, struct subject *s)
{
    const struct kafka_api *api = &kafka_apis[(size_t)(rd_u8(r) - 1) % kafka_apis_n];
    uint8_t version = rd_u8(r);
    s->version = (int16_t)((version & 0x7f) % (api->max + 1));
    s->message = version & 0x80 ? api->response : api->request;
    s->flexible = s->version >= api->flexible_from;
    return !r->bad;
}

/* Decodes and encodes again. False: it does not decode. */
static bool turn(const struct subject *s, struct rd *r, struct wr *out)
{
    struct arena arena;
    arena_init(&arena, ARENA_BYTES_MAX);
    void *in = arena_zalloc(&arena, 1, s->message->size);
    bool ok = !wire_decode(s->message, s->version, s->flexible, r, &arena, in);
    wr_init(out, 256);
    if (ok)
        wire_encode(s->message, s->version, s->flexible, in, out);
    arena_free(&arena);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd r;
    struct subject s;
    struct wr once, twice;
    rd_init(&r, data, size);
    if (size == 0 || !(data[0] ? subject_of_choice(&r, &s) : subject_of_frame(&r, &s)))
        return 0;
    if (turn(&s, &r, &once)) {
        weir_assert(once.len <= INT32_MAX);
        struct rd again;
        rd_init(&again, once.len ? once.buf->data : data, once.len);
        bool ok = turn(&s, &again, &twice);
        weir_assert(ok && rd_left(&again) == 0);
        fuzz_check_equal(once.len ? once.buf->data : NULL, once.len,
                         twice.len ? twice.buf->data : NULL, twice.len);
        wr_free(&twice);
    }
    wr_free(&once);
    return 0;
}
