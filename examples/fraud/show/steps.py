"""The steps of the show, one after the other."""
import time

from .feeder import Spike
from .screen import number
from .story import BACK_SECONDS_MAX, BUDGET_MS, FIRST_SECONDS_MAX, Story
from .tally import percentile
from .weir import BrokerError

STEADY_TIMES, STEADY_P99_MS_MIN = 3, 100  # steady again: p99 below three times what it was
BREAKER_SECONDS_MAX = 120


class Show(Story):
    def run(self):
        for step in (self.start, self.steady, self.spike, self.kill_worker, self.stop_model,
                     self.poison, self.kill_weir, self.send_twice, self.model_back, self.settle,
                     self.audit, self.trace, self.to_zero):
            step()
        self.claim(True, f"all of this in {time.monotonic() - self.started:.0f} s")

    def steady(self):
        rate = self.arguments.rate
        self.step(f"{rate:,} payments a second, half of them by Azure Event Grid's SDK, half by "
                  "kafka-python")
        self.start_clients()
        self.feeder.rate = rate
        first = self.watch(FIRST_SECONDS_MAX, lambda: self.tally.decided() > 0)
        if not self.claim(first is not None, "payments are decided: the first one started workers"):
            raise BrokerError(self.weir.log_end())
        self.watch(3)
        self.tally.keep()
        self.watch(self.arguments.steady)
        kept = self.tally.taken()
        p50, p99 = percentile(kept, .5), percentile(kept, .99)
        self.steady_ms = max(STEADY_TIMES * (p99 or BUDGET_MS), STEADY_P99_MS_MIN)
        self.claim_in_time(kept and p99 < BUDGET_MS, "from publisher to decision: "
                           f"p50 {number(p50)} ms, p99 {number(p99)} ms, budget {BUDGET_MS:,}")

    def is_steady(self):
        _, _, p99 = self.tally.window()
        return p99 is not None and p99 < self.steady_ms and self.waiting() < self.feeder.rate

    def spike(self):
        rate = self.arguments.rate * 10
        self.step(f"A spike of ten times as many: {rate:,} a second for "
                  f"{self.arguments.spike:g} s, by weir produce")
        self.watch(10, self.feeder.acked)
        self.tally.keep()
        self.feeder.rate = 0
        self.watch(5, self.feeder.acked)
        spike = self.feeder.spike = Spike(self.weir.program, self.weir.kafka)
        self.feeder.rate = rate
        self.watch(self.arguments.spike)
        self.feeder.rate, self.feeder.spike = self.arguments.rate, None
        ended = spike.end()
        back = self.watch(BACK_SECONDS_MAX, self.is_steady)
        p99 = percentile(self.tally.taken(), .99)
        self.claim(ended and back is not None, f"{spike.asked:,} more payments acknowledged; "
                   f"steady again {number(back)} s later")
        self.claim_in_time(p99 is not None and p99 < BUDGET_MS,
                           f"p99 during it {number(p99, 0)} ms, budget {BUDGET_MS:,}")

    def kill_worker(self):
        self.step("kill -9 a worker that holds the windows of cards")
        pid = self.weir.kill_worker("card")
        self.tally.keep()
        before = self.tally.decided()
        self.watch(2)
        back = self.watch(BACK_SECONDS_MAX, self.is_steady)
        longest = max(self.tally.taken(), default=None)
        self.claim(pid and back is not None and self.tally.decided() > before,
                   f"process {pid} is gone, another one read its windows again; the payment that "
                   f"waited longest: {number(longest, 0)} ms")

    def stop_model(self):
        self.step("Stop the model server")
        self.model.stop(gently=False)
        before = self.tally.decided()
        opened = self.watch(BACK_SECONDS_MAX, lambda: self.weir.breaker() == "open")
        self.model_stopped = time.monotonic()
        self.claim(opened is not None, f"its circuit breaker opened after {number(opened)} s")
        went_on = self.watch(BACK_SECONDS_MAX,
                             lambda: self.tally.decided() > before + self.feeder.rate)
        self.claim(went_on is not None, "payments are decided all the same, by weir's own walk of "
                   "the model's trees")
        self.start_model()
        self.say("the model server is up again; weir will ask it in a while")

    def poison(self):
        self.step("A payment in a currency that nobody knows")
        self.publish_poison()
        dead = self.watch(BACK_SECONDS_MAX, lambda: self.weir.dead_letters() == 1)
        shown = self.weir.command("dlq", "show", "payments.dead").splitlines()
        self.say("$ weir dlq show payments.dead")
        self.say("\n".join(line for line in shown if not line.strip().startswith("event:")))
        self.claim(dead is not None, "it is a dead letter, and held nobody up")
        self.teach_currency()
        self.say("its currency is in the table now\n$ weir dlq redrive payments.dead\n"
                 + self.weir.command("dlq", "redrive", "payments.dead"))
        gone = self.watch(BACK_SECONDS_MAX, lambda: self.weir.dead_letters() == 0)
        self.claim(gone is not None, "it is on its way again")

    def kill_weir(self):
        self.step("kill -9 weir mid-stream, start it again on the same folder")
        decided = self.tally.decided()
        self.weir.kill()
        ready = self.weir.start()
        self.say(f"a new process was ready {ready * 1000:.0f} ms after its start")
        back = self.watch(BACK_SECONDS_MAX, lambda: self.tally.decided() > decided
                          + self.feeder.rate and self.is_steady())
        self.claim(back is not None, f"publishers and workers went on by themselves; steady "
                   f"again after {number(back)} s")

    def send_twice(self):
        self.step("Send the last 2,000 payments a second time, by both clients")
        first, end = max(self.feeder.row - 2000, 0), self.feeder.row
        self.watch(BACK_SECONDS_MAX, self.feeder.acked)
        for publisher in self.publishers:
            publisher.send(first, end)
        self.watch(2)
        self.claim(self.watch(BACK_SECONDS_MAX, self.feeder.acked) is not None,
                   "all acknowledged; the end will tell whether any was decided twice")

    def model_back(self):
        self.step("The model server gets its traffic back")
        closed = self.watch(BREAKER_SECONDS_MAX, lambda: self.weir.breaker() == "closed")
        self.claim(closed is not None, "its breaker closed "
                   f"{time.monotonic() - self.model_stopped:.0f} s after it opened")
        self.watch(2)

    def trace(self):
        self.step("The journey of one payment")
        row = self.feeder.row - 1
        self.say(f"$ weir trace {row}\n" + self.weir.command("trace", str(row)))
