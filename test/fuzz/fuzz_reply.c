/* Answers of functions and endpoints, as events. Whatever comes is events that can be published, or
 * is said to be none; the same answer to the same messages is the same events, with the same ids.
 *
 * Input: a byte (bits 0-2: how many messages are answered, less one; 8: the first route has a
 * filter; 64: there is little memory; 128: the answer was cut), then the answer as HTTP has it
 * behind its status: lines of "name:value", an empty line, the body.
 */
#include "fuzz.h"

#include "base/mem.h"
#include "flow/ascii.h"
#include "flow/reply.h"

#include <stdio.h>

#define MESSAGES_MAX 8
#define TOPICS 2
#define SOURCE "/functions/f"

struct asked {
    struct subscription s;
    struct message messages[MESSAGES_MAX];
    uint32_t messages_n;
    struct slice batch;
    struct expr *filter;
    size_t memory;
    bool cut;
};

static const struct topic *find_topic(void *arg, struct str name)
{
    const struct topic *topics = arg;
    for (int i = 0; i < TOPICS; i++) {
        if (str_is(name, topics[i].name))
            return &topics[i];
    }
    return NULL;
}

/* ---- what is answered ------------------------------------------------------------------------ */

/* Every other one has a trace, 00...01 and so on; the last two share theirs. */
static void add_message(struct batch_builder *b, uint32_t i)
{
    char parent[64], key[16];
    snprintf(parent, sizeof parent, "00-%032x-00f067aa0ba902b7-01", i < 6 ? i + 1 : 7);
    snprintf(key, sizeof key, "card-%u", (unsigned)i);
    const struct record_header headers[] = {{STR_LIT("ce_correlationid"), STR_LIT("c-1")},
                                            {STR_LIT("ce_traceparent"), str_of(parent)},
                                            {STR_LIT("ce_tracestate"), STR_LIT("a=b")}};
    struct str name = i == 3 ? (struct str){NULL, 0} : str_of(key);
    batch_add(b, 1767225600000, name, STR_LIT("v"), headers, i % 2 == 0 || i > 5 ? 3 : 1);
}

static void make_messages(struct asked *a)
{
    struct batch_builder b;
    struct batch_head head;
    struct record_iter it;
    batch_begin(&b, 0);
    for (uint32_t i = 0; i < a->messages_n; i++)
        add_message(&b, i);
    a->batch = batch_end(&b);
    weir_assert(batch_head_read(a->batch.at, a->batch.len, &head) == ERR_OK);
    record_iter_init(&it, &head, a->batch.at + BATCH_HEAD_BYTES, a->batch.len - BATCH_HEAD_BYTES);
    for (uint32_t i = 0; i < a->messages_n; i++) {
        a->messages[i] = (struct message){.deliveries = 1, .partition = 2, .offset = 40 + i};
        weir_assert(record_iter_next(&it, &a->messages[i].record) == ERR_OK);
    }
}

/* ---- the answer ------------------------------------------------------------------------------ */

static struct str line(struct str *rest)
{
    const char *end = rest->len > 0 ? memchr(rest->at, '\n', rest->len) : NULL;
    struct str l = {rest->at, end ? (size_t)(end - rest->at) : rest->len};
    size_t used = l.len + (end != NULL);
    *rest = (struct str){rest->at + used, rest->len - used};
    return l;
}

/* Names are in lower case, as the client gives them. */
static size_t read_headers(char *text, size_t len, struct http_header *out, struct str *body)
{
    size_t n = 0;
    *body = (struct str){text, len};
    for (struct str l = line(body); l.len > 0 && n < HTTP_CALL_HEADERS_MAX; l = line(body)) {
        const char *colon = memchr(l.at, ':', l.len);
        size_t name = colon ? (size_t)(colon - l.at) : l.len, value = name + (colon != NULL);
        for (size_t i = (size_t)(l.at - text); i < (size_t)(l.at - text) + name; i++)
            text[i] = ascii_lower(text[i]);
        out[n++] = (struct http_header){{l.at, name}, {l.at + value, l.len - value}};
    }
    return n;
}

/* The answer is gone when this returns, as with a call's end. */
static enum err answer(const struct asked *a, struct rd in, struct reply *r)
{
    struct http_header headers[HTTP_CALL_HEADERS_MAX];
    size_t len = rd_left(&in);
    char *text = mem_alloc(len + 1);
    struct http_call call = {.status = 200, .answer_headers = headers, .answer_cut = a->cut};
    if (len > 0)
        memcpy(text, in.at, len);
    call.answer_headers_n = read_headers(text, len, headers, &call.answer);
    enum err err = reply_read(r, &call);
    memset(text, 'x', len);
    mem_free(text);
    return err;
}

