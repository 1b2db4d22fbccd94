#include "serve_options.h"

#include "base/assert.h"

#include <string.h>

#define AT(member) offsetof(struct serve_options, member)
#define LISTENER(member) offsetof(struct serve_listener_conf, member)

/* ---- tables --------------------------------------------------------------------------------- */

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const protocols[] = {"kafka", "http", NULL};
static const char *const when_choices[] = {"auto", "on", "off", NULL};
static const char *const authentications[] = {"auto", "required", "optional", NULL};

/* clang-format off */
static const struct option table[] = {
    {"config", "WEIR_CONFIG", OPTION_TEXT, AT(config), NULL, "FILE",
     "a file of these options, in YAML, and of listeners", 0, 0, NULL, 0},
    {"data", "WEIR_DATA", OPTION_TEXT, AT(data), "./weir-data", "DIR",
     "where everything durable is kept; made if it does not exist", 0, 0, NULL, 0},
    {"kafka", "WEIR_KAFKA", OPTION_HOST_PORT, AT(kafka), "127.0.0.1:9092", "HOST:PORT",
     "where Kafka clients connect; port 0: any free one", 0, 0, NULL, 0},
    {"kafka-advertise", "WEIR_KAFKA_ADVERTISE", OPTION_HOST_PORT, AT(kafka_advertise), NULL,
     "HOST:PORT",
     "what Kafka clients are told to connect to; unset: the address that they reached", 0, 0, NULL,
     0},
    {"kafka-advertised-listeners", "KAFKA_ADVERTISED_LISTENERS", OPTION_TEXT,
     AT(kafka_advertised_listeners), NULL, "LIST",
     "the same for several listeners, as Kafka writes it: NAME://HOST:PORT,...", 0, 0, NULL, 0},
    {"http", "WEIR_HTTP", OPTION_HOST_PORT, AT(http), "127.0.0.1:8080", "HOST:PORT",
     "where HTTP clients connect: CloudEvents, /api, /healthz, /readyz, /metrics", 0, 0, NULL, 0},
    {"http-host", "WEIR_HTTP_HOST", OPTION_LIST, AT(http_hosts), NULL, "NAME",
     "a name by which an HTTP address of this machine alone may be called, beside localhost; may "
     "be repeated", 0, 0, NULL, 0},
    {"http-origin", "WEIR_HTTP_ORIGIN", OPTION_LIST, AT(http_origins), NULL, "URL",
     "an origin like https://app.example whose web pages may use weir (CORS); may be repeated", 0,
     0, NULL, 0},
    {"http-body-max", "WEIR_HTTP_BODY_MAX", OPTION_SIZE, AT(http_body_max), "1MiB", "SIZE",
     "the largest body of an HTTP request", 1 << 10, 128 << 20, NULL, 0},
    {"tls-certificate", "WEIR_TLS_CERTIFICATE", OPTION_TEXT, AT(tls_certificate), NULL, "FILE",
     "PEM: certificate of all listeners that name none of their own", 0, 0, NULL, 0},
    {"tls-key", "WEIR_TLS_KEY", OPTION_TEXT, AT(tls_key), NULL, "FILE",
     "PEM: the certificate's key, without a passphrase", 0, 0, NULL, 0},
    {"tls-client-ca", "WEIR_TLS_CLIENT_CA", OPTION_TEXT, AT(tls_client_ca), NULL, "FILE",
     "PEM: authorities of client certificates; unset: none is asked for", 0, 0, NULL, 0},
    {"threads", "WEIR_THREADS", OPTION_INT, AT(threads), "0", "N",
     "event loops; 0: one on up to two CPUs, else one a CPU", 0, SERVE_THREADS_MAX, NULL, 0},
    {"scrub", "WEIR_SCRUB", OPTION_SIZE, AT(scrub), "8MiB", "SIZE",
     "how much is read in a second, once a day all that is stored, to find bit rot; 0: nothing",
     0, 1 << 30, NULL, OPTION_LIVE},
    {"partitions", "WEIR_PARTITIONS", OPTION_INT, AT(partitions), "1", "N",
     "partitions of a topic that is created without a number", 1, 10000, NULL, OPTION_LIVE},
    {"auto-create", "WEIR_AUTO_CREATE", OPTION_SWITCH, AT(auto_create), "on", NULL,
     "create a topic when a client first names it", 0, 0, NULL, OPTION_LIVE},
    {"group-delay", "WEIR_GROUP_DELAY", OPTION_DURATION, AT(group_delay_ms), "3s", "TIME",
     "how long a new group waits for more members before its first assignment", 0, 300000, NULL,
     OPTION_LIVE},
    {"hops", "WEIR_HOPS", OPTION_INT, AT(hops), "100", "PERCENT",
     "of how many events the steps are noted in weir.hops, for `weir trace`", 0, 100, NULL,
     OPTION_LIVE},
    {"otlp-endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT", OPTION_TEXT, AT(otlp_endpoint), NULL, "URL",
     "an OpenTelemetry collector that traces are posted to (OTLP/HTTP): http://HOST:4318; unset: "
     "none, see docs/tracing.md",
     0, 0, NULL, 0},
    {"otlp-headers", "OTEL_EXPORTER_OTLP_HEADERS", OPTION_TEXT, AT(otlp_headers), NULL, "K=V,...",
     "headers that it wants, such as a key; better in the environment than on the command line", 0,
     0, NULL, 0},
    {"otlp-service", "OTEL_SERVICE_NAME", OPTION_TEXT, AT(otlp_service), "weir", "NAME",
     "what traces call this weir: the resource's service.name", 0, 0, NULL, 0},
    {"allow-anonymous", "WEIR_ALLOW_ANONYMOUS", OPTION_SWITCH, AT(allow_anonymous), "off", NULL,
     "let calls without a credential in beyond this machine, too: see docs/security.md", 0, 0, NULL,
     0},
    {"commands", "WEIR_COMMANDS", OPTION_CHOICE, AT(commands), "auto", "WHEN",
     "may functions be commands that weir runs? auto: while it listens on loopback only, and "
     "--http-host and --http-origin name nobody; see docs/security.md",
     0, 0, when_choices, 0},
    {"sasl-session", "WEIR_SASL_SESSION", OPTION_DURATION, AT(sasl_session_ms), "0", "TIME",
     "how long a Kafka client's login lasts; it logs in again before that. 0: for ever", 0,
     INT64_C(365) * 24 * 3600 * 1000, NULL, 0},
    {"egress-private", "WEIR_EGRESS_PRIVATE", OPTION_CHOICE, AT(egress_private), "auto", "WHEN",
     "may deliveries go to private addresses and to this machine? auto: while weir listens on "
     "loopback only",
     0, 0, when_choices, 0},
    {"egress-ca", "WEIR_EGRESS_CA", OPTION_TEXT, AT(egress_ca), NULL, "FILE",
     "PEM: authorities of the endpoints' certificates; unset: the system's", 0, 0, NULL, 0},
    {"egress-proxy", "WEIR_EGRESS_PROXY", OPTION_TEXT, AT(egress_proxy), NULL, "URL",
     "HTTP proxy of all deliveries: http://HOST:PORT", 0, 0, NULL, 0},
    {"egress-origin", "WEIR_EGRESS_ORIGIN", OPTION_TEXT, AT(egress_origin), "weir", "NAME",
     "what endpoints are told of who calls: WebHook-Request-Origin, a DNS name", 0, 0, NULL, 0},
    {"validation-url", "WEIR_VALIDATION_URL", OPTION_TEXT, AT(validation_url), NULL, "URL",
     "where owners of Event Grid endpoints confirm a subscription by hand; unset: the first HTTP "
     "listener, if it has an address of its own",
     0, 0, NULL, 0},
    {"log-level", "WEIR_LOG_LEVEL", OPTION_CHOICE, AT(log_level), "info", "LEVEL",
     "least level of log lines on stderr", 0, 0, log_levels, OPTION_LIVE},
};
/* clang-format on */

