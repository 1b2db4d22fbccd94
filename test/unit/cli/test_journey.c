/* Journeys: which hops belong to what was asked for, and the trees that come of them. */
#include "../check.h"

#include "base/mem.h"
#include "cli/journey.h"

#include <stdio.h>
#include <string.h>

#define T1 "0af7651916cd43dd8448eb211c80319c"
#define T2 "1bf7651916cd43dd8448eb211c80319c"

/* Not in their order: an event that a function answers, whose answer is received by one who pulls;
 * that is pushed three times in vain and dead-lettered; and another one of another trace. */
static const char *const hops[] = {
    "{\"step\":\"push\",\"at\":1767225600154.373,\"took_us\":31000,\"waited_us\":300,"
    "\"queued_us\":50,\"topic\":\"orders\",\"partition\":0,\"offset\":12,\"subscription\":"
    "\"fraud\","
    "\"attempt\":1,\"outcome\":\"503\",\"settle\":\"release\",\"settled_us\":240,\"trace\":\"" T1
    "\",\"id\":\"1234\",\"correlation\":\"c9\"}",
    "{\"step\":\"publish\",\"at\":1767225600123.023,\"took_us\":900,\"topic\":\"orders\","
    "\"partition\":0,\"offset\":12,\"trace\":\"" T1 "\",\"id\":\"1234\",\"correlation\":\"c9\"}",
    "{\"step\":\"publish\",\"at\":1767225600200,\"topic\":\"orders\",\"partition\":0,\"offset\":13,"
    "\"trace\":\"" T2 "\",\"id\":\"1235\"}",
    "{\"step\":\"publish\",\"at\":1767225600124.999,\"took_us\":226,\"topic\":\"payments\","
    "\"partition\":2,\"offset\":9,\"trace\":\"" T1 "\",\"id\":\"p\\\"1\",\"cause\":{\"topic\":"
    "\"orders\",\"partition\":0,\"offset\":12,\"subscription\":\"validate\",\"attempt\":1}}",
    "{\"step\":\"push\",\"at\":1767225600374.9,\"took_us\":20000,\"waited_us\":231000,"
    "\"topic\":\"orders\",\"partition\":0,\"offset\":12,\"subscription\":\"fraud\",\"attempt\":2,"
    "\"outcome\":\"503\",\"settle\":\"reject\",\"settled_us\":100}", /* by its place */
    "{\"step\":\"push\",\"at\":1767225600131,\"topic\":\"orders\",\"partition\":0,\"offset\":14,"
    "\"subscription\":\"fraud\",\"attempt\":2,\"outcome\":\"accept\"}",
    "{\"step\":\"call\",\"at\":1767225600124.773,\"took_us\":1400,\"waited_us\":310,"
    "\"queued_us\":40,\"topic\":\"orders\",\"partition\":0,\"offset\":12,"
    "\"subscription\":\"validate\",\"attempt\":1,\"by\":\"check/2\",\"outcome\":\"200\","
    "\"settle\":\"accept\",\"settled_us\":226,\"trace\":\"" T1 "\",\"id\":\"1234\"}",
    "{\"step\":\"dead-letter\",\"at\":1767225600374.95,\"topic\":\"orders\",\"partition\":0,"
    "\"offset\":12,\"subscription\":\"fraud\",\"attempt\":2,\"outcome\":\"max-deliveries\","
    "\"trace\":\"" T1 "\"}",
    "{\"step\":\"publish\",\"at\":1767225600375,\"took_us\":50,\"topic\":\"dead\",\"partition\":0,"
    "\"offset\":1,\"trace\":\"" T1 "\",\"cause\":{\"topic\":\"orders\",\"partition\":0,"
    "\"offset\":12,\"subscription\":\"fraud\",\"attempt\":2}}",
    "{\"step\":\"publish\",\"at\":1767225600125,\"topic\":\"audit\",\"partition\":0,\"offset\":1,"
    "\"trace\":\"" T1 "\",\"cause\":{\"topic\":\"orders\",\"partition\":0,\"offset\":12}}",
    "{\"step\":\"receive\",\"at\":1767225600130,\"waited_us\":5000,\"topic\":\"payments\","
    "\"partition\":2,\"offset\":9,\"subscription\":\"bank\",\"attempt\":1,\"trace\":\"" T1 "\"}",
    "{\"step\":\"settle\",\"at\":1767225600180.5,\"took_us\":500,\"topic\":\"payments\","
    "\"partition\":2,\"offset\":9,\"subscription\":\"bank\",\"outcome\":\"accept\",\"trace\":\"" T1
    "\"}",
    "{\"step\":\"publish\",\"at\":1767225600180,\"topic\":\"ledger\",\"partition\":0,\"offset\":0,"
    "\"trace\":\"" T1 "\",\"cause\":{\"topic\":\"payments\",\"partition\":2,\"offset\":9,"
    "\"subscription\":\"bank\"}}",
    "not a hop",
    "{}",
    "[1]",
    "{\"step\":\"x\"",
    "{\"step\":5,\"topic\":\"a\",\"trace\":\"" T1 "\"}",
};
#define HOPS (sizeof(hops) / sizeof(hops[0]))

static const char tree[] =
    "trace " T1 "  from 2026-01-01T00:00:00.122Z  252.9 ms\n"
    "                                 start   wait .  queue -   took = settle :  0     252.9 ms\n"
    "orders/0/12  id 1234  correlation c9\n"
    " publish                         0.000                      0.900           =\n"
    " call validate  200  (check/2)\n"
    "                                 0.900    0.310    0.040    1.400    0.226  =\n"
    "  payments/2/9  id p\"1\n"
    "   publish                       2.650                      0.226           =\n"
    "   receive bank                  2.877    5.000                             .\n"
    "   settle bank  accept           7.877                      50.00    0.500  ===:\n"
    "    ledger/0/0\n"
    "     publish                     57.88                                         *\n"
    " push fraud  503  release        0.900    0.300    0.050    31.00    0.240  =:\n"
    " push fraud #2  503  reject      32.49    200.3             20.00    0.100   ...........=:\n"
    " dead-letter fraud #2  max-deliveries\n"
    "                                 252.8                                                   *\n"
    "  dead/0/1\n"
    "   publish                       252.8                      0.050                        =\n"
    "  audit/0/1\n"
    "   publish                       2.877                                      *\n";

static const char other[] = "trace " T2 "  from 2026-01-01T00:00:00.200Z  0.000 ms\n"
                            "                    start   wait .  queue -   took = settle :  0\n"
                            "orders/0/13  id 1235\n"
                            " publish            0.000                                      *\n";

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

static void write_text(struct journey *j, struct wr *w)
{
    journey_write(j, 90, w);
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
    assert_int_equal(journey_hops(j), 11);
    char *text = text_of(j, write_text);
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
    char *text = text_of(j, write_text);
    assert_string_equal(text, other);
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
        char *text = text_of(j, write_text);
        size_t lines = 0;
        for (const char *p = text; *p != '\0'; p++)
            lines += *p == '\n';
        assert_int_equal(lines, circle ? 2 + 2 * 200 : 2 + 2 * 199);
        mem_free(text);
        journey_free(j);
    }
    struct journey *j = journey_make(STR_LIT(T1));
    add(j, CHAIN, 7, 7);
    char *text = text_of(j, write_text);
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
    char *text = text_of(j, write_text);
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
