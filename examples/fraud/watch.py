"""Watches the decisions: reads the three topics with kafka-python, and counts.

    watch.py BROKER FRAUDS.json

Prints a JSON object a line, twice a second: how many decisions came since the last line, by topic;
how many of the rejected payments are frauds (FRAUDS.json has their tx_ids), and of the frauds all;
and for each how many milliseconds lie between the publisher's clock and the decision's place in
the log. The log's clock has whole milliseconds: the next one is taken, so that nothing looks faster
than it was.
"""
import json
import sys
import time

from kafka import KafkaConsumer, TopicPartition

EVERY_SECONDS = 0.5
TOPICS = ("payments.approved", "payments.review", "payments.rejected")

broker, frauds_path = sys.argv[1:]
with open(frauds_path, encoding="utf-8") as file:
    frauds = set(json.load(file))
consumer = KafkaConsumer(bootstrap_servers=broker, value_deserializer=json.loads,
                         auto_offset_reset="earliest", enable_auto_commit=False, fetch_min_bytes=1,
                         max_partition_fetch_bytes=4 << 20)
consumer.assign([TopicPartition(topic, number) for topic in TOPICS
                 for number in sorted(consumer.partitions_for_topic(topic))])


def fresh():
    return {"counts": dict.fromkeys(TOPICS, 0), "frauds": 0, "caught": 0, "ms": []}


def take(message, seen):
    seen["counts"][message.topic] += 1
    seen["ms"].append(round(message.timestamp + 1 - message.value["sent"], 1))
    if message.value["tx_id"] in frauds:
        seen["frauds"] += 1
        seen["caught"] += message.topic == "payments.rejected"


seen, due = fresh(), time.monotonic() + EVERY_SECONDS
while True:
    for messages in consumer.poll(timeout_ms=100).values():
        for one in messages:
            take(one, seen)
    if time.monotonic() >= due:
        print(json.dumps(seen), flush=True)
        seen, due = fresh(), time.monotonic() + EVERY_SECONDS
