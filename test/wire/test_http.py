"""HTTP as curl, Python, Node.js, Go and CloudEvents' SDKs speak it, and clients that misbehave."""

import concurrent.futures
import http.client
import json
import os
import pathlib
import random
import re
import socket
import subprocess
import threading
import time

import cloudevents.conversion
import cloudevents.http
import pytest
import requests
from confluent_kafka import Consumer, Producer

import broker

HERE = pathlib.Path(__file__).parent
SETUP = pathlib.Path(os.environ.get("WIRE_SETUP") or broker.REPOSITORY / "build" / "wire")
PATIENCE_S = 20
MALFORMED = int(os.environ.get("WIRE_MALFORMED", "100000"))

pytestmark = [pytest.mark.weir_only, pytest.mark.managed]


@pytest.fixture
def base(target):
    return target.http


@pytest.fixture
def name(unique):
    return unique("http")


def curl(*arguments, data=None):
    done = subprocess.run(["curl", "-sS", "--max-time", str(PATIENCE_S), *arguments], input=data,
                          capture_output=True, check=True)
    return done.stdout


def client(*command):
    """One of the client programs; its lines of JSON."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def node(*arguments):
    return client(SETUP / "node" / "bin" / "node", SETUP / "node" / "http_client.mjs", *arguments)


def go(*arguments):
    return client(SETUP / "ce-client", *arguments)


@pytest.fixture(scope="session", autouse=True)
def node_program():
    """The program finds its packages beside itself."""
    link = SETUP / "node" / "http_client.mjs"
    link.unlink(missing_ok=True)
    link.write_bytes((HERE / "node" / "http_client.mjs").read_bytes())


def events(base, topic, **parameters):
    answer = requests.get(f"{base}/topics/{topic}", params=parameters, timeout=PATIENCE_S)
    assert answer.status_code == 200, answer.text
    return answer.json()


# ---- curl ----------------------------------------------------------------------------------------

def test_curl_publishes_and_reads(base, name):
    url = f"{base}/topics/{name}"
    head = curl("-i", "-d", '{"amount": 5}', url).decode()
    assert head.startswith("HTTP/1.1 202 ")
    place = re.search(r"Location: (\S+)", head).group(1)
    assert curl(base + place) == b'{"amount": 5}'
    batch = json.loads(curl(url))
    assert batch[0]["data"] == {"amount": 5}
    assert batch[0]["datacontenttype"] == "application/json"
    assert b"weir-offset: 0" in curl("-I", base + place).lower()


def test_curl_waits_for_100_continue_and_sends_chunks(base, name):
    url = f"{base}/topics/{name}"
    body = os.urandom(900_000)
    said = subprocess.run(["curl", "-sSv", "--data-binary", "@-", "-H", "Expect: 100-continue",
                           "-H", "Content-Type: application/octet-stream", url], input=body,
                          capture_output=True, check=True)
    assert b"100 Continue" in said.stderr
    assert b" 202 " in said.stderr
    curl("-T", "-", "-X", "POST", "-H", "Transfer-Encoding: chunked", url, data=body)
    for offset in (0, 1):
        assert curl(f"{url}/partitions/0/offsets/{offset}") == body


def test_curl_is_told_early_of_a_body_that_is_too_large(base, name):
    body = os.urandom(3_000_000)
    for extra in ([], ["-H", "Expect:"], ["-H", "Transfer-Encoding: chunked"]):
        done = subprocess.run(["curl", "-sS", "-o", "-", "-w", "%{http_code}", *extra,
                               "--data-binary", "@-", f"{base}/topics/{name}"], input=body,
                              capture_output=True, timeout=PATIENCE_S, check=False)
        assert done.stdout.endswith(b"413"), (extra, done)


def test_curl_sends_and_takes_gzip(base, name, tmp_path):
    url = f"{base}/topics/{name}"
    text = b"weir " * 20000
    packed = subprocess.run(["gzip", "-c"], input=text, capture_output=True, check=True).stdout
    curl("--data-binary", "@-", "-H", "Content-Encoding: gzip", "-H", "Content-Type: text/plain",
         url, data=packed)
    raw = curl("-i", "-H", "Accept-Encoding: gzip", f"{url}/partitions/0/offsets/0")
    assert b"Content-Encoding: gzip" in raw and len(raw) < 2000
    assert curl("--compressed", f"{url}/partitions/0/offsets/0") == text


def test_curl_tails(base, name):
    url = f"{base}/topics/{name}"
    curl("-d", "first", url)
    tail = subprocess.Popen(["curl", "-sSN", "-H", "Accept: text/event-stream",
                             f"{url}?offset=earliest"], stdout=subprocess.PIPE)
    try:
        seen = [data_of(tail.stdout)]
        curl("-d", "second", url)
        seen.append(data_of(tail.stdout))
    finally:
        tail.kill()
        tail.wait()
    assert [event["data"] for event in seen] == ["first", "second"]


def data_of(stream):
    """The next event of an event stream."""
    for line in stream:
        if line.startswith(b"data: "):
            return json.loads(line[6:])
    raise AssertionError("the stream has ended")


# ---- Python --------------------------------------------------------------------------------------

def test_requests_keeps_its_connection(base, name):
    url = f"{base}/topics/{name}"
    before = connections(base)
    with requests.Session() as session:
        for i in range(200):
            answer = session.post(url, json={"n": i}, timeout=PATIENCE_S)
            assert answer.status_code == 202
            assert answer.headers["Weir-Offset"] == str(i)
        assert session.get(url, params={"max": 1000}, timeout=PATIENCE_S).json()[199]["data"] == {
            "n": 199}
        assert connections(base) <= before + 2  # this one, and the one that asks


def metric(base, name):
    text = requests.get(f"{base}/metrics", timeout=PATIENCE_S).text
    return int(float(re.search(rf"^{name} (\S+)", text, re.M).group(1)))


def connections(base):
    return metric(base, "weir_http_connections")


def test_http_client_sends_chunks(target, name):
    conn = http.client.HTTPConnection("127.0.0.1", target.http_port, timeout=PATIENCE_S)
    conn.request("POST", f"/topics/{name}", iter([b"ab", b"c" * 70000, b"d"]),
                 encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    answer = conn.getresponse()
    assert (answer.status, answer.read()) == (202, b"")
    conn.request("GET", f"/topics/{name}/partitions/0/offsets/0")
    assert conn.getresponse().read() == b"ab" + b"c" * 70000 + b"d"


def test_python_sdk(base, name):
    url = f"{base}/topics/{name}"
    attributes = {"type": "py.sent", "source": "/py/sdk", "id": "py-1", "subject": "größe 100%"}
    sent = cloudevents.http.CloudEvent(attributes, {"n": 1})
    for convert in (cloudevents.conversion.to_binary, cloudevents.conversion.to_structured):
        headers, body = convert(sent)
        assert requests.post(url, headers=headers, data=body, timeout=PATIENCE_S).status_code == 202
    for offset in (0, 1):
        for accept in ("*/*", "application/cloudevents+json"):
            answer = requests.get(f"{url}/partitions/0/offsets/{offset}", timeout=PATIENCE_S,
                                  headers={"Accept": accept})
            got = cloudevents.http.from_http(answer.headers, answer.content)
            assert (got["id"], got["type"], got.data) == ("py-1", "py.sent", {"n": 1})
            if accept != "*/*":  # the SDK does not decode what is encoded in a field
                assert got["subject"] == "größe 100%"


# ---- Node.js and Go ------------------------------------------------------------------------------

@pytest.mark.parametrize("mode", ["binary", "structured"])
@pytest.mark.parametrize("run, kind", [(node, "js"), (go, "go")], ids=["node", "go"])
def test_sdks(base, name, run, kind, mode):
    url = f"{base}/topics/{name}"
    sent = run("send", url, mode, 5)
    assert [line["status"] for line in sent] == [202 if kind == "js" else sent[0]["status"]] * 5
    if kind == "go":
        assert all(line["ack"] for line in sent)
    got = events(base, name)
    assert [event["id"] for event in got] == [f"{kind}-{i}" for i in range(5)]
    assert [event["data"] for event in got] == [{"n": i} for i in range(5)]
    assert got[0]["subject"] == ("a b" if kind == "js" else "größe 100%")
    one = run("receive", f"{url}/partitions/0/offsets/3")[0]
    assert (one["id"], one["source"], one["data"]) == (f"{kind}-3", f"/{kind}/sdk", {"n": 3})


def test_go_sdk_batches(base, name):
    done = go("batch", f"{base}/topics/{name}", 20)[0]
    assert done["status"] == 202
    assert len(json.loads(done["body"])["events"]) == 20
    assert [event["id"] for event in events(base, name)] == [f"go-{i}" for i in range(20)]


def test_plain_clients(base, name):
    url = f"{base}/topics/{name}"
    assert node("post", url, "from node") == [{"status": 202, "offset": "0"}]
    assert go("post", url, "from go") == [{"status": 202}]
    assert [event["data"] for event in events(base, name)] == ["from node", "from go"]


def test_node_tails(base, name):
    url = f"{base}/topics/{name}"
    requests.post(url, data="one", timeout=PATIENCE_S)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        tail = pool.submit(node, "tail", f"{url}?offset=earliest", 3)
        requests.post(url, data="two", timeout=PATIENCE_S)
        requests.post(url, data="three", timeout=PATIENCE_S)
        lines = tail.result(PATIENCE_S)
    assert [line.get("data", line.get("status")) for line in lines] == [200, "one", "two", "three"]


# ---- other protocols -----------------------------------------------------------------------------

def test_kafka_clients_read_it_as_the_binding_says(target, base, name):
    requests.post(f"{base}/topics/{name}", data=b"\x00\xff", timeout=PATIENCE_S, headers={
        "ce-specversion": "1.0", "ce-id": "7", "ce-type": "t", "ce-source": "/s",
        "ce-partitionkey": "customer%201", "Content-Type": "application/octet-stream"})
    consumer = Consumer({"bootstrap.servers": target.bootstrap, "group.id": name,
                         "auto.offset.reset": "earliest"})
    consumer.subscribe([name])
    message = consumer.poll(PATIENCE_S)
    consumer.close()
    headers = dict(message.headers())
    assert message.value() == b"\x00\xff"
    assert message.key() == b"customer 1"
    assert headers["ce_specversion"] == b"1.0" and headers["ce_id"] == b"7"
    assert headers["ce_type"] == b"t" and headers["ce_source"] == b"/s"
    assert headers["content-type"] == b"application/octet-stream"


def test_what_kafka_clients_wrote_is_an_event(target, base, name):
    producer = Producer({"bootstrap.servers": target.bootstrap, "compression.type": "zstd"})
    producer.produce(name, b'{"n":1}', headers={"ce_specversion": "1.0", "ce_id": "1",
                                                "ce_type": "t", "ce_source": "/k",
                                                "content-type": "application/json"})
    producer.produce(name, b"plain")
    assert producer.flush(PATIENCE_S) == 0
    event, plain = events(base, name)
    assert (event["id"], event["source"], event["data"]) == ("1", "/k", {"n": 1})
    assert plain["type"] == "weir.record" and plain["data"] == "plain"


# ---- reading on ----------------------------------------------------------------------------------

def test_links_lead_through_everything(base, target, name, raw):
    raw.create_topic(name, partitions=5)
    with requests.Session() as session:
        for i in range(60):
            session.post(f"{base}/topics/{name}", params={"key": i}, data=str(i),
                         timeout=PATIENCE_S)
        url, seen = f"{base}/topics/{name}?max=7", []
        while len(seen) < 60:
            answer = session.get(url, timeout=PATIENCE_S)
            seen += [event["data"] for event in answer.json()]
            url = base + answer.links["next"]["url"]
        assert sorted(map(int, seen)) == list(range(60))
        assert session.get(url, timeout=PATIENCE_S).json() == []


def test_a_long_poll_is_woken(base, name):
    requests.post(f"{base}/topics/{name}", data="0", timeout=PATIENCE_S)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(events, base, name, offset="latest", wait="15s")
        until = time.monotonic() + PATIENCE_S
        while not waiting.done() and time.monotonic() < until:
            requests.post(f"{base}/topics/{name}", data="now", timeout=PATIENCE_S)
        assert waiting.result()[0]["data"] == "now"


# ---- durability ----------------------------------------------------------------------------------

def test_what_was_acknowledged_is_there_after_kill(weir, unique):
    topic, acknowledged, stop = unique("kill"), [], threading.Event()

    def publish(worker):
        with requests.Session() as session:
            n = 0
            while not stop.is_set():
                try:
                    answer = session.post(f"{weir.http}/topics/{topic}", data=f"{worker}-{n}",
                                          timeout=PATIENCE_S)
                except requests.RequestException:
                    return
                if answer.status_code == 202:
                    acknowledged.append((int(answer.headers["Weir-Offset"]), f"{worker}-{n}"))
                n += 1

    with concurrent.futures.ThreadPoolExecutor() as pool:
        workers = [pool.submit(publish, worker) for worker in range(4)]
        until = time.monotonic() + PATIENCE_S
        while len(acknowledged) < 500 and time.monotonic() < until:
            time.sleep(0.01)
        weir.kill()
        stop.set()
        for worker in workers:
            worker.result()
    weir.start()
    assert len(acknowledged) >= 500
    with requests.Session() as session:
        for offset, value in acknowledged:
            answer = session.get(f"{weir.http}/topics/{topic}/partitions/0/offsets/{offset}",
                                 timeout=PATIENCE_S)
            assert answer.text == value


def test_stopping_answers_who_waits(weir, unique):
    topic = unique("stop")
    requests.post(f"{weir.http}/topics/{topic}", data="x", timeout=PATIENCE_S)
    tail = requests.get(f"{weir.http}/topics/{topic}", stream=True, timeout=PATIENCE_S,
                        headers={"Accept": "text/event-stream"})
    with concurrent.futures.ThreadPoolExecutor() as pool:
        poll = pool.submit(events, weir.http, topic, offset="latest", wait="60s")
        until = time.monotonic() + PATIENCE_S
        while metric(weir.http, "weir_http_requests_running") < 3 and time.monotonic() < until:
            time.sleep(0.01)
        weir.stop()
        assert poll.result() == []
    assert b"retry: " in tail.raw.read()  # a whole chunked body: it ended in order


# ---- clients that misbehave ----------------------------------------------------------------------

def raw_answer(port, data, close=True):
    """What comes back for these bytes, until the server closes or falls silent."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as sock:
        sock.sendall(data)
        if close:
            sock.shutdown(socket.SHUT_WR)
        answer = b""
        while part := sock.recv(65536):
            answer += part
    return answer


