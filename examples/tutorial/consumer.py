"""Reads JSON events from a Kafka topic as a member of a group, until it is told to stop."""
import json
import os
import signal
import sys
import time

from kafka import KafkaConsumer

consumer = KafkaConsumer(
    os.environ.get("KAFKA_TOPIC", "demo-topic"),
    bootstrap_servers=os.environ.get("KAFKA_BROKER", "kafka-service:9092"),
    group_id=os.environ.get("KAFKA_GROUP", "demo-group"),
    client_id=os.environ.get("HOSTNAME", "consumer"),
    value_deserializer=json.loads,
    auto_offset_reset="earliest",
    enable_auto_commit=True,
    metadata_max_age_ms=int(os.environ.get("KAFKA_METADATA_MAX_AGE_MS", "300000")),
)

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # a pod is told to stop
try:
    for message in consumer:
        print(json.dumps({"partition": message.partition, "offset": message.offset,
                          "received_at": time.time(), "event": message.value}), flush=True)
finally:
    consumer.close()  # commits how far it has read, and leaves the group
