/* event_log.h: a topic into which weir writes CloudEvents of its own: changes of breakers, lives of
 * workers. It is an ordinary topic, which operators may subscribe to, and change; it is made with
 * its first event, of one partition.
 *
 * Events are appended one after the other, so that their order in the log is that of what
 * happened. What cannot be appended is tried again every second, and dropped after EVENT_LOG_TRIES,
 * with a warning: whoever writes works without its log. One reactor.
 */
#pragma once

#include "broker/broker.h"

#define EVENT_LOG_TRIES 30
#define EVENT_LOG_WAITING_MAX 1000 /* events; the oldest is dropped */
#define EVENT_LOG_BYTES_MAX ((size_t)64 << 10)

struct event_log;

struct event_log_conf {
    struct broker *broker;
    const char *topic, *retention_ms;
    const char *lost; /* what the log says where an event is given up: "breaker.not_logged" */
};

/* The texts of conf stay the caller's. */
struct event_log *event_log_make(const struct event_log_conf *conf);
/* Nothing is under way (event_log_busy); what waits is dropped. */
void event_log_free(struct event_log *log);
bool event_log_busy(const struct event_log *log);
/* Appends an event, later. subject is the record's key, too; data is JSON, well below
 * EVENT_LOG_BYTES_MAX. All is copied. */
void event_log_write(struct event_log *log, struct str source, struct str type, struct str subject,
                     struct str data);
