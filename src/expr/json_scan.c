/* The scanner is a loop over three states, what is to be read next: a value, the comma or bracket
 * behind one, or the key of a member. A frame is an open container. A value that a path leads to or
 * through has a node of the path tree, all others JSON_NONE; the children of a frame's node are
 * what is looked for among its members.
 */
#include "expr/json_scan.h"

#include "base/assert.h"
#include "expr/text.h"

#include <endian.h>
#include <string.h>

#define KEY_BYTES_MAX 2048 /* a key that is longer with its escapes is that of no path */

struct frame {
    const char *start; /* of the container */
    uint32_t index;    /* of the element at hand, in an array */
    uint16_t node;
    bool array;
};

struct scan {
    const char *at, *end;
    const struct json_paths *paths;
    struct json_slot *slots;
    uint16_t node; /* of the value to come */
    size_t depth;
    struct frame frames[JSON_SCAN_DEPTH_MAX];
};

enum next { NEXT_BAD, NEXT_VALUE, NEXT_BEHIND, NEXT_KEY, NEXT_DONE };

static void skip_blanks(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
        s->at++;
}

/* ---- strings -------------------------------------------------------------------------------- */

#define EVERY(byte) (0x0101010101010101u * (byte))

/* How many of the eight bytes at p stand before the first quote, backslash, control character or
 * byte that is not ASCII. A borrow between bytes may mark one too many, but above a right one. */
static size_t plain_bytes(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    v = le64toh(v);
    uint64_t quote = v ^ EVERY('"'), slash = v ^ EVERY('\\');
    uint64_t found = (v - EVERY(0x20)) | (quote - EVERY(1)) | (slash - EVERY(1)) | v;
    found &= EVERY(0x80);
    return found == 0 ? 8 : (size_t)__builtin_ctzll(found) / 8;
}

/* The first byte from p on that is not plain; end if there is none. */
static const char *skip_plain(const char *p, const char *end)
{
    while (end - p >= 8) {
        size_t n = plain_bytes(p);
        p += n;
        if (n < 8)
            return p;
    }
    while (p < end && (uint8_t)*p >= 0x20 && (uint8_t)*p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

static bool is_hex4(const char *p)
{
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
            return false;
    }
    return true;
}

/* The bytes of the escape whose backslash is at p; 0: it is none. */
static size_t escape_bytes(const char *p, const char *end)
{
    if (end - p < 2)
        return 0;
    if (p[1] == 'u')
        return end - p >= 6 && is_hex4(p + 2) ? 6 : 0;
    return p[1] != '\0' && strchr("\"\\/bfnrt", p[1]) != NULL ? 2 : 0;
}

/* From behind the opening quote to behind the closing one. */
static bool read_string(struct scan *s, struct json_slot *out)
{
    const char *from = s->at, *p = from;
    bool ascii = true;
    out->kind = SLOT_STRING;
    for (;;) {
        p = skip_plain(p, s->end);
        if (p == s->end || (uint8_t)*p < 0x20)
            return false;
        if (*p == '"')
            break;
        size_t n = 1;
        if (*p == '\\') {
            n = escape_bytes(p, s->end);
            out->kind = SLOT_ESCAPED;
        }
        if (n == 0)
            return false;
        ascii = ascii && (uint8_t)*p < 0x80;
        p += n;
    }
    out->raw = (struct str){from, (size_t)(p - from)};
    s->at = p + 1;
    return ascii || utf8_valid(from, out->raw.len);
}

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 4 | (uint32_t)(p[i] <= '9' ? p[i] - '0' : (p[i] & 0xdf) - 'A' + 10);
    return v;
}

/* The character of the \u at raw.at[*i], with its other half; a half alone is U+FFFD. */
static uint32_t unescape_unicode(struct str raw, size_t *i)
{
    uint32_t c = hex4(raw.at + *i + 2);
    *i += 6;
    if (c < 0xd800 || c > 0xdfff)
        return c;
    const char *p = raw.at + *i;
    if (c <= 0xdbff && raw.len - *i >= 6 && p[0] == '\\' && p[1] == 'u') {
        uint32_t low = hex4(p + 2);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *i += 6;
            return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return 0xfffd;
}

/* The string without its escapes, which is never longer; out has room for raw.len bytes. */
static size_t unescape(struct str raw, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < raw.len;) {
        if (raw.at[i] != '\\') {
            out[n++] = raw.at[i++];
        } else if (raw.at[i + 1] == 'u') {
            n += text_put(out + n, unescape_unicode(raw, &i));
        } else {
            static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
            out[n++] = to[strchr(from, raw.at[i + 1]) - from];
            i += 2;
        }
    }
    return n;
}

/* ---- other scalars -------------------------------------------------------------------------- */

static bool digits(struct scan *s)
{
    const char *from = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > from;
}

