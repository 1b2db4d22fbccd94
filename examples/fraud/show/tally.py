"""What was decided so far, and how long it took."""
import threading
import time

TOPICS = ("payments.approved", "payments.review", "payments.rejected")
WINDOW_SECONDS = 2


def percentile(values, share):
    values = sorted(values)
    return values[min(int(len(values) * share), len(values) - 1)] if values else None


class Tally:
    """Thread-safe: the watcher's thread takes, the story's reads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = dict.fromkeys(TOPICS, 0)
        self.frauds = self.caught = 0
        self.recent = []  # (monotonic, decisions, their milliseconds), of the last seconds
        self.kept = None  # milliseconds of a phase, while one is kept

    def take(self, seen):
        now = time.monotonic()
        with self.lock:
            for topic, count in seen["counts"].items():
                self.counts[topic] += count
            self.frauds += seen["frauds"]
            self.caught += seen["caught"]
            self.recent = [row for row in self.recent if row[0] > now - WINDOW_SECONDS]
            self.recent.append((now, sum(seen["counts"].values()), seen["ms"]))
            if self.kept is not None:
                self.kept += seen["ms"]

    def keep(self):
        """From now on milliseconds are kept, until taken()."""
        with self.lock:
            self.kept = []

    def taken(self):
        with self.lock:
            kept, self.kept = self.kept or [], None
        return kept

    def decided(self):
        with self.lock:
            return sum(self.counts.values())

    def window(self):
        """(decisions a second, p50, p99) of the last seconds; None where there are none."""
        with self.lock:
            since = time.monotonic() - WINDOW_SECONDS
            rows = [row for row in self.recent if row[0] > since]
        values = [value for row in rows for value in row[2]]
        rate = sum(row[1] for row in rows) / (len(rows) * 0.5) if rows else 0
        return rate, percentile(values, .5), percentile(values, .99)

    def quality(self):
        """Shares in per cent: {topic: share}, frauds caught, alarms right; None of nothing."""
        with self.lock:
            total, rejected = sum(self.counts.values()), self.counts["payments.rejected"]
            shares = {topic: 100 * count / total if total else 0
                      for topic, count in self.counts.items()}
            caught = 100 * self.caught / self.frauds if self.frauds else None
            right = 100 * self.caught / rejected if rejected else None
        return shares, caught, right
