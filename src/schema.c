#include "schema.h"

#include "cli/options.h"
#include "front/http/api.h"
#include "spec/json_text.h"

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
    json_text_print(json, JSON_INDENT(2));
    json_decref(json);
    return ferror(stdout) ? 1 : 0;
}
