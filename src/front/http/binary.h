/* binary.h: CloudEvents' HTTP protocol binding, binary mode: attributes in ce- fields, data in the
 * body (cloudevents/spec, http-protocol-binding.md, 3.1). Inside of front/http only.
 */
#pragma once

#include "broker/event.h"
#include "front/http/request.h"

/* Has the request a ce- field? */
bool binary_is(const struct http_request *rq);
/* The event in fields and body, which its strings point into. ERR_RECORD_INVALID: text says which
 * field is wrong, and how. */
enum err must_use binary_read(struct http_request *rq, struct event *out, struct err_text *text);
/* Adds the event's fields to the answer, without Content-Type and body. */
void binary_write(struct http_request *rq, const struct event *e);
