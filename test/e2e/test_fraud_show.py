"""`make run` as a user runs it: what it says is true, whatever happens when, and nothing is left.

FRAUD_LONG=1 runs it with faults at random moments ten times instead of once.
"""
import os
import re
import signal
import subprocess
import time

import pytest

from test_tutorial import processes_naming

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PYTHON = os.path.join(ROOT, "build", "venv", "bin", "python")
RUN = os.path.join(ROOT, "examples", "fraud", "run.py")
WEIR = os.environ.get("WEIR_BIN", os.path.join(ROOT, "build", "weir"))

SHOW_SECONDS_MAX = 400
LAST = re.compile(r"^payments ([\d,]+) = decisions \1, lost 0, decided twice 0$", re.MULTILINE)
ROUNDS = 10 if os.environ.get("FRAUD_LONG") else 1


def start(folder, *arguments):
    return subprocess.Popen([PYTHON, "-B", RUN, "--weir", WEIR, "--no-wait", "--plain", "--slow",
                             *arguments],
                            env={**os.environ, "TMPDIR": str(folder)}, cwd=ROOT,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, start_new_session=True)


def nothing_is_left(folder):
    assert processes_naming(str(folder)) == []
    assert os.listdir(folder) == []


def test_the_show_is_true(tmp_path):
    with start(tmp_path, "--rate", "200", "--steady", "3", "--spike", "2") as show:
        output, _ = show.communicate(timeout=SHOW_SECONDS_MAX)
    print(output)
    assert show.returncode == 0
    assert "FAILED" not in output and LAST.search(output)
    for claim in ("breaker opened", "breaker closed", "it is a dead letter", "workers 0 -> ",
                  "call terminal-features", "Event Grid:"):
        assert claim in output
    nothing_is_left(tmp_path)


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_faults_at_any_moment_and_every_input_twice(tmp_path, round_number):
    seed = f"{round_number}-{int(time.time())}"
    with start(tmp_path, "--random", seed, "--rate", "200", "--payments", "20000",
               "--twice") as show:
        output, _ = show.communicate(timeout=SHOW_SECONDS_MAX)
    print(output)  # with the seed
    assert show.returncode == 0
    assert "FAILED" not in output and LAST.search(output)
    nothing_is_left(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_every_process(tmp_path, number):
    with start(tmp_path, "--rate", "100") as show:
        for line in show.stdout:
            if "payments a second" in line:  # clients have been started
                break
        time.sleep(2)
        show.send_signal(number)
        show.stdout.read()
        assert show.wait(60) != 0
    nothing_is_left(tmp_path)


def test_a_broker_that_does_not_start_is_a_failure(tmp_path):
    with start(tmp_path, "--weir", "/bin/false") as show:
        output, _ = show.communicate(timeout=60)
    assert show.returncode == 1
    assert "FAILED: weir ended with status 1" in output
    nothing_is_left(tmp_path)


def test_the_audit_sees_what_is_lost_and_what_is_there_twice():
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from show.audit import Audit
assert Audit([1, 2], [2, 1]).holds()
assert Audit([1, 2], [2, 1]).line() == "payments 2 = decisions 2, lost 0, decided twice 0"
assert Audit([1, 2], [1]).lost == 1 and not Audit([1, 2], [1]).holds()
assert Audit([1, 2], [1, 2, 2]).twice == 1 and not Audit([1, 2], [1, 2, 2]).holds()
assert Audit([1], [1, 3]).unknown == 1 and not Audit([1], [1, 3]).holds()
assert Audit([1, 2], [1, 1]).lost == 1 and not Audit([1, 2], [1, 1]).holds()
assert not Audit([], []).holds()
"""
    subprocess.run([PYTHON, "-B", "-c", code, os.path.dirname(RUN)], check=True)
