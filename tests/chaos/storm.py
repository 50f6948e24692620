"""Everything that happens in production, in random order, to real processes under load."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import redis
from confluent_kafka.admin import AdminClient

from tests.conftest import QUIET, Topics, create_topics
from worker.local import LocalKafka, LocalValkey

from .cluster import Cluster, await_answers
from .fleet import Fleet
from .ledger import Account, Ledger

BACKLOG = 400
"""Unanswered records that are kept lying there: a fault that strikes an idle group shows nothing."""

PATIENCE_S = 300.0
"""For the last answer, once all is well again."""


@dataclass(frozen=True)
class Goal:
    """When it is enough: both counts are reached, or the time is up."""

    kills: int
    broker_restarts: int
    seconds: float


@dataclass
class Storm:
    """One run.

    Args:
        draw: decides everything that is left to chance.
    """

    cluster: Cluster
    cache: LocalValkey
    draw: random.Random
    faults: Counter[str] = field(default_factory=Counter)
    _broker_down: LocalKafka | None = None
    _heal: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def run(self, goal: Goal, told: Callable[[str], None]) -> tuple[Account, Counter[str]]:
        """Storm until *goal*, then let all settle and count."""
        admin = AdminClient({"bootstrap.servers": self.cluster.bootstrap_servers}, logger=QUIET)
        topics = create_topics(admin, replication=3)
        ledger = Ledger(self.cluster.bootstrap_servers, topics, self.draw)
        with Fleet(self._environment(topics), static=2, dynamic=1, draw=self.draw) as fleet:
            ledger.write(BACKLOG)
            fleet.launch()
            give_up_at = time.monotonic() + goal.seconds
            while not self._enough(goal, fleet) and time.monotonic() < give_up_at:
                ledger.write(max(0, BACKLOG - (ledger.sent - ledger.answered)))
                self._strike(fleet, goal)
                ledger.read(self.draw.uniform(0.3, 2.0))
                fleet.tend()
                self._heal_what_is_due(time.monotonic())
                told(f"{ledger.sent} sent, {ledger.answered} answered, {dict(self.faults)}")
            self._heal_what_is_due(float("inf"))
            self._broker_back()
            await_answers(self.cluster.nodes)
            fleet.settle()
            account = self._settle(ledger, fleet)
            self.faults["kills"] = fleet.kills
            self.faults["ended_by_themselves"] = len(fleet.ended)
        return account, self.faults

    def _settle(self, ledger: Ledger, fleet: Fleet) -> Account:
        """A worker that gives up meanwhile is started again, as ever."""
        give_up_at = time.monotonic() + PATIENCE_S
        while ledger.answered < ledger.sent and time.monotonic() < give_up_at:
            ledger.read(1.0)
            fleet.tend()
        return ledger.settle(patience_s=30.0)

    def _environment(self, topics: Topics) -> dict[str, str]:
        return {
            **topics.environment(self.cluster.proxied_servers),
            "EMOTAG_CACHE__URL": self.cache.url,
            "EMOTAG_CACHE__KEY": "of the storm",
            "EMOTAG_OUTPUT__ALL_SCORES": "true",
            "EMOTAG_MODEL__PRECISION": "fp32",
            "EMOTAG_MODEL__ENGINE": "openvino",
            "EMOTAG_BATCH__MAX_RECORDS": "32",
            "EMOTAG_KAFKA__TRANSACTION_TIMEOUT_S": "6",
            "EMOTAG_KAFKA__UNAVAILABLE_S": "30",
        }

    def _enough(self, goal: Goal, fleet: Fleet) -> bool:
        return fleet.kills >= goal.kills and self.faults["broker_restarts"] >= goal.broker_restarts

    def _strike(self, fleet: Fleet, goal: Goal) -> None:
        faults: list[tuple[float, str, Callable[[], None]]] = [
            (6, "kill", fleet.kill),
            (6, "doom", fleet.doom),
            (2, "pause", fleet.pause),
            (2, "leave", fleet.leave),
            (2, "cache", self._harm_cache),
            (2, "network", self._harm_network),
        ]
        if self.faults["broker_restarts"] < goal.broker_restarts:
            faults.append((4, "broker", self._harm_broker))
        weights = [weight for weight, _, _ in faults]
        ((_, name, strike),) = self.draw.choices(faults, weights)
        self.faults[name] += 1
        strike()

    def _harm_broker(self) -> None:
        """One of the three at a time: two in sync are what a transaction needs."""
        self._broker_back()
        node = self.draw.choice(self.cluster.nodes)
        how = self.draw.choice(("stop", "kill", "kill", "pause"))
        self.faults[f"broker_{how}"] += 1
        if how == "pause":
            node.pause()
            self._later(self.draw.choice((3.0, 9.0)), node.resume)
            self._broker_down = node
            return
        node.stop() if how == "stop" else node.kill()
        self._broker_down = node
        self.faults["broker_restarts"] += 1
        self._later(self.draw.uniform(0.0, 6.0), node.launch)

    def _broker_back(self) -> None:
        if self._broker_down is not None:
            self._heal_what_is_due(float("inf"))
            await_answers(self.cluster.nodes)
            self._broker_down = None

    def _harm_cache(self) -> None:
        how = self.draw.choice(("kill", "pause", "rubbish", "full", "readonly"))
        self.faults[f"cache_{how}"] += 1
        if how == "kill":
            self.cache.kill()
            self.cache.start()
        elif how == "pause":
            self.cache.pause()
            self._later(2.0, self.cache.resume)
        elif self._broker_down is None or not self._heal:  # a paused cache would not answer
            self._heal_what_is_due(float("inf"))
            client = self._client()
            if how == "rubbish":
                for key in client.scan_iter(count=1000):
                    client.set(key, _harmed(cast("bytes", client.get(key) or b""), self.draw))
            elif how == "full":
                client.config_set("maxmemory", "1")
                self._later(3.0, self._cache_empty_again)
            else:
                client.replicaof("127.0.0.1", "1")
                self._later(3.0, self._cache_writable_again)

    def _cache_empty_again(self) -> None:
        self._client().config_set("maxmemory", "0")

    def _cache_writable_again(self) -> None:
        self._client().replicaof("NO", "ONE")

    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(self.cache.url)

    def _harm_network(self) -> None:
        proxy = self.draw.choice(self.cluster.proxies)
        how = self.draw.choice(("cut", "hold", "slow"))
        self.faults[f"network_{how}"] += 1
        if how == "cut":
            proxy.cut()
            return
        proxy.hold() if how == "hold" else proxy.slow(0.2)
        self._later(self.draw.choice((2.0, 8.0)), proxy.heal)

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        self._heal.append((time.monotonic() + seconds, what))

    def _heal_what_is_due(self, now: float) -> None:
        due = [what for at, what in self._heal if at <= now]
        self._heal = [(at, what) for at, what in self._heal if at > now]
        for what in due:
            what()


def _harmed(entry: bytes, draw: random.Random) -> bytes:
    """Cut short, made longer, one bit turned, or something else altogether."""
    match draw.randrange(4):
        case 0:
            return entry[: draw.randrange(len(entry) + 1)]
        case 1:
            return entry + draw.randbytes(draw.randrange(1, 9))
        case 2 if entry:
            bit = draw.randrange(8 * len(entry))
            return (int.from_bytes(entry) ^ (1 << bit)).to_bytes(len(entry))
    return draw.randbytes(draw.randrange(200))
