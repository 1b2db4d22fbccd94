"""A weir that is measured while it delivers: its own folder and ports, resources by its HTTP API,
and what /proc and /metrics say of it. What fails ends the run, with the reason."""
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

PATIENCE_S = 300
BATCH = "application/cloudevents-batch+json"


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def eventually(find, what, pause_s=0.02, patience_s=PATIENCE_S):
    """What find() gives as soon as it gives something."""
    deadline = time.monotonic() + patience_s
    while not (found := find()):
        if time.monotonic() > deadline:
            sys.exit(f"no {what} after {patience_s} s")
        time.sleep(pause_s)
    return found


class Weir:
    def __init__(self, build, folder, pin=()):
        self.kafka, self.http = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        self.process = subprocess.Popen(
            [*pin, os.path.join(build, "weir"), "serve", "--data", folder, "--kafka", self.kafka,
             "--http", self.http, "--log-level", "warn"])
        eventually(lambda: self.call("/readyz") is not None, "weir that is ready", 0.01, 20)

    def call(self, path, document=None, kind="application/json"):
        body = document if isinstance(document, (bytes, type(None))) \
            else json.dumps(document).encode()
        request = urllib.request.Request(f"http://{self.http}{path}", data=body,
                                         headers={"Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read().decode()
        except OSError as error:
            if document is not None:
                sys.exit(f"{path}: {error}: {getattr(error, 'read', bytes)().decode()}")
            return None

    def apply(self, kind, name, **spec):
        self.call("/api/v1/apply", self.document(kind, name, spec))

    def delete(self, kind, name, **spec):
        self.call("/api/v1/delete", self.document(kind, name, spec))

    @staticmethod
    def document(kind, name, spec):
        return {"apiVersion": "weir/v1alpha1", "kind": kind, "metadata": {"name": name},
                "spec": spec}

    def publish(self, topic, events):
        self.call(f"/topics/{topic}", json.dumps(events).encode(), BATCH)

    def events(self, topic):
        """All of a topic of one partition."""
        got, at = [], 0
        while page := json.loads(self.call(f"/topics/{topic}?partition=0&offset={at}") or "[]"):
            got += page
            at = int(page[-1]["weiroffset"]) + 1
        return got

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self, what):
        """VmRSS: resident now; VmHWM: the most that was."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith(what + ":"))
        return int(line.split()[1]) / 1024

    def metric(self, name):
        for line in (self.call("/metrics") or "").splitlines():
            if line.rpartition(" ")[0] == name:
                return float(line.rpartition(" ")[2])
        return 0.0
