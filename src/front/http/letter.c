#include "front/http/letter.h"

#include <string.h>

static const struct {
    const char *header;
    size_t at;
} fields[] = {
#define AT(member) offsetof(struct letter, member)
    {"reason", AT(reason)},         {"description", AT(description)},
    {"outcome", AT(outcome)},       {"topic", AT(topic)},
    {"partition", AT(partition)},   {"offset", AT(offset)},
    {"deliveries", AT(deliveries)}, {"subscription", AT(subscription)},
    {"first-delivery", AT(first)},  {"last-delivery", AT(last)},
#undef AT
};

static bool is_own(struct str key)
{
    return key.len >= sizeof LETTER_PREFIX - 1 &&
           memcmp(key.at, LETTER_PREFIX, sizeof LETTER_PREFIX - 1) == 0;
}

static void take(struct letter *letter, const struct record_header *h)
{
    const size_t prefix = sizeof LETTER_PREFIX - 1;
    struct str name = {h->key.at + prefix, h->key.len - prefix};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (str_is(name, fields[i].header))
            *(struct str *)(void *)((char *)letter + fields[i].at) = h->value;
    }
}

void letter_read(const struct record *record, struct letter *out)
{
    struct record walk = *record;
    struct record_header h;
    *out = (struct letter){.record = record};
    while (record_header_next(&walk, &h)) {
        if (is_own(h.key))
            take(out, &h);
    }
}

/* ---- as what a filter looks at -------------------------------------------------------------- */

struct letter_source {
    struct expr_source source; /* first */
    struct event_source event;
    const struct letter *letter;
};

static void attribute(const struct expr_source *source, struct str name, struct expr_value *out)
{
    const struct letter_source *s = (const struct letter_source *)(const void *)source;
    struct str own = {NULL, 0};
    if (str_is(name, "deadletterreason"))
        own = s->letter->reason;
    else if (str_is(name, "deadletteroutcome"))
        own = s->letter->outcome;
    else if (str_is(name, "deadlettertopic"))
        own = s->letter->topic;
    else if (str_is(name, "deadlettersubscription"))
        own = s->letter->subscription;
    if (own.at)
        *out = (struct expr_value){.type = EXPR_STRING, .text = own};
    else
        s->event.source.attribute(&s->event.source, name, out);
}

static struct str data(const struct expr_source *source)
{
    const struct letter_source *s = (const struct letter_source *)(const void *)source;
    return s->event.source.data(&s->event.source);
}

bool letter_matches(const struct letter *letter, const struct event_place *place,
                    struct arena *arena, const struct expr *filter)
{
    struct event event;
    struct letter_source s = {.source = {attribute, data}, .letter = letter};
    if (!filter)
        return true;
    event_of_record(letter->record, place, arena, &event);
    event_source_init(&s.event, &event);
    return expr_matches(filter, &s.source);
}

/* ---- as JSON -------------------------------------------------------------------------------- */

static void put_text(json_t *object, const char *key, struct str s)
{
    json_t *text = s.at ? json_stringn(s.at, s.len) : NULL;
    if (text)
        json_object_set_new(object, key, text);
}

static void put_number(json_t *object, const char *key, struct str s)
{
    int64_t n;
    if (s.at && str_to_i64(s, &n) == ERR_OK)
        json_object_set_new(object, key, json_integer(n));
}

json_t *letter_json(const struct letter *letter, const struct event_place *place,
                    struct arena *arena)
{
    json_t *json = json_object();
    struct event event;
    struct wr w;
    json_object_set_new(json, "partition", json_integer(place->partition));
    json_object_set_new(json, "offset", json_integer(place->offset));
    put_text(json, "reason", letter->reason);
    put_text(json, "description", letter->description);
    put_text(json, "outcome", letter->outcome);
    put_text(json, "topic", letter->topic);
    put_number(json, "topicPartition", letter->partition);
    put_number(json, "topicOffset", letter->offset);
    put_text(json, "subscription", letter->subscription);
    put_number(json, "deliveries", letter->deliveries);
    put_number(json, "firstDeliveryMs", letter->first);
    put_number(json, "lastDeliveryMs", letter->last);
    wr_init(&w, 0);
    event_of_record(letter->record, place, arena, &event);
    event_write_json(&event, &w);
    json_t *shown = json_loadb((const char *)w.buf->data, w.len, 0, NULL);
    wr_free(&w);
    if (shown)
        json_object_set_new(json, "event", shown);
    return json;
}

/* ---- as the record that it was -------------------------------------------------------------- */

enum err letter_record(const struct letter *letter, struct arena *arena, struct publish_record *out)
{
    struct record walk = *letter->record;
    struct record_header h, *headers;
    headers = arena_zalloc(arena, PUBLISH_HEADERS_MAX, sizeof *headers);
    if (!headers)
        return ERR_MEMORY;
    *out = (struct publish_record){
        .key = letter->record->key, .value = letter->record->value, .headers = headers};
    out->timestamp = -1;
    while (record_header_next(&walk, &h)) {
        if (is_own(h.key))
            continue;
        if (out->headers_n == PUBLISH_HEADERS_MAX)
            return ERR_RECORD_INVALID;
        headers[out->headers_n++] = h;
    }
    return ERR_OK;
}
