/* ledger_internal.h: what a ledger consists of; for ledger*.c alone.
 *
 *     directory   pages by number, between floor and next (rarely beyond: after a seek, or when the
 *                 records of what lies before were lost); a page that is not there is settled if it
 *                 is below next, or in `beyond`
 *     page        slots: an entry for each offset that was looked at and is not known to be settled
 *                 for long; bitmaps by the offset's index in the page
 *     owner       who holds something: entries name it by 22 bits
 *     session     its messages in order, its lock, its state; entries name it by the same bits
 *     change      settles in doubt, each with the entry as it was, and what to tell again if the
 *                 write fails
 *
 * Pages that are done with leave the directory at once. Their entities live on as `gone` until the
 * head that says so is durable.
 */
#pragma once

#include "base/assert.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "broker/ledger.h"

#define PAGE_WORDS (LEDGER_PAGE / 64)
#define PAGE_SHIFT 10
#define NOBODY LEDGER_OWNERS_MAX /* no owner's index */
#define DUE_MASK (((uint64_t)1 << 41) - 1)
#define DUE_BIAS ((int64_t)1 << 39) /* so that a time before the machine's start can be held */

enum entity_kind { ENTITY_HEAD, ENTITY_PAGE, ENTITY_SESSION };

struct ledger_entry {
    uint64_t due : 41; /* monotonic ms + DUE_BIAS: the lock's end; if endless, since when; if
                          available, when the delay ends. 0: none */
    uint64_t deliveries : 16;
    uint64_t state : 3;    /* enum ledger_state, below LEDGER_UNSEEN */
    uint64_t in_doubt : 1; /* this is what it becomes; what it is, is in its change */
    uint64_t burying : 1;
    uint64_t endless : 1;
    uint64_t expired : 1;
    uint64_t stamp;      /* of the acquisition; 0: not acquired */
    uint64_t first : 42; /* Unix ms of the first delivery; 0: none */
    uint64_t who : 22;   /* index of the owner that has acquired it; with sessions, its session */
};

struct ledger_bits {
    uint64_t w[PAGE_WORDS];
};

struct page_slots {
    struct ledger_bits held;    /* has a slot; of a settled one it may still be there */
    struct ledger_bits settled; /* or skipped */
    struct ledger_bits ready;   /* available, no delay */
    struct ledger_bits dirty;   /* to be told by the next change */
    uint16_t rank[PAGE_WORDS];  /* how many slots are before those of this word */
    uint16_t n, cap;
    struct ledger_entry e[]; /* in order of index */
};

struct ledger_page {
    struct ledger_entity entity;
    int64_t no; /* offset / LEDGER_PAGE */
    uint64_t epoch;
    struct heap_node ready_node; /* by no, while anything is ready */
    struct heap_node due_node;   /* by the least due time or earlier */
    struct page_slots *slots;    /* NULL: packed */
    struct slice packed;         /* a snapshot's value */
    struct list dirty_link;
    struct list gone_link;
    uint32_t writes; /* changes under way that tell of it */
    uint16_t open;   /* unsettled */
    uint16_t ready_n, acquired_n, dead_n, in_doubt_n;
    uint16_t settled_to; /* gone: indexes below are settled */
    uint32_t take;       /* its place in the change being taken, + 1 */
    bool gone;           /* out of the directory */
    bool told;           /* gone, and the log knows */
};

struct page_dir {
    struct ledger_page **p;
    uint32_t head, n, cap; /* p[head .. head + n) */
};

struct page_run {
    int64_t from, to; /* page numbers, to excluded */
};

struct page_runs {
    struct page_run *r;
    uint32_t n, cap;
};

struct ledger_owner {
    struct map_node node;
    uint64_t id;
    uint32_t index;
    uint32_t held;
    bool gone; /* released; what was in doubt then is released if it comes back */
};

struct owners {
    struct map by_id;
    struct ledger_owner **all;  /* by index */
    struct ledger_owner *last;  /* asked for */
    struct ledger_owner *spare; /* that holds nothing, but may soon; or holds something by now */
    uint32_t n, cap;
    uint32_t *unused; /* indexes, as many as fit in cap */
    uint32_t unused_n;
};

struct session {
    struct ledger_entity entity;
    struct map_node node;
    struct list ready_link; /* in sessions->ready */
    struct heap_node due_node;
    struct list dirty_link;
    uint32_t index;
    uint64_t owner;
    int64_t due; /* monotonic ms; INT64_MAX: no end */
    bool locked;
    bool known;          /* the log may hold a lock or state of it */
    bool state_doubt;    /* a change of the state is under way */
    uint32_t doubt_n;    /* messages in doubt */
    uint32_t settling_n; /* of these, those that a holder settles */
    uint32_t former_n;   /* of these, those whose lock is over: nobody goes on behind them */
    uint32_t lock_no;    /* grows as a lock ends */
    uint32_t writes;
    struct slice state;
    int64_t given; /* the last message that a holder was given; -1: none */
    /* Offsets of unsettled messages, in order, as differences to base: a ring would need no moves,
     * but most leave at the front. */
    int64_t base;
    uint32_t *messages;
    uint32_t head, n, cap; /* messages[head .. head + n) */
    struct str id;
};

