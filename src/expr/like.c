#include "expr/like.h"

#include "base/assert.h"
#include "expr/text.h"

#include <string.h>

#define PIECES_MAX (EXPR_TEXT_MAX + 1)

/* What stands between two %. */
struct piece {
    struct str bytes;
    const uint8_t *any; /* any[i]: bytes[i] stands for any character; NULL: there is none */
    size_t chars;       /* in characters, where any != NULL */
};

struct like {
    size_t n; /* pieces, at least 1; the first and the last are anchored */
    struct piece pieces[];
};

/* ---- making --------------------------------------------------------------------------------- */

static size_t count_pieces(struct str p)
{
    size_t n = 1;
    for (size_t i = 0; i < p.len; i++) {
        if (p.at[i] == '\\' && i + 1 < p.len && (p.at[i + 1] == '%' || p.at[i + 1] == '_'))
            i++;
        else if (p.at[i] == '%')
            n++;
    }
    return n;
}

/* Fills the piece that begins at p.at[*i]; *i moves behind the % that ends it. */
static void cut_piece(struct str p, size_t *i, struct piece *piece, char *bytes, uint8_t *any)
{
    size_t n = 0;
    bool has_any = false;
    for (; *i < p.len && p.at[*i] != '%'; (*i)++) {
        bool escape =
            p.at[*i] == '\\' && *i + 1 < p.len && (p.at[*i + 1] == '%' || p.at[*i + 1] == '_');
        if (escape)
            (*i)++;
        any[n] = !escape && p.at[*i] == '_';
        has_any = has_any || any[n] != 0;
        bytes[n++] = p.at[*i];
    }
    (*i)++;
    piece->bytes = (struct str){bytes, n};
    piece->any = has_any ? any : NULL;
    piece->chars = has_any ? text_length(piece->bytes) : 0;
}

struct like *like_make(struct arena *arena, struct str pattern)
{
    size_t n = count_pieces(pattern);
    weir_assert(n <= PIECES_MAX);
    struct like *like = arena_alloc(arena, sizeof(*like) + n * sizeof(like->pieces[0]));
    char *bytes = arena_alloc(arena, pattern.len);
    uint8_t *any = arena_alloc(arena, pattern.len);
    if (like == NULL || bytes == NULL || any == NULL)
        return NULL;
    like->n = n;
    for (size_t i = 0, k = 0; k < n; k++) {
        size_t at = i;
        cut_piece(pattern, &i, &like->pieces[k], bytes + at, any + at);
    }
    return like;
}

/* ---- matching ------------------------------------------------------------------------------- */

struct match {
    struct str left; /* of the text */
    size_t steps;
};

static void skip(struct match *m, size_t n)
{
    m->left = (struct str){m->left.at + n, m->left.len - n};
}

/* The piece at the beginning of s; *used: the bytes of s that it takes. */
static bool piece_at(const struct piece *p, struct str s, struct match *m, size_t *used)
{
    size_t i = 0;
    if (p->any == NULL) {
        *used = p->bytes.len;
        return s.len >= p->bytes.len &&
               (p->bytes.len == 0 || memcmp(s.at, p->bytes.at, p->bytes.len) == 0);
    }
    for (size_t k = 0; k < p->bytes.len; k++, m->steps++) {
        if (i == s.len)
            return false;
        if (p->any[k] != 0)
            text_next(s, &i);
        else if (s.at[i++] != p->bytes.at[k])
            return false;
    }
    *used = i;
    return true;
}

static bool take_first(const struct piece *p, struct match *m)
{
    size_t used;
    if (!piece_at(p, m->left, m, &used))
        return false;
    skip(m, used);
    return true;
}

/* The last piece must end the text: as many bytes, or with _ as many characters, from its end. */
static bool take_last(const struct piece *p, struct match *m)
{
    size_t at, used;
    if (p->any == NULL) {
        if (p->bytes.len > m->left.len)
            return false;
        at = m->left.len - p->bytes.len;
    } else {
        size_t chars = text_length(m->left);
        m->steps += m->left.len;
        if (p->chars > chars)
            return false;
        at = text_bytes(m->left, chars - p->chars);
    }
    struct str end = {m->left.at + at, m->left.len - at};
    if (!piece_at(p, end, m, &used) || used != end.len)
        return false;
    m->left.len = at;
    return true;
}

/* The first place of a piece between two %. */
static bool take_middle(const struct piece *p, struct match *m)
{
    size_t used;
    if (p->bytes.len == 0)
        return true;
    if (p->any == NULL) {
        if (m->left.len == 0)
            return false;
        const char *at = memmem(m->left.at, m->left.len, p->bytes.at, p->bytes.len);
        if (at != NULL)
            skip(m, (size_t)(at - m->left.at) + p->bytes.len);
        return at != NULL;
    }
    while (m->left.len > 0 && m->steps < LIKE_STEPS_MAX) {
        if (piece_at(p, m->left, m, &used)) {
            skip(m, used);
            return true;
        }
        used = 0;
        text_next(m->left, &used);
        skip(m, used);
        m->steps++;
    }
    return false;
}

static bool run(const struct like *like, struct match *m)
{
    if (!take_first(&like->pieces[0], m))
        return false;
    if (like->n == 1)
        return m->left.len == 0;
    if (!take_last(&like->pieces[like->n - 1], m))
        return false;
    for (size_t k = 1; k + 1 < like->n; k++) {
        if (!take_middle(&like->pieces[k], m))
            return false;
    }
    return true;
}

enum expr_error like_match(const struct like *like, struct str text, bool *match)
{
    struct match m = {.left = text};
    *match = run(like, &m);
    return m.steps < LIKE_STEPS_MAX ? EXPR_OK : EXPR_ERROR_GENERIC;
}
