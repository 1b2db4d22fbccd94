"""What every run of the pipeline shares: its processes, what it shows and claims, its end."""
import json
import os
import time

from .alerts import Alerts
from .audit import DECISIONS, Audit, read
from .data import Data
from .feeder import Feeder, Labels
from .processes import Process, Publisher, Watcher
from .screen import Screen, number
from .tally import TOPICS, Tally
from .weir import BrokerError, Weir, free_port

BUDGET_MS = 2000
FIRST_SECONDS_MAX = 30
BACK_SECONDS_MAX = 30
DRAIN_SECONDS_MAX = 60
IDLE_SECONDS_MAX = 30


class Story:
    """Owns all processes; every one started here is ended in end_all."""

    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.folder = folder
        self.screen = Screen(arguments.plain)
        self.weir = Weir(arguments.weir, folder)
        self.tally = Tally()
        self.alerts = Alerts()
        self.model_port = free_port()
        self.model = self.watcher = self.feeder = self.labels = None
        self.publishers = []
        self.extra = []  # tx_ids beside the rows
        self.claims = []
        self.steps = 0
        self.workers_most = 0
        self.started = time.monotonic()

    # What is shown

    def step(self, text):
        self.steps += 1
        self.screen.step(self.steps, text)

    def announce(self, text):
        self.screen.say(text)

    def say(self, text):
        for line in text.split("\n"):
            self.screen.say("   " + line)

    def claim(self, held, text):
        self.claims.append((bool(held), text))
        self.say(("-> " if held else "-> FAILED: ") + text)
        return held

    def claim_in_time(self, held, text):
        """What a slow machine cannot be blamed for."""
        if self.arguments.slow:
            self.say(f"-> {text}")
            return True
        return self.claim(held, text)

    def status(self, now=False):
        rate, p50, p99 = self.tally.window()
        shares, caught, right = self.tally.quality()
        workers = sum(self.weir.workers().values())
        self.workers_most = max(self.workers_most, workers)
        self.screen.status([
            f"payments {rate:,.0f}/s -> validate -> card -> terminal -> model -> decide   "
            f"p50 {number(p50)}  p99 {number(p99)} ms  (budget {BUDGET_MS:,})",
            f"approved {shares[TOPICS[0]]:.1f} %  review {shares[TOPICS[1]]:.1f} %  "
            f"rejected {shares[TOPICS[2]]:.1f} % | fraud caught {number(caught, 0)} %, alarms "
            f"right {number(right, 0)} % | workers {workers} | dead letters "
            f"{number(self.weir.dead_letters(), 0)} | breaker {self.weir.breaker()}"], now)

    def watch(self, seconds, until=None):
        """Shows the moment for so long, or until it is so; returns seconds, None: it was not."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            self.check_alive()
            if until and until():
                return time.monotonic() - began
            self.status()
            time.sleep(0.2)
        return None if until and not until() else seconds

    def check_alive(self):
        if self.feeder and self.feeder.error:
            raise BrokerError(f"the feeder: {self.feeder.error!r}")
        for process in [*self.publishers, self.watcher]:
            if process and process.ended_early():
                raise BrokerError(f"{process.name} ended\n{process.errors_end()}")
        if self.weir.process and self.weir.process.poll() is not None:
            raise BrokerError("weir ended\n" + self.weir.log_end())

    # The steps

    def start_process(self, kind, name, script, *arguments):
        return kind(name, self.folder, script, *arguments)

    def start_model(self):
        path = os.path.join(os.path.dirname(__file__), "..", "model.json")
        self.model = Process("model-server", self.folder, "model_server.py", path, self.model_port)

    def start(self):
        self.step("Start weir on an empty folder, and declare the pipeline")
        ready = self.weir.start()
        self.say(f"weir serve --data {self.weir.data} --kafka {self.weir.kafka} "
                 f"--http {self.weir.http}\nready in {ready * 1000:.0f} ms")
        self.start_model()
        documents = self.weir.pipeline(f"127.0.0.1:{self.model_port}", self.alerts.address)
        applied = self.weir.apply(documents).splitlines()
        self.say(f"weir apply -f examples/fraud/pipeline.yaml: {len(applied)} documents")
        self.data = Data(self.folder, self.arguments.payments)
        self.say(f"{self.data.count:,} simulated payments of {self.data.day[-1] + 1} days are "
                 "ready to be made")
        self.claim(sum(self.weir.workers().values()) == 0, "no worker runs: there is no work")

    def start_clients(self):
        weir, data = self.weir, self.data
        self.watcher = Watcher(self.tally, "watch", self.folder, "watch.py", weir.kafka,
                               data.frauds_path)
        endpoint = f"http://{weir.http}/topics/payments/api/events"
        self.publishers = [
            self.start_process(Publisher, "publish-eventgrid", "publish_eventgrid.py",
                               data.payments_path, endpoint, 0, 2),
            self.start_process(Publisher, "publish-kafka", "publish_kafka.py",
                               data.payments_path, weir.kafka, 1, 2)]
        self.labels = Labels(weir.kafka, data)
        self.feeder = Feeder(data, self.publishers, self.labels,
                             2 if self.arguments.twice else 1)
        self.feeder.start()

    def waiting(self):
        return self.sent() - self.tally.decided()

    def sent(self):
        return self.feeder.row + len(self.extra)

    def publish_poison(self):
        """A payment in a currency that is not in the table, by a Kafka client."""
        row = self.data.count + len(self.extra)
        payment = {**json.loads(self.data.lines[0]), "tx_id": row, "currency": "XTS",
                   "sent": time.time() * 1000}
        self.labels.producer.send("payments", json.dumps(payment).encode(),
                                  key=str(payment["customer"]).encode()).get(timeout=30)
        self.extra.append(row)

    def teach_currency(self):
        with open(self.weir.currencies, "a", encoding="utf-8") as table:
            table.write("XTS\n")

    def settle(self):
        self.step("No more payments")
        self.feeder.rate = 0
        self.watch(DRAIN_SECONDS_MAX, self.feeder.acked)
        self.feeder.stop()
        drained = self.watch(DRAIN_SECONDS_MAX, lambda: self.waiting() <= 0)
        self.claim(drained is not None, "all that was sent is decided")
        alerted = self.watch(BACK_SECONDS_MAX, lambda: self.alerts.count()
                             == self.tally.counts["payments.rejected"])
        self.claim(alerted is not None, f"the webhook was told of all {self.alerts.count():,} "
                   "rejected payments")

    def to_zero(self):
        none = self.watch(IDLE_SECONDS_MAX, lambda: sum(self.weir.workers().values()) == 0)
        self.claim(none is not None and self.workers_most > 0,
                   f"workers 0 -> {self.workers_most} -> 0")
        self.status(now=True)

    def audit(self):
        self.step("Read all topics back with a Kafka client, and compare by tx_id")
        self.watcher.stop(gently=False)
        self.watcher = None
        sent = set(range(self.feeder.row)) | set(self.extra)
        stored = set(read(self.weir.kafka, ["payments"]))
        self.claim(stored == sent, f"{len(stored):,} payments are stored, {len(sent):,} were "
                   "acknowledged")
        self.result = Audit(sent, read(self.weir.kafka, DECISIONS))

    # The end

    def summary(self):
        self.screen.say("\nSummary")
        for held, text in self.claims:
            self.screen.say(f"   {'ok    ' if held else 'FAILED'}  {text}")
        self.screen.say("\n" + self.result.line())
        self.endpoints()
        return self.result.holds() and all(held for held, _ in self.claims)

    def endpoints(self):
        kafka, http = self.weir.kafka, self.weir.http
        self.screen.say(
            f"\nKafka:       bootstrap.servers={kafka}\n"
            f"Event Grid:  endpoint http://{http}/topics/payments/api/events, any key\n"
            f"HTTP:        curl -s 'http://{http}/topics/payments.rejected?max=3'\n"
            f"             curl -s http://{http}/metrics\n"
            f"commands:    export WEIR_SERVER=http://{http} WEIR_BROKER={kafka}\n"
            f"             weir get functions; weir trace {self.feeder.row - 1}; weir dlq list")

    def stay_up(self):
        print("\nweir stays up until Ctrl-C", flush=True)
        self.weir.process.wait()

    def end_all(self):
        """Ends every process of the show; returns weir's exit status."""
        if self.feeder:
            self.feeder.stopping = True
        for process in [*self.publishers, self.watcher, self.model]:
            if process:
                process.stop(gently=False)
        self.alerts.stop()
        return self.weir.stop()
