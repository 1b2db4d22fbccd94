#include "flow/invoke_answer.h"

#include <string.h>

bool invoke_answer_passes(struct str name, struct str connection)
{
    return !str_is(name, "date") && !invoke_is_hop(name, connection);
}

static bool keep(struct invoke_answer *a, struct str s, struct str *out)
{
    *out = (struct str){arena_strndup(&a->memory, s.at, s.len), s.len};
    return out->at != NULL;
}

static bool keep_headers(struct invoke_answer *a, const struct http_call *call)
{
    struct str connection = http_answer_header(call, "connection");
    a->headers = arena_zalloc(&a->memory, call->answer_headers_n + 1, sizeof *a->headers);
    for (size_t i = 0; a->headers != NULL && i < call->answer_headers_n; i++) {
        const struct http_header *h = &call->answer_headers[i];
        struct http_header *to = &a->headers[a->headers_n];
        if (!invoke_answer_passes(h->name, connection))
            continue;
        if (!keep(a, h->name, &to->name) || !keep(a, h->value, &to->value))
            return false;
        a->headers_n++;
    }
    return a->headers != NULL;
}

enum err invoke_answer_pass(const struct http_call *call, struct invoke_answer *out,
                            struct err_text *text)
{
    if (call->answer_cut)
        return err_say(text, ERR_ANSWER_BAD, "the function's answer is larger than %zu bytes",
                       call->answer.len);
    if (call->status < 200 || call->status > 599)
        return err_say(text, ERR_ANSWER_BAD, "the function answered with status %d", call->status);
    if (!keep_headers(out, call))
        return err_say(text, ERR_ANSWER_BAD, "the head of the function's answer is too large");
    out->status = call->status;
    if (call->answer.len > 0)
        out->body = slice_copy(call->answer.at, call->answer.len);
    return ERR_OK;
}
