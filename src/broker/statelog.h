/* statelog.h: state that is the fold of a log, with its snapshot in the log itself.
 *
 * A state topic's partition holds records (key, value; null value: gone) whose fold in offset order
 * is the state. It never needs a separate snapshot: the state consists of entities (a topic, a
 * group), each of which remembers `since`, the offset from which on the log tells all about it.
 * When the log has grown well beyond what is alive, the entity with the oldest `since` is written
 * once more, whole, between ordinary changes (one bounded batch), and the log is trimmed below the
 * then oldest `since`. So a start reads little more than what is alive, and no moment copies
 * everything.
 *
 *      trimmed | E1 E2 E1' E3 E2' ... E1(whole) ...
 *              ^ oldest since           ^ E1.since afterwards
 *
 * One reactor. Records appended in one call are one batch: all or nothing. Changes are applied to
 * memory by the caller when it submits them or when they are durable, as the caller needs; an
 * entity with changes under way is not snapshotted meanwhile, so no order of the two can lose one.
 * When its turn for a snapshot comes, further writes about it are held back until those under way
 * are done and the snapshot is on its way: a busy entity cannot pin the log.
 *
 * Writes about one entity become durable, and are done, in their order; between entities the order
 * is kept but for those held back. A relaxed write is done when it is written (store.h). A caller
 * that applies on submission must expect that a change that failed is nevertheless in a later
 * snapshot.
 *
 * What is in memory for an entity may go: it is *paged out* when all of it was written in one
 * batch, its chunk, as an entity that has `chunk` set. When its turn for a snapshot comes the chunk
 * is read and appended again as it is: its owner is not asked, and nothing of it is loaded.
 * What is written about it meanwhile can only be its end, which waits for the copy.
 * statelog_load reads it, and hands its records to `apply` again.
 *
 *      trimmed | C E1 E2 E1' C(copied) ...
 *              ^ since         ^ since afterwards
 */
#pragma once

#include "base/batch.h"
#include "base/list.h"
#include "broker/store.h"

struct statelog;
struct broker;

/* Embedded in what the state consists of. Zero-initialise. */
struct statelog_entity {
    struct list link; /* private: by since */
    int64_t since;    /* private */
    uint32_t pending; /* private: appends under way, of a snapshot too */
    uint32_t waiting; /* private: writes about it that wait */
    bool chunk;       /* paged out: the batch at `since` is all of it. Set before its write */
    bool known;       /* private: has records in the log */
    bool held;        /* private: its turn for a snapshot has come; new writes wait for it */
};

struct statelog_ops {
    /* At load, and of a chunk that is loaded: one record, in order. Returns the entity it belongs
     * to (NULL: none, as a tombstone of something gone). value.at NULL: gone. */
    struct statelog_entity *(*apply)(void *user, struct str key, struct str value,
                                     int64_t timestamp);
    /* Adds all live records of the entity to the batch. */
    void (*snapshot)(void *user, struct statelog_entity *entity, struct batch_builder *out);
};

struct statelog_conf {
    struct store *store;
    struct env *env;
    struct broker *broker; /* whose clients can read it as a partition; NULL: nobody's */
    struct uuid topic;     /* ids of state topics are fixed in code */
    uint32_t partition;
    const struct statelog_ops *ops;
    void *user;
    void (*loaded)(void *user, struct statelog *log, enum err err);
    /* A round of snapshots starts when the log has grown by this much since the last one, and by as
     * much as that one wrote, so that rounds never cost more than the changes; 0: 4 MiB. */
    uint64_t slack_bytes;
    bool vital; /* store.h: written on a nearly full disk, too */
};

/* Opens (creating nothing on disk for an empty one), replays, then calls loaded, all of which may
 * happen inside of this call: *out is set before. */
void statelog_open(const struct statelog_conf *conf, struct statelog **out);
/* What is under way is not answered any more. */
void statelog_free(struct statelog *log);

struct statelog_append {
    struct store_append append;        /* private; of a join: to be added to the caller's group */
    struct store_group group;          /* private */
    struct statelog *log;              /* private */
    struct statelog_entity *entity;    /* private: of a write about one */
    struct statelog_entity **entities; /* private */
    size_t entities_n;                 /* private */
    struct list link;                  /* private: while it waits for the open or a snapshot */
    bool relaxed;                      /* as a store_group's */
    void (*done)(struct statelog_append *a, enum err err);
    void (*ready)(struct statelog_append *a, enum err err); /* private: given to statelog_join */
};
/* One batch of records about one entity, from a builder that batch_add filled; the builder is empty
 * afterwards. Several may be under way; they become durable in order. The entity must live until
 * done. */
void statelog_write(struct statelog *log, struct statelog_append *a, struct batch_builder *b,
                    struct statelog_entity *entity);
/* The same, about several entities: their records are there together or not at all. The array must
 * live until done, too; an entity may be in it more than once. */
void statelog_write_all(struct statelog *log, struct statelog_append *a, struct batch_builder *b,
                        struct statelog_entity **entities, size_t n);
/* The same as a part of a group of the caller's, which may hold other appends, those of other state
 * logs too. ready is called when the batch may go, possibly from inside: with ERR_OK the caller
 * adds a->append to its group, on any reactor, and when the group is done or was given up calls
 * statelog_joined here, exactly once; with an error the write is over.
 *
 * From ready to statelog_joined the entities are not snapshotted. It calls done, if that is set:
 * there memory becomes what the log says, since a snapshot may follow at once; and only there an
 * entity can be forgotten that the write was about.
 *
 * Who joins several logs to one group waits for them one after the other, in the order of their
 * partitions: two that waited for each other's entities would wait for ever.
 *
 * A join is not ordered among the writes about its entities: what they say must not depend on
 * that. */
void statelog_join(struct statelog *log, struct statelog_append *a, struct batch_builder *b,
                   struct statelog_entity **entities, size_t n,
                   void (*ready)(struct statelog_append *a, enum err err));
void statelog_joined(struct statelog_append *a, enum err err);
/* Nothing is alive of it any more and no write of the caller's about it is under way: forget it. (A
 * snapshot of it may be, whose record comes to nothing: the caller's writes tell of the end.) */
void statelog_forget(struct statelog *log, struct statelog_entity *entity);

/* A chunk that is read. */
struct statelog_load {
    void (*done)(struct statelog_load *load, enum err err);
    struct statelog *log;           /* private */
    struct statelog_entity *entity; /* private */
    struct list link;               /* private: while the chunk is being copied */
    struct store_read read;         /* private */
    struct slice batch;             /* private */
};
/* Reads the chunk of an entity that is paged out, of which no write is under way; done may be
 * called from inside. Until then the entity must live, and cannot be forgotten. ERR_CORRUPT: it is
 * not what was written. After an error all is as before. */
void statelog_load(struct statelog *log, struct statelog_load *load,
                   struct statelog_entity *entity);
/* In done, with ERR_OK: hands the chunk's records to `apply`. What entities that gives have their
 * `since` where the chunk is, which can be forgotten then. ERR_CORRUPT. */
enum err must_use statelog_load_apply(struct statelog_load *load);

/* Offset behind the last durable record, for tests and metrics. */
int64_t statelog_end(const struct statelog *log);
int64_t statelog_start(const struct statelog *log);
