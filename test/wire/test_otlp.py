"""Traces, as an OpenTelemetry collector gets them over OTLP/HTTP. The judge is the published
schema: opentelemetry-proto's classes, which refuse fields that they do not know."""

import base64
import http.server
import json
import os
import re
import subprocess
import threading
import time
import uuid

import pytest
import requests
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

import broker
import pages

PATIENCE_S = 30

pytestmark = [pytest.mark.weir_only, pytest.mark.managed]

Span = trace_pb2.Span


class Collector:
    """Answers with the next of `statuses` (then 200), and keeps what it was sent and took."""

    def __init__(self, statuses=(), address=("127.0.0.1", 0)):
        self.statuses, self.requests, self.taken = list(statuses), [], []
        self.changed, self.closed = threading.Condition(), False
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                if collector.closed:  # a connection that was kept
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers["content-length"]))
                status = collector.take(self.path, dict(self.headers.items()), body)
                answer = b'{"partialSuccess":{"rejectedSpans":"1","errorMessage":"one"}}'
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.server = Server(address, Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path, headers, body):
        request = trace_service_pb2.ExportTraceServiceRequest()
        with self.changed:
            status = self.statuses.pop(0) if self.statuses else 200
            try:
                json_format.Parse(hex_to_base64(json.loads(body)), request,
                                  ignore_unknown_fields=False)
            except Exception as wrong:  # the test looks at it
                self.requests.append((path, headers, wrong))
                return status if status != 200 else 400
            self.requests.append((path, headers, request))
            if status == 200:
                self.taken.append(request)
            self.changed.notify_all()
            return status

    def spans(self):
        with self.changed:
            return [(resource.resource, span) for request in self.taken
                    for resource in request.resource_spans for scope in resource.scope_spans
                    for span in scope.spans]

    def wait(self, wanted):
        """Until wanted(spans) says yes."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            wrong = [each[2] for each in self.requests if isinstance(each[2], Exception)]
            assert not wrong, wrong
            spans = [span for _, span in self.spans()]
            if wanted(spans):
                return spans
            time.sleep(0.05)
        raise AssertionError([span.name for span in spans])

    def close(self):
        self.closed = True
        self.server.shutdown()
        self.server.server_close()


def hex_to_base64(value):
    """OTLP's JSON has ids in hexadecimal; protobuf's own JSON, which the judge reads, base64."""
    def change(node):
        if isinstance(node, list):
            return [change(each) for each in node]
        if isinstance(node, dict):
            return {key: base64.b64encode(bytes.fromhex(each)).decode()
                    if key in ("traceId", "spanId", "parentSpanId") else change(each)
                    for key, each in node.items()}
        return node

    return json.dumps(change(value))


@pytest.fixture
def collector():
    made = Collector()
    yield made
    made.close()


def start(tmp_path, url, *more):
    weir = broker.Weir(tmp_path)
    weir.options += ["--otlp-endpoint", url, *more]
    return weir.start()


def apply(weir, documents):
    done = subprocess.run([str(broker.weir_binary()), "apply", "--file", "-", "--server",
                           weir.http], input=documents, text=True, capture_output=True,
                          timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr


def publish(weir, topic, event, **attributes):
    headers = {"ce-specversion": "1.0", "ce-source": "/t", "ce-type": "t", "ce-id": event,
               "content-type": "text/plain"}
    headers.update({f"ce-{key}": value for key, value in attributes.items()})
    requests.post(f"{weir.http}/topics/{topic}", data=b"x", headers=headers,
                  timeout=PATIENCE_S).raise_for_status()


def attributes_of(span):
    return {each.key: getattr(each.value, each.value.WhichOneof("value"))
            for each in span.attributes}


DECLARED = """
apiVersion: weir/v1alpha1
kind: Topic
metadata: {name: orders}
spec: {partitions: 1}
---
apiVersion: weir/v1alpha1
kind: Topic
metadata: {name: audit}
spec: {partitions: 1}
---
apiVersion: weir/v1alpha1
kind: Subscription
metadata: {name: copy}
spec: {topic: orders, deliver: {topic: audit}}
"""


def test_a_trace(tmp_path, collector):
    weir = start(tmp_path, collector.url, "--otlp-service", "shop",
                 "--otlp-headers", "api-key=s%20ecret, x=y")
    try:
        apply(weir, DECLARED)
        parent = f"00-{uuid.uuid4().hex}-00f067aa0ba902b7-01"
        before = time.time_ns()
        publish(weir, "orders", "e-1", traceparent=parent, correlationid="c-1")
        spans = collector.wait(lambda s: {"publish orders", "forward orders", "publish audit"}
                               <= {span.name for span in s})
        by_name = {span.name: span for span in spans}
        published, forward, copied = (by_name[name] for name in
                                      ("publish orders", "forward orders", "publish audit"))
        assert {span.trace_id.hex() for span in (published, forward, copied)} == {parent[3:35]}
        assert published.parent_span_id.hex() == "00f067aa0ba902b7"
        assert forward.parent_span_id.hex() == "00f067aa0ba902b7"
        assert copied.parent_span_id == forward.span_id, "what it comes of"
        assert len({span.span_id for span in spans}) == len(spans)
        assert published.kind == Span.SPAN_KIND_PRODUCER
        assert forward.kind == Span.SPAN_KIND_INTERNAL
        for span in (published, forward, copied):
            assert before - 2_000_000 < span.start_time_unix_nano <= span.end_time_unix_nano
            assert span.end_time_unix_nano < time.time_ns() + 2_000_000
        found = attributes_of(published)
        assert found["messaging.system"] == "weir"
        assert found["messaging.operation.type"] == "send"
        assert found["messaging.destination.name"] == "orders"
        assert found["messaging.destination.partition.id"] == "0"
        assert found["messaging.message.id"] == "e-1"
        assert found["messaging.message.conversation_id"] == "c-1"
        assert found["weir.offset"] == 0
        assert attributes_of(forward)["messaging.destination.subscription.name"] == "copy"
        resource = collector.spans()[0][0]
        assert attributes_of(resource) == {"service.name": "shop"}
        path, headers, _ = collector.requests[0]
        assert path == "/v1/traces" and headers["Content-Type"] == "application/json"
        assert headers["api-key"] == "s ecret" and headers["x"] == "y"
        shown = subprocess.run([str(broker.weir_binary()), "get", "subscriptions", "--output",
                                "yaml", "--server", weir.http], capture_output=True, text=True,
                               timeout=PATIENCE_S, check=True).stdout
        assert "weir.otlp" in shown and "s ecret" not in shown
    finally:
        weir.end()


def test_a_trace_that_weir_began(tmp_path, collector):
    """Without a traceparent of its own, the event's publish is the root."""
    weir = start(tmp_path, collector.url)
    try:
        apply(weir, DECLARED)
        publish(weir, "orders", "e-2")
        spans = collector.wait(lambda s: {"publish orders", "forward orders"}
                               <= {span.name for span in s})
        by_name = {span.name: span for span in spans}
        assert by_name["publish orders"].parent_span_id == b""
        assert by_name["forward orders"].parent_span_id == by_name["publish orders"].span_id
    finally:
        weir.end()


