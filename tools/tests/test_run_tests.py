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


class End(unittest.TestCase):
    """What stands above the last two lines, for those who see no more of a log."""

    def end(self, *results):
        suite = runner.Suite("asan/sim")
        suite.results = list(results)
        return runner.end_lines([suite])

    def test_nothing_is_said_of_what_passed(self):
        self.assertEqual(self.end(runner.Result("p", 3)), [])

    def test_a_time_out_is_named_with_the_last_case_that_passed(self):
        text = "1..90\n" + "".join(f"ok {n} - c{n}\n" for n in range(1, 53)) + "waits\n"
        lines = self.end(runner.judge_program("store", -9, text, 9.0, True, 480))
        self.assertEqual(lines[0], "FAILED asan/sim: store: timed out: ended after 480 seconds")
        self.assertEqual(lines[1:4], ["  | 1..90", "  | ok 52 - c52", "  | waits"])

    def test_a_signal_is_named(self):
        lines = self.end(runner.judge_program("p", -6, "1..2\nok 1 - a\n", 0.1, False, 5))
        self.assertEqual(lines[0], "FAILED asan/sim: p: died by signal 6 (SIGABRT)")

    def test_a_sanitizers_report_is_shown_from_its_beginning(self):
        text = ("ok 1 - a\n====\n==7==ERROR: AddressSanitizer: heap-use-after-free\n"
                + "    #0 in f\n" * 40 + "SUMMARY: AddressSanitizer: in f\n" + "0x0c fd\n" * 40)
        lines = self.end(runner.judge_program("p", 1, text, 0.1, False, 5))
        self.assertIn("ERROR: AddressSanitizer", lines[2])
        self.assertIn("SUMMARY", lines[-1])
        self.assertLess(len(lines), 20)

    def test_many_failures_are_few_lines(self):
        results = [runner.Result(f"p{n}", 0, 1, output="x\n" * 50) for n in range(40)]
        for n in 1, 3, 9, 40:
            lines = self.end(*results[:n])
            self.assertLess(len(lines), 27)
            self.assertEqual(sum(line.startswith("FAILED") for line in lines), min(n, 24))


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