struct sessions {
    struct map by_id;
    struct session **all; /* by index; NULL: unused */
    uint32_t n, cap;
    uint32_t count;
    uint32_t *unused; /* indexes, as many as fit in cap */
    uint32_t unused_n;
    struct list ready; /* unlocked, with a message to give; the longest waiting first */
    uint32_t ready_n;
    struct heap due;
    struct list dirty;
    size_t bytes;
};

/* One settle in doubt. */
struct change_item {
    struct ledger_page *page; /* NULL: a session's state */
    struct session *session;
    uint16_t index;
    bool rejected;
    bool is_void;     /* a rewind came between */
    uint32_t lock_no; /* of the session's, when it was acquired */
    union {
        struct ledger_entry was;
        struct slice state;
    };
};

struct change_page {
    struct ledger_page *page;
    struct ledger_bits bits; /* that it tells */
};

#define CHANGE_ITEMS_FEW 2
#define CHANGE_PAGES_FEW 1
#define CHANGE_RECORDS_FEW 2
#define TAKE_BYTES 128 /* that most records together fit in */

enum rewind_keep {
    KEEP_NONE,
    KEEP_PENDING, /* what is acquired, deferred, delayed, dead */
    KEEP_BELOW,   /* all that lies before */
};

struct ledger_change {
    struct ledger *ledger; /* NULL: freed meanwhile */
    struct list link;
    struct change_item *items;
    uint32_t items_n, items_cap;
    struct change_page *pages;
    uint32_t pages_n, pages_cap;
    struct session **sessions; /* told, whose lock or state */
    uint32_t sessions_n, sessions_cap;
    struct ledger_record *records;
    uint32_t records_n, records_cap;
    struct wr wr;
    bool taken, alone, head;
    uint64_t epoch;        /* of its head */
    struct list gone;      /* pages that its head tells to be gone */
    struct page_runs runs; /* complete pages that its head tells */
    /* A rewind */
    bool rewind;
    enum rewind_keep keep;
    int64_t rewind_to;
    int64_t rewind_asked;        /* may lie before the log's start */
    struct ledger_page **staged; /* what is kept */
    uint32_t staged_n;
    /* Not zeroed */
    struct change_item few[CHANGE_ITEMS_FEW];
    struct change_page few_pages[CHANGE_PAGES_FEW];
    struct ledger_record few_records[CHANGE_RECORDS_FEW];
};

struct ledger {
    struct ledger_entity head;
    uint32_t magic;
    struct ledger_conf conf;
    uint64_t tag; /* of the subscription, in tokens */
    uint64_t epoch;
    uint64_t stamp;     /* the last given */
    int64_t start;      /* of the log, as far as it matters */
    int64_t kept;       /* what is unsettled below, the owner has copies of */
    int64_t trim_later; /* when the rewind under way is done */
    int64_t next;
    int64_t expired_below;
    struct page_dir dir;
    struct heap ready, due; /* ledger_page */
    struct list dirty;      /* ledger_page: something to be told */
    struct list gone;       /* ledger_page: the log does not know yet */
    struct list told;       /* ledger_page: gone and told, but referred to */
    struct list changes;    /* from make to done */
    bool head_dirty;
    bool folding;
    bool head_known; /* folded */
    uint32_t beyond_max;
    struct page_runs runs;   /* complete pages that the log does not know of */
    struct page_runs beyond; /* complete pages at or above next; while folding: all complete ones */
    struct ledger_change *rewinding;
    struct owners owners;
    struct sessions *sessions; /* NULL: not by session */
    uint32_t ready_n, delayed_n, acquired_n, deferred_n, dead_n, in_doubt_n;
    uint32_t dead_from; /* directory place before which nothing is dead */
    uint32_t squeeze_at;
    size_t bytes;
    uint64_t delivered, accepted, released, rejected, lock_expired, expired, skipped;
};

#define LEDGER_MAGIC 0x1ed6e400u

static inline int64_t page_of(int64_t offset)
{
    return offset >> PAGE_SHIFT;
}

static inline unsigned index_of(int64_t offset)
{
    return (unsigned)(offset & (LEDGER_PAGE - 1));
}

static inline int64_t page_start(const struct ledger_page *p)
{
    return p->no * LEDGER_PAGE;
}

static inline bool bit_get(const struct ledger_bits *b, unsigned i)
{
    return b->w[i / 64] >> (i % 64) & 1;
}

