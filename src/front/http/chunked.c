#include "front/http/chunked.h"

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_printable(uint8_t c)
{
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

static enum err take_size(struct chunked *c, uint8_t b)
{
    int digit = hex_digit(b);
    if (digit >= 0 && c->digits < CHUNKED_DIGITS_MAX) {
        c->left = c->left << 4 | (uint64_t)digit;
        c->digits++;
        return ERR_OK;
    }
    if (c->digits == 0 || (b != '\r' && b != ';'))
        return ERR_FRAME;
    c->at = b == '\r' ? CHUNKED_SIZE_LF : CHUNKED_EXTENSION;
    return ERR_OK;
}

/* The rest of a line that is ignored. */
static enum err take_rest(struct chunked *c, uint8_t b, enum chunked_at next)
{
    if (b == '\r') {
        c->at = next;
        return ERR_OK;
    }
    return is_printable(b) && ++c->line <= CHUNKED_LINE_MAX ? ERR_OK : ERR_FRAME;
}

static enum err take_lf(struct chunked *c, uint8_t b, enum chunked_at next)
{
    c->at = next;
    c->line = c->digits = 0;
    return b == '\n' ? ERR_OK : ERR_FRAME;
}

static enum err take_trailer(struct chunked *c, uint8_t b)
{
    if (b == '\r') {
        c->at = CHUNKED_END_LF;
        return ERR_OK;
    }
    c->at = CHUNKED_TRAILER_REST;
    if (b == ' ' || b == '\t' || b == ':' || !is_printable(b))
        return ERR_FRAME;
    return ++c->trailers <= CHUNKED_OVERHEAD_MAX / CHUNKED_LINE_MAX ? ERR_OK : ERR_FRAME;
}

/* One byte that is not data. */
static enum err take_byte(struct chunked *c, uint8_t b)
{
    switch (c->at) {
    case CHUNKED_SIZE:
        return take_size(c, b);
    case CHUNKED_EXTENSION:
        return take_rest(c, b, CHUNKED_SIZE_LF);
    case CHUNKED_SIZE_LF:
        return take_lf(c, b, c->left ? CHUNKED_DATA : CHUNKED_TRAILER);
    case CHUNKED_DATA_CR:
        c->at = CHUNKED_DATA_LF;
        return b == '\r' ? ERR_OK : ERR_FRAME;
    case CHUNKED_DATA_LF:
        return take_lf(c, b, CHUNKED_SIZE);
    case CHUNKED_TRAILER:
        return take_trailer(c, b);
    case CHUNKED_TRAILER_REST:
        return take_rest(c, b, CHUNKED_TRAILER_LF);
    case CHUNKED_TRAILER_LF:
        return take_lf(c, b, CHUNKED_TRAILER);
    case CHUNKED_END_LF:
        return take_lf(c, b, CHUNKED_DONE);
    case CHUNKED_DATA:
    case CHUNKED_DONE:
        break;
    }
    return ERR_FRAME;
}

static size_t take_data(struct chunked *c, const uint8_t *p, size_t n, struct wr *out)
{
    n = n < c->left ? n : (size_t)c->left;
    wr_bytes(out, p, n);
    c->left -= n;
    if (c->left == 0)
        c->at = CHUNKED_DATA_CR;
    return n;
}

enum err chunked_take(struct chunked *c, const uint8_t *p, size_t n, size_t max, struct wr *out,
                      size_t *used)
{
    *used = 0;
    while (*used < n && c->at != CHUNKED_DONE) {
        if (c->at == CHUNKED_DATA) {
            if (c->left > max - out->len)
                return ERR_MESSAGE_TOO_LARGE;
            *used += take_data(c, p + *used, n - *used, out);
            continue;
        }
        enum err err = take_byte(c, p[(*used)++]);
        if (err)
            return err;
    }
    return ERR_OK;
}
