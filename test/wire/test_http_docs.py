"""The commands of docs/http.md, run in order on a fresh weir: what they print is what is written.

A block of sh is run; the block behind it, if it has no language, is what it prints, where `...`
stands for anything.
"""

import re
import subprocess

import pytest

import broker

PAGE = broker.REPOSITORY / "docs" / "http.md"
BLOCKS = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
PATIENCE_S = 20

pytestmark = [pytest.mark.weir_only, pytest.mark.managed]


def examples():
    """(command, what it prints or None) in the order of the page."""
    blocks = BLOCKS.findall(PAGE.read_text())
    for i, (language, text) in enumerate(blocks):
        if language == "sh":
            shown = blocks[i + 1][1] if blocks[i + 1:] and not blocks[i + 1][0] else None
            yield text, shown


def pattern(shown):
    return ".*".join(re.escape(part) for part in shown.strip().split("..."))


def test_the_page_is_true(tmp_path):
    weir = broker.Weir(tmp_path).start()
    try:
        ran = 0
        for command, shown in examples():
            command = command.replace("localhost:8080", f"localhost:{weir.http_port}")
            done = subprocess.run(["bash", "-c", command], capture_output=True, text=True,
                                  timeout=PATIENCE_S, check=False)
            assert done.returncode == 0, (command, done.stderr)
            if shown is not None:
                printed = done.stdout.replace("\r", "").strip()
                assert re.search(pattern(shown), printed, re.S), (command, printed)
            ran += 1
        assert ran >= 8
    finally:
        weir.end()
