#include "flow/function_azure.h"

#include "base/when.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *azure_guid(const uint8_t random[16], char out[AZURE_GUID_TEXT_MAX])
{
    uint8_t r[16];
    size_t at = 0;
    memcpy(r, random, sizeof r);
    r[6] = (uint8_t)((r[6] & 0x0f) | 0x40); /* RFC 9562, version 4 */
    r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof r; i++) {
        bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        at += (size_t)snprintf(out + at, AZURE_GUID_TEXT_MAX - at, "%s%02x", dash ? "-" : "", r[i]);
    }
    return out;
}

static struct str name_of(const struct document *function)
{
    struct str own = function->conf.function.azure_function;
    return own.at != NULL ? own : str_of(function->name);
}

struct str azure_url(struct str worker, const struct document *function, struct arena *arena)
{
    struct str name = name_of(function);
    while (worker.len > 0 && worker.at[worker.len - 1] == '/')
        worker.len--;
    char *p = arena_alloc(arena, worker.len + name.len + 2);
    if (p == NULL)
        return (struct str){NULL, 0};
    memcpy(p, worker.at, worker.len);
    p[worker.len] = '/';
    memcpy(p + worker.len + 1, name.at, name.len);
    p[worker.len + 1 + name.len] = '\0';
    return (struct str){p, worker.len + 1 + name.len};
}

/* ---- values ---------------------------------------------------------------------------------- */

/* One message, as the fields below see it. */
struct one {
    const struct azure_request *r;
    const struct message *m;
    struct event e;
};

static void see(const struct azure_request *r, const struct message *m, struct one *out)
{
    const struct event_place place = {.topic_name = r->s->topic_name,
                                      .topic = r->s->topic,
                                      .partition = m->partition,
                                      .offset = m->offset};
    out->r = r;
    out->m = m;
    event_of_record(&m->record, &place, r->arena, &out->e);
}

static void put_text(struct wr *w, struct str text)
{
    if (text.at != NULL)
        json_write_string(w, text);
    else
        json_write_raw(w, STR_LIT("null"));
}

static void put_time(struct wr *w, int64_t ms)
{
    char text[WHEN_TEXT_MAX];
    json_write_string(w, str_of(when_put_datetime(ms, text)));
}

static void put_member(struct wr *w, bool first, const char *name)
{
    if (!first)
        wr_u8(w, ',');
    json_write_string(w, str_of(name));
    wr_u8(w, ':');
}

static void put_data(const struct one *o, struct wr *w)
{
    if (o->e.data.at != NULL && o->e.data_is_json && json_valid(o->e.data))
        json_write_raw(w, o->e.data);
    else
        put_text(w, o->e.data);
}

static void put_body(const struct one *o, struct wr *w)
{
    put_text(w, o->m->record.value);
}

static void put_event(const struct one *o, struct wr *w)
{
    if (o->r->s->conf.format == FORMAT_EVENTGRID)
        event_write_eventgrid(&o->e, (struct str){NULL, 0}, w);
    else
        event_write_json(&o->e, w);
}

static void put_id(const struct one *o, struct wr *w)
{
    put_text(w, o->e.id);
}

static void put_subject(const struct one *o, struct wr *w)
{
    put_text(w, o->e.subject);
}

static void put_type(const struct one *o, struct wr *w)
{
    put_text(w, o->e.datacontenttype);
}

static void put_correlation(const struct one *o, struct wr *w)
{
    put_text(w, event_extension(&o->e, STR_LIT("correlationid")));
}

static void put_key(const struct one *o, struct wr *w)
{
    put_text(w, o->m->record.key);
}

static void put_attempt(const struct one *o, struct wr *w)
{
    json_write_int(w, o->m->deliveries);
}

static void put_offset(const struct one *o, struct wr *w)
{
    json_write_int(w, o->m->offset);
}

/* An Event Hub's is a text. */
static void put_offset_text(const struct one *o, struct wr *w)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, o->m->offset);
    json_write_string(w, str_of(text));
}

static void put_appended(const struct one *o, struct wr *w)
{
    put_time(w, o->m->append_ms);
}

static void put_locked(const struct one *o, struct wr *w)
{
    put_time(w, o->m->locked_until_ms);
}

static void put_timestamp(const struct one *o, struct wr *w)
{
    put_time(w, o->m->record.timestamp);
}

static void put_topic(const struct one *o, struct wr *w)
{
    json_write_string(w, str_of(o->r->s->topic_name));
}

static void put_partition(const struct one *o, struct wr *w)
{
    json_write_int(w, o->m->partition);
}

static void put_properties(const struct one *o, struct wr *w)
{
    struct record record = o->m->record;
    struct record_header h;
    bool first = true;
    wr_u8(w, '{');
    for (; record_header_next(&record, &h); first = false) {
        if (!first)
            wr_u8(w, ',');
        json_write_string(w, h.key);
        wr_u8(w, ':');
        put_text(w, h.value);
    }
    wr_u8(w, '}');
}

/* Kafka's may have one name several times. */
static void put_headers(const struct one *o, struct wr *w)
{
    struct record record = o->m->record;
    struct record_header h;
    bool first = true;
    wr_u8(w, '[');
    for (; record_header_next(&record, &h); first = false) {
        if (!first)
            wr_u8(w, ',');
        wr_u8(w, '{');
        put_member(w, true, "Key");
        json_write_string(w, h.key);
        put_member(w, false, "Value");
        put_text(w, h.value);
        wr_u8(w, '}');
    }
    wr_u8(w, ']');
}