static const struct spec_field listener_fields[] = {
    {.path = "name",
     .type = SPEC_TEXT,
     .offset = LISTENER(name),
     .max = 64,
     .doc = "what logs and errors call it",
     .required = true},
    {.path = "protocol",
     .type = SPEC_CHOICE,
     .offset = LISTENER(protocol),
     .choices = protocols,
     .doc = "what is spoken there",
     .required = true},
    {.path = "bind",
     .type = SPEC_TEXT,
     .offset = LISTENER(bind),
     .max = 255,
     .doc = "HOST:PORT, [IPV6]:PORT or unix:PATH",
     .required = true},
    {.path = "advertised",
     .type = SPEC_TEXT,
     .offset = LISTENER(advertised),
     .max = 255,
     .doc = "HOST:PORT that Kafka clients are told to connect to; else the address they reached"},
    {.path = "tls.certificate",
     .type = SPEC_TEXT,
     .offset = LISTENER(certificate),
     .doc = "PEM file: the certificate, then those between it and a root"},
    {.path = "tls.key",
     .type = SPEC_TEXT,
     .offset = LISTENER(key),
     .doc = "PEM file: its key, without a passphrase"},
    {.path = "tls.clientCa",
     .type = SPEC_TEXT,
     .offset = LISTENER(client_ca),
     .doc = "PEM file: authorities of client certificates; without it none is asked for"},
    {.path = "tls.clientRequired",
     .type = SPEC_BOOLEAN,
     .offset = LISTENER(client_required),
     .doc = "refuse a connection without a client certificate"},
    {.path = "authentication",
     .type = SPEC_CHOICE,
     .offset = LISTENER(authentication),
     .dflt = "auto",
     .choices = authentications,
     .doc = "required: nothing without a credential; auto: required beyond this machine, unless "
            "allow-anonymous is on"},
};

