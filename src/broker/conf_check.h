/* conf_check.h: checks of single fields that several kinds of resource have (spec_field.check; the
 * value is a struct str; one that is not set is right). Inside of broker/ only; pure. */
#pragma once

#include "spec/spec.h"

/* The name of a topic, or of a document: they have one rule. */
enum err conf_check_name(const struct spec_field *field, const void *value, struct err_text *text);
/* http:// or https://, with something behind it. */
enum err conf_check_url(const struct spec_field *field, const void *value, struct err_text *text);
