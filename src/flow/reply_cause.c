#include "flow/reply_cause.h"

#include "base/map.h"
#include "base/plain.h"

#include <string.h>

#define TRACE_ID_AT 3 /* of a traceparent: "00-<32 digits>-..." */
#define TRACE_ID_BYTES 32

struct reply_causes {
    const struct reply_conf *conf;
    uint32_t *counts;   /* one a message */
    struct str *traces; /* likewise: traceparents; NULL: not looked at yet */
    uint32_t *table;    /* of message numbers + 1, by the hash of the trace id */
    uint32_t mask;
    int64_t total; /* replies; -1: not counted yet */
};

struct reply_causes *reply_causes_make(const struct reply_conf *conf)
{
    struct reply_causes *c = arena_zalloc(conf->arena, 1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->conf = conf;
    c->total = -1;
    c->counts = arena_zalloc(conf->arena, conf->messages_n, sizeof *c->counts);
    return c->counts ? c : NULL;
}

uint32_t reply_cause_count(struct reply_causes *c, uint32_t cause)
{
    return c->counts[cause]++;
}

/* ---- what records say ----------------------------------------------------------------------- */

/* The attribute counts more than the plain header of a Kafka client's tracing. */
static void take_header(const struct record_header *h, struct reply_trace *out)
{
    if (h->value.len == 0)
        return;
    if (str_is(h->key, "ce_traceparent") ||
        (str_is(h->key, "traceparent") && out->traceparent.at == NULL))
        out->traceparent = h->value;
    else if (str_is(h->key, "ce_tracestate") ||
             (str_is(h->key, "tracestate") && out->tracestate.at == NULL))
        out->tracestate = h->value;
    else if (str_is(h->key, "ce_correlationid") ||
             (str_is(h->key, "correlationid") && out->correlation.at == NULL))
        out->correlation = h->value;
}

struct reply_trace reply_trace_read(struct record record)
{
    struct reply_trace found = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    struct record_header h;
    while (record_header_next(&record, &h))
        take_header(&h, &found);
    return found;
}

enum err reply_trace_of(const struct reply_conf *conf, uint32_t i, struct reply_trace *out)
{
    const struct message *m = &conf->messages[i];
    struct event_place place = {
        .topic = conf->s->topic, .partition = m->partition, .offset = m->offset};
    *out = reply_trace_read(m->record);
    if (out->traceparent.at != NULL)
        return ERR_OK;
    char *text = arena_alloc(conf->arena, EVENT_TRACEPARENT_BYTES + 1);
    if (text == NULL)
        return ERR_MEMORY;
    event_trace_derive(&place, text);
    out->traceparent = (struct str){text, EVENT_TRACEPARENT_BYTES};
    return ERR_OK;
}

/* ---- by trace -------------------------------------------------------------------------------- */

/* at NULL: this is no traceparent. */
static struct str trace_id(struct str traceparent)
{
    if (traceparent.len < TRACE_ID_AT + TRACE_ID_BYTES)
        return (struct str){NULL, 0};
    return (struct str){traceparent.at + TRACE_ID_AT, TRACE_ID_BYTES};
}

static void table_add(struct reply_causes *c, uint32_t i)
{
    struct str id = trace_id(c->traces[i]);
    if (id.at == NULL)
        return;
    uint32_t at = (uint32_t)hash_bytes(id.at, id.len) & c->mask;
    while (c->table[at] != 0) {
        if (str_eq(trace_id(c->traces[c->table[at] - 1]), id))
            return; /* several of one trace: the first */
        at = (at + 1) & c->mask;
    }
    c->table[at] = i + 1;
}

/* False: no memory. */
static bool look_at_traces(struct reply_causes *c)
{
    const struct reply_conf *conf = c->conf;
    uint32_t n = conf->messages_n, cap = 4;
    struct reply_trace trace;
    while (cap < 2 * n)
        cap *= 2;
    struct str *traces = arena_alloc(conf->arena, n * sizeof *traces);
    c->table = arena_zalloc(conf->arena, cap, sizeof *c->table);
    if (traces == NULL || c->table == NULL)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (reply_trace_of(conf, i, &trace) != ERR_OK)
            return false;
        traces[i] = trace.traceparent;
    }
    c->mask = cap - 1;
    c->traces = traces;
    for (uint32_t i = 0; i < n; i++)
        table_add(c, i);
    return true;
}

static uint32_t find_by_trace(struct reply_causes *c, struct str id, uint32_t i)
{
    if (i < c->conf->messages_n && str_eq(trace_id(c->traces[i]), id))
        return i;
    uint32_t at = (uint32_t)hash_bytes(id.at, id.len) & c->mask;
    for (; c->table[at] != 0; at = (at + 1) & c->mask) {
        if (str_eq(trace_id(c->traces[c->table[at] - 1]), id))
            return c->table[at] - 1;
    }
    return REPLY_NO_CAUSE;
}

/* ---- by place -------------------------------------------------------------------------------- */

/* Behind the string whose first byte is at `at`. */
static size_t skip_string(struct str text, size_t at)
{
    while (at < text.len) {
        at += plain_bytes((struct str){text.at + at, text.len - at}, '"', '\\');
        if (at < text.len && text.at[at] == '"')
            return at + 1;
        at += at < text.len && text.at[at] == '\\' ? 2 : 1;
    }
    return text.len;
}

/* The objects in the array, by its brackets alone: whoever reads them sees whether it is right, and
 * if it is not they come to nothing. */
static uint32_t count_elements(struct str batch)
{
    uint32_t n = 0, depth = 0;
    for (size_t at = 0; at < batch.len;) {
        char c = batch.at[at++];
        if (c == '"')
            at = skip_string(batch, at);
        n += c == '{' && depth == 1;
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
    }
    return n;
}

uint32_t reply_cause_find(struct reply_causes *c, const struct event *e, uint32_t i,
                          struct str batch)
{
    uint32_t found = REPLY_NO_CAUSE;
    struct str id = trace_id(event_extension(e, STR_LIT("traceparent")));
    if (c->conf->messages_n == 1)
        return 0;
    if (id.at != NULL && (c->traces != NULL || look_at_traces(c)))
        found = find_by_trace(c, id, i);
    if (found != REPLY_NO_CAUSE)
        return found;
    if (c->total < 0)
        c->total = count_elements(batch);
    return c->total == c->conf->messages_n && i < c->total ? i : REPLY_NO_CAUSE;
}
