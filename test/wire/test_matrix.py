"""One record in every protocol: an event that is published in each way is the same in each reading.

Ways in: a Kafka client in CloudEvents' binary and structured mode, HTTP in binary, structured and
batched mode, and Event Grid's schema. Ways out: a Kafka client, and HTTP one by one (binary mode)
and as an array. Pushes in each format are test_push.py's matter.
"""

import base64
import json
import urllib.parse
import uuid

import confluent_kafka
import confluent_kafka.admin
import pytest
import requests

PATIENCE_S = 20

pytestmark = [pytest.mark.weir_only, pytest.mark.managed]

def event(**more):
    """What is published, as attributes and the bytes of its data."""
    attributes = {
        "id": uuid.uuid4().hex, "source": "/shop/checkout", "type": "order.created",
        "subject": "orders/7", "time": "2026-03-01T12:00:00.5Z",
        "datacontenttype": "application/json", "partitionkey": "customer-9",
        "correlationid": f"cart-{uuid.uuid4()}",
        "traceparent": f"00-{uuid.uuid4().hex}-00f067aa0ba902b7-01",
    }
    attributes.update(more)
    return {key: value for key, value in attributes.items() if value is not None}


DATA = {
    "json": (event(), b'{"amount": 1.50, "of": [1, 12345678901234567890]}'),
    "text": (event(datacontenttype="text/plain", subject="Euro \u20ac \U0001f600"),
             b"hello \xc3\xa9"),
    "bytes": (event(datacontenttype="application/octet-stream", time=None), bytes(range(256))),
    "nothing": (event(datacontenttype=None, subject=None), None),
}


def as_json(attributes, data):
    """The JSON format, by hand, so that JSON data keeps its bytes."""
    members = ['"specversion":"1.0"'] + [
        f"{json.dumps(key)}:{json.dumps(value)}" for key, value in attributes.items()]
    if data is not None and attributes.get("datacontenttype") == "application/json":
        members.append(f'"data":{data.decode()}')
    elif data is not None and attributes.get("datacontenttype") == "text/plain":
        members.append(f'"data":{json.dumps(data.decode())}')
    elif data is not None:
        members.append(f'"data_base64":"{base64.b64encode(data).decode()}"')
    return "{" + ",".join(members) + "}"


# ---- ways in -------------------------------------------------------------------------------------

def kafka_produce(target, topic, **message):
    producer = confluent_kafka.Producer({"bootstrap.servers": target.bootstrap})
    producer.produce(topic, **message)
    assert producer.flush(PATIENCE_S) == 0


def in_kafka_binary(target, topic, attributes, data):
    headers = [("ce_specversion", b"1.0")]
    for key, value in attributes.items():
        name = "content-type" if key == "datacontenttype" else f"ce_{key}"
        headers.append((name, value.encode()))
    kafka_produce(target, topic, value=data, key=attributes["partitionkey"], headers=headers)


def in_kafka_structured(target, topic, attributes, data):
    kafka_produce(target, topic, value=as_json(attributes, data), key=attributes["partitionkey"],
                  headers=[("content-type", b"application/cloudevents+json; charset=UTF-8")])


def create(target, topic):
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": target.bootstrap})
    made = admin.create_topics([confluent_kafka.admin.NewTopic(topic, 1)])
    made[topic].result(PATIENCE_S)


def post(target, path, **request):
    answer = requests.post(f"{target.http}/topics/{path}", timeout=PATIENCE_S, **request)
    assert answer.ok, answer.text


def in_http_binary(target, topic, attributes, data):
    headers = {"ce-specversion": "1.0"}
    for key, value in attributes.items():
        if key == "datacontenttype":
            headers["content-type"] = value
        else:
            headers[f"ce-{key}"] = urllib.parse.quote(value, safe="!#$&'()*+,/:;=?@[]-._~")
    post(target, topic, data=data, headers=headers)


def in_http_structured(target, topic, attributes, data):
    post(target, topic, data=as_json(attributes, data).encode(),
         headers={"content-type": "application/cloudevents+json"})


def in_http_batch(target, topic, attributes, data):
    post(target, topic, data=f"[{as_json(attributes, data)}]".encode(),
         headers={"content-type": "application/cloudevents-batch+json"})


WAYS_IN = {way.__name__[3:]: way for way in (
    in_kafka_binary, in_kafka_structured, in_http_binary, in_http_structured, in_http_batch)}


# ---- ways out: (attributes, data, key) -----------------------------------------------------------

