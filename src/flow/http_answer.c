/* http_parser's callbacks append to two buffers: all names and values of a head, and the body. What
 * they point at is known when the answer is whole, as buffers move while they grow. */
#include "flow/http_answer.h"

#include "base/assert.h"
#include "base/list.h"
#include "flow/ascii.h"

#include <string.h>

#define LINE_BYTES 32                 /* of a head's first line, as it counts */
#define KEEP_BYTES ((size_t)16 << 10) /* of a buffer, for the next answer */

static struct http_answer *answer_of(http_parser *parser)
{
    return container_of(parser, struct http_answer, parser);
}

static int refuse(struct http_answer *a, const char *why)
{
    a->state = ANSWER_BAD;
    a->error = why;
    return -1;
}

/* ---- the head ------------------------------------------------------------------------------- */

/* Of all heads, and trailers: one 1xx behind the other has its end, too. */
static int head_grows(struct http_answer *a, size_t n)
{
    a->head_bytes += n;
    return a->head_bytes > HTTP_ANSWER_HEAD_BYTES_MAX
               ? refuse(a, "the answer's head is larger than 64 KiB")
               : 0;
}

/* Of n bytes more, of head or body. False: there is no room. */
static bool hold(struct http_answer *a, size_t n)
{
    if (budget_share_grow(&a->share, a->head.len + a->body.len + n))
        return true;
    a->state = ANSWER_NO_ROOM;
    return false;
}

static void restart(struct http_answer *a)
{
    a->head.len = a->body.len = 0;
    a->fields_n = 0;
    a->in_value = true; /* a name follows */
    a->headers_over = false;
    a->keep_alive_s = 0;
}

static int on_message_begin(http_parser *parser)
{
    struct http_answer *a = answer_of(parser);
    restart(a);
    return head_grows(a, LINE_BYTES);
}

static struct http_answer_field *last_field(struct http_answer *a)
{
    weir_assert(a->fields_n > 0);
    return a->fields_n <= HTTP_CALL_HEADERS_MAX ? &a->fields[a->fields_n - 1] : NULL;
}

static void lower_case(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)ascii_lower((char)p[i]);
}

/* Names and values may come in pieces. */
static int on_field(http_parser *parser, const char *at, size_t n)
{
    struct http_answer *a = answer_of(parser);
    if (head_grows(a, n) != 0)
        return -1;
    if (a->headers_over)
        return 0; /* a trailer */
    if (a->in_value) {
        a->in_value = false;
        if (a->fields_n++ < HTTP_CALL_HEADERS_MAX)
            *last_field(a) = (struct http_answer_field){.name_at = (uint32_t)a->head.len};
    }
    struct http_answer_field *f = last_field(a);
    if (!f)
        return 0;
    if (!hold(a, n))
        return -1;
    wr_bytes(&a->head, at, n);
    lower_case(a->head.buf->data + a->head.len - n, n);
    f->name_n += (uint32_t)n;
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t n)
{
    struct http_answer *a = answer_of(parser);
    if (head_grows(a, n) != 0)
        return -1;
    if (a->headers_over)
        return 0;
    struct http_answer_field *f = last_field(a);
    if (f && !a->in_value)
        f->value_at = (uint32_t)a->head.len;
    a->in_value = true;
    if (!f)
        return 0;
    if (!hold(a, n))
        return -1;
    wr_bytes(&a->head, at, n);
    f->value_n += (uint32_t)n;
    return 0;
}

static struct str text_at(const struct http_answer *a, uint32_t at, uint32_t n)
{
    while (n > 0 && (a->head.buf->data[at + n - 1] == ' ' || a->head.buf->data[at + n - 1] == '\t'))
        n--;
    return n > 0 ? (struct str){(const char *)a->head.buf->data + at, n} : STR_LIT("");
}

/* "timeout=5, max=100" */
static uint32_t keep_alive_seconds(struct str value)
{
    const char *p = value.at ? memmem(value.at, value.len, "timeout=", 8) : NULL;
    uint32_t s = 0;
    for (p = p ? p + 8 : NULL; p && p < value.at + value.len && *p >= '0' && *p <= '9'; p++)
        s = s < 100000 ? s * 10 + (uint32_t)(*p - '0') : s;
    return s;
}

