"""Pull delivery of Event Grid's namespace topics by Azure's own SDKs."""

import pytest
import requests
from azure.core.credentials import AzureKeyCredential
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridConsumerClient, EventGridPublisherClient

from clients import Client
from eventgrid import KEY, NAMESPACE
from sdks import SdkError


@pytest.fixture
def subscribe(target, topic):
    """Makes a pull subscription of the topic."""
    def make(name="s", lock=60, attempts=10, **properties):
        body = {"properties": {"deliveryConfiguration": {
            "deliveryMode": "Queue",
            "queue": {"receiveLockDurationInSeconds": lock, "maxDeliveryCount": attempts,
                      "eventTimeToLive": "P1D"}}, **properties}}
        made = requests.put(f"{target.http}{NAMESPACE}/{topic}/eventSubscriptions/{name}",
                            params={"api-version": "2025-02-15"}, json=body, timeout=30)
        assert made.status_code == 201, made.text
        return name
    return make


def test_javascript_sends_and_receives(js, target, topic, subscribe):
    where = {"endpoint": target.http, "key": KEY, "topic": topic, "subscription": subscribe()}
    js.call("send", events={"id": "a", "source": "/x", "type": "t", "data": {"n": 1},
                            "dataContentType": "application/json"}, **where)
    js.call("send", events=[{"id": x, "source": "/x", "type": "t", "data": {"n": 2}}
                            for x in "bcd"], **where)
    details = js.call("receive", max=10, wait=10, **where)["details"]
    assert [d["event"]["id"] for d in details] == ["a", "b", "c", "d"]
    assert details[0]["event"]["data"] == {"n": 1}
    assert [d["brokerProperties"]["deliveryCount"] for d in details] == [1] * 4
    tokens = [d["brokerProperties"]["lockToken"] for d in details]
    assert js.call("acknowledge", tokens=tokens[:1], **where)["succeededLockTokens"] == tokens[:1]
    assert js.call("release", tokens=tokens[1:2], delay="0", **where)["failedLockTokens"] == []
    assert js.call("reject", tokens=tokens[2:3], **where)["failedLockTokens"] == []
    assert js.call("renew", tokens=tokens[3:], **where)["succeededLockTokens"] == tokens[3:]
    again = js.call("receive", max=10, wait=10, **where)["details"]
    assert [d["event"]["id"] for d in again] == ["b"]
    assert again[0]["brokerProperties"]["deliveryCount"] == 2


def test_tokens_that_are_lost_or_none(js, target, topic, subscribe):
    where = {"endpoint": target.http, "key": KEY, "topic": topic, "subscription": subscribe()}
    js.call("send", events=[{"id": "1", "source": "/x", "type": "t"}], **where)
    detail = js.call("receive", max=1, wait=10, **where)["details"][0]
    token = detail["brokerProperties"]["lockToken"]
    result = js.call("acknowledge", tokens=["nonsense", token], **where)
    assert result["succeededLockTokens"] == [token]
    assert result["failedLockTokens"][0]["lockToken"] == "nonsense"
    assert result["failedLockTokens"][0]["error"]["code"] == "BadToken"
    lost = js.call("acknowledge", tokens=[token], **where)["failedLockTokens"]
    assert [f["error"]["code"] for f in lost] == ["TokenLost"]


def test_a_receive_waits_for_the_first_event(js, target, topic, subscribe):
    where = {"endpoint": target.http, "key": KEY, "topic": topic, "subscription": subscribe()}
    js.begin("receive", max=5, wait=60, **where)
    with EventGridPublisherClient(target.http, AzureKeyCredential(KEY),
                                  namespace_topic=topic) as client:
        client.send(CloudEvent(source="/py", type="t", data="late"))
    assert [d["event"]["data"] for d in js.answer()["details"]] == ["late"]


