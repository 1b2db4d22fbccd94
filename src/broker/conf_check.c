#include "broker/conf_check.h"

#include "broker/topic.h"

#include <string.h>

enum err conf_check_name(const struct spec_field *field, const void *value, struct err_text *text)
{
    (void)field;
    const struct str *name = value;
    if (name->at == NULL || topic_name_check(*name, NULL) == ERR_OK)
        return ERR_OK;
    return err_say(text, ERR_CONFIG_INVALID, "must be a name: 1 to %d of a-z A-Z 0-9 . _ -",
                   TOPIC_NAME_MAX);
}

static bool begins(struct str s, const char *with)
{
    size_t n = strlen(with);
    return s.len > n && memcmp(s.at, with, n) == 0;
}

enum err conf_check_url(const struct spec_field *field, const void *value, struct err_text *text)
{
    (void)field;
    const struct str *url = value;
    if (url->at == NULL || begins(*url, "https://") || begins(*url, "http://"))
        return ERR_OK;
    return err_say(text, ERR_CONFIG_INVALID, "must begin with https:// or http://");
}
