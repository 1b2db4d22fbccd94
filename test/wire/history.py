"""What happened to the messages of one subscription, as its clients saw it, and the rules it obeys.

Every request is noted with when it began and when its answer came, if one did. The rules are a
plain reading of delivery.h:

  - the counts of a message rise by one with each delivery; one that nobody saw belongs to a
    receive that was never answered;
  - a message has one holder: it comes again only after a release, or when its lock may be over;
  - a token is good until then, over kill -9 too, and then never again;
  - what was settled does not come back; what was not is there at the end;
  - what was rejected, or used up its attempts, is one dead letter.

Time is this process's monotonic clock in seconds. A lock begins after its receive did.
"""

import collections
import dataclasses
import threading

# weir counts whole milliseconds, and a restart goes by way of the wall clock's.
ROUNDING_S = 0.005
FINAL = ("acknowledge", "reject")


@dataclasses.dataclass
class Delivery:
    message: str
    count: int
    token: str
    begun: float
    ended: float
    settles: list = dataclasses.field(default_factory=list)

    def taken(self, *verbs):
        return [s for s in self.settles if s.taken and s.verb in verbs]

    def doubtful(self, *verbs):
        """Attempts that may have succeeded, for all that their client knows."""
        return [s for s in self.settles if s.taken is not False and s.verb in verbs]


@dataclasses.dataclass
class Settle:
    verb: str
    begun: float
    ended: float
    taken: bool  # None: no answer


@dataclasses.dataclass
class DeadLetter:
    message: str
    reason: str
    deliveries: int
    place: tuple  # where the message stood: (topic, partition, offset)


class History:
    def __init__(self, lock_s, attempts):
        self.lock_s, self.attempts = lock_s, attempts
        self.guard = threading.Lock()
        self.deliveries = collections.defaultdict(list)  # by message
        self.lost = []  # receives without an answer: (begun, ended)
        self.settled = set()  # messages: for good, as far as is known
        self.doubted = set()  # a final settle had no answer
        self.settles = 0

    # ---- noting

    def received(self, message, count, token, begun, ended):
        delivery = Delivery(message, count, token, begun, ended)
        with self.guard:
            self.deliveries[message].append(delivery)
        return delivery

    def unanswered(self, begun, ended):
        with self.guard:
            self.lost.append((begun, ended))

    def tried(self, delivery, settle):
        with self.guard:
            delivery.settles.append(settle)
            self.settles += 1
            if settle.verb in FINAL:
                known = self.settled if settle.taken else self.doubted
                if settle.taken is not False:
                    known.add(delivery.message)

    # ---- rules

    def check(self, log, letters):
        """log: {message: (topic, partition, offset)} of all that was stored."""
        for message, deliveries in self.deliveries.items():
            assert message in log, f"{message} was delivered and is not in the log"
            deliveries.sort(key=lambda delivery: delivery.count)
            self.check_counts(deliveries)
            self.check_holders(deliveries)
            for delivery in deliveries:
                self.check_token(delivery)
            self.check_end(deliveries)
        self.check_letters(log, letters)
        self.check_complete(log, letters)

    def unseen(self, since, until):
        return sum(1 for begun, ended in self.lost if begun <= until and ended >= since)

    def check_counts(self, deliveries):
        before, since = 0, 0
        for delivery in deliveries:
            gap = delivery.count - before - 1
            assert gap >= 0, f"two deliveries with one count: {deliveries}"
            assert gap <= self.unseen(since, delivery.ended), f"counts are left out: {deliveries}"
            before, since = delivery.count, delivery.begun
        for one, next_one in zip(deliveries, deliveries[1:]):
            assert next_one.ended >= one.begun, f"a count went down: {one}, {next_one}"
        assert before <= self.attempts, f"more deliveries than attempts: {deliveries}"

    def lock_end(self, delivery):
        """The lock is not over before this."""
        renewed = [s.begun for s in delivery.taken("renewLock")]
        return max([delivery.begun, *renewed]) + self.lock_s - ROUNDING_S

    def check_holders(self, deliveries):
        for one, next_one in zip(deliveries, deliveries[1:]):
            released = any(s.begun <= next_one.ended for s in one.doubtful("release"))
            over = next_one.ended >= self.lock_end(one)
            assert released or over, f"two hold it: {one}, {next_one}"

    def check_token(self, delivery):
        used = False  # for certain
        perhaps = False
        for settle in delivery.settles:
            if settle.taken:
                assert not used, f"a token was taken twice: {delivery}"
            elif settle.taken is False:
                over = settle.ended >= self.lock_end(delivery)
                assert used or perhaps or over, f"a good token was refused: {delivery}"
            if settle.verb != "renewLock":
                used |= settle.taken is True
                perhaps |= settle.taken is None

    def final(self, delivery):
        """It was settled for good: so it was said, or a good token was refused after it was."""
        tried, refused = set(), False
        for settle in delivery.settles:
            if settle.taken is not False:
                tried.add(settle.verb)
            elif settle.ended < self.lock_end(delivery):
                refused = True
        tried.discard("renewLock")
        return delivery.taken(*FINAL) or (refused and tried and tried.issubset(FINAL))

    def check_end(self, deliveries):
        """A message that was settled does not come back; a later holder ends the former's right."""
        for one, next_one in zip(deliveries, deliveries[1:]):
            assert not self.final(one), f"it came back: {one}, {next_one}"
            late = [s for s in one.taken("release", "renewLock") if s.begun > next_one.ended]
            assert not late, f"the token of a former delivery was taken: {one}, {next_one}"

    def check_letters(self, log, letters):
        names = collections.Counter(letter.message for letter in letters)
        assert not [name for name, n in names.items() if n > 1], "a dead letter came twice"
        for letter in letters:
            assert letter.place == log[letter.message], letter
            deliveries = self.deliveries[letter.message]
            last = deliveries[-1] if deliveries else None
            assert last is None or not last.taken("acknowledge"), f"dead and done: {letter}, {last}"
            if letter.reason == "Rejected":
                assert last and last.doubtful("reject"), f"nobody rejected it: {letter}, {last}"
                assert letter.deliveries == last.count, (letter, last)
            else:
                assert letter.reason == "max-deliveries", letter
                assert letter.deliveries == self.attempts, letter
                seen, since = (last.count, last.begun) if last else (0, 0)
                assert self.attempts - seen <= self.unseen(since, float("inf")), (letter, last)

    def check_complete(self, log, letters):
        dead = {letter.message for letter in letters}
        for message in log:
            deliveries = self.deliveries.get(message, [])
            last = deliveries[-1] if deliveries else None
            done = last is not None and last.doubtful("acknowledge")
            assert message in dead or done, f"lost: {message}, {deliveries}"
            rejected = last is not None and last.taken("reject")
            assert message in dead or not rejected, f"no dead letter: {last}"
