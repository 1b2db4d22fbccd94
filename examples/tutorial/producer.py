"""Sends numbered JSON events to a Kafka topic until it is told to stop."""
import json
import os
import signal
import sys
import time

from kafka import KafkaProducer

topic = os.environ.get("KAFKA_TOPIC", "demo-topic")
pause = 1 / float(os.environ.get("EVENTS_PER_SECOND", "1"))

producer = KafkaProducer(
    bootstrap_servers=os.environ.get("KAFKA_BROKER", "kafka-service:9092"),
    client_id=os.environ.get("HOSTNAME", "producer"),
    value_serializer=lambda event: json.dumps(event).encode(),
    acks="all",
    enable_idempotence=True,
    metadata_max_age_ms=int(os.environ.get("KAFKA_METADATA_MAX_AGE_MS", "300000")),
)


def say(what):
    """A line, in one piece: callbacks run in kafka-python's thread, or here if the answer was there
    before the callback was added, and print() writes a line and its end separately."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def on_ack(event, stored):
    say({"acked": event, "partition": stored.partition, "offset": stored.offset})


def on_error(event, error):
    say({"failed": event, "error": repr(error)})


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # a pod is told to stop
seq = 0
due = time.time()
try:
    while True:
        event = {"seq": seq, "sent_at": time.time()}
        producer.send(topic, event).add_callback(on_ack, event).add_errback(on_error, event)
        seq += 1
        due += pause
        time.sleep(max(0, due - time.time()))
finally:
    producer.close()  # sends what is still in its buffer
