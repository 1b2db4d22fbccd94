#include "flow/push_request.h"

#include "base/assert.h"
#include "flow/ascii.h"
#include "flow/function_azure.h"
#include "flow/otlp.h"

#include <stdio.h>
#include <string.h>

#define DIGITS_MAX 20
#define RECORD_OVERHEAD_BYTES 256 /* of attributes, in the estimate of a call's size */
#define EVENT_OVERHEAD_BYTES 512  /* of an event in JSON, in that of what it is written into */

bool push_is_eventgrid(const struct subscription *s)
{
    return s->conf.format == FORMAT_EVENTGRID || s->conf.backoff == BACKOFF_EVENTGRID ||
           s->conf.backoff == BACKOFF_EVENTGRID_NAMESPACE;
}

/* ---- how ------------------------------------------------------------------------------------ */

static bool carries_one(const struct push_how *how)
{
    return how->format == FORMAT_CE_BINARY || how->format == FORMAT_CE_STRUCTURED;
}

static void how_of_function(const struct function_conf *f, struct push_how *out)
{
    bool batch = spec_given(&function_kind, f, "batch") != NULL;
    out->azure = f->protocol == FUNCTION_AZURE;
    out->format = f->protocol == FUNCTION_CLOUDEVENTS ? FORMAT_CE_BINARY : FORMAT_CE_BATCH;
    out->events_max = (uint32_t)f->batch_events_max;
    out->bytes = f->batch_bytes;
    out->timeout_ms = (uint32_t)f->time_ms;
    if (out->azure && !batch) /* a binding of cardinality "one" */
        out->events_max = 1;
}

/* What is said for the subscription, within what the function takes. */
static void at_most(const struct subscription_conf *c, struct push_how *out)
{
    if (c->batch_events_max != 0 && c->batch_events_max < out->events_max)
        out->events_max = (uint32_t)c->batch_events_max;
    if (c->batch_bytes != 0 && c->batch_bytes < out->bytes)
        out->bytes = c->batch_bytes;
}

void push_how_of(const struct subscription *s, const struct document *function,
                 struct push_how *out)
{
    *out = (struct push_how){
        .format = (enum subscription_format)s->conf.format,
        .events_max = s->conf.batch_events_max != 0 ? (uint32_t)s->conf.batch_events_max
                                                    : SUBSCRIPTION_BATCH_EVENTS,
        .bytes = s->conf.batch_bytes != 0 ? s->conf.batch_bytes : SUBSCRIPTION_BATCH_BYTES,
        .timeout_ms = (uint32_t)s->conf.timeout_ms,
        .reply = s->conf.routes.n > 0 || s->conf.reply_topic.at != NULL,
        .function = function};
    if (function) {
        how_of_function(&function->conf.function, out);
        at_most(&s->conf, out);
    }
    if (carries_one(out))
        out->events_max = 1;
}

static int64_t message_bytes(const struct message *m)
{
    return (int64_t)m->record.value.len + RECORD_OVERHEAD_BYTES;
}

static bool goes_alone(const struct push_how *how, const struct message *m)
{
    return how->function && m->deliveries > 1;
}

uint32_t push_request_take(const struct push_how *how, const struct message *messages, uint32_t n)
{
    weir_assert(n >= 1);
    uint32_t taken = 1;
    int64_t bytes = message_bytes(&messages[0]);
    if (goes_alone(how, &messages[0]))
        return 1;
    while (taken < n && taken < how->events_max && !goes_alone(how, &messages[taken]) &&
           bytes + message_bytes(&messages[taken]) <= how->bytes)
        bytes += message_bytes(&messages[taken++]);
    return taken;
}

/* ---- headers -------------------------------------------------------------------------------- */

struct build {
    const struct subscription *s;
    const struct push_how *how;
    struct arena *arena;
    struct push_request *out;
    bool full, no_memory; /* sticky */
};

