"""What the tests of Event Grid share: paths of Azure's control plane, and what a topic holds."""

import base64

from confluent_kafka import Consumer, TopicPartition

KEY = base64.b64encode(b"any key will do until the topic has some").decode()
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
SCOPE = (f"/subscriptions/{SUBSCRIPTION}/resourceGroups/dev/providers"
         "/Microsoft.EventGrid/topics")
NAMESPACE = (f"/subscriptions/{SUBSCRIPTION}/resourceGroups/dev/providers"
             "/Microsoft.EventGrid/namespaces/n/topics")
WHEN = "2026-03-01T12:00:00.000Z"


def endpoint(target, topic):
    return f"{target.http}/topics/{topic}/api/events"


def stored(target, topic, count):
    """The topic's records as a Kafka client reads them, with headers as a dict of text."""
    consumer = Consumer({"bootstrap.servers": target.bootstrap, "group.id": "none",
                         "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = []
    while len(found) < count:
        message = consumer.poll(30)
        assert message is not None, f"{len(found)} of {count} records"
        assert not message.error(), message.error()
        headers = {name: value.decode() for name, value in message.headers() or ()}
        found.append({"key": message.key(), "value": message.value(), "headers": headers})
    consumer.close()
    return found


def event_grid(number, **more):
    return {"id": f"id-{number}", "subject": f"cars/{number}", "eventType": "Car.Sold",
            "eventTime": WHEN, "dataVersion": "1.0", "data": {"number": number}, **more}
