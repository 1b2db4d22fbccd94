/* What a worker of examples/fraud is called with: a body of CloudEvents.
 *
 * What must hold: the workers' own JSON takes no body that jansson refuses for its syntax, and
 * refuses none that jansson takes but for its depth; every piece that is found lies in the body and
 * is JSON again; a payment that is taken is answered by JSON.
 */
#include "fuzz.h"

#include "../../examples/fraud/worker/stage.h"

#include <jansson.h>

static bool inside(struct json piece, const char *body, size_t n)
{
    return piece.len == 0 || (piece.at >= body && piece.at + piece.len <= body + n);
}

static void check_event(const struct event *e, const char *body, size_t n)
{
    const struct json pieces[] = {e->id, e->type, e->traceparent, e->data};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        weir_assert(inside(pieces[i], body, n));
        if (pieces[i].len)
            weir_assert(json_read(pieces[i].at, pieces[i].len).len == pieces[i].len);
    }
}

static void check_stage(const struct stage *stage, const struct event *e, struct text *out)
{
    struct keyed state = {0};
    out->len = 0;
    if (stage->take(&state, e, out) == NULL && out->len) {
        text_add(out, "]", 1);
        weir_assert(json_kind(json_read(out->at, out->len)) == '[');
    }
    keyed_free(&state);
}

/* jansson also looks at what texts and numbers mean: UTF-8, surrogates, ranges. */
static bool is_about_meaning(enum json_error_code code)
{
    return code == json_error_invalid_utf8 || code == json_error_null_character ||
           code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
           code == json_error_invalid_syntax;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *body = (const char *)data;
    static struct text out;
    struct events events;
    struct event e;
    json_error_t why;
    json_t *tree = json_loadb(body, size, JSON_DECODE_ANY, &why);
    struct json value = json_read(body, size);
    bool ends = size > 0 && memchr(body, 0, size); /* to jansson a NUL is the end */
    if (tree != NULL && !ends)
        weir_assert(value.len > 0 || size > JSON_DEPTH_MAX);
    else if (value.len > 0 && !ends)
        weir_assert(is_about_meaning(json_error_code(&why)));
    json_decref(tree);
    if (!events_read(&events, body, size))
        return 0;
    while (events_next(&events, &e)) {
        check_event(&e, body, size);
        check_stage(&stage_card, &e, &out);
        check_stage(&stage_terminal, &e, &out);
    }
    return 0;
}
