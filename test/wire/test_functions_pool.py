"""Workers of functions: started, watched, named and contained where they misbehave, and gone when
weir is gone, however it went."""

import json
import os
import pathlib
import re
import sys
import time
import urllib.error
import urllib.request

import pytest

import broker
from clients import SETUP

pytestmark = [pytest.mark.managed, pytest.mark.weir_only]
WORKER = broker.REPOSITORY / "build" / "test" / "wire" / "pool_worker"
PATIENCE_S = 60

PYTHON = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(204)
        self.end_headers()
address = ("127.0.0.1", int(os.environ["PORT"]))
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""
NODE = """
require("http").createServer((request, response) => {
  response.statusCode = 204;
  response.end();
}).listen(process.env.PORT, "127.0.0.1");
"""


class Pool:
    """A weir, its functions, and what is told of them."""

    def __init__(self, weir):
        self.weir = weir

    def put(self, name, command, **spec):
        document = {"apiVersion": "weir/v1alpha1", "kind": "Function", "metadata": {"name": name},
                    "spec": {"command": [str(word) for word in command], **spec}}
        request = urllib.request.Request(
            f"{self.weir.http}/api/v1/functions/{name}", json.dumps(document).encode(),
            {"Content-Type": "application/json"}, method="PUT")
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            assert answer.status in (200, 201)

    def apply(self, kind, name, **spec):
        document = {"apiVersion": "weir/v1alpha1", "kind": kind, "metadata": {"name": name},
                    "spec": spec}
        request = urllib.request.Request(
            f"{self.weir.http}/api/v1/apply", json.dumps(document).encode(),
            {"Content-Type": "application/json"}, method="POST")
        urllib.request.urlopen(request, timeout=PATIENCE_S).close()

    def feed(self, name, partitions=1, **subscription):
        """A topic whose events the function is called with."""
        self.apply("Topic", name, partitions=partitions)
        self.apply("Subscription", f"to-{name}", topic=name, deliver={"function": name},
                   **subscription)

    def publish(self, topic, datas, **extensions):
        """Returns when all are stored."""
        events = [{"specversion": "1.0", "id": str(number), "source": "/test", "type": "t",
                   "partitionkey": str(number), "data": data, **extensions} for number, data in
                  enumerate(datas)]
        for at in range(0, len(events), 1000):
            request = urllib.request.Request(
                f"{self.weir.http}/topics/{topic}", json.dumps(events[at:at + 1000]).encode(),
                {"Content-Type": "application/cloudevents-batch+json"})
            urllib.request.urlopen(request, timeout=PATIENCE_S).close()

    def handled(self, name):
        return self.metric("weir_function_events_total", [f'function="{name}"']) or 0

    def await_handled(self, name, n):
        eventually(lambda: self.handled(name) >= n or None, f"{n} events of {name}", self.weir)

    def remove(self, name):
        request = urllib.request.Request(f"{self.weir.http}/api/v1/functions/{name}",
                                         method="DELETE")
        urllib.request.urlopen(request, timeout=PATIENCE_S).close()

    def events(self, name=None, kind=None):
        """Of weir.functions: type without its beginning, and data."""
        got, at = [], 0
        while True:
            url = f"{self.weir.http}/topics/weir.functions?partition=0&offset={at}"
            try:
                with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
                    page = json.load(answer)
            except urllib.error.HTTPError as error:
                assert error.code == 404  # nothing has happened yet
                return got
            if not page:
                return got
            at = int(page[-1]["weiroffset"]) + 1
            for event in page:
                what, data = event["type"].removeprefix("weir.function."), event["data"]
                if name in (None, data["function"]) and kind in (None, what):
                    got.append((what, data))

    def await_event(self, name, kind, accept=lambda data: True):
        def find():
            return next((data for _, data in self.events(name, kind) if accept(data)), None)
        return eventually(find, f"{kind} of {name}", self.weir)

    def status(self, name, state):
        """None: the state is another one."""
        with urllib.request.urlopen(f"{self.weir.http}/api/v1/functions/{name}",
                                    timeout=PATIENCE_S) as answer:
            status = json.load(answer)["status"]
        return status if status["state"] == state else None

    def metric(self, name, labels):
        with urllib.request.urlopen(self.weir.http + "/metrics", timeout=PATIENCE_S) as answer:
            page = answer.read().decode()
        for line in page.splitlines():
            if line.startswith(name + "{") and all(part in line for part in labels):
                return float(line.rsplit(" ", 1)[1])
        return None

    def workers(self, name, state="ready"):
        return self.metric("weir_function_workers", [f'function="{name}"', f'state="{state}"'])

    def await_workers(self, name, n, state="ready"):
        eventually(lambda: self.workers(name, state) == n or None, f"{n} {state} of {name}",
                   self.weir)

    def pids(self, name, at_least=0):
        """Events follow what they tell of."""
        def find():
            found = [data["pid"] for _, data in self.events(name, "worker.started")]
            return found if len(found) >= at_least else None
        return eventually(find, f"{at_least} starts of {name}", self.weir)