HOST = b"Host: localhost\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"


@pytest.mark.parametrize("request_bytes", [
    b"POST /topics/x HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"
    b"\r\n0\r\n\r\n" + SMUGGLED,
    b"POST /topics/x HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n"
    + SMUGGLED,
    b"POST /topics/x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n" + SMUGGLED,
    b"POST /topics/x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding : chunked\r\n\r\n" + SMUGGLED,
    b"POST /topics/x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\n\n" + SMUGGLED,
    b"POST /topics/x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0 x\r\n\r\n"
    + SMUGGLED,
    b"GET / HTTP/1.1\r\n" + HOST + b"A: b\n\n" + SMUGGLED,
    b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n c: d\r\n\r\n" + SMUGGLED,
    b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 44\r\n\r\n" + b"x" * 44 + b"\n" + SMUGGLED,
], ids=range(9))
def test_nothing_is_smuggled(target, request_bytes):
    """One answer, an error, and the connection ends: the second request is nobody's."""
    answer = raw_answer(target.http_port, request_bytes)
    assert re.findall(rb"HTTP/1\.1 (\d)", answer)[0] in (b"4", b"5")
    assert b"/smuggled" not in answer
    assert len(re.findall(rb"^HTTP/1\.1 ", answer, re.M)) <= 2


