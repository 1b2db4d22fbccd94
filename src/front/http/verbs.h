/* verbs.h: the handlers, one file a noun; routes.c names them. Inside of front/http only. */
#pragma once

#include "front/http/request.h"

/* health.c */
void http_healthz(struct http_request *rq);
void http_readyz(struct http_request *rq);
void http_metrics(struct http_request *rq);

/* publish.c */
void http_publish(struct http_request *rq);

/* read_topic.c, tail.c, read_record.c */
void http_read_topic(struct http_request *rq);
void http_tail(struct http_request *rq);
void http_read_record(struct http_request *rq);

/* invoke.c */
void http_invoke(struct http_request *rq);
void http_invoke_route(struct http_request *rq);

/* api_apply.c, api_resource.c */
void http_api_apply(struct http_request *rq);
void http_api_delete(struct http_request *rq);
void http_api_schema(struct http_request *rq);
void http_api_list(struct http_request *rq);
void http_api_get(struct http_request *rq);
void http_api_put(struct http_request *rq);
void http_api_remove(struct http_request *rq);

/* api_letters_list.c, api_letters_peek.c, api_letters_redrive.c */
void http_api_letters(struct http_request *rq);
void http_api_letters_peek(struct http_request *rq);
void http_api_letters_redrive(struct http_request *rq);
/* api_rewind.c */
void http_api_rewind(struct http_request *rq);