def eventually(find, what, weir):
    deadline = time.monotonic() + PATIENCE_S
    while (found := find()) is None:
        assert time.monotonic() < deadline, f"no {what}:\n{weir.log_tail()}"
        time.sleep(0.01)
    return found


def session_members(session):
    """Living processes of the session that a worker leads."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[0] not in "ZX" and int(fields[3]) == session:
            found.append(path.parent.name)
    return found


@pytest.fixture
def pool(weir):
    return Pool(weir)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """One weir for all that leaves nothing behind."""
    weir = broker.Weir(tmp_path_factory.mktemp("pool")).start()
    yield Pool(weir)
    weir.end()


def is_alive(pid):
    return pathlib.Path(f"/proc/{pid}").exists()


# ---- starts and ends

def test_min_workers_are_kept(own):
    own.put("kept", [WORKER], workers={"min": 2, "max": 3})
    own.await_workers("kept", 2)
    pids = own.pids("kept", 2)
    assert all(is_alive(pid) for pid in pids)
    assert [data for _, data in own.events("kept", "scaled")] == [
        {"function": "kept", "from": 0, "to": 2, "reason": "minimum", "waiting": 0, "calls": 0,
         "target": 100}]
    os.kill(pids[0], 9)
    crashed = own.await_event("kept", "worker.crashed")
    assert crashed["signal"] == 9 and crashed["output"] == ["pool_worker listens"]
    own.await_workers("kept", 2)
    own.remove("kept")
    eventually(lambda: not any(map(is_alive, own.pids("kept"))) or None, "end", own.weir)
    eventually(lambda: len(own.events("kept", "worker.stopped")) == 2 or None, "two stops",
               own.weir)


def test_output_is_in_the_log(own):
    own.put("told", [WORKER], workers={"min": 1})
    own.await_workers("told", 1)
    assert own.status("told", "running")["workers"] == {
        "ready": 1, "starting": 0, "draining": 0, "wanted": 1}
    line = eventually(lambda: re.search(r"INFO function\.output function=told .*", own.weir.log.
                                        read_text()), "output", own.weir).group()
    assert 'stream=stdout correlation=- ' in line and 'text="pool_worker listens"' in line
    own.feed("told")
    own.publish("told", [{"do": "say"}], correlationid="c-1")
    eventually(lambda: re.search(r"stream=stdout correlation=c-1 text=.said", own.weir.log.
                                 read_text()), "what it said of an event", own.weir)
    own.remove("told")


def test_what_does_not_start_is_named(own):
    own.put("absent", ["/nowhere/enrich"], workers={"min": 1, "restart": {"first": "10ms"}})
    failing = own.await_event("absent", "failing")
    assert failing["failures"] == 5
    assert "cannot run /nowhere/enrich: there is no such file" in failing["error"]
    status = eventually(lambda: own.status("absent", "backoff"), "back-off", own.weir)
    assert status["failures"] >= 5 and status["workers"]["ready"] == 0
    assert "cannot run /nowhere/enrich" in status["error"]
    own.remove("absent")


def test_what_never_listens_is_killed(own):
    own.put("silent", ["/bin/sleep", "1000"], workers={"min": 1, "start": "300ms"})
    assert own.await_event("silent", "worker.killed")["reason"] == "start"
    own.remove("silent")


# ---- those that misbehave, beside one that does not

@pytest.mark.parametrize("what, kind, shows", [
    ("crash", "worker.crashed", {"signal": 11}),
    ("exit", "worker.crashed", {"status": 3}),
    ("leak", "worker.killed", {"reason": "memory"}),
    ("loop", "worker.killed", {"reason": "cpu"}),
    ("flood", "worker.killed", {"reason": "flood"}),
])
def test_named_and_contained(own, what, kind, shows):
    own.put("good", [WORKER], workers={"min": 1})
    own.await_event("good", "worker.ready")
    before = own.events("good")
    own.put(what, [WORKER, what], workers={"min": 1, "restart": {"first": "10s", "max": "10s"}},
            limits={"memory": "64MiB", "cpu": 0.25})
    data = own.await_event(what, kind)
    assert shows.items() <= data.items()
    assert data["retryMs"] == 10000
    assert not session_members(own.pids(what)[0])
    assert own.events("good") == before, "another function was affected"
    own.remove(what)


def test_children_go_with_their_worker(own):
    own.put("parent", [WORKER, "fork"], workers={"min": 1})
    own.await_workers("parent", 1)
    pid = own.pids("parent", 1)[0]
    eventually(lambda: len(session_members(pid)) == 9 or None, "children", own.weir)
    own.remove("parent")
    eventually(lambda: not session_members(pid) or None, "end of the children", own.weir)


# ---- work comes and goes

def test_from_none_to_many_to_none(own):
    own.put("wave", [WORKER], protocol="cloudevents-batch", batch={"events": 5},
            workers={"max": 8, "target": 10, "idle": "200ms"})
    own.feed("wave", partitions=4, ordering="none")
    assert own.pids("wave") == []
    own.publish("wave", [{"do": "nap"}] * 400)
    own.await_workers("wave", 8)
    own.await_handled("wave", 400)
    own.await_workers("wave", 0)
    eventually(lambda: not any(map(is_alive, own.pids("wave"))) or None, "end", own.weir)
    own.await_event("wave", "scaled", lambda data: data["to"] == 0)
    scaled = [data for _, data in own.events("wave", "scaled")]
    assert scaled[0]["from"] == 0 and scaled[-1]["to"] == 0
    assert max(data["to"] for data in scaled) == 8
    assert all(data["reason"] in ("waiting", "calls", "idle") for data in scaled)
    assert own.handled("wave") == 400
    own.remove("wave")


@pytest.mark.parametrize("what, kind, shows", [
    ("crash", "worker.crashed", {"signal": 11}),
    ("loop", "worker.killed", {"reason": "time"}),
    ("leak", "worker.killed", {"reason": "memory"}),
])
def test_poison_is_contained(own, what, kind, shows):
    """One event ends each worker that is called with it; all others are handled, and those of
    another function as if nothing was."""
    name, good = f"poisoned-{what}", f"beside-{what}"
    own.apply("Topic", f"{name}.dead", partitions=1)
    for one in (name, good):
        own.put(one, [WORKER], workers={"max": 2, "restart": {"first": "20ms", "max": "100ms"}},
                limits={"memory": "64MiB", "time": "500ms"})
    own.feed(name, deadLetter=f"{name}.dead",
             retry={"attempts": 3, "backoff": "fixed", "first": "10ms"})
    own.feed(good)
    poison = {"do": what}
    own.publish(name, [{"number": 1}] * 20 + [poison] + [{"number": 2}] * 20)
    own.publish(good, [{"number": 1}] * 200)
    assert shows.items() <= own.await_event(name, kind).items()
    own.await_handled(name, 40)
    own.await_handled(good, 200)
    assert not own.events(good, "worker.crashed") and not own.events(good, "worker.killed")
    if what != "leak":  # that one answers
        eventually(lambda: own.metric("weir_subscription_dead_lettered_total",
                                      [f'subscription="to-{name}"']) or None, "dead letter",
                   own.weir)
    for one in (name, good):
        own.remove(one)


# ---- weir ends

def test_orderly_stop_leaves_no_worker(pool):
    pool.put("f", [WORKER], workers={"min": 3})
    pool.await_workers("f", 3)
    pids = pool.pids("f", 3)
    pool.weir.stop()
    assert not any(map(is_alive, pids))


def test_stop_kills_who_does_not_listen(pool):
    pool.put("f", ["/bin/sh", "-c", f"trap '' TERM; {WORKER} & while :; do sleep 1; done"],
             workers={"min": 1})
    pool.await_workers("f", 1)
    pids = pool.pids("f", 1)
    pool.weir.stop()
    assert not any(map(is_alive, pids))


def test_kill_9_leaves_no_worker(pool):
    pool.put("f", [WORKER], workers={"min": 3})
    pool.await_workers("f", 3)
    pids = pool.pids("f", 3)
    assert len(pids) == 3
    pool.weir.kill()
    eventually(lambda: not any(map(is_alive, pids)) or None, "end of the workers", pool.weir)
    pool.weir.start()
    pool.await_workers("f", 3)  # the function is known, and runs again
    assert len(pool.pids("f", 6)) == 6


# ---- how long a start takes

STARTS = [
    ("native", lambda: [WORKER]),
    ("python", lambda: [sys.executable, "-S", "-E", "-c", PYTHON]),
    ("node", lambda: [str(SETUP / "node/bin/node"), "-e", NODE]),
]


@pytest.mark.parametrize("name, command", STARTS, ids=[name for name, _ in STARTS])
def test_first_event(own, name, command):
    """From a publish to an event that is handled, with no worker before it."""
    name = f"first-{name}"
    own.put(name, command(), workers={"idle": "10ms"})
    own.feed(name)
    took = []
    for done in range(1, 12):
        begin = time.monotonic()
        own.publish(name, [{}])
        while own.handled(name) < done:
            assert time.monotonic() < begin + PATIENCE_S, own.weir.log_tail()
        took.append((time.monotonic() - begin) * 1000)
        own.await_workers(name, 0)
    own.remove(name)
    took.sort()
    assert len(own.pids(name, 11)) == 11
    print(f"\n{name}: an event is handled {took[0]:.1f} / {took[5]:.1f} / {took[-1]:.1f} ms after "
          f"its publish began (least, median, most of {len(took)})")


@pytest.mark.parametrize("name, command", STARTS, ids=[name for name, _ in STARTS])
def test_cold_start(own, name, command):
    own.put(name, command(), workers={"min": 1, "max": 1})
    for _ in range(10):
        own.await_workers(name, 1)
        own.remove(name)
        own.await_event(name, "worker.stopped")
        own.put(name, command(), workers={"min": 1, "max": 1})
    own.await_workers(name, 1)
    own.remove(name)
    def ready():
        found = own.events(name, "worker.ready")
        return found if len(found) == 11 else None
    took = sorted(data["tookUs"] / 1000 for _, data in eventually(ready, "11 starts", own.weir))
    print(f"\n{name}: ready {took[0]:.1f} / {took[5]:.1f} / {took[-1]:.1f} ms after its start "
          f"(least, median, most of {len(took)})")
