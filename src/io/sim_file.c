/* The bytes of one simulated file.
 *
 * A file is seen through its pages, which hold what a read returns. A page that was changed since
 * the last sync also keeps its durable bytes (`old`), and the changes themselves stand in a list in
 * the order in which they were made. A sync forgets both. A power cut goes back to the durable
 * bytes and then plays some of the changes again:
 *
 *      durable   ........  ........  ........      sectors
 *      write 1   11111111  1111....                kept in the first sector only: torn
 *      write 2             ....2222  2222....      kept
 *      after     11111111  11112222  2222....
 *
 * A sector that holds write 2 holds write 1 as well: the page cache is written back as it stands,
 * not as it was written. So the draw gives each sector the last change that reached it, and all
 * changes up to that one are played there. Between sectors there is no order at all.
 *
 * The size is drawn from the sizes after each change, apart from the data: a file may have grown
 * without its bytes (they read as zeros) and the reverse (they are cut off).
 */
#include "io/sim_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

struct sim_page {
    uint8_t *old;               /* the durable bytes; NULL: the same as data */
    bool dirty;                 /* the next sync writes it (a failed sync clears this, not old) */
    uint32_t last[SIM_SECTORS]; /* during a draw: the last change that reached the sector */
    uint8_t data[SIM_PAGE];
};

/* An unsynced change. The numbers begin with 1; 0 is the durable state. */
struct sim_write {
    struct list link;
    uint64_t at, len;
    uint64_t size_after;
    bool truncate; /* `at` is the new, lower end; else `len` bytes at `at` (none: only the size) */
    uint8_t data[];
};

/* A block that is reserved and was never written. */
static struct sim_page page_reserved;
/* The old bytes of a page that was a hole. */
static uint8_t page_zero[SIM_PAGE];

/* How a draw treats the unsynced changes of a file. */
enum sim_fate { FATE_ALL_LOST, FATE_ALL_KEPT, FATE_PREFIX, FATE_EACH, FATE_COUNT };

struct sim_draw {
    struct rng *rng;
    enum sim_fate fate;
    uint32_t prefix;  /* FATE_PREFIX: changes up to here are kept, the next one is torn */
    uint32_t size_of; /* the change whose size the file has afterwards */
    uint64_t blocked; /* sectors from here on lie behind a truncate that was lost */
};

void sim_file_init(struct sim_file *f, struct sim_space *space)
{
    *f = (struct sim_file){.space = space};
    list_init(&f->writes);
}

static bool page_is_real(const struct sim_page *page)
{
    return page && page != &page_reserved;
}

static void page_drop_old(struct sim_page *page)
{
    if (page->old != page_zero)
        mem_free(page->old);
    page->old = NULL;
}

/* Makes a hole at the place. */
static void page_drop(struct sim_file *f, size_t index)
{
    struct sim_page *page = f->pages[index];
    if (!page)
        return;
    f->pages[index] = NULL;
    f->space->used--;
    if (page_is_real(page)) {
        page_drop_old(page);
        mem_free(page);
    }
}

static void writes_clear(struct sim_file *f)
{
    struct list *at;
    while ((at = list_pop(&f->writes)) != NULL)
        mem_free(container_of(at, struct sim_write, link));
    f->write_count = 0;
}

void sim_file_free(struct sim_file *f)
{
    for (size_t i = 0; i < f->page_count; i++)
        page_drop(f, i);
    writes_clear(f);
    mem_free(f->pages);
    mem_free(f->changed);
}

static void pages_reach(struct sim_file *f, size_t index)
{
    if (index < f->page_count)
        return;
    size_t count = f->page_count ? f->page_count : 16;
    while (count <= index)
        count *= 2;
    f->pages = mem_realloc(f->pages, count * sizeof(*f->pages));
    memset(f->pages + f->page_count, 0, (count - f->page_count) * sizeof(*f->pages));
    f->page_count = count;
}

