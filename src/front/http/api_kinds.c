/* api_kinds.c: the kinds of resources, in the order in which documents are applied: what others
 * refer to comes first. */
#include "front/http/api.h"

#include "broker/access_resource.h"
#include "broker/document.h"
#include "broker/subscription.h"
#include "broker/topic_resource.h"

#include <string.h>

#define VERBS(kind)                                                                                \
    .apply = api_##kind##_apply, .remove = api_##kind##_remove, .find = api_##kind##_find,         \
    .next = api_##kind##_next, .show = api_##kind##_show, .name = api_##kind##_name

const struct api_kind api_kinds[] = {
    {.spec = &topic_kind, VERBS(topic)},
    {.spec = &function_kind,
     VERBS(function),
     .tell = api_function_tell,
     .labels_at = offsetof(struct function_conf, labels)},
    {.spec = &model_kind, VERBS(model), .labels_at = offsetof(struct model_conf, labels)},
    {.spec = &subscription_kind,
     VERBS(subscription),
     .labels_at = offsetof(struct subscription_conf, labels),
     .named_below = true},
    {.spec = &user_kind, VERBS(user)},
    {.spec = &grant_kind, VERBS(grant)},
};
const size_t api_kinds_n = sizeof api_kinds / sizeof *api_kinds;

json_t *api_schema(void)
{
    const struct spec_kind *kinds[sizeof api_kinds / sizeof *api_kinds];
    for (size_t i = 0; i < api_kinds_n; i++)
        kinds[i] = api_kinds[i].spec;
    return spec_schema(kinds, api_kinds_n);
}

const struct api_kind *api_kind_of_plural(struct str plural)
{
    for (size_t i = 0; i < api_kinds_n; i++) {
        if (str_is(plural, api_kinds[i].spec->plural))
            return &api_kinds[i];
    }
    return NULL;
}
