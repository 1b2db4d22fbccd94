#include "store/layout.h"

#include "base/assert.h"
#include "base/map.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *checked(struct layout_path *out, int n)
{
    weir_assert(n > 0 && (size_t)n < sizeof(out->s)); /* LAYOUT_DIR_MAX was checked at open */
    return out->s;
}

const char *layout_parent(struct layout_path *out, const char *dir)
{
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    while (n > 0 && dir[n - 1] != '/')
        n--;
    while (n > 1 && dir[n - 1] == '/')
        n--;
    return checked(out, n == 0 ? snprintf(out->s, sizeof(out->s), ".")
                               : snprintf(out->s, sizeof(out->s), "%.*s", (int)n, dir));
}

const char *layout_in(struct layout_path *out, const char *dir, const char *name)
{
    return checked(out, snprintf(out->s, sizeof(out->s), "%s/%s", dir, name));
}

void layout_log_name(char out[LAYOUT_LOG_NAME_MAX], const struct store_log_id *id)
{
    char topic[UUID_TEXT_MAX];
    uuid_format(id->topic, topic);
    (void)snprintf(out, LAYOUT_LOG_NAME_MAX, "%s-%" PRIu32, topic, id->partition);
}

const char *layout_log(struct layout_path *out, const char *dir, const struct store_log_id *id)
{
    char name[LAYOUT_LOG_NAME_MAX];
    layout_log_name(name, id);
    return checked(out, snprintf(out->s, sizeof(out->s), "%s/logs/%s", dir, name));
}

bool layout_log_parse(const char *name, struct store_log_id *out)
{
    char topic[UUID_TEXT_MAX], again[LAYOUT_LOG_NAME_MAX];
    if (strlen(name) < UUID_TEXT_MAX + 1 || name[UUID_TEXT_MAX - 1] != '-')
        return false;
    memcpy(topic, name, UUID_TEXT_MAX - 1);
    topic[UUID_TEXT_MAX - 1] = '\0';
    if (uuid_parse(topic, &out->topic))
        return false;
    out->partition = (uint32_t)strtoul(name + UUID_TEXT_MAX, NULL, 10);
    layout_log_name(again, out);
    return strcmp(name, again) == 0;
}

const char *layout_journal(struct layout_path *out, const char *dir, uint32_t number)
{
    return checked(out,
                   snprintf(out->s, sizeof(out->s), "%s/journal/%08" PRIu32 ".wj", dir, number));
}

bool layout_journal_parse(const char *name, uint32_t *number)
{
    char again[24];
    *number = (uint32_t)strtoul(name, NULL, 10);
    (void)snprintf(again, sizeof(again), "%08" PRIu32 ".wj", *number);
    return strcmp(name, again) == 0;
}

bool layout_id_eq(const struct store_log_id *a, const struct store_log_id *b)
{
    return uuid_eq(a->topic, b->topic) && a->partition == b->partition;
}

uint64_t layout_id_hash(const struct store_log_id *id)
{
    return hash_u64(uuid_hash(id->topic) ^ ((uint64_t)id->partition << 32 | id->partition));
}
