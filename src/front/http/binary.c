#include "front/http/binary.h"

#include "front/http/head.h"

#include <string.h>

#define PREFIX "ce-"
#define PREFIX_LEN 3

/* ---- reading -------------------------------------------------------------------------------- */

static bool has_prefix(struct str name)
{
    return name.len > PREFIX_LEN && !memcmp(name.at, PREFIX, PREFIX_LEN);
}

bool binary_is(const struct http_request *rq)
{
    for (size_t i = 0; i < rq->fields_n; i++) {
        if (has_prefix(rq->fields[i].name))
            return true;
    }
    return false;
}

static enum err check_version(const struct http_request *rq, struct err_text *text)
{
    struct str version = http_field(rq, "ce-specversion");
    if (str_is(version, "1.0"))
        return ERR_OK;
    if (version.at)
        return err_say(text, ERR_RECORD_INVALID, "ce-specversion must be 1.0, not \"%.*s\"",
                       (int)(version.len < 40 ? version.len : 40), version.at);
    return err_say(text, ERR_RECORD_INVALID,
                   "there are ce- fields without ce-specversion: 1.0, so this is no CloudEvent");
}

static enum err read_field(struct http_request *rq, const struct http_field *f, struct event *out,
                           struct err_text *text)
{
    struct str name = {f->name.at + PREFIX_LEN, f->name.len - PREFIX_LEN};
    if (str_is(name, "specversion") || str_is(name, "datacontenttype"))
        return ERR_OK; /* the second is Content-Type's */
    struct str value = event_percent_decode(f->value, &rq->arena);
    if (!value.at)
        return ERR_MEMORY;
    return event_attribute_set(out, name, value, text);
}

enum err binary_read(struct http_request *rq, struct event *out, struct err_text *text)
{
    event_init(out);
    enum err err = check_version(rq, text);
    for (size_t i = 0; i < rq->fields_n && !err; i++) {
        if (has_prefix(rq->fields[i].name))
            err = read_field(rq, &rq->fields[i], out, text);
    }
    if (err)
        return err;
    struct str type = http_field(rq, "content-type");
    if (type.len)
        err = event_attribute_set(out, STR_LIT("datacontenttype"), type, text);
    if (rq->body.len)
        out->data = (struct str){(const char *)rq->body.at, rq->body.len};
    return err;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void write_field(struct http_request *rq, const char *name, struct str value)
{
    struct str text = value.len ? event_percent_encode(value, &rq->arena) : value;
    if (text.at && text.len)
        http_header(rq, name, "%.*s", (int)text.len, text.at);
}

void binary_write(struct http_request *rq, const struct event *e)
{
    http_header(rq, "ce-specversion", "1.0");
    write_field(rq, "ce-id", e->id);
    write_field(rq, "ce-source", e->source);
    write_field(rq, "ce-type", e->type);
    write_field(rq, "ce-subject", e->subject);
    write_field(rq, "ce-time", e->time);
    write_field(rq, "ce-dataschema", e->dataschema);
    for (size_t i = 0; i < e->extensions_n; i++) {
        char name[PREFIX_LEN + EVENT_NAME_BYTES_MAX + 1] = PREFIX;
        if (str_copy(name + PREFIX_LEN, sizeof name - PREFIX_LEN, e->extensions[i].name))
            write_field(rq, name, e->extensions[i].value);
    }
}
