/* reader.h: reads on over one or all partitions of a topic, for GET and for server-sent events.
 * Inside of front/http only.
 *
 *     reader_make, then reader_start: where to begin, in each partition      --> started
 *     reader_go: what is there is told record by record; else it waits       --> paused
 *     reader_go again, from where it stands; or reader_cancel and the end
 *
 * Partitions are read one after the other, beginning with the one behind the last that gave
 * something, so that none starves. A partition that the topic gets later is read from its
 * beginning. Where retention has removed what comes next, gap() is asked; without it the reader
 * pauses with ERR_OFFSET_RANGE. Control batches are skipped; only what is committed is read.
 *
 * Lives in its request's arena; the callbacks may answer the request as their last act.
 */
#pragma once

#include "broker/records.h"
#include "front/http/places.h"
#include "front/http/request.h"

#define READER_FOREVER UINT32_MAX

struct reader;

struct reader_part {
    struct place place;
    struct reader *reader;
    struct list_op find;
    struct watch_op watch;
    bool watching;
};

struct reader_ops {
    void (*started)(struct reader *r, enum err err);
    /* One record, behind which the reader stands now; false: enough, it will come again. */
    bool (*record)(struct reader *r, const struct reader_part *part, const struct record *rec);
    /* Optional: the partition's log begins behind where the reader stands; it goes on there. */
    void (*gap)(struct reader *r, const struct reader_part *part, int64_t log_start);
    /* ERR_OK: all that fits, or nothing came in time, or cancelled. */
    void (*paused)(struct reader *r, enum err err);
};

struct reader {
    struct http_request *rq;
    const struct reader_ops *ops;
    char topic_name[TOPIC_NAME_MAX + 1];
    struct uuid topic;
    bool all;                   /* of the topic's partitions, as they come to be */
    struct reader_part **parts; /* by partition; each stays where it is */
    uint32_t parts_n, parts_cap;
    uint32_t next; /* index of the part to look at first */
    uint64_t told; /* records since reader_go */
    struct err_text text;
    /* private */
    enum err err;
    uint32_t looked;  /* parts that had nothing, one after the other */
    uint32_t waiting; /* for so many answers */
    uint32_t wait_ms;
    size_t bytes_max;
    bool enough, waited, cancelled, going;
    bool looping; /* look is on the stack */
    bool reading; /* the read is under way */
    struct records_op read;
    struct env_timer timer;
};

/* partition -1: all. ERR_TOPIC_UNKNOWN: there is no such partition. */
enum err must_use reader_make(struct http_request *rq, const struct topic *t, int32_t partition,
                              const struct reader_ops *ops, struct reader **out,
                              struct err_text *text);
/* Begin at LIST_EARLIEST, LIST_LATEST or, at least 0, a time in Unix ms. */
void reader_start(struct reader *r, int64_t timestamp);
/* Begin at places; partitions that are not among them begin at their first record. */
void reader_start_at(struct reader *r, const struct place *at, size_t n, uint32_t next);
/* bytes_max: of what is read at once of a partition. wait_ms 0: do not wait. */
void reader_go(struct reader *r, size_t bytes_max, uint32_t wait_ms);
/* paused() follows, unless the reader is not going. */
void reader_cancel(struct reader *r);
/* The places, as a text. */
void reader_write_places(const struct reader *r, struct wr *w);
