/* wire.h: Kafka messages from tables: one interpreter a direction.
 *
 * A message is a list of fields, each with its kind and the versions in which it exists (messages.h
 * has them all, as Kafka's message definitions give them). wire_decode turns bytes into the C
 * struct that belongs to the table, wire_encode the struct into bytes; both serve requests and
 * responses, so that a client (the command line, a test) uses the same tables in the other
 * direction. Flexible versions (KIP-482: compact lengths, tagged fields) are a flag of the call.
 *
 * In the struct a string or byte range is a struct str (at == NULL: null), borrowed from the
 * decoded bytes; an array is a pointer and a count `name_n` (-1: null), from the arena; an optional
 * struct is a pointer (NULL: absent). Fields that a version lacks get their default on decoding and
 * are left out on encoding. Unknown tags are skipped. Pure; any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/str.h"

enum wire_kind {
    WIRE_BOOL,
    WIRE_I8,
    WIRE_I16,
    WIRE_U16,
    WIRE_I32,
    WIRE_I64,
    WIRE_F64,
    WIRE_UUID,
    WIRE_STR,
    WIRE_BYTES,
    WIRE_STRUCT,
    WIRE_ARRAY,
    WIRE_ARRAY_I32,
    WIRE_ARRAY_I64,
    WIRE_ARRAY_STR,
    WIRE_ARRAY_UUID
};

struct wire_message;

struct wire_field {
    const char *name;
    enum wire_kind kind;
    int8_t since, until;             /* versions, inclusive */
    int8_t nullable;                 /* from this version on; -1: never */
    int8_t tag;                      /* -1: an ordinary field */
    uint16_t offset;                 /* in the struct */
    uint16_t count_offset;           /* arrays: of name_n */
    const struct wire_message *elem; /* WIRE_ARRAY, WIRE_STRUCT */
    int64_t dflt; /* numbers: the value; strings and arrays: -1 is null, 0 is empty */
};

struct wire_message {
    const char *name;
    const struct wire_field *fields;
    uint16_t fields_n;
    uint16_t size; /* of the struct */
};

/* ERR_FRAME: the bytes are not this message in this version, or something is left over when
 * `whole` is asked by the caller (test rd_left). ERR_MEMORY: over the arena's limit. out has
 * m->size bytes and is set completely. */
enum err must_use wire_decode(const struct wire_message *m, int version, bool flexible,
                              struct rd *r, struct arena *a, void *out);
void wire_encode(const struct wire_message *m, int version, bool flexible, const void *in,
                 struct wr *w);
/* Sets every field to its default. */
void wire_default(const struct wire_message *m, void *out);

/* The pieces, for the hand-written hot paths. Lengths are checked against what is left. */
struct str wire_get_str(struct rd *r, bool flexible);   /* null: at == NULL */
struct str wire_get_bytes(struct rd *r, bool flexible); /* 4-byte or compact length */
int32_t wire_get_count(struct rd *r, bool flexible);    /* -1: null; never more than bytes left */
void wire_skip_tags(struct rd *r);
void wire_put_str(struct wr *w, bool flexible, struct str s, bool nullable);
void wire_put_bytes(struct wr *w, bool flexible, struct str s, bool nullable);
void wire_put_count(struct wr *w, bool flexible, int32_t n); /* -1: null */
void wire_put_no_tags(struct wr *w);
