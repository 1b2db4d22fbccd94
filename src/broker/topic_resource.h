/* topic_resource.h: a topic as users declare it (spec/spec.h): what they say most in words of its
 * own, every other setting under Kafka's name in `config`.
 *
 *     spec: {partitions: 6, retention: {time: 7d, size: 10GiB}, flush: each, queue: {},
 *            config: {max.message.bytes: 2097152}}
 *
 * The two access keys of a topic are declared with it, are never shown, and stay as they are where
 * a document does not name them. Pure.
 */
#pragma once

#include "base/arena.h"
#include "broker/topic.h"
#include "spec/spec.h"

struct topic_spec {
    int64_t partitions;                    /* 0: not said */
    int64_t retention_ms, retention_bytes; /* 0: not said; -1: no limit */
    int64_t duplicates_ms;                 /* 0: none are looked for */
    struct str until, flush;               /* at NULL: not said */
    bool queue;
    struct str keys[2];     /* at NULL: not said */
    struct spec_map config; /* other settings, by Kafka's names */
};
extern const struct spec_kind topic_kind;

/* What would be declared to make this topic. ERR_MEMORY. */
enum err must_use topic_spec_of(const struct topic *t, struct arena *arena, struct topic_spec *out);

/* At most topic_conf_rows() settings, for a topic_create_op or, with `replace`, a
 * topic_configure_op. Their texts are the arena's. NULL: no memory. */
const struct topic_setting *topic_spec_settings(const struct topic_spec *spec, struct arena *arena,
                                                size_t *n);
