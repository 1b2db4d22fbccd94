/* eventgrid.h: what the handlers of Azure Event Grid's APIs share. Inside of front/http only.
 *
 *     eventgrid_publish.c       POST /topics/T/api/events, POST /topics/T:publish
 *     eventgrid_pull.c          receive, acknowledge, release, reject, renewLock
 *     eventgrid_arm.c           topics and event subscriptions as Azure's control plane has them
 *     eventgrid_validation.c    the link by which an endpoint's owner confirms it by hand
 *     eventgrid_subscription.h  the two shapes of a subscription
 */
#pragma once

#include "broker/subscription.h"
#include "front/http/request.h"

/* Is the path of ARM one of a namespace? */
bool eventgrid_is_namespace(struct str path);

/* {"error":{"code":"NotFound","message":"..."}}, as all of these APIs have it. */
http_problem_fn eventgrid_problem;

/* The topic of that name; NULL: there is none that the caller may see, 404 has been answered. */
const struct topic *eventgrid_topic(struct http_request *rq, struct str name);
/* Has the caller any role there? */
bool eventgrid_sees(struct http_request *rq, const struct topic *topic);
/* And one of its subscriptions, likewise. */
const struct subscription *eventgrid_subscription(struct http_request *rq,
                                                  const struct topic *topic, struct str name);

#define EVENTGRID_ROUTES 37
extern const struct http_route eventgrid_routes[EVENTGRID_ROUTES];

/* ---- handlers ---- */

/* eventgrid_publish.c */
void eventgrid_publish(struct http_request *rq);
void eventgrid_publish_namespace(struct http_request *rq);
/* eventgrid_pull.c */
void eventgrid_receive(struct http_request *rq);
void eventgrid_acknowledge(struct http_request *rq);
void eventgrid_release(struct http_request *rq);
void eventgrid_reject(struct http_request *rq);
void eventgrid_renew(struct http_request *rq);
/* eventgrid_validation.c */
void eventgrid_validate(struct http_request *rq);
/* eventgrid_arm.c */
void eventgrid_arm_put(struct http_request *rq);
void eventgrid_arm_patch(struct http_request *rq);
void eventgrid_arm_get(struct http_request *rq);
void eventgrid_arm_delete(struct http_request *rq);
void eventgrid_arm_list(struct http_request *rq);
void eventgrid_arm_full_url(struct http_request *rq);
void eventgrid_arm_attributes(struct http_request *rq);
/* eventgrid_arm_topics.c */
void eventgrid_arm_topic_put(struct http_request *rq);
void eventgrid_arm_topic_get(struct http_request *rq);
void eventgrid_arm_topic_delete(struct http_request *rq);
void eventgrid_arm_topic_list(struct http_request *rq);
