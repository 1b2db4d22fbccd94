/* reply_topics.h: the topics that a subscription's answers go to are made when they are missing,
 * with the broker's settings for new topics, as those for dead letters are. */
#pragma once

#include "broker/broker.h"
#include "broker/subscription.h"

/* All that it names; nobody waits: what is answered before they are there is tried again. Once the
 * broker is loaded; any reactor. */
void reply_topics_make(struct broker *b, const struct subscription *s);
/* Likewise one; at NULL: none. */
void reply_topic_make(struct broker *b, struct str name);
