/* messages.h: Kafka's messages as C structs, with the tables that describe them (messages_def.h).
 *
 * For a message `metadata_request` there are `struct kafka_metadata_request` and `const struct
 * wire_message kafka_metadata_request_table`. Conventions of the members: wire.h.
 */
#pragma once

#include "base/uuid.h"
#include "front/kafka/messages_def.h"
#include "front/kafka/wire.h"

#include <stdbool.h>

/* One member, or two for arrays, by kind. */
#define KAFKA_MEMBER_BOOL(name, elem) bool name;
#define KAFKA_MEMBER_I8(name, elem) int8_t name;
#define KAFKA_MEMBER_I16(name, elem) int16_t name;
#define KAFKA_MEMBER_U16(name, elem) uint16_t name;
#define KAFKA_MEMBER_I32(name, elem) int32_t name;
#define KAFKA_MEMBER_I64(name, elem) int64_t name;
#define KAFKA_MEMBER_F64(name, elem) double name;
#define KAFKA_MEMBER_UUID(name, elem) struct uuid name;
#define KAFKA_MEMBER_STR(name, elem) struct str name;
#define KAFKA_MEMBER_BYTES(name, elem) struct str name;
#define KAFKA_MEMBER_STRUCT(name, elem) struct kafka_##elem *name;
#define KAFKA_MEMBER_ARRAY(name, elem)                                                             \
    struct kafka_##elem *name;                                                                     \
    int32_t name##_n;
#define KAFKA_MEMBER_ARRAY_I32(name, elem)                                                         \
    int32_t *name;                                                                                 \
    int32_t name##_n;
#define KAFKA_MEMBER_ARRAY_I64(name, elem)                                                         \
    int64_t *name;                                                                                 \
    int32_t name##_n;
#define KAFKA_MEMBER_ARRAY_STR(name, elem)                                                         \
    struct str *name;                                                                              \
    int32_t name##_n;
#define KAFKA_MEMBER_ARRAY_UUID(name, elem)                                                        \
    struct uuid *name;                                                                             \
    int32_t name##_n;

#define KAFKA_FIELD_MEMBER(T, kind, name, elem, ...) KAFKA_MEMBER_##kind(name, elem)
#define KAFKA_STRUCT(msg, FIELDS)                                                                  \
    struct kafka_##msg {                                                                           \
        FIELDS(KAFKA_FIELD_MEMBER, msg)                                                            \
    };                                                                                             \
    extern const struct wire_message kafka_##msg##_table;

KAFKA_MESSAGES(KAFKA_STRUCT)
