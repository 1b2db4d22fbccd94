#include "sim_http.h"

#include "base/list.h"
#include "base/mem.h"

#include <stdio.h>

struct sim_call {
    struct env_timer timer;
    struct sim_http *http;
    struct http_call *call;
    struct sim_answer answer;
    bool arrived, cancelled;
};

static void finish(struct sim_call *c)
{
    struct http_call *call = c->call;
    call->outcome = c->cancelled ? HTTP_CANCELLED : c->answer.outcome;
    call->status = call->outcome == HTTP_ANSWERED ? c->answer.status : 0;
    struct http_header type = {STR_LIT("content-type"), str_of(c->answer.type)};
    struct wr body = c->answer.body;
    call->answer_headers = &type;
    call->answer_headers_n = call->outcome == HTTP_ANSWERED && c->answer.type != NULL;
    call->answer = (struct str){NULL, 0};
    if (call->answer_headers_n > 0)
        call->answer = (struct str){(const char *)body.buf->data, body.len};
    call->answer_cut = false;
    call->took_us = c->http->way_us + c->answer.after_us;
    snprintf(call->error, sizeof call->error, "%s",
             call->outcome == HTTP_ANSWERED ? "" : "as simulated");
    call->private = NULL;
    if (!c->cancelled)
        c->http->answered(c->http->arg, call);
    mem_free(c);
    call->done(call);
    wr_free(&body);
}

static void fire(struct env_timer *timer)
{
    struct sim_call *c = container_of(timer, struct sim_call, timer);
    if (c->arrived || c->cancelled) {
        finish(c);
        return;
    }
    c->arrived = true;
    c->answer = c->http->endpoint(c->http->arg, c->call);
    env_timer_set(c->http->env, timer, c->answer.after_us);
}

static void sim_call(struct http_client *client, struct http_call *call)
{
    struct sim_http *h = container_of(client, struct sim_http, client);
    struct sim_call *c = mem_zalloc(1, sizeof *c);
    c->timer.fire = fire;
    c->http = h;
    c->call = call;
    call->private = c;
    env_timer_set(h->env, &c->timer, h->way_us);
}

static void sim_cancel(struct http_client *client, struct http_call *call)
{
    struct sim_http *h = container_of(client, struct sim_http, client);
    struct sim_call *c = call->private;
    if (!c)
        return;
    c->cancelled = true;
    env_timer_set(h->env, &c->timer, 0);
}

static const struct http_client_ops ops = {sim_call, sim_cancel};

void sim_http_init(struct sim_http *h, struct env *env, sim_endpoint_fn *endpoint,
                   sim_answered_fn *answered, void *arg)
{
    *h = (struct sim_http){.client.ops = &ops,
                           .env = env,
                           .endpoint = endpoint,
                           .answered = answered,
                           .arg = arg,
                           .way_us = 200};
}
