/* Journeys: which hops belong to what was asked for, and the trees that come of them. */
#include "../check.h"

#include "base/mem.h"
#include "cli/journey.h"

#include <stdio.h>
#include <string.h>

#define T1 "0af7651916cd43dd8448eb211c80319c"
#define T2 "1bf7651916cd43dd8448eb211c80319c"

/* Not in their order: an event that is delivered three times, dead-lettered, and redirected from
 * there; another one of another trace. */
static const char *const hops[] = {
    "{\"step\":\"push\",\"at\":1767225610131,\"topic\":\"orders\",\"partition\":0,\"offset\":12,"
    "\"subscription\":\"fraud\",\"attempt\":2,\"outcome\":\"200\",\"trace\":\"" T1 "\","
    "\"id\":\"1234\",\"correlation\":\"c9\"}",
    "{\"step\":\"publish\",\"at\":1767225600123,\"took_us\":900,\"topic\":\"orders\","
    "\"partition\":0,\"offset\":12,\"trace\":\"" T1 "\",\"id\":\"1234\",\"correlation\":\"c9\"}",
    "{\"step\":\"publish\",\"at\":1767225600200,\"topic\":\"orders\",\"partition\":0,\"offset\":13,"
    "\"trace\":\"" T2 "\",\"id\":\"1235\"}",
    "{\"step\":\"publish\",\"at\":1767225610131,\"topic\":\"payments\",\"partition\":2,"
    "\"offset\":9,\"trace\":\"" T1 "\",\"id\":\"p\\\"1\",\"cause\":{\"topic\":\"orders\","
    "\"partition\":0,\"offset\":12,\"subscription\":\"fraud\"}}",
    "{\"step\":\"settle\",\"at\":1767225610131,\"topic\":\"orders\",\"partition\":0,\"offset\":12,"
    "\"subscription\":\"fraud\",\"attempt\":2,\"outcome\":\"accept\"}", /* by its place */
    "{\"step\":\"settle\",\"at\":1767225610131,\"topic\":\"orders\",\"partition\":0,\"offset\":14,"
    "\"subscription\":\"fraud\",\"attempt\":2,\"outcome\":\"accept\"}",
    "{\"step\":\"push\",\"at\":1767225600130,\"took_us\":31000,\"topic\":\"orders\","
    "\"partition\":0,\"offset\":12,\"subscription\":\"fraud\",\"attempt\":1,\"outcome\":\"503\","
    "\"trace\":\"" T1 "\",\"id\":\"1234\"}",
    "{\"step\":\"publish\",\"at\":1767225610140,\"topic\":\"audit\",\"partition\":0,\"offset\":1,"
    "\"trace\":\"" T1 "\",\"cause\":{\"topic\":\"orders\",\"partition\":0,\"offset\":12}}",
    "{\"step\":\"receive\",\"at\":1767225611000,\"topic\":\"payments\",\"partition\":2,"
    "\"offset\":9,\"subscription\":\"bank\",\"attempt\":1,\"trace\":\"" T1 "\"}",
    "{\"step\":\"publish\",\"at\":1767225612000,\"topic\":\"ledger\",\"partition\":0,\"offset\":0,"
    "\"trace\":\"" T1 "\",\"cause\":{\"topic\":\"payments\",\"partition\":2,\"offset\":9}}",
    "not a hop",
    "{}",
    "[1]",
    "{\"step\":\"x\"",
    "{\"step\":5,\"topic\":\"a\",\"trace\":\"" T1 "\"}",
};
#define HOPS (sizeof(hops) / sizeof(hops[0]))

static const char tree[] =
    "trace " T1 "\n"
    "orders/0/12  id 1234  correlation c9\n"
    "|  2026-01-01T00:00:00.123Z             publish      took 900 us\n"
    "|  2026-01-01T00:00:00.130Z +7 ms       push         fraud  attempt 1  503  took 31 ms\n"
    "|  2026-01-01T00:00:10.131Z +10.008 s   push         fraud  attempt 2  200\n"
    "|  2026-01-01T00:00:10.131Z +10.008 s   settle       fraud  attempt 2  accept\n"
    "|- payments/2/9  id p\"1\n"
    "|  |  2026-01-01T00:00:10.131Z +10.008 s   publish\n"
    "|  |  2026-01-01T00:00:11Z     +10.877 s   receive      bank  attempt 1\n"
    "|  `- ledger/0/0\n"
    "|        2026-01-01T00:00:12Z     +11.877 s   publish\n"
    "`- audit/0/1\n"
    "      2026-01-01T00:00:10.140Z +10.017 s   publish\n";

static struct journey *look(const char *id)
{
    struct journey *j = journey_make(str_of(id));
    for (size_t i = 0; i < HOPS; i++)
        journey_seek(j, str_of(hops[i]));
    for (size_t i = 0; i < HOPS; i++)
        journey_take(j, str_of(hops[i]));
    for (size_t i = 0; i < HOPS; i++)
        journey_rest(j, str_of(hops[i]));
    return j;
}

