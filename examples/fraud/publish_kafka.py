"""Publishes payments with kafka-python, unchanged: plain JSON records, whose key is the card.

    publish_kafka.py PAYMENTS.jsonl BROKER PART PARTS

Reads "FIRST END" from standard input, sends the payments of these lines of the file whose card is
in its part, and prints the same when weir has acknowledged all of them.
"""
import json
import sys
import time

from kafka import KafkaProducer

path, broker, part, parts = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    payments = [json.loads(line) for line in file]
producer = KafkaProducer(
    bootstrap_servers=broker,
    key_serializer=lambda card: str(card).encode(),
    value_serializer=lambda payment: json.dumps(payment).encode(),
    acks="all",
    enable_idempotence=True,
)

for line in sys.stdin:
    first, end = map(int, line.split())
    waiting = [producer.send("payments", key=payment["customer"],
                             value={**payment, "sent": time.time() * 1000})
               for payment in payments[first:end]
               if payment["customer"] % int(parts) == int(part)]
    for future in waiting:
        future.get(timeout=120)  # raises what the broker said
    print(first, end, flush=True)
