"""tidy must see a violation of each rule, and nothing in code that keeps them."""
import unittest

from load import load_tool

tidy = load_tool("tidy")

HEADER = """/* buf.h: bytes that grow. The caller owns them, one thread at a time,
 * no limit but memory.
 */
#pragma once
"""
BUILD = {"src/base/meson.build": "x = files('buf.c')\n", "src/base/buf.h": HEADER}


def found(code, path="src/base/buf.c"):
    """What tidy says about code at path, in a tree that is otherwise clean."""
    files = dict(BUILD)
    files["src/base/buf.c"] = '#include "base/buf.h"\n'
    files[path] = code if path not in files else code + files[path]
    if path.startswith("src/") and path != "src/base/buf.c":
        files["src/meson.build"] = f"files('{path[4:]}')\n"
    return tidy.check(files)


class Calls(unittest.TestCase):
    def assert_bans(self, call, path="src/store/log.c"):
        lines = found(f"static int f(void)\n{{\n    return {call};\n}}\n", path)
        self.assertEqual(len(lines), 1, f"{call} in {path}: {lines}")
        self.assertTrue(lines[0].startswith(f"{path}:3: "), lines[0])

    def assert_clean(self, call, path="src/store/log.c"):
        self.assertEqual(found(f"static int f(void)\n{{\n    return {call};\n}}\n", path), [])

    def test_unsafe_calls_everywhere(self):
        for name in "strcpy sprintf strcat strtok atoi rand localtime gmtime alloca".split():
            for path in "src/base/buf.c", "src/io/disk.c":
                self.assert_bans(f"{name}(x)", path)

    def test_the_safe_twins_pass(self):
        for name in "localtime_r gmtime_r snprintf strtok_r weir_strand".split():
            self.assert_clean(f"{name}(x)")

    def test_memory_is_for_base(self):
        for name in "malloc calloc realloc free strdup".split():
            self.assert_bans(f"{name}(x)", "src/io/disk.c")
            self.assert_clean(f"{name}(x)", "src/base/buf.c")

    def test_clocks_and_randomness_are_for_io(self):
        for name in "clock_gettime time gettimeofday getrandom".split():
            self.assert_bans(f"{name}(x)", "src/broker/group.c")
            self.assert_clean(f"{name}(x)", "src/io/clock.c")

    def test_system_calls_are_for_io(self):
        for name in "open read pwrite fsync fdatasync rename socket accept epoll_wait".split():
            self.assert_bans(f"{name}(x)", "src/store/log.c")
            self.assert_clean(f"{name}(x)", "src/io/disk.c")

    def test_methods_and_longer_names_are_not_system_calls(self):
        self.assert_clean("disk->ops->read(x) + d.write(x) + disk_open(x) + reopen(x)")

    def test_comments_and_strings_are_not_code(self):
        self.assertEqual(found('/* never strcpy(a, b)\n   or rand() */\n// atoi(x)\n'
                               'const char *s = "sprintf(\\"x\\")";\n'), [])

    def test_memcmp_on_secrets(self):
        self.assert_bans("memcmp(password, given, n)")
        self.assert_bans("memcmp(a, session->hmac, n)")
        self.assert_clean("memcmp(key, other, n)")


class Files(unittest.TestCase):
    def test_blank_at_the_end(self):
        self.assertIn("src/base/buf.c:1: blanks", found("int x; \n")[0])

    def test_a_long_line(self):
        self.assertIn("101 characters", found("int " + "x" * 96 + ";\n")[0])
        self.assertEqual(found("int " + "x" * 95 + ";\n"), [])

    def test_a_long_file(self):
        self.assertIn("are the most", found("int x;\n" * 1300)[0])

    def test_no_newline_at_the_end(self):
        self.assertIn("no newline", found("int x;", "src/io/disk.c")[0])

    def test_words_that_do_not_belong(self):
        for word in "is" + "sue 12", "a hel" + "per", "/wo" + "rk/main", "TO" + "DO":
            self.assertEqual(len(found(f"/* see {word} */\n")), 1, word)
        self.assertEqual(found("/* a hel" + "per\n * thread, a tissue 1 */\n"), [])

    def test_a_header_without_pragma_once(self):
        self.assertIn("no #pragma once",
                      tidy.check({**BUILD, "src/base/buf.c": '#include "base/buf.h"\n',
                                  "src/base/buf.h": HEADER.replace("#pragma once\n", "")})[0])

    def test_a_header_without_its_manual(self):
        for text in "#pragma once\nint x;\n", "/* buf.h */\n#pragma once\n":
            lines = tidy.check({**BUILD, "src/base/buf.c": '#include "base/buf.h"\n',
                                "src/base/buf.h": text})
            self.assertEqual(len(lines), 1)
            self.assertIn("manual", lines[0])

    def test_a_dead_source(self):
        files = {**BUILD, "src/base/buf.c": '#include "base/buf.h"\n', "src/base/old.c": ""}
        self.assertEqual(tidy.check(files),
                         ["src/base/old.c:1: no meson.build names it: nothing builds it"])

    def test_a_dead_header(self):
        files = {**BUILD, "src/base/buf.c": ""}
        self.assertEqual(tidy.check(files), ["src/base/buf.h:1: nothing includes it"])


    def test_a_link_to_nothing(self):
        files = {"docs/a.md": "[b](b.md) [up](../README.md#x) [web](https://example.org/x)\n",
                 "README.md": "[docs](docs) [gone](docs/gone.md)\n"}
        self.assertEqual(tidy.check(files),
                         ["README.md:1: links to docs/gone.md, which is not there",
                          "docs/a.md:1: links to b.md, which is not there"])


class Shape(unittest.TestCase):
    def test_functions_are_measured(self):
        text = "static int f(int a,\n             int b)\n{\n    return a;\n}\n\nint x;\n"
        self.assertEqual(list(tidy.functions_of(text)), [(1, "f", 3)])


if __name__ == "__main__":
    unittest.main()
