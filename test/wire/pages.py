"""Pages of documentation whose examples are run, in order, on a fresh weir.

A block of sh or python is run; the block behind it, if it has no language, is what it prints, where
`...` stands for anything. The ports that a page names are replaced by those of the weir that runs,
and build/weir by the binary under test.
"""

import os
import re
import subprocess
import sys

import broker

BLOCKS = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
PATIENCE_S = 60
KAFKA_PYTHON = broker.REPOSITORY / "build" / "wire" / "kafka-python-2.2.15"


def examples(page):
    """(language, program, what it prints or None) in the order of the page."""
    blocks = BLOCKS.findall(page.read_text())
    for i, (language, text) in enumerate(blocks):
        if language in ("sh", "python"):
            shown = blocks[i + 1][1] if blocks[i + 1:] and not blocks[i + 1][0] else None
            yield language, text, shown


def pattern(shown):
    return ".*".join(re.escape(part) for part in shown.strip().split("..."))


def run(weir, folder, language, text):
    """One example, in a folder that has build/weir; returns what it printed."""
    text = text.replace("localhost:8080", f"localhost:{weir.http_port}")
    text = text.replace("localhost:9092", f"localhost:{weir.port}")
    text = text.replace("/tmp/", f"{folder}/tmp/")
    command = [sys.executable, "-c", text] if language == "python" else ["bash", "-c", text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
                          cwd=folder, env={**os.environ, "PYTHONWARNINGS": "ignore",
                                           "PYTHONPATH": str(KAFKA_PYTHON)})
    assert done.returncode == 0, (text, done.stdout, done.stderr)
    return done.stdout.replace("\r", "").strip()


def check(page, folder, least, weir=None):
    """Runs a page's examples; `least`: how many it has at least, so that none is lost."""
    (folder / "build").mkdir()
    (folder / "tmp").mkdir()
    (folder / "build" / "weir").symlink_to(broker.weir_binary())
    weir = weir or broker.Weir(folder / "weir")
    weir.start()
    try:
        ran = 0
        for language, text, shown in examples(page):
            printed = run(weir, folder, language, text)
            if shown is not None:
                assert re.search(pattern(shown), printed, re.S), (text, printed)
            ran += 1
        assert ran >= least, ran
    finally:
        weir.end()
