/* function_route.h: the paths at which functions with an HTTP trigger are found, as Azure Functions
 * has them: behind /api/, the function's name or its azure.trigger.route.
 *
 *     products/{category}/{id:int?}     products, one segment, and a number that may be missing
 *     files/{*path}                     files, and what follows, however much
 *
 * Literals are of any case. A parameter takes a whole segment; constraints are int, alpha and guid.
 * Only the last may be optional, or take the rest. Of several templates that match, the one rules
 * that is more particular in the first segment where they differ: a literal before a constrained
 * parameter, before any, before the rest. Several functions may share a route, with other methods.
 *
 * Pure.
 */
#pragma once

#include "base/arena.h"
#include "broker/document.h"
#include "broker/http_client.h"

#define FUNCTION_ROUTE_MAX 512     /* bytes */
#define FUNCTION_ROUTE_SEGMENTS 16 /* and so parameters */

struct broker;

/* ERR_CONFIG_INVALID: it is none; text says why. */
enum err must_use function_route_check(struct str route, struct err_text *text);

/* Is it a method that functions can be called with, in any case? */
bool function_method_is(struct str method);
/* Does the function take it, by azure.trigger.methods? */
bool function_takes_method(const struct function_conf *f, const char *method);
/* Those that it takes, "GET, POST"; appended to those that are in out already. */
void function_methods_put(const struct function_conf *f, char *out, size_t cap);

struct function_match {
    const struct document *function; /* valid until the end of the turn */
    struct http_header params[FUNCTION_ROUTE_SEGMENTS];
    size_t params_n; /* optional ones that are missing are left out */
};

/* segments: of the path behind /api/, percent-decoded, in one text with a '/' between. Parameters
 * point into it and into the function.
 * ERR_NOT_FOUND; ERR_METHOD: `allow` (INVOKE_ALLOW_MAX bytes) has those that are taken there. */
enum err must_use function_route_find(struct broker *b, const struct str *segments,
                                      size_t segments_n, const char *method,
                                      struct function_match *out, char *allow);
