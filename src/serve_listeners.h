/* serve_listeners.h: the open ports: each accepts connections, puts TLS on them where it is
 * wanted, and hands them to its protocol's front. */
#pragma once

#include "auth/tls.h"
#include "front/http/http.h"
#include "front/kafka/kafka.h"
#include "io/loop.h"
#include "serve_options.h"

struct serve_listeners;

struct serve_listener {
    struct serve_listeners *all;
    enum serve_protocol protocol;
    char name[72];
    char bind[256];
    bool authenticate;
    struct tls_context *tls; /* NULL: none */
    struct kafka_listener kafka;
    struct http_listener http;
    struct listener *listener; /* NULL: not open */
};

struct serve_listeners {
    struct serve_listener at[SERVE_LISTENERS_MAX];
    size_t n;
    struct kafka_front *kafka;
    struct http_front *http;
};

/* Reads certificates and keys; opens nothing. */
enum err must_use serve_listeners_make(const struct serve_options *o, struct serve_listeners *out,
                                       struct err_text *text);
/* Opens those of the protocol, whose front is there. Text names the listener. */
enum err must_use serve_listeners_open(struct serve_listeners *l, enum serve_protocol protocol,
                                       struct loop **loops, unsigned n, struct err_text *text);
bool serve_listeners_are_open(const struct serve_listeners *l, enum serve_protocol protocol);
void serve_listeners_close(struct serve_listeners *l, enum serve_protocol protocol);
/* The addresses of the protocol's listeners, with commas between; returns out. */
const char *serve_listeners_put(const struct serve_listeners *l, enum serve_protocol protocol,
                                char *out, size_t cap);
/* How a browser on this machine reaches the first HTTP listener, "http://127.0.0.1:8080"; NULL:
 * none is open on an address of its own. Returns out. */
const char *serve_listeners_url(const struct serve_listeners *l, char *out, size_t cap);
/* Reads the certificates again; what cannot be read stays as it was, and is logged. */
void serve_listeners_reload(struct serve_listeners *l);
/* After the loops have stopped. */
void serve_listeners_free(struct serve_listeners *l);
