/* verbs.h: the handlers, one file a noun; routes.c names them. Inside of front/http only. */
#pragma once

#include "front/http/request.h"

/* health.c */
void http_healthz(struct http_request *rq);
void http_readyz(struct http_request *rq);
void http_metrics(struct http_request *rq);
