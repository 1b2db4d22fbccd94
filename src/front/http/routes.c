/* The tables of routes: what this server answers to. */
#include "front/http/api.h"
#include "front/http/eventgrid.h"
#include "front/http/route.h"
#include "front/http/verbs.h"

#define EARLY (HTTP_EARLY | HTTP_PUBLIC)

/* clang-format off */
static const struct http_route operation[] = {
    {METHOD_GET, EARLY,       "/healthz", http_healthz, 0, NULL},
    {METHOD_GET, EARLY,       "/readyz",  http_readyz,  0, NULL},
    {METHOD_GET, HTTP_PUBLIC, "/metrics", http_metrics, 0, NULL},
};

static const struct http_route topics[] = {
    {METHOD_POST, HTTP_BODY | HTTP_BESIDE, "/topics/{}", http_publish, 0, NULL},
    {METHOD_GET, 0, "/topics/{}", http_read_topic, 0, NULL},
    {METHOD_GET, 0, "/topics/{}/partitions/{}/offsets/{}", http_read_record, 0, NULL},
};
/* Each method that a function can be called with: which of them it takes it says itself. */
#define CALLS (METHOD_GET | METHOD_POST | METHOD_PUT | METHOD_PATCH | METHOD_DELETE)

static const struct http_route functions[] = {
    {CALLS, HTTP_BODY, "/functions/{}", http_invoke, 0, NULL},
};

static const struct http_route triggers[] = {
    {CALLS, HTTP_BODY | HTTP_ELSE, "/api/{*}", http_invoke_route, 0, NULL},
};
/* clang-format on */

/* What is asked most stands first. */
const struct http_routes http_tables[] = {
    {topics, sizeof topics / sizeof *topics},
    {functions, sizeof functions / sizeof *functions},
    {api_routes, API_ROUTES},
    {eventgrid_routes, EVENTGRID_ROUTES},
    {triggers, sizeof triggers / sizeof *triggers},
    {operation, sizeof operation / sizeof *operation},
};
const size_t http_tables_n = sizeof http_tables / sizeof *http_tables;
