/* wire.c: the interpreters. They recurse over the tables, whose depth is fixed, never over input.
 */
#include "front/kafka/wire.h"

#include "base/assert.h"
#include "base/uuid.h"

#include <string.h>

#define MEMBER(type, base, offset) (*(type *)(void *)((uint8_t *)(base) + (offset)))
#define MEMBER_CONST(type, base, offset)                                                           \
    (*(const type *)(const void *)((const uint8_t *)(base) + (offset)))

/* ---- pieces --------------------------------------------------------------------------------- */

static struct str get_range(struct rd *r, int64_t len)
{
    if (len < -1)
        rd_fail(r);
    if (len < 0 || r->bad)
        return (struct str){0};
    const uint8_t *p = rd_bytes(r, (size_t)len);
    return p ? (struct str){(const char *)p, (size_t)len} : (struct str){0};
}

struct str wire_get_str(struct rd *r, bool flexible)
{
    return get_range(r, flexible ? (int64_t)rd_uvarint(r) - 1 : rd_i16(r));
}

struct str wire_get_bytes(struct rd *r, bool flexible)
{
    return get_range(r, flexible ? (int64_t)rd_uvarint(r) - 1 : rd_i32(r));
}

int32_t wire_get_count(struct rd *r, bool flexible)
{
    int64_t n = flexible ? (int64_t)rd_uvarint(r) - 1 : rd_i32(r);
    if (n < -1 || n > (int64_t)rd_left(r))
        rd_fail(r);
    return r->bad ? 0 : (int32_t)n;
}

void wire_skip_tags(struct rd *r)
{
    uint32_t n = rd_uvarint(r);
    for (; n && !r->bad; n--) {
        (void)rd_uvarint(r);
        rd_skip(r, rd_uvarint(r));
    }
}

void wire_put_str(struct wr *w, bool flexible, struct str s, bool nullable)
{
    bool null = !s.at && nullable;
    weir_assert(s.len <= INT16_MAX || flexible);
    if (flexible)
        wr_uvarint(w, null ? 0 : (uint32_t)s.len + 1);
    else
        wr_i16(w, null ? -1 : (int16_t)s.len);
    if (s.len)
        wr_bytes(w, s.at, s.len);
}

void wire_put_bytes(struct wr *w, bool flexible, struct str s, bool nullable)
{
    bool null = !s.at && nullable;
    wire_put_count(w, flexible, null ? -1 : (int32_t)s.len);
    if (s.len)
        wr_bytes(w, s.at, s.len);
}

void wire_put_count(struct wr *w, bool flexible, int32_t n)
{
    if (flexible)
        wr_uvarint(w, (uint32_t)(n + 1));
    else
        wr_i32(w, n);
}

void wire_put_no_tags(struct wr *w)
{
    wr_uvarint(w, 0);
}

/* ---- defaults ------------------------------------------------------------------------------- */

static bool is_array(enum wire_kind kind)
{
    return kind >= WIRE_ARRAY;
}

static void set_number(const struct wire_field *f, void *out, int64_t v)
{
    switch (f->kind) {
    case WIRE_BOOL:
        MEMBER(bool, out, f->offset) = v != 0;
        break;
    case WIRE_I8:
        MEMBER(int8_t, out, f->offset) = (int8_t)v;
        break;
    case WIRE_I16:
        MEMBER(int16_t, out, f->offset) = (int16_t)v;
        break;
    case WIRE_U16:
        MEMBER(uint16_t, out, f->offset) = (uint16_t)v;
        break;
    case WIRE_I32:
        MEMBER(int32_t, out, f->offset) = (int32_t)v;
        break;
    case WIRE_I64:
        MEMBER(int64_t, out, f->offset) = v;
        break;
    default:
        weir_unreachable();
    }
}

static int64_t get_number(const struct wire_field *f, const void *in)
{
    switch (f->kind) {
    case WIRE_BOOL:
        return MEMBER_CONST(bool, in, f->offset);
    case WIRE_I8:
        return MEMBER_CONST(int8_t, in, f->offset);
    case WIRE_I16:
        return MEMBER_CONST(int16_t, in, f->offset);
    case WIRE_U16:
        return MEMBER_CONST(uint16_t, in, f->offset);
    case WIRE_I32:
        return MEMBER_CONST(int32_t, in, f->offset);
    case WIRE_I64:
        return MEMBER_CONST(int64_t, in, f->offset);
    default:
        weir_unreachable();
    }
}