def test_python_sends_and_receives(target, topic, subscribe):
    with EventGridPublisherClient(target.http, AzureKeyCredential(KEY),
                                  namespace_topic=topic) as sender, \
         EventGridConsumerClient(target.http, AzureKeyCredential(KEY), namespace_topic=topic,
                                 subscription=subscribe()) as receiver:
        sender.send([CloudEvent(source="/py", type="t", data={"n": n}) for n in range(5)])
        got = receiver.receive(max_events=5, max_wait_time=10)
        assert [d.event.data for d in got] == [{"n": n} for n in range(5)]
        tokens = [d.broker_properties.lock_token for d in got]
        assert receiver.acknowledge(lock_tokens=tokens[:3]).succeeded_lock_tokens == tokens[:3]
        assert receiver.release(lock_tokens=tokens[3:4], release_delay=0).failed_lock_tokens == []
        assert receiver.reject(lock_tokens=tokens[4:]).failed_lock_tokens == []
        again = receiver.receive(max_events=5, max_wait_time=10)
        assert [d.event.data for d in again] == [{"n": 3}]
        assert again[0].broker_properties.delivery_count == 2
        assert receiver.renew_locks(
            lock_tokens=[again[0].broker_properties.lock_token]).failed_lock_tokens == []


def test_kafka_records_are_received_as_events(js, target, topic, subscribe):
    where = {"endpoint": target.http, "key": KEY, "topic": topic, "subscription": subscribe()}
    with Client("confluent-kafka", target.bootstrap) as client:
        client.produce(topic, "k", 3, codec="zstd")
    details = js.call("receive", max=10, wait=10, **where)["details"]
    assert len({d["event"]["id"] for d in details}) == 3
    assert {d["event"]["source"] for d in details} == {f"/topics/{topic}"}


def test_no_such_subscription(js, target, topic):
    with pytest.raises(SdkError) as error:
        js.call("receive", endpoint=target.http, key=KEY, topic=topic, subscription="none", max=1,
                wait=10)
    assert error.value.status == 404


def test_bounds_of_receive_and_release(target, topic, subscribe):
    base = f"{target.http}/topics/{topic}/eventsubscriptions/{subscribe()}"
    for query in ("maxEvents=0", "maxEvents=101", "maxWaitTime=9", "maxWaitTime=121",
                  "maxevents=1"):
        assert requests.post(f"{base}:receive?{query}", timeout=30).status_code == 400, query
    body = {"lockTokens": ["x"]}
    assert requests.post(f"{base}:release?releaseDelayInSeconds=5", json=body,
                         timeout=30).status_code == 400
    for body in ({}, {"lockTokens": []}, {"lockTokens": [1]}, []):
        assert requests.post(f"{base}:acknowledge", json=body, timeout=30).status_code == 400, body


def test_a_subscription_is_rewound(js, target, topic, subscribe):
    """Redeliver all since a time, or from the beginning; what is with receivers loses its lock."""
    where = {"endpoint": target.http, "key": KEY, "topic": topic, "subscription": subscribe()}
    rewind = f"{target.http}/api/v1/subscriptions/{topic}/{where['subscription']}:rewind"

    def receive():
        details = js.call("receive", max=10, wait=10, **where)["details"]
        return [d["event"]["id"] for d in details], [
            d["brokerProperties"]["lockToken"] for d in details]
    js.call("send", events=[{"id": x, "source": "/x", "type": "t"} for x in "abc"], **where)
    ids, tokens = receive()
    assert ids == ["a", "b", "c"]
    js.call("acknowledge", tokens=tokens[:2], **where)
    assert requests.post(f"{rewind}?to=earliest", timeout=30).status_code == 204
    ids, fresh = receive()
    assert ids == ["a", "b", "c"]
    lost = js.call("acknowledge", tokens=tokens[2:], **where)["failedLockTokens"]
    assert [f["error"]["code"] for f in lost] == ["TokenLost"]
    assert js.call("acknowledge", tokens=fresh, **where)["failedLockTokens"] == []
    assert requests.post(f"{rewind}?to=1&partition=0", timeout=30).status_code == 204
    assert receive()[0] == ["b", "c"]
    assert requests.post(f"{rewind}?to=2030-01-01T00:00:00Z", timeout=30).status_code == 204
    js.call("send", events=[{"id": "d", "source": "/x", "type": "t"}], **where)
    assert receive()[0] == ["d"]
    for query in ("", "?to=yesterday", "?to=5", "?to=-1&partition=0", "?from=earliest"):
        assert requests.post(rewind + query, timeout=30).status_code == 400, query
    nobody = rewind.replace(where["subscription"] + ":rewind", "nobody:rewind")
    assert requests.post(f"{nobody}?to=earliest", timeout=30).status_code == 404
