#include "event.h"

#include <stdlib.h>
#include <string.h>

/* Digits of a real number: with 15 a decimal number survives being read and written again. */
#define DIGITS 15

int events_read(struct events *e, const char *body, size_t n)
{
    json_error_t why;
    *e = (struct events){.array = json_loadb(body, n, 0, &why)};
    if (json_is_object(e->array)) {
        json_t *array = json_array();
        json_array_append_new(array, e->array);
        e->array = array;
    }
    if (json_is_array(e->array)) {
        e->n = json_array_size(e->array);
        return 1;
    }
    if (e->array == NULL)
        snprintf(e->error, sizeof e->error, "not JSON: %s", why.text);
    else
        snprintf(e->error, sizeof e->error, "not an event, and not an array of events");
    events_free(e);
    return 0;
}

/* An extension that holds a number, as text or as number; -1: it is not there. */
static int64_t extension(const json_t *event, const char *name)
{
    const json_t *value = json_object_get(event, name);
    if (json_is_integer(value))
        return json_integer_value(value);
    return json_is_string(value) ? strtoll(json_string_value(value), NULL, 10) : -1;
}

static const char *attribute(const json_t *event, const char *name)
{
    const char *value = json_string_value(json_object_get(event, name));
    return value ? value : "";
}

struct event events_get(const struct events *e, size_t i)
{
    const json_t *event = json_array_get(e->array, i);
    json_t *data = json_object_get(event, "data");
    return (struct event){.id = attribute(event, "id"),
                          .type = attribute(event, "type"),
                          .traceparent = attribute(event, "traceparent"),
                          .partition = (int32_t)extension(event, "weirpartition"),
                          .offset = extension(event, "weiroffset"),
                          .data = json_is_object(data) ? data : NULL};
}

void events_free(struct events *e)
{
    json_decref(e->array);
    e->array = NULL;
    e->n = 0;
}

static void add_json(struct text *out, const json_t *value)
{
    size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(DIGITS);
    text_room(out, 512);
    size_t n = json_dumpb(value, out->at + out->len, out->room - out->len, flags);
    if (n > out->room - out->len) {
        text_room(out, n);
        n = json_dumpb(value, out->at + out->len, out->room - out->len, flags);
    }
    out->len += n;
}

static void add_string(struct text *out, const char *name, const char *value)
{
    json_t *string = json_string(value);
    text_printf(out, ",\"%s\":", name);
    add_json(out, string);
    json_decref(string);
}

void event_begin(struct text *out, const struct event *from, const char *type, const char *source,
                 int64_t partitionkey)
{
    text_printf(out, "%s{\"specversion\":\"1.0\"", out->len ? "," : "[");
    add_string(out, "id", from->id);
    text_printf(out, ",\"type\":\"%s\",\"source\":\"%s\",\"partitionkey\":\"%lld\"", type, source,
                (long long)partitionkey);
    if (*from->traceparent)
        add_string(out, "traceparent", from->traceparent);
    text_printf(out, ",\"datacontenttype\":\"application/json\",\"data\":");
    add_json(out, from->data);
    out->len--; /* the brace: event_end puts it back */
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
