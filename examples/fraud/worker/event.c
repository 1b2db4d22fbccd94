#include "event.h"

#include <stdlib.h>

/* Of a real number: with 15 a decimal number survives being read and written again. */
#define DIGITS 15

bool events_read(struct events *e, const char *body, size_t n)
{
    struct json value = json_read(body, n);
    *e = (struct events){.walk = json_items(value)};
    if (json_kind(value) == '{')
        e->one = value;
    return json_kind(value) == '{' || json_kind(value) == '[';
}

/* An extension that holds a number, as text or as number; -1: it does not. */
static int64_t extension(struct json value)
{
    int64_t found;
    if (json_kind(value) == '"')
        value = (struct json){value.at + 1, value.len - 2};
    return json_to_integer(value, &found) ? found : -1;
}

static void take(struct event *e, struct json name, struct json value)
{
    if (json_is(name, "id"))
        e->id = value;
    else if (json_is(name, "type"))
        e->type = value;
    else if (json_is(name, "traceparent"))
        e->traceparent = value;
    else if (json_is(name, "weirpartition"))
        e->partition = (int32_t)extension(value);
    else if (json_is(name, "weiroffset"))
        e->offset = extension(value);
    else if (json_is(name, "data"))
        e->data = value;
}

bool events_next(struct events *e, struct event *out)
{
    struct json one = e->one, name, value;
    e->one = (struct json){0};
    if (one.len == 0 && !json_item(&e->walk, &one))
        return false;
    *out = (struct event){.partition = -1, .offset = -1};
    for (struct json_walk w = json_members(one); json_member(&w, &name, &value);)
        take(out, name, value);
    return true;
}

void event_begin(struct text *out, const struct event *from, int64_t id, const char *type,
                 const char *source, int64_t partitionkey)
{
    text_printf(out,
                "%s{\"specversion\":\"1.0\",\"id\":\"%lld\",\"type\":\"%s\",\"source\":\"%s\","
                "\"partitionkey\":\"%lld\"",
                out->len ? "," : "[", (long long)id, type, source, (long long)partitionkey);
    if (json_kind(from->traceparent) == '"')
        text_printf(out, ",\"traceparent\":%.*s", (int)from->traceparent.len, from->traceparent.at);
    text_printf(out, ",\"datacontenttype\":\"application/json\",\"data\":");
    text_add(out, from->data.at, from->data.len - 1); /* the brace comes with event_end */
}

void event_add_integer(struct text *out, const char *name, int64_t value)
{
    text_printf(out, ",\"%s\":%lld", name, (long long)value);
}

void event_add_real(struct text *out, const char *name, double value)
{
    text_printf(out, ",\"%s\":%.*g", name, DIGITS, value);
}

void event_end(struct text *out)
{
    text_add(out, "}}", 2);
}
