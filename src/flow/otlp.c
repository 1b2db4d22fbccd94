#include "flow/otlp.h"

#include "base/json.h"
#include "base/when.h"
#include "broker/event.h"
#include "broker/hop.h"
#include "broker/topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading a hop ---- */

struct place {
    struct str topic, subscription;
    int64_t partition, offset, attempt;
};

struct span {
    struct str step, by, outcome, settle, trace, parent, id, correlation;
    struct place at, cause; /* cause.topic at NULL: none */
    int64_t at_us;
    int64_t took_us, waited_us, queued_us, settled_us;
};

struct field {
    const char *name;
    size_t at;
    bool number;
};

#define TEXT(name, member)                                                                         \
    {                                                                                              \
        name, offsetof(struct span, member), false                                                 \
    }
#define NUMBER(name, member)                                                                       \
    {                                                                                              \
        name, offsetof(struct span, member), true                                                  \
    }
static const struct field fields[] = {
    TEXT("step", step),
    TEXT("by", by),
    TEXT("outcome", outcome),
    TEXT("settle", settle),
    TEXT("trace", trace),
    TEXT("parent", parent),
    TEXT("id", id),
    TEXT("correlation", correlation),
    NUMBER("took_us", took_us),
    NUMBER("waited_us", waited_us),
    NUMBER("queued_us", queued_us),
    NUMBER("settled_us", settled_us),
    TEXT("topic", at.topic),
    TEXT("subscription", at.subscription),
    NUMBER("partition", at.partition),
    NUMBER("offset", at.offset),
    NUMBER("attempt", at.attempt),
};
static const struct field cause_fields[] = {
    TEXT("topic", cause.topic),           TEXT("subscription", cause.subscription),
    NUMBER("partition", cause.partition), NUMBER("offset", cause.offset),
    NUMBER("attempt", cause.attempt),
};
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* None is so large that sums of them overflow. */
static void take_number(struct str text, int64_t *out)
{
    int64_t n;
    if (str_to_i64(text, &n) == ERR_OK && n >= 0 && n <= WHEN_MS_MAX * 1000)
        *out = n;
}

static void take(struct span *s, const struct field *f, size_t n, struct str name,
                 const struct jr_value *v, struct arena *arena)
{
    for (size_t i = 0; i < n; i++) {
        void *at = (char *)s + f[i].at;
        if (!str_is(name, f[i].name))
            continue;
        if (!f[i].number && v->type == JR_STRING)
            *(struct str *)at = jr_string(v, arena);
        else if (f[i].number && v->type == JR_NUMBER)
            take_number(v->text, at);
    }
}

static bool read_cause(struct span *s, struct str text, struct arena *arena)
{
    struct jr j;
    struct jr_value name, v;
    jr_init(&j, text);
    jr_object(&j);
    while (jr_member(&j, &name) && jr_value(&j, &v))
        take(s, cause_fields, COUNT(cause_fields), name.text, &v, arena);
    return jr_end(&j);
}

static bool is_hex(struct str s, size_t n)
{
    bool ok = s.at != NULL && s.len == n, zero = true;
    for (size_t i = 0; ok && i < n; i++) {
        ok = (s.at[i] >= '0' && s.at[i] <= '9') || (s.at[i] >= 'a' && s.at[i] <= 'f');
        zero &= s.at[i] == '0';
    }
    return ok && !zero;
}

static bool read_span(struct span *s, struct str text, struct arena *arena)
{
    struct jr j;
    struct jr_value name, v;
    *s = (struct span){.at_us = 0};
    jr_init(&j, text);
    jr_object(&j);
    while (jr_member(&j, &name) && jr_value(&j, &v)) {
        if (v.type == JR_OBJECT && str_is(name.text, "cause") && !read_cause(s, v.text, arena))
            return false;
        if (v.type == JR_NUMBER && str_is(name.text, "at"))
            (void)when_us_of_ms(v.text, &s->at_us);
        take(s, fields, COUNT(fields), name.text, &v, arena);
    }
    if (!is_hex(s->parent, 16))
        s->parent = (struct str){NULL, 0};
    return jr_end(&j) && s->step.at != NULL && s->at.topic.at != NULL &&
           s->at.topic.len <= TOPIC_NAME_MAX && is_hex(s->trace, 32) && s->at_us > 0;
}

/* ---- what a step is ---- */

enum kind { INTERNAL = 1, CLIENT = 3, PRODUCER = 4, CONSUMER = 5 };

