"""Functions called by requests: what the function sees, what comes back, and what becomes of
callers and workers that go away."""

import base64
import concurrent.futures
import gzip
import http.client
import json
import os
import signal
import socket
import sys
import time

import pytest

import broker
import killing

pytestmark = [pytest.mark.managed, pytest.mark.weir_only]
WORKER = [sys.executable, str(broker.REPOSITORY / "test" / "wire" / "invoke_worker.py")]
PATIENCE_S = 60
HOSTILE = 200  # calls of a worker that answers nonsense


@pytest.fixture
def one(tmp_path):
    """A weir with one event loop; `weir` is one with several, too."""
    own = broker.Weir(tmp_path, threads=1).start()
    yield own
    own.end()


class Answer:
    def __init__(self, response):
        self.status, self.body = response.status, response.read()
        self.fields = response.getheaders()

    def field(self, name):
        return next((value for key, value in self.fields if key.lower() == name), None)

    def json(self):
        assert self.status == 200, (self.status, self.body)
        return json.loads(self.body)


def ask(weir, path, body=None, method="POST", **fields):
    conn = http.client.HTTPConnection(weir.host, weir.http_port, timeout=PATIENCE_S)
    try:
        conn.request(method, path, body, {name.replace("_", "-"): v for name, v in fields.items()})
        return Answer(conn.getresponse())
    finally:
        conn.close()


def put(weir, name="f", **spec):
    killing.apply(weir, "Function", name, **{"command": WORKER, "workers": {"idle": "1h"}, **spec})


def eventually(weir, find, what):
    deadline = time.monotonic() + PATIENCE_S
    while not (found := find()):
        assert time.monotonic() < deadline, f"no {what}:\n{weir.log_tail()}"
        time.sleep(0.005)
    return found


def metric(weir, name):
    for line in ask(weir, "/metrics", method="GET").body.decode().splitlines():
        if line.startswith(name):
            return float(line.rsplit(" ", 1)[1])
    return 0


class Gate:
    """Calls that wait in their worker until `open`."""

    def __init__(self, weir, folder, name="gate"):
        self.weir, self.path = weir, folder / name
        self.began = folder / f"{name}.began"

    @property
    def do(self):
        return f"gate:{self.path}"

    def calls(self):
        return len(self.began.read_text().splitlines()) if self.began.exists() else 0

    def await_calls(self, n):
        eventually(self.weir, lambda: self.calls() >= n, f"{n} calls")

    def open(self):
        self.path.touch()


def send(weir, path="/functions/f", **fields):
    """A request whose answer is not waited for: its socket."""
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    sock = socket.create_connection((weir.host, weir.http_port))
    sock.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n{head}\r\n"
                 .encode())
    return sock


def test_what_is_asked_and_answered(weir):
    for name in ("a", "b", "c", "d"):  # not all on one event loop
        put(weir, name)
        got = ask(weir, f"/functions/{name}?n=1&m=a%20b", b"text", content_type="text/plain",
                  ce_id="7", x_own="yes", connection="close, X-Hop", x_hop="1",
                  x_request_id="r-1").json()
        assert (got["method"], got["path"], got["body"]) == ("POST", "/?n=1&m=a%20b", "text")
        fields = dict(got["headers"])
        assert fields["content-type"] == "text/plain" and fields["x-own"] == "yes"
        assert fields["ce-id"] == "7" and fields["prefer"] == "reply"
        assert fields["traceparent"].startswith("00-") and len(fields["traceparent"]) == 55
        assert fields["x-forwarded-for"].startswith("127.0.0.1")
        assert fields["x-forwarded-host"] == f"{weir.host}:{weir.http_port}"
        assert fields["host"].startswith("127.0.0.1:")
        assert "connection" not in fields and "x-hop" not in fields
        teapot = ask(weir, f"/functions/{name}", x_do="teapot")
        assert (teapot.status, teapot.body) == (418, b"short and stout")
        assert teapot.field("x-own") == "yes" and teapot.field("content-type") == "text/plain"
        assert [v for k, v in teapot.fields if k.lower() == "set-cookie"] == ["a=1", "b=2"]
        assert [k.lower() for k, _ in teapot.fields].count("date") == 1
    assert metric(weir, 'weir_function_call_seconds_count{function="a"}') == 2


def test_events_and_bodies_of_all_kinds(one):
    put(one)
    event = ask(one, "/functions/f", b"{}", x_do="event", ce_specversion="1.0", ce_id="1",
                ce_type="t", ce_source="/s")
    assert (event.status, event.field("ce-type"), event.body) == (200, "doubled", b'{"n": 2}')
    packed = ask(one, "/functions/f", x_do="gzip", accept_encoding="gzip")
    assert gzip.decompress(packed.body) == b"x" * 5000
    assert packed.field("content-encoding") == "gzip"
    unpacked = ask(one, "/functions/f", gzip.compress(b"hello"), content_encoding="gzip").json()
    assert unpacked["body"] == "hello" and "content-encoding" not in dict(unpacked["headers"])
    put(one, "batch", protocol="cloudevents-batch")
    assert ask(one, "/functions/batch", b"{}").status == 400
    assert ask(one, "/functions/batch", b"[]",
               content_type="application/cloudevents-batch+json").json()["body"] == "[]"


