"""The functions of the fraud pipeline in Python: what ../worker has in C, in a tenth of the lines.

    worker.py validate --currencies FILE
    worker.py card     --topic cards     [--state FOLDER] [--save SECONDS] [--weir HOST:PORT]
    worker.py terminal --topic terminals [--state FOLDER] [--save SECONDS] [--weir HOST:PORT]

Listens on 127.0.0.1:$PORT. A call is a POST of CloudEvents, one alone or an array
(application/cloudevents-batch+json); the answer is 200 with those that come of them, or 204 where
none does. If one of them is no payment the answer is 422, and says why.

A keyed stage has the state of its partitions: what of a partition it has not seen, because it is
new or because the partition was another worker's, it reads again from weir, without answering.
"""
import argparse
import calendar
import json
import os
import signal
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "data"))

from features import CardState, TerminalState, clock_features  # noqa: E402

START = 1522540800  # 2018-04-01, from which the states count
AMOUNT_MAX = 1e9
DAYS = 1, 7, 30
ANSWERS_KEPT = 20000  # of each partition, for payments that come again
REPLAY_EVENTS_MAX = 10000


class NoPayment(Exception):
    """The event is none, and why."""


def whole(data, name):
    value = data.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise NoPayment(f"data.{name} is not a whole number")
    return value


def seconds(data):
    try:
        return calendar.timegm(time.strptime(data["time"], "%Y-%m-%dT%H:%M:%SZ")) - START
    except (KeyError, TypeError, ValueError) as error:
        raise NoPayment("data.time is not a time such as 2018-04-01T00:13:37Z") from error


def check(data):
    if not isinstance(data, dict):
        raise NoPayment("data is not a JSON object")
    for name in "tx_id", "customer", "terminal":
        whole(data, name)
    amount = data.get("amount")
    if not isinstance(amount, (int, float)) or not 0 <= amount < AMOUNT_MAX:
        raise NoPayment("data.amount is not a number from 0 up")
    return data


def answer(event, kind, stage, key, data):
    trace = {"traceparent": event["traceparent"]} if "traceparent" in event else {}
    return {"specversion": "1.0", "id": str(event["data"]["tx_id"]), "type": kind,
            "source": f"/fraud/{stage}", "partitionkey": str(key), **trace,
            "datacontenttype": "application/json", "data": data}


class Validate:
    keyed = False

    def __init__(self, arguments):
        self.path = arguments.currencies
        self.read()

    def read(self):
        with open(self.path, encoding="utf-8") as file:
            self.known = {line.split("#")[0].strip() for line in file} - {""}

    def take(self, _states, event):
        data = check(event.get("data"))
        seconds(data)
        if data.get("currency") not in self.known:
            self.read()
        if data.get("currency") not in self.known:
            raise NoPayment(f"data.currency is {data.get('currency')!r}, which is not in the table")
        return answer(event, "payment.validated", "validate", data["customer"], data)


class Card:
    keyed = True
    state = CardState

    def take(self, states, event):
        data = check(event.get("data"))
        found = states[data["customer"]].payment(seconds(data), data["amount"])
        names = (f"card_{what}_{days}" for days in DAYS for what in ("count", "average"))
        return answer(event, "payment.card", "card", data["terminal"],
                      {**data, **dict(zip(names, found))})


class Terminal:
    keyed = True
    state = TerminalState

    def take(self, states, event):
        data = event.get("data")
        if event.get("type") == "payment.label":
            states[whole(data, "terminal")].label(seconds(data), whole(data, "tx_id"))
            return None
        t = seconds(check(data))
        found = [*clock_features(t), *states[data["terminal"]].payment(t)]
        names = ("weekend", "night",
                 *(f"terminal_{what}_{days}" for days in DAYS for what in ("count", "risk")))
        return answer(event, "payment.features", "terminal", data["customer"],
                      {**data, **dict(zip(names, found))})


