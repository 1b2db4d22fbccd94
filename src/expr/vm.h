/* vm.h: runs programs. A loop over instructions on a stack of EXPR_STACK_MAX values: no allocation,
 * no recursion, at most as many steps as the program has instructions. Any thread.
 */
#pragma once

#include "expr/lookup.h"

/* One operator, for whom nothing but its operands counts (no lookup, no jump): args[0] becomes the
 * result, also where it is an error. */
enum expr_error vm_operator(const struct expr *e, const struct op *op, struct expr_value *args,
                            struct scratch *scratch);
/* attribute_at and path_at say which of the lookup's names are the program's; NULL: the same. */
enum expr_error vm_run(const struct expr *e, struct lookup *lookup, const uint16_t *attribute_at,
                       const uint16_t *path_at, struct scratch *scratch, struct expr_value *out);
