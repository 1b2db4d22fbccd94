#include "expect.h"

#include "base/mem.h"
#include "expr/eventgrid.h"

static const char payload[] =
    "{\"n\":5,\"d\":2.5,\"big\":5000000000,\"s\":\"Alpha "
    "Beta\",\"t\":true,\"f\":false,\"nil\":null,"
    "\"o\":{\"x\":{\"y\":\"deep\"},\"n\":-1},\"nums\":[1,2.5,\"x\",null,7],\"strs\":[\"Red\",4,\"Gr"
    "\\u00fcn\"],\"bools\":[false,3],\"empty\":[],\"nested\":[[1],{\"a\":2}],\"objs\":{\"k\":1}}";

static void order(struct event *e)
{
    event_init(e, payload);
    event_set_text(e, "id", "e-1");
    event_set_text(e, "source", "/Shop/EU");
    event_set_text(e, "type", "Order.Created");
    event_set_text(e, "subject", "/orders/42/Items");
    event_set_text(e, "dataversion", "1.0");
    event_set_text(e, "time", "2024-05-01T10:00:00Z");
    event_set_text(e, "specversion", "1.0");
    event_set_text(e, "region", "eu");
    event_set_text(e, "number", "5");
}

struct filter_case {
    const char *filter;
    bool match;
};

