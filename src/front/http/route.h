/* route.h: which row of the tables a request's path and method mean. Pure. */
#pragma once

#include "front/http/request.h"

/* A path that matched, with what its {} stand for: as it came, percent-encoded. */
struct route_match {
    const struct http_route *route;
    struct str params[HTTP_PARAMS_MAX];
    unsigned params_n;
};

/* The first row that matches both; else route NULL, and *allowed has the methods of the rows that
 * match the path alone (0: none does). HEAD is served by rows with METHOD_GET. */
void route_find(const struct http_routes *tables, size_t n, enum method method, struct str path,
                struct route_match *out, unsigned *allowed);
/* Does the path match the pattern of request.h? */
bool route_match(const char *pattern, bool no_case, struct str path, struct route_match *out);

/* All tables of this front (routes.c). */
extern const struct http_routes http_tables[];
extern const size_t http_tables_n;
