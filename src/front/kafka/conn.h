/* conn.h: one connection of a Kafka client, and the requests on it. Inside of front/kafka only.
 *
 * Bytes come into a shared buffer and are cut into frames without copying; a frame becomes a struct
 * kafka_request. Answers leave in the order of the requests, as clients expect. Requests run one at
 * a time, as in Kafka, except that Produce requests may run beside Produce requests before them:
 * that is how pipelined producers share one fsync.
 *
 *     QUEUED --its turn--> RUNNING --kafka_respond--> DONE --all before it are sent--> gone
 *
 * A handler (one file a verb) reads rq->in, calls the broker, and answers exactly once with one of
 * the kafka_respond functions, then or later. The client may have gone by then: answering is still
 * right and costs nothing. What it borrows from the frame, and the request itself with its arena,
 * live until it has answered and not a moment longer: answering is a handler's last act.
 *
 * A client that does not read its answers is not read from either: while more than LOOP_OUTPUT_MAX
 * bytes wait for it, nothing new is taken or started.
 */
#pragma once

#include "base/arena.h"
#include "base/few.h"
#include "base/list.h"
#include "front/kafka/kafka.h"
#include "front/kafka/messages.h"
#include "front/kafka/wire.h"

#define KAFKA_RX_BYTES ((size_t)64 << 10)
#define KAFKA_REQUESTS_MAX 128                      /* queued and running, per connection */
#define KAFKA_REQUEST_BYTES_MAX ((size_t)128 << 20) /* of their frames; one is always allowed */
#define KAFKA_SEEN_MAX 10000                        /* topics remembered per connection */

struct kafka_request;

/* One row of the table of requests (api.c). */
struct kafka_api {
    int16_t key;
    int16_t min, max;      /* versions that ApiVersions shows */
    int16_t flexible_from; /* request header v2 and response header v1 from here on */
    const char *name;
    const struct wire_message *request, *response;
    void (*run)(struct kafka_request *rq);
    bool by_hand; /* decodes rq->body itself; rq->in is NULL */
};

/* NULL: no such key. */
const struct kafka_api *kafka_api_find(int16_t key);
extern const struct kafka_api kafka_apis[];
extern const size_t kafka_apis_n;

enum kafka_request_state { KAFKA_QUEUED, KAFKA_RUNNING, KAFKA_DONE };

struct kafka_request {
    struct list link;
    struct kafka_conn *conn;
    const struct kafka_api *api;
    enum kafka_request_state state;
    int16_t version;
    bool flexible;
    bool silent; /* acks=0: nothing is sent */
    bool late;   /* came after the session of its connection had run out */
    int32_t correlation_id;
    bool starved;       /* kafka_alloc has said NULL: the answer cannot be whole */
    struct slice frame; /* owns a reference */
    struct rd body;     /* behind the request header */
    struct actor actor;
    struct arena arena; /* for in, and for whatever lives until the answer: kafka_alloc */
    void *in;           /* struct kafka_<api>_request, decoded; NULL when by_hand */
    struct chunkq out;
    void *state_of_verb; /* the handler's own */
    /* Stop waiting and answer with what is there: the client has gone, or the broker stops. NULL:
     * the handler does not wait. Called while it runs, perhaps more than once. */
    void (*cancel)(struct kafka_request *rq);
};

/* Set per connection and topic by Metadata answers, for the nudge of topic.h. */
struct kafka_seen_topic {
    struct map_node node;
    struct uuid id;
    uint32_t generation;
};

/* Only ever moves down this list. */
enum kafka_conn_state {
    KAFKA_CONN_OPEN,
    KAFKA_CONN_FINISHING, /* no more frames are taken; those taken are answered, then it closes */
    KAFKA_CONN_REFUSING,  /* likewise, but what has not begun is dropped: after an error */
    KAFKA_CONN_CLOSING    /* nothing more is sent; the pipe's closed() follows or has come */
};

