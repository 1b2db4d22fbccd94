#include "cli/waterfall.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NUMBER 9 /* columns of a number */
#define LABEL_MIN 16u
#define BAR_MIN 14u
#define BAR_MAX 80u

static const struct {
    const char *name;
    char mark;
} stages[WATERFALL_STAGES] = {{"wait", '.'}, {"queue", '-'}, {"took", '='}, {"settle", ':'}};

/* The call is what one looks for: it is drawn over what is shorter than a column. */
static const enum waterfall_stage drawn[] = {WATERFALL_WAIT, WATERFALL_QUEUE, WATERFALL_SETTLE,
                                             WATERFALL_TAKE};

struct layout {
    unsigned label, bar; /* columns */
    bool wide;           /* a number of each stage, else of all together */
    bool moment;         /* all took no time */
    int64_t first_us, span_us;
    struct wr *out;
};

/* ---- text ---- */

static size_t columns_of(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((uint8_t)s.at[i] & 0xc0) != 0x80;
    return n;
}

static void put_blanks(struct wr *w, size_t n)
{
    while (n-- > 0)
        wr_u8(w, ' ');
}

static void put_safe(struct wr *w, struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        wr_u8(w, (uint8_t)s.at[i] < 0x20 || s.at[i] == 0x7f ? '?' : (uint8_t)s.at[i]);
}

/* To the right. */
static void put_cell(struct wr *w, const char *text, size_t columns)
{
    size_t n = strlen(text);
    put_blanks(w, n < columns ? columns - n : 0);
    wr_bytes(w, text, n);
}

static void end_line(struct wr *w)
{
    while (w->len > 0 && w->buf->data[w->len - 1] == ' ')
        w->len--;
    wr_u8(w, '\n');
}

void waterfall_span(int64_t us, char out[16])
{
    double ms = (double)us / 1000;
    if (us < 10000)
        snprintf(out, 16, "%.3f", ms);
    else if (us < 100000)
        snprintf(out, 16, "%.2f", ms);
    else if (us < 1000000)
        snprintf(out, 16, "%.1f", ms);
    else if (us < 100000000)
        snprintf(out, 16, "%.2fs", ms / 1000);
    else if (us < INT64_C(100000000000))
        snprintf(out, 16, "%.0fs", ms / 1000);
    else
        snprintf(out, 16, "%.0fh", ms / 3600000);
}

/* ---- times ---- */

static int64_t row_us(const struct waterfall_row *r)
{
    int64_t us = 0;
    for (size_t i = 0; i < WATERFALL_STAGES; i++)
        us += r->stage_us[i];
    return us;
}

int64_t waterfall_first(const struct waterfall_row *rows, size_t n)
{
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < n; i++)
        if (rows[i].timed && rows[i].start_us < first)
            first = rows[i].start_us;
    return first != INT64_MAX ? first : 0;
}

int64_t waterfall_last(const struct waterfall_row *rows, size_t n)
{
    int64_t last = waterfall_first(rows, n);
    for (size_t i = 0; i < n; i++)
        if (rows[i].timed && rows[i].start_us + row_us(&rows[i]) > last)
            last = rows[i].start_us + row_us(&rows[i]);
    return last;
}

/* ---- a row ---- */

/* Of a time since the first; the last column is everything's that ends with the drawing. */
static unsigned column_of(const struct layout *l, int64_t us)
{
    unsigned at = (unsigned)((double)us / (double)l->span_us * l->bar);
    return at < l->bar ? at : l->bar - 1;
}

static void mark(const struct layout *l, char *bar, int64_t from_us, int64_t to_us, char c)
{
    unsigned from = column_of(l, from_us), to = column_of(l, to_us);
    if (to_us >= l->span_us)
        to = l->bar;
    memset(bar + from, c, to > from ? to - from : 1);
}

