/* http_rig.h: the HTTP front on a whole broker in the fake world, and clients of it that are moved
 * by hand: bytes go in when the test says so, answers are parsed strictly by code of our own. */
#pragma once

#include "front/http/conn.h"

#include "../../broker/rig.h"

#define WEBS_MAX 64

struct web;

struct web_client {
    struct pipe pipe;
    struct web *web;
    struct wr got;     /* all that was sent to the client */
    size_t taken;      /* of it, by web_answer */
    size_t output_max; /* pipe_send says no above this many bytes that were not taken */
    bool paused;       /* space() said NULL */
    bool over;         /* pipe_send has said no */
    bool closing, gone, aborted;
};

struct web {
    struct rig rig;
    struct http_front *http;
    const struct http_listener *listener; /* of clients that open; NULL: none in particular */
    struct web_client *clients[WEBS_MAX];
    unsigned n;
    struct arena arena; /* answers live until web_free */
};

/* A whole answer, NUL-terminated texts. */
struct web_answer {
    int status;
    const char *head; /* with its CR LF */
    const char *body;
    size_t body_len;
    bool close;
};

/* conf NULL: the default's; the broker is ready. */
void web_make(struct web *w, unsigned reactors, const struct http_conf *conf);
/* Closes the clients; then nothing may be left. */
void web_free(struct web *w);
/* The fake world, until nothing moves; connections that are to close do. */
void web_run(struct web *w);
struct http_stats web_stats(const struct web *w);

struct web_client *web_open(struct web *w, unsigned reactor);
/* Hands over bytes, as many as the connection takes; returns how many. Nothing else is moved. */
size_t web_push(struct web_client *c, const void *p, size_t n);
/* web_push of a text, and web_run. */
void web_say(struct web_client *c, const char *text);
void web_end(struct web_client *c);
/* The connection breaks. */
void web_break(struct web_client *c);
/* What was sent has left: more may be sent. */
void web_drain(struct web_client *c);

/* The next answer, if it is whole. head_only: it is an answer to HEAD. */
bool web_answer(struct web_client *c, bool head_only, struct web_answer *out);
/* The value of a field of the answer; NULL: not there. */
const char *web_field(struct web *w, const struct web_answer *a, const char *name);
/* web_say on a fresh connection, and its only answer, which must be there. */
struct web_answer web_ask(struct web *w, const char *text);
