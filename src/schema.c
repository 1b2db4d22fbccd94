#include "schema.h"

#include "cli/options.h"
#include "front/http/api.h"

#include <stdio.h>

static const struct option_set set = {
    .usage = "weir schema",
    .about = "Prints the JSON schema (draft 2020-12) of the documents that `weir apply` takes.",
    .example = "weir schema > weir.schema.json\n"
               "  # in a file of resources, for editors that look for it:\n"
               "  # yaml-language-server: $schema=weir.schema.json"};

int schema(int argc, char **argv)
{
    size_t n;
    int end = options_begin(&set, argc, argv, NULL, NULL, &n);
    if (end)
        return end - 1;
    json_t *json = api_schema();
    int failed = json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(json);
    return failed ? 1 : 0;
}
