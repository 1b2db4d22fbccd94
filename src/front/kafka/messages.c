/* messages.c: the tables of messages_def.h. */
#include "front/kafka/messages.h"

#include <stddef.h>

/* Where the count of an array member lies; of no meaning for other kinds. */
#define COUNT_BOOL(type, name) 0
#define COUNT_I8(type, name) 0
#define COUNT_I16(type, name) 0
#define COUNT_U16(type, name) 0
#define COUNT_I32(type, name) 0
#define COUNT_I64(type, name) 0
#define COUNT_F64(type, name) 0
#define COUNT_UUID(type, name) 0
#define COUNT_STR(type, name) 0
#define COUNT_BYTES(type, name) 0
#define COUNT_STRUCT(type, name) 0
#define COUNT_ARRAY(type, name) offsetof(type, name##_n)
#define COUNT_ARRAY_I32(type, name) offsetof(type, name##_n)
#define COUNT_ARRAY_I64(type, name) offsetof(type, name##_n)
#define COUNT_ARRAY_STR(type, name) offsetof(type, name##_n)
#define COUNT_ARRAY_UUID(type, name) offsetof(type, name##_n)

/* What the fields of other kinds than ARRAY and STRUCT point to. */
static const struct wire_message kafka_none_table = {"none", NULL, 0, 0};

#define ROW(T, kind, name, elem, since, until, nullable, tag, dflt)                                \
    {#name,                                                                                        \
     WIRE_##kind,                                                                                  \
     since,                                                                                        \
     until,                                                                                        \
     nullable,                                                                                     \
     tag,                                                                                          \
     offsetof(struct kafka_##T, name),                                                             \
     COUNT_##kind(struct kafka_##T, name),                                                         \
     &kafka_##elem##_table,                                                                        \
     dflt},

#define TABLE(msg, FIELDS)                                                                         \
    static const struct wire_field msg##_fields[] = {FIELDS(ROW, msg)};                            \
    const struct wire_message kafka_##msg##_table = {#msg, msg##_fields,                           \
                                                     sizeof msg##_fields / sizeof msg##_fields[0], \
                                                     sizeof(struct kafka_##msg)};

/* clang-format off */
KAFKA_MESSAGES(TABLE)
/* clang-format on */
