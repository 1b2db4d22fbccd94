/* cesql.h: CESQL text to a program (cesql/spec.md of cloudevents/spec, version 1.0.0).
 *
 * The parser is an operator-precedence one with two stacks of its own: operands, each of which is
 * the code that makes one value, and what waits for operands (operators, parentheses, calls, sets).
 * Code is written at once and in order; what is constant is worked out on the way (fold.h). Depth
 * is bounded by EXPR_STACK_MAX and CESQL_NESTING_MAX, never by the C stack.
 *
 * What weir has beyond CESQL is an error in CESQL: data paths, decimal numbers, and, in expressions
 * that name `data`, integers of 64 bits. docs/filters.md is the manual for users.
 *
 * Where the specification leaves a choice: AND, OR and XOR have one precedence and group from the
 * left (section 3.6), '' inside '...' is one quote, arithmetic beyond 32 bits is a MathError.
 */
#pragma once

#include "expr/expr.h"

#define CESQL_NESTING_MAX 256 /* operators, parentheses and calls that wait at once */

/* EXPR_ERROR_PARSE or EXPR_ERROR_MISSING_FUNCTION: *out is not set, text says what is wrong. */
enum expr_error cesql_compile(struct str source, struct expr **out, struct err_text *text);
