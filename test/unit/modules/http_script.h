/* http_script.h: an HTTP server that does as its script says, on a thread and a free port of
 * loopback. One connection after the other; what is asked is kept for the test to look at. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_SCRIPT_REQUEST_MAX 65536

struct http_script_step {
    const char *answer; /* sent as it is, after a whole request was read; NULL: nothing */
    size_t answer_n;    /* 0: strlen */
    enum {
        THEN_NEXT,  /* the next step is for the same connection */
        THEN_CLOSE, /* the next step is for the next connection */
        THEN_RESET, /* likewise, by RST */
        THEN_HOLD,  /* keeps the connection open until the client closes it */
    } then;
    bool unasked; /* the request is not waited for */
};

struct http_script;

/* The steps stay the caller's. */
struct http_script *http_script_start(const struct http_script_step *steps, size_t n);
uint16_t http_script_port(const struct http_script *s);
/* Waits until all steps are done and the thread has ended. */
void http_script_end(struct http_script *s);
/* After http_script_end: request number i; "" if it did not come. */
const char *http_script_request(const struct http_script *s, size_t i);
unsigned http_script_connections(const struct http_script *s);
void http_script_free(struct http_script *s);
