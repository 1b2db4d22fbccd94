"""The broker under test: one that runs already, or a weir that the tests start and end."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
READY_S = 20
STOP_S = 20
SEVERAL = 3  # event loops: enough that two of them talk past the first


def free_port():
    """A port nobody listens on. Another process may take it first; the broker then says so."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def weir_binary():
    return pathlib.Path(os.environ.get("WEIR_BIN") or REPOSITORY / "build" / "weir").resolve()


class Running:
    """A broker somebody else started: WIRE_BOOTSTRAP."""

    managed = False
    pid = None
    http = None

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        host, port = bootstrap.rsplit(":", 1)
        self.host, self.port = host, int(port)
        self.is_weir = os.environ.get("WIRE_TARGET", "weir") == "weir"

    def end(self):
        pass


class Weir:
    """A weir of our own, on free ports and a folder; it keeps both over a restart."""

    managed = True
    is_weir = True

    def __init__(self, folder, through_environment=False, threads=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.host, self.port, self.http_port = "127.0.0.1", free_port(), free_port()
        self.bootstrap = f"{self.host}:{self.port}"
        self.http = f"http://{self.host}:{self.http_port}"
        self.through_environment = through_environment
        self.options = [] if threads is None else ["--threads", str(threads)]
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    @property
    def log(self):
        return self.folder / "weir.log"

    def start(self):
        where = {
            "data": str(self.folder / "data"),
            "kafka": self.bootstrap,
            "http": f"{self.host}:{self.http_port}",
        }
        command = [str(weir_binary()), "serve", *self.options]
        environment = dict(os.environ)
        for name, value in where.items():
            if self.through_environment:
                environment[f"WEIR_{name.upper()}"] = value
            else:
                environment.pop(f"WEIR_{name.upper()}", None)
                command += [f"--{name}", value]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                cwd=self.folder
            )
        self.await_ready()
        return self

    def http_status(self, path):
        try:
            with urllib.request.urlopen(self.http + path, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def await_ready(self):
        deadline = time.monotonic() + READY_S
        while self.http_status("/readyz") != 200:
            status = self.process.poll()
            assert status is None, f"weir ended with {status}:\n{self.log_tail()}"
            assert time.monotonic() < deadline, f"weir is not ready:\n{self.log_tail()}"
            time.sleep(0.01)

    def log_tail(self, lines=40):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def stop(self):
        """SIGTERM: weir drains, ends its journal and says that all went well."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"weir ignored SIGTERM:\n{self.log_tail()}") from None
        assert status == 0, f"weir ended with {status} after SIGTERM:\n{self.log_tail()}"
        behind = self.log.read_text(errors="replace").rpartition(" serve.stopping ")[2]
        warned = [line for line in behind.splitlines() if re.search(r" (WARN|ERROR) ", line)]
        assert not warned, "warnings in an orderly stop:\n" + "\n".join(warned)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restart(self, kill=False):
        if kill:
            self.kill()
        else:
            self.stop()
        self.start()

    def end(self):
        """At the end of a test: an orderly stop where it still runs, which must succeed."""
        if self.process is not None and self.process.poll() is None:
            self.stop()

    def rss_bytes(self):
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in text.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def open_sockets(self):
        found = 0
        for link in pathlib.Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                found += os.readlink(link).startswith("socket:")
            except FileNotFoundError:
                pass  # closed meanwhile
        return found
