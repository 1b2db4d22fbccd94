/* Answers of custom handlers. Whatever comes is events and lines, or is said to be no answer; what
 * is read twice is the same. */
#include "fuzz.h"

#include "flow/function_azure.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct function_output out[] = {{STR_LIT("out"), STR_LIT("t")}};
    const struct function_conf conf = {.output_lines_max = LINES_MAX,
                                       .azure_out = {(void *)out, 1}};
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
    arena_free(&arena);
    return 0;
}