class States(dict):
    """key -> state, which is made when it is asked for."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def __missing__(self, key):
        self[key] = self.kind()
        return self[key]


class Partition:
    """The states of its keys, and `next`: the first offset that is not in them."""

    def __init__(self, stage, arguments, number):
        self.stage, self.arguments, self.number = stage, arguments, number
        self.next = self.saved = 0
        self.states = States(stage.state)
        self.answers = {}  # payment -> answer, of the last ones
        self.path = arguments.state and os.path.join(arguments.state,
                                                     f"{arguments.topic}-{number}.json")
        if self.path and os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as file:
                whole_file = json.load(file)
            self.next = self.saved = whole_file["next"]
            for key, lists in whole_file["states"].items():
                self.states[int(key)] = stage.state.restore(lists)

    def take(self, event):
        self.catch_up(int(event["weiroffset"]))
        self.next = max(self.next, int(event["weiroffset"]) + 1)
        return self.take_in(event)

    def take_in(self, event):
        data = event.get("data")
        once = (event.get("type") == "payment.label",
                data.get("tx_id") if isinstance(data, dict) else None)
        if once not in self.answers:
            self.answers[once] = self.stage.take(self.states, event)
            if len(self.answers) > ANSWERS_KEPT:
                del self.answers[next(iter(self.answers))]
        return self.answers[once]

    def catch_up(self, offset):
        """Reads again what lies between; by one request after the other."""
        while self.next < offset:
            url = (f"{self.arguments.weir}/topics/{self.arguments.topic}?partition={self.number}"
                   f"&offset={self.next}&max={REPLAY_EVENTS_MAX}")
            with urllib.request.urlopen(url, timeout=10) as found:
                events = json.load(found)
            for event in events:
                self.next = int(event["weiroffset"]) + 1
                if self.next > offset:
                    break
                try:
                    self.take_in(event)
                except NoPayment:
                    pass  # what was wrong then is wrong now
            self.next = min(self.next, offset) if events else offset

    def save(self):
        """Writes the snapshot beside the old one, and puts it in its place."""
        if not self.path or self.next == self.saved:
            return
        with open(self.path + ".part", "w", encoding="utf-8") as file:
            json.dump({"next": self.next, "states": {key: state.snapshot()
                                                     for key, state in self.states.items()}}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.path + ".part", self.path)
        self.saved = self.next


class Worker:
    """One call at a time: the states are one thread's."""

    def __init__(self, stage, arguments):
        self.stage, self.arguments = stage, arguments
        self.partitions = {}
        self.lock = threading.Lock()

    def take(self, event):
        if not self.stage.keyed:
            return self.stage.take(None, event)
        number = int(event["weirpartition"])
        if number not in self.partitions:
            self.partitions[number] = Partition(self.stage, self.arguments, number)
        return self.partitions[number].take(event)

    def call(self, body):
        """(status, body) of an answer."""
        try:
            events = json.loads(body)
            events = events if isinstance(events, list) else [events]
            with self.lock:
                answers = [found for found in map(self.take, events) if found]
        except NoPayment as error:
            return 422, str(error)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return 422, f"not an event: {error!r}"
        return (200, json.dumps(answers)) if answers else (204, "")

    def save(self):
        with self.lock:
            for partition in self.partitions.values():
                partition.save()

    def save_now_and_then(self):
        while True:
            time.sleep(self.arguments.save)
            self.save()


def handler_of(worker):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # an answer is two writes

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.answer(*worker.call(body))

        def do_GET(self):
            self.answer(200, "")

        do_HEAD = do_OPTIONS = do_GET

        def answer(self, status, text):
            body = text.encode()
            self.send_response(status)
            if status == 200:
                self.send_header("Content-Type", "application/cloudevents-batch+json")
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def main():
    parser = argparse.ArgumentParser(description="A function of the fraud pipeline.")
    parser.add_argument("stage", choices=("validate", "card", "terminal"))
    parser.add_argument("--currencies")
    parser.add_argument("--topic")
    parser.add_argument("--state")
    parser.add_argument("--save", type=float, default=10, metavar="SECONDS")
    parser.add_argument("--weir", default=os.environ.get("WEIR_HTTP", "127.0.0.1:8080"))
    arguments = parser.parse_args()
    if not arguments.weir.startswith("http://"):
        arguments.weir = "http://" + arguments.weir
    if arguments.state:
        os.makedirs(arguments.state, exist_ok=True)
    stage = {"card": Card, "terminal": Terminal}.get(arguments.stage)
    worker = Worker(stage() if stage else Validate(arguments), arguments)
    server = Server(("127.0.0.1", int(os.environ["PORT"])), handler_of(worker))
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    threading.Thread(target=worker.save_now_and_then, daemon=True).start()
    server.serve_forever(poll_interval=0.05)
    worker.save()


if __name__ == "__main__":
    main()