static inline void bit_set(struct ledger_bits *b, unsigned i)
{
    b->w[i / 64] |= (uint64_t)1 << (i % 64);
}

static inline void bit_clear(struct ledger_bits *b, unsigned i)
{
    b->w[i / 64] &= ~((uint64_t)1 << (i % 64));
}

static inline uint64_t due_pack(int64_t mono_ms)
{
    return (uint64_t)(mono_ms + DUE_BIAS) & DUE_MASK;
}

static inline int64_t due_of(const struct ledger_entry *e)
{
    return (int64_t)e->due - DUE_BIAS;
}

/* ---- ledger_page.c: pages, their slots, the directory ---- */

struct ledger_page *page_find(const struct ledger *l, int64_t no);
/* Found or made. */
struct ledger_page *page_get(struct ledger *l, int64_t no);
struct ledger_page *page_make(struct ledger *l, int64_t no, uint64_t epoch);
void page_insert(struct ledger *l, struct ledger_page *p);
/* Place in the directory of the first page with a number >= no. */
uint32_t page_place(const struct ledger *l, int64_t no);
static inline struct ledger_page *page_at(const struct ledger *l, uint32_t place)
{
    return l->dir.p[l->dir.head + place];
}
/* Out of the directory: all of it is settled. Its entity lives until the log knows. */
void page_gone(struct ledger *l, struct ledger_page *p);
/* The same when the log knows it already. */
void page_gone_known(struct ledger *l, struct ledger_page *p);
void page_free(struct ledger *l, struct ledger_page *p);
/* As nothing had been read into it. */
void page_forget_entries(struct ledger *l, struct ledger_page *p);
/* From here on it is these bytes: takes over the reference. */
void page_packed(struct ledger *l, struct ledger_page *p, struct slice packed);
/* Frees it if it is gone, told, and nobody refers to it any more. */
void page_release(struct ledger *l, struct ledger_page *p);
/* Gone if nothing in it is open and next is behind it. */
void page_check(struct ledger *l, struct ledger_page *p);
/* Its slots, unpacked. */
struct page_slots *page_slots(struct ledger *l, struct ledger_page *p);
/* NULL: no slot, or settled. */
struct ledger_entry *page_entry(struct ledger *l, struct ledger_page *p, unsigned index);
/* Whether the index was looked at. */
bool page_known(struct ledger *l, struct ledger_page *p, unsigned index);
/* A zeroed slot for an index that has none, in any order. */
struct ledger_entry *page_slot_add(struct ledger *l, struct ledger_page *p, unsigned index);
void page_dirty(struct ledger *l, struct ledger_page *p, unsigned index);
/* Counts, bitmaps, heaps, of an entry that has come into this state, or is about to leave it. */
void page_in(struct ledger *l, struct ledger_page *p, unsigned index, const struct ledger_entry *e);
void page_out(struct ledger *l, struct ledger_page *p, unsigned index,
              const struct ledger_entry *e);
/* Settled for good, after page_out. */
void page_settle(struct ledger *l, struct ledger_page *p, unsigned index);
void page_due(struct ledger *l, struct ledger_page *p, int64_t mono_ms);
/* First index >= from that is unsettled; LEDGER_PAGE: none. */
unsigned page_next_open(struct ledger *l, struct ledger_page *p, unsigned from);
/* No slots but for what is unsettled. */
void page_fit(struct ledger *l, struct ledger_page *p);
/* Gives memory back where pages have much settled in them. */
void page_squeeze(struct ledger *l, struct ledger_page *p);

void runs_add(struct page_runs *r, int64_t from, int64_t to);
bool runs_cover(const struct page_runs *r, int64_t no);
void runs_normalize(struct page_runs *r);
void runs_free(struct page_runs *r);

/* ---- ledger_owners.c ---- */

/* One more is held. ERR_BUSY: too many owners. */
enum err must_use owner_ref(struct ledger *l, uint64_t id, uint32_t n, uint32_t *index);
void owner_unref(struct ledger *l, uint32_t index);
struct ledger_owner *owner_find(const struct ledger *l, uint64_t id);
/* Forgets who holds nothing. */
void owners_idle(struct ledger *l);
void owners_free(struct ledger *l);

/* ---- ledger_acquire.c ---- */

void entry_acquire(struct ledger *l, struct ledger_entry *e, uint32_t who, uint32_t lock_ms,
                   struct ledger_time now);
/* What the entry becomes when it is given back: available, or dead. due 0: at once. Only fields. */
void entry_released(const struct ledger *l, int64_t offset, struct ledger_entry *e, uint64_t due,
                    bool uncounted);
/* The same, done. */
void entry_release(struct ledger *l, struct ledger_page *p, unsigned index, struct ledger_entry *e,
                   bool uncounted);
