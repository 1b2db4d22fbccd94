"""Feeds payments in at a rate, through whichever publishers, and labels when they become known."""
import json
import subprocess
import threading
import time

from kafka import KafkaProducer

TICK_SECONDS = 0.05
BEHIND_SECONDS_MAX = 1  # so many seconds' worth may be sent and not acknowledged
LABEL_SECONDS_MAX = 120


class Labels:
    """Publishes labels as CloudEvents, by their Kafka binding, to the topic of terminals."""

    def __init__(self, broker, data):
        self.data = data
        self.producer = KafkaProducer(bootstrap_servers=broker, acks="all",
                                      enable_idempotence=True)

    def publish(self, rows):
        """Returns when all are acknowledged."""
        waiting = []
        for row in rows:
            headers = {"ce_specversion": "1.0", "ce_id": f"label-{row}", "ce_source": "/labels",
                       "ce_type": "payment.label", "content-type": "application/json"}
            waiting.append(self.producer.send(
                "terminals", json.dumps(self.data.label(row)).encode(),
                key=str(self.data.terminal[row]).encode(),
                headers=[(name, value.encode()) for name, value in headers.items()]))
        for future in waiting:
            future.get(timeout=LABEL_SECONDS_MAX)

    def close(self):
        self.producer.close(timeout=10)


class Spike:
    """weir's own command as a publisher of many: a line of its standard input is a payment."""

    def __init__(self, weir, broker):
        self.process = subprocess.Popen(
            [weir, "produce", "payments", "--broker", broker, "--key-separator", "|"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)
        self.asked = 0

    def send(self, lines, customers):
        now = f'{time.time() * 1000:.1f}'
        text = "".join(f'{card}|{line[:-1]}, "sent": {now}}}\n'
                       for line, card in zip(lines, customers))
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()
        self.asked += len(lines)

    def end(self):
        """True when all are acknowledged."""
        self.process.stdin.close()
        return self.process.wait(LABEL_SECONDS_MAX) == 0


class Feeder(threading.Thread):
    """A thread that keeps to the rate; the story sets what it does."""

    def __init__(self, data, publishers, labels, times=1):
        super().__init__(daemon=True)
        self.times = times  # how often everything is sent
        self.data = data
        self.publishers = publishers
        self.labels = labels
        self.labelled = -1  # the last row whose labels are out
        self.row = 0  # the next to be sent
        self.rate = 0  # rows a second
        self.spike = None
        self.error = None
        self.stopping = False

    def run(self):
        try:
            self.feed()
        except Exception as error:  # told by the story's thread
            self.error = error

    def feed(self):
        due, last = 0.0, time.monotonic()
        while not self.stopping:
            time.sleep(TICK_SECONDS)
            now = time.monotonic()
            due, last = due + self.rate * (now - last), now
            due = min(due, self.rate * BEHIND_SECONDS_MAX, self.data.count - self.row)
            if not self.spike and self.behind():
                due = 0
            if due >= 1:
                self.send_rows(int(due))
                due -= int(due)

    def behind(self):
        return max(one.waiting() for one in self.publishers) > self.rate * BEHIND_SECONDS_MAX

    def send_rows(self, count):
        """Up to `count` rows, in pieces between which labels are published."""
        end = self.row + count
        while self.row < end:
            self.publish_labels()
            stop = next((row for row in range(self.row + 1, end) if row in self.data.labels), end)
            for _ in range(self.times):
                self.send_piece(self.row, stop)
            self.row = stop

    def send_piece(self, first, end):
        if self.spike:
            self.spike.send(self.data.lines[first:end], self.data.customer[first:end])
            return
        for publisher in self.publishers:
            publisher.send(first, end)

    def publish_labels(self):
        if self.row in self.data.labels and self.labelled != self.row:
            self.labels.publish(self.data.labels[self.row] * self.times)
            self.labelled = self.row

    def acked(self):
        return all(one.waiting() == 0 for one in self.publishers)

    def stop(self):
        self.stopping = True
        self.join(LABEL_SECONDS_MAX)
