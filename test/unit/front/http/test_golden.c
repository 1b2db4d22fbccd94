/* What real clients send, as recorded by test/wire/capture_http.py: served, however it is cut. */
#include "http_rig.h"

#include "base/mem.h"

#include "../../check.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX 4096
#define FILES_MIN 18

static struct web web;

static size_t read_file(const char *name, char *out)
{
    char path[512];
    snprintf(path, sizeof path, GOLDEN "/%s", name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(out, 1, FILE_MAX, f);
    fclose(f);
    assert_true(n > 0 && n < FILE_MAX);
    return n;
}

static void expect_answer(struct web_client *c, const char *name)
{
    struct web_answer a;
    if (strstr(name, "tail")) {
        assert_non_null(memmem(c->got.buf->data, c->got.len, "retry: 2000\n\n", 13));
        return;
    }
    assert_true(web_answer(c, false, &a));
    if (a.status == 100) /* it was told to go on, unless its body came at once */
        assert_true(web_answer(c, false, &a));
    int want = strstr(name, "get") ? 200 : 202;
    if (a.status != want)
        print_error("%s: %d %s\n", name, a.status, a.body);
    assert_int_equal(a.status, want);
    assert_int_equal(c->taken, c->got.len);
}

/* In pieces of `piece` bytes, the first of `first`. */
static void replay(const char *name, const char *p, size_t n, size_t first, size_t piece)
{
    struct web_client *c = web_open(&web, 0);
    for (size_t at = 0; at < n;) {
        size_t k = at == 0 && first ? first : piece;
        k = k < n - at ? k : n - at;
        assert_int_equal(web_push(c, p + at, k), k);
        at += k;
        if (piece > 1)
            web_run(&web);
    }
    web_run(&web);
    expect_answer(c, name);
    web_break(c);
    wr_free(&c->got);
    mem_free(c);
    web.n--;
}

static void every_client_is_served_at_every_split(void **state)
{
    DIR *folder = opendir(GOLDEN);
    char bytes[FILE_MAX];
    unsigned files = 0;
    (void)state;
    assert_non_null(folder);
    for (struct dirent *e; (e = readdir(folder));) {
        if (e->d_name[0] == '.')
            continue;
        size_t n = read_file(e->d_name, bytes);
        for (size_t first = 1; first <= n; first++)
            replay(e->d_name, bytes, n, first, n);
        replay(e->d_name, bytes, n, 0, 1);
        files++;
    }
    closedir(folder);
    assert_true(files >= FILES_MIN);
}

/* What the SDKs meant is what is stored: their events have the attributes that they were given. */
static void events_keep_their_attributes(void **state)
{
    static const struct {
        const char *file, *id, *subject;
    } sent[] = {{"go-sdk-binary.bin", "go-0",
                 "gr\xc3\xb6\xc3\x9f"
                 "e 100%"},
                {"go-sdk-structured.bin", "go-0",
                 "gr\xc3\xb6\xc3\x9f"
                 "e 100%"},
                {"node-sdk-binary.bin", "js-0", "a b"},
                {"node-sdk-structured.bin", "js-0", "a b"}};
    char bytes[FILE_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++) {
        char text[300], want[100];
        struct web_client *c = web_open(&web, 0);
        size_t n = read_file(sent[i].file, bytes);
        struct web_answer a;
        web_push(c, bytes, n);
        web_run(&web);
        assert_true(web_answer(c, false, &a));
        snprintf(text, sizeof text,
                 "GET %s HTTP/1.1\r\nHost: localhost\r\n"
                 "Accept: application/cloudevents+json\r\n\r\n",
                 web_field(&web, &a, "Location"));
        web_say(c, text);
        assert_true(web_answer(c, false, &a));
        snprintf(want, sizeof want, "\"subject\":\"%s\"", sent[i].subject);
        assert_non_null(strstr(a.body, want));
        snprintf(want, sizeof want, "\"id\":\"%s\"", sent[i].id);
        assert_non_null(strstr(a.body, want));
    }
}

static int setup(void **state)
{
    (void)state;
    web_make(&web, 1, NULL);
    assert_int_equal(rig_create(&web.rig, 0, "golden", 1), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    web_free(&web);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_client_is_served_at_every_split, setup, teardown),
        cmocka_unit_test_setup_teardown(events_keep_their_attributes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
