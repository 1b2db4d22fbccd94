"""The workers of examples/fraud: what they answer, and what they remember when replaced."""
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
WEIR = os.environ.get("WEIR_BIN", os.path.join(ROOT, "build", "weir"))
NATIVE = [os.path.join(os.path.dirname(WEIR), "examples", "fraud-worker")]
PYTHON = [sys.executable, "-B", os.path.join(ROOT, "examples", "fraud", "python", "worker.py")]
CURRENCIES = os.path.join(ROOT, "examples", "fraud", "currencies.txt")

READY_SECONDS_MAX = 30
DAY = 86400
START = 1522540800  # 2018-04-01


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def await_port(port):
    end = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise AssertionError(f"nobody listens on port {port}")


class Worker:
    def __init__(self, command, *arguments):
        self.port = free_port()
        self.process = subprocess.Popen([*command, *map(str, arguments)],
                                        env={**os.environ, "PORT": str(self.port)})
        await_port(self.port)
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port)

    def post(self, events):
        body = events if isinstance(events, (str, bytes)) else json.dumps(events)
        self.connection.request("POST", "/", body)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        if answer.status == 200:
            assert answer.getheader("Content-Type") == "application/cloudevents-batch+json"
            return json.loads(text)
        return answer.status if answer.status == 204 else (answer.status, text)

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        assert self.process.wait(10) == (0 if number == signal.SIGTERM else -number)


def make_workers(command):
    workers = []

    def make(*arguments):
        workers.append(Worker(command, *arguments))
        return workers[-1]
    yield make
    for one in workers:
        one.process.kill()
        one.process.wait()


@pytest.fixture(name="worker", params=[NATIVE, PYTHON], ids=["native", "python"])
def any_worker(request):
    yield from make_workers(request.param)


@pytest.fixture(name="native")
def native_worker():
    yield from make_workers(NATIVE)


@pytest.fixture(name="weir")
def fresh_weir(tmp_path):
    kafka, http_at = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    with open(tmp_path / "weir.log", "wb") as log:
        process = subprocess.Popen([WEIR, "serve", "--data", str(tmp_path / "data"), "--kafka",
                                    kafka, "--http", http_at], stdout=log, stderr=log)
    await_port(int(http_at.split(":")[1]))
    yield http_at
    process.terminate()
    assert process.wait(30) == 0


def payment(tx_id, day=0, customer=7, terminal=9, amount=10.0, **more):
    t = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START + int(day * DAY)))
    return {"tx_id": tx_id, "time": t, "customer": customer, "terminal": terminal,
            "amount": amount, "currency": "EUR", **more}


def event(offset, data, kind="payment.validated", **more):
    return {"specversion": "1.0", "id": str(data.get("tx_id", "x")), "source": "/test",
            "type": kind, "weirpartition": "0", "weiroffset": str(offset), "data": data, **more}


def test_validate_answers_with_the_card_as_key(worker):
    w = worker("validate", "--currencies", CURRENCIES)
    (answer,) = w.post([event(0, payment(12, amount=57.16, sent=1732787896123.45))])
    assert answer["id"] == "12" and answer["type"] == "payment.validated"
    assert answer["partitionkey"] == "7" and answer["source"] == "/fraud/validate"
    assert answer["data"] == payment(12, amount=57.16, sent=1732787896123.45)
    assert w.post(event(0, payment(13)))[0]["id"] == "13"  # one alone
    assert w.post([event(0, payment(14, amount=0.0))])[0]["data"]["amount"] == 0  # it happens
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert "traceparent" not in answer
    assert w.post(event(0, payment(13), traceparent=trace))[0]["traceparent"] == trace


@pytest.mark.parametrize("change, reason", [
    ({"tx_id": "12"}, "tx_id"), ({"customer": None}, "customer"), ({"terminal": -1}, "terminal"),
    ({"amount": -0.01}, "amount"), ({"amount": "5"}, "amount"), ({"amount": 1e12}, "amount"),
    ({"time": "yesterday"}, "time"), ({"time": "2018-13-01T00:00:00Z"}, "time"),
    ({"currency": None}, "currency"), ({"currency": "XTS"}, "XTS")])
def test_what_is_no_payment_is_refused_and_named(worker, change, reason):
    w = worker("validate", "--currencies", CURRENCIES)
    status, text = w.post([event(0, payment(1)), event(1, {**payment(2), **change})])
    assert status == 422 and reason in text


def test_bodies_that_are_no_events_are_refused(worker):
    w = worker("validate", "--currencies", CURRENCIES)
    for body in ("", "{", "5", "[5]", "[[5]]", '[{"data": 3}]', b"\xff\xfe"):
        status, _ = w.post(body)
        assert status == 422
    assert w.post([event(0, payment(1))])[0]["id"] == "1"


def test_a_currency_is_known_as_soon_as_the_table_has_it(worker, tmp_path):
    table = tmp_path / "currencies.txt"
    table.write_text("EUR\n")
    w = worker("validate", "--currencies", table)
    poison = event(0, payment(1, currency="XTS"))
    assert w.post([poison])[0] == 422
    table.write_text("EUR\nXTS # for tests\n")
    assert w.post([poison])[0]["data"]["currency"] == "XTS"


