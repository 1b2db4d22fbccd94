/* What Event Grid's clients ask for. */
#include "front/http/eventgrid.h"
#include "front/http/http.h"

/* clang-format off */
#define EG eventgrid_problem
#define ARM HTTP_NO_CASE
#define PULL "/topics/{}/eventsubscriptions/{}"
#define PUBLISH (HTTP_BODY | HTTP_BESIDE)
#define PROVIDER "/{*}/providers/Microsoft.EventGrid/"
#define EVENT_SUBSCRIPTION(prefix)                                                                 \
    {METHOD_PUT, ARM | HTTP_BODY, prefix "eventSubscriptions/{}", eventgrid_arm_put, 0, EG},       \
    {METHOD_PATCH, ARM | HTTP_BODY, prefix "eventSubscriptions/{}", eventgrid_arm_patch, 0, EG},   \
    {METHOD_GET, ARM, prefix "eventSubscriptions/{}", eventgrid_arm_get, 0, EG},                   \
    {METHOD_DELETE, ARM, prefix "eventSubscriptions/{}", eventgrid_arm_delete, 0, EG},             \
    {METHOD_GET, ARM, prefix "eventSubscriptions", eventgrid_arm_list, 0, EG},                     \
    {METHOD_POST, ARM, prefix "eventSubscriptions/{}/getFullUrl", eventgrid_arm_full_url, 0, EG},  \
    {METHOD_POST, ARM, prefix "eventSubscriptions/{}/getDeliveryAttributes",                       \
     eventgrid_arm_attributes, 0, EG}
#define ARM_TOPIC(prefix)                                                                          \
    {METHOD_PUT, ARM | HTTP_BODY, prefix "topics/{}", eventgrid_arm_topic_put, 0, EG},             \
    {METHOD_GET, ARM, prefix "topics/{}", eventgrid_arm_topic_get, 0, EG},                         \
    {METHOD_DELETE, ARM, prefix "topics/{}", eventgrid_arm_topic_delete, 0, EG},                   \
    {METHOD_GET, ARM, prefix "topics", eventgrid_arm_topic_list, 0, EG}

const struct http_route eventgrid_routes[EVENTGRID_ROUTES] = {
    {METHOD_POST, PUBLISH, "/topics/{}/api/events", eventgrid_publish, 0, EG},
    {METHOD_POST, PUBLISH, "/topics/{}:publish", eventgrid_publish_namespace, 0, EG},
    {METHOD_POST, 0, PULL ":receive", eventgrid_receive, 0, EG},
    {METHOD_POST, HTTP_BODY, PULL ":acknowledge", eventgrid_acknowledge, 0, EG},
    {METHOD_POST, HTTP_BODY, PULL ":release", eventgrid_release, 0, EG},
    {METHOD_POST, HTTP_BODY, PULL ":reject", eventgrid_reject, 0, EG},
    {METHOD_POST, HTTP_BODY, PULL ":renewLock", eventgrid_renew, 0, EG},
    {METHOD_GET, HTTP_PUBLIC, HTTP_VALIDATION_PATH, eventgrid_validate, 0, EG},
    EVENT_SUBSCRIPTION(PROVIDER "namespaces/{}/topics/{}/"),
    EVENT_SUBSCRIPTION(PROVIDER "topics/{}/"),
    EVENT_SUBSCRIPTION(PROVIDER),
    ARM_TOPIC(PROVIDER "namespaces/{}/"),
    ARM_TOPIC(PROVIDER),
};
/* clang-format on */
