/* Pages of a ledger's window.
 *
 * A page is looked up in the directory, mostly by its distance from the first one. Its slots are
 * found by rank: the number of held indexes before. Slots are added at the end while the log is
 * looked at, so this costs nothing but a bit; only a fold or a seek adds in the middle.
 *
 * What is settled keeps its slot until the page goes or is squeezed. Pages are squeezed when the
 * ledger as a whole has more than WASTE_MAX and an eighth to spare, so that small ledgers never
 * are, and a settle costs a few copied slots at most.
 */
#include "broker/ledger_internal.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST 8
#define WASTE_MAX ((size_t)64 << 10)
#define UNSETTLED_BYTES 27 /* of slot, page and directory */

static size_t slots_bytes(unsigned cap)
{
    return sizeof(struct page_slots) + cap * sizeof(struct ledger_entry);
}

/* ---- runs of page numbers ---- */

/* Mostly they come in order, and one behind the other. */
void runs_add(struct page_runs *r, int64_t from, int64_t to)
{
    if (from >= to)
        return;
    if (r->n != 0 && r->r[r->n - 1].to >= from && r->r[r->n - 1].from <= from) {
        if (r->r[r->n - 1].to < to)
            r->r[r->n - 1].to = to;
        return;
    }
    if (r->n == r->cap) {
        r->cap = r->cap == 0 ? 4 : r->cap * 2;
        r->r = mem_realloc(r->r, r->cap * sizeof(*r->r));
    }
    r->r[r->n++] = (struct page_run){from, to};
}

bool runs_cover(const struct page_runs *r, int64_t no)
{
    for (uint32_t i = 0; i < r->n; i++) {
        if (no >= r->r[i].from && no < r->r[i].to)
            return true;
    }
    return false;
}