static void add(struct build *b, struct str name, struct str value)
{
    struct push_request *r = b->out;
    if (name.at == NULL || value.at == NULL)
        b->no_memory = true;
    else if (r->headers_n == HTTP_CALL_HEADERS_MAX)
        b->full = true;
    else
        r->headers[r->headers_n++] = (struct http_header){name, value};
}

static struct str number(struct build *b, uint32_t n)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%u", n);
    return (struct str){arena_strndup(b->arena, text, (size_t)len), (size_t)len};
}

static void add_attribute(struct build *b, const char *name, struct str value)
{
    if (value.at != NULL)
        add(b, str_of(name), event_percent_encode(value, b->arena));
}

static struct str prefixed(struct arena *arena, const char *prefix, struct str name)
{
    size_t n = strlen(prefix);
    char *p = arena_alloc(arena, n + name.len);
    if (p) {
        memcpy(p, prefix, n);
        memcpy(p + n, name.at, name.len);
    }
    return (struct str){p, n + name.len};
}

static void add_attributes(struct build *b, const struct event *e)
{
    add(b, STR_LIT("ce-specversion"), STR_LIT("1.0"));
    add_attribute(b, "ce-id", e->id);
    add_attribute(b, "ce-source", e->source);
    add_attribute(b, "ce-type", e->type);
    add_attribute(b, "ce-subject", e->subject);
    add_attribute(b, "ce-time", e->time);
    add_attribute(b, "ce-dataschema", e->dataschema);
    for (size_t i = 0; i < e->extensions_n; i++)
        add(b, prefixed(b->arena, "ce-", e->extensions[i].name),
            event_percent_encode(e->extensions[i].value, b->arena));
}

struct str push_name_upper(struct arena *arena, const struct subscription *s)
{
    size_t n = strlen(s->name);
    char *p = arena_strndup(arena, s->name, n);
    for (char *at = p; at && *at; at++)
        *at = ascii_upper(*at);
    return (struct str){p, n};
}

static void add_eventgrid(struct build *b, const struct message *first, const struct event *e)
{
    struct str version = event_extension(e, STR_LIT("dataversion"));
    add(b, STR_LIT("aeg-event-type"), STR_LIT("Notification"));
    add(b, STR_LIT("aeg-subscription-name"), push_name_upper(b->arena, b->s));
    add(b, STR_LIT("aeg-delivery-count"),
        number(b, first->deliveries > 0 ? first->deliveries - 1 : 0));
    add_attribute(b, "aeg-data-version", version);
    add(b, STR_LIT("aeg-metadata-version"), STR_LIT("1"));
}

static void add_weir(struct build *b, const struct message *first)
{
    add(b, STR_LIT("weir-subscription"), str_of(b->s->name));
    add(b, STR_LIT("weir-delivery"), number(b, first->deliveries));
}

/* What a header may not hold becomes a blank: the value came with an event, not with a setting. */
static struct str header_text(struct arena *arena, struct str s)
{
    char *p = arena_strndup(arena, s.at, s.len);
    for (size_t i = 0; p && i < s.len; i++) {
        if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
            p[i] = ' ';
    }
    return (struct str){p, p ? s.len : 0};
}

static void add_trace(struct build *b, const struct event *e)
{
    struct str parent = event_extension(e, STR_LIT("traceparent"));
    struct str vendor = event_extension(e, STR_LIT("tracestate"));
    if (parent.at != NULL)
        add(b, STR_LIT("traceparent"), header_text(b->arena, parent));
    if (parent.at != NULL && vendor.at != NULL)
        add(b, STR_LIT("tracestate"), header_text(b->arena, vendor));
}

/* ---- delivery properties -------------------------------------------------------------------- */

static bool is_reserved(struct str name)
{
    static const char *const names[] = {"content-type", "content-length", "transfer-encoding",
                                        "host",         "connection",     "expect"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (ascii_is(name, names[i]))
            return true;
    }
    return ascii_begins(name, "aeg-") || ascii_begins(name, "ce-");
}

