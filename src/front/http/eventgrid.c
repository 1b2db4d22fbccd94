#include "front/http/eventgrid.h"

#include "base/json.h"
#include "broker/access.h"

#include <string.h>

/* Event Grid's words for the statuses; what has none keeps the broker's own. */
static const struct {
    int status;
    const char *code;
} codes[] = {
    {400, "BadRequest"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "NotFound"},
    {405, "MethodNotAllowed"},
    {409, "Conflict"},
    {410, "Gone"},
    {413, "PayloadTooLarge"},
    {415, "UnsupportedMediaType"},
    {429, "TooManyRequests"},
    {500, "InternalServerError"},
    {503, "ServiceUnavailable"},
};

const char *eventgrid_problem(struct wr *w, int status, const char *code, const char *detail)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i].status == status)
            code = codes[i].code;
    }
    wr_text(w, "{\"error\":{\"code\":");
    json_write_string(w, str_of(code));
    wr_text(w, ",\"message\":");
    json_write_string(w, str_of(detail));
    wr_text(w, "}}");
    return "application/json; charset=utf-8";
}

bool eventgrid_is_namespace(struct str path)
{
    const char word[] = "/providers/Microsoft.EventGrid/namespaces/";
    for (size_t i = 0; i + sizeof word - 1 <= path.len; i++) {
        if (!strncasecmp(path.at + i, word, sizeof word - 1))
            return true;
    }
    return false;
}

bool eventgrid_sees(struct http_request *rq, const struct topic *topic)
{
    return access_roles(rq->broker, &rq->actor, ACCESS_TOPIC, str_of(topic->name)) != 0;
}

const struct topic *eventgrid_topic(struct http_request *rq, struct str name)
{
    const struct topic *topic = broker_topic(rq->broker, name);
    if (topic && eventgrid_sees(rq, topic))
        return topic;
    http_answer_problem(rq, 404, "NotFound", "there is no topic %.*s", (int)name.len, name.at);
    return NULL;
}

const struct subscription *eventgrid_subscription(struct http_request *rq,
                                                  const struct topic *topic, struct str name)
{
    const struct subscription *s = broker_subscription(rq->broker, &topic->id, name);
    if (!s)
        http_answer_problem(rq, 404, "NotFound", "topic %s has no event subscription %.*s",
                            topic->name, (int)name.len, name.at);
    return s;
}