static void page_mark_changed(struct sim_file *f, size_t index)
{
    if (f->changed_count == f->changed_cap) {
        f->changed_cap = f->changed_cap ? f->changed_cap * 2 : 16;
        f->changed = mem_realloc(f->changed, f->changed_cap * sizeof(*f->changed));
    }
    f->changed[f->changed_count++] = index;
}

/* Takes a block for a hole; false: none is left. */
static bool page_reserve(struct sim_file *f, size_t index)
{
    pages_reach(f, index);
    if (f->pages[index])
        return true;
    if (f->space->full || f->space->used >= f->space->total)
        return false;
    f->space->used++;
    f->pages[index] = &page_reserved;
    return true;
}

/* The page at the place, its durable bytes set aside; NULL: the disk is full. */
static struct sim_page *page_change(struct sim_file *f, size_t index)
{
    if (!page_reserve(f, index))
        return NULL;
    struct sim_page *page = f->pages[index];
    if (page == &page_reserved) {
        page = f->pages[index] = mem_zalloc(1, sizeof(*page));
        page->old = page_zero;
        page_mark_changed(f, index);
    } else if (!page->old) {
        page->old = mem_alloc(SIM_PAGE);
        memcpy(page->old, page->data, SIM_PAGE);
        page_mark_changed(f, index);
    }
    page->dirty = true;
    return page;
}

/* Bytes from `at` to the end of its page, at most n. */
static size_t page_span(uint64_t at, uint64_t n)
{
    uint64_t left = SIM_PAGE - at % SIM_PAGE;
    return (size_t)(n < left ? n : left);
}

size_t sim_file_read(const struct sim_file *f, void *p, size_t n, uint64_t at)
{
    if (at >= f->size)
        return 0;
    if (n > f->size - at)
        n = (size_t)(f->size - at);
    size_t done = 0;
    while (done < n) {
        size_t index = (size_t)((at + done) / SIM_PAGE), k = page_span(at + done, n - done);
        const struct sim_page *page = index < f->page_count ? f->pages[index] : NULL;
        if (page_is_real(page))
            memcpy((uint8_t *)p + done, page->data + (at + done) % SIM_PAGE, k);
        else
            memset((uint8_t *)p + done, 0, k);
        done += k;
    }
    return n;
}

static void write_record(struct sim_file *f, const void *p, size_t n, uint64_t at, bool truncate)
{
    struct sim_write *w = mem_alloc(sizeof(*w) + n);
    *w = (struct sim_write){.at = at, .len = n, .size_after = f->size, .truncate = truncate};
    if (n)
        memcpy(w->data, p, n);
    list_push(&f->writes, &w->link);
    f->write_count++;
}

size_t sim_file_write(struct sim_file *f, const void *p, size_t n, uint64_t at)
{
    size_t done = 0;
    while (done < n) {
        struct sim_page *page = page_change(f, (size_t)((at + done) / SIM_PAGE));
        if (!page)
            break;
        size_t k = page_span(at + done, n - done);
        memcpy(page->data + (at + done) % SIM_PAGE, (const uint8_t *)p + done, k);
        done += k;
    }
    if (done == 0)
        return 0;
    if (at + done > f->size)
        f->size = at + done;
    write_record(f, p, done, at, false);
    return done;
}

/* Zeroes what pages hold from position `from` on. */
static void pages_zero_from(struct sim_file *f, uint64_t from, bool keep_old)
{
    for (size_t i = (size_t)(from / SIM_PAGE); i < f->page_count; i++) {
        if (!page_is_real(f->pages[i]))
            continue;
        struct sim_page *page = keep_old ? page_change(f, i) : f->pages[i];
        uint64_t start = (uint64_t)i * SIM_PAGE;
        size_t skip = start < from ? (size_t)(from - start) : 0;
        memset(page->data + skip, 0, SIM_PAGE - skip);
    }
}

