"""Models: scores in process and of a server, the server's failures, and that each event is decided
once.

The server here speaks the Open Inference Protocol and does as it is told; what it scores is the sum
of the features, so that its scores differ from those of the model's file.
"""

import http.server
import json
import math
import random
import subprocess
import threading
import time
import urllib.error
import urllib.request

import numpy
import pytest
import xgboost
from confluent_kafka import Consumer, Producer, TopicPartition

import broker

pytestmark = [pytest.mark.managed, pytest.mark.weir_only]

PATIENCE_S = 90
PARTITIONS = 3
FEATURES = ["data.amount", "data.card.risk", "data.night", "data.items[0]"]
ROUTES = [{"filter": "data.score >= 0.8", "topic": "high"},
          {"filter": "data.score >= 0.2", "topic": "middle"}]


# ---- the model and its events ----


def payment(rng, number):
    """One with values of every kind: missing, null, of another type."""
    data = {"number": number, "amount": round(rng.uniform(0, 300), 2)}
    if rng.random() < 0.8:
        data["card"] = {"risk": rng.choice([None, "?", rng.random(), rng.random()])}
    if rng.random() < 0.8:
        data["night"] = rng.random() < 0.5
    if rng.random() < 0.8:
        data["items"] = [rng.randint(0, 5), "x"]
    if rng.random() < 0.1:
        data["score"] = "somebody else's"
    return data


def number_of(value):
    is_number = isinstance(value, (bool, int, float))
    return float(value) if is_number else math.nan


def row_of(data):
    return [number_of(data["amount"]), number_of((data.get("card") or {}).get("risk")),
            number_of(data.get("night")), number_of((data.get("items") or [None])[0])]


@pytest.fixture(scope="module")
def model():
    rng = random.Random(1)
    rows = numpy.array([row_of(payment(rng, 0)) for _ in range(2000)], dtype=numpy.float32)
    label = (rows[:, 0] + 50 * numpy.nan_to_num(rows[:, 3]) > 220).astype(int)
    return xgboost.train({"objective": "binary:logistic", "max_depth": 4, "nthread": 1},
                         xgboost.DMatrix(rows, label=label), 20)


def scores_of(model, events):
    rows = numpy.array([row_of(data) for data in events], dtype=numpy.float32)
    return model.predict(xgboost.DMatrix(rows))


# ---- weir ----


