"""Publishing to Event Grid by Azure's own SDKs."""

import base64
import datetime
import json

import pytest
import requests
from azure.core.credentials import AzureKeyCredential
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent, EventGridPublisherClient

from eventgrid import KEY, WHEN, endpoint, event_grid, stored
from sdks import SdkError


def test_javascript_publishes_event_grid_schema(js, target, topic):
    js.call("publish", endpoint=endpoint(target, topic), key=KEY, schema="EventGrid",
            events=[event_grid(i) for i in range(3)])
    for i, record in enumerate(stored(target, topic, 3)):
        assert json.loads(record["value"]) == {"number": i}
        headers = record["headers"]
        assert headers["ce_id"] == f"id-{i}"
        assert headers["ce_type"] == "Car.Sold"
        assert headers["ce_subject"] == f"cars/{i}"
        assert headers["ce_specversion"] == "1.0"


def test_javascript_publishes_cloud_events(js, target, topic):
    event = {"id": "1", "source": "/cars", "type": "Car.Sold", "subject": "s", "time": WHEN,
             "data": {"a": 1}, "extensionAttributes": {"partitionkey": "k", "color": "red"}}
    js.call("publish", endpoint=endpoint(target, topic), key=KEY, schema="CloudEvent",
            events=[event, {"source": "/cars", "type": "raw", "datacontenttype": "image/png",
                            "bytes": base64.b64encode(bytes(range(256))).decode()}])
    first, second = stored(target, topic, 2)
    assert first["key"] == b"k" and first["headers"]["ce_color"] == "red"
    assert json.loads(first["value"]) == {"a": 1}
    assert first["headers"]["content-type"].startswith("application/json")
    assert second["headers"]["content-type"] == "image/png"
    assert first["headers"]["ce_traceparent"].startswith("00-")
    assert second["value"] == bytes(range(256))


def test_javascript_publishes_with_a_sas_token(js, target, topic):
    where = endpoint(target, topic)
    soon = int(datetime.datetime.now().timestamp() * 1000) + 3600_000
    sas = js.call("sas", endpoint=where, key=KEY, expires_ms=soon)["sas"]
    js.call("publish", endpoint=where, sas=sas, schema="EventGrid", events=[event_grid(7)])
    assert stored(target, topic, 1)[0]["headers"]["ce_id"] == "id-7"


def test_python_publishes_both_schemas(target, topic):
    with EventGridPublisherClient(endpoint(target, topic), AzureKeyCredential(KEY)) as client:
        client.send(EventGridEvent(subject="s", event_type="t", data={"n": 1}, data_version="1"))
        client.send([CloudEvent(source="/py", type="t", data={"n": n}) for n in (2, 3)])
    assert [json.loads(r["value"]) for r in stored(target, topic, 3)] == [
        {"n": 1}, {"n": 2}, {"n": 3}]


def test_what_is_wrong_with_an_event_is_said_and_nothing_is_stored(js, target, topic):
    bad = {"id": "2", "subject": "s", "eventTime": WHEN, "dataVersion": "1", "data": 1}
    answer = requests.post(endpoint(target, topic), json=[event_grid(1), bad], timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "BadRequest"
    assert "eventType" in answer.json()["error"]["message"]
    js.call("publish", endpoint=endpoint(target, topic), key=KEY, schema="EventGrid",
            events=[event_grid(9)])
    assert stored(target, topic, 1)[0]["headers"]["ce_id"] == "id-9"


def test_a_topic_that_does_not_exist(js, target, unique):
    with pytest.raises(SdkError) as error:
        js.call("publish", endpoint=endpoint(target, unique("none")), key=KEY,
                schema="EventGrid", events=[event_grid(1)])
    assert error.value.status == 404
