#include "store/meta.h"

#include "base/crc32c.h"
#include "base/str.h"
#include "store/layout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define META_BYTES_MAX 4096
#define META_FIRST "weir.format="

/* One "key=value" line. False at the end; a line without '=' has an empty key. */
static bool line_next(const char **at, struct str *key, struct str *value)
{
    if (**at == '\0')
        return false;
    size_t n = strcspn(*at, "\n");
    const char *eq = memchr(*at, '=', n);
    *key = (struct str){*at, eq ? (size_t)(eq - *at) : 0};
    *value = eq ? (struct str){eq + 1, n - key->len - 1} : (struct str){*at, 0};
    *at += n + ((*at)[n] == '\n');
    return true;
}

/* A whole number, decimal or 0x hex, that fits 32 bits. */
static bool number_get(struct str s, int base, uint32_t *out)
{
    char text[24];
    char *end;
    if (s.len == 0 || !str_copy(text, sizeof(text), s))
        return false;
    errno = 0;
    unsigned long v = strtoul(text, &end, base);
    *out = (uint32_t)v;
    return *end == '\0' && errno == 0 && v <= UINT32_MAX;
}

static bool cluster_get(struct str s, struct uuid *out)
{
    char text[UUID_TEXT_MAX];
    return str_copy(text, sizeof(text), s) && uuid_parse(text, out) == ERR_OK;
}

struct fields {
    struct meta meta;
    uint32_t format, crc;
    unsigned seen; /* bit per known key */
};

/* False: the key is known and its value is not one. Unknown keys pass: flags decide about them. */
static bool field_get(struct fields *f, struct str key, struct str value)
{
    const struct {
        const char *key;
        uint32_t *number;
        int base;
    } numbers[] = {
        {"weir.format", &f->format, 10},
        {"compatible", &f->meta.compatible, 16},
        {"read-only", &f->meta.read_only, 16},
        {"incompatible", &f->meta.incompatible, 16},
        {"shards", &f->meta.shards, 10},
        {"incarnation", &f->meta.incarnation, 10},
        {"crc", &f->crc, 16},
    };
    enum { NUMBERS = sizeof(numbers) / sizeof(numbers[0]) };
    for (unsigned i = 0; i < NUMBERS; i++) {
        if (str_is(key, numbers[i].key)) {
            f->seen |= 1u << i;
            return number_get(value, numbers[i].base, numbers[i].number);
        }
    }
    if (!str_is(key, "cluster"))
        return true;
    f->seen |= 1u << NUMBERS;
    return cluster_get(value, &f->meta.cluster_id);
}

#define FIELDS_ALL 0xffu

static enum err meta_parse(const char *s, const char *dir, bool writing, struct meta *out,
                           struct err_text *text)
{
    if (strncmp(s, META_FIRST, strlen(META_FIRST)) != 0)
        return err_say(text, ERR_CORRUPT,
                       "%s/meta is not weir's: choose another data folder, or restore the file",
                       dir);
    struct fields f = {0};
    const char *at = s;
    struct str key, value;
    bool good = true;
    const char *crc_line = strstr(s, "\ncrc=");
    while (line_next(&at, &key, &value))
        good = field_get(&f, key, value) && good;
    if ((f.seen & 1) && f.format > META_FORMAT)
        return err_say(text, ERR_FORMAT_NEWER,
                       "%s has format %" PRIu32 ", this program knows %d: use a newer version", dir,
                       f.format, META_FORMAT);
    if (!good || f.seen != FIELDS_ALL || f.format == 0 || !crc_line || f.meta.shards == 0 ||
        f.crc != crc32c(0, s, (size_t)(crc_line + 1 - s)))
        return err_say(text, ERR_CORRUPT, "%s/meta is damaged: restore it from a backup", dir);
    uint32_t unknown = f.meta.incompatible | (writing ? f.meta.read_only : 0);
    if (unknown)
        return err_say(text, ERR_FORMAT_NEWER,
                       "%s uses features (0x%" PRIx32 ") that this program does not know: use a "
                       "newer version",
                       dir, unknown);
    *out = f.meta;
    return ERR_OK;
}

enum err meta_read(struct disk *disk, const char *dir, bool writing, struct meta *out,
                   struct err_text *text)
{
    struct layout_path at;
    struct buf *buf;
    size_t n;
    const char *path = layout_in(&at, dir, "meta");
    enum err err = disk_read_file(disk, path, META_BYTES_MAX - 1, &buf, &n);
    if (err == ERR_NOT_FOUND)
        return err;
    if (err == ERR_MESSAGE_TOO_LARGE)
        return err_say(text, ERR_CORRUPT, "%s is not weir's: it is too long", path);
    if (err)
        return err_say(text, err, "reading %s: %s", path, err_meaning(err));
    char s[META_BYTES_MAX];
    memcpy(s, buf->data, n);
    s[n] = '\0';
    buf_unref(buf);
    return meta_parse(s, dir, writing, out, text);
}

enum err meta_write(struct disk *disk, const char *dir, const struct meta *meta)
{
    char s[META_BYTES_MAX], cluster[UUID_TEXT_MAX];
    uuid_format(meta->cluster_id, cluster);
    int n = snprintf(s, sizeof(s),
                     META_FIRST "%d\ncompatible=0x%" PRIx32 "\nread-only=0x%" PRIx32
                                "\nincompatible=0x%" PRIx32 "\ncluster=%s\nshards=%" PRIu32
                                "\nincarnation=%" PRIu32 "\n",
                     META_FORMAT, meta->compatible, meta->read_only, meta->incompatible, cluster,
                     meta->shards, meta->incarnation);
    n += snprintf(s + n, sizeof(s) - (size_t)n, "crc=%08" PRIx32 "\n", crc32c(0, s, (size_t)n));
    return disk_replace_file(disk, dir, "meta", s, (size_t)n);
}
