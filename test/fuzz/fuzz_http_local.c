/* Answers of local servers: whatever comes, in whatever pieces, is the same answer.
 *
 * Input: a byte of flags (1: of HEAD), two of the body's limit, then the answer's bytes.
 */
#include "fuzz.h"

#include "base/mem.h"
#include "flow/http_answer.h"

static void take(struct http_answer *a, struct rd in, size_t piece, size_t *used)
{
    *used = 0;
    while (a->state == ANSWER_MORE && rd_left(&in) > 0) {
        size_t n = piece, took;
        const uint8_t *p = fuzz_bytes(&in, &n);
        http_answer_take(a, p, n, &took);
        weir_assert(took <= n);
        *used += took;
    }
    http_answer_end(a);
}

static void check_same(struct http_answer *a, struct http_answer *b)
{
    struct http_call x = {.status = 0}, y = {.status = 0};
    http_answer_tell(a, &x);
    http_answer_tell(b, &y);
    weir_assert(x.status == y.status && x.answer_headers_n == y.answer_headers_n);
    weir_assert(x.answer_cut == y.answer_cut && a->keep_alive_s == b->keep_alive_s);
    weir_assert(x.status >= 200 && x.answer_headers_n <= HTTP_CALL_HEADERS_MAX);
    fuzz_check_equal(x.answer.at, x.answer.len, y.answer.at, y.answer.len);
    for (size_t i = 0; i < x.answer_headers_n; i++) {
        weir_assert(str_eq(x.answer_headers[i].name, y.answer_headers[i].name));
        weir_assert(str_eq(x.answer_headers[i].value, y.answer_headers[i].value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd in;
    rd_init(&in, data, size);
    bool no_body = (rd_u8(&in) & 1) != 0;
    size_t most = rd_u16(&in), used_whole, used_bytes;
    struct http_answer *a = mem_zalloc(2, sizeof *a), *b = a + 1;
    for (unsigned round = 0; round < 2; round++) { /* an answer's memory is used again */
        http_answer_begin(a, no_body, most);
        http_answer_begin(b, no_body, most);
        take(a, in, size + 1, &used_whole);
        take(b, in, 1 + round, &used_bytes);
        weir_assert(a->state == b->state && a->state != ANSWER_MORE && a->body.len <= most);
        weir_assert(a->state != ANSWER_DONE ||
                    (used_whole == used_bytes && a->keep_alive == b->keep_alive));
        if (a->state == ANSWER_DONE || a->state == ANSWER_CUT)
            check_same(a, b);
    }
    http_answer_free(a);
    http_answer_free(b);
    mem_free(a);
    return 0;
}