void taken_fill(const struct ledger *l, int64_t offset, const struct ledger_entry *e,
                struct ledger_time now, struct ledger_taken *out);
/* How many of n the in-flight limit allows. */
size_t in_flight_room(const struct ledger *l, size_t n);
/* Acquired and counted. */
void entry_give(struct ledger *l, struct ledger_page *p, unsigned index, uint32_t who,
                uint32_t lock_ms, struct ledger_time now, struct ledger_taken *out);
uint64_t token_word(const struct ledger *l, uint64_t stamp);
/* The acquired, not in doubt, entry that ref names. */
struct ledger_entry *ref_find(struct ledger *l, struct ledger_ref ref, struct ledger_page **page);
/* The owner of what is acquired. */
uint64_t entry_owner(const struct ledger *l, const struct ledger_entry *e);

/* ---- ledger_order.c ---- */

/* How many of the first n ready the owner may acquire. */
size_t order_room(struct ledger *l, uint64_t owner, size_t n);

/* ---- ledger_change.c ---- */

/* In-doubt entries of the page as they are, not as they become: calls f for each. */
void changes_confirmed(const struct ledger *l, const struct ledger_page *p,
                       void (*f)(void *user, const struct change_item *item), void *user);
/* Nothing comes of the settles that are in doubt, whatever becomes of their changes. */
void changes_void(struct ledger *l);
void change_free(struct ledger_change *c);
/* A record is key, then value, written to c->wr between these. */
void record_begin(struct ledger_change *c, struct ledger_entity *e);
void record_key_end(struct ledger_change *c);
void record_end(struct ledger_change *c);

/* ---- ledger_settle.c ---- */

struct change_item *change_item_add(struct ledger_change *c);

/* ---- ledger_rewind.c ---- */

/* Whether anything must be staged. */
bool rewind_stages(const struct ledger *l, const struct ledger_change *c);
void rewind_stage(struct ledger *l, struct ledger_change *c);
void rewind_head_write(struct ledger *l, const struct ledger_change *c, struct wr *w);
void rewind_done(struct ledger *l, struct ledger_change *c, bool ok);

/* ---- ledger_records.c ---- */

#define LEDGER_FORMAT 1

void head_key(const struct ledger *l, struct wr *w);
void page_key(const struct ledger *l, const struct ledger_page *p, struct wr *w);
void session_key(const struct ledger *l, const struct session *s, bool state, struct wr *w);
void head_write(struct wr *w, uint64_t epoch, int64_t floor, const struct page_runs *runs);
/* The indexes in bits. confirmed: those in doubt as they are, else as they become. */
void page_write(struct ledger *l, struct ledger_page *p, const struct ledger_bits *bits,
                bool confirmed, struct ledger_time now, struct wr *w);
void session_write(const struct session *s, struct ledger_time now, struct wr *w);
/* Runs of a page's value into its slots; while folding, or a packed page's. */
enum err must_use page_read(struct ledger *l, struct ledger_page *p, struct str value,
                            struct ledger_time now);

/* If nothing of it is acquired, in doubt or to be told. */
void page_pack(struct ledger *l, struct ledger_page *p);

/* ---- ledger_sessions.c ---- */

void session_snapshot(const struct session *s, struct ledger_time now, struct batch_builder *out);

struct sessions *sessions_make(void);
void sessions_free(struct ledger *l);
struct session *session_find(const struct ledger *l, struct str id);
/* Found or made. NULL: too many. */
struct session *session_get(struct ledger *l, struct str id);
/* Not too far from the first one. */
bool session_message_fits(const struct session *s, int64_t offset);
void session_message_add(struct ledger *l, struct session *s, int64_t offset);
void session_message_remove(struct ledger *l, struct session *s, int64_t offset);
void session_messages_clear(struct ledger *l, struct session *s);
/* After anything about it or its messages changed: is it in the right list, is it still needed? */
void session_refresh(struct ledger *l, struct session *s);
void session_unlock(struct ledger *l, struct session *s);
void session_locked(struct ledger *l, struct session *s, int64_t due);
void session_dirty(struct ledger *l, struct session *s);
void sessions_folded(struct ledger *l);
/* Of all, the messages; then, with those that stay, the rest. */
void sessions_clear(struct ledger *l);
void sessions_rewound(struct ledger *l, bool unlock);
void sessions_forget(struct ledger *l);
/* The records of those whose lock changed, and of states in c. */
void sessions_take(struct ledger *l, struct ledger_change *c, struct ledger_time now);
void sessions_told(struct ledger *l, struct ledger_change *c, bool ok);
void session_state_done(struct ledger *l, struct change_item *item, bool ok);
void sessions_release_owner(struct ledger *l, uint64_t owner, struct ledger_time now);
/* Locks that are over by now; at most n. */
bool sessions_step(struct ledger *l, struct ledger_time now, unsigned n);
