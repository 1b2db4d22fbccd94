/* fetch_session.h: fetch sessions (KIP-227): what a client fetches, kept between its requests, so
 * that an idle fetch of a thousand partitions is a few bytes each way.
 *
 * A session belongs to a reactor's front, is named by a random id and counted by epochs. The cache
 * is bounded, in sessions (FETCH_SESSIONS_MAX) and in bytes (FETCH_SESSIONS_BYTES_MAX): a new
 * session takes the place of the one that was used least recently, if nobody has used that for
 * FETCH_SESSION_IDLE_MS (Kafka's rule, without its preference for large ones); where there is none,
 * the client fetches without a session. A client whose session is gone gets
 * ERR_FETCH_SESSION_UNKNOWN and starts over.
 *
 *     request id, epoch     meaning
 *     0, -1                 no session
 *     0 or x, 0             a new one (x is closed)
 *     x, n > 0              incremental: changes to what is fetched
 *     x, -1                 close x, answer in full
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "base/uuid.h"
#include "broker/env.h"

#define FETCH_SESSIONS_MAX 1000
#define FETCH_SESSION_IDLE_MS 120000
#define FETCH_SESSION_PARTITIONS_MAX 100000
#define FETCH_SESSIONS_BYTES_MAX ((size_t)256 << 20) /* partitions with their names, of a reactor */

struct fetch_sessions;

/* What is fetched of one partition. Kept between requests, or for one request without a session. */
struct fetch_partition {
    struct list link; /* in order: what was answered goes to the end, so that all get their turn */
    struct map_node node;
    struct uuid topic; /* asked by id: name.at is NULL */
    struct str name;   /* own memory */
    int32_t partition;
    int64_t offset;
    int64_t log_start_sent, high_watermark_sent; /* in this session's last answer; -1: none was */
    int32_t leader_epoch, last_fetched_epoch;
    int32_t bytes_max;
};

struct fetch_session {
    struct list lru; /* private */
    struct map_node node;
    struct list partitions; /* struct fetch_partition */
    struct map by_key;
    size_t count;
    int32_t id;    /* 0: not kept */
    int32_t epoch; /* that the next request must carry */
    bool topics_by_id;
    bool full;      /* this request's answer names every partition */
    bool closing;   /* goes when its request is over */
    unsigned users; /* requests under way: 0 or 1 */
    uint64_t used_us;
};

struct fetch_sessions *fetch_sessions_make(struct env *env);
void fetch_sessions_free(struct fetch_sessions *s);
size_t fetch_sessions_count(const struct fetch_sessions *s);

/* The session that a request with this id and epoch is about: a new one (which has id 0 where none
 * is wanted, or no room is left) or the kept one. ERR_FETCH_SESSION_*: see the errors' meanings. */
enum err must_use fetch_session_enter(struct fetch_sessions *s, int32_t id, int32_t epoch,
                                      bool by_id, struct fetch_session **out);
/* The request is over. Frees a session that is not kept. */
void fetch_session_leave(struct fetch_sessions *s, struct fetch_session *f);
/* At once, or when the request that uses it is over. */
void fetch_session_close(struct fetch_sessions *s, struct fetch_session *f);

/* The entry for a partition, made if need be. Either a name or (name.at == NULL) an id. NULL: too
 * many. */
struct fetch_partition *fetch_session_put(struct fetch_sessions *s, struct fetch_session *f,
                                          struct str name, const struct uuid *topic,
                                          int32_t partition);
void fetch_session_forget(struct fetch_sessions *s, struct fetch_session *f, struct str name,
                          const struct uuid *topic, int32_t partition);
/* Notes that the partition was in an answer: it is looked at last the next time. */
void fetch_session_answered(struct fetch_session *f, struct fetch_partition *p);
