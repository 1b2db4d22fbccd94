/* What a card did: how many payments in the last 1, 7 and 30 days, this one among them, and of what
 * average amount. A window of N days of a payment at t is (t - N days, t].
 */
#include "payment.h"
#include "stage.h"

const int64_t window_days[WINDOWS] = {1, 7, 30};

struct card_row {
    struct row row;
    int64_t cents;
    uint32_t count[WINDOWS]; /* what was answered: a payment that comes again gets it again */
    int64_t sum[WINDOWS];
};

static struct card_row *add(struct rows *rows, const struct payment *p)
{
    const struct card_row fresh = {.row = {.t = p->t, .tx_id = p->tx_id}, .cents = p->cents};
    const size_t size = sizeof fresh;
    struct card_row *row = rows_insert(rows, size, &fresh);
    uint32_t end = rows_until(rows, size, p->t);
    for (int i = 0; i < WINDOWS; i++) {
        uint32_t first = rows_until(rows, size, p->t - window_days[i] * DAY);
        row->count[i] = end - first;
        for (uint32_t at = first; at < end; at++)
            row->sum[i] += ((const struct card_row *)rows_at(rows, size, at))->cents;
    }
    return row;
}

static void answer(const struct event *e, const struct payment *p, const struct card_row *row,
                   struct text *out)
{
    static const char *const count[WINDOWS] = {"card_count_1", "card_count_7", "card_count_30"};
    static const char *const average[WINDOWS] = {"card_average_1", "card_average_7",
                                                 "card_average_30"};
    event_begin(out, e, p->tx_id, "payment.card", EVENT_SOURCE "/card", p->terminal);
    for (int i = 0; i < WINDOWS; i++) {
        event_add_integer(out, count[i], row->count[i]);
        event_add_real(out, average[i], (double)row->sum[i] / (100.0 * row->count[i]));
    }
    event_end(out);
}

static const char *take(struct keyed *state, const struct event *e, struct text *out)
{
    struct payment p;
    const char *wrong = payment_read(&p, e->data);
    if (wrong)
        return wrong;
    struct rows *rows = &keyed_get(state, p.customer)->rows[0];
    const struct card_row *row = rows_find(rows, sizeof *row, p.t, p.tx_id);
    if (row == NULL)
        row = add(rows, &p);
    if (out)
        answer(e, &p, row, out);
    const struct card_row *newest = rows_at(rows, sizeof *row, rows->n - 1);
    rows_trim(rows, sizeof *row, newest->row.t - window_days[WINDOWS - 1] * DAY);
    return NULL;
}

const struct stage stage_card = {
    .name = "card", .row_size = {sizeof(struct card_row), sizeof(struct row)}, .take = take};
