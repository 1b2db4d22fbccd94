"""The broker of the tutorial: a weir process, its folder, its ports, Kafka's tools by name."""
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

READY_SECONDS_MAX = 30
STOP_SECONDS_MAX = 15
TOOL_SECONDS_MAX = 30
TOOLS = ("kafka-topics.sh", "kafka-consumer-groups.sh")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class BrokerError(Exception):
    """The broker did not do what the story needs to go on."""


class Broker:
    """Owns one weir process at a time; the folder and the ports stay the same over restarts."""

    def __init__(self, program, folder):
        self.program = os.path.abspath(program)
        self.data = os.path.join(folder, "data")
        self.bin = os.path.join(folder, "bin")
        self.log = os.path.join(folder, "weir.log")
        self.kafka = f"127.0.0.1:{free_port()}"
        self.http = f"127.0.0.1:{free_port()}"
        self.process = None
        os.mkdir(self.bin)
        for name in TOOLS:
            os.symlink(self.program, os.path.join(self.bin, name))

    def start(self):
        """Starts weir; returns the seconds until it said that it is ready."""
        started = time.monotonic()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "serve", "--data", self.data, "--kafka", self.kafka,
                 "--http", self.http],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        while not self.ready():
            if self.process.poll() is not None:
                raise BrokerError(f"weir ended with status {self.process.returncode}\n"
                                  + self.log_end())
            if time.monotonic() - started > READY_SECONDS_MAX:
                raise BrokerError(f"not ready after {READY_SECONDS_MAX} s\n" + self.log_end())
            time.sleep(0.005)
        return time.monotonic() - started

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.http}/readyz", timeout=1) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def kill(self):
        """kill -9: the process gets no chance to write anything."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """SIGTERM, as Kubernetes does; returns the exit status, None if it had to be killed."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def tool(self, name, *arguments):
        """Runs weir under the name of one of Kafka's tools; returns what it printed."""
        command = [os.path.join(self.bin, name), "--bootstrap-server", self.kafka, *arguments]
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  stdin=subprocess.DEVNULL, timeout=TOOL_SECONDS_MAX, check=False)
        except subprocess.TimeoutExpired as error:
            raise BrokerError(f"{name} did not end in {TOOL_SECONDS_MAX} s") from error
        text = done.stdout.decode("utf-8", "replace").rstrip()
        if done.returncode != 0:
            raise BrokerError(f"{name} ended with status {done.returncode}\n{text}")
        return text

    def log_end(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-20:])
