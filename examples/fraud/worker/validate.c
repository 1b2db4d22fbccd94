/* Is it a payment, in a currency that we know? What is not becomes a dead letter, and can be sent
 * again when the table of currencies has been added to.
 */
#include "payment.h"
#include "stage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { CURRENCIES_MAX = 256, CODE = 3, CODE_SHOWN = 20 };

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

static int is_known(struct json code)
{
    for (size_t i = 0; i < currencies_n; i++) {
        if (json_is(code, currencies[i]))
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
    if (json_kind(p.currency) != '"')
        return "data.currency is not a text";
    if (!is_known(p.currency))
        validate_currencies(currency_file);
    if (!is_known(p.currency)) {
        snprintf(wrong, sizeof wrong, "data.currency is %.*s, which is not in the table",
                 p.currency.len < CODE_SHOWN ? (int)p.currency.len : CODE_SHOWN, p.currency.at);
        return wrong;
    }
    event_begin(out, e, p.tx_id, "payment.validated", EVENT_SOURCE "/validate", p.customer);
    event_end(out);
    return NULL;
}

const struct stage stage_validate = {.name = "validate", .take = take};