static int run_compare(const void *a, const void *b)
{
    const struct page_run *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

/* In order, and disjoint. */
void runs_normalize(struct page_runs *r)
{
    if (r->n < 2)
        return;
    qsort(r->r, r->n, sizeof(*r->r), run_compare);
    uint32_t n = 1;
    for (uint32_t i = 1; i < r->n; i++) {
        struct page_run *last = &r->r[n - 1];
        if (r->r[i].from > last->to)
            r->r[n++] = r->r[i];
        else if (r->r[i].to > last->to)
            last->to = r->r[i].to;
    }
    r->n = n;
}

void runs_free(struct page_runs *r)
{
    mem_free(r->r);
    *r = (struct page_runs){NULL, 0, 0};
}

/* ---- directory ---- */

uint32_t page_place(const struct ledger *l, int64_t no)
{
    const struct page_dir *d = &l->dir;
    if (d->n == 0 || page_at(l, 0)->no >= no)
        return 0;
    int64_t guess = no - page_at(l, 0)->no; /* right if no page before it is missing */
    if (guess < d->n && page_at(l, (uint32_t)guess)->no == no)
        return (uint32_t)guess;
    uint32_t from = 0, to = d->n;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        if (page_at(l, mid)->no < no)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

struct ledger_page *page_find(const struct ledger *l, int64_t no)
{
    uint32_t place = page_place(l, no);
    return place < l->dir.n && page_at(l, place)->no == no ? page_at(l, place) : NULL;
}

static void dir_room(struct ledger *l)
{
    struct page_dir *d = &l->dir;
    if (d->head + d->n < d->cap)
        return;
    if (d->head > d->n / 2) {
        memmove(d->p, d->p + d->head, d->n * sizeof(struct ledger_page *));
        d->head = 0;
        return;
    }
    uint32_t cap = d->cap == 0 ? 4 : d->cap * 2;
    d->p = mem_realloc(d->p, cap * sizeof(struct ledger_page *));
    l->bytes += (cap - d->cap) * sizeof(struct ledger_page *);
    d->cap = cap;
}

void page_insert(struct ledger *l, struct ledger_page *p)
{
    dir_room(l);
    uint32_t place = page_place(l, p->no);
    struct ledger_page **at = l->dir.p + l->dir.head + place;
    weir_assert(place == l->dir.n || (*at)->no != p->no);
    memmove(at + 1, at, (l->dir.n - place) * sizeof(struct ledger_page *));
    *at = p;
    l->dir.n++;
    if (place < l->dead_from)
        l->dead_from = place;
}

static void dir_remove(struct ledger *l, struct ledger_page *p)
{
    struct page_dir *d = &l->dir;
    uint32_t place = page_place(l, p->no);
    weir_assert(place < d->n && page_at(l, place) == p);
    if (place == 0) {
        d->head++;
    } else {
        struct ledger_page **at = d->p + d->head + place;
        memmove(at, at + 1, (d->n - place - 1) * sizeof(struct ledger_page *));
    }
    d->n--;
    if (place < l->dead_from)
        l->dead_from--;
    if (d->n != 0)
        return;
    mem_free(d->p);
    l->bytes -= d->cap * sizeof(struct ledger_page *);
    *d = (struct page_dir){NULL, 0, 0, 0};
    l->dead_from = 0;
}

/* ---- life of a page ---- */

static struct page_slots *slots_make(struct ledger *l, unsigned cap)
{
    struct page_slots *s = mem_alloc(slots_bytes(cap));
    memset(s, 0, sizeof(*s));
    s->cap = (uint16_t)cap;
    l->bytes += slots_bytes(cap);
    return s;
}

static void slots_resize(struct ledger *l, struct ledger_page *p, unsigned cap)
{
    l->bytes -= slots_bytes(p->slots->cap);
    p->slots = mem_realloc(p->slots, slots_bytes(cap));
    p->slots->cap = (uint16_t)cap;
    l->bytes += slots_bytes(cap);
}

static void slots_free(struct ledger *l, struct ledger_page *p)
{
    if (p->slots != NULL)
        l->bytes -= slots_bytes(p->slots->cap);
    mem_free(p->slots);
    p->slots = NULL;
    l->bytes -= p->packed.len;
    slice_unref(p->packed);
    p->packed = (struct slice){NULL, NULL, 0};
}

struct ledger_page *page_make(struct ledger *l, int64_t no, uint64_t epoch)
{
    struct ledger_page *p = mem_zalloc(1, sizeof(*p));
    p->entity.ledger = l;
    p->entity.kind = ENTITY_PAGE;
    p->no = no;
    p->epoch = epoch;
    p->slots = slots_make(l, SLOTS_FIRST);
    list_init(&p->dirty_link);
    list_init(&p->gone_link);
    l->bytes += sizeof(*p);
    return p;
}

struct ledger_page *page_get(struct ledger *l, int64_t no)
{
    struct ledger_page *p = page_find(l, no);
    if (p == NULL) {
        p = page_make(l, no, l->epoch);
        page_insert(l, p);
    }
    return p;
}

void page_free(struct ledger *l, struct ledger_page *p)
{
    if (l->conf.forget != NULL)
        l->conf.forget(l->conf.user, &p->entity.log);
    list_remove(&p->gone_link);
    list_remove(&p->dirty_link);
    slots_free(l, p);
    l->bytes -= sizeof(*p);
    mem_free(p);
}

void page_release(struct ledger *l, struct ledger_page *p)
{
    if (p->gone && p->told && p->writes == 0 && p->in_doubt_n == 0)
        page_free(l, p);
}

static void page_leave(struct ledger *l, struct ledger_page *p)
{
    dir_remove(l, p);
    heap_remove(&l->ready, &p->ready_node);
    heap_remove(&l->due, &p->due_node);
    list_remove(&p->dirty_link);
    slots_free(l, p);
    p->gone = true;
}

void page_gone(struct ledger *l, struct ledger_page *p)
{
    int64_t to = l->next - page_start(p);
    p->settled_to = (uint16_t)(to > LEDGER_PAGE ? LEDGER_PAGE : to > 0 ? to : 0);
    page_leave(l, p);
    list_push(&l->gone, &p->gone_link);
    l->head_dirty = true;
}

void page_gone_known(struct ledger *l, struct ledger_page *p)
{
    page_forget_entries(l, p);
    page_leave(l, p);
    p->told = true;
    page_release(l, p);
}

void page_forget_entries(struct ledger *l, struct ledger_page *p)
{
    for (unsigned i = page_next_open(l, p, 0); i < LEDGER_PAGE; i = page_next_open(l, p, i + 1)) {
        const struct ledger_entry *e = page_entry(l, p, i);
        if (e->state == LEDGER_ACQUIRED && l->sessions == NULL)
            owner_unref(l, (uint32_t)e->who);
    }
    slots_free(l, p);
    p->slots = slots_make(l, SLOTS_FIRST);
}

void page_packed(struct ledger *l, struct ledger_page *p, struct slice packed)
{
    slots_free(l, p);
    p->packed = packed;
    l->bytes += packed.len;
}

void page_check(struct ledger *l, struct ledger_page *p)
{
    if (p->gone || p->open != 0 || page_start(p) + LEDGER_PAGE > l->next || l->folding)
        return;
    runs_add(&l->runs, p->no, p->no + 1);
    page_gone(l, p);
}

/* ---- slots ---- */

static unsigned slot_of(const struct page_slots *s, unsigned index)
{
    uint64_t before = ((uint64_t)1 << (index % 64)) - 1, in = s->held.w[index / 64] & before;
    unsigned n = in == before ? index % 64 : (unsigned)__builtin_popcountll(in);
    return s->rank[index / 64] + n;
}

struct page_slots *page_slots(struct ledger *l, struct ledger_page *p)
{
    if (p->slots != NULL)
        return p->slots;
    struct slice packed = p->packed;
    p->packed = (struct slice){NULL, NULL, 0};
    p->slots = slots_make(l, SLOTS_FIRST);
    struct str value = {(const char *)packed.at, packed.len};
    enum err err = page_read(l, p, value, (struct ledger_time){0, 0});
    weir_assert(err == ERR_OK);
    l->bytes -= packed.len;
    slice_unref(packed);
    for (unsigned i = page_next_open(l, p, 0); i < LEDGER_PAGE; i = page_next_open(l, p, i + 1)) {
        const struct ledger_entry *e = page_entry(l, p, i);
        if (e->state == LEDGER_AVAILABLE && e->due == 0)
            bit_set(&p->slots->ready, i);
    }
    return p->slots;
}

struct ledger_entry *page_entry(struct ledger *l, struct ledger_page *p, unsigned index)
{
    struct page_slots *s = p->slots != NULL ? p->slots : page_slots(l, p);
    if (!bit_get(&s->held, index) || bit_get(&s->settled, index))
        return NULL;
    return &s->e[slot_of(s, index)];
}

bool page_known(struct ledger *l, struct ledger_page *p, unsigned index)
{
    struct page_slots *s = page_slots(l, p);
    return bit_get(&s->held, index) || bit_get(&s->settled, index);
}

static void ranks_make(struct page_slots *s)
{
    unsigned n = 0;
    for (unsigned w = 0; w < PAGE_WORDS; w++) {
        s->rank[w] = (uint16_t)n;
        n += (unsigned)__builtin_popcountll(s->held.w[w]);
    }
}

static bool is_last(const struct page_slots *s, unsigned index)
{
    if (s->held.w[index / 64] >> (index % 64) != 0)
        return false;
    for (unsigned w = index / 64 + 1; w < PAGE_WORDS; w++) {
        if (s->held.w[w] != 0)
            return false;
    }
    return true;
}

struct ledger_entry *page_slot_add(struct ledger *l, struct ledger_page *p, unsigned index)
{
    struct page_slots *s = page_slots(l, p);
    if (s->n == s->cap) {
        unsigned cap = s->cap * 2u < LEDGER_PAGE ? s->cap * 2u : LEDGER_PAGE;
        slots_resize(l, p, s->cap < SLOTS_FIRST ? SLOTS_FIRST : cap);
        s = p->slots;
    }
    unsigned slot = s->n;
    if (is_last(s, index)) {
        if (s->held.w[index / 64] == 0)
            s->rank[index / 64] = s->n;
        bit_set(&s->held, index);
    } else {
        bit_set(&s->held, index);
        ranks_make(s);
        slot = slot_of(s, index);
        memmove(&s->e[slot + 1], &s->e[slot], (s->n - slot) * sizeof(s->e[0]));
    }
    s->n++;
    s->e[slot] = (struct ledger_entry){0};
    return &s->e[slot];
}

void page_dirty(struct ledger *l, struct ledger_page *p, unsigned index)
{
    bit_set(&page_slots(l, p)->dirty, index);
    if (!list_linked(&p->dirty_link))
        list_push(&l->dirty, &p->dirty_link);
}

void page_due(struct ledger *l, struct ledger_page *p, int64_t mono_ms)
{
    uint64_t key = due_pack(mono_ms);
    if (p->due_node.index1 != 0 && p->due_node.key <= key)
        return;
    heap_remove(&l->due, &p->due_node);
    heap_insert(&l->due, &p->due_node, key);
}

static void ready_in(struct ledger *l, struct ledger_page *p, unsigned index)
{
    bit_set(&p->slots->ready, index);
    l->ready_n++;
    if (p->ready_n++ == 0 && l->sessions == NULL)
        heap_insert(&l->ready, &p->ready_node, (uint64_t)p->no);
}

static void ready_out(struct ledger *l, struct ledger_page *p, unsigned index)
{
    bit_clear(&p->slots->ready, index);
    l->ready_n--;
    if (--p->ready_n == 0)
        heap_remove(&l->ready, &p->ready_node);
}

static void dead_in(struct ledger *l, struct ledger_page *p)
{
    l->dead_n++;
    p->dead_n++;
    uint32_t place = page_place(l, p->no);
    if (place < l->dead_from)
        l->dead_from = place;
}

void page_in(struct ledger *l, struct ledger_page *p, unsigned index, const struct ledger_entry *e)
{
    switch ((enum ledger_state)e->state) {
    case LEDGER_AVAILABLE:
        if (e->due == 0) {
            ready_in(l, p, index);
            break;
        }
        l->delayed_n++;
        page_due(l, p, due_of(e));
        break;
    case LEDGER_ACQUIRED:
        l->acquired_n++;
        p->acquired_n++;
        if (!e->endless)
            page_due(l, p, due_of(e));
        break;
    case LEDGER_DEFERRED:
        l->deferred_n++;
        break;
    case LEDGER_DEAD:
        dead_in(l, p);
        break;
    case LEDGER_SETTLED:
    case LEDGER_UNSEEN:
        weir_unreachable();
    }
}

void page_out(struct ledger *l, struct ledger_page *p, unsigned index, const struct ledger_entry *e)
{
    switch ((enum ledger_state)e->state) {
    case LEDGER_AVAILABLE:
        if (bit_get(&p->slots->ready, index))
            ready_out(l, p, index);
        else
            l->delayed_n--;
        break;
    case LEDGER_ACQUIRED:
        l->acquired_n--;
        p->acquired_n--;
        break;
    case LEDGER_DEFERRED:
        l->deferred_n--;
        break;
    case LEDGER_DEAD:
        l->dead_n--;
        p->dead_n--;
        break;
    case LEDGER_SETTLED:
    case LEDGER_UNSEEN:
        weir_unreachable();
    }
}

void page_settle(struct ledger *l, struct ledger_page *p, unsigned index)
{
    bit_set(&p->slots->settled, index);
    weir_assert(p->open > 0);
    if (--p->open == 0)
        page_check(l, p);
}

unsigned page_next_open(struct ledger *l, struct ledger_page *p, unsigned from)
{
    const struct page_slots *s = page_slots(l, p);
    for (unsigned w = from / 64; w < PAGE_WORDS; w++) {
        uint64_t bits = s->held.w[w] & ~s->settled.w[w];
        if (w == from / 64)
            bits &= ~(uint64_t)0 << (from % 64);
        if (bits != 0)
            return w * 64 + (unsigned)__builtin_ctzll(bits);
    }
    return LEDGER_PAGE;
}

/* ---- memory ---- */

void page_fit(struct ledger *l, struct ledger_page *p)
{
    struct page_slots *s = p->slots;
    unsigned n = 0;
    for (unsigned i = page_next_open(l, p, 0); i < LEDGER_PAGE; i = page_next_open(l, p, i + 1))
        s->e[n++] = s->e[slot_of(s, i)];
    for (unsigned w = 0; w < PAGE_WORDS; w++)
        s->held.w[w] &= ~s->settled.w[w];
    s->n = (uint16_t)n;
    ranks_make(s);
    slots_resize(l, p, n < SLOTS_FIRST ? SLOTS_FIRST : n);
}

static void slots_squeeze(struct ledger *l, struct ledger_page *p)
{
    const struct page_slots *s = p->slots;
    if (s != NULL && s->cap > SLOTS_FIRST && p->open + p->open / 8u < s->cap)
        page_fit(l, p);
}

void page_squeeze(struct ledger *l, struct ledger_page *p)
{
    size_t unsettled =
        (size_t)l->ready_n + l->delayed_n + l->acquired_n + l->deferred_n + l->dead_n;
    if (l->bytes <= WASTE_MAX + unsettled * UNSETTLED_BYTES)
        return;
    if (!p->gone)
        slots_squeeze(l, p);
    if (l->dir.n == 0)
        return;
    if (++l->squeeze_at >= l->dir.n)
        l->squeeze_at = 0;
    slots_squeeze(l, page_at(l, l->squeeze_at));
}
