"""The same pipeline and the same faults in a short time, each at a moment that chance decides."""
import random
import time

from .feeder import Spike
from .story import BACK_SECONDS_MAX, FIRST_SECONDS_MAX, Story
from .weir import BrokerError

SECONDS = 12  # in which all of it happens
SPIKE_SECONDS = 1.5


class Chaos(Story):
    """What is claimed at the end is what the show claims; what happens before is not explained."""

    def run(self):
        chance = random.Random(self.arguments.random)
        self.start()
        self.start_clients()
        self.feeder.rate = self.arguments.rate
        self.step(f"Faults at moments that {self.arguments.random} decides")
        if self.watch(FIRST_SECONDS_MAX, lambda: self.tally.decided() > 0) is None:
            raise BrokerError("nothing is decided\n" + self.weir.log_end())
        faults = [self.kill_one, self.kill_one, self.stop_model_server, self.publish_poison,
                  self.kill_broker, self.burst, self.again]
        moments = sorted((chance.uniform(0, SECONDS), number) for number in range(len(faults)))
        began = time.monotonic()
        for moment, number in moments:
            self.watch(max(0, began + moment - time.monotonic()))
            self.say(f"{moment:5.1f} s  {faults[number].__name__}")
            if faults[number] == self.kill_one:
                self.kill_one(chance.choice(("validate", "card", "terminal")))
            else:
                faults[number]()
        self.watch(2)
        self.redrive()
        self.settle()
        self.to_zero()
        self.audit()

    def kill_one(self, stage):
        self.weir.kill_worker(stage)

    def stop_model_server(self):
        self.model.stop(gently=False)
        self.start_model()

    def kill_broker(self):
        self.weir.kill()
        self.weir.start()

    def burst(self):
        """The feeder goes on behind it: what is sent so is acknowledged before it does."""
        self.watch(BACK_SECONDS_MAX, self.feeder.acked)
        self.feeder.spike = Spike(self.weir.program, self.weir.kafka)
        self.feeder.rate = self.arguments.rate * 10
        self.watch(SPIKE_SECONDS)
        spike, self.feeder.spike = self.feeder.spike, None
        self.feeder.rate = self.arguments.rate
        self.claim(spike.end(), f"{spike.asked:,} payments of a spike acknowledged")

    def again(self):
        first, end = max(self.feeder.row - 500, 0), self.feeder.row
        for publisher in self.publishers:
            publisher.send(first, end)

    def redrive(self):
        dead = self.watch(BACK_SECONDS_MAX, lambda: self.weir.dead_letters() == len(self.extra))
        self.teach_currency()
        self.weir.command("dlq", "redrive", "payments.dead")
        self.claim(dead is not None, f"{len(self.extra)} dead letters, sent again")
