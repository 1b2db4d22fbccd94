/* stage.h: the steps of the pipeline that a worker can be.
 *
 *     validate   a payment as it came -> payment.validated, keyed by its card
 *     card       ... -> payment.card, with what the card did in 1, 7 and 30 days; keyed by terminal
 *     terminal   ... -> payment.features, with what is known of the terminal; and labels, which
 *                are remembered and not answered
 *
 * What they compute is what ../data/features.py computes: that is the specification.
 */
#pragma once

#include "event.h"
#include "keyed.h"

#define EVENT_SOURCE "/fraud"
#define WINDOWS 3
extern const int64_t window_days[WINDOWS]; /* 1, 7, 30 */

struct stage {
    const char *name;
    size_t row_size[ROWS_KINDS]; /* 0, 0: it has no state */
    /* Takes an event into the state of its partition and appends an answer to `out` (NULL: the
     * event is read again from the log: no answer), whose id is the payment's own: so a copy of the
     * payment gets the same one, however it came. The same payment a second time changes nothing
     * and is answered as before. Returns what is wrong with the event, else NULL. */
    const char *(*take)(struct keyed *state, const struct event *e, struct text *out);
};

extern const struct stage stage_validate, stage_card, stage_terminal;

/* validate.c: the file with the currencies, one code a line. It is read again when a currency is
 * not in it. */
void validate_currencies(const char *path);
