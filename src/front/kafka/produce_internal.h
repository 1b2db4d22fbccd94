/* produce_internal.h: a Produce request as its handler sees it. Inside of front/kafka only, and for
 * the fuzz target that compares the decoding by hand with the table's.
 *
 * All of it lives in the request's arena; names and batches are borrowed from the frame. One
 * reactor's thread.
 */
#pragma once

#include "front/kafka/conn.h"

#define PRODUCE_PARTITIONS_MAX 100000 /* named by one topic of one request */

struct produce;

struct produce_part {
    struct produce_op op;
    struct produce *all;
};

struct produce_topic {
    struct str name;
    struct uuid id;
    struct produce_part *parts;
    int32_t parts_n;
};

struct produce {
    struct kafka_request *rq;
    int16_t acks;
    struct produce_topic *topics;
    int32_t topics_n;
    int32_t waiting; /* ops under way, and one for the loop that submits them */
    bool failed;
    enum err refuse; /* the whole request is answered with this */
};

/* Decodes p->rq->body and says in p->refuse whether the whole request is refused. ERR_FRAME: the
 * bytes do not follow the definition; ERR_MEMORY: over the arena's limit. */
enum err must_use kafka_produce_read(struct produce *p);
