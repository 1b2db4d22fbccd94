"""Custom handlers of Azure Functions: an app in Go that knows that host alone is called with
events, its output bindings are events in topics, its logs in the log, its failures dead letters."""

import json
import os
import re
import subprocess
import time
import urllib.request

import pytest

import broker
import killing

pytestmark = [pytest.mark.managed, pytest.mark.weir_only]
PATIENCE_S = 60
GUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@pytest.fixture(scope="module")
def handler(tmp_path_factory):
    """The program. It uses Go's own library alone, so nothing is fetched."""
    folder = tmp_path_factory.mktemp("handler")
    program = folder / "handler"
    env = {**os.environ, "GO111MODULE": "off",
           "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    source = broker.REPOSITORY / "test" / "wire" / "azure" / "handler.go"
    subprocess.run(["go", "build", "-o", str(program), str(source)], env=env, check=True)
    return str(program)


def publish(weir, topic, data, **attributes):
    event = {"id": "1", "source": "/shop", "type": "paid", **attributes}
    headers = {"ce-" + name: value for name, value in event.items()}
    request = urllib.request.Request(
        f"{weir.http}/topics/{topic}", json.dumps(data).encode(),
        {"ce-specversion": "1.0", "content-type": "application/json", **headers})
    urllib.request.urlopen(request, timeout=PATIENCE_S).close()


def read(weir, topic):
    with urllib.request.urlopen(f"{weir.http}/topics/{topic}?partition=0&offset=0",
                                timeout=PATIENCE_S) as answer:
        return json.load(answer)


def eventually(weir, find, what):
    deadline = time.monotonic() + PATIENCE_S
    while not (found := find()):
        assert time.monotonic() < deadline, f"no {what}:\n{weir.log_tail()}"
        time.sleep(0.01)
    return found


def await_events(weir, topic, n=1):
    return eventually(weir, lambda: len(got := read(weir, topic)) >= n and got, f"{n} in {topic}")


def orders(weir, handler):
    for topic in ("orders", "doubled", "seen", "back", "dead"):
        killing.apply(weir, "Topic", topic, partitions=1)
    outputs = [{"name": "doubled", "topic": "doubled"}, {"name": "seen", "topic": "seen"},
               {"name": "$return", "topic": "back"}]
    killing.apply(weir, "Function", "orders", command=[handler], protocol="azure",
                  azure={"function": "Orders", "outputs": outputs,
                         "trigger": {"name": "order", "type": "queueTrigger"}})
    killing.apply(weir, "Subscription", "s", topic="orders", deliver={"function": "orders"},
                  start="earliest", deadLetter="dead",
                  retry={"first": "5ms", "max": "5ms", "backoff": "fixed", "attempts": 2})


def test_outputs_are_events_and_logs_are_logged(weir, handler):
    orders(weir, handler)
    publish(weir, "orders", {"n": 21})
    doubled, = await_events(weir, "doubled")
    assert doubled["data"] == {"n": 42} and doubled["source"] == "/functions/orders"
    assert doubled["type"] == "weir.output"
    seen = await_events(weir, "seen")[0]["data"]
    assert re.fullmatch(GUID, seen.pop("invocation"))
    assert seen == {"method": "Orders", "attempt": 1, "id": "1", "type":
                    "application/json; charset=utf-8", "agent": "Azure-Functions-Host/4.0.0"}
    assert [event["data"] for event in await_events(weir, "back", 2)] == ["one", "two"]
    log = weir.log.read_text()
    assert re.search(r"INFO function\.output function=orders worker=1 stream=log .*"
                     r'text="order of 21"', log), log
    # It was not called before it had answered GET /.
    eventually(weir, lambda: 'text="asked for /"' in weir.log.read_text(), "question")


@pytest.mark.parametrize("n, why", [(-1, "HTTP 500: refused"),
                                    (0, "the handler's answer is none: it must be a JSON object")])
def test_failures_are_dead_letters(weir, handler, n, why):
    orders(weir, handler)
    publish(weir, "orders", {"n": n})
    publish(weir, "orders", {"n": 1})
    letter, = await_events(weir, "dead")
    assert letter["data"] == {"n": n}
    assert letter["deadletterreason"] == "max-deliveries" and letter["deliveryattempts"] == "2"
    (_, _, _, headers), = killing.read_all(weir, "dead")
    assert why in str(headers)
    assert [event["data"] for event in await_events(weir, "doubled")] == [{"n": 2}]


def test_event_grid_events_come_and_go_as_they_are(weir, handler):
    for topic in ("in", "out"):
        killing.apply(weir, "Topic", topic, partitions=1)
    killing.apply(weir, "Function", "events", command=[handler], protocol="azure",
                  azure={"outputs": [{"name": "out", "topic": "out"}]})
    killing.apply(weir, "Subscription", "s", topic="in", deliver={"function": "events"},
                  start="earliest")
    publish(weir, "in", {"n": 1}, subject="cup")
    event, = await_events(weir, "out")
    assert (event["type"], event["subject"], event["source"]) == ("seen.paid", "cup", "/shop")
    assert event["data"] == {"n": 1} and event["id"] != "1"


def test_topics_of_outputs_are_made(weir, handler):
    killing.apply(weir, "Topic", "in", partitions=1)
    killing.apply(weir, "Function", "events", command=[handler], protocol="azure",
                  azure={"outputs": [{"name": "out", "topic": "made"}]})
    killing.apply(weir, "Subscription", "s", topic="in", deliver={"function": "events"},
                  start="earliest",
                  retry={"first": "20ms", "max": "20ms", "backoff": "fixed", "attempts": 1000})
    publish(weir, "in", {"n": 1})
    (_, _, value, _), = eventually(weir, lambda: killing.read_all(weir, "made"), "output")
    assert value == b'{"n":1}'


def test_what_there_is_not_is_refused(weir):
    with pytest.raises(Exception) as failure:
        killing.apply(weir, "Function", "f", command=["f"], protocol="azure",
                      azure={"trigger": {"type": "httpTrigger"}})
    assert "400" in str(failure.value)
