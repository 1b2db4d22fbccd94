/* What is known of a terminal: how many payments were made there in 1, 7 and 30 days, and which
 * share of them were frauds. Whether a payment was one is known a week later, so these windows end
 * a week before the payment: (t - 7 days - N days, t - 7 days].
 */
#include "payment.h"
#include "stage.h"

#define LABEL_DELAY (7 * DAY)
#define THURSDAY 4 /* 1970-01-01 was one; days of the week count from Sunday */
#define NIGHT_END (7 * 3600)

enum { PAYMENTS, FRAUDS }; /* kinds of rows: struct terminal_row, struct row */

struct terminal_row {
    struct row row;
    uint32_t count[WINDOWS], frauds[WINDOWS]; /* what was answered */
};

static const struct terminal_row *add(struct key *key, const struct payment *p)
{
    const struct terminal_row fresh = {.row = {.t = p->t, .tx_id = p->tx_id}};
    const size_t size = sizeof fresh, fraud_size = sizeof(struct row);
    struct rows *payments = &key->rows[PAYMENTS], *frauds = &key->rows[FRAUDS];
    struct terminal_row *row = rows_insert(payments, size, &fresh);
    int64_t known = p->t - LABEL_DELAY;
    for (int i = 0; i < WINDOWS; i++) {
        int64_t since = known - window_days[i] * DAY;
        row->count[i] = rows_until(payments, size, known) - rows_until(payments, size, since);
        row->frauds[i] =
            rows_until(frauds, fraud_size, known) - rows_until(frauds, fraud_size, since);
    }
    return row;
}

static void answer(const struct event *e, const struct payment *p, const struct terminal_row *row,
                   struct text *out)
{
    static const char *const count[WINDOWS] = {"terminal_count_1", "terminal_count_7",
                                               "terminal_count_30"};
    static const char *const risk[WINDOWS] = {"terminal_risk_1", "terminal_risk_7",
                                              "terminal_risk_30"};
    int64_t weekday = (p->t / DAY + THURSDAY) % 7;
    event_begin(out, e, p->tx_id, "payment.features", EVENT_SOURCE "/terminal", p->customer);
    event_add_integer(out, "weekend", weekday == 0 || weekday == 6);
    event_add_integer(out, "night", p->t % DAY < NIGHT_END);
    for (int i = 0; i < WINDOWS; i++) {
        event_add_integer(out, count[i], row->count[i]);
        event_add_real(out, risk[i], row->count[i] ? (double)row->frauds[i] / row->count[i] : 0.0);
    }
    event_end(out);
}

static const char *take_label(struct keyed *state, const struct event *e)
{
    struct payment p;
    const char *wrong = label_read(&p, e->data);
    if (wrong)
        return wrong;
    struct rows *frauds = &keyed_get(state, p.terminal)->rows[FRAUDS];
    const struct row fraud = {.t = p.t, .tx_id = p.tx_id};
    if (rows_find(frauds, sizeof fraud, p.t, p.tx_id) == NULL)
        rows_insert(frauds, sizeof fraud, &fraud);
    return NULL;
}

static const char *take(struct keyed *state, const struct event *e, struct text *out)
{
    struct payment p;
    if (json_is(e->type, "payment.label"))
        return take_label(state, e);
    const char *wrong = payment_read(&p, e->data);
    if (wrong)
        return wrong;
    struct key *key = keyed_get(state, p.terminal);
    struct rows *payments = &key->rows[PAYMENTS];
    const struct terminal_row *row = rows_find(payments, sizeof *row, p.t, p.tx_id);
    if (row == NULL)
        row = add(key, &p);
    if (out)
        answer(e, &p, row, out);
    const struct terminal_row *newest = rows_at(payments, sizeof *row, payments->n - 1);
    int64_t old = newest->row.t - LABEL_DELAY - window_days[WINDOWS - 1] * DAY;
    rows_trim(payments, sizeof *row, old);
    rows_trim(&key->rows[FRAUDS], sizeof(struct row), old);
    return NULL;
}

const struct stage stage_terminal = {.name = "terminal",
                                     .row_size = {sizeof(struct terminal_row), sizeof(struct row)},
                                     .take = take};
