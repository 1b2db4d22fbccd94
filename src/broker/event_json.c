/* CloudEvents' JSON event format, 1.0: single events and batches. */
#include "broker/event_internal.h"

#include "base/base64.h"

#include <stdlib.h>
#include <string.h>

/* What was met of one event. */
struct reading {
    struct event *e;
    struct arena *arena;
    struct err_text *text;
    struct jr_value data, data_base64;
    bool has_data, has_base64, has_version;
};

static enum err invalid(struct reading *rd, struct str name, const char *why)
{
    return err_say(rd->text, ERR_RECORD_INVALID, "the event's %.*s %s",
                   (int)(name.len < 64 ? name.len : 64), name.at, why);
}

/* The integers of CloudEvents have 32 bits and no fraction. */
static bool is_integer(struct str number)
{
    int64_t n;
    return str_to_i64(number, &n) == ERR_OK && n >= INT32_MIN && n <= INT32_MAX;
}

/* A value in CloudEvents' canonical text; defined: by CloudEvents, no extension. */
static enum err canonical(struct reading *rd, struct str name, bool defined,
                          const struct jr_value *v, struct str *out)
{
    *out = v->text;
    switch (v->type) {
    case JR_STRING:
        *out = jr_string(v, rd->arena);
        return out->at != NULL ? ERR_OK : ERR_MEMORY;
    case JR_BOOLEAN:
        return defined ? invalid(rd, name, "must be a string") : ERR_OK;
    case JR_NUMBER:
        if (defined)
            return invalid(rd, name, "must be a string");
        return is_integer(v->text)
                   ? ERR_OK
                   : invalid(rd, name, "is a number that is no 32-bit integer: give a string");
    default:
        return invalid(rd, name,
                       "is an object or array: attributes are strings, integers or "
                       "booleans");
    }
}

static enum err take_attribute(struct reading *rd, struct str name, const struct jr_value *v)
{
    struct str value;
    const struct event_core *core = event_core_find(name);
    bool version = core == NULL && str_is(name, "specversion"), defined = core != NULL || version;
    if (v->type == JR_NULL) /* is the same as not being there */
        return defined ? ERR_OK : event_name_check(name, rd->text);
    bool twice = version        ? rd->has_version
                 : core != NULL ? event_core_get(rd->e, core).at != NULL
                                : event_extension(rd->e, name).at != NULL;
    if (twice)
        return invalid(rd, name, "is there twice");
    enum err err = canonical(rd, name, defined, v, &value);
    if (err == ERR_OK)
        err = event_attribute_set(rd->e, name, value, rd->text);
    rd->has_version |= version;
    return err;
}

static enum err take_member(void *arg, struct str name, const struct jr_value *v)
{
    struct reading *rd = arg;
    bool data = str_is(name, "data"), base64 = str_is(name, "data_base64");
    if (!data && !base64)
        return take_attribute(rd, name, v);
    bool *has = data ? &rd->has_data : &rd->has_base64;
    if (*has)
        return invalid(rd, name, "is there twice");
    *(data ? &rd->data : &rd->data_base64) = *v;
    *has = data || v->type != JR_NULL;
    return ERR_OK;
}

/* A value as it stands in the document, a string's quotes included. */
static struct str source_of(const struct jr_value *v)
{
    return v->type == JR_STRING ? (struct str){v->text.at - 1, v->text.len + 2} : v->text;
}

static enum err data_from_text(struct reading *rd)
{
    struct event *e = rd->e;
    if (e->datacontenttype.at == NULL)
        e->datacontenttype = STR_LIT("application/json");
    e->data_is_json = event_type_is_json(e->datacontenttype);
    if (e->data_is_json) {
        e->data = source_of(&rd->data);
        return ERR_OK;
    }
    if (rd->data.type == JR_NULL)
        return ERR_OK;
    if (rd->data.type != JR_STRING)
        return err_say(rd->text, ERR_RECORD_INVALID,
                       "the event's data must be a string, since datacontenttype is no JSON type");
    e->data = jr_string(&rd->data, rd->arena);
    return e->data.at != NULL ? ERR_OK : ERR_MEMORY;
}

static enum err data_from_base64(struct reading *rd)
{
    struct event *e = rd->e;
    if (rd->data_base64.type != JR_STRING)
        return invalid(rd, STR_LIT("data_base64"), "is not a string");
    struct str text = jr_string(&rd->data_base64, rd->arena);
    char *bytes = text.at != NULL ? arena_alloc(rd->arena, text.len) : NULL;
    if (bytes == NULL)
        return ERR_MEMORY;
    if (!base64_decode(text, bytes, text.len, &e->data.len))
        return invalid(rd, STR_LIT("data_base64"), "is not base64 (RFC 4648, with padding)");
    e->data.at = bytes;
    return ERR_OK;
}

