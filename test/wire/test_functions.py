"""Functions as real runtimes serve them: what they answer is stored in one step with the settlement
of what it answers; batches that fail, poison, answers that are none, order."""

import json
import pathlib
import sys
import time
import urllib.request

import pytest

import broker
import killing
from clients import SETUP

pytestmark = [pytest.mark.managed, pytest.mark.weir_only]
WORKER = broker.REPOSITORY / "test" / "wire" / "reply_worker.py"
PATIENCE_S = 60

# Binary mode, by the CloudEvents SDK for Python and by Node's own http.
PYTHON = """
import http.server, os
from cloudevents.http import CloudEvent, from_http, to_binary
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args):
        pass
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        event = from_http(self.headers, body)
        assert self.headers["prefer"] == "reply", self.headers
        headers, data = to_binary(CloudEvent({"type": "doubled", "source": "/python",
            "datacontenttype": "application/json",
            "place": event["weirpartition"] + "/" + event["weiroffset"]},
            {"n": event.data["n"] * 2}))
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
NODE = """
require("http").createServer((request, response) => {
  let body = "";
  request.on("data", (part) => (body += part)).on("end", () => {
    response.setHeader("content-type", "application/cloudevents+json");
    response.end(JSON.stringify({specversion: "1.0", type: "doubled", source: "/node",
      place: request.headers["ce-weirpartition"] + "/" + request.headers["ce-weiroffset"],
      data: {n: JSON.parse(body).n * 2}}));
  });
}).listen(process.env.PORT, "127.0.0.1");
"""


class Calls:
    """A weir with a topic, a function and a subscription."""

    def __init__(self, weir, command, partitions=1, function=None, **subscription):
        self.weir = weir
        for topic in ("in", "out"):
            killing.apply(weir, "Topic", topic, partitions=partitions)
        killing.apply(weir, "Function", "f", command=[str(word) for word in command],
                      **(function or {}))
        spec = {"reply": {"topic": "out"}, "deadLetter": "dead", "start": "earliest",
                "retry": {"first": "5ms", "max": "5ms", "backoff": "fixed", "attempts": 3}}
        killing.apply(weir, "Subscription", "s", topic="in", deliver={"function": "f"},
                      **{**spec, **subscription})

    def publish(self, values, key=None):
        writer = killing.KafkaWriter(self.weir, "in")
        for value in values:
            writer.send(value, key=key)
        writer.flush()

    def values(self, topic):
        return [value.decode() for _, _, value, _ in killing.read_all(self.weir, topic)]

    def await_values(self, topic, n):
        deadline = time.monotonic() + PATIENCE_S
        while len(found := self.values(topic)) < n:
            assert time.monotonic() < deadline, f"{found}\n{self.weir.log_tail()}"
            time.sleep(0.02)
        return found


def batches(**more):
    return {"protocol": "cloudevents-batch", **more}


@pytest.mark.parametrize("command,source", [
    ((sys.executable, "-c", PYTHON), "/python"),
    ((str(SETUP / "node/bin/node"), "-e", NODE), "/node")])
def test_replies_of_real_runtimes(weir, command, source):
    calls = Calls(weir, command)
    request = urllib.request.Request(
        f"{weir.http}/topics/in?key=card-7", b'{"n": 21}',
        {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/shop", "ce-type": "paid",
         "ce-traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
         "content-type": "application/json"})
    urllib.request.urlopen(request, timeout=PATIENCE_S).close()
    calls.await_values("out", 1)
    with urllib.request.urlopen(f"{weir.http}/topics/out?partition=0&offset=0") as answer:
        event, = json.load(answer)
    assert event["data"] == {"n": 42}
    assert (event["source"], event["type"]) == (source, "doubled")
    assert event["place"] == "0/0"
    assert event["partitionkey"] == "card-7"
    assert event["traceparent"].split("-")[1] == "0af7651916cd43dd8448eb211c80319c"


def test_poison_in_a_batch_ends_alone(weir):
    calls = Calls(weir, (sys.executable, WORKER), function=batches())
    names = [f"good {i}" for i in range(20)] + ["poison"] + [f"fine {i}" for i in range(20)]
    calls.publish(names)
    answered = calls.await_values("out", 40)
    assert sorted(answered) == sorted(name for name in names if name != "poison")
    assert calls.await_values("dead", 1) == ["poison"]


def test_an_answer_that_is_no_event_is_not_lost(weir):
    calls = Calls(weir, (sys.executable, WORKER), function=batches())
    calls.publish(["one", "bad", "two", "silent"])
    assert calls.await_values("dead", 1) == ["bad"]
    assert sorted(calls.await_values("out", 2)) == ["one", "two"]
    (_, about), = killing.letters_of(weir, "dead")
    assert about["reason"] == "max-deliveries"
    assert "specversion" in about["description"], about


def test_replies_by_routes(weir):
    killing.apply(weir, "Topic", "high", partitions=1)
    calls = Calls(weir, (sys.executable, WORKER), function=batches(),
                  reply={"topic": "out",
                         "routes": [{"filter": "initial = 'h'", "topic": "high"}]})
    calls.publish(["h1", "low", "h2"])
    assert sorted(calls.await_values("high", 2)) == ["h1", "h2"]
    assert calls.await_values("out", 1) == ["low"]


def test_a_missing_topic_of_replies_waits(weir):
    calls = Calls(weir, (sys.executable, WORKER), function=batches(), reply={"topic": "later"},
                  retry={"first": "20ms", "max": "20ms", "backoff": "fixed", "attempts": 1000})
    calls.publish(["x"])
    deadline = time.monotonic() + PATIENCE_S
    while not pathlib.Path(weir.log).read_text().count("function.worker_ready"):
        assert time.monotonic() < deadline, weir.log_tail()
        time.sleep(0.02)
    killing.apply(weir, "Topic", "later", partitions=1)
    assert calls.await_values("later", 1) == ["x"]


def test_partitions_in_order_over_crashes(weir, tmp_path):
    log = tmp_path / "calls"
    calls = Calls(weir, (sys.executable, WORKER), partitions=3, ordering="partition",
                  function=batches(batch={"events": 8}, env={"CRASH": "12", "CALLS": str(log)},
                                   workers={"max": 2, "restart": {"first": "5ms", "max": "20ms"}}),
                  retry={"first": "5ms", "max": "5ms", "backoff": "fixed", "attempts": 100})
    for key in ("a", "b", "c", "d"):
        calls.publish([f"{key}:{i}" for i in range(100)], key=key)
    answers = calls.await_values("out", 400)
    for key in "abcd":
        assert [name for name in answers if name[0] == key] == [f"{key}:{i}" for i in range(100)]
    following = {}
    for line in log.read_text().splitlines():
        partition, offset = line.split(" ")[:2]
        assert int(offset) <= following.get(partition, 0), f"left out, before {line}"
        following[partition] = max(following.get(partition, 0), int(offset) + 1)
