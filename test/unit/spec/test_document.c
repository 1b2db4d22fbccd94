/* Documents: apiVersion, kind, metadata, and how what is wrong with them is named. */
#include "kind.h"

static struct spec_documents docs;
static struct spec_place where;
static struct err_text wrong;

#define HEAD "apiVersion: weir/v1alpha1\nkind: Thing\n"

static void test_several_of_yaml(void **state)
{
    (void)state;
    const char *text = HEAD "metadata: {name: a, labels: {team: risk, tier: \"1\"}}\n"
                            "spec: {title: t}\n"
                            "---\n" HEAD "metadata:\n  name: b\nstatus: {x: 1}\n";
    assert_int_equal(spec_documents_yaml(str_of(text), "f.yaml", &docs, &where, &wrong), 0);
    assert_int_equal(docs.n, 2);
    assert_true(str_is(docs.at[0].kind, "Thing"));
    assert_true(str_is(docs.at[0].name, "a"));
    assert_int_equal(docs.at[0].labels.n, 2);
    assert_true(str_is(docs.at[0].labels.at[1].key, "tier"));
    assert_true(str_is(docs.at[0].labels.at[1].value, "1"));
    assert_int_equal(json_object_size(docs.at[0].spec), 1);
    assert_int_equal(docs.at[0].place.line, 1);
    assert_int_equal(docs.at[1].place.line, 6);
    assert_string_equal(docs.at[1].place.file, "f.yaml");
    assert_null(docs.at[1].spec);
    spec_documents_free(&docs);
}

static void test_json(void **state)
{
    (void)state;
    const char *one = "{\"apiVersion\":\"weir/v1alpha1\",\"kind\":\"Thing\","
                      "\"metadata\":{\"name\":\"a\"},\"spec\":{\"on\":true}}";
    char two[512];
    assert_int_equal(spec_documents_json(str_of(one), NULL, &docs, &where, &wrong), 0);
    assert_int_equal(docs.n, 1);
    assert_true(json_is_true(json_object_get(docs.at[0].spec, "on")));
    spec_documents_free(&docs);
    snprintf(two, sizeof two, "[%s,%s]", one, one);
    assert_int_equal(spec_documents_json(str_of(two), NULL, &docs, &where, &wrong), 0);
    assert_int_equal(docs.n, 2);
    assert_true(str_is(docs.at[1].name, "a"));
    spec_documents_free(&docs);
    assert_int_equal(spec_documents_json(str_of("[]"), NULL, &docs, &where, &wrong), 0);
    assert_int_equal(docs.n, 0);
    spec_documents_free(&docs);
}

static void test_json_has_a_limit(void **state)
{
    json_t *array = json_array();
    (void)state;
    for (size_t i = 0; i <= SPEC_DOCUMENTS_MAX; i++)
        json_array_append_new(array, json_object());
    size_t len = json_dumpb(array, NULL, 0, 0);
    char *text = malloc(len);
    json_dumpb(array, text, len, 0);
    assert_int_equal(spec_documents_json((struct str){text, len}, "f", &docs, &where, &wrong),
                     ERR_CONFIG_INVALID);
    assert_string_equal(wrong.s, "there are more than 1000 documents");
    assert_null(docs.at);
    free(text);
    json_decref(array);
}

static void refused(const char *text, const char *place, const char *says)
{
    char out[256];
    assert_int_equal(spec_documents_yaml(str_of(text), "f.yaml", &docs, &where, &wrong),
                     ERR_CONFIG_INVALID);
    assert_string_equal(spec_place_put(&where, out, sizeof out), place);
    if (!strstr(wrong.s, says))
        fail_msg("'%s' does not say '%s'", wrong.s, says);
    assert_null(docs.at);
}

static void test_refusals_name_the_place(void **state)
{
    (void)state;
    refused("- 1\n", "f.yaml:1", "must be an object");
    refused("apiVersion: v1\n", "f.yaml:1: apiVersion", "must be weir/v1alpha1");
    refused("\napiversion: weir/v1alpha1\n", "f.yaml:2: apiversion", "did you mean apiVersion?");
    refused(HEAD "sepc: {}\nmetadata: {name: x}\n", "f.yaml:3: sepc", "did you mean spec?");
    refused(HEAD "quite_other: {}\n", "f.yaml:3: quite_other", "there is no such field");
    refused("apiVersion: weir/v1alpha1\nmetadata: {name: x}\n", "f.yaml:1: kind", "is missing");
    refused(HEAD, "f.yaml:1: metadata", "is missing");
    refused(HEAD "metadata: {}\n", "f.yaml:3: metadata.name", "is missing");
    refused(HEAD "metadata:\n  name: 12\n", "f.yaml:4: metadata.name", "quotes");
    refused(HEAD "metadata:\n  name: \"\"\n", "f.yaml:4: metadata.name", "must be text");
    refused(HEAD "metadata:\n  nam: x\n", "f.yaml:4: metadata.nam", "did you mean name?");
    refused(HEAD "metadata:\n  name: x\n  labels: {a: 1}\n", "f.yaml:5: metadata.labels",
            "object of texts");
    refused(HEAD "metadata: {name: x}\nspec: [1]\n", "f.yaml:4: spec", "must be an object");
    refused(HEAD "metadata: {name: x}\n---\nkind: Thing\n", "f.yaml:5: apiVersion", "must be");
    refused("a: [\n", "f.yaml:2", "is not YAML");
}

static void test_places(void **state)
{
    (void)state;
    char out[64];
    struct spec_place place = {.file = NULL, .line = 0, .path = ""};
    assert_string_equal(spec_place_put(&place, out, sizeof out), "");
    place.line = 4;
    assert_string_equal(spec_place_put(&place, out, sizeof out), "line 4");
    memcpy(place.path, "spec.x", 7);
    assert_string_equal(spec_place_put(&place, out, sizeof out), "line 4: spec.x");
    place.line = 0;
    assert_string_equal(spec_place_put(&place, out, sizeof out), "spec.x");
    place.file = "f";
    assert_string_equal(spec_place_put(&place, out, sizeof out), "f: spec.x");
}

static void test_kinds_are_found(void **state)
{
    static const struct spec_kind topic = {.name = "Topic"}, *const kinds[] = {&topic, &thing_kind};
    (void)state;
    assert_ptr_equal(spec_kind_find(kinds, 2, str_of("Thing"), &wrong), &thing_kind);
    assert_null(spec_kind_find(kinds, 2, str_of("Tipic"), &wrong));
    assert_string_equal(wrong.s, "there is no kind \"Tipic\"; did you mean Topic?");
    assert_null(spec_kind_find(kinds, 2, str_of("Deployment"), &wrong));
    assert_string_equal(wrong.s, "there is no kind \"Deployment\"; there are Topic, Thing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_of_yaml),  cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_has_a_limit), cmocka_unit_test(test_refusals_name_the_place),
        cmocka_unit_test(test_places),           cmocka_unit_test(test_kinds_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
