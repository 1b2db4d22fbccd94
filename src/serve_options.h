/* serve_options.h: what `weir serve` can be told, by flag, environment and file, as one table; and
 * the listeners that follow from it.
 *
 * The file may list listeners; --kafka and --http are the short forms of the two that there are
 * without it, and of the one of that name where they are given beside a list:
 *
 *     listeners:
 *       - {name: inside, protocol: kafka, bind: "127.0.0.1:9092"}
 *       - name: outside
 *         protocol: kafka
 *         bind: "[::]:9093"
 *         advertised: weir.example.com:9093
 *         tls: {certificate: /etc/weir/tls.crt, key: /etc/weir/tls.key}
 *         authentication: required
 */
#pragma once

#include "cli/options.h"

#define SERVE_LISTENERS_MAX 32
#define SERVE_THREADS_MAX 64

enum serve_protocol { SERVE_KAFKA, SERVE_HTTP };
/* auto: while weir itself listens on this machine only. */
enum serve_when { SERVE_AUTO, SERVE_ON, SERVE_OFF };
enum serve_authentication { SERVE_AUTH_AUTO, SERVE_AUTH_REQUIRED, SERVE_AUTH_OPTIONAL };

struct serve_listener_conf {
    struct str name, bind, advertised;
    struct str certificate, key, client_ca; /* files; certificate at NULL: no TLS */
    int64_t protocol;                       /* enum serve_protocol */
    int64_t authentication; /* enum serve_authentication; never AUTO once resolved */
    bool client_required;
};

struct serve_options {
    struct option_state *state;
    const char *config, *data, *kafka, *kafka_advertise, *kafka_advertised_listeners, *http;
    const char *tls_certificate, *tls_key, *tls_client_ca;
    struct option_list http_hosts, http_origins;
    int64_t threads, partitions, group_delay_ms, sasl_session_ms, hops, log_level, http_body_max;
    int64_t scrub; /* bytes a second */
    const char *egress_ca, *egress_proxy, *egress_origin, *validation_url;
    const char *otlp_endpoint, *otlp_headers, *otlp_service;
    int64_t egress_private, commands; /* enum serve_when */
    bool auto_create, allow_anonymous;
    struct spec_list listeners; /* struct serve_listener_conf, as the file has them */
};

extern const struct option_set serve_option_set;

/* The listeners that the options mean, with names, addresses and exposure checked. Texts point into
 * the options. ERR_CONFIG_INVALID: text says what is wrong. ERR_POLICY: one is beyond this machine
 * and would be open to everybody. */
enum err must_use serve_options_listeners(const struct serve_options *o,
                                          struct serve_listener_conf out[SERVE_LISTENERS_MAX],
                                          size_t *n, struct err_text *text);
/* Is the address one that only this machine reaches? */
bool serve_is_loopback(struct str bind);