static void add_property(struct build *b, const struct delivery_property *p, const struct event *e)
{
    bool fixed = p->source_field.at == NULL;
    struct str value = fixed ? p->value : push_field(e, p->source_field, b->arena);
    if (value.at == NULL || value.len > PUSH_PROPERTY_BYTES_MAX || is_reserved(p->name))
        return;
    add(b, p->name, header_text(b->arena, value));
}

static void add_properties(struct build *b, const struct event *first)
{
    const struct spec_list *list = &b->s->conf.properties;
    const struct delivery_property *properties = list->at;
    for (size_t i = 0; i < list->n; i++)
        add_property(b, &properties[i], first);
}

/* ---- bodies --------------------------------------------------------------------------------- */

/* In decimal, ending before `end`. By hand: printf would take as long as the event's own JSON. */
static struct str put_digits(char *end, uint64_t n)
{
    char *at = end;
    do {
        *--at = (char)('0' + n % 10);
    } while ((n /= 10) > 0);
    return (struct str){at, (size_t)(end - at)};
}

/* One that does not fit any more is left out. */
static void set_place(struct build *b, const struct message *m, struct event *e)
{
    static const struct str names[] = {
        {"weirpartition", 13}, {"weiroffset", 10}, {"weirattempt", 11}};
    const uint64_t numbers[] = {(uint64_t)m->partition, (uint64_t)m->offset, m->deliveries};
    char *text = arena_alloc(b->arena, 3 * DIGITS_MAX);
    enum err err = event_extension_set(e, STR_LIT("weirtopic"), str_of(b->s->topic_name));
    b->no_memory |= text == NULL;
    for (size_t i = 0; text && err == ERR_OK && i < 3; i++)
        err = event_extension_set(e, names[i], put_digits(text + (i + 1) * DIGITS_MAX, numbers[i]));
}

static void event_of(struct build *b, const struct message *m, struct event *out)
{
    struct event_place place = {.topic_name = b->s->topic_name,
                                .topic = b->s->topic,
                                .partition = m->partition,
                                .offset = m->offset};
    event_of_record(&m->record, &place, b->arena, out);
    if (b->how->function)
        set_place(b, m, out);
}

/* Of most batches all: a buffer that grows step by step is copied at each of them. */
static void reserve(const struct message *messages, uint32_t n, struct wr *w)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < n; i++)
        bytes += messages[i].record.value.len + EVENT_OVERHEAD_BYTES;
    wr_reserve(w, bytes);
}

static void write_array(struct build *b, const struct message *messages, uint32_t n, struct wr *w)
{
    reserve(messages, n, w);
    wr_u8(w, '[');
    for (uint32_t i = 0; i < n; i++) {
        struct event e;
        event_of(b, &messages[i], &e);
        if (i > 0)
            wr_u8(w, ',');
        if (b->how->format == FORMAT_EVENTGRID)
            event_write_eventgrid(&e, (struct str){NULL, 0}, w);
        else
            event_write_json(&e, w);
    }
    wr_u8(w, ']');
}

static struct str written(const struct wr *w)
{
    return (struct str){(const char *)w->buf->data, w->len};
}

static void put_binary(struct build *b, const struct event *e)
{
    add_attributes(b, e);
    if (e->datacontenttype.at != NULL)
        add(b, STR_LIT("Content-Type"), header_text(b->arena, e->datacontenttype));
    b->out->body = e->data.at != NULL ? e->data : STR_LIT("");
}

static void write_traces(struct build *b, const struct message *messages, uint32_t n, struct wr *w)
{
    struct otlp o;
    otlp_begin(&o, &b->s->conf.labels, w);
    for (uint32_t i = 0; i < n; i++)
        otlp_add(&o, messages[i].record.value, b->arena);
    otlp_end(&o);
}