struct kafka_conn {
    uint32_t magic;
    struct list link; /* front's list of this reactor */
    struct kafka_front *front;
    struct broker *broker;
    const struct kafka_listener *listener;
    struct pipe *pipe;         /* NULL: the client has gone */
    struct kafka_sasl *sasl;   /* an exchange under way; NULL: none */
    const char *principal;     /* whose requests these are */
    char *own_principal;       /* its memory; NULL: the anonymous user's */
    bool known;                /* may send more than what authenticates it */
    bool authenticated;        /* by SASL */
    uint64_t session_until_us; /* 0: no limit */
    struct env_timer unknown_until;
    struct buf *rx;
    size_t rx_from, rx_to; /* unread bytes in rx */
    struct list requests;  /* in order of arrival */
    unsigned requests_n;
    size_t request_bytes;
    enum kafka_conn_state state;
    bool reading_stopped; /* space() said no */
    bool output_full;     /* pipe_send said no; drained() follows */
    bool running;         /* conn_run is on the stack */
    struct map seen;      /* kafka_seen_topic by id */
    char local[PIPE_ADDR_MAX], peer[PIPE_ADDR_MAX];
    char client_software[64]; /* name and version as ApiVersions told */
};

/* Written on its reactor, read anywhere: see struct kafka_stats. */
struct kafka_counters {
    _Atomic uint64_t connections, requests, errors, fetch_waits;
};

struct kafka_reactor {
    struct list conns;
    struct kafka_counters counters;
    struct fetch_sessions *sessions;
    struct few failures;        /* of authentication, in the log */
    unsigned checks;            /* of passwords, under way */
    struct list checks_waiting; /* struct kafka_sasl */
    bool draining;
};

struct kafka_front {
    struct kafka_conf conf;
    struct broker **brokers;
    unsigned n;
    struct kafka_reactor *reactors;
    uint8_t sasl_secret[32]; /* random: what users that do not exist are made of */
};

struct kafka_reactor *kafka_reactor_of(struct kafka_conn *conn);
/* By the counter's own reactor. */
void kafka_count(_Atomic uint64_t *counter, int64_t change);

/* count zeroed elements that live as long as the request. NULL: it may take no more memory; then
 * whatever is answered, the connection is closed instead, since an answer with parts missing would
 * be taken for the truth. So a handler may leave out what it could not allocate and go on. */
void *kafka_alloc(struct kafka_request *rq, size_t count, size_t size);
/* A copy that lives as long as the request; absent where there is no memory for it. */
struct str kafka_keep(struct kafka_request *rq, struct str s);
/* The name of the topic with that id, kept, since the topic may go; empty if there is none. */
enum err must_use kafka_topic_name(struct kafka_request *rq, const struct uuid *id,
                                   struct str *out);

/* Encodes the struct of api->response and finishes the request. */
void kafka_respond(struct kafka_request *rq, const void *response);
/* Finishes with rq->out as the handler has filled it: begin with kafka_begin. */
void kafka_respond_chunks(struct kafka_request *rq);
/* Starts an answer by hand: the writer has length (patched at the end), correlation id and, if
 * flexible, the header's tags. The slice of this writer must be the first in rq->out. */
void kafka_begin(struct kafka_request *rq, struct wr *w);
/* Finishes without an answer: acks=0. */
void kafka_respond_nothing(struct kafka_request *rq);
/* Finishes by closing the connection, after the answers to what came before: what Kafka does where
 * no answer is defined. why goes to the log. */
void kafka_respond_close(struct kafka_request *rq, const char *why);

/* The connection takes no more frames, and closes after its answers. */
void kafka_conn_finish(struct kafka_conn *conn, const char *why);
/* From a timer: it closes, once what runs is done. May free the connection. */
void kafka_conn_refuse(struct kafka_conn *conn, const char *why);

/* "Has this connection been told of the topic's present number of partitions?" Marks it as told.
 * True at most once per growth. */
bool kafka_nudge_due(struct kafka_conn *conn, const struct topic *topic);
void kafka_topic_shown(struct kafka_conn *conn, const struct topic *topic);

/* For a topic that is not there: ERR_TOPIC_UNKNOWN, or, to who might not see it if it were,
 * ERR_TOPIC_DENIED, as if it were. */
enum err kafka_topic_missing(struct kafka_request *rq, struct str name);
/* KIP-430: what the caller may do to the cluster, as bits of Kafka's AclOperation. */
int32_t kafka_cluster_operations(struct kafka_request *rq);

/* Where clients are told to connect, by configuration or as this one did. */
void kafka_advertised(const struct kafka_conn *conn, struct str *host, int32_t *port);