static const struct step {
    const char *name;
    enum kind kind;
    const char *operation; /* NULL: none of the conventions' */
    bool delivery, bad;
} steps[] = {
    {"publish", PRODUCER, "send", false, false}, {"push", CONSUMER, "process", true, false},
    {"call", CONSUMER, "process", true, false},  {"score", CONSUMER, "process", true, false},
    {"forward", INTERNAL, NULL, true, false},    {"receive", CLIENT, "receive", true, false},
    {"settle", CLIENT, "settle", false, false},  {"dead-letter", INTERNAL, NULL, false, true},
    {"expire", INTERNAL, NULL, false, true},     {"drop", INTERNAL, NULL, false, true},
};

static const struct step *step_of(const struct span *s)
{
    for (size_t i = 0; i < COUNT(steps); i++)
        if (str_is(s->step, steps[i].name))
            return &steps[i];
    return NULL;
}

static bool failed(const struct span *s, const struct step *step)
{
    return step->bad || (s->settle.at != NULL && !str_is(s->settle, "accept"));
}

/* ---- ids ---- */

static uint64_t id_of(const struct place *p)
{
    return hop_span(p->topic, (int32_t)p->partition, p->offset, p->subscription,
                    (uint32_t)p->attempt);
}

static bool is_made(const struct span *s)
{
    return s->parent.at != NULL && event_trace_made(s->trace, s->parent);
}

static void put_id(struct wr *w, struct str name, uint64_t id)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, id);
    json_write_raw(w, name);
    json_write_string(w, str_of(text));
}

static void put_text(struct wr *w, struct str name, struct str value)
{
    json_write_raw(w, name);
    json_write_string(w, value);
}

/* Steps that nobody is caused by need no id that can be found again: they differ by it. */
static uint64_t other_id(const struct span *s, const struct step *step)
{
    uint64_t id =
        id_of(&s->at) ^ (uint64_t)(step - steps + 1) * 0x9e3779b97f4a7c15 ^ (uint64_t)s->at_us;
    return id != 0 ? id : 1;
}

static void put_ids(struct wr *w, const struct span *s, const struct step *step)
{
    bool publish = step->kind == PRODUCER, caused = s->cause.subscription.at != NULL;
    put_text(w, STR_LIT("{\"traceId\":"), s->trace);
    if (publish && !caused && is_made(s)) {
        put_text(w, STR_LIT(",\"spanId\":"), s->parent);
        return;
    }
    put_id(w, STR_LIT(",\"spanId\":"),
           publish || step->delivery ? id_of(&s->at) : other_id(s, step));
    if (publish && caused)
        put_id(w, STR_LIT(",\"parentSpanId\":"), id_of(&s->cause));
    else if (s->parent.at != NULL)
        put_text(w, STR_LIT(",\"parentSpanId\":"), s->parent);
}

/* ---- attributes ---- */

struct attributes {
    struct wr *w;
    bool more;
};

static void put_key(struct attributes *a, struct str key, const char *type)
{
    json_write_raw(a->w, a->more ? STR_LIT(",{\"key\":") : STR_LIT("{\"key\":"));
    json_write_string(a->w, key);
    json_write_raw(a->w, STR_LIT(",\"value\":{\""));
    json_write_raw(a->w, str_of(type));
    json_write_raw(a->w, STR_LIT("\":"));
    a->more = true;
}

static void put_pair(struct attributes *a, struct str key, struct str value)
{
    put_key(a, key, "stringValue");
    json_write_string(a->w, value);
    json_write_raw(a->w, STR_LIT("}}"));
}

static void put_string(struct attributes *a, const char *key, struct str value)
{
    if (value.at != NULL)
        put_pair(a, str_of(key), value);
}

/* 64-bit numbers are texts in protobuf's JSON. */
static void put_int(struct attributes *a, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    put_key(a, str_of(key), "intValue");
    json_write_string(a->w, str_of(text));
    json_write_raw(a->w, STR_LIT("}}"));
}

static void put_seconds(struct attributes *a, const char *key, int64_t us)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64 ".%06d", us / 1000000, (int)(us % 1000000));
    put_key(a, str_of(key), "doubleValue");
    json_write_raw(a->w, str_of(text));
    json_write_raw(a->w, STR_LIT("}}"));
}