static bool at_char(struct scan *s, char c)
{
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

static bool read_number(struct scan *s, struct json_slot *out)
{
    const char *from = s->at;
    at_char(s, '-');
    bool zero = s->at < s->end && *s->at == '0';
    const char *whole = s->at;
    if (!digits(s) || (zero && s->at - whole > 1))
        return false;
    if (at_char(s, '.') && !digits(s))
        return false;
    if (at_char(s, 'e') || at_char(s, 'E')) {
        if (!at_char(s, '-'))
            at_char(s, '+');
        if (!digits(s))
            return false;
    }
    *out = (struct json_slot){SLOT_NUMBER, {from, (size_t)(s->at - from)}};
    return out->raw.len <= JSON_NUMBER_CHARS_MAX;
}

static bool read_word(struct scan *s, const char *word, size_t len, enum json_kind kind,
                      struct json_slot *out)
{
    if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0)
        return false;
    *out = (struct json_slot){kind, {s->at, len}};
    s->at += len;
    return true;
}

static bool read_scalar(struct scan *s, struct json_slot *out)
{
    switch (*s->at) {
    case '"':
        s->at++;
        return read_string(s, out);
    case 't':
        return read_word(s, "true", 4, SLOT_TRUE, out);
    case 'f':
        return read_word(s, "false", 5, SLOT_FALSE, out);
    case 'n':
        return read_word(s, "null", 4, SLOT_NULL, out);
    default:
        return read_number(s, out);
    }
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static void put(struct scan *s, uint16_t node, const struct json_slot *slot)
{
    if (node != JSON_NONE && s->paths->nodes[node].slot != JSON_NONE)
        s->slots[s->paths->nodes[node].slot] = *slot;
}

/* A member comes again: what was found below the first one is not there any more. */
static void forget(struct scan *s, uint16_t top)
{
    static const struct json_slot missing = {SLOT_MISSING, {NULL, 0}};
    const struct json_node *nodes = s->paths->nodes;
    uint16_t node = top;
    for (;;) {
        put(s, node, &missing);
        if (nodes[node].child != JSON_NONE) {
            node = nodes[node].child;
            continue;
        }
        while (node != top && nodes[node].sibling == JSON_NONE)
            node = nodes[node].parent;
        if (node == top)
            return;
        node = nodes[node].sibling;
    }
}

static uint16_t member_node(const struct scan *s, uint16_t parent, struct str key)
{
    const struct json_node *nodes = s->paths->nodes;
    uint16_t node = nodes[parent].child;
    for (; node != JSON_NONE; node = nodes[node].sibling) {
        const struct str *want = &nodes[node].step.key;
        if (want->at != NULL && want->len == key.len && memcmp(want->at, key.at, key.len) == 0)
            break;
    }
    return node;
}

static uint16_t element_node(const struct scan *s, const struct frame *f)
{
    const struct json_node *nodes = s->paths->nodes;
    if (f->node == JSON_NONE)
        return JSON_NONE;
    uint16_t node = nodes[f->node].child;
    while (node != JSON_NONE &&
           (nodes[node].step.key.at != NULL || nodes[node].step.index != f->index))
        node = nodes[node].sibling;
    return node;
}

static uint16_t escaped_member_node(const struct scan *s, uint16_t parent, struct str raw)
{
    char key[KEY_BYTES_MAX];
    if (raw.len > sizeof(key))
        return JSON_NONE;
    return member_node(s, parent, (struct str){key, unescape(raw, key)});
}

/* ---- the three states ----------------------------------------------------------------------- */

static enum next open_container(struct scan *s)
{
    if (s->depth == JSON_SCAN_DEPTH_MAX)
        return NEXT_BAD;
    struct frame *f = &s->frames[s->depth++];
    *f = (struct frame){s->at, 0, s->node, *s->at == '['};
    s->at++;
    skip_blanks(s);
    if (s->at < s->end && *s->at == (f->array ? ']' : '}'))
        return NEXT_BEHIND; /* which closes it */
    if (!f->array)
        return NEXT_KEY;
    s->node = element_node(s, f);
    return NEXT_VALUE;
}

static enum next read_value(struct scan *s)
{
    struct json_slot slot;
    skip_blanks(s);
    if (s->at == s->end)
        return NEXT_BAD;
    if (*s->at == '{' || *s->at == '[')
        return open_container(s);
    if (!read_scalar(s, &slot))
        return NEXT_BAD;
    put(s, s->node, &slot);
    return NEXT_BEHIND;
}

static enum next close_container(struct scan *s)
{
    const struct frame *f = &s->frames[s->depth - 1];
    if (*s->at != (f->array ? ']' : '}'))
        return NEXT_BAD;
    s->at++;
    struct json_slot slot = {f->array ? SLOT_ARRAY : SLOT_OBJECT,
                             {f->start, (size_t)(s->at - f->start)}};
    put(s, f->node, &slot);
    s->depth--;
    return NEXT_BEHIND;
}

static enum next read_behind(struct scan *s)
{
    skip_blanks(s);
    if (s->depth == 0)
        return s->at == s->end ? NEXT_DONE : NEXT_BAD;
    if (s->at == s->end)
        return NEXT_BAD;
    if (*s->at != ',')
        return close_container(s);
    s->at++;
    struct frame *f = &s->frames[s->depth - 1];
    if (!f->array)
        return NEXT_KEY;
    f->index++;
    s->node = element_node(s, f);
    return NEXT_VALUE;
}

static enum next read_key(struct scan *s)
{
    const struct frame *f = &s->frames[s->depth - 1];
    struct json_slot key;
    skip_blanks(s);
    if (!at_char(s, '"') || !read_string(s, &key))
        return NEXT_BAD;
    s->node = JSON_NONE;
    if (f->node != JSON_NONE && s->paths->nodes[f->node].child != JSON_NONE) {
        s->node = key.kind == SLOT_STRING ? member_node(s, f->node, key.raw)
                                          : escaped_member_node(s, f->node, key.raw);
        if (s->node != JSON_NONE)
            forget(s, s->node);
    }
    skip_blanks(s);
    return at_char(s, ':') ? NEXT_VALUE : NEXT_BAD;
}

static void clear(const struct json_paths *paths, struct json_slot *slots)
{
    for (size_t i = 0; i < paths->slots; i++)
        slots[i] = (struct json_slot){SLOT_MISSING, {NULL, 0}};
}

bool json_scan(struct str document, const struct json_paths *paths, struct json_slot *slots)
{
    struct scan s; /* the frames are not cleared: each is written before it is read */
    clear(paths, slots);
    if (document.at == NULL)
        return false;
    s.at = document.at;
    s.end = document.at + document.len;
    s.paths = paths;
    s.slots = slots;
    s.node = paths->n > 0 ? 0 : JSON_NONE;
    s.depth = 0;
    enum next next = NEXT_VALUE;
    while (next != NEXT_BAD && next != NEXT_DONE) {
        if (next == NEXT_VALUE)
            next = read_value(&s);
        else if (next == NEXT_KEY)
            next = read_key(&s);
        else
            next = read_behind(&s);
    }
    if (next == NEXT_BAD)
        clear(paths, slots);
    return next == NEXT_DONE;
}

/* ---- what was found ------------------------------------------------------------------------- */

static enum expr_error unescaped_value(struct str raw, struct scratch *scratch,
                                       struct expr_value *out)
{
    char *at = scratch_take(scratch, raw.len);
    if (at == NULL)
        return EXPR_ERROR_GENERIC;
    size_t n = unescape(raw, at);
    scratch->used -= raw.len - n;
    *out = value_string((struct str){at, n});
    return EXPR_OK;
}

enum expr_error json_value(const struct json_slot *slot, struct scratch *scratch,
                           struct expr_value *out)
{
    switch (slot->kind) {
    case SLOT_MISSING:
        *out = (struct expr_value){.type = EXPR_MISSING};
        break;
    case SLOT_NULL:
        *out = (struct expr_value){.type = EXPR_NULL};
        break;
    case SLOT_TRUE:
    case SLOT_FALSE:
        *out = value_boolean(slot->kind == SLOT_TRUE);
        break;
    case SLOT_NUMBER:
        if (!value_read_number(slot->raw, out))
            weir_unreachable(); /* the scanner has checked it */
        break;
    case SLOT_STRING:
        *out = value_string(slot->raw);
        break;
    case SLOT_ESCAPED:
        return unescaped_value(slot->raw, scratch, out);
    case SLOT_ARRAY:
    case SLOT_OBJECT:
        *out = (struct expr_value){.type = EXPR_OTHER, .text = slot->raw};
        break;
    }
    return EXPR_OK;
}

bool json_next_element(struct str array, size_t *at, struct json_slot *out)
{
    static const struct json_paths none = {0};
    struct scan s;
    s.at = array.at + (*at == 0 ? 1 : *at);
    s.end = array.at + array.len;
    s.paths = &none;
    s.slots = NULL;
    skip_blanks(&s);
    if (*at != 0 && s.at < s.end && *s.at == ',') {
        s.at++;
        skip_blanks(&s);
    }
    if (s.at == s.end || *s.at == ']')
        return false;
    if (*s.at != '{' && *s.at != '[') {
        if (!read_scalar(&s, out))
            return false;
        *at = (size_t)(s.at - array.at);
        return true;
    }
    /* An element that is a container: over it, until its own bracket has closed it. */
    const char *from = s.at;
    bool is_array = *s.at == '[';
    s.node = JSON_NONE;
    s.depth = 0;
    enum next next = open_container(&s);
    while (next != NEXT_BAD && s.depth > 0)
        next = next == NEXT_VALUE ? read_value(&s)
               : next == NEXT_KEY ? read_key(&s)
                                  : read_behind(&s);
    *out = (struct json_slot){is_array ? SLOT_ARRAY : SLOT_OBJECT, {from, (size_t)(s.at - from)}};
    *at = (size_t)(s.at - array.at);
    return next != NEXT_BAD;
}