void sim_file_truncate(struct sim_file *f, uint64_t size)
{
    bool shrinks = size < f->size;
    if (size == f->size)
        return;
    if (shrinks)
        pages_zero_from(f, size, true);
    f->size = size;
    write_record(f, NULL, 0, size, shrinks);
}

bool sim_file_allocate(struct sim_file *f, uint64_t at, uint64_t n)
{
    if (n == 0)
        return true;
    for (uint64_t i = at / SIM_PAGE; i <= (at + n - 1) / SIM_PAGE; i++) {
        if (!page_reserve(f, (size_t)i))
            return false;
    }
    if (at + n > f->size)
        f->size = at + n;
    write_record(f, NULL, 0, at, false);
    return true;
}

/* Blocks wholly behind the end go back to the disk. */
static void pages_trim(struct sim_file *f)
{
    for (uint64_t i = (f->size + SIM_PAGE - 1) / SIM_PAGE; i < f->page_count; i++)
        page_drop(f, (size_t)i);
}

/* Forgets the pages whose durable bytes are again the same, or that are gone. */
static void changed_filter(struct sim_file *f)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->changed_count; i++) {
        const struct sim_page *page = f->pages[f->changed[i]];
        if (page_is_real(page) && page->old)
            f->changed[kept++] = f->changed[i];
    }
    f->changed_count = kept;
}

void sim_file_sync(struct sim_file *f)
{
    for (size_t i = 0; i < f->changed_count; i++) {
        struct sim_page *page = f->pages[f->changed[i]];
        if (page->dirty)
            page_drop_old(page);
        page->dirty = false;
    }
    f->durable_size = f->size;
    writes_clear(f);
    pages_trim(f);
    changed_filter(f);
}

/* Does change number n reach the disk in this sector? */
static bool draw_sector(const struct sim_draw *d, uint32_t n, enum sim_fate own)
{
    switch (d->fate) {
    case FATE_ALL_LOST:
        return false;
    case FATE_ALL_KEPT:
        return true;
    case FATE_PREFIX:
        return n <= d->prefix || (n == d->prefix + 1 && rng_one_in(d->rng, 2));
    default:
        return own == FATE_ALL_KEPT || (own == FATE_EACH && rng_one_in(d->rng, 2));
    }
}

static void draw_init(struct sim_draw *d, const struct sim_file *f, struct rng *rng)
{
    d->rng = rng;
    d->fate = (enum sim_fate)rng_below(rng, FATE_COUNT);
    d->prefix = (uint32_t)rng_below(rng, (uint64_t)f->write_count + 1);
    d->blocked = UINT64_MAX;
    switch (d->fate) {
    case FATE_ALL_LOST:
        d->size_of = 0;
        break;
    case FATE_ALL_KEPT:
        d->size_of = f->write_count;
        break;
    default:
        d->size_of = (uint32_t)rng_below(rng, (uint64_t)f->write_count + 1);
    }
    /* Now and then the size goes the other way than the bytes. */
    if (rng_one_in(rng, 8))
        d->size_of = (uint32_t)rng_below(rng, (uint64_t)f->write_count + 1);
}

static void draw_write(struct sim_file *f, struct sim_draw *d, const struct sim_write *w,
                       uint32_t n)
{
    static const enum sim_fate own_fates[] = {FATE_ALL_LOST, FATE_ALL_KEPT, FATE_EACH};
    enum sim_fate own = own_fates[rng_below(d->rng, 3)];
    uint64_t sector = w->at / SIM_SECTOR, end = (w->at + w->len + SIM_SECTOR - 1) / SIM_SECTOR;
    for (; sector < end; sector++) {
        if (sector * SIM_SECTOR >= d->blocked)
            return;
        if (draw_sector(d, n, own))
            f->pages[sector / SIM_SECTORS]->last[sector % SIM_SECTORS] = n;
    }
}

/* Writes behind a truncate that was lost went to new blocks that no one points to. */
static void draw_truncate(struct sim_draw *d, const struct sim_write *w, uint32_t n)
{
    if (n > d->size_of && w->at < d->blocked)
        d->blocked = w->at;
}

