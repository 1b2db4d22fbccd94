/* Event Grid's own schema, EventGridEvent, as Azure's SDKs write it.
 *
 * Event Grid lets events that were published in its schema be delivered in CloudEvents' schema, by
 * the mapping in event.h, and not the reverse; here both ways work, by the same mapping. Members
 * that the schema does not have are passed over, as Event Grid does. */
#include "broker/event_internal.h"

#include "base/base64.h"
#include "base/when.h"

#include <stdio.h>
#include <string.h>

enum {
    FIELD_ID,
    FIELD_TOPIC,
    FIELD_SUBJECT,
    FIELD_TYPE,
    FIELD_TIME,
    FIELD_DATA_VERSION,
    FIELD_METADATA_VERSION,
    FIELD_COUNT
};

static const struct field {
    const char *name;
    bool required;
} fields[FIELD_COUNT] = {
    [FIELD_ID] = {"id", true},
    [FIELD_TOPIC] = {"topic", false},
    [FIELD_SUBJECT] = {"subject", true},
    [FIELD_TYPE] = {"eventType", true},
    [FIELD_TIME] = {"eventTime", true},
    [FIELD_DATA_VERSION] = {"dataVersion", false},
    [FIELD_METADATA_VERSION] = {"metadataVersion", false},
};

struct reading {
    struct str value[FIELD_COUNT];
    struct str data; /* JSON, as it stands there */
    struct arena *arena;
    struct err_text *text;
};

static enum err take_field(struct reading *rd, size_t i, const struct jr_value *v)
{
    if (v->type == JR_NULL)
        return ERR_OK;
    if (v->type != JR_STRING)
        return err_say(rd->text, ERR_RECORD_INVALID, "the event's %s must be a string",
                       fields[i].name);
    if (rd->value[i].at != NULL)
        return err_say(rd->text, ERR_RECORD_INVALID, "the event's %s is there twice",
                       fields[i].name);
    rd->value[i] = jr_string(v, rd->arena);
    return rd->value[i].at != NULL ? ERR_OK : ERR_MEMORY;
}

static enum err take_member(void *arg, struct str name, const struct jr_value *v)
{
    struct reading *rd = arg;
    if (str_is(name, "data")) {
        if (rd->data.at != NULL)
            return err_say(rd->text, ERR_RECORD_INVALID, "the event's data is there twice");
        bool quoted = v->type == JR_STRING;
        rd->data = (struct str){v->text.at - quoted, v->text.len + 2 * (size_t)quoted};
        return ERR_OK;
    }
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (str_is(name, fields[i].name))
            return take_field(rd, i, v);
    return ERR_OK;
}

/* Times come without a zone from some clients; UTC is meant. */
static enum err set_time(struct reading *rd, struct event *e)
{
    struct str time = rd->value[FIELD_TIME];
    int64_t ms;
    if (!when_datetime(time, &ms))
        return err_say(rd->text, ERR_RECORD_INVALID,
                       "the event's eventTime is not a time in ISO 8601, like "
                       "2026-03-01T12:00:00Z");
    if (event_value_check(STR_LIT("time"), EVENT_TIMESTAMP, time, NULL) != ERR_OK) {
        char *zoned = arena_alloc(rd->arena, time.len + 1);
        if (zoned == NULL)
            return ERR_MEMORY;
        memcpy(zoned, time.at, time.len);
        zoned[time.len] = 'Z';
        time = (struct str){zoned, time.len + 1};
    }
    return event_attribute_set(e, STR_LIT("time"), time, rd->text);
}

static enum err set_all(struct reading *rd, struct str topic, struct event *e)
{
    const struct str *v = rd->value;
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (fields[i].required && v[i].at == NULL)
            return err_say(rd->text, ERR_RECORD_INVALID,
                           "the event has no %s: id, subject, eventType and eventTime are required",
                           fields[i].name);
    enum err err = event_attribute_set(e, STR_LIT("id"), v[FIELD_ID], rd->text);
    if (err == ERR_OK)
        err = event_attribute_set(e, STR_LIT("source"),
                                  v[FIELD_TOPIC].len > 0 ? v[FIELD_TOPIC] : topic, rd->text);
    if (err == ERR_OK && v[FIELD_SUBJECT].len > 0)
        err = event_attribute_set(e, STR_LIT("subject"), v[FIELD_SUBJECT], rd->text);
    if (err == ERR_OK)
        err = event_attribute_set(e, STR_LIT("type"), v[FIELD_TYPE], rd->text);
    if (err == ERR_OK)
        err = set_time(rd, e);
    if (err == ERR_OK && v[FIELD_DATA_VERSION].len > 0)
        err = event_attribute_set(e, STR_LIT("dataversion"), v[FIELD_DATA_VERSION], rd->text);
    if (err == ERR_OK && v[FIELD_METADATA_VERSION].len > 0)
        err =
            event_attribute_set(e, STR_LIT("metadataversion"), v[FIELD_METADATA_VERSION], rd->text);
    return err;
}