static const struct spec_field file_fields[] = {
    {.path = "listeners",
     .type = SPEC_LIST,
     .offset = AT(listeners),
     .doc = "where clients connect, instead of what kafka and http say",
     .fields = listener_fields,
     .fields_n = sizeof listener_fields / sizeof listener_fields[0],
     .element_bytes = sizeof(struct serve_listener_conf)},
};

static const struct spec_kind file_kind = {.name = "listeners", .fields = file_fields, .n = 1};

const struct option_set serve_option_set = {
    .usage = "weir serve [options]",
    .about =
        "Runs the broker until SIGTERM or Ctrl-C. What it has acknowledged is on disk: it may\n"
        "be killed at any time. SIGHUP reads the file of options and the certificates again.",
    .example = "weir serve --data /var/lib/weir --kafka 127.0.0.1:9092\n"
               "  kcat -b 127.0.0.1:9092 -L          what a client sees\n"
               "  curl 127.0.0.1:8080/readyz         is it ready?",
    .options = table,
    .n = sizeof table / sizeof table[0],
    .file_option = "config",
    .file_kind = &file_kind,
    .state = AT(state)};

/* ---- which listeners there are -------------------------------------------------------------- */

struct resolving {
    const struct serve_options *o;
    struct serve_listener_conf *at;
    size_t n;
    struct err_text *text;
};

static struct serve_listener_conf *find(struct resolving *r, struct str name)
{
    for (size_t i = 0; i < r->n; i++) {
        if (str_eq(r->at[i].name, name))
            return &r->at[i];
    }
    return NULL;
}

static bool was_given(const struct serve_options *o, const char *name)
{
    return options_source(&serve_option_set, o, name) != OPTION_BY_DEFAULT;
}

/* --kafka and --http: they stand alone, or, given beside a list, name an address of one of it. */
static enum err take_short(struct resolving *r, const char *name, enum serve_protocol protocol,
                           const char *bind)
{
    struct serve_listener_conf *l = find(r, str_of(name));
    if (r->o->listeners.n && !was_given(r->o, name))
        return ERR_OK;
    if (!l && r->n == SERVE_LISTENERS_MAX)
        return err_say(r->text, ERR_CONFIG_INVALID, "there are more than %d listeners",
                       SERVE_LISTENERS_MAX);
    if (!l) {
        l = &r->at[r->n++];
        *l = (struct serve_listener_conf){.name = str_of(name), .protocol = protocol};
    }
    l->bind = str_of(bind);
    return ERR_OK;
}

static enum err take_list(struct resolving *r)
{
    const struct serve_listener_conf *listed = r->o->listeners.at;
    if (r->o->listeners.n > SERVE_LISTENERS_MAX)
        return err_say(r->text, ERR_CONFIG_INVALID, "there are more than %d listeners",
                       SERVE_LISTENERS_MAX);
    for (size_t i = 0; i < r->o->listeners.n; i++) {
        if (find(r, listed[i].name))
            return err_say(r->text, ERR_CONFIG_INVALID,
                           "two listeners have the name %s; names must differ", listed[i].name.at);
        r->at[r->n++] = listed[i];
    }
    return ERR_OK;
}

