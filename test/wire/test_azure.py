"""Custom handlers of Azure Functions: an app in Go that knows that host alone is called with
events, its output bindings are events in topics, its logs in the log, its failures dead letters."""

import json
import os
import re
import subprocess
import time
import urllib.error
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


def ask(weir, path, body=None, method="POST", **fields):
    """-> status, fields in lower case, body"""
    request = urllib.request.Request(
        weir.http + path, body, {name.replace("_", "-"): value for name, value in fields.items()},
        method=method)
    try:
        answer = urllib.request.urlopen(request, timeout=PATIENCE_S)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        fields = [(name.lower(), value) for name, value in answer.headers.items()]
        return answer.status, fields, answer.read()


def saving(weir, handler):
    trigger = {"name": "req", "type": "httpTrigger", "methods": ["put", "GET"],
               "route": "things/{kind:alpha}/{id:int?}"}
    killing.apply(weir, "Function", "save", command=[handler], protocol="azure",
                  azure={"function": "Save", "trigger": trigger,
                         "outputs": [{"name": "saved", "topic": "saved"}]})


def test_http_triggers(weir, handler):
    saving(weir, handler)
    status, fields, body = ask(weir, "/API/things/cups/7?a=1&b=x%20y&a=2", b"blue", "PUT",
                               content_type="text/plain", x_own="\u00e9", x_request_id="c-9")
    assert status == 404  # /api itself is in lower case
    status, fields, body = ask(weir, "/api/Things/cups/7?a=1&b=x%20y&a=2", b"blue", "PUT",
                               content_type="text/plain", x_own="own", x_request_id="c-9")
    assert status == 201, body
    headers = dict(fields)
    assert headers["x-own"] == "yes" and headers["location"] == "/things/7"
    assert [value for name, value in fields if name == "set-cookie"] == ["a=1", "b=2"]
    assert headers["content-type"] == "application/json; charset=utf-8"
    seen = json.loads(body)
    assert seen["Url"] == f"{weir.http}/api/Things/cups/7?a=1&b=x%20y&a=2"
    assert (seen["Method"], seen["Body"]) == ("PUT", "blue")
    assert seen["Query"] == {"a": "1,2", "b": "x y"}
    assert seen["Params"] == {"kind": "cups", "id": "7"}
    assert seen["Headers"]["Content-Type"] == ["text/plain"]
    assert seen["Headers"]["X-Own"] == ["own"] and seen["Headers"]["Host"]
    assert seen["Identities"] == [{"IsAuthenticated": False}]
    # It is answered when its outputs are stored, in a topic that it made.
    saved, = read(weir, "saved")
    assert saved["data"] == {"id": "7", "method": "Save"}
    assert (saved["source"], saved["correlationid"]) == ("/functions/save", "c-9")
    assert re.fullmatch(GUID + "/0", saved["id"])
    assert re.search(r'stream=log correlation=c-9 text="saved 7"', weir.log.read_text())


def test_http_answers_of_all_kinds(weir, handler):
    saving(weir, handler)
    answers = {word: ask(weir, "/functions/save", word.encode(), "PUT")
               for word in ("teapot", "return", "nothing", "fail", "nonsense", "status")}
    assert answers["teapot"][0] == 418 and answers["teapot"][2] == b"short and stout"
    assert dict(answers["teapot"][1])["content-type"] == "text/plain; charset=utf-8"
    assert (answers["return"][0], answers["return"][2]) == (200, b'{"n":1}')
    assert (answers["nothing"][0], answers["nothing"][2]) == (204, b"")
    for word, why in (("fail", b"status 500"), ("nonsense", b"JSON object"), ("status", b"status")):
        assert answers[word][0] == 502 and why in answers[word][2], answers[word]
    # What failed has put nothing out.
    assert len(read(weir, "saved")) == 1
    status, fields, _ = ask(weir, "/api/things/cups", b"", "POST")
    assert (status, dict(fields)["allow"]) == (405, "GET, PUT")
    assert ask(weir, "/api/things/7", method="GET")[0] == 404
    assert ask(weir, "/api/things/cups/x", method="GET")[0] == 404
    assert ask(weir, "/api/v1/topics/saved", b"{}", "POST")[0] == 405  # weir's own come first
    assert ask(weir, "/api/things/cups", method="HEAD")[0] == 405


def test_requests_are_forwarded(weir, handler):
    killing.apply(weir, "Function", "forward", command=[handler], protocol="azure",
                  azure={"function": "Forwarded", "forwardHttp": True,
                         "trigger": {"name": "req", "type": "httpTrigger"}})
    for path in ("/api/forwarded", "/api/Forwarded?n=1", "/functions/forward?n=1"):
        status, fields, body = ask(weir, path, b"raw", "PATCH", x_own="own", user_agent="me/1")
        if path == "/api/forwarded":  # its own path, whose case is the handler's business
            assert status == 404
            continue
        assert (status, dict(fields)["x-method"]) == (202, "PATCH")
        seen = json.loads(body)
        assert re.fullmatch(GUID, seen.pop("invocation"))
        assert seen == {"url": "/api/Forwarded?n=1", "host": weir.http.removeprefix("http://"),
                        "agent": "me/1 Azure-Functions-Host/4.0.0", "body": "raw", "own": "own"}


def test_events_are_not_for_http_triggers(weir, handler):
    saving(weir, handler)
    for topic in ("in", "dead"):
        killing.apply(weir, "Topic", topic, partitions=1)
    killing.apply(weir, "Subscription", "s", topic="in", deliver={"function": "save"},
                  start="earliest", deadLetter="dead")
    publish(weir, "in", {"n": 1})
    await_events(weir, "dead")
    (_, _, _, headers), = killing.read_all(weir, "dead")
    assert "HTTP trigger" in str(headers)
