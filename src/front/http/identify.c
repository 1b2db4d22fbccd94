/* Who calls: the one place of this front that puts a principal into an actor. */
#include "front/http/conn.h"

#define ANONYMOUS "User:ANONYMOUS"

enum err http_identify(struct http_request *rq, struct err_text *text)
{
    const struct http_listener *listener = rq->conn->listener;
    rq->actor = (struct actor){.tenant = ACTOR_TENANT_DEFAULT,
                               .principal = ANONYMOUS,
                               .client_id = http_field(rq, "user-agent"),
                               .address = rq->conn->peer};
    if (listener->authenticate && !(rq->route->flags & HTTP_PUBLIC))
        return err_say(text, ERR_AUTH_FAILED, "this address takes no call without a credential");
    return ERR_OK;
}
