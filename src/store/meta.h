/* meta.h: <data>/meta, the one file of the store that is not a log or about one: whose data this
 * is, in which format, and how often it was opened.
 *
 *     weir.format=1
 *     compatible=0x0          a program that does not know a bit here may ignore it,
 *     read-only=0x0           here may read but not write,
 *     incompatible=0x0        here must leave the folder alone
 *     cluster=q9xJ...         22 characters, as Kafka shows a cluster id
 *     shards=64
 *     incarnation=7           raised, durably, by each start before it writes anything else;
 *                             it is the leader epoch of every partition
 *     crc=1c291ca3            CRC-32C, in hex, of everything above this line
 *
 * Called while nothing else runs.
 */
#pragma once

#include "base/err.h"
#include "base/uuid.h"
#include "io/disk.h"

#include <stdint.h>

#define META_FORMAT 1
#define META_SHARDS 64

struct meta {
    uint32_t compatible, read_only, incompatible; /* feature flags */
    struct uuid cluster_id;
    uint32_t shards;
    uint32_t incarnation;
};

/* ERR_NOT_FOUND: there is none. ERR_CORRUPT: it is damaged or another program's. ERR_FORMAT_NEWER:
 * written by a version whose format this one does not know (writing: to be opened for more than
 * reading). text says what and where. */
enum err must_use meta_read(struct disk *disk, const char *dir, bool writing, struct meta *out,
                            struct err_text *text);
/* Replaced as a whole and durable when it returns. */
enum err must_use meta_write(struct disk *disk, const char *dir, const struct meta *meta);
