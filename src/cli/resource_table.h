/* resource_table.h: resources as lines for people: what `weir get` prints. */
#pragma once

#include <jansson.h>
#include <stdio.h>

/* The kind's plural for what a user types ("topic", "topics"); NULL: none. */
const char *resource_plural(const char *word);
/* All plurals there are, NULL-terminated. */
extern const char *const resource_plurals[];
/* "payments"; of a subscription "payments/fraud-check". Returns out. */
const char *resource_name(json_t *document, char *out, size_t cap);
/* A table of an array of documents. */
void resource_table_print(const char *plural, json_t *documents, FILE *to);
