/* function_azure.h: calls of Azure Functions' custom handlers, so that apps that were written for
 * that host are functions here as they are: what is posted, and what is answered.
 *
 *     POST <worker>/<azure.function, or the resource's name>
 *     {"Data": {"<azure.trigger.name>": ...}, "Metadata": {..., "sys": {...}, "weir": {...}}}
 *
 *     trigger      Data                              Metadata, in the host's names
 *     eventGrid    the event: CloudEvents, or Event  data
 *                  Grid's schema where the subscription's format is that
 *     serviceBus   the body, as a string             MessageId, DeliveryCount, SequenceNumber, ...
 *     eventHub     the body, as a string             Offset, SequenceNumber, PartitionContext, ...
 *     queue        the body, as a string             Id, DequeueCount, InsertionTime, ...
 *     kafka        the body, as a string             Topic, Partition, Offset, Key, Timestamp, ...
 *     http         called by requests: function_azure_http.h
 *
 * A function with `batch` has a binding of cardinality "many": Data is an array, and what
 * Metadata says of each event is an array of the name with "Array" behind it. "weir" is not the
 * host's: where the event stands (Topic, Partition, Offset) and the number of the attempt, from 1.
 *
 * The answer is {"Outputs": {...}, "Logs": [...], "ReturnValue": ...}, each of which may be missing
 * or null; names are taken in any case, as the host does. An output binding that is named in
 * azure.outputs (of ReturnValue: $return) is events for its topic: an array one for each element,
 * what is an event (CloudEvents, or Event Grid's schema) that, all else an event with it as data
 * and of type AZURE_OUTPUT_TYPE. A string's data is its text, of a JSON type if it holds an object
 * or an array.
 *
 * Pure. Everything points into the arena and the messages.
 */
#pragma once

#include "base/arena.h"
#include "broker/delivery.h"
#include "broker/document.h"
#include "broker/event.h"
#include "broker/subscription.h"

#define AZURE_HOST_VERSION "4.0.0" /* what handlers are told; of the protocol, not of a product */
#define AZURE_OUTPUT_TYPE "weir.output"
#define AZURE_GUID_TEXT_MAX 37
#define AZURE_RANDOM_BYTES 32

/* A version 4 UUID in its usual spelling. Returns out. */
const char *azure_guid(const uint8_t random[16], char out[AZURE_GUID_TEXT_MAX]);
/* Of a call; at NULL: the arena is full. */
struct str azure_url(struct str worker, const struct document *function, struct arena *arena);

/* Appends the member sys of Metadata: MethodName, UtcNow, RandGuid. */
void azure_sys_write(const struct document *function, uint64_t now_ms, const uint8_t *random,
                     struct wr *w);

struct azure_request {
    const struct subscription *s;
    const struct document *function;
    const struct message *messages;
    uint32_t n;
    uint64_t now_ms;
    const uint8_t *random; /* AZURE_RANDOM_BYTES; the first 16 are the invocation's id */
    struct arena *arena;
};
/* Appends the body. */
void azure_request_write(const struct azure_request *r, struct wr *out);

struct azure_answer {
    const struct function_conf *conf;
    struct arena *arena;
    struct str source; /* of an Event Grid event without a topic */
    /* topic at NULL: the return value, for which there is no binding. */
    enum err (*event)(void *arg, struct event *e, struct str topic);
    void (*line)(void *arg, struct str text); /* of Logs */
    void *arg;
    /* out */
    struct jr_value response;      /* of an HTTP trigger: what is for who asked; JR_NULL: nothing */
    bool returned;                 /* it is the return value */
    uint32_t lines, lines_dropped; /* limits.output of one answer are given, the others counted */
    uint32_t dropped;              /* values of bindings that have no topic */
    struct err_text text;
};
/* The body must stay as long as the events. ERR_RECORD_INVALID: it is no such answer; ERR_MEMORY:
 * the arena is full; else what event() said. Nothing of it is to be used then. */
enum err must_use azure_answer_read(struct azure_answer *a, struct str body);