def broken(rng):
    """One request that is wrong in some way, and whether the connection may live on."""
    valid = bytearray(b"POST /topics/flood HTTP/1.1\r\n" + HOST +
                      b"ce-specversion: 1.0\r\nce-id: 1\r\nce-type: t\r\nContent-Length: 5\r\n\r\n"
                      b"hello")
    kind = rng.randrange(8)
    if kind == 0:
        return rng.randbytes(rng.randrange(1, 300)) + b"\r\n\r\n", False
    if kind == 1:
        for _ in range(rng.randrange(1, 6)):
            valid[rng.randrange(len(valid))] = rng.randrange(256)
        return bytes(valid), False
    if kind == 2:
        return bytes(valid[:rng.randrange(1, len(valid))]), False
    if kind == 3:
        target = b"/" + b"a" * rng.randrange(9000, 40000)
        return b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n", False
    if kind == 4:
        return b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * rng.randrange(300, 600) + b"\r\n", False
    if kind == 5:
        return (b"POST /topics/flood HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" +
                rng.choice([b"zz\r\n", b"5\r\nhello", b"-1\r\n", b"ffffffff\r\nx", b"5\nhello\n"])
                ), False
    return bytes(valid), True  # no ce-source: refused, and the connection is kept


def flood(port, count, seed):
    rng = random.Random(seed)
    done = 0
    while done < count:
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as sock:
            try:
                for _ in range(50):
                    data, kept = broken(rng)
                    sock.sendall(data)
                    done += 1
                    if not kept:
                        sock.shutdown(socket.SHUT_WR)
                        break
                while sock.recv(65536) and not kept:
                    pass
            except OSError:
                pass  # closed under our eyes: it is what we asked for
    return done


