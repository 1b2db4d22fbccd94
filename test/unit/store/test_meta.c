#include "store/meta.h"

#include "base/mem.h"

#include "../sim_folder.h"

#include <stdio.h>
#include <string.h>

static const struct meta sample = {
    .cluster_id = {{1, 2, 3, 4, 5, 6, 7, 8, 9}}, .shards = 64, .incarnation = 7};

static void text_write(const char *text)
{
    assert_int_equal(disk_replace_file(disk, "/d", "meta", text, strlen(text)), ERR_OK);
}

static char *text_read(void)
{
    struct buf *b;
    size_t n;
    assert_int_equal(disk_read_file(disk, "/d/meta", 4096, &b, &n), ERR_OK);
    char *s = mem_strndup((const char *)b->data, n);
    buf_unref(b);
    return s;
}

static void test_round_trip(void **state)
{
    (void)state;
    struct meta out;
    struct err_text text;
    assert_int_equal(meta_read(disk, "/d", true, &out, &text), ERR_NOT_FOUND);
    assert_int_equal(meta_write(disk, "/d", &sample), ERR_OK);
    sim_power_cut(sim);
    assert_int_equal(meta_read(disk, "/d", true, &out, &text), ERR_OK);
    assert_memory_equal(&out, &sample, sizeof(out));
}

/* Every change of a character is seen. */
static void test_damage(void **state)
{
    (void)state;
    struct meta out;
    struct err_text text;
    assert_int_equal(meta_write(disk, "/d", &sample), ERR_OK);
    char *s = text_read();
    for (size_t i = 0; s[i]; i++) {
        char was = s[i];
        s[i] ^= 1;
        text_write(s);
        enum err err = meta_read(disk, "/d", true, &out, &text);
        /* a format of 0 or 3 in place of 1 may be newer; anything else is damaged */
        assert_true(err == ERR_CORRUPT || err == ERR_FORMAT_NEWER);
        assert_non_null(strstr(text.s, "/d"));
        s[i] = was;
    }
    s[strlen(s) - 1] = '\0'; /* only the last newline is gone: nothing is lost by that */
    text_write(s);
    assert_int_equal(meta_read(disk, "/d", true, &out, &text), ERR_OK);
    mem_free(s);
}

static void test_foreign(void **state)
{
    (void)state;
    struct meta out;
    struct err_text text;
    static const char *const others[] = {"", "cluster.id=x\nversion=0\n",
                                         "\x7f"
                                         "ELF",
                                         "weir.format"};
    for (unsigned i = 0; i < 4; i++) {
        text_write(others[i]);
        assert_int_equal(meta_read(disk, "/d", true, &out, &text), ERR_CORRUPT);
        assert_non_null(strstr(text.s, "not weir's"));
    }
    char big[8192];
    memset(big, 'x', sizeof(big));
    assert_int_equal(disk_replace_file(disk, "/d", "meta", big, sizeof(big)), ERR_OK);
    assert_int_equal(meta_read(disk, "/d", true, &out, &text), ERR_CORRUPT);
}

static void test_newer(void **state)
{
    (void)state;
    struct meta out, in = sample;
    struct err_text text;
    text_write("weir.format=2\nsomething=else\n");
    assert_int_equal(meta_read(disk, "/d", true, &out, &text), ERR_FORMAT_NEWER);
    assert_non_null(strstr(text.s, "format 2"));
    in.incompatible = 4;
    assert_int_equal(meta_write(disk, "/d", &in), ERR_OK);
    assert_int_equal(meta_read(disk, "/d", false, &out, &text), ERR_FORMAT_NEWER);
    in.incompatible = 0;
    in.read_only = 1;
    assert_int_equal(meta_write(disk, "/d", &in), ERR_OK);
    assert_int_equal(meta_read(disk, "/d", true, &out, &text), ERR_FORMAT_NEWER);
    assert_non_null(strstr(text.s, "0x1"));
    assert_int_equal(meta_read(disk, "/d", false, &out, &text), ERR_OK);
    in.read_only = 0;
    in.compatible = 0x80000000;
    assert_int_equal(meta_write(disk, "/d", &in), ERR_OK);
    assert_int_equal(meta_read(disk, "/d", true, &out, &text), ERR_OK);
    assert_int_equal(out.compatible, 0x80000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, sim_folder_make, sim_folder_free),
        cmocka_unit_test_setup_teardown(test_damage, sim_folder_make, sim_folder_free),
        cmocka_unit_test_setup_teardown(test_foreign, sim_folder_make, sim_folder_free),
        cmocka_unit_test_setup_teardown(test_newer, sim_folder_make, sim_folder_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