static void put_bar(const struct layout *l, const struct waterfall_row *r)
{
    char bar[BAR_MAX];
    memset(bar, ' ', sizeof bar);
    for (size_t i = 0; i < WATERFALL_STAGES; i++) {
        int64_t at = r->start_us - l->first_us;
        for (size_t k = 0; k < (size_t)drawn[i]; k++)
            at += r->stage_us[k];
        if (r->stage_us[drawn[i]] > 0)
            mark(l, bar, at, at + r->stage_us[drawn[i]], stages[drawn[i]].mark);
    }
    if (row_us(r) == 0)
        mark(l, bar, r->start_us - l->first_us, r->start_us - l->first_us, '*');
    wr_bytes(l->out, bar, l->bar);
}

static void put_number(const struct layout *l, int64_t us, bool zero)
{
    char text[16] = "";
    if (us > 0 || zero)
        waterfall_span(us, text);
    put_cell(l->out, text, NUMBER);
}

/* A label that is longer than its column has a line of its own. */
static void put_label(const struct layout *l, const struct waterfall_row *r)
{
    size_t used = r->indent + columns_of(r->label);
    put_blanks(l->out, r->indent);
    put_safe(l->out, r->label);
    if (!r->timed)
        return;
    if (used > l->label) {
        end_line(l->out);
        used = 0;
    }
    put_blanks(l->out, l->label - used);
}

static void put_row(const struct layout *l, const struct waterfall_row *r)
{
    put_label(l, r);
    if (r->timed) {
        put_number(l, r->start_us - l->first_us, true);
        for (size_t i = 0; l->wide && i < WATERFALL_STAGES; i++)
            put_number(l, r->stage_us[i], false);
        if (!l->wide)
            put_number(l, row_us(r), false);
        put_blanks(l->out, 2);
        put_bar(l, r);
    }
    end_line(l->out);
}

/* ---- head and foot ---- */

static void put_head(const struct layout *l)
{
    char text[24], last[16];
    put_blanks(l->out, l->label);
    put_cell(l->out, "start", NUMBER);
    for (size_t i = 0; l->wide && i < WATERFALL_STAGES; i++) {
        snprintf(text, sizeof text, "%s %c", stages[i].name, stages[i].mark);
        put_cell(l->out, text, NUMBER);
    }
    if (!l->wide)
        put_cell(l->out, "took", NUMBER);
    put_blanks(l->out, 2);
    waterfall_span(l->span_us, last);
    snprintf(text, sizeof text, "%s%s", last, l->span_us < 1000000 ? " ms" : "");
    wr_u8(l->out, '0');
    put_cell(l->out, l->moment ? "" : text, l->bar - 1);
    end_line(l->out);
}

static void put_foot(const struct layout *l)
{
    for (size_t i = 0; i < WATERFALL_STAGES; i++) {
        wr_u8(l->out, (uint8_t)stages[i].mark);
        wr_u8(l->out, ' ');
        put_safe(l->out, str_of(stages[i].name));
        put_blanks(l->out, 2);
    }
    end_line(l->out);
}

static unsigned clamp(size_t n, unsigned least, unsigned most)
{
    return n < least ? least : n > most ? most : (unsigned)n;
}

void waterfall_write(const struct waterfall_row *rows, size_t n, unsigned width, struct wr *out)
{
    struct layout l = {.out = out, .first_us = waterfall_first(rows, n)};
    size_t longest = 0;
    for (size_t i = 0; i < n; i++) {
        size_t used = rows[i].indent + columns_of(rows[i].label);
        longest = rows[i].timed && used > longest ? used : longest;
    }
    width = clamp(width, WATERFALL_WIDTH_MIN, WATERFALL_WIDTH_MAX);
    l.span_us = waterfall_last(rows, n) - l.first_us;
    l.moment = l.span_us == 0;
    l.span_us += l.moment;
    l.wide = width >= WATERFALL_WIDTH_WIDE;
    unsigned numbers = NUMBER * (l.wide ? 1 + WATERFALL_STAGES : 2) + 2;
    l.label = clamp(longest, LABEL_MIN, width - numbers - BAR_MIN);
    l.bar = clamp(width - numbers - l.label, BAR_MIN, BAR_MAX);
    put_head(&l);
    for (size_t i = 0; i < n; i++)
        put_row(&l, &rows[i]);
    if (!l.wide)
        put_foot(&l);
}