static void put_headers(struct http_answer *a)
{
    size_t n = a->fields_n < HTTP_CALL_HEADERS_MAX ? a->fields_n : HTTP_CALL_HEADERS_MAX;
    for (size_t i = 0; i < n; i++) {
        const struct http_answer_field *f = &a->fields[i];
        a->headers[i] = (struct http_header){text_at(a, f->name_at, f->name_n),
                                             text_at(a, f->value_at, f->value_n)};
        if (str_is(a->headers[i].name, "keep-alive"))
            a->keep_alive_s = keep_alive_seconds(a->headers[i].value);
    }
}

static int on_headers_complete(http_parser *parser)
{
    struct http_answer *a = answer_of(parser);
    a->headers_over = true;
    if (parser->http_major != 1)
        return refuse(a, "the answer is not HTTP/1.x");
    if (parser->status_code < 100)
        return refuse(a, "the answer has no status of three digits");
    if (parser->status_code == 101)
        return refuse(a, "the answer switches to another protocol");
    put_headers(a);
    return a->no_body ? 1 : 0;
}

/* ---- the body ------------------------------------------------------------------------------- */

static int on_body(http_parser *parser, const char *at, size_t n)
{
    struct http_answer *a = answer_of(parser);
    size_t room = a->body_max - a->body.len, take = n < room ? n : room;
    if (!hold(a, take))
        return 1;
    wr_bytes(&a->body, at, take);
    if (n <= room)
        return 0;
    a->state = ANSWER_CUT;
    return 1;
}

static int on_message_complete(http_parser *parser)
{
    struct http_answer *a = answer_of(parser);
    if (parser->status_code < 200)
        return 0; /* the answer is yet to come */
    a->state = ANSWER_DONE;
    a->keep_alive = http_should_keep_alive(parser) != 0;
    http_parser_pause(parser, 1); /* what comes behind is not of this answer */
    return 0;
}

static const http_parser_settings settings = {.on_message_begin = on_message_begin,
                                              .on_header_field = on_field,
                                              .on_header_value = on_value,
                                              .on_headers_complete = on_headers_complete,
                                              .on_body = on_body,
                                              .on_message_complete = on_message_complete};

/* ---- the whole ------------------------------------------------------------------------------ */

void http_answer_rest(struct http_answer *a)
{
    wr_reuse(&a->head, KEEP_BYTES);
    wr_reuse(&a->body, KEEP_BYTES);
    budget_share_drop(&a->share);
}

void http_answer_begin(struct http_answer *a, bool no_body, size_t body_max)
{
    http_answer_rest(a);
    restart(a);
    http_parser_init(&a->parser, HTTP_RESPONSE);
    a->state = ANSWER_MORE;
    a->no_body = no_body;
    a->body_max = body_max;
    a->keep_alive = false;
    a->head_bytes = 0;
    a->error = "";
}

enum answer_state http_answer_take(struct http_answer *a, const void *p, size_t n, size_t *used)
{
    *used = 0;
    if (a->state != ANSWER_MORE || n == 0)
        return a->state;
    *used = http_parser_execute(&a->parser, &settings, p, n);
    if (a->state != ANSWER_MORE)
        return a->state;
    if (HTTP_PARSER_ERRNO(&a->parser) != HPE_OK || *used != n)
        (void)refuse(a, http_errno_description(HTTP_PARSER_ERRNO(&a->parser)));
    return a->state;
}

enum answer_state http_answer_end(struct http_answer *a)
{
    if (a->state != ANSWER_MORE)
        return a->state;
    http_parser_execute(&a->parser, &settings, "", 0);
    if (a->state == ANSWER_MORE)
        a->state = ANSWER_SHORT;
    return a->state;
}

void http_answer_tell(struct http_answer *a, struct http_call *call)
{
    weir_assert(a->state == ANSWER_DONE || a->state == ANSWER_CUT);
    call->status = (int)a->parser.status_code;
    call->answer_headers = a->headers;
    call->answer_headers_n =
        a->fields_n < HTTP_CALL_HEADERS_MAX ? a->fields_n : HTTP_CALL_HEADERS_MAX;
    call->answer =
        a->body.len > 0 ? (struct str){(const char *)a->body.buf->data, a->body.len} : STR_LIT("");
    call->answer_cut = a->state == ANSWER_CUT;
}

void http_answer_free(struct http_answer *a)
{
    wr_free(&a->head);
    wr_free(&a->body);
    budget_share_drop(&a->share);
}