def test_what_cannot_be_called(one):
    put(one)
    assert ask(one, "/functions/unknown").status == 404
    wrong = ask(one, "/functions/f", method="GET")
    assert (wrong.status, wrong.field("allow")) == (405, "POST")
    assert ask(one, "/functions/f", b"x" * (2 << 20)).status == 413
    assert ask(one, "/functions/f", origin="https://evil.example").status == 403
    put(one, "azure", protocol="azure")
    assert ask(one, "/functions/azure").status == 400
    # A fails at its start: who comes while it pauses is told when to come back.
    put(one, "broken", command=["/bin/false"],
        workers={"restart": {"first": "1h", "max": "1h"}, "start": "50ms"})
    waited = ask(one, "/functions/broken")
    assert waited.status == 503 and b"broken" in waited.body and waited.field("retry-after")


@pytest.mark.parametrize("what", ["garbage", "half", "large", "exit"])
def test_broken_answers_are_bad_gateways(one, what):
    put(one, workers={"restart": {"first": "1ms", "max": "1ms"}, "idle": "1h"})
    for _ in range(3):
        broken = ask(one, "/functions/f", x_do=what)
        assert broken.status == 502, broken.body
        assert json.loads(broken.body)["code"] == "ANSWER_BAD"
    eventually(one, lambda: ask(one, "/functions/f").status == 200, "answer")


def test_a_worker_that_is_killed_or_late(one, tmp_path):
    gate = Gate(one, tmp_path)
    put(one)
    pid = ask(one, "/functions/f").json()["pid"]
    sock = send(one, x_do=gate.do)
    gate.await_calls(1)
    os.kill(pid, signal.SIGKILL)
    assert b"502" in sock.makefile("rb").readline()
    sock.close()
    put(one, limits={"time": "200ms"})
    assert ask(one, "/functions/f", x_do=gate.do).status == 504
    assert ask(one, "/functions/f").json()["pid"] != pid


def test_callers_that_go_away(weir, tmp_path):
    gate = Gate(weir, tmp_path)
    put(weir, workers={"max": 1, "idle": "1h"})
    begun = send(weir, x_do=gate.do)
    gate.await_calls(1)
    waiting = [send(weir, x_do=gate.do) for _ in range(20)]
    eventually(weir, lambda: metric(weir, "weir_http_requests_running") >= 22, "waiting requests")
    for sock in waiting + [begun]:
        sock.close()
    # Those that waited are not called for; what has begun goes on, and its worker is not free.
    eventually(weir, lambda: metric(weir, "weir_http_requests_running") == 1, "quiet")
    assert metric(weir, "weir_function_calls_under_way") == 1
    last = send(weir)
    gate.open()
    assert b"200" in last.makefile("rb").readline()
    last.close()
    assert gate.calls() == 1


def test_many_at_once(weir):
    put(weir, workers={"max": 4, "concurrency": 4, "idle": "1h"})
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        calls = [pool.submit(ask, weir, "/functions/f", str(n)) for n in range(200)]
        answers = [call.result().json() for call in calls]
    assert [answer["body"] for answer in answers] == [str(n) for n in range(200)]
    assert 1 < len({answer["pid"] for answer in answers}) <= 4


def test_who_may_call(one):
    put(one)
    put(one, "open")
    killing.apply(one, "User", "alice", password="secret-of-alice")
    killing.apply(one, "AccessGrant", "calls", principal="User:alice", roles=["Sender"],
                  function="f*")
    refused = ask(one, "/functions/f")
    assert refused.status == 403 and json.loads(refused.body)["code"] == "FUNCTION_DENIED"
    basic = "Basic " + base64.b64encode(b"alice:secret-of-alice").decode()
    allowed = ask(one, "/functions/f", authorization=basic).json()
    assert "authorization" not in dict(allowed["headers"])
    other = ask(one, "/functions/open", authorization="Bearer theirs").json()
    assert dict(other["headers"])["authorization"] == "Bearer theirs"


def test_a_stop_lets_calls_end(weir, tmp_path):
    gate = Gate(weir, tmp_path)
    put(weir, workers={"max": 1, "idle": "1h"})
    begun = send(weir, x_do=gate.do)
    gate.await_calls(1)
    waiting = send(weir)
    eventually(weir, lambda: metric(weir, "weir_http_requests_running") >= 3, "waiting request")
    weir.process.terminate()
    assert b"503" in waiting.makefile("rb").readline()
    gate.open()
    assert b"200" in begun.makefile("rb").readline()
    assert weir.process.wait(PATIENCE_S) == 0