/* ---- what it is ------------------------------------------------------------------------------ */

static struct str header_of(const struct publish_op *o, const char *name)
{
    for (size_t i = 0; i < o->record.headers_n; i++) {
        if (str_is(o->record.headers[i].key, name))
            return o->record.headers[i].value;
    }
    return (struct str){NULL, 0};
}

static void check_output(const struct asked *a, const struct publish_op *o)
{
    static const char *const has[] = {"ce_id", "ce_source", "ce_type", "ce_specversion",
                                      "ce_traceparent"};
    for (size_t i = 0; i < sizeof has / sizeof *has; i++)
        weir_assert(header_of(o, has[i]).at != NULL);
    weir_assert(header_of(o, "ce_id").len > 0 && header_of(o, "ce_source").len > 0);
    weir_assert(header_of(o, "ce_type").len > 0);
    weir_assert(o->topic.b[0] >= 1 && o->topic.b[0] <= TOPICS && o->partition == -1);
    if (o->cause.subscription.at == NULL)
        return;
    weir_assert(o->cause.offset >= 40 && o->cause.offset < 40 + a->messages_n);
    if (header_of(o, "ce_partitionkey").at == NULL)
        weir_assert(str_eq(o->record.key, a->messages[o->cause.offset - 40].record.key));
}

static void check_same(const struct publish_op *a, const struct publish_op *b)
{
    weir_assert(a->record.headers_n == b->record.headers_n && uuid_eq(a->topic, b->topic));
    for (size_t i = 0; i < a->record.headers_n; i++) {
        struct str x = a->record.headers[i].value, y = b->record.headers[i].value;
        weir_assert(str_eq(a->record.headers[i].key, b->record.headers[i].key));
        fuzz_check_equal(x.at, x.len, y.at, y.len);
    }
    fuzz_check_equal(a->record.value.at, a->record.value.len, b->record.value.at,
                     b->record.value.len);
    fuzz_check_equal(a->record.key.at, a->record.key.len, b->record.key.at, b->record.key.len);
}

static void check(const struct asked *a, enum err err, const struct reply *r)
{
    weir_assert(err == ERR_OK || err == ERR_MEMORY || r->text.s[0] != '\0');
    weir_assert(err != ERR_OK || !a->cut || r->n == 0);
    weir_assert(r->n <= REPLY_EVENTS_MAX);
    for (size_t i = 0; err == ERR_OK && i < r->n; i++)
        check_output(a, &r->outputs[i]);
}

/* Two attempts, of which both are read before either is looked at. */
static void read_twice(const struct asked *a, struct rd in)
{
    static struct topic topics[TOPICS] = {{.name = "out"}, {.name = "high"}};
    struct arena arenas[2];
    struct reply replies[2] = {{.n = 0}, {.n = 0}};
    enum err err[2];
    for (int i = 0; i < 2; i++) {
        topics[i].id.b[0] = (uint8_t)(i + 1);
        arena_init(&arenas[i], a->memory);
    }
    for (int i = 0; i < 2; i++) {
        struct reply_conf conf = {&a->s,      a->messages, a->messages_n, STR_LIT(SOURCE),
                                  &arenas[i], find_topic,  topics};
        reply_begin(&replies[i], &conf);
        err[i] = answer(a, in, &replies[i]);
        check(a, err[i], &replies[i]);
    }
    weir_assert(err[0] == err[1] && replies[0].n == replies[1].n);
    for (size_t i = 0; err[0] == ERR_OK && i < replies[0].n; i++)
        check_same(&replies[0].outputs[i], &replies[1].outputs[i]);
    for (int i = 0; i < 2; i++) {
        reply_free(&replies[i]);
        arena_free(&arenas[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct str score = {"data.score > 5", 14};
    struct reply_route route = {score, STR_LIT("high")};
    struct asked a = {.s = {.topic_name = "payments", .name = "score"}};
    struct rd in;
    rd_init(&in, data, size);
    uint8_t flags = rd_u8(&in);
    a.messages_n = (flags & 7U) + 1;
    a.cut = (flags & 128) != 0;
    a.memory = flags & 64 ? 1 << 12 : 16 << 20;
    a.s.topic.b[0] = 7;
    a.s.conf.reply_topic = STR_LIT("out");
    weir_assert(expr_compile_cesql(score, &a.filter, NULL) == ERR_OK);
    const struct expr *filters[] = {a.filter};
    a.s.routes = filters;
    a.s.conf.routes = (struct spec_list){.at = &route, .n = flags & 8 ? 1 : 0};
    make_messages(&a);
    read_twice(&a, in);
    slice_unref(a.batch);
    expr_free(a.filter);
    return 0;
}