static void put_context(const struct one *o, struct wr *w)
{
    char partition[16];
    snprintf(partition, sizeof partition, "%" PRId32, o->m->partition);
    wr_u8(w, '{');
    put_member(w, true, "EventHubName");
    put_topic(o, w);
    put_member(w, false, "ConsumerGroup");
    json_write_string(w, str_of(o->r->s->name));
    put_member(w, false, "PartitionId");
    json_write_string(w, str_of(partition));
    wr_u8(w, '}');
}

static void put_place(const struct one *o, struct wr *w)
{
    wr_u8(w, '{');
    put_member(w, true, "Topic");
    put_topic(o, w);
    put_member(w, false, "Partition");
    put_partition(o, w);
    put_member(w, false, "Offset");
    put_offset(o, w);
    put_member(w, false, "Attempt");
    put_attempt(o, w);
    wr_u8(w, '}');
}

/* ---- metadata -------------------------------------------------------------------------------- */

struct field {
    const char *name;
    void (*put)(const struct one *o, struct wr *w);
    bool once; /* of a batch: not an array */
};

/* What each of the host's trigger extensions calls it. */
static const struct field eventgrid[] = {{"data", put_data, false}, {NULL, NULL, false}};
static const struct field servicebus[] = {{"MessageId", put_id, false},
                                          {"DeliveryCount", put_attempt, false},
                                          {"SequenceNumber", put_offset, false},
                                          {"EnqueuedTimeUtc", put_appended, false},
                                          {"ContentType", put_type, false},
                                          {"CorrelationId", put_correlation, false},
                                          {"Subject", put_subject, false},
                                          {"SessionId", put_key, false},
                                          {"ApplicationProperties", put_properties, false},
                                          {NULL, NULL, false}};
static const struct field eventhub[] = {{"Offset", put_offset_text, false},
                                        {"SequenceNumber", put_offset, false},
                                        {"PartitionKey", put_key, false},
                                        {"EnqueuedTimeUtc", put_appended, false},
                                        {"Properties", put_properties, false},
                                        {"PartitionContext", put_context, true},
                                        {NULL, NULL, false}};
static const struct field queue[] = {{"Id", put_id, false},
                                     {"DequeueCount", put_attempt, false},
                                     {"InsertionTime", put_appended, false},
                                     {"NextVisibleTime", put_locked, false},
                                     {"QueueTrigger", put_body, false},
                                     {NULL, NULL, false}};
static const struct field kafka[] = {{"Topic", put_topic, false},
                                     {"Partition", put_partition, false},
                                     {"Offset", put_offset, false},
                                     {"Key", put_key, false},
                                     {"Timestamp", put_timestamp, false},
                                     {"Headers", put_headers, false},
                                     {NULL, NULL, false}};
static const struct field place = {"weir", put_place, false};

struct trigger {
    void (*data)(const struct one *o, struct wr *w);
    const struct field *fields;
};

static const struct trigger triggers[] = {
    [TRIGGER_EVENTGRID] = {put_event, eventgrid}, [TRIGGER_SERVICEBUS] = {put_body, servicebus},
    [TRIGGER_EVENTHUB] = {put_body, eventhub},    [TRIGGER_QUEUE] = {put_body, queue},
    [TRIGGER_KAFKA] = {put_body, kafka},
};

/* ---- the body -------------------------------------------------------------------------------- */

/* A binding of cardinality "many", as the function's settings say it. */
static bool is_many(const struct azure_request *r)
{
    return spec_given(&function_kind, &r->function->conf.function, "batch") != NULL;
}

static void put_all(const struct azure_request *r, bool many,
                    void (*put)(const struct one *o, struct wr *w), struct wr *w)
{
    struct one o;
    if (many)
        wr_u8(w, '[');
    for (uint32_t i = 0; i < (many ? r->n : 1); i++) {
        if (i > 0)
            wr_u8(w, ',');
        see(r, &r->messages[i], &o);
        put(&o, w);
    }
    if (many)
        wr_u8(w, ']');
}

static void put_field(const struct azure_request *r, const struct field *f, struct wr *w)
{
    char name[64];
    bool many = is_many(r) && !f->once;
    snprintf(name, sizeof name, "%s%s", f->name, many ? "Array" : "");
    put_member(w, false, name);
    put_all(r, many, f->put, w);
}

void azure_sys_write(const struct document *function, uint64_t now_ms, const uint8_t *random,
                     struct wr *w)
{
    char guid[AZURE_GUID_TEXT_MAX];
    put_member(w, true, "sys");
    wr_u8(w, '{');
    put_member(w, true, "MethodName");
    json_write_string(w, name_of(function));
    put_member(w, false, "UtcNow");
    put_time(w, (int64_t)now_ms);
    put_member(w, false, "RandGuid");
    json_write_string(w, str_of(azure_guid(random + 16, guid)));
    wr_u8(w, '}');
}

void azure_request_write(const struct azure_request *r, struct wr *out)
{
    const struct function_conf *c = &r->function->conf.function;
    const struct trigger *t = &triggers[c->azure_trigger_type];
    json_write_raw(out, STR_LIT("{\"Data\":{"));
    json_write_string(out, c->azure_trigger);
    wr_u8(out, ':');
    put_all(r, is_many(r), t->data, out);
    json_write_raw(out, STR_LIT("},\"Metadata\":{"));
    azure_sys_write(r->function, r->now_ms, r->random, out);
    for (const struct field *f = t->fields; f->name; f++)
        put_field(r, f, out);
    put_field(r, &place, out);
    json_write_raw(out, STR_LIT("}}"));
}
