"""Reads topics back with a Kafka client, and compares what was sent with what was decided."""
import re

from kafka import KafkaConsumer, TopicPartition

IDLE_MS_MAX = 20000
TX_ID = re.compile(rb'"tx_id": ?(\d+)')
DECISIONS = ("payments.approved", "payments.review", "payments.rejected")


def read(broker, topics):
    """The tx_ids of all records of the topics, as a list, in no order."""
    consumer = KafkaConsumer(bootstrap_servers=broker, enable_auto_commit=False,
                             consumer_timeout_ms=IDLE_MS_MAX, max_partition_fetch_bytes=4 << 20,
                             fetch_max_bytes=32 << 20, max_poll_records=5000)
    found = []
    try:
        places = [TopicPartition(topic, number) for topic in topics
                  for number in sorted(consumer.partitions_for_topic(topic))]
        ends = consumer.end_offsets(places)
        left = {place for place in places if ends[place] > 0}
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        while left:
            batches = consumer.poll(timeout_ms=IDLE_MS_MAX)
            if not batches:
                raise TimeoutError(f"{sorted(left)}: nothing came for {IDLE_MS_MAX} ms")
            for place, messages in batches.items():
                found += [int(TX_ID.search(one.value).group(1)) for one in messages]
                if messages[-1].offset >= ends[place] - 1:
                    left.discard(place)
    finally:
        consumer.close()
    return found


class Audit:
    """payments N = decisions N, lost 0, decided twice 0"""

    def __init__(self, sent, decided):
        """sent: the tx_ids that weir acknowledged; decided: of all decisions, as read back."""
        self.sent = set(sent)
        self.decided = set(decided)
        self.decisions = len(decided)

    @property
    def lost(self):
        return len(self.sent - self.decided)

    @property
    def twice(self):
        return self.decisions - len(self.decided)

    @property
    def unknown(self):
        """Decided, and never sent: must be 0."""
        return len(self.decided - self.sent)

    def holds(self):
        return self.sent and not self.lost and not self.twice and not self.unknown

    def line(self):
        sign = "=" if self.decisions == len(self.sent) else "!="
        return (f"payments {len(self.sent):,} {sign} decisions {self.decisions:,}, "
                f"lost {self.lost:,}, decided twice {self.twice:,}")
