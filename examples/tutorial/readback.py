"""Reads a whole topic back and compares it with what was acknowledged."""
import json

from kafka import KafkaConsumer, TopicPartition

IDLE_MS_MAX = 10000


class Log:
    """What a topic holds: for each partition its (offset, seq), in order of offset."""

    def __init__(self, partitions):
        self.rows = {partition: [] for partition in partitions}

    def count(self):
        return sum(len(rows) for rows in self.rows.values())

    def partitions(self):
        return len(self.rows)

    def lost(self, acks):
        """The seqs that were acknowledged at a place where they are not."""
        places = {(partition, offset): seq
                  for partition, rows in self.rows.items() for offset, seq in rows}
        return [seq for seq, place in acks.items() if places.get(place) != seq]

    def twice(self):
        """How many events stand there more than once."""
        return self.count() - len({seq for rows in self.rows.values() for _, seq in rows})

    def out_of_order(self):
        """How many events stand behind a later one of their partition: one producer sent all."""
        return sum(before[1] > after[1] for rows in self.rows.values()
                   for before, after in zip(rows, rows[1:]))


def read_back(broker, topic):
    """Reads each partition from its start to where it ends now."""
    consumer = KafkaConsumer(bootstrap_servers=broker, consumer_timeout_ms=IDLE_MS_MAX,
                             value_deserializer=json.loads, enable_auto_commit=False)
    try:
        places = [TopicPartition(topic, number)
                  for number in sorted(consumer.partitions_for_topic(topic))]
        log = Log(place.partition for place in places)
        ends = consumer.end_offsets(places)
        left = {place.partition for place in places if ends[place] > 0}
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        for message in consumer:
            end = ends[TopicPartition(topic, message.partition)]
            if message.offset < end:
                log.rows[message.partition].append((message.offset, message.value["seq"]))
            if message.offset >= end - 1:
                left.discard(message.partition)
            if not left:
                break
        return log
    finally:
        consumer.close()
