#include "expr/expr.h"

#include "base/assert.h"
#include "expr/vm.h"

_Static_assert(EXPR_ATTRIBUTES_MAX <= 64, "one word of bits says which are loaded");

enum expr_error expr_eval(const struct expr *e, const struct expr_source *source, char *scratch,
                          struct expr_value *out)
{
    char own[EXPR_SCRATCH_BYTES];
    struct expr_value attributes[EXPR_ATTRIBUTES_MAX];
    struct json_slot slots[EXPR_PATHS_MAX];
    uint64_t loaded = 0;
    struct lookup lookup = {
        source, e->attributes, attributes, &loaded, &e->paths, slots, false,
    };
    struct scratch room = {scratch != NULL ? scratch : own, 0, EXPR_SCRATCH_BYTES};
    return vm_run(e, &lookup, NULL, NULL, &room, out);
}

bool expr_matches(const struct expr *e, const struct expr_source *source)
{
    struct expr_value v;
    return expr_eval(e, source, NULL, &v) == EXPR_OK && v.type == EXPR_BOOLEAN && v.boolean;
}