/* Filters are written with ' for " here. */
static char *json_of(const char *text)
{
    char *json = mem_strdup(text);
    for (char *c = json; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    return json;
}

static bool matches(const char *filter, const struct event *event)
{
    struct err_text why = {{0}};
    struct expr *e = NULL;
    char *json = json_of(filter);
    if (expr_compile_eventgrid(str_of(json), &e, &why) != ERR_OK)
        fail_msg("%s: %s", filter, why.s);
    bool match = expr_matches(e, &event->source);
    const struct expr *one[] = {e};
    uint64_t hit = 0;
    struct expr_set *set = expr_set_make(one, 1);
    expr_set_match(set, &event->source, &hit);
    assert_int_equal(hit, match);
    expr_set_free(set);
    expr_free(e);
    mem_free(json);
    return match;
}

static void check(const struct filter_case *cases, size_t n)
{
    struct event event;
    order(&event);
    for (size_t i = 0; i < n; i++) {
        if (matches(cases[i].filter, &event) != cases[i].match)
            fail_msg("%s", cases[i].filter);
    }
}

/* One advanced filter. */
struct advanced_case {
    const char *op, *key, *values; /* values: with the name of the field */
    bool plain, arrays;            /* without and with enableAdvancedFilteringOnArrays */
};

static void check_advanced(const struct advanced_case *cases, size_t n)
{
    struct event event;
    order(&event);
    for (size_t i = 0; i < n; i++) {
        const struct advanced_case *c = &cases[i];
        for (int arrays = 0; arrays < 2; arrays++) {
            char filter[512];
            snprintf(filter, sizeof(filter),
                     "{'enableAdvancedFilteringOnArrays':%s,'advancedFilters':[{'operatorType':"
                     "'%s','key':'%s'%s%s}]}",
                     arrays ? "true" : "false", c->op, c->key, c->values[0] ? "," : "", c->values);
            if (matches(filter, &event) != (arrays ? c->arrays : c->plain))
                fail_msg("%s", filter);
        }
    }
}

static void test_simple_filters(void **state)
{
    (void)state;
    static const struct filter_case cases[] = {
        {"{}", true},
        {"{'includedEventTypes':null,'subjectBeginsWith':'','subjectEndsWith':null}", true},
        {"{'includedEventTypes':[]}", true},
        {"{'includedEventTypes':['All']}", true},
        {"{'includedEventTypes':['Order.Created']}", true},
        {"{'includedEventTypes':['x','order.CREATED']}", true},
        {"{'includedEventTypes':['x','y']}", false},
        {"{'includedEventTypes':['Order']}", false},
        {"{'subjectBeginsWith':'/ORDERS/'}", true},
        {"{'subjectBeginsWith':'/ORDERS/','isSubjectCaseSensitive':true}", false},
        {"{'subjectBeginsWith':'/orders/','isSubjectCaseSensitive':true}", true},
        {"{'subjectBeginsWith':'orders'}", false},
        {"{'subjectEndsWith':'/items'}", true},
        {"{'subjectEndsWith':'/items','isSubjectCaseSensitive':true}", false},
        {"{'subjectEndsWith':'/Items','isSubjectCaseSensitive':true}", true},
        {"{'subjectBeginsWith':'/orders','subjectEndsWith':'x'}", false},
        {"{'includedEventTypes':['order.created'],'subjectBeginsWith':'/orders','subjectEndsWith':"
         "'items','advancedFilters':[{'operatorType':'NumberIn','key':'data.n','values':[5]},"
         "{'operatorType':'StringIn','key':'region','values':['EU']}]}",
         true},
        {"{'advancedFilters':[{'operatorType':'NumberIn','key':'data.n','values':[5]},"
         "{'operatorType':'StringIn','key':'region','values':['US']}]}",
         false},
        {"{'advancedFilters':null}", true},
        {"{'advancedFilters':[]}", true},
    };
    check(cases, COUNT_OF(cases));
    struct event bare; /* without subject, type and data */
    event_init(&bare, NULL);
    assert_true(matches("{}", &bare));
    assert_false(matches("{'subjectBeginsWith':'/'}", &bare));
    assert_false(matches("{'includedEventTypes':['x']}", &bare));
    assert_false(matches("{'advancedFilters':[{'operatorType':'NumberIn','key':'data.n','values':"
                         "[5]}]}",
                         &bare));
}

static void test_number_operators(void **state)
{
    (void)state;
    static const struct advanced_case cases[] = {
        {"NumberIn", "data.n", "'values':[1,5]", true, true},
        {"NumberIn", "data.n", "'values':[5.0]", true, true},
        {"NumberIn", "data.n", "'values':[1,2]", false, false},
        {"NumberIn", "data.d", "'values':[2.5]", true, true},
        {"NumberIn", "data.big", "'values':[5000000000]", true, true},
        {"NumberIn", "data.s", "'values':[5]", false, false},
        {"NumberIn", "number", "'values':[5]", false, false}, /* a text */
        {"NumberIn", "data.nothing", "'values':[5]", false, false},
        {"NumberIn", "data.nums", "'values':[7]", false, true},
        {"NumberIn", "data.nums", "'values':[8]", false, false},
        {"NumberNotIn", "data.n", "'values':[1,2]", true, true},
        {"NumberNotIn", "data.n", "'values':[1,5]", false, false},
        {"NumberNotIn", "data.nothing", "'values':[5]", true, true},
        {"NumberNotIn", "data.nil", "'values':[5]", true, true},
        {"NumberNotIn", "data.s", "'values':[5]", true, true},
        {"NumberNotIn", "data.nums", "'values':[7]", true, false},
        {"NumberNotIn", "data.nums", "'values':[8]", true, true},
        {"NumberNotIn", "data.empty", "'values':[8]", true, true},
        {"NumberLessThan", "data.n", "'value':5", false, false},
        {"NumberLessThan", "data.n", "'value':5.5", true, true},
        {"NumberLessThan", "data.nums", "'value':2", false, true},
        {"NumberLessThanOrEquals", "data.n", "'value':5", true, true},
        {"NumberLessThanOrEquals", "data.n", "'value':4.9", false, false},
        {"NumberGreaterThan", "data.n", "'value':5", false, false},
        {"NumberGreaterThan", "data.n", "'value':4", true, true},
        {"NumberGreaterThan", "data.nums", "'value':6", false, true},
        {"NumberGreaterThan", "data.nothing", "'value':-1", false, false},
        {"NumberGreaterThanOrEquals", "data.n", "'value':5", true, true},
        {"NumberGreaterThanOrEquals", "data.n", "'value':6", false, false},
        {"NumberInRange", "data.n", "'values':[[1,2],[5,6]]", true, true},
        {"NumberInRange", "data.n", "'values':[[5,5]]", true, true},
        {"NumberInRange", "data.n", "'values':[[5.1,6]]", false, false},
        {"NumberInRange", "data.nums", "'values':[[6,8]]", false, true},
        {"NumberInRange", "data.nothing", "'values':[[5,5]]", false, false},
        {"NumberNotInRange", "data.n", "'values':[[1,2],[6,7]]", true, true},
        {"NumberNotInRange", "data.n", "'values':[[1,2],[4.9,7]]", false, false},
        {"NumberNotInRange", "data.nothing", "'values':[[1,2]]", false, false},
        {"NumberNotInRange", "data.nums", "'values':[[6,8]]", false, false},
        {"NumberNotInRange", "data.nums", "'values':[[8,9]]", false, true},
        {"BoolEquals", "data.t", "'value':true", true, true},
        {"BoolEquals", "data.t", "'value':false", false, false},
        {"BoolEquals", "data.f", "'value':false", true, true},
        {"BoolEquals", "data.n", "'value':true", false, false},
        {"BoolEquals", "data.nothing", "'value':false", false, false},
        {"BoolEquals", "data.bools", "'value':false", false, true},
        {"BoolEquals", "data.bools", "'value':true", false, false},
    };
    check_advanced(cases, COUNT_OF(cases));
}

static void test_string_operators(void **state)
{
    (void)state;
    static const struct advanced_case cases[] = {
        {"StringIn", "data.s", "'values':['x','ALPHA beta']", true, true},
        {"StringIn", "data.s", "'values':['alpha']", false, false},
        {"StringIn", "data.n", "'values':['5']", false, false}, /* a number */
        {"StringIn", "data.nothing", "'values':['x']", false, false},
        {"StringIn", "data.strs", "'values':['red']", false, true},
        {"StringIn", "data.strs", "'values':['gr\xc3\x9cn']", false, true},
        {"StringNotIn", "data.s", "'values':['x']", true, true},
        {"StringNotIn", "data.s", "'values':['alpha beta']", false, false},
        {"StringNotIn", "data.nothing", "'values':['x']", true, true},
        {"StringNotIn", "data.strs", "'values':['red']", true, false},
        {"StringNotIn", "data.strs", "'values':['blue']", true, true},
        {"StringBeginsWith", "data.s", "'values':['x','alpha']", true, true},
        {"StringBeginsWith", "data.s", "'values':['beta']", false, false},
        {"StringBeginsWith", "data.strs", "'values':['GR']", false, true},
        {"StringNotBeginsWith", "data.s", "'values':['beta']", true, true},
        {"StringNotBeginsWith", "data.s", "'values':['b','alph']", false, false},
        {"StringNotBeginsWith", "data.nothing", "'values':['b']", false, false},
        {"StringNotBeginsWith", "data.n", "'values':['b']", false, false},
        {"StringNotBeginsWith", "data.strs", "'values':['gr']", false, false},
        {"StringNotBeginsWith", "data.strs", "'values':['b']", false, true},
        {"StringEndsWith", "data.s", "'values':['BETA']", true, true},
        {"StringEndsWith", "data.s", "'values':['alpha']", false, false},
        {"StringEndsWith", "data.strs", "'values':['d']", false, true},
        {"StringNotEndsWith", "data.s", "'values':['alpha']", true, true},
        {"StringNotEndsWith", "data.s", "'values':['a']", false, false},
        {"StringNotEndsWith", "data.nothing", "'values':['a']", false, false},
        {"StringContains", "data.s", "'values':['A B']", true, true},
        {"StringContains", "data.s", "'values':['gamma']", false, false},
        {"StringContains", "data.strs", "'values':['\xc3\xbc']", false, true},
        {"StringNotContains", "data.s", "'values':['gamma']", true, true},
        {"StringNotContains", "data.s", "'values':['gamma','pha']", false, false},
        {"StringNotContains", "data.nothing", "'values':['a']", false, false},
        {"StringNotContains", "data.strs", "'values':['e']", false, false},
        {"StringNotContains", "data.empty", "'values':['e']", false, false},
        {"stringin", "data.s", "'values':['alpha beta']", true, true},
        {"IsNullOrUndefined", "data.nothing", "", true, true},
        {"IsNullOrUndefined", "data.nil", "", true, true},
        {"IsNullOrUndefined", "data.n", "", false, false},
        {"IsNullOrUndefined", "data.empty", "", false, false},
        {"IsNullOrUndefined", "region", "", false, false},
        {"IsNullOrUndefined", "nothing", "", true, true},
        {"IsNotNull", "data.nothing", "", false, false},
        {"IsNotNull", "data.nil", "", false, false},
        {"IsNotNull", "data.n", "", true, true},
        {"IsNotNull", "data.o", "", true, true},
        {"IsNotNull", "data.nums", "", true, true},
        {"IsNotNull", "data", "", true, true},
    };
    check_advanced(cases, COUNT_OF(cases));
}

static void test_keys(void **state)
{
    (void)state;
    static const struct advanced_case cases[] = {
        {"StringIn", "id", "'values':['e-1']", true, true},
        {"StringIn", "topic", "'values':['/shop/eu']", true, true},
        {"StringIn", "source", "'values':['/shop/eu']", true, true},
        {"StringIn", "subject", "'values':['/orders/42/items']", true, true},
        {"StringIn", "eventType", "'values':['order.created']", true, true},
        {"StringIn", "type", "'values':['order.created']", true, true},
        {"StringIn", "eventTime", "'values':['2024-05-01t10:00:00z']", true, true},
        {"StringIn", "time", "'values':['2024-05-01T10:00:00Z']", true, true},
        {"StringIn", "dataVersion", "'values':['1.0']", true, true},
        {"StringIn", "specversion", "'values':['1.0']", true, true},
        {"StringIn", "region", "'values':['eu']", true, true},
        {"StringIn", "Region", "'values':['eu']", true, true},
        {"StringIn", "data.o.x.y", "'values':['deep']", true, true},
        {"StringIn", "Data.o.x.y", "'values':['deep']", true, true},
        {"StringIn", "data.O.x.y", "'values':['deep']", false, false},
        {"NumberIn", "data.o.n", "'values':[-1]", true, true},
        {"NumberIn", "data.nested", "'values':[1,2]", false, false},
    };
    check_advanced(cases, COUNT_OF(cases));
}

static void test_all_operators_have_a_row(void **state)
{
    (void)state;
    assert_int_equal(EVENTGRID_OPERATOR_COUNT, 19);
    for (unsigned op = 0; op < EVENTGRID_OPERATOR_COUNT; op++) {
        const struct eventgrid_operator_row *row = eventgrid_operator_row(op);
        /* Those that match without a value: NumberNotIn, StringNotIn, IsNullOrUndefined. */
        bool missing = op == EVENTGRID_NumberNotIn || op == EVENTGRID_StringNotIn ||
                       op == EVENTGRID_IsNullOrUndefined;
        assert_int_equal(row->missing, missing);
        assert_int_equal(row->negative, strstr(row->name, "Not") != NULL);
    }
}

static void check_refused(const char *filter, const char *want)
{
    struct err_text why = {{0}};
    struct expr *e = NULL;
    char *json = json_of(filter);
    assert_int_equal(expr_compile_eventgrid(str_of(json), &e, &why), ERR_REQUEST_INVALID);
    assert_null(e);
    if (strncmp(why.s, want, strlen(want)) != 0)
        fail_msg("%s\n  is   %s\n  not  %s", filter, why.s, want);
    mem_free(json);
}

#define ADVANCED(text) "{'advancedFilters':[" text "]}"

static void test_refused(void **state)
{
    (void)state;
    static const struct expect_case cases[] = {
        {"", "filter: is not JSON: line 1, column 0"},
        {"[]", "filter: must be an object"},
        {"'x'", "filter: must be an object"},
        {"{'a':1,'a':2}", "filter: is not JSON"},
        {"{'subjectBegins':'x'}", "filter.subjectBegins: there is no such field"},
        {"{'includedEventTypes':'x'}", "filter.includedEventTypes: must be an array"},
        {"{'includedEventTypes':['a',1]}", "filter.includedEventTypes[1]: must be a string"},
        {"{'subjectBeginsWith':1}", "filter.subjectBeginsWith: must be a string"},
        {"{'isSubjectCaseSensitive':'yes'}",
         "filter.isSubjectCaseSensitive: must be true or false"},
        {"{'enableAdvancedFilteringOnArrays':1}",
         "filter.enableAdvancedFilteringOnArrays: must be true or false"},
        {"{'advancedFilters':{}}", "filter.advancedFilters: must be an array"},
        {ADVANCED("1"), "filter.advancedFilters[0]: must be an object with operatorType, key"},
        {ADVANCED("{'operatorType':'NumberInn','key':'data.a','values':[1]}"),
         "filter.advancedFilters[0].operatorType: there is no such operator; the nearest is "
         "NumberIn"},
        {ADVANCED("{'key':'data.a','values':[1]}"),
         "filter.advancedFilters[0].operatorType: must be one of Event Grid's operators"},
        {ADVANCED("{'operatorType':'NumberIn','values':[1]}"),
         "filter.advancedFilters[0].key: must be id, topic"},
        {ADVANCED("{'operatorType':'NumberIn','key':'a.b','values':[1]}"),
         "filter.advancedFilters[0].key: must be id, topic"},
        {ADVANCED("{'operatorType':'NumberIn','key':'','values':[1]}"),
         "filter.advancedFilters[0].key: must be id, topic"},
        {ADVANCED("{'operatorType':'NumberIn','key':'data..x','values':[1]}"),
         "filter.advancedFilters[0].key: a name is missing between the dots"},
        {ADVANCED("{'operatorType':'NumberIn','key':'data.','values':[1]}"),
         "filter.advancedFilters[0].key: a name is missing between the dots"},
        {ADVANCED("{'operatorType':'NumberIn','key':'data.a','value':1}"),
         "filter.advancedFilters[0].values: must be an array of one value at least"},
        {ADVANCED("{'operatorType':'NumberIn','key':'data.a','values':[]}"),
         "filter.advancedFilters[0].values: must be an array of one value at least"},
        {ADVANCED("{'operatorType':'NumberIn','key':'data.a','values':[1,'2']}"),
         "filter.advancedFilters[0].values[1]: must be a number"},
        {ADVANCED("{'operatorType':'NumberLessThan','key':'data.a','values':[1]}"),
         "filter.advancedFilters[0].value: must be a number"},
        {ADVANCED("{'operatorType':'BoolEquals','key':'data.a','value':'true'}"),
         "filter.advancedFilters[0].value: must be true or false"},
        {ADVANCED("{'operatorType':'NumberInRange','key':'data.a','values':[1,2]}"),
         "filter.advancedFilters[0].values[0]: must be a pair of numbers [from, to]"},
        {ADVANCED("{'operatorType':'NumberInRange','key':'data.a','values':[[1,2],[3,2]]}"),
         "filter.advancedFilters[0].values[1]: the first number of a range must not be above"},
        {ADVANCED("{'operatorType':'StringIn','key':'data.a','values':[true]}"),
         "filter.advancedFilters[0].values[0]: must be a string"},
        {ADVANCED("{'operatorType':'IsNotNull','key':'data.a','values':[1]}"),
         "filter.advancedFilters[0].values: this operator takes no values"},
        {ADVANCED("{'operatorType':'IsNotNull','key':'data.a'},{'operator':'x'}"),
         "filter.advancedFilters[1].operator: there is no such field"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        check_refused(cases[i].expression, cases[i].want);
}

/* n filters with v values each, of c characters. */
static void check_size(size_t n, size_t v, size_t c, const char *want)
{
    static char filter[1 << 17];
    size_t at = (size_t)snprintf(filter, sizeof(filter), "{'advancedFilters':[");
    for (size_t i = 0; i < n; i++) {
        at += (size_t)snprintf(filter + at, sizeof(filter) - at,
                               "%s{'operatorType':'%s','key':'data.a%zu'", i > 0 ? "," : "",
                               v > 0 ? "StringIn" : "IsNotNull", i);
        for (size_t k = 0; k < v; k++) {
            at += (size_t)snprintf(filter + at, sizeof(filter) - at, "%s",
                                   k > 0 ? ",'" : ",'values':['");
            for (size_t j = 0; j < c; j++)
                at += (size_t)snprintf(filter + at, sizeof(filter) - at, "\xc3\xbc");
            at += (size_t)snprintf(filter + at, sizeof(filter) - at, "'%s", k + 1 == v ? "]" : "");
        }
        at += (size_t)snprintf(filter + at, sizeof(filter) - at, "}");
    }
    snprintf(filter + at, sizeof(filter) - at, "]}");
    struct event event;
    order(&event);
    if (want != NULL)
        check_refused(filter, want);
    else
        assert_false(matches(filter, &event));
}

static void test_limits(void **state)
{
    (void)state;
    check_size(25, 0, 0, NULL);
    check_size(26, 0, 0, "filter.advancedFilters: a subscription has at most 25 advanced filters");
    check_size(5, 5, 1, NULL);
    check_size(1, 25, 1, NULL);
    check_size(2, 13, 1, "filter.advancedFilters[1].values: a subscription's filters have at most");
    check_size(25, 1, 512, NULL);
    check_size(1, 1, 513, "filter.advancedFilters[0].values[0]: must be a string of at most 512");
    check_size(25, 25, 60, "filter: has ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simple_filters),
        cmocka_unit_test(test_number_operators),
        cmocka_unit_test(test_string_operators),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_all_operators_have_a_row),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
