/* waterfall.h: steps that take time, drawn under each other on one scale, as text.
 *
 *                               start   wait .  queue -   took = settle :  0      12.00 ms
 *     orders/0/12  id 1234
 *      publish                  0.000                      0.900           =
 *      push fraud  200          0.900    0.310    0.022    7.200    0.240  .-======:
 *
 * Times are in ms where nothing else is said. A row has its stages one after the other, without a
 * pause. A drawing of less than WATERFALL_WIDTH_WIDE columns has no room for a column of each
 * stage; its last line tells what their characters mean.
 */
#pragma once

#include "base/cursor.h"
#include "base/str.h"

#include <stdbool.h>

#define WATERFALL_WIDTH 100     /* where nobody says how wide the terminal is */
#define WATERFALL_WIDTH_MIN 50  /* narrower ones get this */
#define WATERFALL_WIDTH_MAX 200 /* wider ones this */
#define WATERFALL_WIDTH_WIDE 90

enum waterfall_stage {
    WATERFALL_WAIT,
    WATERFALL_QUEUE,
    WATERFALL_TAKE,
    WATERFALL_SETTLE,
    WATERFALL_STAGES
};

struct waterfall_row {
    unsigned indent;
    struct str label;                   /* what a terminal would obey in it is replaced */
    bool timed;                         /* else it is a heading, which may be as long as it likes */
    int64_t start_us;                   /* of its first stage, since any epoch */
    int64_t stage_us[WATERFALL_STAGES]; /* >= 0; all 0: a moment */
};

/* From the first start to the last end. */
int64_t waterfall_first(const struct waterfall_row *rows, size_t n);
int64_t waterfall_last(const struct waterfall_row *rows, size_t n);
void waterfall_write(const struct waterfall_row *rows, size_t n, unsigned width, struct wr *out);
/* "0.310", "31.20", "12.02s": 7 characters at most; of ms where no unit is said. */
void waterfall_span(int64_t us, char out[16]);