static enum err read_event(struct jr *j, struct str topic, struct arena *arena, struct event *out,
                           struct err_text *text)
{
    struct reading rd = {.arena = arena, .text = text};
    event_init(out);
    enum err err = event_members(j, arena, text, take_member, &rd);
    if (err == ERR_OK)
        err = set_all(&rd, topic, out);
    if (err != ERR_OK || rd.data.at == NULL)
        return err;
    out->data = rd.data;
    return event_attribute_set(out, STR_LIT("datacontenttype"), STR_LIT("application/json"), text);
}

enum err event_of_eventgrid(struct str json, struct str topic, struct arena *arena,
                            struct event *out, struct err_text *text)
{
    struct jr j;
    jr_init(&j, json);
    enum err err = read_event(&j, topic, arena, out, text);
    return err == ERR_OK && !jr_end(&j) ? event_not_json(&j, text) : err;
}

enum err event_eventgrid_next(struct jr *batch, struct str topic, struct arena *arena,
                              struct event *out, struct err_text *text)
{
    if (!jr_element(batch))
        return jr_end(batch) ? ERR_NOT_FOUND : event_not_json(batch, text);
    return read_event(batch, topic, arena, out, text);
}

/* ---- writing ---- */

static void write_member(struct wr *w, const char *name, struct str value)
{
    wr_u8(w, ',');
    json_write_string(w, str_of(name));
    wr_u8(w, ':');
    json_write_string(w, value);
}

static void write_data(struct wr *w, const struct event *e)
{
    json_write_raw(w, STR_LIT(",\"data\":"));
    if (e->data.at == NULL) {
        json_write_raw(w, STR_LIT("null"));
    } else if (e->data_is_json && json_valid(e->data)) {
        json_write_raw(w, e->data);
    } else if (event_data_is_text(e)) {
        json_write_string(w, e->data);
    } else {
        wr_u8(w, '"');
        char *to = (char *)wr_room(w, BASE64_LEN(e->data.len) + 1);
        base64_encode(to, e->data.at, e->data.len);
        to[BASE64_LEN(e->data.len)] = '"';
    }
}

/* Clients want every member to be there. */
/* Event Grid's word for why a message became a dead letter; what a receiver said stays. */
static void write_reason(struct wr *w, struct str reason, struct str outcome)
{
    char text[128];
    if (str_is(reason, "max-deliveries"))
        reason = STR_LIT("MaxDeliveryAttemptsExceeded");
    else if (str_is(reason, "expired"))
        reason = STR_LIT("TimeToLiveExceeded");
    else if (str_is(reason, "refused") && outcome.at != NULL && outcome.len < 64) {
        snprintf(text, sizeof(text), "UndeliverableDueToHttp%.*s", (int)outcome.len, outcome.at);
        reason = str_of(text);
    }
    write_member(w, "deadLetterReason", reason);
}

/* What Event Grid adds to a dead letter, behind everything else. */
static void write_letter(struct wr *w, const struct event *e)
{
    struct str reason = event_extension(e, STR_LIT("deadletterreason"));
    struct str attempts = event_extension(e, STR_LIT("deliveryattempts"));
    struct str outcome = event_extension(e, STR_LIT("lastdeliveryoutcome"));
    struct str published = event_extension(e, STR_LIT("publishtime"));
    struct str last = event_extension(e, STR_LIT("lastdeliveryattempttime"));
    int64_t n;
    if (reason.at == NULL)
        return;
    write_reason(w, reason, outcome);
    if (attempts.at != NULL && str_to_i64(attempts, &n) == ERR_OK) {
        json_write_raw(w, STR_LIT(",\"deliveryAttempts\":"));
        json_write_int(w, n);
    }
    if (outcome.at != NULL)
        write_member(w, "lastDeliveryOutcome", outcome);
    if (published.at != NULL)
        write_member(w, "publishTime", published);
    if (last.at != NULL)
        write_member(w, "lastDeliveryAttemptTime", last);
}

void event_write_eventgrid(const struct event *e, struct str topic, struct wr *out)
{
    char when[WHEN_TEXT_MAX];
    struct str time = e->time, metadata = event_extension(e, STR_LIT("metadataversion"));
    if (time.at == NULL)
        time = str_of(when_put_datetime(e->record_ms >= 0 ? e->record_ms : 0, when));
    json_write_raw(out, STR_LIT("{\"id\":"));
    json_write_string(out, e->id);
    write_member(out, "topic", topic.at != NULL ? topic : e->source);
    write_member(out, "subject", e->subject);
    write_member(out, "eventType", e->type);
    write_member(out, "eventTime", time);
    write_data(out, e);
    write_member(out, "dataVersion", event_extension(e, STR_LIT("dataversion")));
    write_member(out, "metadataVersion", metadata.at != NULL ? metadata : STR_LIT("1"));
    write_letter(out, e);
    wr_u8(out, '}');
}