def test_a_payment_again_is_answered_as_before(worker):
    w = worker("card", "--topic", "cards")
    first = w.post([event(0, payment(1, day=1)), event(1, payment(2, day=2))])
    w.post([event(2, payment(3, day=2.5, amount=99))])
    assert w.post([event(0, payment(1, day=1)), event(1, payment(2, day=2))]) == first
    assert w.post([event(3, payment(3, day=2.5, amount=99))])[0]["data"]["card_count_7"] == 3


def test_labels_count_a_week_later_and_once(worker):
    w = worker("terminal", "--topic", "terminals")
    assert w.post([event(0, payment(1, day=1))])[0]["data"]["terminal_count_30"] == 0
    label = {name: payment(1, day=1)[name] for name in ("tx_id", "time", "terminal")}
    for offset in 1, 2:
        assert w.post([event(offset, label, kind="payment.label")]) == 204
    early, late = w.post([event(3, payment(2, day=7.9)), event(4, payment(3, day=8))])
    assert early["data"]["terminal_risk_30"] == 0 and early["data"]["terminal_count_30"] == 0
    assert late["data"]["terminal_risk_30"] == 1 and late["data"]["terminal_count_30"] == 1
    assert late["data"]["night"] == 1 and late["data"]["weekend"] == 0  # a Monday at midnight


def publish(weir, topic, events):
    """Publishes one batch to one partition; the place of the first event becomes its offset."""
    request = urllib.request.Request(
        f"http://{weir}/topics/{topic}?partition=0", json.dumps(events).encode(),
        {"Content-Type": "application/cloudevents-batch+json"}, method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 202


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_who_takes_a_partition_over_knows_what_was_before(worker, weir, tmp_path, number):
    """By a snapshot and the log behind it, or by the log alone; and so does who gets it back."""
    rows = [payment(n, day=n / 40, customer=n % 250, amount=1 + n % 7) for n in range(600)]
    events = [event(n, row) for n, row in enumerate(rows)]
    publish(weir, "cards", [{name: value for name, value in e.items() if "weir" not in name}
                            for e in events])
    wanted = worker("card", "--topic", "cards").post(events)
    state = tmp_path / "not" / "yet" / "there"
    arguments = "card", "--topic", "cards", "--state", state, "--weir", weir
    first = worker(*arguments)
    assert first.post(events[:300]) == wanted[:300]
    first.end(number)
    assert bool(os.listdir(state)) == (number == signal.SIGTERM)
    second, third = worker(*arguments), worker(*arguments)
    assert second.post(events[400:420]) == wanted[400:420]
    assert third.post(events[500:520]) == wanted[500:520]
    assert second.post(events[590:]) == wanted[590:]
    second.end()
    third.end()  # its snapshot is older than the one that is there
    assert worker(*arguments).post(events[599:]) == wanted[599:]


def test_a_broken_snapshot_is_not_used(native, weir, tmp_path):
    events = [event(n, payment(n, day=n / 40)) for n in range(50)]
    publish(weir, "cards", [{name: value for name, value in e.items() if "weir" not in name}
                            for e in events])
    wanted = native("card", "--topic", "cards").post(events)
    arguments = "card", "--topic", "cards", "--state", tmp_path / "state", "--weir", weir
    first = native(*arguments)
    first.post(events[:40])
    first.end()
    file = tmp_path / "state" / "cards-0"
    whole = bytearray(file.read_bytes())
    whole[-20] ^= 1
    file.write_bytes(whole)
    assert native(*arguments).post(events[40:]) == wanted[40:]


def test_connections_come_and_go_while_snapshots_are_written(native, tmp_path):
    """A child has the memory and the descriptors of its parent."""
    w = native("card", "--topic", "cards", "--state", tmp_path / "state", "--save", 0)
    for n in range(400):
        again = http.client.HTTPConnection("127.0.0.1", w.port)
        again.request("POST", "/", json.dumps([event(n, payment(n, day=n / 40, customer=n))]))
        assert again.getresponse().status == 200
        again.close()
        if n % 10 == 0:
            assert w.post([event(n, payment(n, day=n / 40, customer=n))])
    assert os.listdir(tmp_path / "state")
    w.end()


def test_requests_that_are_not_understood_disturb_nobody(native):
    w = native("card", "--topic", "cards")
    for request, status in ((b"\r\n\r\n", b"400"), (b"POST / HTTP/1.1\r\n\r\n", None),
                            (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413"),
                            (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
                            (b"GET " + b"x" * 40000, b"431")):
        with socket.create_connection(("127.0.0.1", w.port), 10) as connection:
            connection.sendall(request)
            assert (status or b"HTTP/1.1 422") in connection.recv(1000)
    with socket.create_connection(("127.0.0.1", w.port), 10) as slow:
        body = json.dumps([event(0, payment(1))]).encode()
        for byte in b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body:
            slow.sendall(bytes([byte]))
        assert b"card_count_1" in slow.recv(10000)
