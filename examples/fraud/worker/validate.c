/* Is it a payment, in a currency that we know? What is not becomes a dead letter, and can be sent
 * again when the table of currencies has been added to.
 */
#include "payment.h"
#include "stage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { CURRENCIES_MAX = 256, CODE = 3 };

static const char *currency_file;
static char currencies[CURRENCIES_MAX][CODE + 1];
static size_t currencies_n;

void validate_currencies(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[128];
    if (file == NULL)
        die("cannot read the currencies in %s: %s", path, strerror(errno));
    currency_file = path;
    currencies_n = 0;
    while (currencies_n < CURRENCIES_MAX && fgets(line, sizeof line, file)) {
        line[strcspn(line, " #\r\n")] = 0;
        if (strlen(line) == CODE)
            memcpy(currencies[currencies_n++], line, CODE + 1);
    }
    fclose(file);
}

static int is_known(const char *code)
{
    for (size_t i = 0; i < currencies_n; i++) {
        if (strcmp(currencies[i], code) == 0)
            return 1;
    }
    return 0;
}

static const char *take(struct keyed *state, const struct event *e, struct text *out)
{
    (void)state;
    static char wrong[128];
    struct payment p;
    const char *why = payment_read(&p, e->data);
    if (why)
        return why;
    const char *currency = json_string_value(json_object_get(e->data, "currency"));
    if (currency == NULL)
        return "data.currency is not a text";
    if (!is_known(currency)) {
        validate_currencies(currency_file);
        if (!is_known(currency)) {
            snprintf(wrong, sizeof wrong, "data.currency is '%.16s', which is not in the table",
                     currency);
            return wrong;
        }
    }
    char id[24]; /* the payment's own: a copy of it gets the same one, however it came */
    snprintf(id, sizeof id, "%lld", (long long)p.tx_id);
    struct event as = *e;
    as.id = id;
    event_begin(out, &as, "payment.validated", EVENT_SOURCE "/validate", p.customer);
    event_end(out);
    return NULL;
}

const struct stage stage_validate = {.name = "validate", .take = take};
