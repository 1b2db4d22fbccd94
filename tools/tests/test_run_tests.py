"""run-tests must count what ran and never take a crash, a time-out or silence for success."""
import contextlib
import io
import os
import sys
import tempfile
import unittest

from load import load_tool

runner = load_tool("run-tests")


def judge(status, text, late=False):
    result = runner.judge_program("p", status, text, 0.1, late, 5)
    return result.passed, result.failed, result.skipped


def printed_summary(*results):
    suite = runner.Suite("s")
    suite.results = list(results)
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        status = runner.summary([suite])
    return status, text.getvalue().splitlines()[-1]


class Programs(unittest.TestCase):
    def test_tap_is_counted(self):
        text = "1..4\nok 1 - a\nnot ok 2 - b\n# why\nok 3 # SKIP no disk\nok 4 - c\n"
        self.assertEqual(judge(1, text), (2, 1, 1))

    def test_two_groups_in_one_program(self):
        self.assertEqual(judge(0, "1..1\nok 1 - a\n1..1\nok 1 - b\n"), (2, 0, 0))

    def test_a_program_without_tap_is_one_case(self):
        self.assertEqual(judge(0, "fine\n"), (1, 0, 0))
        self.assertEqual(judge(1, "bad\n"), (0, 1, 0))
        self.assertEqual(judge(77, "no fuse here\n"), (0, 0, 1))

    def test_a_crash_after_passing_cases_is_a_failure(self):
        self.assertEqual(judge(-11, "1..2\nok 1 - a\n"), (1, 1, 0))

    def test_a_status_without_a_failed_case_is_a_failure(self):
        self.assertEqual(judge(1, "1..1\nok 1 - a\nERROR: LeakSanitizer\n"), (1, 1, 0))

    def test_a_time_out_is_a_failure(self):
        self.assertEqual(judge(-9, "1..2\nok 1 - a\n", late=True), (1, 1, 0))


class Running(unittest.TestCase):
    def run_python(self, code, seconds_max=20):
        return runner.Children().run([sys.executable, "-c", code], seconds_max)

    def test_output_and_status_come_back(self):
        status, text, _, late = self.run_python("print('hello'); raise SystemExit(3)")
        self.assertEqual((status, text, late), (3, "hello\n", False))

    def test_the_time_limit_ends_a_command_and_its_children(self):
        code = ("import subprocess, sys; subprocess.run([sys.executable, '-c', "
                "'import time; time.sleep(600)'])")
        status, _, _, late = self.run_python(code, seconds_max=0.3)
        self.assertTrue(late)
        self.assertNotEqual(status, 0)


class Reports(unittest.TestCase):
    def test_junit_is_counted(self):
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
            file.write('<testsuites><testsuite tests="5" failures="1" errors="1" skipped="1"/>'
                       '</testsuites>')
            file.flush()
            self.assertEqual(runner.count_junit(file.name), (2, 2, 1))

    def test_a_missing_report_is_no_report(self):
        self.assertIsNone(runner.count_junit(os.path.join(os.sep, "nonexistent", "r.xml")))

    def test_the_last_line_and_the_status(self):
        result = runner.Result
        self.assertEqual(printed_summary(result("a", 3)), (0, "3 passed, 0 failed"))
        self.assertEqual(printed_summary(result("a", 3), result("b", 1, 2)),
                         (1, "4 passed, 2 failed"))
        self.assertEqual(printed_summary(result("a", 3, 0, 1)),
                         (0, "3 passed, 0 failed, 1 skipped"))

    def test_nothing_run_is_a_failure(self):
        self.assertEqual(printed_summary(), (1, "0 passed, 0 failed"))
        self.assertEqual(printed_summary(runner.Result("a", 0, 0, 2)),
                         (1, "0 passed, 0 failed, 2 skipped"))


class Suites(unittest.TestCase):
    def test_a_program_belongs_to_the_suite_of_its_folder(self):
        row = {"cmd": ["/b/test/unit/base/test_buf"], "suite": ["weir:other"]}
        self.assertEqual(runner.suite_of(row, "/b"), "unit/base")
        row = {"cmd": ["/usr/bin/python3", "x.py"], "suite": ["weir:sim"]}
        self.assertEqual(runner.suite_of(row, "/b"), "sim")

    def test_suites_are_picked_with_or_without_asan(self):
        self.assertTrue(runner.wanted("asan/unit/base", ["unit"]))
        self.assertTrue(runner.wanted("asan/unit/base", ["asan"]))
        self.assertFalse(runner.wanted("unit/base", ["sim"]))
        self.assertTrue(runner.wanted("unit/base", []))


if __name__ == "__main__":
    unittest.main()