def test_attempts(tmp_path, collector):
    """Each call of an endpoint is a span; those that failed say so."""
    endpoint = Collector([503])  # it takes anything for a trace: the status is what counts
    weir = start(tmp_path, collector.url)
    try:
        apply(weir, f"""
apiVersion: weir/v1alpha1
kind: Topic
metadata: {{name: orders}}
spec: {{partitions: 1}}
---
apiVersion: weir/v1alpha1
kind: Subscription
metadata: {{name: pay}}
spec: {{topic: orders, deliver: {{url: "{endpoint.url}", format: cloudevents-structured}},
        retry: {{first: 10ms, attempts: 2}}}}
""")
        publish(weir, "orders", "e-3")
        spans = collector.wait(lambda s: sum(span.name == "push orders" for span in s) == 2)
        first, second = sorted((span for span in spans if span.name == "push orders"),
                               key=lambda span: attributes_of(span)["weir.attempt"])
        for span in (first, second):
            assert span.kind == Span.SPAN_KIND_CONSUMER
            assert attributes_of(span)["messaging.operation.type"] == "process"
            assert [event.name for event in span.events] == ["called", "answered"]
            assert span.status.code == trace_pb2.Status.STATUS_CODE_ERROR
            assert attributes_of(span)["error.type"] == span.status.message
        assert first.end_time_unix_nano <= second.start_time_unix_nano
        assert [attributes_of(span)["weir.settle"] for span in (first, second)] == \
            ["release", "reject"]
        assert "drop orders" in {span.name for span in
                                 collector.wait(lambda s: any(span.name == "drop orders"
                                                              for span in s))}
    finally:
        weir.end()
        endpoint.close()