/* ---- advertised addresses ------------------------------------------------------------------- */

static bool is_host_port(struct str s, bool any_host)
{
    char host[256];
    uint16_t port;
    return str_to_host_port(s, host, sizeof host, &port) == ERR_OK && (any_host || host[0]) &&
           (any_host || port);
}

/* The only one of its protocol, or NULL. */
static struct serve_listener_conf *only_kafka(struct resolving *r)
{
    struct serve_listener_conf *only = NULL;
    for (size_t i = 0; i < r->n; i++) {
        if (r->at[i].protocol != SERVE_KAFKA)
            continue;
        if (only)
            return NULL;
        only = &r->at[i];
    }
    return only;
}

static enum err take_advertise(struct resolving *r)
{
    struct serve_listener_conf *l = find(r, STR_LIT("kafka"));
    if (!r->o->kafka_advertise)
        return ERR_OK;
    if (!l || l->protocol != SERVE_KAFKA)
        l = only_kafka(r);
    if (!l)
        return err_say(r->text, ERR_CONFIG_INVALID,
                       "--kafka-advertise: there are several Kafka listeners and none is named "
                       "kafka; say `advertised` in the list of listeners");
    l->advertised = str_of(r->o->kafka_advertise);
    return ERR_OK;
}

static bool is_name(struct str a, struct str b)
{
    return a.len == b.len && strncasecmp(a.at, b.at, a.len) == 0;
}

/* Kafka's name of what a listener speaks. */
static bool speaks(const struct serve_listener_conf *l, struct str protocol)
{
    bool tls = l->certificate.at != NULL;
    return tls ? is_name(protocol, STR_LIT("SSL")) || is_name(protocol, STR_LIT("SASL_SSL"))
               : is_name(protocol, STR_LIT("PLAINTEXT")) ||
                     is_name(protocol, STR_LIT("SASL_PLAINTEXT"));
}

/* The listener that an entry of KAFKA_ADVERTISED_LISTENERS is about: by name, else by what it
 * speaks; a single one is meant in any case. */
static struct serve_listener_conf *find_advertised(struct resolving *r, struct str name,
                                                   bool single)
{
    struct serve_listener_conf *by_protocol = NULL;
    for (size_t i = 0; i < r->n; i++) {
        if (r->at[i].protocol != SERVE_KAFKA)
            continue;
        if (is_name(r->at[i].name, name))
            return &r->at[i];
        if (!by_protocol && speaks(&r->at[i], name))
            by_protocol = &r->at[i];
    }
    return by_protocol || !single ? by_protocol : only_kafka(r);
}

/* "NAME://HOST:PORT" */
static enum err take_entry(struct resolving *r, struct str entry, bool single)
{
    const char *slashes = memmem(entry.at, entry.len, "://", 3);
    struct str name = {entry.at, slashes ? (size_t)(slashes - entry.at) : 0};
    struct str address = {slashes ? slashes + 3 : NULL, slashes ? entry.len - name.len - 3 : 0};
    int shown = (int)(entry.len < 100 ? entry.len : 100);
    if (!slashes || !is_host_port(address, false))
        return err_say(r->text, ERR_CONFIG_INVALID,
                       "KAFKA_ADVERTISED_LISTENERS: '%.*s' is not NAME://HOST:PORT", shown,
                       entry.at);
    struct serve_listener_conf *l = find_advertised(r, name, single);
    if (!l)
        return err_say(r->text, ERR_CONFIG_INVALID,
                       "KAFKA_ADVERTISED_LISTENERS: '%.*s' names no Kafka listener that there is",
                       shown, entry.at);
    if (!l->advertised.at)
        l->advertised = address;
    return ERR_OK;
}

static enum err take_advertised_listeners(struct resolving *r)
{
    const char *at = r->o->kafka_advertised_listeners;
    enum err err = ERR_OK;
    bool single = at && !strchr(at, ',');
    while (at && *at && !err) {
        size_t len = strcspn(at, ",");
        size_t blanks = strspn(at, " ");
        if (len > blanks)
            err = take_entry(r, (struct str){at + blanks, len - blanks}, single);
        at += len + (at[len] == ',');
    }
    return err;
}

