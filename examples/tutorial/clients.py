"""The tutorial's clients, producer and consumers as processes, and a tally of what they say."""
import json
import os
import subprocess
import sys
import threading
import time

STOP_SECONDS_MAX = 20
HERE = os.path.dirname(os.path.abspath(__file__))


class Tally:
    """What the clients reported: every acknowledgement, every event received. Thread-safe."""

    def __init__(self):
        self.lock = threading.Lock()
        self.acked = {}  # seq -> (partition, offset)
        self.failed = {}  # seq -> error
        self.new_since = None  # of events sent after this time ...
        self.new_acked_at = None  # ... the first acknowledgement came then (monotonic)
        self.received = {}  # consumer -> count
        self.seen = set()  # seqs that some consumer received
        self.latencies_ms = []  # end to end, since the last take_latencies

    def take(self, client, line):
        with self.lock:
            if "acked" in line:
                event = line["acked"]
                self.acked[event["seq"]] = (line["partition"], line["offset"])
                if self.new_since and not self.new_acked_at and event["sent_at"] > self.new_since:
                    self.new_acked_at = time.monotonic()
            elif "failed" in line:
                self.failed[line["failed"]["seq"]] = line["error"]
            else:
                event = line["event"]
                self.received[client] = self.received.get(client, 0) + 1
                self.seen.add(event["seq"])
                self.latencies_ms.append((line["received_at"] - event["sent_at"]) * 1000)

    def await_new(self):
        """From now on, new_acked_at tells when an event sent after this call was acknowledged.

        Acknowledgements still on their way from before do not count.
        """
        with self.lock:
            self.new_since, self.new_acked_at = time.time(), None

    def counts(self):
        """(acknowledged, {consumer: received}, lag): lag is what is stored and not yet seen."""
        with self.lock:
            return len(self.acked), dict(self.received), max(len(self.acked) - len(self.seen), 0)

    def acks(self):
        with self.lock:
            return dict(self.acked)

    def not_seen(self):
        with self.lock:
            return set(self.acked) - self.seen

    def take_latencies(self):
        with self.lock:
            taken, self.latencies_ms = self.latencies_ms, []
        return taken


class Client:
    """One producer.py or consumer.py, run as a pod would: by its environment."""

    def __init__(self, name, script, env, folder):
        self.name = name
        self.command = [sys.executable, os.path.join(HERE, script)]
        self.env = {**os.environ, "HOSTNAME": name, **env}
        self.errors = os.path.join(folder, f"{name}.log")
        self.process = None
        self.reader = None
        self.stopping = False

    def start(self, tally):
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(self.command, env=self.env, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=errors,
                                            start_new_session=True)
        self.reader = threading.Thread(target=self.read, args=(tally,), daemon=True)
        self.reader.start()

    def read(self, tally):
        for line in self.process.stdout:
            tally.take(self.name, json.loads(line))

    def ended_early(self):
        return not self.stopping and self.process.poll() is not None

    def tell_to_stop(self):
        self.stopping = True
        if self.process and self.process.poll() is None:
            self.process.terminate()

    def stop(self):
        """Tells it to stop and waits until all that it said has been taken in."""
        self.tell_to_stop()
        if not self.process:
            return
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.reader:
            self.reader.join()

    def errors_end(self):
        with open(self.errors, encoding="utf-8", errors="replace") as errors:
            return "".join(errors.readlines()[-8:])