static void replay_write(struct sim_file *f, const struct sim_write *w, uint32_t n)
{
    uint64_t at = w->at, end = w->at + w->len;
    while (at < end) {
        uint64_t next = (at / SIM_SECTOR + 1) * SIM_SECTOR;
        uint64_t stop = next < end ? next : end;
        struct sim_page *page = f->pages[at / SIM_PAGE];
        if (n <= page->last[at % SIM_PAGE / SIM_SECTOR])
            memcpy(page->data + at % SIM_PAGE, w->data + (at - w->at), (size_t)(stop - at));
        at = stop;
    }
}

/* Leaves in the pages what a power cut leaves, and returns the size that goes with it. */
static uint64_t draw_survivors(struct sim_file *f, struct rng *rng)
{
    struct sim_draw d;
    draw_init(&d, f, rng);
    uint64_t size = f->durable_size;
    uint32_t n = 0;
    list_for (it, &f->writes) {
        const struct sim_write *w = container_of(it, struct sim_write, link);
        if (++n == d.size_of)
            size = w->size_after;
        if (w->truncate)
            draw_truncate(&d, w, n);
        else
            draw_write(f, &d, w, n);
    }
    for (size_t i = 0; i < f->changed_count; i++) {
        struct sim_page *page = f->pages[f->changed[i]];
        memcpy(page->data, page->old, SIM_PAGE);
    }
    n = 0;
    list_for (it, &f->writes) {
        const struct sim_write *w = container_of(it, struct sim_write, link);
        if (++n <= d.size_of && w->truncate)
            pages_zero_from(f, w->at, false);
        else if (!w->truncate)
            replay_write(f, w, n);
    }
    pages_zero_from(f, size, false);
    return size;
}

/* A power cut would change nothing. */
static bool is_durable(const struct sim_file *f)
{
    return f->changed_count == 0 && f->write_count == 0 && f->size == f->durable_size;
}

void sim_file_cut(struct sim_file *f, struct rng *rng)
{
    if (is_durable(f))
        return;
    f->size = f->durable_size = draw_survivors(f, rng);
    for (size_t i = 0; i < f->changed_count; i++) {
        struct sim_page *page = f->pages[f->changed[i]];
        page_drop_old(page);
        page->dirty = false;
        memset(page->last, 0, sizeof(page->last));
    }
    f->changed_count = 0;
    writes_clear(f);
    pages_trim(f);
}

void sim_file_sync_failed(struct sim_file *f, struct rng *rng)
{
    if (is_durable(f))
        return;
    uint8_t *cached = mem_alloc(f->changed_count * SIM_PAGE);
    for (size_t i = 0; i < f->changed_count; i++)
        memcpy(cached + i * SIM_PAGE, f->pages[f->changed[i]]->data, SIM_PAGE);
    f->durable_size = draw_survivors(f, rng);
    for (size_t i = 0; i < f->changed_count; i++) {
        struct sim_page *page = f->pages[f->changed[i]];
        if (page->old == page_zero)
            page->old = mem_alloc(SIM_PAGE);
        memcpy(page->old, page->data, SIM_PAGE);
        memcpy(page->data, cached + i * SIM_PAGE, SIM_PAGE);
        memset(page->last, 0, sizeof(page->last));
        page->dirty = false;
    }
    mem_free(cached);
    writes_clear(f);
}

void sim_file_flip(struct sim_file *f, uint64_t at, unsigned bit)
{
    weir_assert(at < f->size && bit < 8);
    struct sim_page *page = page_change(f, (size_t)(at / SIM_PAGE));
    if (!page)
        return;
    if (page->old == page_zero)
        page->old = mem_zalloc(1, SIM_PAGE);
    page->data[at % SIM_PAGE] ^= (uint8_t)(1u << bit);
    page->old[at % SIM_PAGE] ^= (uint8_t)(1u << bit);
}
