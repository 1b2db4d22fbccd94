/* payment.h: a payment, as the data of an event has it, and the label that says later that it was a
 * fraud:
 *
 *     {"tx_id": 1203, "time": "2018-04-01T00:13:37Z", "customer": 596, "terminal": 3156,
 *      "amount": 57.16, "currency": "EUR"}                                         a payment
 *     {"tx_id": 1203, "time": "2018-04-01T00:13:37Z", "terminal": 3156}            its label
 */
#pragma once

#include "json.h"

#define DAY ((int64_t)86400)

struct payment {
    int64_t tx_id;
    int64_t t; /* Unix seconds */
    int64_t customer, terminal;
    int64_t cents;        /* of the amount: sums of them are exact */
    struct json currency; /* not checked */
};

/* What is wrong with it, or NULL. */
const char *payment_read(struct payment *p, struct json data);
const char *label_read(struct payment *p, struct json data);

/* "2018-04-01T00:13:37Z", with its quotes, as Unix seconds; -1 for what is no such time. */
int64_t time_read(struct json text);