static void put_attributes(struct wr *w, const struct span *s, const struct step *step)
{
    struct attributes a = {w, false};
    char partition[24];
    snprintf(partition, sizeof partition, "%" PRId64, s->at.partition);
    json_write_raw(w, STR_LIT(",\"attributes\":["));
    put_string(&a, "messaging.system", STR_LIT("weir"));
    put_string(&a, "messaging.operation.name", s->step);
    if (step->operation != NULL)
        put_string(&a, "messaging.operation.type", str_of(step->operation));
    put_string(&a, "messaging.destination.name", s->at.topic);
    put_string(&a, "messaging.destination.partition.id", str_of(partition));
    put_string(&a, "messaging.destination.subscription.name", s->at.subscription);
    put_string(&a, "messaging.message.id", s->id);
    put_string(&a, "messaging.message.conversation_id", s->correlation);
    put_int(&a, "weir.offset", s->at.offset);
    if (s->at.attempt > 0)
        put_int(&a, "weir.attempt", s->at.attempt);
    if (s->waited_us > 0)
        put_seconds(&a, "weir.waited_seconds", s->waited_us);
    put_string(&a, "weir.worker", s->by);
    put_string(&a, "weir.outcome", s->outcome);
    put_string(&a, "weir.settle", s->settle);
    if (failed(s, step))
        put_string(&a, "error.type", s->outcome.at != NULL ? s->outcome : s->step);
    wr_u8(w, ']');
}

/* ---- a span ---- */

static void put_time(struct wr *w, struct str name, int64_t us)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64 "000", us > 0 ? us : 0);
    json_write_raw(w, name);
    json_write_string(w, str_of(text));
}

static void put_event(struct wr *w, struct str before, int64_t us, const char *name)
{
    put_time(w, before, us);
    put_text(w, STR_LIT(",\"name\":"), str_of(name));
    wr_u8(w, '}');
}

static void put_name(struct wr *w, const struct span *s)
{
    char name[TOPIC_NAME_MAX + 32];
    snprintf(name, sizeof name, "%.*s %.*s", (int)s->step.len, s->step.at, (int)s->at.topic.len,
             s->at.topic.at);
    put_text(w, STR_LIT(",\"name\":"), str_of(name));
}

static void put_span(struct wr *w, const struct span *s, const struct step *step)
{
    int64_t called = s->at_us - s->took_us, begun = called - s->queued_us;
    put_ids(w, s, step);
    put_name(w, s);
    json_write_raw(w, STR_LIT(",\"kind\":"));
    json_write_int(w, step->kind);
    put_time(w, STR_LIT(",\"startTimeUnixNano\":"), begun);
    put_time(w, STR_LIT(",\"endTimeUnixNano\":"), s->at_us + s->settled_us);
    put_attributes(w, s, step);
    if (step->operation != NULL && strcmp(step->operation, "process") == 0) {
        put_event(w, STR_LIT(",\"events\":[{\"timeUnixNano\":"), called, "called");
        put_event(w, STR_LIT(",{\"timeUnixNano\":"), s->at_us, "answered");
        wr_u8(w, ']');
    }
    if (failed(s, step)) {
        json_write_raw(w, STR_LIT(",\"status\":{\"code\":2"));
        if (s->outcome.at != NULL)
            put_text(w, STR_LIT(",\"message\":"), s->outcome);
        wr_u8(w, '}');
    }
    wr_u8(w, '}');
}

/* ---- the request ---- */

void otlp_begin(struct otlp *o, const struct spec_map *labels, struct wr *w)
{
    struct attributes a = {w, false};
    bool named = false;
    *o = (struct otlp){w, 0};
    json_write_raw(w, STR_LIT("{\"resourceSpans\":[{\"resource\":{\"attributes\":["));
    for (size_t i = 0; i < labels->n; i++) {
        named |= str_is(labels->at[i].key, "service.name");
        put_pair(&a, labels->at[i].key, labels->at[i].value);
    }
    if (!named)
        put_string(&a, "service.name", STR_LIT("weir"));
    json_write_raw(w, STR_LIT("]},\"scopeSpans\":[{\"scope\":{\"name\":\"weir\",\"version\":"));
    json_write_string(w, STR_LIT(WEIR_VERSION));
    json_write_raw(w, STR_LIT("},\"spans\":["));
}

void otlp_add(struct otlp *o, struct str hop, struct arena *arena)
{
    struct span s;
    const struct step *step;
    if (hop.at == NULL || !read_span(&s, hop, arena) || (step = step_of(&s)) == NULL)
        return;
    if (o->spans++ > 0)
        wr_u8(o->w, ',');
    put_span(o->w, &s, step);
}

void otlp_end(struct otlp *o)
{
    json_write_raw(o->w, STR_LIT("]}]}]}"));
}
