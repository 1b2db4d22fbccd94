"""The tutorial as a user runs it: it holds what it claims, and leaves nothing behind."""
import os
import signal
import subprocess
import time

import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PYTHON = os.path.join(ROOT, "build", "venv", "bin", "python")
RUN = os.path.join(ROOT, "examples", "tutorial", "run.py")
WEIR = os.environ.get("WEIR_BIN", os.path.join(ROOT, "build", "weir"))

STORY_SECONDS_MAX = 180


def processes_naming(text):
    """The process ids whose command line or environment names text."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        for part in "cmdline", "environ":
            try:
                with open(f"/proc/{entry}/{part}", "rb") as file:
                    if text.encode() in file.read():
                        found.append(int(entry))
            except OSError:
                continue
    return found


def start(folder, *arguments):
    return subprocess.Popen([PYTHON, "-B", RUN, "--weir", WEIR, "--no-wait", *arguments],
                            env={**os.environ, "TMPDIR": str(folder)}, cwd=ROOT,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, start_new_session=True)


def test_every_claim_holds_and_nothing_is_left(tmp_path):
    with start(tmp_path) as story:
        output, _ = story.communicate(timeout=STORY_SECONDS_MAX)
    print(output)
    assert story.returncode == 0
    assert "FAILED" not in output
    for claim in ("one consumer got everything", "the other consumers joined in after", "lost 0",
                  "0 events are there twice", "the group received every acknowledged event"):
        assert claim in output
    assert processes_naming(str(tmp_path)) == []
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_every_process(tmp_path, number):
    with start(tmp_path) as story:
        for line in story.stdout:
            if "acked/s" in line:  # the clients have been started
                break
        time.sleep(1)
        assert len(processes_naming(str(tmp_path))) >= 5
        story.send_signal(number)
        story.stdout.read()
        assert story.wait(60) != 0
    assert processes_naming(str(tmp_path)) == []
    assert os.listdir(tmp_path) == []


def test_a_broker_that_does_not_start_is_a_failure(tmp_path):
    done = subprocess.run([PYTHON, "-B", RUN, "--weir", "/bin/false", "--no-wait"],
                          env={**os.environ, "TMPDIR": str(tmp_path)}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "FAILED: weir ended with status 1" in done.stdout
    assert os.listdir(tmp_path) == []


def test_the_read_back_sees_loss_duplicates_and_disorder():
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from readback import Log
log = Log([0, 1])
log.rows = {0: [(0, 10), (1, 12), (2, 12)], 1: [(0, 11), (1, 9)]}
assert log.count() == 5 and log.partitions() == 2
assert log.lost({10: (0, 0), 12: (0, 1), 11: (1, 0)}) == []
assert log.lost({10: (0, 1)}) == [10]
assert log.lost({13: (0, 3)}) == [13]
assert log.twice() == 1
assert log.out_of_order() == 1
"""
    subprocess.run([PYTHON, "-B", "-c", code, os.path.dirname(RUN)], check=True)
