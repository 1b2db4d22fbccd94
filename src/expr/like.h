/* like.h: the patterns of LIKE: % is any number of characters, _ is one, \% and \_ are themselves.
 *
 * A pattern is cut at its % into pieces once; a text is then matched from both ends inwards, and
 * the pieces between are looked for from left to right, which needs no going back. A piece without
 * _ is found in linear time; with _ it may cost its length at each place, which is why a match is
 * bounded by LIKE_STEPS_MAX. Immutable when made; any thread.
 */
#pragma once

#include "base/arena.h"
#include "expr/expr.h"

#define LIKE_STEPS_MAX ((size_t)1 << 20) /* characters compared against pieces with _ */

struct like;

/* Lives in the arena, as do its texts; NULL: the arena is full. */
struct like *like_make(struct arena *arena, struct str pattern);
/* EXPR_ERROR_GENERIC: LIKE_STEPS_MAX is reached. */
enum expr_error like_match(const struct like *like, struct str text, bool *match);
