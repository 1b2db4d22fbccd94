/* err.h: every error that one part of weir tells another, and its name in each protocol.
 *
 * One row an error: the name in code, what it means in a sentence (which is also the default text
 * to a client), the Kafka error code (Kafka's Errors.java) and the HTTP status. A protocol that
 * joins adds a column. Functions return enum err; ERR_OK is zero. A test walks the table.
 *
 * Where an error needs more than the sentence (what was wrong, what would be right), the function
 * takes a struct err_text to write it to.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* clang-format off */
#define ERR_MAP(X)                                                                                 \
    /* name               kafka http  meaning */                                                   \
    X(OK,                     0, 200, "done")                                                      \
    X(INTERNAL,              -1, 500, "the broker met a state that it did not expect")             \
    X(OFFSET_RANGE,           1, 416, "the offset is outside of what the log holds")               \
    X(CORRUPT,                2, 422, "the record batch does not match its checksum or its own structure") \
    X(TOPIC_UNKNOWN,          3, 404, "this topic or partition does not exist")                    \
    X(LEADER_NOT_AVAILABLE,   5, 503, "the topic is being created; ask again")                     \
    X(NOT_LEADER,             6, 503, "this broker does not serve the partition")                  \
    X(TIMED_OUT,              7, 504, "the request was not done within its time")                  \
    X(MESSAGE_TOO_LARGE,     10, 413, "the record batch is larger than the topic's max.message.bytes") \
    X(OFFSET_METADATA_SIZE,  12, 413, "the metadata of a committed offset is longer than 4096 bytes") \
    X(COORDINATOR_LOADING,   14, 503, "the coordinator is loading its state; ask again")           \
    X(COORDINATOR_UNAVAILABLE, 15, 503, "no coordinator is available; ask again")                  \
    X(NOT_COORDINATOR,       16, 503, "this broker does not coordinate the group")                 \
    X(TOPIC_INVALID,         17, 400, "the topic name is not valid: 1 to 249 of a-z A-Z 0-9 . _ -") \
    X(ACKS_INVALID,          21, 400, "acks must be -1, 0 or 1")                                   \
    X(GENERATION,            22, 409, "the generation is not the group's present one")             \
    X(GROUP_PROTOCOL,        23, 409, "the member's protocols have nothing in common with the group's") \
    X(GROUP_INVALID,         24, 400, "the group id is not valid: it must not be empty")           \
    X(MEMBER_UNKNOWN,        25, 404, "the group has no such member")                              \
    X(SESSION_TIMEOUT,       26, 400, "the session timeout must be between 6000 and 1800000 ms")   \
    X(REBALANCING,           27, 409, "the group is rebalancing; join again")                      \
    X(TOPIC_DENIED,          29, 403, "not authorised for this topic")                             \
    X(GROUP_DENIED,          30, 403, "not authorised for this group")                             \
    X(CLUSTER_DENIED,        31, 403, "not authorised for the cluster")                            \
    X(FUNCTION_DENIED,       -1, 403, "not authorised for this function")                          \
    X(TIMESTAMP_INVALID,     32, 422, "a record's timestamp is outside of the range that the topic allows") \
    X(VERSION_UNSUPPORTED,   35, 505, "this version of the request is not supported")              \
    X(TOPIC_EXISTS,          36, 409, "a topic of this name exists")                               \
    X(PARTITIONS_INVALID,    37, 400, "the number of partitions is not valid")                     \
    X(REPLICATION_INVALID,   38, 400, "the replication factor must be 1 (or -1): this broker is one node") \
    X(ASSIGNMENT_INVALID,    39, 400, "the replica assignment is not valid")                       \
    X(CONFIG_INVALID,        40, 400, "a setting is not valid")                                    \
    X(REQUEST_INVALID,       42, 400, "the request is not valid")                                  \
    X(MESSAGE_FORMAT,        43, 422, "the record format is not supported: only magic 2 is")       \
    X(POLICY,                44, 403, "the request is against a policy of this broker")            \
    X(SEQUENCE,              45, 409, "the producer's sequence number does not follow the last one") \
    X(SEQUENCE_DUPLICATE,    46, 409, "the producer's sequence number was seen before")            \
    X(PRODUCER_EPOCH,        47, 409, "the producer's epoch is older than the one known")          \
    X(STORAGE,               56, 507, "the disk did not take the data")                            \
    X(PRODUCER_UNKNOWN,      59, 404, "the producer id is not known")                              \
    X(GROUP_NOT_EMPTY,       68, 409, "the group has members")                                     \
    X(GROUP_UNKNOWN,         69, 404, "the group does not exist")                                  \
    X(FETCH_SESSION_UNKNOWN, 70, 404, "the fetch session is not known")                            \
    X(FETCH_SESSION_EPOCH,   71, 409, "the fetch session's epoch is not the expected one")         \
    X(LEADER_EPOCH_FENCED,   74, 409, "the leader epoch in the request is older than the present one") \
    X(LEADER_EPOCH_UNKNOWN,  75, 409, "the leader epoch in the request is newer than the present one") \
    X(COMPRESSION,           76, 415, "the compression codec is not supported for this request version") \
    X(OFFSET_NOT_AVAILABLE,  78, 503, "the offset is not available yet; ask again")                \
    X(MEMBER_ID_REQUIRED,    79, 409, "join again with the member id given in this answer")        \
    X(GROUP_FULL,            81, 429, "the group has its maximum number of members")               \
    X(INSTANCE_FENCED,       82, 409, "another member joined with the same group.instance.id")     \
    X(GROUP_SUBSCRIBED,      86, 409, "a member of the group is subscribed to the topic")          \
    X(RECORD_INVALID,        87, 422, "a record is not valid")                                     \
    X(OFFSET_UNSTABLE,       88, 503, "a transaction over these offsets is open; ask again")       \
    X(THROTTLED,             89, 429, "too many requests for now; ask again later")                \
    X(TOPIC_ID_UNKNOWN,     100, 404, "no topic has this id")                                      \
    X(TOPIC_ID_INCONSISTENT, 103, 409, "the topic's id is not the one in the request")             \
    X(FETCH_SESSION_TOPIC_ID, 106, 409, "the fetch session was made with names, not ids, or the reverse") \
    X(SASL_MECHANISM,        33, 400, "this SASL mechanism is not offered")                        \
    X(SASL_STATE,            34, 400, "the request does not fit the state of authentication")      \
    X(AUTH_FAILED,           58, 401, "the credentials are not valid")                             \
    X(SCRAM_UNKNOWN,         91, 404, "the user has no such SCRAM credential")                     \
    X(SCRAM_DUPLICATE,       92, 400, "a SCRAM credential is named twice")                         \
    X(SCRAM_INVALID,         93, 400, "the SCRAM credential is not acceptable")                    \
    X(LOCK_LOST,             -1, 410, "the lock is not held any more: it ran out, or the message was settled") \
    X(SESSION_LOCKED,        -1, 409, "another receiver holds the session")                        \
    X(DISK_FULL,             56, 507, "the disk is full; nothing was accepted, what is stored stays readable") \
    X(IO,                    56, 500, "the disk reported an error")                                \
    X(FORMAT_NEWER,          -1, 500, "the data folder was written by a newer version")            \
    X(LOCKED,                -1, 409, "another process uses the data folder")                      \
    X(ANSWER_BAD,            -1, 502, "what was called broke, or gave no answer that can be passed on") \
    X(BUSY,                  -1, 503, "too much is under way; ask again")                          \
    X(CLOSED,                -1, 503, "the connection or the broker is closing")                   \
    X(MEMORY,                -1, 503, "no memory for a request of this size")                      \
    X(NOT_FOUND,             -1, 404, "not found")                                                 \
    X(METHOD,                -1, 405, "the method is none that is taken here")                     \
    X(EXISTS,                -1, 409, "exists already")                                            \
    X(FRAME,                 42, 400, "the bytes are not a request of this protocol")
/* clang-format on */

enum err {
#define X(name, kafka, http, meaning) ERR_##name,
    ERR_MAP(X)
#undef X
        ERR_COUNT
};

/* "OFFSET_RANGE". */
const char *err_name(enum err err);
/* "the offset is outside of what the log holds". */
const char *err_meaning(enum err err);
/* Kafka's code: 0 for ERR_OK, -1 where Kafka has none. */
int16_t err_kafka(enum err err);
int err_http(enum err err);

#define ERR_TEXT_MAX 256

/* What was wrong and what would be right, for a person; empty: err_meaning says enough. */
struct err_text {
    char s[ERR_TEXT_MAX];
};

/* Writes the text (cut at ERR_TEXT_MAX - 1 bytes) and returns err, so that a check is one line:
 * `return err_say(text, ERR_CONFIG_INVALID, "retention.ms must be >= -1, got %s", s)`.
 * text may be NULL. */
__attribute__((format(printf, 3, 4))) enum err err_say(struct err_text *text, enum err err,
                                                       const char *fmt, ...);

#define must_use __attribute__((warn_unused_result))
