/* Answers of custom handlers, to events and to requests. Whatever comes is events and lines, and an
 * HTTP answer that can be passed on, or is said to be no answer; what is read twice is the same. */
#include "fuzz.h"

#include <string.h>

#include "flow/function_azure_http.h"
#include "flow/invoke_answer.h"

#define LINES_MAX 4

struct seen {
    unsigned events, lines;
};

static enum err note_event(void *arg, struct event *e, struct str topic)
{
    struct seen *s = arg;
    s->events++;
    weir_assert(e->data.at != NULL || e->data.len == 0);
    weir_assert(topic.at == NULL || str_is(topic, "t"));
    return ERR_OK;
}

static void note_line(void *arg, struct str text)
{
    struct seen *s = arg;
    weir_assert(text.at != NULL);
    s->lines++;
}

/* What is for who asked, as a reader of the connection would see it. */
static void answer_request(const struct azure_answer *a)
{
    struct invoke_answer answer;
    struct err_text text = {""};
    invoke_init_answer(&answer);
    enum err err = azure_http_answer(&a->response, a->returned, &answer, &text);
    weir_assert(err != ERR_ANSWER_BAD || text.s[0] != '\0');
    if (err == ERR_OK)
        weir_assert(answer.status >= 200 && answer.status <= 599);
    for (size_t i = 0; i < answer.headers_n && err == ERR_OK; i++) {
        const struct http_header *h = &answer.headers[i];
        weir_assert(invoke_answer_passes(h->name, (struct str){NULL, 0}) && http_is_text(h->value));
        weir_assert(h->name.len > 0 && strpbrk(h->name.at, " :\r\n") == NULL);
    }
    slice_unref(answer.body);
    arena_free(&answer.memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct function_output out[] = {{STR_LIT("out"), STR_LIT("t")}};
    struct function_conf conf = {.output_lines_max = LINES_MAX, .azure_out = {(void *)out, 1}};
    struct seen seen[2] = {{0, 0}, {0, 0}};
    struct arena arena;
    enum err err[2];
    arena_init(&arena, 1 << 16);
    for (int i = 0; i < 2; i++) {
        struct azure_answer a = {.conf = &conf,
                                 .arena = &arena,
                                 .source = STR_LIT("/functions/f"),
                                 .event = note_event,
                                 .line = note_line,
                                 .arg = &seen[i]};
        err[i] = azure_answer_read(&a, (struct str){(const char *)data, size});
        weir_assert(err[i] != ERR_RECORD_INVALID || a.text.s[0] != '\0');
        weir_assert(seen[i].lines <= LINES_MAX && seen[i].lines + a.lines_dropped == a.lines);
        arena_reset(&arena);
    }
    weir_assert(err[0] == err[1] && seen[0].events == seen[1].events);
    conf.protocol = FUNCTION_AZURE;
    conf.azure_trigger_type = TRIGGER_HTTP;
    conf.azure_response = STR_LIT("res");
    struct azure_answer a = {
        .conf = &conf, .arena = &arena, .event = note_event, .line = note_line, .arg = &seen[0]};
    seen[0].lines = 0;
    if (azure_answer_read(&a, (struct str){(const char *)data, size}) == ERR_OK)
        answer_request(&a);
    arena_free(&arena);
    return 0;
}
