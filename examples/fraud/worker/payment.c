#include "payment.h"

#include <math.h>

#define AMOUNT_MAX 1e9

/* Days from 1970-01-01 to a day of the Gregorian calendar (years that begin in March make the leap
 * day the last one). */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400, year_of_era = year % 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

/* The n digits at `at`; -1 if others stand there. */
static int64_t digits(const char *at, int n)
{
    int64_t value = 0;
    for (int i = 0; i < n; i++) {
        if (at[i] < '0' || at[i] > '9')
            return -1;
        value = value * 10 + at[i] - '0';
    }
    return value;
}

int64_t time_read(struct json text)
{
    static const char form[] = "\"dddd-dd-ddTdd:dd:ddZ\"";
    if (text.len != sizeof form - 1)
        return -1;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (form[i] == 'd' ? c < '0' || c > '9' : c != form[i])
            return -1;
    }
    const char *at = text.at + 1;
    int64_t month = digits(at + 5, 2), day = digits(at + 8, 2), hour = digits(at + 11, 2);
    int64_t minute = digits(at + 14, 2), second = digits(at + 17, 2);
    if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59)
        return -1;
    return days_of(digits(at, 4), month, day) * DAY + hour * 3600 + minute * 60 + second;
}

struct members {
    struct json tx_id, time, customer, terminal, amount, currency;
};

static bool members_read(struct members *m, struct json data)
{
    *m = (struct members){0};
    struct json name, value;
    for (struct json_walk w = json_members(data); json_member(&w, &name, &value);) {
        if (json_is(name, "tx_id"))
            m->tx_id = value;
        else if (json_is(name, "time"))
            m->time = value;
        else if (json_is(name, "customer"))
            m->customer = value;
        else if (json_is(name, "terminal"))
            m->terminal = value;
        else if (json_is(name, "amount"))
            m->amount = value;
        else if (json_is(name, "currency"))
            m->currency = value;
    }
    return json_kind(data) == '{';
}

static bool is_number(struct json value, int64_t *out)
{
    return json_to_integer(value, out) && *out >= 0;
}

static const char *label_of(struct payment *p, const struct members *m)
{
    if (!is_number(m->tx_id, &p->tx_id))
        return "data.tx_id is not a whole number";
    if (!is_number(m->terminal, &p->terminal))
        return "data.terminal is not the number of a terminal";
    p->t = time_read(m->time);
    return p->t < 0 ? "data.time is not a time such as 2018-04-01T00:13:37Z" : NULL;
}

const char *label_read(struct payment *p, struct json data)
{
    struct members m;
    return members_read(&m, data) ? label_of(p, &m) : "data is not a JSON object";
}

const char *payment_read(struct payment *p, struct json data)
{
    struct members m;
    double amount;
    const char *wrong = members_read(&m, data) ? label_of(p, &m) : "data is not a JSON object";
    if (wrong)
        return wrong;
    if (!is_number(m.customer, &p->customer))
        return "data.customer is not the number of a card";
    if (!json_to_real(m.amount, &amount) || !(amount >= 0 && amount < AMOUNT_MAX))
        return "data.amount is not a number from 0 up"; /* 0: a few come to less than half a cent */
    p->cents = llround(amount * 100);
    p->currency = m.currency;
    return NULL;
}
