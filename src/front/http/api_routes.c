/* api_routes.c: the paths under /api/v1. */
#include "front/http/api.h"
#include "front/http/verbs.h"

/* clang-format off */
const struct http_route api_routes[API_ROUTES] = {
    {METHOD_POST,   HTTP_BODY, "/api/v1/apply",       http_api_apply,  API_BODY_MAX, NULL},
    {METHOD_POST,   HTTP_BODY, "/api/v1/delete",      http_api_delete, API_BODY_MAX, NULL},
    {METHOD_GET,    0,         "/api/v1/schema",      http_api_schema, 0, NULL},
    {METHOD_GET,    0,         "/api/v1/deadletters", http_api_letters, 0, NULL},
    {METHOD_POST,   0,         "/api/v1/deadletters/{}:peek",    http_api_letters_peek, 0, NULL},
    {METHOD_POST,   0,         "/api/v1/deadletters/{}:redrive", http_api_letters_redrive, 0, NULL},
    {METHOD_POST,   0,         "/api/v1/subscriptions/{}/{}:rewind", http_api_rewind, 0, NULL},
    {METHOD_GET,    0,         "/api/v1/{}",          http_api_list,   0, NULL},
    {METHOD_GET,    0,         "/api/v1/{}/{}",       http_api_get,    0, NULL},
    {METHOD_PUT,    HTTP_BODY, "/api/v1/{}/{}",       http_api_put,    0, NULL},
    {METHOD_DELETE, 0,         "/api/v1/{}/{}",       http_api_remove, 0, NULL},
    {METHOD_GET,    0,         "/api/v1/{}/{}/{}",    http_api_get,    0, NULL},
    {METHOD_PUT,    HTTP_BODY, "/api/v1/{}/{}/{}",    http_api_put,    0, NULL},
    {METHOD_DELETE, 0,         "/api/v1/{}/{}/{}",    http_api_remove, 0, NULL},
};
/* clang-format on */