/* ---- TLS, exposure -------------------------------------------------------------------------- */

static enum err take_tls(struct resolving *r, struct serve_listener_conf *l)
{
    const struct serve_options *o = r->o;
    if (!l->certificate.at && !l->key.at) {
        l->certificate = str_of(o->tls_certificate);
        l->key = str_of(o->tls_key);
        if (!l->client_ca.at)
            l->client_ca = str_of(o->tls_client_ca);
    }
    if ((l->certificate.at == NULL) != (l->key.at == NULL))
        return err_say(r->text, ERR_CONFIG_INVALID,
                       "listener %s: TLS needs both a certificate and its key", l->name.at);
    if (!l->certificate.at && (l->client_ca.at || l->client_required))
        return err_say(r->text, ERR_CONFIG_INVALID,
                       "listener %s: client certificates need TLS: give certificate and key",
                       l->name.at);
    if (l->client_required && !l->client_ca.at)
        return err_say(r->text, ERR_CONFIG_INVALID,
                       "listener %s: clientRequired needs clientCa, the authorities to trust",
                       l->name.at);
    return ERR_OK;
}

bool serve_is_loopback(struct str bind)
{
    char host[256];
    uint16_t port;
    if (bind.len >= 5 && !memcmp(bind.at, "unix:", 5))
        return true;
    if (str_to_host_port(bind, host, sizeof host, &port))
        return false;
    return !strncmp(host, "127.", 4) || !strcmp(host, "::1") || !strcmp(host, "localhost");
}

static enum err check_addresses(struct resolving *r, const struct serve_listener_conf *l)
{
    bool unix_path = l->bind.len > 5 && !memcmp(l->bind.at, "unix:", 5);
    if (!unix_path && !is_host_port(l->bind, true))
        return err_say(r->text, ERR_CONFIG_INVALID,
                       "listener %s: bind '%s' is not HOST:PORT, [IPV6]:PORT or unix:PATH",
                       l->name.at, l->bind.at);
    if (l->advertised.at && l->protocol != SERVE_KAFKA)
        return err_say(r->text, ERR_CONFIG_INVALID,
                       "listener %s: only Kafka clients are told where to connect", l->name.at);
    if (l->advertised.at && !is_host_port(l->advertised, false))
        return err_say(r->text, ERR_CONFIG_INVALID,
                       "listener %s: advertised '%.*s' is not HOST:PORT", l->name.at,
                       (int)l->advertised.len, l->advertised.at);
    return ERR_OK;
}

static enum err check_exposure(struct resolving *r, struct serve_listener_conf *l)
{
    bool beyond = !serve_is_loopback(l->bind) && !r->o->allow_anonymous;
    if (beyond && l->authentication == SERVE_AUTH_OPTIONAL)
        return err_say(r->text, ERR_POLICY,
                       "listener %s: %s is not a loopback address, and authentication is optional "
                       "there: anyone who reaches it could read and delete everything. Add "
                       "--allow-anonymous if the network around it is trusted",
                       l->name.at, l->bind.at);
    if (l->authentication == SERVE_AUTH_AUTO)
        l->authentication = beyond ? SERVE_AUTH_REQUIRED : SERVE_AUTH_OPTIONAL;
    return ERR_OK;
}

enum err serve_options_listeners(const struct serve_options *o,
                                 struct serve_listener_conf out[SERVE_LISTENERS_MAX], size_t *n,
                                 struct err_text *text)
{
    struct resolving r = {.o = o, .at = out, .text = text};
    enum err err = take_list(&r);
    if (!err)
        err = take_short(&r, "kafka", SERVE_KAFKA, o->kafka);
    if (!err)
        err = take_short(&r, "http", SERVE_HTTP, o->http);
    for (size_t i = 0; i < r.n && !err; i++)
        err = take_tls(&r, &out[i]);
    if (!err)
        err = take_advertise(&r);
    if (!err)
        err = take_advertised_listeners(&r);
    for (size_t i = 0; i < r.n && !err; i++) {
        err = check_addresses(&r, &out[i]);
        if (!err)
            err = check_exposure(&r, &out[i]);
    }
    *n = r.n;
    return err;
}