static enum err take_data(struct reading *rd)
{
    if (rd->has_data && rd->has_base64)
        return err_say(rd->text, ERR_RECORD_INVALID, "the event has data and data_base64");
    if (rd->has_base64)
        return data_from_base64(rd);
    return rd->has_data ? data_from_text(rd) : ERR_OK;
}

enum err event_not_json(const struct jr *j, struct err_text *text)
{
    return err_say(text, ERR_RECORD_INVALID, "this is not JSON: at byte %zu, %s", jr_place(j),
                   j->bad);
}

enum err event_members(struct jr *j, struct arena *arena, struct err_text *text,
                       event_member_fn *take, void *arg)
{
    struct jr_value name, value;
    enum jr_type type;
    enum err err = ERR_OK;
    if (!jr_peek(j, &type))
        return event_not_json(j, text);
    if (type != JR_OBJECT)
        return err_say(text, ERR_RECORD_INVALID, "an event is a JSON object");
    jr_object(j);
    while (err == ERR_OK && jr_member(j, &name) && jr_value(j, &value)) {
        struct str key = jr_string(&name, arena);
        err = key.at != NULL ? take(arg, key, &value) : ERR_MEMORY;
    }
    return err == ERR_OK && j->bad != NULL ? event_not_json(j, text) : err;
}

/* One object, of which the cursor stands in front. */
static enum err read_event(struct jr *j, struct arena *arena, struct event *out,
                           struct err_text *text)
{
    struct reading rd = {.e = out, .arena = arena, .text = text};
    event_init(out);
    enum err err = event_members(j, arena, text, take_member, &rd);
    if (err == ERR_OK && !rd.has_version)
        err = err_say(text, ERR_RECORD_INVALID, "the event has no specversion");
    return err == ERR_OK ? take_data(&rd) : err;
}

enum err event_of_json_partial(struct str json, struct arena *arena, struct event *out,
                               struct err_text *text)
{
    struct jr j;
    jr_init(&j, json);
    enum err err = read_event(&j, arena, out, text);
    return err == ERR_OK && !jr_end(&j) ? event_not_json(&j, text) : err;
}

enum err event_of_json(struct str json, struct arena *arena, struct event *out,
                       struct err_text *text)
{
    enum err err = event_of_json_partial(json, arena, out, text);
    return err == ERR_OK ? event_required_check(out, text) : err;
}

enum err event_batch_begin(struct jr *batch, struct str json, struct err_text *text)
{
    enum jr_type type;
    jr_init(batch, json);
    if (!jr_peek(batch, &type))
        return event_not_json(batch, text);
    if (type != JR_ARRAY)
        return err_say(text, ERR_RECORD_INVALID, "a batch of events is a JSON array");
    jr_array(batch);
    return ERR_OK;
}

enum err event_batch_next_partial(struct jr *batch, struct arena *arena, struct event *out,
                                  struct err_text *text)
{
    if (!jr_element(batch))
        return jr_end(batch) ? ERR_NOT_FOUND : event_not_json(batch, text);
    return read_event(batch, arena, out, text);
}

enum err event_batch_next(struct jr *batch, struct arena *arena, struct event *out,
                          struct err_text *text)
{
    enum err err = event_batch_next_partial(batch, arena, out, text);
    return err == ERR_OK ? event_required_check(out, text) : err;
}

/* ---- writing ---- */

/* An attribute's name needs no escapes. */
static void write_member(struct wr *w, struct str name, struct str value)
{
    uint8_t *to = wr_room(w, name.len + 4);
    to[0] = ',';
    to[1] = to[name.len + 2] = '"';
    memcpy(to + 2, name.at, name.len);
    to[name.len + 3] = ':';
    json_write_string(w, value);
}

static void write_base64(struct wr *w, struct str data)
{
    json_write_raw(w, STR_LIT(",\"data_base64\":\""));
    char *to = (char *)wr_room(w, BASE64_LEN(data.len) + 1); /* and a NUL, for the quote */
    base64_encode(to, data.at, data.len);
    to[BASE64_LEN(data.len)] = '"';
}

static void write_data(struct wr *w, const struct event *e)
{
    if (e->data.at == NULL)
        return;
    if (e->data_is_json && json_valid(e->data)) {
        json_write_raw(w, STR_LIT(",\"data\":"));
        json_write_raw(w, e->data);
    } else if (event_data_is_text(e)) {
        write_member(w, STR_LIT("data"), e->data);
    } else {
        write_base64(w, e->data);
    }
}

void event_write_json(const struct event *e, struct wr *out)
{
    json_write_raw(out, STR_LIT("{\"specversion\":\"1.0\""));
    for (size_t i = 0; i < EVENT_CORE_COUNT; i++) {
        struct str value = event_core_get(e, &event_core[i]);
        if (value.at != NULL)
            write_member(out, event_core[i].name, value);
    }
    for (size_t i = 0; i < e->extensions_n; i++)
        write_member(out, e->extensions[i].name, e->extensions[i].value);
    write_data(out, e);
    wr_u8(out, '}');
}
