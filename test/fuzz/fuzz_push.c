/* Requests made of any event, in every format, with properties of any name; and what endpoints
 * answer in words: Retry-After. URLs as names of endpoints.
 *
 * The input is a byte (format, schedule) and a list of texts, each ended by a NUL: the URL, a
 * Retry-After, the name of a field, the value of the event, and its headers: name, value, name ...
 * A request must be one that a client sends: no line breaks in it, JSON where it says so.
 */
#include "fuzz.h"

#include "base/json.h"
#include "flow/endpoint.h"
#include "flow/push_request.h"

#define HEADERS_MAX 80

static struct str text(struct rd *in)
{
    const uint8_t *at = in->at;
    const uint8_t *end = rd_left(in) > 0 ? memchr(at, 0, rd_left(in)) : NULL;
    size_t n = end ? (size_t)(end - at) : rd_left(in);
    rd_skip(in, end ? n + 1 : n);
    return (struct str){(const char *)at, n};
}

static void check_clean(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        weir_assert((unsigned char)s.at[i] >= 0x20 && s.at[i] != 0x7f);
}

static void check_request(const struct subscription *s, const struct push_request *r)
{
    weir_assert(r->headers_n <= HTTP_CALL_HEADERS_MAX && r->body.at != NULL);
    for (size_t i = 0; i < r->headers_n; i++) {
        check_clean(r->headers[i].name);
        check_clean(r->headers[i].value);
    }
    if (s->conf.format != FORMAT_CE_BINARY)
        weir_assert(json_valid(r->body));
}

/* A batch of one record, and the message of it. */
static struct slice make_message(struct rd *in, struct str value, struct message *out)
{
    struct record_header headers[HEADERS_MAX];
    struct batch_builder b;
    struct batch_head head;
    struct record_iter it;
    size_t n = 0;
    while (rd_left(in) > 0 && n < HEADERS_MAX) {
        headers[n].key = text(in);
        headers[n].value = text(in);
        n++;
    }
    batch_begin(&b, 0);
    batch_add(&b, 1, STR_LIT("key"), value, headers, n);
    struct slice batch = batch_end(&b);
    *out = (struct message){.deliveries = 1};
    weir_assert(batch_head_read(batch.at, batch.len, &head) == ERR_OK);
    record_iter_init(&it, &head, batch.at + BATCH_HEAD_BYTES, batch.len - BATCH_HEAD_BYTES);
    weir_assert(record_iter_next(&it, &out->record) == ERR_OK);
    return batch;
}

static void make_request(struct rd *in, uint8_t what, struct str url, struct str field)
{
    static const struct str origin = {"weir", 4};
    struct delivery_property property = {.name = STR_LIT("x-field"), .source_field = field};
    struct subscription s = {.topic_name = "t", .name = "s"};
    struct push_request request;
    struct err_text why;
    struct message m;
    struct arena arena;
    struct wr body = {0};
    s.conf.format = what & 3;
    s.conf.backoff = what >> 2 & 3;
    s.conf.target = url;
    s.conf.properties = (struct spec_list){&property, 1};
    struct slice batch = make_message(in, text(in), &m);
    arena_init(&arena, 1 << 20);
    struct push_how how;
    push_how_of(&s, NULL, &how);
    const struct push_request_conf conf = {
        .s = &s, .how = &how, .url = url, .origin = origin.at, .arena = &arena, .body = &body};
    if (!push_request_build(&conf, &m, 1, &request, &why))
        check_request(&s, &request);
    arena_free(&arena);
    wr_free(&body);
    slice_unref(batch);
}

static void check_key(struct str url)
{
    char key[ENDPOINT_KEY_MAX], same[ENDPOINT_KEY_MAX];
    if (!endpoint_key(url, key))
        return;
    weir_assert(endpoint_key(str_of(key), same) && strcmp(key, same) == 0);
    weir_assert(endpoint_reactor(url, 7) == endpoint_reactor(str_of(key), 7));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd in;
    rd_init(&in, data, size);
    uint8_t what = rd_u8(&in);
    struct str url = text(&in), after = text(&in), field = text(&in);
    check_key(url);
    int64_t ms = outcome_retry_after_ms(after, 784111777000);
    weir_assert(ms >= -1 && ms <= RETRY_AFTER_MAX_MS);
    make_request(&in, what, url, field);
    return 0;
}