def stored(weir, topic):
    url, n = f"{weir.http}/topics/{topic}?max=10000", 0
    with requests.Session() as session:
        while True:
            answer = session.get(url, timeout=PATIENCE_S)
            if not answer.json():
                return n
            n += len(answer.json())
            url = weir.http + answer.links["next"]["url"]


def test_malformed_requests_disturb_nobody(weir, unique):
    topic = unique("calm")
    url = f"{weir.http}/topics/{topic}"
    requests.post(url, data="0", timeout=PATIENCE_S)
    flood(weir.http_port, 3000, 0)  # what is kept for reuse is there now
    before, memory = weir.open_sockets(), weir.rss_bytes()
    workers = 4
    with concurrent.futures.ProcessPoolExecutor(workers) as pool:
        floods = [pool.submit(flood, weir.http_port, MALFORMED // workers, seed)
                  for seed in range(1, workers + 1)]
        calm = 1
        with requests.Session() as session:
            while not all(one.done() for one in floods):
                answer = session.post(url, data=str(calm), timeout=PATIENCE_S)
                assert answer.headers["Weir-Offset"] == str(calm)
                calm += 1
        del answer  # it holds on to its connection
        assert sum(one.result() for one in floods) >= MALFORMED
    assert stored(weir, topic) == calm
    until = time.monotonic() + PATIENCE_S
    while weir.open_sockets() > before and time.monotonic() < until:
        time.sleep(0.05)
    assert weir.open_sockets() <= before
    assert weir.rss_bytes() < memory + (24 << 20)


def test_pages_of_others_are_kept_out(target):
    def status(*fields):
        head = b"GET /topics/x HTTP/1.1\r\n" + b"".join(field + b"\r\n" for field in fields)
        return int(raw_answer(target.http_port, head + b"\r\n").split()[1])

    assert status(b"Host: evil.example") == 403
    assert status(b"Host: localhost", b"Origin: https://evil.example") == 403
    assert status(b"Host: localhost", b"Sec-Fetch-Site: cross-site") == 403
    assert status(b"Host: localhost") == 404


def test_slow_clients_hold_nobody_up(target, base, name):
    idle = [socket.create_connection(("127.0.0.1", target.http_port)) for _ in range(300)]
    for i, sock in enumerate(idle):
        sock.sendall(b"POST /topics/slow HTTP/1.1\r\n" + HOST[:i % 17] + (
            b"" if i % 3 else HOST[i % 17:] + b"Content-Length: 1000\r\n\r\nabc"))
    for i in range(50):
        assert requests.post(f"{base}/topics/{name}", data="x", timeout=PATIENCE_S
                             ).headers["Weir-Offset"] == str(i)
    for sock in idle:
        sock.close()