def test_tried_again(tmp_path):
    """By OTLP's rules: 503 is, 400 is not; and a collector that was not there gets it all."""
    collector = Collector([503, 400])
    url, port = collector.url, collector.server.server_port
    weir = start(tmp_path, url)
    try:
        publish(weir, "orders", "e-4")
        end = time.monotonic() + PATIENCE_S
        while len(collector.requests) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        statuses = [each[2] for each in collector.requests]
        assert len(statuses) >= 2 and statuses[0] == statuses[1], "the same spans, again"
        publish(weir, "orders", "e-5")
        spans = collector.wait(lambda s: s)
        assert {attributes_of(span)["messaging.message.id"] for span in spans} == {"e-5"}
        collector.close()
        publish(weir, "orders", "e-6")
        end = time.monotonic() + PATIENCE_S
        while subprocess.run([str(broker.weir_binary()), "trace", "e-6", "--broker",
                              weir.bootstrap], capture_output=True, timeout=PATIENCE_S,
                             check=False).returncode and time.monotonic() < end:
            pass
        weir.kill()
        weir.start()
        collector = Collector(address=("127.0.0.1", port))
        collector.wait(lambda s: any(attributes_of(span)["messaging.message.id"] == "e-6"
                                     for span in s))
    finally:
        weir.end()
        collector.close()


def test_switched_off(tmp_path, collector):
    """Without an endpoint nothing waits for one."""
    weir = start(tmp_path, collector.url)
    try:
        publish(weir, "orders", "e-7")
        collector.wait(lambda s: s)
        weir.end()
        weir.options = weir.options[:-2]
        weir.start()
        end = time.monotonic() + PATIENCE_S
        shown = "weir.otlp"
        while "weir.otlp" in shown and time.monotonic() < end:
            shown = requests.get(f"{weir.http}/api/v1/subscriptions", timeout=PATIENCE_S).text
        assert "weir.otlp" not in shown
    finally:
        weir.end()


@pytest.mark.parametrize("options, wrong", [
    (["--otlp-endpoint", "collector:4318"], "http://collector:4318"),
    (["--otlp-endpoint", "http://c", "--otlp-headers", "nothing"], "key=value"),
])
def test_wrong_options(tmp_path, options, wrong):
    done = subprocess.run([str(broker.weir_binary()), "serve", "--data", str(tmp_path / "d"),
                           "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0", *options],
                          capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1 and wrong in done.stderr


def test_environment(tmp_path, collector, monkeypatch):
    monkeypatch.setitem(os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT", collector.url + "/")
    monkeypatch.setitem(os.environ, "OTEL_SERVICE_NAME", "till")
    weir = broker.Weir(tmp_path).start()
    try:
        publish(weir, "orders", "e-8")
        collector.wait(lambda s: s)
        assert attributes_of(collector.spans()[0][0])["service.name"] == "till"
        assert collector.requests[0][0] == "/v1/traces"
    finally:
        weir.end()


def test_only_of_hops(target, unique):
    done = subprocess.run([str(broker.weir_binary()), "apply", "--file", "-", "--server",
                           target.http], input=f"""
apiVersion: weir/v1alpha1
kind: Topic
metadata: {{name: {unique("otlp")}}}
spec: {{partitions: 1}}
---
apiVersion: weir/v1alpha1
kind: Subscription
metadata: {{name: wrong}}
spec: {{topic: {unique("otlp")}, deliver: {{url: "http://127.0.0.1:1/", format: otlp}}}}
""", capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode != 0 and "must not be otlp: only weir.hops" in done.stderr


def test_the_page(tmp_path, collector):
    """docs/tracing.md: its session, with a collector behind it."""
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "weir").symlink_to(broker.weir_binary())
    weir = start(tmp_path / "weir", collector.url)
    try:
        ran = 0
        for language, text, shown in pages.examples(broker.REPOSITORY / "docs" / "tracing.md"):
            printed = pages.run(weir, tmp_path, language, text)
            if shown is not None:
                assert re.search(pages.pattern(shown), printed, re.S), (text, printed)
            ran += 1
        assert ran == 3
        spans = collector.wait(lambda s: {"publish orders", "forward orders", "publish audit"}
                               <= {span.name for span in s})
        assert {span.trace_id.hex() for span in spans} == {"0af7651916cd43dd8448eb211c80319c"}
    finally:
        weir.end()
