/* assert.h: assertions that stay on in production.
 *
 * weir_assert states what this program's own code guarantees. It is never reachable from input: bad
 * input is an error to the caller (err.h), a failing environment an error or an orderly stop. A
 * failed assertion prints the expression with its place and aborts the process: the log recovers
 * from that, while a process that goes on with a broken invariant may not be recoverable.
 */
#pragma once

#define weir_assert(cond) ((cond) ? (void)0 : weir_assert_fail(#cond, __FILE__, __LINE__, __func__))

/* For a place that the code above it makes unreachable. */
#define weir_unreachable() weir_assert_fail("unreachable", __FILE__, __LINE__, __func__)

/* Magic numbers, first member of a long-lived struct: a stale or foreign pointer fails here. */
#define weir_check(obj, magic_value) weir_assert((obj) != NULL && (obj)->magic == (magic_value))

_Noreturn void weir_assert_fail(const char *expr, const char *file, int line, const char *func);
