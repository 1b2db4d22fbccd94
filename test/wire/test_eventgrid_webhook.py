"""Webhooks of Event Grid: both handshakes, the link for owners, and what a delivery looks like."""

import http.server
import json
import queue
import threading

import pytest
import requests

from eventgrid import KEY, SCOPE, endpoint, event_grid

PATIENCE_S = 60


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what comes in a queue; answers by `answer`, a function of (method, headers, body)."""

    daemon_threads = True

    def __init__(self, answer):
        self.answer, self.seen = answer, queue.Queue()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/hook?code=secret"

    def next(self):
        return self.seen.get(timeout=PATIENCE_S)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.put((self.command, self.path, headers, body))
        status, fields, answer = self.server.answer(self.command, headers, body)
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_OPTIONS = handle_one

    def log_message(self, *_):
        pass


@pytest.fixture
def receive():
    opened = []

    def open_one(answer):
        opened.append(Receiver(answer))
        return opened[-1]
    yield open_one
    for one in opened:
        one.shutdown()
        one.server_close()


def validates(method, headers, body):
    if headers.get("aeg-event-type") == "SubscriptionValidation":
        code = json.loads(body)[0]["data"]["validationCode"]
        return 200, {}, json.dumps({"validationResponse": code}).encode()
    return 200, {}, b""


def subscribe(target, topic, url, name="hook", **properties):
    answer = requests.put(
        f"{target.http}{SCOPE}/{topic}/eventSubscriptions/{name}",
        params={"api-version": "2022-06-15"}, timeout=30,
        json={"properties": {"destination": {"endpointType": "WebHook", "properties": {
            "endpointUrl": url, **properties.pop("webhook", {})}}, **properties}})
    assert answer.status_code == 201, answer.text
    return answer.json()["properties"]


def state(target, topic, name="hook"):
    answer = requests.get(f"{target.http}{SCOPE}/{topic}/eventSubscriptions/{name}", timeout=30)
    return answer.json()["properties"]["provisioningState"]


def test_event_grid_handshake_and_delivery(js, target, topic, receive):
    hook = receive(validates)
    made = subscribe(target, topic, hook.url, webhook={"deliveryAttributeMappings": [
        {"name": "x-static", "type": "Static", "properties": {"value": "v", "isSecret": False}},
        {"name": "x-dynamic", "type": "Dynamic", "properties": {"sourceField": "data.number"}}]})
    assert made["provisioningState"] in ("Creating", "Succeeded")
    assert "secret" not in json.dumps(made)
    method, path, headers, body = hook.next()
    assert (method, path) == ("POST", "/hook?code=secret")
    assert headers["aeg-event-type"] == "SubscriptionValidation"
    event, = json.loads(body)
    assert event["eventType"] == "Microsoft.EventGrid.SubscriptionValidationEvent"
    js.call("publish", endpoint=endpoint(target, topic), key=KEY, schema="EventGrid",
            events=[event_grid(5)])
    _, _, headers, body = hook.next()
    assert headers["aeg-event-type"] == "Notification"
    assert headers["aeg-subscription-name"] == "HOOK"
    assert headers["aeg-delivery-count"] == "0"
    assert headers["x-static"] == "v" and headers["x-dynamic"] == "5"
    event, = json.loads(body)
    assert event["id"] == "id-5" and event["eventType"] == "Car.Sold"
    assert event["data"] == {"number": 5} and event["metadataVersion"] == "1"
    assert state(target, topic) == "Succeeded"


def test_owners_confirm_by_the_link(js, target, topic, receive):
    hook = receive(lambda *_: (200, {}, b"{}"))
    subscribe(target, topic, hook.url)
    event, = json.loads(hook.next()[3])
    js.call("publish", endpoint=endpoint(target, topic), key=KEY, schema="EventGrid",
            events=[event_grid(1)])
    link = event["data"]["validationUrl"]
    wrong = link.replace(event["data"]["validationCode"], "0" * 32)
    assert requests.get(wrong, timeout=30).status_code == 404
    assert state(target, topic) == "Creating"
    assert requests.get(link, timeout=30).status_code == 200
    assert state(target, topic) == "Succeeded"
    assert json.loads(hook.next()[3])[0]["id"] == "id-1"
    assert requests.get(link, timeout=30).status_code == 404


def test_cloud_events_handshake_and_batches(js, target, topic, receive):
    def consents(method, headers, body):
        if method == "OPTIONS":
            return 200, {"WebHook-Allowed-Origin": headers["webhook-request-origin"],
                         "WebHook-Allowed-Rate": "100000"}, b""
        return 204, {}, b""
    hook = receive(consents)
    subscribe(target, topic, hook.url, webhook={"maxEventsPerBatch": 10},
              eventDeliverySchema="CloudEventSchemaV1_0",
              filter={"includedEventTypes": ["Car.Sold"]})
    assert hook.next()[0] == "OPTIONS"
    js.call("publish", endpoint=endpoint(target, topic), key=KEY, schema="EventGrid",
            events=[event_grid(1), event_grid(2, eventType="Car.Bought"), event_grid(3)])
    got = []
    while len(got) < 2:
        _, _, headers, body = hook.next()
        assert headers["content-type"].startswith("application/cloudevents-batch+json")
        got += json.loads(body)
    assert [event["id"] for event in got] == ["id-1", "id-3"]
    assert {event["specversion"] for event in got} == {"1.0"}


def test_an_endpoint_that_does_not_consent_gets_nothing(js, target, topic, receive):
    hook = receive(lambda *_: (200, {}, b""))
    subscribe(target, topic, hook.url, eventDeliverySchema="CloudEventSchemaV1_0")
    js.call("publish", endpoint=endpoint(target, topic), key=KEY, schema="EventGrid",
            events=[event_grid(1)])
    assert hook.next()[0] == "OPTIONS"
    assert state(target, topic) == "Creating"
