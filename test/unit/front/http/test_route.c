/* Which row a path means, and what its {} stand for. */
#include "front/http/route.h"

#include "../../check.h"

#include <stdio.h>
#include <string.h>

/* The parameters of a match, "a|b"; NULL: none. */
static const char *match(const char *pattern, const char *path)
{
    static char out[200];
    struct route_match m;
    size_t n = 0;
    if (!route_match(pattern, false, str_of(path), &m))
        return NULL;
    out[0] = 0;
    for (unsigned i = 0; i < m.params_n; i++)
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%.*s", i ? "|" : "", (int)m.params[i].len,
                              m.params[i].at);
    return out;
}

static void literals_match_whole_segments(void **state)
{
    (void)state;
    assert_non_null(match("/", "/"));
    assert_non_null(match("/a/b", "/a/b"));
    assert_null(match("/a/b", "/a"));
    assert_null(match("/a/b", "/a/b/"));
    assert_null(match("/a/b", "/a/b/c"));
    assert_null(match("/a", "/A"));
    assert_null(match("/a", "/ab"));
    assert_null(match("/ab", "/a"));
    assert_null(match("/a", ""));
    assert_null(match("/a", "*"));
    struct route_match m;
    assert_true(route_match("/Topics/{}", true, str_of("/tOPICS/Ab"), &m));
}

static void a_parameter_is_one_segment(void **state)
{
    (void)state;
    assert_string_equal(match("/topics/{}", "/topics/orders"), "orders");
    assert_string_equal(match("/topics/{}/x/{}", "/topics/a%2Fb/x/7"), "a%2Fb|7");
    assert_null(match("/topics/{}", "/topics/"));
    assert_null(match("/topics/{}", "/topics"));
    assert_null(match("/topics/{}", "/topics/a/b"));
    assert_null(match("/topics/{}", "/topics/a:publish"));
}

static void verbs_stand_behind_a_colon(void **state)
{
    (void)state;
    assert_string_equal(match("/topics/{}:publish", "/topics/a:publish"), "a");
    assert_null(match("/topics/{}:publish", "/topics/a"));
    assert_null(match("/topics/{}:publish", "/topics/:publish"));
    assert_null(match("/topics/{}:publish", "/topics/a:b:publish"));
    assert_null(match("/topics/{}:publish", "/topics/a:Publish"));
    assert_string_equal(match("/t/{}/s/{}:ack", "/t/a/s/b:ack"), "a|b");
}

static void a_star_is_many_segments(void **state)
{
    (void)state;
    assert_string_equal(match("/{*}/providers/x/{}", "/a/b/c/providers/x/n"), "a/b/c|n");
    assert_string_equal(match("/{*}/providers/x/{}/y/{}", "/a/providers/x/n/y/m"), "a|n|m");
    assert_string_equal(match("/s/{}/{*}", "/s/1/a/b"), "1|a/b");
    assert_null(match("/{*}/providers/x/{}", "/providers/x/n"));
    assert_null(match("/{*}/providers/x/{}", "/a/providers/x"));
    assert_null(match("/s/{*}", "/s/"));
    assert_null(match("/s/{*}", "/s"));
}

static void run(struct http_request *rq)
{
    (void)rq;
}

static void rows_are_found_by_path_and_method(void **state)
{
    static const struct http_route a[] = {
        {METHOD_GET, 0, "/x", run, 0, NULL},
        {METHOD_POST, 0, "/x", run, 0, NULL},
    };
    static const struct http_route b[] = {
        {METHOD_GET, 0, "/{}", run, 0, NULL},
        {METHOD_OPTIONS, 0, "/y", run, 0, NULL},
    };
    const struct http_routes tables[] = {{a, 2}, {b, 2}};
    struct route_match m;
    unsigned allowed;
    (void)state;
    route_find(tables, 2, METHOD_GET, str_of("/x"), &m, &allowed);
    assert_ptr_equal(m.route, &a[0]);
    route_find(tables, 2, METHOD_HEAD, str_of("/x"), &m, &allowed);
    assert_ptr_equal(m.route, &a[0]);
    route_find(tables, 2, METHOD_POST, str_of("/x"), &m, &allowed);
    assert_ptr_equal(m.route, &a[1]);
    route_find(tables, 2, METHOD_GET, str_of("/y"), &m, &allowed);
    assert_ptr_equal(m.route, &b[0]);
    assert_int_equal(m.params_n, 1);
    route_find(tables, 2, METHOD_OPTIONS, str_of("/y"), &m, &allowed);
    assert_ptr_equal(m.route, &b[1]);
    route_find(tables, 2, METHOD_PUT, str_of("/x"), &m, &allowed);
    assert_null(m.route);
    assert_int_equal(allowed, METHOD_GET | METHOD_HEAD | METHOD_POST);
    route_find(tables, 2, METHOD_PUT, str_of("/x/y"), &m, &allowed);
    assert_null(m.route);
    assert_int_equal(allowed, 0);
}

/* Every pattern of the real tables can be parsed, and each row can be reached. */
static void the_real_tables_are_well_formed(void **state)
{
    (void)state;
    for (size_t t = 0; t < http_tables_n; t++) {
        for (size_t i = 0; i < http_tables[t].n; i++) {
            const struct http_route *r = &http_tables[t].at[i];
            char path[200];
            size_t n = 0;
            for (const char *p = r->pattern; *p; p++) {
                if (*p == '{')
                    path[n++] = 'q';
                else if (*p != '*' && *p != '}')
                    path[n++] = *p;
            }
            path[n] = 0;
            for (unsigned bit = 1; bit < METHOD_OTHER; bit *= 2) {
                struct route_match m;
                unsigned allowed;
                if (!(r->methods & bit))
                    continue;
                route_find(http_tables, http_tables_n, (enum method)bit, str_of(path), &m,
                           &allowed);
                assert_ptr_equal(m.route, r);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_match_whole_segments),
        cmocka_unit_test(a_parameter_is_one_segment),
        cmocka_unit_test(verbs_stand_behind_a_colon),
        cmocka_unit_test(a_star_is_many_segments),
        cmocka_unit_test(rows_are_found_by_path_and_method),
        cmocka_unit_test(the_real_tables_are_well_formed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
