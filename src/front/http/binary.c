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

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Bytes above ASCII that are no UTF-8 are ISO 8859-1, as fields were once defined to be, and as
 * Python's and other clients still send what an SDK gives them unencoded. */
static struct str to_utf8(struct http_request *rq, struct str raw)
{
    char *out = http_alloc(rq, 2 * raw.len, 1);
    size_t n = 0;
    if (!out)
        return (struct str){0};
    for (size_t i = 0; i < raw.len; i++) {
        unsigned char c = (unsigned char)raw.at[i];
        if (c >= 0x80)
            out[n++] = (char)(0xc0 | c >> 6);
        out[n++] = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
    }
    return (struct str){out, n};
}

/* Section 3.1.3.2: first a quoted string is unquoted, then % is decoded, once. A % that no two
 * digits follow stands for itself: senders that do not know of the encoding are many. */
static struct str decode_value(struct http_request *rq, struct str raw)
{
    if (!utf8_valid(raw.at, raw.len))
        raw = to_utf8(rq, raw);
    bool quoted = raw.len >= 2 && raw.at[0] == '"' && raw.at[raw.len - 1] == '"';
    if (!quoted && !http_find(raw, "%"))
        return raw;
    char *out = http_alloc(rq, raw.len, 1);
    size_t n = 0, end = quoted ? raw.len - 1 : raw.len;
    if (!out)
        return (struct str){0};
    for (size_t i = quoted; i < end; i++) {
        int high = -1, low = -1;
        if (quoted && raw.at[i] == '\\' && i + 1 < end)
            i++;
        if (raw.at[i] == '%' && i + 2 < end) {
            high = hex_digit(raw.at[i + 1]);
            low = hex_digit(raw.at[i + 2]);
        }
        if (high >= 0 && low >= 0) {
            out[n++] = (char)(high << 4 | low);
            i += 2;
        } else {
            out[n++] = raw.at[i];
        }
    }
    return (struct str){out, n};
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
    struct str value = decode_value(rq, f->value);
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
