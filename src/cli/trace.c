/* trace.c: `weir trace ID`: what happened to an event and what came of it, from the topic
 * weir.hops. Read three times over librdkafka: see journey.h. */
#include "cli/cli.h"

#include "cli/journey.h"
#include "cli/options.h"
#include "cli/reader.h"
#include "cli/waterfall.h"
#include "io/interrupt.h"
#include "io/terminal.h"

#include <unistd.h>

#define HOP_TOPIC "weir.hops"
#define POLL_MS 200 /* how often Ctrl-C is looked for */

struct trace_options {
    const char *broker;
    bool json;
    int64_t width;
};

#define AT(member) offsetof(struct trace_options, member)

/* clang-format off */
static const struct option table[] = {
    {"broker", "WEIR_BROKER", OPTION_TEXT, AT(broker), "127.0.0.1:9092", "HOST:PORT",
     "the broker to talk to", 0, 0, NULL, 0},
    {"json", NULL, OPTION_SWITCH, AT(json), "off", NULL,
     "print the hops themselves, a JSON object a line", 0, 0, NULL, 0},
    {"width", NULL, OPTION_INT, AT(width), "0", "COLUMNS",
     "of the drawing; 0: the terminal's, or 100 where there is none", 0, WATERFALL_WIDTH_MAX, NULL,
     0},
};
/* clang-format on */

static const struct option_set set = {
    .usage = "weir trace ID [options]",
    .about =
        "Tells an event's journey as a waterfall: where it was published, to whom it was "
        "delivered, each attempt and its outcome, the events that it caused, and what took how "
        "long. ID is an event's id, a "
        "correlation id, a trace id (or traceparent), or TOPIC/PARTITION/OFFSET. What weir "
        "remembers of journeys is in the topic weir.hops, for a day by default.",
    .example = "weir trace 4bf92f3577b34da6a3ce929d0e0e4736",
    .options = table,
    .n = sizeof table / sizeof table[0],
    .args = "what to look for",
    .args_min = 1,
    .args_max = 1};

typedef void hop_fn(struct journey *j, struct str hop);

static enum err interrupted(struct err_text *text)
{
    return err_say(text, ERR_CLOSED, "interrupted");
}

/* All hops that are there now. */
static enum err read_hops(struct reader *r, struct journey *j, hop_fn *fn, struct err_text *text)
{
    enum err err = reader_assign(r, HOP_TOPIC, -1, RD_KAFKA_OFFSET_BEGINNING, text);
    bool all_read = err != ERR_OK;
    while (!all_read && !interrupt_came()) {
        rd_kafka_message_t *m = r->k->consumer_poll(r->rk, POLL_MS);
        if (!m)
            continue;
        all_read = reader_note(r, m);
        if (!m->err && m->payload)
            fn(j, (struct str){m->payload, m->len});
        else if (m->err && m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
            fprintf(stderr, "weir trace: %s\n", r->k->err2str(m->err));
        r->k->message_destroy(m);
    }
    return err == ERR_OK && !all_read ? interrupted(text) : err;
}

static enum err find(struct reader *r, struct journey *j, const char *id, struct err_text *text)
{
    enum err err = read_hops(r, j, journey_seek, text);
    if (err == ERR_TOPIC_UNKNOWN)
        return err_say(text, err, "nothing was noted yet: there is no topic " HOP_TOPIC);
    if (err == ERR_OK && journey_traces(j) == 0)
        err = err_say(
            text, ERR_NOT_FOUND,
            "nothing is known of %s: " HOP_TOPIC " holds no hop with this id, trace or place", id);
    if (err == ERR_OK)
        err = read_hops(r, j, journey_take, text);
    return err == ERR_OK ? read_hops(r, j, journey_rest, text) : err;
}

static unsigned width_of(int64_t given)
{
    unsigned columns = given > 0 ? (unsigned)given : terminal_columns(STDOUT_FILENO);
    return columns > 0 ? columns : WATERFALL_WIDTH;
}

static void print(struct journey *j, const struct trace_options *o)
{
    struct wr out;
    wr_init(&out, 4096);
    if (o->json)
        journey_write_json(j, &out);
    else
        journey_write(j, width_of(o->width), &out);
    fwrite(out.buf->data, 1, out.len, stdout);
    fflush(stdout);
    wr_free(&out);
    if (journey_cut(j))
        fprintf(stderr, "weir trace: there is more than %d traces or %d hops; this is a part\n",
                JOURNEY_TRACES_MAX, JOURNEY_HOPS_MAX);
}

int cli_trace(int argc, char **argv)
{
    struct trace_options o = {0};
    struct reader reader = {0};
    struct err_text text = {""};
    const char *args[1] = {NULL};
    size_t n;
    int end = options_begin(&set, argc, argv, &o, args, &n);
    if (end)
        return end - 1;
    struct journey *j = journey_make(str_of(args[0]));
    struct reader_conf conf = {o.broker, NULL, "earliest", true};
    interrupt_catch();
    enum err err = reader_open(&reader, &conf, &text);
    if (!err)
        err = find(&reader, j, args[0], &text);
    if (err)
        fprintf(stderr, "weir trace: %s\n", text.s);
    else
        print(j, &o);
    reader_close(&reader);
    journey_free(j);
    return err ? 1 : 0;
}
