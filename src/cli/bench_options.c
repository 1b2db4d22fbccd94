#include "cli/bench_options.h"

#include "cli/cli.h"

#include <string.h>

#define AT(field) offsetof(struct bench_options, field)
#define COUNT_MAX (INT64_C(1) << 50) /* 30 years at a million a second */

const char *const bench_acks[] = {"all", "1", "0", NULL};

static const struct option table[] = {
    {.name = "bootstrap",
     .kind = OPTION_HOST_PORT,
     .offset = AT(bootstrap),
     .dflt = "127.0.0.1:9092",
     .value = "HOST:PORT",
     .help = "the broker"},
    {.name = "topic",
     .kind = OPTION_TEXT,
     .offset = AT(topic),
     .dflt = "bench",
     .value = "NAME",
     .help = "where to write and what to read"},
    {.name = "partitions",
     .kind = OPTION_INT,
     .offset = AT(partitions),
     .dflt = "0",
     .value = "N",
     .max = CLI_PARTITIONS_MAX,
     .help = "how many of them; 0: all that the topic has"},
    {.name = "create",
     .kind = OPTION_SWITCH,
     .offset = AT(create),
     .help = "create the topic, with --partitions, if it does not exist"},
    {.name = "size",
     .kind = OPTION_INT,
     .offset = AT(size),
     .dflt = "1024",
     .value = "BYTES",
     .min = BENCH_RECORD_MIN,
     .max = BENCH_RECORD_MAX,
     .help = "of a record's value"},
    {.name = "count",
     .kind = OPTION_INT,
     .offset = AT(count),
     .dflt = "0",
     .value = "N",
     .max = COUNT_MAX,
     .help = "how many records; 0: for --seconds"},
    {.name = "seconds",
     .kind = OPTION_INT,
     .offset = AT(seconds),
     .dflt = "5",
     .value = "S",
     .min = 1,
     .max = 86400,
     .help = "how long to send"},
    {.name = "warmup",
     .kind = OPTION_INT,
     .offset = AT(warmup_s),
     .dflt = "1",
     .value = "S",
     .max = 3600,
     .help = "latency, single: seconds before that, which do not count"},
    {.name = "rate",
     .kind = OPTION_INT,
     .offset = AT(rate),
     .dflt = "10000",
     .value = "N",
     .min = 1,
     .max = 10000000,
     .help = "latency: records a second"},
    {.name = "burst",
     .kind = OPTION_INT,
     .offset = AT(burst),
     .dflt = "1",
     .value = "N",
     .min = 1,
     .max = 100000,
     .help = "latency: records that are due at the same instant"},
    {.name = "acks",
     .kind = OPTION_CHOICE,
     .offset = AT(acks),
     .dflt = "all",
     .value = "ACKS",
     .choices = bench_acks,
     .help = "whose acknowledgement counts"},
    {.name = "linger",
     .kind = OPTION_INT,
     .offset = AT(linger_ms),
     .dflt = "-1",
     .value = "MS",
     .min = BENCH_LINGER_AUTO,
     .max = 900000,
     .help = "-1: 5, and 0 for latency and single"},
    {.name = "batch",
     .kind = OPTION_INT,
     .offset = AT(batch_bytes),
     .dflt = "1048576",
     .value = "BYTES",
     .min = 1024,
     .max = 100000000,
     .help = "largest batch"},
    {.name = "idempotent",
     .kind = OPTION_SWITCH,
     .offset = AT(idempotent),
     .help = "produce with idempotence"},
    {.name = "producers",
     .kind = OPTION_INT,
     .offset = AT(producers),
     .dflt = "1",
     .value = "N",
     .min = 1,
     .max = 256,
     .help = "produce: how many clients, each with a thread"},
    {.name = "stick",
     .kind = OPTION_INT,
     .offset = AT(stick),
     .dflt = "100",
     .value = "N",
     .min = 1,
     .max = 100000,
     .help = "produce: records in a row for one partition"},
    {.name = "property",
     .kind = OPTION_LIST,
     .offset = AT(properties),
     .value = "NAME=VALUE",
     .help = "a setting of librdkafka; may be repeated"},
    {.name = "json", .kind = OPTION_SWITCH, .offset = AT(json), .help = "print JSON"},
};

const struct option_set bench_option_set = {
    .usage = "weir bench produce|fetch|latency|single|all [options]",
    .about = "Measures a Kafka broker, this one or another, with librdkafka as the client.\n\n"
             "  produce  how many records a second are acknowledged\n"
             "  fetch    how many records a second a consumer gets\n"
             "  latency  at a fixed rate: until acknowledged, until received\n"
             "  single   the same, one record at a time\n"
             "  all      the four, one after the other",
    .example = "weir bench all --bootstrap 127.0.0.1:9092 --seconds 10",
    .options = table,
    .n = sizeof table / sizeof table[0],
    .args = "what to measure",
    .args_min = 1,
    .args_max = 1,
};

enum err bench_options_check(const struct bench_options *o, struct err_text *text)
{
    for (size_t i = 0; i < o->properties.n; i++) {
        const char *given = o->properties.at[i], *equals = strchr(given, '=');
        if (!equals || equals == given)
            return err_say(text, ERR_REQUEST_INVALID,
                           "--property: '%s' is not valid; give NAME=VALUE", given);
    }
    return ERR_OK;
}
