#include "fake_http.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fake_http *fake_of(struct http_client *c)
{
    return container_of(c, struct fake_http, client);
}

static void copy(char *out, size_t cap, struct str s)
{
    weir_assert(str_copy(out, cap, s));
}

static void fake_call(struct http_client *client, struct http_call *call)
{
    struct fake_http *f = fake_of(client);
    struct fake_call *c = calloc(1, sizeof *c);
    weir_assert(c && call->done && call->headers_n <= HTTP_CALL_HEADERS_MAX);
    c->call = call;
    call->private = c;
    copy(c->method, sizeof c->method, str_of(call->method));
    copy(c->url, sizeof c->url, str_of(call->url));
    for (size_t i = 0; i < call->headers_n; i++) {
        copy(c->headers[i].name, sizeof c->headers[i].name, call->headers[i].name);
        copy(c->headers[i].value, sizeof c->headers[i].value, call->headers[i].value);
    }
    c->headers_n = call->headers_n;
    c->body_n = call->body.len;
    if (call->body.at)
        copy(c->body, sizeof c->body, call->body);
    list_push(&f->calls, &c->link);
    f->calls_n++;
    f->made_n++;
}

static void fake_cancel(struct http_client *client, struct http_call *call)
{
    struct fake_call *c = call->private;
    (void)client;
    if (c)
        c->cancelled = true;
}

static const struct http_client_ops fake_ops = {fake_call, fake_cancel};

void fake_http_init(struct fake_http *f)
{
    *f = (struct fake_http){.client.ops = &fake_ops};
    list_init(&f->calls);
    list_init(&f->over);
}

static void free_all(struct list *calls)
{
    while (!list_empty(calls))
        free(container_of(list_pop(calls), struct fake_call, link));
}

void fake_http_free(struct fake_http *f)
{
    free_all(&f->calls);
    free_all(&f->over);
}

struct fake_call *fake_http_first(struct fake_http *f)
{
    return list_empty(&f->calls) ? NULL : container_of(f->calls.next, struct fake_call, link);
}

const char *fake_http_header(const struct fake_call *c, const char *name)
{
    for (size_t i = 0; i < c->headers_n; i++) {
        if (!strcmp(c->headers[i].name, name))
            return c->headers[i].value;
    }
    return "";
}

static void end(struct fake_http *f, struct fake_call *c, const struct http_call *result)
{
    struct http_call *call = c->call;
    weir_assert(call != NULL);
    c->call = NULL;
    call->private = NULL;
    call->outcome = result->outcome;
    call->status = result->status;
    call->answer = result->answer;
    call->answer_headers = result->answer_headers;
    call->answer_headers_n = result->answer_headers_n;
    call->answer_cut = false;
    call->took_us = 1000;
    snprintf(call->error, sizeof call->error, "%s",
             result->outcome == HTTP_ANSWERED ? "" : "as the script says");
    list_remove(&c->link);
    list_push(&f->over, &c->link);
    f->calls_n--;
    call->done(call);
}

void fake_http_answer_with(struct fake_http *f, struct fake_call *c, int status, const char *body,
                           const char *header, const char *value)
{
    struct http_header h = {str_of(header), str_of(value)};
    end(f, c,
        &(struct http_call){.outcome = HTTP_ANSWERED,
                            .status = status,
                            .answer = str_of(body),
                            .answer_headers = &h,
                            .answer_headers_n = 1});
}

void fake_http_answer(struct fake_http *f, struct fake_call *c, int status, const char *body)
{
    end(f, c,
        &(struct http_call){.outcome = HTTP_ANSWERED, .status = status, .answer = str_of(body)});
}

void fake_http_fail(struct fake_http *f, struct fake_call *c, enum http_outcome outcome)
{
    end(f, c, &(struct http_call){.outcome = outcome});
}

bool fake_http_run(struct fake_http *f)
{
    bool any = false;
    list_for_safe (it, &f->calls) {
        struct fake_call *c = container_of(it, struct fake_call, link);
        if (!c->cancelled)
            continue;
        any = true;
        end(f, c, &(struct http_call){.outcome = HTTP_CANCELLED});
    }
    return any;
}
