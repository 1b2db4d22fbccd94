/* api_letters.h: dead letters under /api/v1/deadletters.
 *
 *     GET  /api/v1/deadletters                  the topics that subscriptions name for them, with
 *                                               how many wait there
 *     POST /api/v1/deadletters/TOPIC:peek       letters that wait: ?filter=CESQL&limit=
 *     POST /api/v1/deadletters/TOPIC:redrive    appends them to where they came from, or ?to=TOPIC
 *
 * What was redriven is kept by a subscription of the dead-letter topic, LETTERS_SUBSCRIPTION, made
 * by the first peek or redrive: a letter waits until it is settled there. It is settled in one
 * group with the append of its record, so that none is redriven twice or lost, whatever ends in
 * between. Inside of front/http only.
 */
#pragma once

#include "broker/delivery.h"
#include "broker/subscription.h"
#include "front/http/api.h"
#include "front/http/letter.h"

#define LETTERS_SUBSCRIPTION "weir.redrive"
#define LETTERS_LIMIT 100 /* unless ?limit= says otherwise */
#define LETTERS_LIMIT_MAX 1000

/* What peek and redrive begin with. The first member of their states. */
struct letters {
    struct http_request *rq;
    const struct topic *topic; /* the dead-letter topic, a reference */
    struct uuid subscription;
    struct expr *filter; /* NULL: none */
    int64_t limit;
    struct subscription_put_op put;
    struct subscription_conf conf;
    void (*begun)(struct letters *l);
};

/* Reads the request (names: its parameters, NULL-terminated), makes the subscription if it is
 * missing, then calls begun. On errors it answers instead. */
void letters_begin(struct letters *l, struct http_request *rq, const char *const *names,
                   void (*begun)(struct letters *l));
/* Frees what letters_begin has made. Before the answer. */
void letters_end(struct letters *l);
struct event_place letters_place(const struct letters *l, const struct message *m);
