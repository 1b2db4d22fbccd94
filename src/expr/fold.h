/* fold.h: what is constant in an expression is worked out when it is compiled.
 *
 * An operator whose operands are all constants becomes its result, unless that is an error: then
 * it stays, because whether it is reached is known only when it is evaluated.
 */
#pragma once

#include "expr/program.h"

/* The program's last op, if what stands from `start` on before it are its constant operands. */
void fold(struct expr *e, uint32_t start);
/* Is there exactly one op from `start` on, a constant? */
bool fold_is_constant(const struct expr *e, uint32_t start);
