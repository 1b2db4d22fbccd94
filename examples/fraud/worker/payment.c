#include "payment.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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

int64_t time_read(const char *text)
{
    static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
    if (text == NULL || strlen(text) != sizeof form - 1)
        return -1;
    for (size_t i = 0; i < sizeof form - 1; i++) {
        if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return -1;
    }
    int64_t month = digits(text + 5, 2), day = digits(text + 8, 2), hour = digits(text + 11, 2);
    int64_t minute = digits(text + 14, 2), second = digits(text + 17, 2);
    if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59)
        return -1;
    return days_of(digits(text, 4), month, day) * DAY + hour * 3600 + minute * 60 + second;
}

static int read_number(const json_t *data, const char *name, int64_t *out)
{
    const json_t *value = json_object_get(data, name);
    *out = json_integer_value(value);
    return json_is_integer(value) && *out >= 0;
}

const char *label_read(struct payment *p, const json_t *data)
{
    if (data == NULL)
        return "data is not a JSON object";
    if (!read_number(data, "tx_id", &p->tx_id))
        return "data.tx_id is not a whole number";
    if (!read_number(data, "terminal", &p->terminal))
        return "data.terminal is not the number of a terminal";
    p->t = time_read(json_string_value(json_object_get(data, "time")));
    if (p->t < 0)
        return "data.time is not a time such as 2018-04-01T00:13:37Z";
    return NULL;
}

const char *payment_read(struct payment *p, const json_t *data)
{
    const char *wrong = label_read(p, data);
    if (wrong)
        return wrong;
    if (!read_number(data, "customer", &p->customer))
        return "data.customer is not the number of a card";
    const json_t *number = json_object_get(data, "amount");
    double amount = json_number_value(number);
    if (!json_is_number(number) || !(amount >= 0 && amount < AMOUNT_MAX))
        return "data.amount is not a number from 0 up"; /* 0: a few come to less than half a cent */
    p->cents = llround(amount * 100);
    return NULL;
}