static void default_field(const struct wire_field *f, void *out)
{
    if (is_array(f->kind)) {
        MEMBER(void *, out, f->offset) = NULL;
        MEMBER(int32_t, out, f->count_offset) = f->dflt < 0 ? -1 : 0;
        return;
    }
    switch (f->kind) {
    case WIRE_STR:
    case WIRE_BYTES:
        MEMBER(struct str, out, f->offset) = f->dflt < 0 ? (struct str){0} : (struct str){"", 0};
        break;
    case WIRE_UUID:
        MEMBER(struct uuid, out, f->offset) = (struct uuid){0};
        break;
    case WIRE_F64:
        MEMBER(double, out, f->offset) = 0;
        break;
    case WIRE_STRUCT:
        MEMBER(void *, out, f->offset) = NULL;
        break;
    default:
        set_number(f, out, f->dflt);
    }
}

void wire_default(const struct wire_message *m, void *out)
{
    for (unsigned i = 0; i < m->fields_n; i++)
        default_field(&m->fields[i], out);
}

/* ---- bytes -> struct ------------------------------------------------------------------------ */

static struct uuid get_uuid(struct rd *r)
{
    struct uuid id = {0};
    const uint8_t *p = rd_bytes(r, sizeof id.b);
    if (p)
        memcpy(id.b, p, sizeof id.b);
    return id;
}