def post(weir, document):
    request = urllib.request.Request(weir.http + "/api/v1/apply", json.dumps(document).encode(),
                                     {"Content-Type": "application/json"}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def apply(weir, kind, name, **spec):
    status, text = post(weir, {"apiVersion": "weir/v1alpha1", "kind": kind,
                               "metadata": {"name": name}, "spec": spec})
    assert status == 200, text


def declare(weir, **model_spec):
    """payments -> the model fraud -> high | middle | low."""
    for topic in ["payments", "high", "middle", "low"]:
        apply(weir, "Topic", topic, partitions=PARTITIONS)
    apply(weir, "Model", "fraud", features=FEATURES, output={"type": "payment.scored"},
          **model_spec)
    apply(weir, "Subscription", "score", topic="payments", start="earliest",
          deliver={"model": "fraud"}, reply={"routes": ROUTES, "topic": "low"},
          deadLetter="payments.dead",
          retry={"attempts": 1000, "backoff": "fixed", "first": "50ms", "max": "50ms"})


def publish(weir, events, first=0):
    producer = Producer({"bootstrap.servers": weir.bootstrap, "acks": "all", "linger.ms": 2})
    failed = []
    for number, data in enumerate(events, first):
        value = data if isinstance(data, str) else json.dumps(data)
        headers = {"ce_specversion": "1.0", "ce_id": f"p{number}", "ce_source": "/shop",
                   "ce_type": "payment", "content-type": "application/json"}
        producer.produce("payments", value, key=f"card{number % 50}", headers=headers,
                         on_delivery=lambda error, _: error and failed.append(error))
        producer.poll(0)
    producer.flush(PATIENCE_S)
    assert not failed, failed


class Reader:
    """What came out, from the beginning: (topic, key, value, {header: text})."""

    def __init__(self, weir, topics=("high", "middle", "low")):
        self.consumer = Consumer({"bootstrap.servers": weir.bootstrap, "group.id": "reader",
                                  "enable.auto.commit": False})
        self.consumer.assign([TopicPartition(topic, partition, 0) for topic in topics
                              for partition in range(PARTITIONS)])
        self.found = []

    def poll(self):
        message = self.consumer.poll(0.1)
        if message is None or message.error():
            return
        headers = {name: value.decode() for name, value in message.headers() or []}
        self.found.append((message.topic(), message.key().decode(), message.value().decode(),
                           headers))

    def until(self, count):
        deadline = time.monotonic() + PATIENCE_S
        while len(self.found) < count:
            assert time.monotonic() < deadline, f"{len(self.found)} of {count}"
            self.poll()
        return self.found

    def close(self):
        self.consumer.close()


@pytest.fixture
def reader(weir):
    made = []

    def make(*args):
        made.append(Reader(weir, *args))
        return made[-1]

    yield make
    for one in made:
        one.close()


def metrics(weir, start):
    with urllib.request.urlopen(weir.http + "/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, _, value in
            (line.rpartition(" ") for line in lines if line.startswith(start))}


def rows_by(weir, scorer):
    return metrics(weir, "weir_model_rows_total")[
        f'weir_model_rows_total{{model="fraud",scored_by="{scorer}"}}']


def until(true, what):
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def topic_for(score):
    return "high" if score >= 0.8 else "middle" if score >= 0.2 else "low"


def single(number):
    return numpy.float32(number)


# ---- in process ----


def test_in_process(weir, model, reader, tmp_path):
    model.save_model(tmp_path / "model.json")
    rng = random.Random(2)
    events = [payment(rng, number) for number in range(1500)]
    declare(weir, xgboost={"file": str(tmp_path / "model.json")})
    publish(weir, events)
    wanted = scores_of(model, events)
    found = reader().until(len(events))
    assert len({headers["ce_id"] for *_, headers in found}) == len(events)
    for topic, key, value, headers in found:
        number = int(headers["ce_id"][1:])
        data = json.loads(value)
        assert key == f"card{number % 50}"
        assert single(data["score"]) == wanted[number]
        assert topic == topic_for(data["score"])
        assert {**data, "score": None} == {**events[number], "score": None}
        assert headers["ce_source"] == "/shop" and headers["ce_type"] == "payment.scored"
        assert headers["ce_scoredby"] == "xgboost"
    assert len({topic for topic, *_ in found}) == 3
    assert rows_by(weir, "xgboost") == len(events) and rows_by(weir, "server") == 0
    assert metrics(weir, "weir_model_ready") == {'weir_model_ready{model="fraud"}': 1}


def test_no_features(weir, model, reader, tmp_path):
    model.save_model(tmp_path / "model.json")
    declare(weir, xgboost={"file": str(tmp_path / "model.json")})
    bad = ["no JSON", "[1, 2]", "", "{\"amount\": 1"]
    publish(weir, [{"amount": 1}, *bad, {"amount": 300}])
    found = reader().until(2)
    assert sorted(headers["ce_id"] for *_, headers in found) == ["p0", "p5"]
    letters = Reader(weir, ["payments.dead"])
    for _, _, value, headers in letters.until(len(bad)):
        assert value in bad
        assert headers["weir-dead-letter-reason"] == "refused"
        assert "no JSON object" in headers["weir-dead-letter-description"]
    letters.close()
    assert metrics(weir, "weir_model_refused")['weir_model_refused_total{model="fraud"}'] == 4


def test_files_are_looked_at_first(weir, model, tmp_path):
    model.save_model(tmp_path / "model.json")
    (tmp_path / "none.json").write_text("{\"learner\": 7}")
    spec = {"features": FEATURES, "xgboost": {"file": str(tmp_path / "model.json")}}

    def refused(**change):
        status, text = post(weir, {"apiVersion": "weir/v1alpha1", "kind": "Model",
                                   "metadata": {"name": "fraud"}, "spec": {**spec, **change}})
        assert status == 400, text
        return text

    assert "there is no such file" in refused(xgboost={"file": str(tmp_path / "nowhere.json")})
    assert "none.json" in refused(xgboost={"file": str(tmp_path / "none.json")})
    assert "4 features, but features names 3" in refused(features=FEATURES[:3])
    apply(weir, "Model", "fraud", **spec)


def test_a_score_is_told(weir, model, tmp_path):
    """`weir trace`: the scoring is a step with its times, the scored event stands below it."""
    model.save_model(tmp_path / "model.json")
    declare(weir, xgboost={"file": str(tmp_path / "model.json")})
    publish(weir, [{"amount": 1}])
    shown, end = "", time.monotonic() + PATIENCE_S
    while "publish" not in shown and time.monotonic() < end:
        shown = subprocess.run([str(broker.weir_binary()), "trace", "p0", "--broker",
                                weir.bootstrap], capture_output=True, text=True,
                               timeout=PATIENCE_S, check=False).stdout
    rows = shown.splitlines()[2:]
    assert rows[0].startswith("payments/") and rows[0].endswith("  id p0")
    assert rows[1].startswith(" score score  scored  (xgboost)")
    assert rows[2].endswith("  id p0") and rows[3].startswith("   publish ")


def test_a_changed_model(weir, model, reader, tmp_path):
    """What comes after a change is scored by it; a model that comes late is waited for."""
    model.save_model(tmp_path / "one.json")
    other = xgboost.Booster(model_file=tmp_path / "one.json")[:5]
    other.save_model(tmp_path / "two.json")
    rng = random.Random(3)
    events = [payment(rng, number) for number in range(100)]
    out = reader()
    declare(weir, xgboost={"file": str(tmp_path / "one.json")})
    publish(weir, events)
    out.until(100)
    status, _ = 0, urllib.request.urlopen(urllib.request.Request(
        weir.http + "/api/v1/models/fraud", method="DELETE"), timeout=30).read()
    publish(weir, events, 100)
    assert status == 0 and rows_by(weir, "xgboost") == 100
    apply(weir, "Model", "fraud", features=FEATURES, xgboost={"file": str(tmp_path / "two.json")})
    found = out.until(200)
    for wanted, part in ((scores_of(model, events), found[:100]),
                         (scores_of(other, events), found[100:])):
        for *_, value, _ in part:
            data = json.loads(value)
            assert single(data["score"]) == wanted[data["number"]]


def test_kill(weir, model, reader, tmp_path):
    """Each event is decided once, however often weir is killed."""
    model.save_model(tmp_path / "model.json")
    rng = random.Random(4)
    declare(weir, xgboost={"file": str(tmp_path / "model.json")})
    events = [payment(rng, number) for number in range(3000)]
    for at in range(0, len(events), 600):
        publish(weir, events[at:at + 600], at)
        weir.restart(kill=True)
    out = reader()
    found = out.until(len(events))
    until(lambda: out.poll() or settled(weir), "all is settled")
    assert sorted(int(headers["ce_id"][1:]) for *_, headers in found) == list(range(len(events)))


def settled(weir):
    values = metrics(weir, "weir_subscription_")
    return all(values[f'weir_subscription_{state}{{topic="payments",subscription="score"}}'] == 0
               for state in ("ready", "acquired"))


# ---- with a server ----


class OipServer(http.server.ThreadingHTTPServer):
    """mode: ok; error (500), refuse (400), bad (no scores), silent (no answer until another mode),
    unready (as error, and not ready)."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port=0):
        self.mode, self.requests, self.probes = "ok", [], 0
        self.changed = threading.Condition()
        super().__init__(("127.0.0.1", port), OipHandler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def set(self, mode):
        with self.changed:
            self.mode = mode
            self.changed.notify_all()

    def end(self):
        self.set("ok")
        self.shutdown()
        self.server_close()


class OipHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_):
        pass

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.server.probes += self.path == "/v2/health/ready"
        ready = self.path == "/v2/health/ready" and self.server.mode == "ok"
        self.answer(200 if ready else 503, {"live": ready})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.changed:
            self.server.requests.append((self.path, request))
            self.server.changed.wait_for(lambda: self.server.mode != "silent", PATIENCE_S)
            mode = self.server.mode
        if mode in ("error", "unready"):
            self.answer(500, {"error": "out of order"})
        elif mode == "refuse":
            self.answer(400, {"error": "what is this?"})
        elif mode == "bad":
            self.answer(200, {"model_name": "m", "outputs": []})
        else:
            self.answer(200, self.scored(request))

    @staticmethod
    def scored(request):
        tensor = request["inputs"][0]
        rows, width = tensor["shape"]
        data = [0 if value is None else value for value in tensor["data"]]
        assert len(data) == rows * width and tensor["datatype"] == "FP32"
        sums = [sum(data[at:at + width]) for at in range(0, len(data), width)]
        scores = [value for total in sums for value in (0, total)]
        return {"model_name": "m", "id": request["id"], "outputs": [
            {"name": "labels", "shape": [rows], "datatype": "INT64", "data": [0] * rows},
            {"name": "proba", "shape": [rows, 2], "datatype": "FP64", "data": scores}]}


@pytest.fixture
def server():
    one = OipServer()
    yield one
    one.end()


def server_spec(server, **more):
    return {"url": server.url, "model": "m", "version": "7", "output": "proba", "batch": 50,
            "timeout": "2s", **more}


def test_server(weir, reader, server):
    declare(weir, server=server_spec(server))
    rng = random.Random(5)
    events = [payment(rng, number) for number in range(400)]
    publish(weir, events)
    for *_, value, headers in reader().until(len(events)):
        data = json.loads(value)
        row = [0 if math.isnan(x) else float(single(x)) for x in row_of(events[data["number"]])]
        assert data["score"] == pytest.approx(sum(row), rel=1e-6)
        assert headers["ce_scoredby"] == "server"
    assert rows_by(weir, "server") == len(events)
    for path, request in server.requests:
        assert path == "/v2/models/m/versions/7/infer"
        assert request["outputs"] == [{"name": "proba"}]
        assert request["inputs"][0]["name"] == "input-0"
        assert 1 <= request["inputs"][0]["shape"][0] <= 50
        assert request["inputs"][0]["shape"][1] == len(FEATURES)


def breaker_states(weir, server):
    return metrics(weir, f'weir_breaker_state{{endpoint="{server.url}/"}}')


def test_fallback_and_return(weir, model, reader, server, tmp_path):
    """The server fails: its breaker opens, and the file scores at once. It is ready again: what it
    gets grows until it has all."""
    model.save_model(tmp_path / "model.json")
    declare(weir, xgboost={"file": str(tmp_path / "model.json")}, server=server_spec(server))
    rng, out, sent = random.Random(6), reader(), []

    def more(n):
        events = [payment(rng, len(sent) + i) for i in range(n)]
        publish(weir, events, len(sent))
        sent.extend(events)
        out.until(len(sent))

    more(100)
    assert rows_by(weir, "server") == 100
    server.set("unready")
    until(lambda: more(20) or breaker_states(weir, server), "the breaker opens")
    calls = len(server.requests)
    more(200)
    assert len(server.requests) == calls  # nobody calls it while the breaker is open
    by_file = rows_by(weir, "xgboost")
    assert by_file >= 200 and rows_by(weir, "server") == 100
    probes = server.probes
    until(lambda: server.probes > probes, "it is asked whether it is ready")
    server.set("ok")
    until(lambda: more(20) or not breaker_states(weir, server), "the breaker closes")
    until(lambda: more(200) or returned(weir, out), "all is the server's again")
    assert len({headers["ce_id"] for *_, headers in out.found}) == len(sent) == len(out.found)
    wanted = scores_of(model, sent)
    for *_, value, headers in out.found:
        data = json.loads(value)
        if headers["ce_scoredby"] == "xgboost":
            assert single(data["score"]) == wanted[data["number"]]


def returned(weir, out):
    return rows_by(weir, "server") > 100 and all(
        headers["ce_scoredby"] == "server" for *_, headers in out.found[-200:])


@pytest.mark.parametrize("mode", ["error", "refuse", "bad", "silent"])
def test_fallback_score(weir, reader, server, mode):
    """Each way to fail is answered by the fallback's score, at once or after the time-out."""
    server.set(mode)
    declare(weir, server=server_spec(server, timeout="200ms"), fallback={"score": 0.25})
    publish(weir, [{"number": number, "amount": 1} for number in range(60)])
    for topic, _, value, headers in reader().until(60):
        assert json.loads(value)["score"] == 0.25
        assert headers["ce_scoredby"] == "fallback" and topic == "middle"
    server.set("ok")


def test_without_fallback(weir, reader, server):
    """Events wait for the server, however long that is."""
    server.set("unready")
    declare(weir, server=server_spec(server))
    publish(weir, [{"number": number, "amount": 1} for number in range(300)])
    until(lambda: breaker_states(weir, server), "the breaker opens")
    assert not rows_by(weir, "server")
    server.set("ok")
    found = reader().until(300)
    assert len({headers["ce_id"] for *_, headers in found}) == 300
    assert all(headers["ce_scoredby"] == "server" for *_, headers in found)
