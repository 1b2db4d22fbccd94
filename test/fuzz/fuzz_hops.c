/* Hops, which any client may write to weir.hops: lines of them become traces, whose text is JSON
 * whatever they hold, and the waterfall of a journey, where nothing is for a terminal to obey. */
#include "fuzz.h"

#include "base/json.h"
#include "cli/journey.h"
#include "flow/otlp.h"

#include <string.h>

#define LINES_MAX 200

typedef void line_fn(void *arg, struct str line);

static void each_line(struct str all, line_fn *fn, void *arg)
{
    unsigned n = 0;
    while (all.len > 0 && n++ < LINES_MAX) {
        const char *end = memchr(all.at, '\n', all.len);
        struct str line = {all.at, end != NULL ? (size_t)(end - all.at) : all.len};
        size_t used = line.len + (end != NULL);
        fn(arg, line);
        all = (struct str){all.at + used, all.len - used};
    }
}

struct traces {
    struct otlp otlp;
    struct arena arena;
};

static void to_span(void *arg, struct str line)
{
    struct traces *t = arg;
    otlp_add(&t->otlp, line, &t->arena);
}

static void check_traces(struct str hops)
{
    static const struct spec_map none = {NULL, 0};
    struct traces t;
    struct wr w;
    wr_init(&w, 1024);
    arena_init(&t.arena, 1 << 20);
    otlp_begin(&t.otlp, &none, &w);
    each_line(hops, to_span, &t);
    otlp_end(&t.otlp);
    weir_assert(json_valid((struct str){(const char *)w.buf->data, w.len}));
    arena_free(&t.arena);
    wr_free(&w);
}

static void seek(void *arg, struct str line)
{
    journey_seek(arg, line);
}

static void take(void *arg, struct str line)
{
    journey_take(arg, line);
}

static void rest(void *arg, struct str line)
{
    journey_rest(arg, line);
}

static void check_journey(struct str hops, unsigned width)
{
    struct journey *j = journey_make(STR_LIT("0af7651916cd43dd8448eb211c80319c"));
    struct wr w;
    wr_init(&w, 1024);
    each_line(hops, seek, j);
    each_line(hops, take, j);
    each_line(hops, rest, j);
    journey_write(j, width, &w);
    for (size_t i = 0; i < w.len; i++)
        weir_assert((w.buf->data[i] >= 0x20 && w.buf->data[i] != 0x7f) || w.buf->data[i] == '\n');
    wr_free(&w);
    journey_free(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str hops = {(const char *)data + 1, size - 1};
    check_traces(hops);
    check_journey(hops, data[0]);
    return 0;
}
