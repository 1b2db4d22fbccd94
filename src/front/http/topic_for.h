/* topic_for.h: the topic that a path names; made where it is missing and the broker may make what
 * clients name. Inside of front/http only. */
#pragma once

#include "front/http/request.h"

/* t: valid during the call; NULL with an error: ERR_TOPIC_UNKNOWN, or why it could not be made. */
typedef void http_topic_fn(struct http_request *rq, const struct topic *t, enum err err,
                           const struct err_text *text);

/* then is called once, perhaps from inside. */
void http_topic_or_create(struct http_request *rq, struct str name, http_topic_fn *then);
/* As it is there now. text says what there is to do. */
enum err must_use http_topic(struct http_request *rq, struct str name, const struct topic **out,
                             struct err_text *text);
