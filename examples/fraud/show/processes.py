"""The processes of the show beside weir: publishers, the watcher, the model server."""
import json
import os
import queue
import subprocess
import sys
import threading

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
STOP_SECONDS_MAX = 20


class Process:
    """A script that says a line at a time. What it writes to standard error is in a file."""

    def __init__(self, name, folder, script, *arguments):
        self.name = name
        self.errors = os.path.join(folder, f"{name}.log")
        with open(self.errors, "ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-u", os.path.join(HERE, script), *map(str, arguments)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                start_new_session=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.take(line)

    def take(self, line):
        pass

    def ended_early(self):
        return self.process.poll() is not None

    def errors_end(self):
        with open(self.errors, encoding="utf-8", errors="replace") as errors:
            return "".join(errors.readlines()[-8:])

    def stop(self, gently=True):
        """Lets it end: its input is over; else ends it."""
        if gently:
            try:
                self.process.stdin.close()
                self.process.wait(STOP_SECONDS_MAX)
            except (subprocess.TimeoutExpired, OSError):
                pass
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join(STOP_SECONDS_MAX)


class Publisher(Process):
    """Sends ranges of rows, one after the other; knows which were acknowledged."""

    def __init__(self, *arguments):
        self.asked = self.acked = 0  # rows
        self.turns = queue.Queue()
        super().__init__(*arguments)
        threading.Thread(target=self.write, daemon=True).start()

    def send(self, first, end):
        self.asked += end - first
        self.turns.put((first, end))

    def write(self):
        """On a thread of its own: a pipe that is full must not hold the feeder up."""
        while True:
            first, end = self.turns.get()
            try:
                self.process.stdin.write(f"{first} {end}\n".encode())
                self.process.stdin.flush()
            except (OSError, ValueError):
                return

    def take(self, line):
        first, end = map(int, line.split())
        self.acked += end - first

    def waiting(self):
        return self.asked - self.acked


class Watcher(Process):
    """watch.py: hands each of its lines to the tally."""

    def __init__(self, tally, *arguments):
        self.tally = tally
        super().__init__(*arguments)

    def take(self, line):
        self.tally.take(json.loads(line))
