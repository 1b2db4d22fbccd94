/* expr.h: compiled expressions over one event: subscription filters today, queries later.
 *
 * Two languages compile to one bounded bytecode: CESQL 1.0 (CloudEvents SQL, cesql/spec.md of
 * cloudevents/spec) with `data.` paths into a JSON payload, and Event Grid's filter objects
 * (included event types, subject prefix and suffix, the 19 advanced operators). A program is made
 * once, is immutable, and may be evaluated on any thread, with no allocation and no recursion over
 * input; its steps are bounded by its size, which is bounded by that of the source.
 *
 * What an expression looks at is asked of a struct expr_source, attribute by attribute and only
 * when needed: the payload is not touched where no expression names `data`, and is scanned, not
 * built into a tree, where one does (json_scan.h).
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPR_TEXT_MAX ((size_t)8 << 10) /* bytes of a CESQL expression */
#define EXPR_EVENTGRID_BYTES_MAX ((size_t)64 << 10)
#define EXPR_STACK_MAX 64                    /* values at once; deeper expressions are refused */
#define EXPR_SCRATCH_BYTES ((size_t)8 << 10) /* for texts that an evaluation makes (CONCAT ...) */

enum expr_type {
    EXPR_MISSING, /* the attribute or path is not there */
    EXPR_NULL,    /* JSON null */
    EXPR_BOOLEAN,
    EXPR_INTEGER, /* CESQL's is 32 bits; data paths and Event Grid's numbers have more */
    EXPR_DOUBLE,
    EXPR_STRING,
    EXPR_OTHER, /* a JSON array or object: text holds its source */
};

struct expr_value {
    enum expr_type type;
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct str text; /* EXPR_STRING, EXPR_OTHER; points into the source or the scratch */
    };
};

/* One event. Embedded by its owner; the functions may be called several times. */
struct expr_source {
    /* An attribute by its CloudEvents name ("type", "subject", an extension, "specversion");
     * EXPR_MISSING if it is not there. */
    void (*attribute)(const struct expr_source *source, struct str name, struct expr_value *out);
    /* The payload if it is JSON, else at == NULL. */
    struct str (*data)(const struct expr_source *source);
};

/* CESQL's classes of error. The first one ends the evaluation, whose value is then the zero value
 * of the expression's type (false, 0 or ""), as the specification has it for filters (section 4.1,
 * fail fast): an event never passes a filter that meets an error. */
enum expr_error {
    EXPR_OK,
    EXPR_ERROR_PARSE, /* compile only */
    EXPR_ERROR_MATH,
    EXPR_ERROR_CAST,
    EXPR_ERROR_MISSING_FUNCTION,
    EXPR_ERROR_FUNCTION_EVALUATION,
    EXPR_ERROR_MISSING_ATTRIBUTE,
    EXPR_ERROR_GENERIC,
};
const char *expr_error_name(enum expr_error error);

struct expr;

/* ERR_REQUEST_INVALID: text says what is wrong, at which character, and what would be right. A call
 * of a function that does not exist is such an error already here. */
enum err must_use expr_compile_cesql(struct str source, struct expr **out, struct err_text *text);
/* `json` is the `filter` object of an Event Grid event subscription (2022-06-15): limits and names
 * of the operators as Event Grid has them. */
enum err must_use expr_compile_eventgrid(struct str json, struct expr **out, struct err_text *text);
void expr_free(struct expr *e);
/* Does it name `data` anywhere? */
bool expr_looks_at_data(const struct expr *e);

/* Texts that the value points to live in scratch (EXPR_SCRATCH_BYTES; may be NULL for a caller who
 * does not look at texts), the source and the expression. */
enum expr_error expr_eval(const struct expr *e, const struct expr_source *source, char *scratch,
                          struct expr_value *out);
/* As a filter: true if it evaluates without an error to TRUE. */
bool expr_matches(const struct expr *e, const struct expr_source *source);

/* Many filters over the same event: what they have in common (the lookup of an attribute, an
 * equality of one attribute with many constants) is done once. The set borrows the expressions. */
struct expr_set;
struct expr_set *expr_set_make(const struct expr *const *exprs, size_t n);
void expr_set_free(struct expr_set *set);
/* Sets bit i of hits (n bits, rounded up to 64, words of the caller) where expression i matches;
 * a NULL expression always matches. */
void expr_set_match(const struct expr_set *set, const struct expr_source *source, uint64_t *hits);
