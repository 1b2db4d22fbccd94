/* Command lines, environments, and the parsers of text that they and configuration use.
 *
 * The input is a list of texts, each ended by a NUL. Those that begin with "E:" become environment
 * variables of the table below, "E:NAME=VALUE"; the others are arguments and are also given to
 * each parser.
 */
#include "fuzz.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "base/when.h"
#include "cli/options.h"

#include <stdio.h>
#include <stdlib.h>

#define ARGS_MAX 64

struct values {
    const char *text, *listen;
    int64_t number, duration, size, choice;
    bool on;
    struct option_list list;
};

static const char *const choices[] = {"debug", "info", "warn", "error", NULL};

#define AT(member) offsetof(struct values, member)

/* clang-format off */
static const struct option table[] = {
    {"data", "FUZZ_DATA", OPTION_TEXT, AT(text), "./data", "DIR", "text", 0, 0, NULL, false},
    {"listen", "FUZZ_LISTEN", OPTION_HOST_PORT, AT(listen), "127.0.0.1:9092", "HOST:PORT",
     "host and port", 0, 0, NULL, false},
    {"threads", "FUZZ_THREADS", OPTION_INT, AT(number), "0", "N", "number", 0, 64, NULL, false},
    {"delay", "FUZZ_DELAY", OPTION_DURATION, AT(duration), "3s", "TIME", "time", 0, 300000, NULL,
     false},
    {"size", "FUZZ_SIZE", OPTION_SIZE, AT(size), "1MiB", "SIZE", "size", 1, 1 << 30, NULL, false},
    {"auto", "FUZZ_AUTO", OPTION_SWITCH, AT(on), "on", NULL, "switch", 0, 0, NULL, false},
    {"level", "FUZZ_LEVEL", OPTION_CHOICE, AT(choice), "info", "LEVEL", "choice", 0, 0, choices,
     false},
    {"set", NULL, OPTION_LIST, AT(list), NULL, "KEY=VALUE", "list", 0, 0, NULL, false},
};
/* clang-format on */

static const struct option_set set = {.usage = "fuzz [options] [ARG...]",
                                      .about = "Takes anything.",
                                      .options = table,
                                      .n = sizeof table / sizeof table[0],
                                      .args = "anything",
                                      .args_min = 0,
                                      .args_max = 3};

static void try_parsers(const char *text)
{
    struct str s = str_of(text);
    int64_t a = -77, b = -77, c = -77;
    uint16_t port = 7;
    char host[20], printed[UUID_TEXT_MAX];
    struct uuid id, again;
    if (str_to_i64(s, &a))
        weir_assert(a == -77);
    if (str_to_duration_ms(s, &b))
        weir_assert(b == -77);
    if (str_to_size(s, &c))
        weir_assert(c == -77);
    if (str_to_host_port(s, host, sizeof host, &port) == ERR_OK)
        weir_assert(strlen(host) < sizeof host);
    else
        weir_assert(port == 7);
    if (uuid_parse(text, &id) == ERR_OK) {
        uuid_format(id, printed);
        weir_assert(strlen(printed) == UUID_TEXT_MAX - 1);
        enum err err = uuid_parse(printed, &again);
        weir_assert(err == ERR_OK && uuid_eq(id, again));
    }
    int64_t ms = -77;
    if (!when_datetime(s, &ms))
        weir_assert(ms == -77);
    ms = -77;
    if (!when_duration(s, &ms))
        weir_assert(ms == -77);
    (void)utf8_valid(text, s.len);
    weir_assert(str_distance(s, s) == 0);
    weir_assert(str_distance(s, STR_LIT("listen")) == str_distance(STR_LIT("listen"), s));
}

static bool is_one_of(const char *s, char **argv, int argc)
{
    for (int i = 1; i < argc; i++) {
        if (s >= argv[i] && s <= argv[i] + strlen(argv[i]))
            return true;
    }
    return false;
}

/* What was accepted is inside of what the table allows. */
static void check_values(const struct values *v, const char **args, size_t args_n, char **argv,
                         int argc)
{
    char host[256];
    uint16_t port;
    weir_assert(v->number >= 0 && v->number <= 64);
    weir_assert(v->duration >= 0 && v->duration <= 300000);
    weir_assert(v->size >= 1 && v->size <= 1 << 30);
    weir_assert(v->choice >= 0 && v->choice < 4);
    weir_assert(v->text && v->list.n <= OPTION_LIST_MAX);
    weir_assert(v->listen && (strncmp(v->listen, "unix:", 5) == 0 ||
                              str_to_host_port(str_of(v->listen), host, 256, &port) == ERR_OK));
    weir_assert(args_n <= set.args_max);
    for (size_t i = 0; i < args_n; i++)
        weir_assert(is_one_of(args[i], argv, argc));
    for (size_t i = 0; i < v->list.n; i++)
        weir_assert(is_one_of(v->list.at[i], argv, argc));
}

static void try_options(char **argv, int argc)
{
    struct values values;
    struct err_text text = {{0}};
    const char *args[3];
    size_t args_n = 0;
    bool help = false;
    memset(&values, 0, sizeof values);
    enum err err = options_parse(&set, argc, argv, &values, args, &args_n, &help, &text);
    weir_assert(memchr(text.s, 0, sizeof text.s));
    if (err)
        weir_assert(err == ERR_REQUEST_INVALID && text.s[0] != 0);
    else if (!help)
        check_values(&values, args, args_n, argv, argc);
}

static void set_variable(char *text)
{
    char *eq = strchr(text, '=');
    if (!eq || strncmp(text, "FUZZ_", 5) != 0)
        return;
    *eq = 0;
    setenv(text, eq + 1, 1);
    *eq = '=';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char program[] = "fuzz";
    char *argv[ARGS_MAX + 2] = {program}, *copy = mem_alloc(size + 1);
    int argc = 1;
    for (size_t i = 0; i < set.n; i++) {
        if (table[i].env)
            unsetenv(table[i].env);
    }
    if (size)
        memcpy(copy, data, size);
    copy[size] = 0;
    for (char *at = copy; at < copy + size && argc <= ARGS_MAX; at += strlen(at) + 1) {
        if (strncmp(at, "E:", 2) == 0)
            set_variable(at + 2);
        else
            argv[argc++] = at;
    }
    for (int i = 1; i < argc; i++)
        try_parsers(argv[i]);
    try_options(argv, argc);
    mem_free(copy);
    return 0;
}
