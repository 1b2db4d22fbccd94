/* What an event's attributes are and may be (CloudEvents 1.0, section "Context Attributes"). */
#include "broker/event_internal.h"

#include "base/plain.h"
#include "base/when.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define AT(field) offsetof(struct event, field)

#define CORE(name, header, type, required)                                                         \
    {                                                                                              \
        {#name, sizeof(#name) - 1}, {header, sizeof(header) - 1}, offsetof(struct event, name),    \
            type, required                                                                         \
    }
const struct event_core event_core[EVENT_CORE_COUNT] = {
    CORE(id, "ce_id", EVENT_STRING, true),
    CORE(source, "ce_source", EVENT_URI_REFERENCE, true),
    CORE(type, "ce_type", EVENT_STRING, true),
    CORE(subject, "ce_subject", EVENT_STRING, false),
    CORE(time, "ce_time", EVENT_TIMESTAMP, false),
    CORE(dataschema, "ce_dataschema", EVENT_URI, false),
    CORE(datacontenttype, "content-type", EVENT_STRING, false),
};

const struct event_core *event_core_find(struct str name)
{
    for (size_t i = 0; i < EVENT_CORE_COUNT; i++)
        if (str_eq(name, event_core[i].name))
            return &event_core[i];
    return NULL;
}

/* ---- values ---- */

/* The code point at p, which is UTF-8, and its length. */
static uint32_t code_point(const uint8_t *p, size_t *n)
{
    *n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t c = *n == 1 ? p[0] : p[0] & (0x7fu >> *n);
    for (size_t i = 1; i < *n; i++)
        c = c << 6 | (p[i] & 0x3f);
    return c;
}

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

static bool is_noncharacter(uint32_t c)
{
    return (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe;
}

bool event_text_ok(struct str value)
{
    const uint8_t *p = (const uint8_t *)value.at;
    if (plain_bytes(value, 0x7f, 0x7f) == value.len)
        return true;
    if (!utf8_valid(value.at, value.len))
        return false;
    for (size_t i = 0, n; i < value.len; i += n) {
        uint32_t c = code_point(p + i, &n);
        if (is_control(c) || is_noncharacter(c))
            return false;
    }
    return true;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* The characters of RFC 3986, and those beyond ASCII that an IRI has. */
static bool uri_reference_ok(struct str s)
{
    static const bool never[256] = {[' '] = 1, ['"'] = 1, ['<'] = 1, ['>'] = 1, ['\\'] = 1,
                                    ['^'] = 1, ['`'] = 1, ['{'] = 1, ['|'] = 1, ['}'] = 1};
    for (size_t i = 0; i < s.len; i++) {
        if (never[(unsigned char)s.at[i]])
            return false;
        if (s.at[i] == '%' && (s.len - i < 3 || !is_hex(s.at[i + 1]) || !is_hex(s.at[i + 2])))
            return false;
    }
    return true;
}

static bool is_letter(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* With a scheme. */
static bool uri_ok(struct str s)
{
    size_t n = 0;
    if (!uri_reference_ok(s) || !is_letter(s.at[0]))
        return false;
    while (n < s.len && (is_letter(s.at[n]) || (s.at[n] >= '0' && s.at[n] <= '9') ||
                         (s.at[n] != '\0' && strchr("+-.", s.at[n]) != NULL)))
        n++;
    return n < s.len && s.at[n] == ':';
}

/* RFC 3339: a zone is needed. */
static bool timestamp_ok(struct str s)
{
    int64_t ms;
    if (s.len < 20 || !when_datetime(s, &ms))
        return false;
    char last = s.at[s.len - 1], sign = s.at[s.len - 6];
    return (last | 0x20) == 'z' || ((sign == '+' || sign == '-') && s.at[s.len - 3] == ':');
}

static const char *value_fault(enum event_type type, struct str value)
{
    if (value.len == 0)
        return "is empty";
    if (value.len > EVENT_ATTRIBUTE_BYTES_MAX)
        return "is longer than 4096 bytes";
    if (!event_text_ok(value))
        return "has characters that CloudEvents does not allow, or is not UTF-8";
    if (type == EVENT_TIMESTAMP && !timestamp_ok(value))
        return "is not a time as RFC 3339 writes it, like 2026-03-01T12:00:00Z";
    if (type == EVENT_URI && !uri_ok(value))
        return "is not an absolute URI";
    if (type == EVENT_URI_REFERENCE && !uri_reference_ok(value))
        return "is not a URI reference (blanks and the like must be percent-encoded)";
    return NULL;
}

enum err event_value_check(struct str name, enum event_type type, struct str value,
                           struct err_text *text)
{
    const char *fault = value_fault(type, value);
    if (fault == NULL)
        return ERR_OK;
    return err_say(text, ERR_RECORD_INVALID, "the event's %.*s %s", (int)name.len, name.at, fault);
}

enum err event_name_check(struct str name, struct err_text *text)
{
    bool ok = name.len > 0 && name.len <= EVENT_NAME_BYTES_MAX && !str_is(name, "data");
    for (size_t i = 0; ok && i < name.len; i++)
        ok = (name.at[i] >= 'a' && name.at[i] <= 'z') || (name.at[i] >= '0' && name.at[i] <= '9');
    if (ok)
        return ERR_OK;
    return err_say(text, ERR_RECORD_INVALID,
                   "an event has no attribute \"%.*s\": names are of a-z and 0-9, at most %d, and "
                   "not data",
                   (int)(name.len < 64 ? name.len : 64), name.at, EVENT_NAME_BYTES_MAX);
}

enum err event_required_check(const struct event *e, struct err_text *text)
{
    for (size_t i = 0; i < EVENT_CORE_COUNT; i++)
        if (event_core[i].required && event_core_get(e, &event_core[i]).at == NULL)
            return err_say(text, ERR_RECORD_INVALID,
                           "the event has no %s: id, source, type and specversion are required",
                           event_core[i].name.at);
    return ERR_OK;
}

enum err event_check(const struct event *e, struct err_text *text)
{
    enum err err = event_required_check(e, text);
    for (size_t i = 0; err == ERR_OK && i < EVENT_CORE_COUNT; i++) {
        struct str value = event_core_get(e, &event_core[i]);
        if (value.at != NULL)
            err = event_value_check(event_core[i].name, event_core[i].type, value, text);
    }
    for (size_t i = 0; err == ERR_OK && i < e->extensions_n; i++) {
        const struct event_attribute *x = &e->extensions[i];
        err = event_name_check(x->name, text);
        if (err == ERR_OK && x->value.len > 0) /* an extension's value may be empty */
            err = event_value_check(x->name, EVENT_STRING, x->value, text);
    }
    return err;
}

/* ---- attributes of an event ---- */

void event_init(struct event *e)
{
    for (size_t i = 0; i < EVENT_CORE_COUNT; i++)
        *event_core_of(e, &event_core[i]) = (struct str){NULL, 0};
    e->extensions_n = 0;
    e->data = (struct str){NULL, 0};
    e->data_is_json = false;
    e->record_ms = -1;
}

struct str event_extension(const struct event *e, struct str name)
{
    for (size_t i = 0; i < e->extensions_n; i++)
        if (str_eq(e->extensions[i].name, name))
            return e->extensions[i].value;
    return (struct str){NULL, 0};
}

enum err event_extension_set(struct event *e, struct str name, struct str value)
{
    size_t i = 0;
    while (i < e->extensions_n && !str_eq(e->extensions[i].name, name))
        i++;
    if (i == EVENT_EXTENSIONS_MAX)
        return ERR_MEMORY;
    e->extensions[i] = (struct event_attribute){name, value};
    e->extensions_n += i == e->extensions_n;
    return ERR_OK;
}

enum err event_attribute_set(struct event *e, struct str name, struct str value,
                             struct err_text *text)
{
    const struct event_core *core = event_core_find(name);
    if (str_is(name, "specversion"))
        return str_is(value, "1.0") ? ERR_OK
                                    : err_say(text, ERR_RECORD_INVALID,
                                              "the event's specversion is \"%.*s\": only 1.0 is "
                                              "known",
                                              (int)(value.len < 32 ? value.len : 32), value.at);
    enum err err = core != NULL ? ERR_OK : event_name_check(name, text);
    if (err == ERR_OK && (core != NULL || value.len > 0))
        err = event_value_check(name, core != NULL ? core->type : EVENT_STRING, value, text);
    if (err != ERR_OK)
        return err;
    if (core == NULL) {
        err = event_extension_set(e, name, value);
        return err == ERR_OK
                   ? ERR_OK
                   : err_say(text, ERR_RECORD_INVALID, "the event has more than %d extensions",
                             EVENT_EXTENSIONS_MAX);
    }
    *event_core_of(e, core) = value;
    if (core->at == AT(datacontenttype))
        e->data_is_json = event_type_is_json(value);
    return ERR_OK;
}

/* ---- content types ---- */

static struct str media_type(struct str s)
{
    size_t n = 0;
    while (n < s.len && s.at[n] != ';')
        n++;
    while (n > 0 && (s.at[n - 1] == ' ' || s.at[n - 1] == '\t'))
        n--;
    return (struct str){s.at, n};
}

static bool ends_nocase(struct str s, const char *end)
{
    size_t n = strlen(end);
    return s.len >= n && strncasecmp(s.at + s.len - n, end, n) == 0;
}

static bool begins_nocase(struct str s, const char *begin)
{
    size_t n = strlen(begin);
    return s.len >= n && strncasecmp(s.at, begin, n) == 0;
}

bool event_type_is_json(struct str datacontenttype)
{
    if (str_is(datacontenttype, "application/json")) /* as most say it */
        return true;
    struct str type = media_type(datacontenttype);
    return ends_nocase(type, "/json") || ends_nocase(type, "+json");
}

bool event_type_is_batch(struct str content_type)
{
    return begins_nocase(content_type, "application/cloudevents-batch");
}

bool event_type_is_structured(struct str content_type)
{
    return begins_nocase(content_type, "application/cloudevents") &&
           !event_type_is_batch(content_type);
}

bool event_data_is_text(const struct event *e)
{
    struct str type = media_type(e->datacontenttype);
    bool text = begins_nocase(type, "text/") || ends_nocase(type, "/xml") ||
                ends_nocase(type, "+xml") || ends_nocase(type, "/x-www-form-urlencoded") ||
                ends_nocase(type, "/yaml") || ends_nocase(type, "/javascript");
    return text && !e->data_is_json && utf8_valid(e->data.at, e->data.len);
}

/* ---- traces ---- */

/* The finaliser of splitmix64: the same everywhere, unlike hash_u64. */
static uint64_t mix(uint64_t v)
{
    v += 0x9e3779b97f4a7c15;
    v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9;
    v = (v ^ v >> 27) * 0x94d049bb133111eb;
    return v ^ v >> 31;
}

static char *hex_put(char *out, uint64_t v)
{
    for (int i = 0; i < 16; i++)
        out[i] = "0123456789abcdef"[v >> (60 - 4 * i) & 15];
    return out + 16;
}

/* The span's id follows from the trace's, so that one can see that weir made them both. By hand:
 * every hop of an event without a trace makes one. */
static void trace_write(uint64_t high, uint64_t low, char out[EVENT_TRACEPARENT_BYTES + 1])
{
    char *at = out + 3;
    low |= 1;
    memcpy(out, "00-", 3);
    at = hex_put(at, high);
    at = hex_put(at, low);
    *at++ = '-';
    at = hex_put(at, mix(high ^ mix(low)) | 1);
    memcpy(at, "-01", 4);
}

bool event_trace_made(struct str trace, struct str span)
{
    char id[33], made[EVENT_TRACEPARENT_BYTES + 1];
    if (trace.len != 32 || span.len != 16)
        return false;
    memcpy(id, trace.at, 32);
    id[32] = '\0';
    uint64_t low = strtoull(id + 16, NULL, 16);
    id[16] = '\0';
    trace_write(strtoull(id, NULL, 16), low, made);
    return memcmp(made + 3, trace.at, 32) == 0 && memcmp(made + 36, span.at, 16) == 0;
}

void event_trace_derive(const struct event_place *place, char out[EVENT_TRACEPARENT_BYTES + 1])
{
    uint64_t a = be64_get(place->topic.b), b = be64_get(place->topic.b + 8);
    uint64_t where = mix((uint64_t)place->offset ^ (uint64_t)(uint32_t)place->partition << 40);
    trace_write(mix(a ^ where), mix(b + where), out);
}

void event_trace_make(const uint8_t random[24], char out[EVENT_TRACEPARENT_BYTES + 1])
{
    trace_write(be64_get(random), be64_get(random + 8), out);
}

/* Lower-case digits, as the standard wants them; of sixteen bytes. */
static bool is_hex_step(const char *p)
{
    plain_step v;
    uint64_t ok[2];
    memcpy(&v, p, sizeof v);
    plain_step hex = ((v >= '0') & (v <= '9')) | ((v >= 'a') & (v <= 'f'));
    memcpy(ok, &hex, sizeof ok);
    return (ok[0] & ok[1]) == UINT64_MAX;
}

static bool is_hex_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool event_trace_ok(struct str s)
{
    return s.len == EVENT_TRACEPARENT_BYTES && memcmp(s.at, "00-", 3) == 0 && s.at[35] == '-' &&
           s.at[52] == '-' && is_hex_step(s.at + 3) && is_hex_step(s.at + 19) &&
           is_hex_step(s.at + 36) && is_hex_digit(s.at[53]) && is_hex_digit(s.at[54]);
}

struct str event_copy(struct arena *arena, const char *text)
{
    size_t n = strlen(text);
    return (struct str){arena_strndup(arena, text, n), n};
}

/* ---- as what a filter looks at ---- */

static const struct event *event_of_source(const struct expr_source *source)
{
    return container_of_const(source, struct event_source, source)->event;
}

static void source_attribute(const struct expr_source *source, struct str name,
                             struct expr_value *out)
{
    const struct event *e = event_of_source(source);
    const struct event_core *core = event_core_find(name);
    struct str value;
    if (core != NULL)
        value = event_core_get(e, core);
    else
        value = str_is(name, "specversion") ? STR_LIT("1.0") : event_extension(e, name);
    out->type = value.at != NULL ? EXPR_STRING : EXPR_MISSING;
    out->text = value;
}

/* Without a content type there may be JSON in it: a path finds something or not. */
static struct str source_data(const struct expr_source *source)
{
    const struct event *e = event_of_source(source);
    bool maybe = e->data_is_json || e->datacontenttype.at == NULL;
    return maybe ? e->data : (struct str){NULL, 0};
}

void event_source_init(struct event_source *s, const struct event *e)
{
    s->source = (struct expr_source){.attribute = source_attribute, .data = source_data};
    s->event = e;
}
