/* thing_schema: prints the schema of kind.h's kind, for check_schema.py. */
#include "kind.h"

#include <stdio.h>

int main(void)
{
    static const struct spec_kind *const kinds[] = {&thing_kind};
    json_t *schema = spec_schema(kinds, 1);
    int failed = json_dumpf(schema, stdout, JSON_INDENT(2));
    json_decref(schema);
    return failed ? 1 : 0;
}
