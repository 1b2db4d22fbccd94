/* Events from outside: the first byte says what the rest is: 0 one CloudEvent in JSON, 1 a batch of
 * them, 2 one EventGridEvent, 3 an array of them, 4 a record of a Kafka client: a count of headers,
 * then key, value and headers, each behind a byte of length (255: null).
 *
 * What was taken must be an event: it can be written as JSON, which reads as the same event, and in
 * Event Grid's schema, which is JSON; and it can become a record, which reads as the same event.
 */
#include "fuzz.h"

#include "base/mem.h"
#include "broker/event.h"

static const struct event_place place = {"t", {{1}}, 2, 3};
static const uint8_t random24[24] = {1};

static bool same(struct str a, struct str b)
{
    return (a.at == NULL) == (b.at == NULL) && (a.at == NULL || str_eq(a, b));
}

static void check_same(const struct event *a, const struct event *b)
{
    weir_assert(same(a->id, b->id) && same(a->source, b->source) && same(a->type, b->type));
    weir_assert(same(a->subject, b->subject) && same(a->time, b->time));
    weir_assert(same(a->dataschema, b->dataschema) && same(a->datacontenttype, b->datacontenttype));
    for (size_t i = 0; i < a->extensions_n; i++)
        if (a->extensions[i].value.len > 0) /* empty ones are not seen in a record */
            weir_assert(str_eq(event_extension(b, a->extensions[i].name), a->extensions[i].value));
    weir_assert(same(a->data, b->data) && a->data_is_json == b->data_is_json);
}

static void check_json(const struct event *e, struct arena *arena)
{
    struct event again;
    struct wr w;
    struct err_text text;
    wr_init(&w, 0);
    event_write_json(e, &w);
    struct str json = {(char *)w.buf->data, w.len};
    weir_assert(json_valid(json));
    if (e->extensions_n <= EVENT_EXTENSIONS_MAX &&
        event_of_json(json, arena, &again, &text) == ERR_OK)
        check_same(e, &again);
    w.len = 0;
    event_write_eventgrid(e, (struct str){NULL, 0}, &w);
    weir_assert(json_valid((struct str){(char *)w.buf->data, w.len}));
    wr_free(&w);
}

/* The record as it comes out of a batch. */
static void as_record(const struct publish_record *r, struct arena *arena, struct event *out,
                      struct slice *batch)
{
    struct batch_builder b;
    struct batch_head head;
    struct record_iter it;
    struct record record;
    batch_begin(&b, 0);
    batch_add(&b, r->timestamp, r->key, r->value, r->headers, r->headers_n);
    *batch = batch_end(&b);
    enum err err = batch_head_read(batch->at, batch->len, &head);
    weir_assert(err == ERR_OK);
    record_iter_init(&it, &head, batch->at + BATCH_HEAD_BYTES, batch->len - BATCH_HEAD_BYTES);
    err = record_iter_next(&it, &record);
    weir_assert(err == ERR_OK);
    event_of_record(&record, &place, arena, out);
}

static void check_event(const struct event *e, struct arena *arena)
{
    struct publish_record r = {.timestamp = -1};
    struct event again;
    struct err_text text;
    struct slice batch;
    check_json(e, arena);
    enum err err = event_to_record(e, random24, arena, &r, &text);
    weir_assert(err == ERR_OK || err == ERR_MEMORY);
    if (err != ERR_OK)
        return;
    as_record(&r, arena, &again, &batch);
    /* A content type of the structured modes says that the data is another event. */
    if (e->datacontenttype.at == NULL || !event_type_is_structured(e->datacontenttype))
        check_same(e, &again);
    slice_unref(batch);
}

static void try_json(uint8_t kind, struct str json, struct arena *arena)
{
    struct event e;
    struct err_text text;
    struct jr batch;
    enum err err;
    if (kind == 0 && event_of_json(json, arena, &e, &text) == ERR_OK)
        check_event(&e, arena);
    if (kind == 2 && event_of_eventgrid(json, STR_LIT("/t"), arena, &e, &text) == ERR_OK)
        check_event(&e, arena);
    if (kind % 2 == 0 || event_batch_begin(&batch, json, &text) != ERR_OK)
        return;
    do {
        err = kind == 1 ? event_batch_next(&batch, arena, &e, &text)
                        : event_eventgrid_next(&batch, STR_LIT("/t"), arena, &e, &text);
        if (err == ERR_OK)
            check_event(&e, arena);
    } while (err == ERR_OK);
}

static struct str take_str(struct rd *in, bool nullable)
{
    size_t n = rd_u8(in);
    if (n == 255 && nullable)
        return (struct str){NULL, 0};
    const uint8_t *p = fuzz_bytes(in, &n);
    return p != NULL ? (struct str){(const char *)p, n} : STR_LIT("");
}

static void try_record(struct rd *in, struct arena *arena)
{
    struct record_header headers[16];
    struct publish_record r = {.headers = headers, .headers_n = rd_u8(in) % 16};
    struct event e;
    struct slice batch;
    r.timestamp = (int64_t)rd_u64(in);
    r.key = take_str(in, true);
    r.value = take_str(in, true);
    for (size_t i = 0; i < r.headers_n; i++) {
        headers[i].key = take_str(in, false);
        headers[i].value = take_str(in, true);
    }
    as_record(&r, arena, &e, &batch);
    weir_assert(e.id.at != NULL && e.source.at != NULL && e.type.at != NULL);
    weir_assert(event_extension(&e, STR_LIT("traceparent")).at != NULL);
    check_json(&e, arena);
    slice_unref(batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd in;
    struct arena arena;
    rd_init(&in, data, size);
    uint8_t kind = rd_u8(&in) % 5;
    arena_init(&arena, (size_t)4 << 20);
    if (kind < 4)
        try_json(kind, (struct str){(const char *)in.at, rd_left(&in)}, &arena);
    else
        try_record(&in, &arena);
    arena_free(&arena);
    return 0;
}