static char *text_of(struct journey *j, void (*write)(struct journey *, struct wr *))
{
    struct wr w;
    wr_init(&w, 64);
    write(j, &w);
    char *text = mem_strndup((const char *)w.buf->data, w.len);
    wr_free(&w);
    return text;
}

static void check_tree(const char *id)
{
    struct journey *j = look(id);
    assert_int_equal(journey_traces(j), 1);
    assert_int_equal(journey_hops(j), 8);
    char *text = text_of(j, journey_write);
    assert_string_equal(text, tree);
    mem_free(text);
    journey_free(j);
}

static void test_tree(void **state)
{
    (void)state;
    check_tree(T1);
    check_tree("00-" T1 "-b9c7c989f97918e1-01");
    check_tree("1234");
    check_tree("c9");
    check_tree("p\"1");
    check_tree("orders/0/12");
    check_tree("payments/2/9");
    check_tree("ledger/0/0");
}

static void test_others(void **state)
{
    static const char *const unknown[] = {"",       "9",     "orders/0/14", "orders/1/12",
                                          "orders", "/0/12", "orders/0/x",  "orders//12",
                                          "fraud"};
    (void)state;
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        struct journey *j = look(unknown[i]);
        assert_int_equal(journey_traces(j), 0);
        assert_int_equal(journey_hops(j), 0);
        journey_free(j);
    }
    struct journey *j = look("1235");
    char *text = text_of(j, journey_write);
    assert_string_equal(text, "trace " T2 "\norders/0/13  id 1235\n"
                              "   2026-01-01T00:00:00.200Z             publish\n");
    mem_free(text);
    journey_free(j);
}

static void test_json(void **state)
{
    (void)state;
    struct journey *j = look("c9");
    char *text = text_of(j, journey_write_json);
    assert_ptr_equal(strstr(text, hops[1]), text); /* by time */
    assert_ptr_equal(strstr(text, hops[6]), text + strlen(hops[1]) + 1);
    assert_null(strstr(text, "1235"));
    mem_free(text);
    journey_free(j);
}

__attribute__((format(printf, 2, 3))) static void add(struct journey *j, const char *fmt, ...)
{
    char hop[400];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(hop, sizeof(hop), fmt, args);
    va_end(args);
    journey_seek(j, (struct str){hop, (size_t)n});
    journey_take(j, (struct str){hop, (size_t)n});
}

#define CHAIN                                                                                      \
    "{\"step\":\"publish\",\"at\":1,\"topic\":\"t\",\"partition\":0,\"offset\":%d,\"trace\":\"" T1 \
    "\",\"cause\":{\"topic\":\"t\",\"partition\":0,\"offset\":%d}}"

/* Events that cause each other, in a circle, and long chains: nothing is drawn twice, all ends. */
static void test_circles_and_chains(void **state)
{
    (void)state;
    for (int circle = 0; circle < 2; circle++) {
        struct journey *j = journey_make(STR_LIT(T1));
        for (int i = 1; i < 200; i++)
            add(j, CHAIN, i, i - 1);
        if (circle)
            add(j, CHAIN, 0, 199);
        char *text = text_of(j, journey_write);
        size_t lines = 0;
        for (const char *p = text; *p != '\0'; p++)
            lines += *p == '\n';
        assert_int_equal(lines, circle ? 1 + 2 * 200 : 1 + 2 * 199);
        mem_free(text);
        journey_free(j);
    }
    struct journey *j = journey_make(STR_LIT(T1));
    add(j, CHAIN, 7, 7);
    char *text = text_of(j, journey_write);
    assert_non_null(strstr(text, "t/0/7\n"));
    mem_free(text);
    journey_free(j);
}

/* What others wrote does not reach the terminal as commands. */
static void test_control_characters(void **state)
{
    (void)state;
    struct journey *j = journey_make(STR_LIT(T1));
    add(j,
        "{\"step\":\"push\",\"at\":%d,\"topic\":\"t\",\"partition\":0,\"offset\":%d,\"trace\":\"" T1
        "\",\"outcome\":\"\\u001b[2J\",\"id\":\"\\n\"}",
        1, 1);
    char *text = text_of(j, journey_write);
    assert_null(strchr(text, '\x1b'));
    assert_non_null(strstr(text, "id ?\n"));
    mem_free(text);
    journey_free(j);
}

static void test_limits(void **state)
{
    (void)state;
    struct journey *j = journey_make(STR_LIT("same"));
    for (int i = 0; i <= JOURNEY_TRACES_MAX; i++) {
        assert_false(journey_cut(j));
        add(j,
            "{\"step\":\"push\",\"at\":1,\"topic\":\"t\",\"partition\":0,\"offset\":%d,"
            "\"trace\":\"%d\",\"id\":\"same\"}",
            i, i);
    }
    assert_true(journey_cut(j));
    assert_int_equal(journey_traces(j), JOURNEY_TRACES_MAX);
    journey_free(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_circles_and_chains),
        cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
