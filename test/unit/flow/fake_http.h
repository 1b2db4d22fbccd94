/* fake_http.h: broker/http_client.h in memory: a test looks at the calls that were made and answers
 * them when and as it likes. What a call says is copied when it is made. */
#pragma once

#include "base/list.h"
#include "broker/http_client.h"

#define FAKE_BODY_MAX 65536

struct fake_call {
    struct list link;
    struct http_call *call; /* NULL: answered */
    bool cancelled;         /* http_cancel was called: fake_http_run answers it */
    char method[16], url[512];
    struct {
        char name[128], value[4352];
    } headers[HTTP_CALL_HEADERS_MAX];
    size_t headers_n;
    char body[FAKE_BODY_MAX];
    size_t body_n;
};

struct fake_http {
    struct http_client client; /* first */
    struct list calls;         /* not answered, oldest first */
    struct list over;
    unsigned calls_n, made_n;
};

void fake_http_init(struct fake_http *f);
/* Forgets all; calls that are not answered are lost. */
void fake_http_free(struct fake_http *f);
/* The oldest call that is not answered; NULL: none. */
struct fake_call *fake_http_first(struct fake_http *f);
/* "": there is no such header. */
const char *fake_http_header(const struct fake_call *c, const char *name);
/* The call stays readable until fake_http_free. */
void fake_http_answer(struct fake_http *f, struct fake_call *c, int status, const char *body);
/* With one header. */
void fake_http_answer_with(struct fake_http *f, struct fake_call *c, int status, const char *body,
                           const char *header, const char *value);
void fake_http_fail(struct fake_http *f, struct fake_call *c, enum http_outcome outcome);
/* Answers what was cancelled; true if there was any. */
bool fake_http_run(struct fake_http *f);
