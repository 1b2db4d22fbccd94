/* A field of an event by its name: what dynamic delivery properties and Event Grid's filters call
 * `sourceField`. */
#include "flow/ascii.h"
#include "flow/push_request.h"

/* The names that Event Grid's schema gives to attributes. */
static const struct {
    const char *eventgrid, *extension;
    size_t offset;
} names[] = {
    {"id", NULL, offsetof(struct event, id)},
    {"source", NULL, offsetof(struct event, source)},
    {"topic", NULL, offsetof(struct event, source)},
    {"type", NULL, offsetof(struct event, type)},
    {"eventtype", NULL, offsetof(struct event, type)},
    {"subject", NULL, offsetof(struct event, subject)},
    {"time", NULL, offsetof(struct event, time)},
    {"eventtime", NULL, offsetof(struct event, time)},
    {"datacontenttype", NULL, offsetof(struct event, datacontenttype)},
    {"dataschema", NULL, offsetof(struct event, dataschema)},
    {"dataversion", "dataversion", 0},
    {"specversion", NULL, 0},
};

static struct str attribute(const struct event *e, struct str name)
{
    if (ascii_is(name, "specversion"))
        return STR_LIT("1.0");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!ascii_is(name, names[i].eventgrid))
            continue;
        if (names[i].extension)
            return event_extension(e, str_of(names[i].extension));
        return *(const struct str *)(const void *)((const char *)e + names[i].offset);
    }
    return event_extension(e, name);
}

/* The member of that name of the object that comes next; the last one, if there are several. */
static bool member(struct str object, struct str name, struct arena *arena, struct jr_value *out)
{
    struct jr j;
    struct jr_value key, value;
    bool found = false;
    jr_init(&j, object);
    if (!jr_object(&j))
        return false;
    while (jr_member(&j, &key)) {
        if (!jr_value(&j, &value))
            return false;
        struct str text = jr_string(&key, arena);
        if (text.at != NULL && str_eq(text, name)) {
            *out = value;
            found = true;
        }
    }
    return found;
}

static struct str value_text(const struct jr_value *v, struct arena *arena)
{
    if (v->type == JR_NULL)
        return (struct str){NULL, 0};
    return v->type == JR_STRING ? jr_string(v, arena) : v->text;
}

/* path: "a.b" in the event's data. */
static struct str in_data(const struct event *e, struct str path, struct arena *arena)
{
    struct jr_value v = {.type = JR_OBJECT, .text = e->data};
    if (!e->data_is_json || e->data.at == NULL)
        return (struct str){NULL, 0};
    while (path.len > 0) {
        const char *dot = memchr(path.at, '.', path.len);
        struct str name = {path.at, dot ? (size_t)(dot - path.at) : path.len};
        if (v.type != JR_OBJECT || !member(v.text, name, arena, &v))
            return (struct str){NULL, 0};
        size_t used = name.len + (dot != NULL);
        path = (struct str){path.at + used, path.len - used};
    }
    return value_text(&v, arena);
}

struct str push_field(const struct event *e, struct str name, struct arena *arena)
{
    if (ascii_begins(name, "data."))
        return in_data(e, (struct str){name.at + 5, name.len - 5}, arena);
    return attribute(e, name);
}