static double get_f64(struct rd *r)
{
    uint64_t bits = rd_u64(r);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static size_t element_size(const struct wire_field *f)
{
    switch (f->kind) {
    case WIRE_ARRAY:
        return f->elem->size;
    case WIRE_ARRAY_I32:
        return sizeof(int32_t);
    case WIRE_ARRAY_I64:
        return sizeof(int64_t);
    case WIRE_ARRAY_STR:
        return sizeof(struct str);
    case WIRE_ARRAY_UUID:
        return sizeof(struct uuid);
    default:
        weir_unreachable();
    }
}

static enum err decode_element(const struct wire_field *f, int version, bool flexible, struct rd *r,
                               struct arena *a, void *out)
{
    switch (f->kind) {
    case WIRE_ARRAY:
        return wire_decode(f->elem, version, flexible, r, a, out);
    case WIRE_ARRAY_I32:
        *(int32_t *)out = rd_i32(r);
        break;
    case WIRE_ARRAY_I64:
        *(int64_t *)out = rd_i64(r);
        break;
    case WIRE_ARRAY_STR:
        *(struct str *)out = wire_get_str(r, flexible);
        break;
    default:
        *(struct uuid *)out = get_uuid(r);
    }
    return r->bad ? ERR_FRAME : ERR_OK;
}

static enum err decode_array(const struct wire_field *f, int version, bool flexible, struct rd *r,
                             struct arena *a, void *out)
{
    int32_t n = wire_get_count(r, flexible);
    if (r->bad || (n < 0 && (f->nullable < 0 || version < f->nullable)))
        return ERR_FRAME;
    MEMBER(int32_t, out, f->count_offset) = n;
    if (n <= 0)
        return ERR_OK;
    size_t size = element_size(f);
    uint8_t *elems = arena_zalloc(a, (size_t)n, size);
    if (!elems)
        return ERR_MEMORY;
    MEMBER(void *, out, f->offset) = elems;
    for (int32_t i = 0; i < n; i++) {
        enum err err = decode_element(f, version, flexible, r, a, elems + (size_t)i * size);
        if (err)
            return err;
    }
    return ERR_OK;
}

static enum err decode_range(const struct wire_field *f, int version, bool flexible, struct rd *r,
                             void *out)
{
    struct str s = f->kind == WIRE_STR ? wire_get_str(r, flexible) : wire_get_bytes(r, flexible);
    /* Kafka's records are nullable in fact, whatever the definition says. */
    bool nullable = f->kind == WIRE_BYTES || (f->nullable >= 0 && version >= f->nullable);
    if (r->bad || (!s.at && !nullable))
        return ERR_FRAME;
    MEMBER(struct str, out, f->offset) = s;
    return ERR_OK;
}

static enum err decode_field(const struct wire_field *f, int version, bool flexible, struct rd *r,
                             struct arena *a, void *out)
{
    if (is_array(f->kind))
        return decode_array(f, version, flexible, r, a, out);
    switch (f->kind) {
    case WIRE_STR:
    case WIRE_BYTES:
        return decode_range(f, version, flexible, r, out);
    case WIRE_UUID:
        MEMBER(struct uuid, out, f->offset) = get_uuid(r);
        break;
    case WIRE_F64:
        MEMBER(double, out, f->offset) = get_f64(r);
        break;
    case WIRE_STRUCT: {
        void *sub = arena_zalloc(a, 1, f->elem->size);
        if (!sub)
            return ERR_MEMORY;
        MEMBER(void *, out, f->offset) = sub;
        return wire_decode(f->elem, version, flexible, r, a, sub);
    }
    case WIRE_BOOL:
    case WIRE_I8:
        set_number(f, out, rd_i8(r));
        break;
    case WIRE_I16:
        set_number(f, out, rd_i16(r));
        break;
    case WIRE_U16:
        set_number(f, out, rd_u16(r));
        break;
    case WIRE_I32:
        set_number(f, out, rd_i32(r));
        break;
    default:
        set_number(f, out, rd_i64(r));
    }
    return r->bad ? ERR_FRAME : ERR_OK;
}

static bool field_exists(const struct wire_field *f, int version)
{
    return version >= f->since && version <= f->until;
}

static const struct wire_field *field_of_tag(const struct wire_message *m, int version,
                                             uint32_t tag)
{
    for (unsigned i = 0; i < m->fields_n; i++) {
        const struct wire_field *f = &m->fields[i];
        if (f->tag >= 0 && (uint32_t)f->tag == tag && field_exists(f, version))
            return f;
    }
    return NULL;
}

static enum err decode_tags(const struct wire_message *m, int version, struct rd *r,
                            struct arena *a, void *out)
{
    uint32_t n = rd_uvarint(r);
    for (; n && !r->bad; n--) {
        uint32_t tag = rd_uvarint(r);
        uint32_t size = rd_uvarint(r);
        const uint8_t *p = rd_bytes(r, size);
        const struct wire_field *f = p ? field_of_tag(m, version, tag) : NULL;
        if (!f)
            continue;
        struct rd sub;
        rd_init(&sub, p, size);
        enum err err = decode_field(f, version, true, &sub, a, out);
        if (err)
            return err;
    }
    return r->bad ? ERR_FRAME : ERR_OK;
}

enum err wire_decode(const struct wire_message *m, int version, bool flexible, struct rd *r,
                     struct arena *a, void *out)
{
    wire_default(m, out);
    for (unsigned i = 0; i < m->fields_n; i++) {
        const struct wire_field *f = &m->fields[i];
        if (f->tag >= 0 || !field_exists(f, version))
            continue;
        enum err err = decode_field(f, version, flexible, r, a, out);
        if (err)
            return err;
    }
    return flexible ? decode_tags(m, version, r, a, out) : ERR_OK;
}

/* ---- struct -> bytes ------------------------------------------------------------------------ */

static void encode_element(const struct wire_field *f, int version, bool flexible, const void *in,
                           struct wr *w)
{
    switch (f->kind) {
    case WIRE_ARRAY:
        wire_encode(f->elem, version, flexible, in, w);
        break;
    case WIRE_ARRAY_I32:
        wr_i32(w, *(const int32_t *)in);
        break;
    case WIRE_ARRAY_I64:
        wr_i64(w, *(const int64_t *)in);
        break;
    case WIRE_ARRAY_STR:
        wire_put_str(w, flexible, *(const struct str *)in, false);
        break;
    default:
        wr_bytes(w, in, sizeof(struct uuid));
    }
}

static void encode_array(const struct wire_field *f, int version, bool flexible, const void *in,
                         struct wr *w)
{
    int32_t n = MEMBER_CONST(int32_t, in, f->count_offset);
    bool nullable = f->nullable >= 0 && version >= f->nullable;
    wire_put_count(w, flexible, n < 0 && !nullable ? 0 : n);
    const uint8_t *elems = MEMBER_CONST(uint8_t *, in, f->offset);
    size_t size = element_size(f);
    for (int32_t i = 0; i < n; i++)
        encode_element(f, version, flexible, elems + (size_t)i * size, w);
}

static void encode_f64(const struct wire_field *f, const void *in, struct wr *w)
{
    uint64_t bits;
    memcpy(&bits, (const uint8_t *)in + f->offset, sizeof bits);
    wr_u64(w, bits);
}

static void encode_field(const struct wire_field *f, int version, bool flexible, const void *in,
                         struct wr *w)
{
    if (is_array(f->kind)) {
        encode_array(f, version, flexible, in, w);
        return;
    }
    bool nullable = f->nullable >= 0 && version >= f->nullable;
    switch (f->kind) {
    case WIRE_STR:
        wire_put_str(w, flexible, MEMBER_CONST(struct str, in, f->offset), nullable);
        break;
    case WIRE_BYTES:
        wire_put_bytes(w, flexible, MEMBER_CONST(struct str, in, f->offset), nullable);
        break;
    case WIRE_UUID:
        wr_bytes(w, (const uint8_t *)in + f->offset, sizeof(struct uuid));
        break;
    case WIRE_F64:
        encode_f64(f, in, w);
        break;
    case WIRE_STRUCT:
        wire_encode(f->elem, version, flexible, MEMBER_CONST(void *, in, f->offset), w);
        break;
    case WIRE_BOOL:
    case WIRE_I8:
        wr_i8(w, (int8_t)get_number(f, in));
        break;
    case WIRE_I16:
    case WIRE_U16:
        wr_i16(w, (int16_t)get_number(f, in));
        break;
    case WIRE_I32:
        wr_i32(w, (int32_t)get_number(f, in));
        break;
    default:
        wr_i64(w, get_number(f, in));
    }
}

/* A tagged field is sent only when it says something. */
static bool says_something(const struct wire_field *f, const void *in)
{
    if (is_array(f->kind))
        return MEMBER_CONST(int32_t, in, f->count_offset) > 0;
    switch (f->kind) {
    case WIRE_STR:
    case WIRE_BYTES: {
        struct str s = MEMBER_CONST(struct str, in, f->offset);
        return f->dflt < 0 ? s.at != NULL : s.len > 0;
    }
    case WIRE_UUID:
        return !uuid_is_zero(MEMBER_CONST(struct uuid, in, f->offset));
    case WIRE_STRUCT:
        return MEMBER_CONST(void *, in, f->offset) != NULL;
    case WIRE_F64:
        return true;
    default:
        return get_number(f, in) != f->dflt;
    }
}

static bool tag_is_sent(const struct wire_field *f, int version, const void *in)
{
    return f->tag >= 0 && field_exists(f, version) && says_something(f, in);
}

static void encode_tags(const struct wire_message *m, int version, const void *in, struct wr *w)
{
    uint32_t n = 0;
    for (unsigned i = 0; i < m->fields_n; i++)
        n += tag_is_sent(&m->fields[i], version, in);
    wr_uvarint(w, n);
    for (unsigned i = 0; n && i < m->fields_n; i++) {
        const struct wire_field *f = &m->fields[i];
        if (!tag_is_sent(f, version, in))
            continue;
        struct wr sub;
        wr_init(&sub, 64);
        encode_field(f, version, true, in, &sub);
        wr_uvarint(w, (uint32_t)f->tag);
        wr_uvarint(w, (uint32_t)sub.len);
        wr_bytes(w, sub.buf->data, sub.len);
        wr_free(&sub);
    }
}

void wire_encode(const struct wire_message *m, int version, bool flexible, const void *in,
                 struct wr *w)
{
    for (unsigned i = 0; i < m->fields_n; i++) {
        const struct wire_field *f = &m->fields[i];
        if (f->tag < 0 && field_exists(f, version))
            encode_field(f, version, flexible, in, w);
    }
    if (flexible)
        encode_tags(m, version, in, w);
}
