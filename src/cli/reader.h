/* reader.h: reading all partitions of a topic, or one, without a group, over librdkafka; and
 * knowing when all that is there was read. One thread. */
#pragma once

#include "base/err.h"
#include "cli/rdkafka_module.h"

#include <stdbool.h>
#include <stdint.h>

struct reader {
    const struct rdkafka *k;
    rd_kafka_t *rk; /* NULL: not open */
    const char *broker;
    bool *at_end; /* by partition: read to its end, and nothing came since */
    int32_t at_end_n;
};

struct reader_conf {
    const char *broker; /* HOST:PORT */
    const char *group;  /* NULL: none, and nothing is committed */
    const char *from;   /* without a commit: "earliest", "latest" */
    bool to_end;        /* is not going to wait for more: ends are told at once */
};

/* Loads the library and makes a consumer. */
enum err must_use reader_open(struct reader *r, const struct reader_conf *conf,
                              struct err_text *text);
/* Reads this partition (-1: all) from the offset on, which may be one of RD_KAFKA_OFFSET_*.
 * ERR_TOPIC_UNKNOWN: there is no such topic or partition. */
enum err must_use reader_assign(struct reader *r, const char *topic, int32_t partition,
                                int64_t offset, struct err_text *text);
/* The message (or a partition's end) was taken; true: all partitions are read to their ends. */
bool reader_note(struct reader *r, const rd_kafka_message_t *m);
void reader_close(struct reader *r);