static void put_body(struct build *b, const struct message *messages, uint32_t n,
                     const struct event *first, struct wr *w)
{
    switch (b->how->format) {
    case FORMAT_CE_BINARY:
        put_binary(b, first);
        return;
    case FORMAT_CE_STRUCTURED:
        add(b, STR_LIT("Content-Type"), STR_LIT("application/cloudevents+json; charset=utf-8"));
        event_write_json(first, w);
        break;
    case FORMAT_CE_BATCH:
        add(b, STR_LIT("Content-Type"),
            STR_LIT("application/cloudevents-batch+json; charset=utf-8"));
        write_array(b, messages, n, w);
        break;
    case FORMAT_EVENTGRID:
        add(b, STR_LIT("Content-Type"), STR_LIT("application/json; charset=utf-8"));
        write_array(b, messages, n, w);
        break;
    case FORMAT_OTLP:
        add(b, STR_LIT("Content-Type"), STR_LIT("application/json"));
        write_traces(b, messages, n, w);
        break;
    }
    b->out->body = written(w);
}

static void put_azure(struct build *b, const struct push_request_conf *conf,
                      const struct message *messages, uint32_t n)
{
    char id[AZURE_GUID_TEXT_MAX];
    const struct azure_request r = {.s = conf->s,
                                    .function = conf->how->function,
                                    .messages = messages,
                                    .n = n,
                                    .now_ms = conf->now_ms,
                                    .random = conf->random,
                                    .arena = conf->arena};
    azure_guid(conf->random, id);
    add(b, STR_LIT("Content-Type"), STR_LIT("application/json; charset=utf-8"));
    add(b, STR_LIT("User-Agent"), STR_LIT("Azure-Functions-Host/" AZURE_HOST_VERSION));
    add(b, STR_LIT("X-Azure-Functions-HostVersion"), STR_LIT(AZURE_HOST_VERSION));
    add(b, STR_LIT("X-Azure-Functions-InvocationId"),
        (struct str){arena_strndup(b->arena, id, strlen(id)), strlen(id)});
    azure_request_write(&r, conf->body);
    b->out->url = (char *)azure_url(conf->url, r.function, b->arena).at;
    b->out->body = written(conf->body);
}

static void add_common(struct build *b, const struct message *messages, uint32_t n,
                       const struct event *first, const char *origin)
{
    bool otlp = b->how->format == FORMAT_OTLP;
    if (push_is_eventgrid(b->s))
        add_eventgrid(b, &messages[0], first);
    else if (!otlp)
        add_weir(b, &messages[0]);
    if (n == 1 && !otlp)
        add_trace(b, first);
    if (origin)
        add(b, STR_LIT("Origin"), str_of(origin));
    if (b->how->reply && !b->how->azure)
        add(b, STR_LIT("Prefer"), STR_LIT("reply"));
    add_properties(b, first);
}

enum err push_request_build(const struct push_request_conf *conf, const struct message *messages,
                            uint32_t n, struct push_request *out, struct err_text *text)
{
    struct build b = {.s = conf->s, .how = conf->how, .arena = conf->arena, .out = out};
    struct event first;
    weir_assert(n >= 1);
    out->headers_n = 0;
    event_of(&b, &messages[0], &first);
    if (conf->how->azure && function_takes_requests(&conf->how->function->conf.function))
        return err_say(text, ERR_RECORD_INVALID,
                       "function %s has an HTTP trigger: it is called with requests, not with "
                       "events",
                       conf->how->function->name);
    if (conf->how->azure) {
        put_azure(&b, conf, messages, n);
    } else {
        out->url = arena_strndup(conf->arena, conf->url.at, conf->url.len);
        put_body(&b, messages, n, &first, conf->body);
    }
    add_common(&b, messages, n, &first, conf->origin);
    if (b.no_memory || out->url == NULL)
        return err_say(text, ERR_MEMORY, "the events' attributes are larger than a call may be");
    if (b.full)
        return err_say(text, ERR_RECORD_INVALID,
                       "the event has more attributes than a call has headers (%d)",
                       HTTP_CALL_HEADERS_MAX);
    return ERR_OK;
}
