/* topic-settings: prints the settings of a topic as rows of a Markdown table, from the broker's own
 * table (broker/topic_conf.c), for tools/docs.
 *
 * What a value may be is what the table says when it refuses one: "KEY must be THIS, got ...".
 * Where only one value is accepted, the reason follows.
 */
#include "broker/topic.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

#define REFUSED "?" /* no setting accepts it */
#define MUST_BE " must be "
#define GOT ", got \"" REFUSED "\""

static const char *type_name(enum topic_conf_type type)
{
    static const char *const names[] = {
        [CONF_BOOLEAN] = "boolean", [CONF_STRING] = "string", [CONF_INT] = "int",
        [CONF_LONG] = "long",       [CONF_DOUBLE] = "double", [CONF_LIST] = "list"};
    return names[type];
}

/* Text in a table's cell: a bar would end it. */
static void put_cell(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '|')
            putchar('\\');
        putchar(text[i]);
    }
}

static void put_row(struct topic_conf *conf, size_t i)
{
    const struct topic_conf_row *row = topic_conf_row(i);
    struct topic_setting wrong = {str_of(row->key), str_of(REFUSED)};
    struct err_text text = {""};
    char value[64];
    enum err err = topic_conf_set(conf, wrong, &text);
    weir_assert(err != ERR_OK);
    const char *right = strstr(text.s, MUST_BE);
    const char *got = strstr(text.s, GOT);
    weir_assert(right != NULL && got != NULL);
    right += strlen(MUST_BE);
    topic_conf_get(conf, i, value, sizeof(value));
    const char *mark = *value ? "`" : "";
    printf("| `%s` | %s | %s%s%s | ", row->key, type_name(row->type), mark, value, mark);
    put_cell(right, (size_t)(got - right));
    put_cell(got + strlen(GOT), strlen(got + strlen(GOT)));
    printf(" | ");
    put_cell(row->doc, strlen(row->doc));
    printf(" |\n");
}

int main(void)
{
    struct topic_conf conf;
    topic_conf_default(&conf);
    for (size_t i = 0; i < topic_conf_rows(); i++)
        put_row(&conf, i);
    return 0;
}
