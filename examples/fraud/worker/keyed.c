#include "keyed.h"

#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROOM_FIRST = 256 };

static size_t place_of(const struct keyed *k, int64_t id)
{
    size_t at = (size_t)((uint64_t)id * 0x9e3779b97f4a7c15u >> 20) & (k->room - 1);
    while (k->slots[at].used && k->slots[at].id != id)
        at = (at + 1) & (k->room - 1);
    return at;
}

static void grow(struct keyed *k)
{
    struct keyed more = {.n = k->n, .room = k->room ? k->room * 2 : ROOM_FIRST};
    more.slots = calloc(more.room, sizeof *more.slots);
    if (more.slots == NULL)
        die("no memory for %zu keys", more.room);
    for (size_t i = 0; i < k->room; i++) {
        if (k->slots[i].used)
            more.slots[place_of(&more, k->slots[i].id)] = k->slots[i];
    }
    free(k->slots);
    *k = more;
}

struct key *keyed_get(struct keyed *k, int64_t id)
{
    if (k->n * 2 >= k->room)
        grow(k);
    struct key *key = &k->slots[place_of(k, id)];
    if (!key->used) {
        *key = (struct key){.id = id, .used = 1};
        k->n++;
    }
    return key;
}

void keyed_free(struct keyed *k)
{
    for (size_t i = 0; i < k->room; i++) {
        for (int kind = 0; kind < ROWS_KINDS; kind++)
            free(k->slots[i].rows[kind].at);
    }
    free(k->slots);
    *k = (struct keyed){0};
}

/* ---- the file ----
 *
 *     struct head | for each key: id, count of rows of each kind, rows | sum of all bytes before
 */
struct head {
    char magic[8];
    int64_t next;
    uint64_t keys;
    uint64_t size[ROWS_KINDS];
};

#define MAGIC "fraud-1\n"

struct file {
    FILE *at;
    uint64_t sum;
    int failed;
};

static void add_to_sum(struct file *f, const void *bytes, size_t n)
{
    for (const unsigned char *at = bytes; n > 0; n--)
        f->sum = (f->sum ^ *at++) * 0x100000001b3u; /* FNV-1a */
}

static void put(struct file *f, const void *bytes, size_t n)
{
    add_to_sum(f, bytes, n);
    f->failed |= n > 0 && fwrite(bytes, n, 1, f->at) != 1;
}

static void get(struct file *f, void *bytes, size_t n)
{
    if (n > 0 && !f->failed)
        f->failed = fread(bytes, n, 1, f->at) != 1;
    if (!f->failed)
        add_to_sum(f, bytes, n);
}

static void put_keys(struct file *f, const struct keyed *k, const size_t size[ROWS_KINDS])
{
    for (size_t i = 0; i < k->room; i++) {
        const struct key *key = &k->slots[i];
        if (!key->used)
            continue;
        put(f, &key->id, sizeof key->id);
        for (int kind = 0; kind < ROWS_KINDS; kind++) {
            put(f, &key->rows[kind].n, sizeof key->rows[kind].n);
            put(f, key->rows[kind].at, key->rows[kind].n * size[kind]);
        }
    }
}

/* A rename is on disk when its folder is. */
static int sync_folder(const char *path)
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = 0;
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) < 0;
    if (fd >= 0)
        close(fd);
    return failed;
}

void keyed_save(const struct keyed *k, const size_t size[ROWS_KINDS], int64_t next,
                const char *path)
{
    char part[4096];
    snprintf(part, sizeof part, "%s.part", path);
    struct file f = {.at = fopen(part, "we")};
    struct head head = {.magic = MAGIC, .next = next, .keys = k->n, .size = {size[0], size[1]}};
    if (f.at == NULL)
        die("cannot write %s: %s", part, strerror(errno));
    put(&f, &head, sizeof head);
    put_keys(&f, k, size);
    uint64_t sum = f.sum;
    put(&f, &sum, sizeof sum);
    f.failed |= fflush(f.at) != 0 || fsync(fileno(f.at)) < 0;
    f.failed |= fclose(f.at) != 0;
    if (f.failed || rename(part, path) < 0 || sync_folder(path))
        die("cannot write %s: %s", path, strerror(errno));
}

static int head_is_good(const struct head *h, const size_t size[ROWS_KINDS])
{
    return memcmp(h->magic, MAGIC, sizeof h->magic) == 0 && h->size[0] == size[0] &&
           h->size[1] == size[1];
}

static void get_key(struct file *f, struct keyed *k, const size_t size[ROWS_KINDS])
{
    int64_t id = 0;
    get(f, &id, sizeof id);
    struct key *key = keyed_get(k, id);
    for (int kind = 0; kind < ROWS_KINDS && !f->failed; kind++) {
        struct rows *rows = &key->rows[kind];
        uint32_t n = 0;
        get(f, &n, sizeof n);
        rows->at = n ? malloc(n * size[kind]) : NULL;
        if (n > 0 && rows->at == NULL) {
            f->failed = 1;
            break;
        }
        rows->n = rows->room = n;
        get(f, rows->at, n * size[kind]);
    }
}

int64_t keyed_load(struct keyed *k, const size_t size[ROWS_KINDS], const char *path)
{
    struct file f = {.at = fopen(path, "re")};
    struct head head = {0};
    if (f.at == NULL)
        return 0;
    get(&f, &head, sizeof head);
    f.failed |= !head_is_good(&head, size);
    for (uint64_t i = 0; i < head.keys && !f.failed; i++)
        get_key(&f, k, size);
    uint64_t sum = f.sum, written = 0;
    get(&f, &written, sizeof written);
    fclose(f.at);
    if (!f.failed && sum == written)
        return head.next;
    fprintf(stderr, "fraud-worker: %s is not whole, and not used\n", path);
    keyed_free(k);
    return 0;
}

int64_t keyed_saved(const char *path)
{
    struct head head = {0};
    FILE *at = fopen(path, "re");
    if (at == NULL)
        return 0;
    int whole = fread(&head, sizeof head, 1, at) == 1;
    fclose(at);
    return whole ? head.next : 0;
}
