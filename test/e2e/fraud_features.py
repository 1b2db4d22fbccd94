"""Feeds payments to the two keyed workers of examples/fraud as weir would, and compares features.

    build/wire/venv/bin/python test/e2e/fraud_features.py [--worker COMMAND] [--customers N]
        [--terminals N] [--days N] [--whole] [--twice]

Both stages get all events in order of time, in batches, from three partitions each; every feature
of every payment must be what examples/fraud/data/features.py computes. With --twice each call is
made twice, and must be answered twice in the same way. Prints a line, and ends with status 1 if
anything differs.
"""
import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "examples", "fraud", "data"))

import features  # noqa: E402
import generate  # noqa: E402

PARTITIONS = 3
BATCH = 256
START = 1522540800  # 2018-04-01, in Unix seconds
RELATIVE_MAX = 1e-13  # numbers leave a worker with 15 digits
NAMES = ("amount", "weekend", "night",
         *(f"card_{what}_{days}" for days in (1, 7, 30) for what in ("count", "average")),
         *(f"terminal_{what}_{days}" for days in (1, 7, 30) for what in ("count", "risk")))


class Worker:
    """A worker process of one stage and a connection to it."""

    def __init__(self, command, *arguments):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        self.process = subprocess.Popen([*command, *arguments],
                                        env={**os.environ, "PORT": str(port)})
        self.connection = http.client.HTTPConnection("127.0.0.1", port)
        for _ in range(500):
            try:
                self.connection.connect()
                break
            except ConnectionRefusedError:
                time.sleep(0.01)
        self.next = [0] * PARTITIONS

    def call(self, partition, events):
        """Answers' (key, data) of events of one partition, which are given their places."""
        for event in events:
            event["weirpartition"] = str(partition)
            event["weiroffset"] = str(self.next[partition])
            self.next[partition] += 1
        return self.post(events)

    def post(self, events):
        self.connection.request("POST", "/", json.dumps(events),
                                {"Content-Type": "application/cloudevents-batch+json"})
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status not in (200, 204):
            raise AssertionError(f"{answer.status}: {body.decode()}")
        return json.loads(body) if body else []

    def stop(self):
        self.process.terminate()
        return self.process.wait(10)


def time_of(t):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START + t))


def event_of(kind, row, rows):
    """Returns (key, event) as the function before would have published it."""
    tx_id, terminal = int(rows["tx_id"][row]), int(rows["terminal"][row])
    data = {"tx_id": tx_id, "time": time_of(int(rows["t"][row])), "terminal": terminal}
    event = {"specversion": "1.0", "id": str(tx_id), "source": "/test", "data": data}
    if kind == "label":
        return terminal, {**event, "type": "payment.label"}
    data |= {"customer": int(rows["customer"][row]), "amount": float(rows["amount"][row]),
             "currency": "EUR"}
    return data["customer"], {**event, "type": "payment.validated"}


def call_by_partition(worker, keyed, twice):
    """Calls the worker with (key, event) pairs; returns the answers in the order of their tx_id."""
    answers = []
    for partition in range(PARTITIONS):
        events = [event for key, event in keyed if key % PARTITIONS == partition]
        if not events:
            continue
        found = worker.call(partition, events)
        if twice and worker.post(events) != found:
            raise AssertionError("the same call is answered in another way")
        answers += found
    return sorted(answers, key=lambda event: event["data"]["tx_id"])


def through(card, terminal, batch, rows, twice):
    """One batch of (kind, row) through both stages; returns the data of what comes out."""
    pairs = [(kind, *event_of(kind, row, rows)) for kind, row in batch]
    carded = call_by_partition(card, [(key, event) for kind, key, event in pairs
                                      if kind == "payment"], twice)
    carded = {event["data"]["tx_id"]: event for event in carded}
    second = []
    for kind, key, event in pairs:
        if kind == "payment":
            event = carded[event["data"]["tx_id"]]
            key = int(event["partitionkey"])
            assert key == event["data"]["terminal"]
        second.append((key, event))
    return [event["data"] for event in call_by_partition(terminal, second, twice)]


def differs(found, wanted):
    return abs(found - wanted) > RELATIVE_MAX * max(1, abs(wanted))


def compare(data, wanted, wrong):
    for name, value in zip(NAMES, wanted):
        if name not in data or differs(data[name], value):
            wrong.append(f"payment {data['tx_id']}: {name} is {data.get(name)}, not {value}")


def check(command, rows, wanted, twice):
    """Returns (payments compared, what differs)."""
    card = Worker(command, "card", "--topic", "cards")
    terminal = Worker(command, "terminal", "--topic", "terminals")
    wrong, compared, batch = [], 0, []
    try:
        for kind, row in [*features.events(rows), (None, None)]:
            if kind:
                batch.append((kind, row))
            if batch and (kind is None or len(batch) == BATCH):
                for data in through(card, terminal, batch, rows, twice):
                    compare(data, wanted[data["tx_id"]], wrong)
                    compared += 1
                batch = []
    finally:
        card.stop()
        terminal.stop()
    return compared, wrong


def main():
    parser = argparse.ArgumentParser(description="Compares the workers' features.")
    parser.add_argument("--worker", default=os.path.join(ROOT, "build", "examples", "fraud-worker"))
    parser.add_argument("--customers", type=int, default=120)
    parser.add_argument("--terminals", type=int, default=200)
    parser.add_argument("--days", type=int, default=70)
    parser.add_argument("--whole", action="store_true", help="all 1,754,155 payments")
    parser.add_argument("--twice", action="store_true")
    arguments = parser.parse_args()
    if arguments.whole:
        rows, wanted = generate.whole_set(), features.whole_features()
    else:
        rows = generate.slice_of(arguments.customers, arguments.terminals, arguments.days)
        wanted = features.features_of(rows)
    started = time.monotonic()
    compared, wrong = check(arguments.worker.split(), rows, wanted.tolist(), arguments.twice)
    print("\n".join(wrong[:20]))
    print(f"{compared:,} of {len(rows['t']):,} payments, {int(rows['fraud'].sum()):,} frauds, "
          f"{len(NAMES)} features each: {len(wrong):,} differ "
          f"({time.monotonic() - started:.1f} s)")
    return 1 if wrong or compared != len(rows["t"]) else 0


if __name__ == "__main__":
    sys.exit(main())
