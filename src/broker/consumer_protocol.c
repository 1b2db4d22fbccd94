#include "broker/consumer_protocol.h"

#include "base/cursor.h"

/* Stops at the first error: the reader is bad then. */
static struct str topic_next(struct rd *r)
{
    int16_t len = rd_i16(r);
    if (len < 0)
        rd_fail(r);
    const uint8_t *p = rd_bytes(r, len > 0 ? (size_t)len : 0);
    return (struct str){(const char *)p, p != NULL && len > 0 ? (size_t)len : 0};
}

/* Behind the version: the number of topics; 0 for what is no such message. */
static int32_t topics_begin(struct rd *r, struct str bytes)
{
    rd_init(r, bytes.at, bytes.len);
    if (rd_i16(r) < 0)
        rd_fail(r);
    int32_t n = rd_i32(r);
    return r->bad || n < 0 ? 0 : n;
}

bool consumer_subscribed(struct str subscription, struct str topic)
{
    struct rd r;
    for (int32_t n = topics_begin(&r, subscription); n > 0 && !r.bad; n--) {
        struct str name = topic_next(&r);
        if (!r.bad && str_eq(name, topic))
            return true;
    }
    return false;
}

/* Every topic of a is in b. */
static bool subscription_within(struct str a, struct str b)
{
    struct rd r;
    for (int32_t n = topics_begin(&r, a); n > 0 && !r.bad; n--) {
        struct str name = topic_next(&r);
        if (!r.bad && !consumer_subscribed(b, name))
            return false;
    }
    return true;
}

static bool topics_bytes_equal(struct str a, struct str b)
{
    struct rd ra, rb;
    int32_t n = topics_begin(&ra, a);
    if (n != topics_begin(&rb, b))
        return false;
    for (; n > 0 && !ra.bad && !rb.bad; n--) {
        if (!str_eq(topic_next(&ra), topic_next(&rb)))
            return false;
    }
    return ra.bad == rb.bad;
}

/* In another order is looked for in lists of this length; longer ones count as different. */
#define TOPICS_ANY_ORDER_MAX 1000

bool consumer_subscriptions_equal(struct str a, struct str b)
{
    struct rd r;
    if (topics_bytes_equal(a, b))
        return true;
    int32_t n = topics_begin(&r, a);
    return n == topics_begin(&r, b) && n <= TOPICS_ANY_ORDER_MAX && subscription_within(a, b) &&
           subscription_within(b, a);
}

bool consumer_assigned(struct str assignment, struct str topic, int32_t from)
{
    struct rd r;
    for (int32_t n = topics_begin(&r, assignment); n > 0 && !r.bad; n--) {
        struct str name = topic_next(&r);
        bool found = !r.bad && str_eq(name, topic);
        for (int32_t parts = rd_i32(&r); parts > 0 && !r.bad; parts--) {
            int32_t partition = rd_i32(&r);
            if (!r.bad && found && partition >= from)
                return true;
        }
    }
    return false;
}
