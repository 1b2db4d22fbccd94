/* Events and records: CloudEvents' Kafka protocol binding, and what is derived where a record is no
 * CloudEvent. */
#include "broker/event_internal.h"

#include "base/when.h"
#include "broker/topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PREFIX "ce_"
#define PREFIX_BYTES (sizeof(PREFIX) - 1)

#define LETTER "weir-dead-letter-"

/* Headers that say the same as an extension, where the extension is not there: those of Kafka
 * clients' tracing, and those of dead letters (delivery_dead.c), under Event Grid's names. */
static const struct {
    const char *header, *extension;
    bool is_ms; /* Unix ms, which the extension has as a time */
} plain[] = {
    {"traceparent", "traceparent", false},
    {"tracestate", "tracestate", false},
    {"correlationid", "correlationid", false},
    {LETTER "reason", "deadletterreason", false},
    {LETTER "deliveries", "deliveryattempts", false},
    {LETTER "outcome", "lastdeliveryoutcome", false},
    {LETTER "last-delivery", "lastdeliveryattempttime", true},
    {LETTER "timestamp", "publishtime", true},
};
#define PLAIN_COUNT (sizeof(plain) / sizeof(plain[0]))

/* ---- a record as an event ---- */

struct reading {
    const struct record *record;
    const struct event_place *place;
    struct arena *arena;
    struct event *e;
    struct str plain[PLAIN_COUNT];
};

static bool is_content_type(struct str key)
{
    return key.len == 12 && strncasecmp(key.at, "content-type", 12) == 0;
}

static bool usable(struct str value)
{
    return value.at != NULL && value.len > 0 && event_text_ok(value);
}

/* What is no attribute's value is passed over, as are more extensions than there is room for. */
static void take_attribute(struct event *e, struct str name, struct str value)
{
    const struct event_core *core = event_core_find(name);
    bool reserved = str_is(name, "datacontenttype") || str_is(name, "specversion");
    if (reserved || !usable(value))
        return;
    if (core != NULL)
        *event_core_of(e, core) = value;
    else if (event_name_check(name, NULL) != ERR_OK ||
             event_extension_set(e, name, value) != ERR_OK)
        return;
}

static void take_plain(struct reading *rd, struct str key, struct str value)
{
    for (size_t i = 0; i < PLAIN_COUNT; i++)
        if (str_is(key, plain[i].header) && usable(value))
            rd->plain[i] = value;
}

static void take_headers(struct reading *rd)
{
    struct record r = *rd->record;
    struct record_header h;
    while (record_header_next(&r, &h)) {
        if (h.key.len > PREFIX_BYTES && memcmp(h.key.at, PREFIX, PREFIX_BYTES) == 0) {
            struct str name = {h.key.at + PREFIX_BYTES, h.key.len - PREFIX_BYTES};
            take_attribute(rd->e, name, h.value);
        } else if (is_content_type(h.key)) {
            rd->e->datacontenttype = usable(h.value) ? h.value : rd->e->datacontenttype;
        } else {
            take_plain(rd, h.key, h.value);
        }
    }
}

static void set_if_missing(struct event *e, struct str name, struct str value)
{
    if (value.at == NULL || event_extension(e, name).at != NULL)
        return;
    if (event_extension_set(e, name, value) != ERR_OK)
        return; /* no room: the event's own ones are worth more */
}

/* at NULL: no time, or the arena is full. */
static struct str time_of_ms(struct reading *rd, struct str value)
{
    int64_t ms;
    char *text = arena_alloc(rd->arena, WHEN_TEXT_MAX);
    if (text == NULL || str_to_i64(value, &ms) != ERR_OK)
        return (struct str){NULL, 0};
    return str_of(when_put_datetime(ms, text));
}

static void add_plain(struct reading *rd)
{
    for (size_t i = 0; i < PLAIN_COUNT; i++) {
        struct str value = rd->plain[i];
        if (value.at == NULL)
            continue;
        if (plain[i].is_ms)
            value = time_of_ms(rd, value);
        set_if_missing(rd->e, str_of(plain[i].extension), value);
    }
}

/* What holds for every event. */
static void add_extensions(struct reading *rd)
{
    struct event *e = rd->e;
    add_plain(rd);
    if (usable(rd->record->key))
        set_if_missing(e, STR_LIT("partitionkey"), rd->record->key);
    if (event_extension(e, STR_LIT("traceparent")).at != NULL)
        return;
    char *text = arena_alloc(rd->arena, EVENT_TRACEPARENT_BYTES + 1);
    if (text == NULL)
        return;
    event_trace_derive(rd->place, text);
    set_if_missing(e, STR_LIT("traceparent"), (struct str){text, EVENT_TRACEPARENT_BYTES});
}

static void derive_id(struct reading *rd)
{
    char topic[UUID_TEXT_MAX], text[UUID_TEXT_MAX + 40];
    uuid_format(rd->place->topic, topic);
    snprintf(text, sizeof(text), "%s/%" PRId32 "/%" PRId64, topic, rd->place->partition,
             rd->place->offset);
    rd->e->id = event_copy(rd->arena, text);
}

