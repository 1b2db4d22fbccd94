"""weir and its pipeline: the process, what is declared, and what it says of itself."""
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", "..", ".."))
sys.path.append(os.path.join(ROOT, "examples", "tutorial"))

from broker import Broker, BrokerError, free_port  # noqa: E402,F401
from telling import tell  # noqa: E402,F401

PIPELINE = os.path.join(ROOT, "examples", "fraud", "pipeline.yaml")
COMMAND_SECONDS_MAX = 60
ANSWER_SECONDS_MAX = 5
METRICS_SECONDS = 0.3
SAMPLE = re.compile(r"^(weir_(?:function|breaker)\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')


class Weir(Broker):
    """The tutorial's broker, with the pipeline. Weir runs in the repository's folder, from which
    the pipeline's commands are seen."""

    def __init__(self, program, folder):
        super().__init__(program, folder)
        self.folder = folder
        self.samples, self.asked_at = [], 0
        self.currencies = os.path.join(folder, "currencies.txt")
        with open(os.path.join(ROOT, "examples", "fraud", "currencies.txt"), "rb") as table:
            with open(self.currencies, "wb") as copy:
                copy.write(table.read())

    def command(self, *arguments, **more):
        """Runs one of weir's commands; returns what it printed."""
        env = {**os.environ, "WEIR_SERVER": f"http://{self.http}", "WEIR_BROKER": self.kafka}
        done = subprocess.run([self.program, *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=env, timeout=COMMAND_SECONDS_MAX,
                              check=False, **more)
        text = done.stdout.decode("utf-8", "replace").rstrip()
        if done.returncode != 0:
            raise BrokerError(f"weir {' '.join(arguments)}: status {done.returncode}\n{text}")
        return text

    def pipeline(self, model_server, alerts):
        """The pipeline's documents, with the addresses and folders of this run."""
        with open(PIPELINE, encoding="utf-8") as file:
            text = file.read()
        worker = os.path.join(os.path.dirname(self.program), "examples", "fraud-worker")
        for old, new in (("build/examples/fraud-worker", worker),
                         ("examples/fraud/currencies.txt", self.currencies),
                         ("build/fraud/state", os.path.join(self.folder, "state")),
                         ("127.0.0.1:8001", model_server),
                         ("127.0.0.1:8002", alerts)):
            if old not in text:
                raise BrokerError(f"{PIPELINE} does not name {old}")
            text = text.replace(old, new)
        return text

    def apply(self, documents):
        return self.command("apply", "-f", "-", input=documents.encode())

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.http}{path}",
                                    timeout=ANSWER_SECONDS_MAX) as answer:
            return answer.read().decode()

    def metrics(self):
        """[(name, {label: value}, number)] of /metrics; [] while weir does not answer. Asked for
        now and then: what was said a moment ago is said again."""
        if time.monotonic() - self.asked_at > METRICS_SECONDS:
            try:
                text = self.get("/metrics")
            except OSError:
                text = ""
            self.samples = [(name, dict(LABEL.findall(labels or "")), float(value))
                            for name, labels, value in SAMPLE.findall(text)]
            self.asked_at = time.monotonic()
        return self.samples

    def workers(self):
        """{function: workers}, by /metrics."""
        found = {}
        for name, labels, value in self.metrics():
            if name == "weir_function_workers":
                function = labels.get("function", "?")
                found[function] = found.get(function, 0) + int(value)
        return found

    def breaker(self):
        """The state of the model server's circuit breaker."""
        for name, labels, value in self.metrics():
            if name == "weir_breaker_state" and "alerts" not in labels.get("endpoint", ""):
                return {0: "closed", 1: "open", 2: "half open"}.get(int(value), "?")
        return "closed"

    def dead_letters(self):
        """How many wait, over all topics."""
        try:
            items = json.loads(self.get("/api/v1/deadletters"))["items"]
        except OSError:
            return None
        return sum(item.get("waiting", 0) for item in items)

    def worker_processes(self, stage):
        """The process ids of workers of one stage."""
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
                if (words[1:2] == [stage.encode()] and b"fraud-worker" in words[0]
                        and self.folder.encode() in b" ".join(words)):
                    found.append(int(entry))
            except OSError:
                continue
        return found

    def kill_worker(self, stage):
        """kill -9; returns the process id, None if there is none."""
        for pid in self.worker_processes(stage)[:1]:
            os.kill(pid, signal.SIGKILL)
            return pid
        return None