def read_kafka(target, topic):
    consumer = confluent_kafka.Consumer({"bootstrap.servers": target.bootstrap, "group.id": topic,
                                         "enable.auto.commit": False})
    consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
    message = consumer.poll(PATIENCE_S)
    consumer.close()
    assert message is not None and not message.error()
    return message


def without_place(attributes):
    """HTTP tells where an event stands, too."""
    assert attributes.pop("weirpartition") in ("0", 0)
    assert attributes.pop("weiroffset") in ("0", 0)
    assert attributes.pop("specversion") == "1.0"
    return attributes


def out_kafka(target, topic):
    message = read_kafka(target, topic)
    headers = {key: value.decode() for key, value in message.headers()}
    if headers.get("content-type", "").startswith("application/cloudevents"):
        return None  # a structured record stays as it came
    attributes = {key[3:]: value for key, value in headers.items() if key.startswith("ce_")}
    assert attributes.pop("specversion") == "1.0"
    if "content-type" in headers:
        attributes["datacontenttype"] = headers["content-type"]
    return attributes, message.value()


def out_http_one(target, topic):
    answer = requests.get(f"{target.http}/topics/{topic}/partitions/0/offsets/0",
                          timeout=PATIENCE_S)
    assert answer.ok, answer.text
    attributes = {key.lower()[3:]: urllib.parse.unquote(value)
                  for key, value in answer.headers.items() if key.lower().startswith("ce-")}
    if "content-type" in answer.headers:
        attributes["datacontenttype"] = answer.headers["content-type"]
    return without_place(attributes), answer.content or None


def out_http_array(target, topic):
    answer = requests.get(f"{target.http}/topics/{topic}", timeout=PATIENCE_S)
    assert answer.ok, answer.text
    only = json.loads(answer.text)
    assert len(only) == 1
    attributes = dict(only[0])
    data = None
    if "data_base64" in attributes:
        data = base64.b64decode(attributes.pop("data_base64"))
    elif "data" in attributes:
        value = attributes.pop("data")
        if attributes["datacontenttype"] == "application/json":
            start = answer.text.index('"data":') + len('"data":')
            data = answer.text[start:answer.text.rindex("}")].strip().encode()
            assert json.loads(data) == value
        else:
            data = value.encode()
    return without_place(attributes), data


WAYS_OUT = {way.__name__[4:]: way for way in (out_kafka, out_http_one, out_http_array)}


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("way_in", WAYS_IN)
def test_the_same_event_everywhere(target, unique, way_in, kind):
    topic = unique("matrix")
    create(target, topic)
    attributes, data = DATA[kind]
    attributes = dict(attributes, id=uuid.uuid4().hex)
    WAYS_IN[way_in](target, topic, attributes, data)
    for name, out in WAYS_OUT.items():
        read = out(target, topic)
        if read is None:
            assert way_in == "kafka_structured"
            continue
        assert read == (attributes, data), name
    assert read_kafka(target, topic).key() == attributes["partitionkey"].encode()


@pytest.mark.parametrize("way_out", WAYS_OUT)
def test_event_grid_events_everywhere(target, unique, way_out):
    topic = unique("matrix")
    given = {"id": uuid.uuid4().hex, "subject": "orders/7", "eventType": "order.created",
             "eventTime": "2026-03-01T12:00:00.1234567Z", "dataVersion": "2.0"}
    body = "[" + json.dumps(given)[:-1] + ', "data": {"amount": 1.50}}]'
    create(target, topic)
    post(target, f"{topic}/api/events", data=body, headers={"content-type": "application/json"})
    attributes, data = WAYS_OUT[way_out](target, topic)
    assert data == b'{"amount": 1.50}'
    assert attributes["id"] == given["id"] and attributes["subject"] == given["subject"]
    assert attributes["type"] == given["eventType"] and attributes["time"] == given["eventTime"]
    assert attributes["dataversion"] == "2.0"
    assert attributes["datacontenttype"] == "application/json"
    assert topic in attributes["source"]
    assert attributes["traceparent"].startswith("00-")


def test_records_that_are_no_events(target, unique):
    """A plain Kafka record is an event, with what is derived, the same at each reading."""
    topic = unique("matrix")
    create(target, topic)
    kafka_produce(target, topic, value=b'{"a": 1.0}', key="k")
    one, one_data = out_http_one(target, topic)
    array, array_data = out_http_array(target, topic)
    assert one_data == array_data == b'{"a": 1.0}'
    assert one == array
    assert one["source"] == f"/topics/{topic}" and one["type"] == "weir.record"
    assert one["id"].endswith("/0/0") and one["partitionkey"] == "k"
    assert one["datacontenttype"] == "application/json"