static void derive_source(struct reading *rd)
{
    char text[TOPIC_NAME_MAX + sizeof("/topics/")];
    snprintf(text, sizeof(text), "/topics/%s", rd->place->topic_name);
    rd->e->source = event_copy(rd->arena, text);
}

static bool is_readable(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
            return false;
    }
    return utf8_valid(s.at, s.len);
}

/* Of a value that came without one: a JSON object or array, text, or unknown. */
static struct str derive_type(struct str data)
{
    char first = data.len > 1 ? data.at[0] : '\0', last = data.len > 1 ? data.at[data.len - 1] : 0;
    bool brackets = (first == '{' && last == '}') || (first == '[' && last == ']');
    if (brackets && json_valid(data))
        return STR_LIT("application/json");
    return is_readable(data) ? STR_LIT("text/plain; charset=utf-8") : (struct str){NULL, 0};
}

static void derive_rest(struct reading *rd)
{
    struct event *e = rd->e;
    char text[WHEN_TEXT_MAX];
    bool is_event = e->id.at != NULL && e->source.at != NULL && e->type.at != NULL;
    if (is_event)
        return;
    if (e->id.at == NULL)
        derive_id(rd);
    if (e->source.at == NULL)
        derive_source(rd);
    if (e->type.at == NULL)
        e->type = STR_LIT("weir.record");
    if (e->time.at == NULL && rd->record->timestamp >= 0)
        e->time = event_copy(rd->arena, when_put_datetime(rd->record->timestamp, text));
    if (e->datacontenttype.at == NULL && e->data.at != NULL)
        e->datacontenttype = derive_type(e->data);
}

/* False: it is not, whatever its content type says: then its headers count. */
static bool read_structured(struct reading *rd)
{
    struct str type = rd->e->datacontenttype;
    if (type.at == NULL || !event_type_is_structured(type) || !event_type_is_json(type) ||
        rd->record->value.at == NULL)
        return false;
    if (event_of_json(rd->record->value, rd->arena, rd->e, NULL) == ERR_OK)
        return true;
    event_init(rd->e);
    take_headers(rd);
    return false;
}

void event_of_record(const struct record *record, const struct event_place *place,
                     struct arena *arena, struct event *out)
{
    struct reading rd = {.record = record, .place = place, .arena = arena, .e = out};
    event_init(out);
    take_headers(&rd);
    if (!read_structured(&rd)) {
        out->data = record->value;
        derive_rest(&rd);
        out->data_is_json =
            out->datacontenttype.at != NULL && event_type_is_json(out->datacontenttype);
    }
    out->record_ms = record->timestamp;
    add_extensions(&rd);
}

/* ---- an event as a record ---- */

struct writing {
    struct record_header *headers;
    size_t n;
    struct arena *arena;
    bool full;
};

static void put(struct writing *w, struct str key, struct str value)
{
    w->full |= key.at == NULL || value.at == NULL;
    w->headers[w->n++] = (struct record_header){key, value};
}

static void put_extension(struct writing *w, struct str name, struct str value)
{
    char *key = arena_alloc(w->arena, PREFIX_BYTES + name.len);
    if (key != NULL) {
        memcpy(key, PREFIX, PREFIX_BYTES);
        memcpy(key + PREFIX_BYTES, name.at, name.len);
    }
    put(w, (struct str){key, PREFIX_BYTES + name.len}, value);
}

static void put_all(struct writing *w, const struct event *e)
{
    put(w, STR_LIT("ce_specversion"), STR_LIT("1.0"));
    for (size_t i = 0; i < EVENT_CORE_COUNT; i++) {
        struct str value = event_core_get(e, &event_core[i]);
        if (value.at != NULL)
            put(w, event_core[i].header, value);
    }
    for (size_t i = 0; i < e->extensions_n; i++)
        put_extension(w, e->extensions[i].name, e->extensions[i].value);
}

enum err event_to_record(const struct event *e, const uint8_t trace_random[24], struct arena *arena,
                         struct publish_record *out, struct err_text *text)
{
    struct writing w = {.arena = arena};
    enum err err = event_check(e, text);
    if (err != ERR_OK)
        return err;
    w.headers = arena_alloc(arena, (e->extensions_n + EVENT_CORE_COUNT + 2) * sizeof(*w.headers));
    if (w.headers == NULL)
        return ERR_MEMORY;
    put_all(&w, e);
    if (event_extension(e, STR_LIT("traceparent")).at == NULL) {
        char trace[EVENT_TRACEPARENT_BYTES + 1];
        event_trace_make(trace_random, trace);
        put(&w, STR_LIT("ce_traceparent"), event_copy(arena, trace));
    }
    if (w.full)
        return ERR_MEMORY;
    out->headers = w.headers;
    out->headers_n = w.n;
    out->value = e->data;
    out->timestamp = -1;
    if (out->key.at == NULL)
        out->key = event_extension(e, STR_LIT("partitionkey"));
    return ERR_OK;
}
