"""Faults of production, in random order, on real processes under load."""

import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import redis
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from emotag_worker.local import LocalKafka, LocalValkey
from tests.conftest import QUIET, Topics, create_topics

from .cluster import Cluster, await_answers
from .fleet import PROPERTIES, Fleet
from .ledger import Account, Ledger
from .proxy import Proxy
from .visibility import Visibility

BACKLOG = 400
"""The backlog that the storm maintains: a fault in an idle group shows nothing."""

PATIENCE_S = 300.0
"""Time for the last result, after all faults have ended."""

CACHE_S = 10.0
"""Time for a cache that was just restarted or woken to accept a command."""

MOST_PARTITIONS = 8
"""No more partitions are added after that."""

ANY_TIME_MS = 2**63 - 1
"""The input accepts records that are dated ahead; the brokers refuse their results, whose topic has Kafka's default."""


@dataclass(frozen=True)
class Goal:
    """The end of a storm: both counts are reached, or the time is up."""

    kills: int
    broker_restarts: int
    seconds: float


@dataclass(frozen=True)
class Membership:
    """How the workers take part in their group.

    Args:
        static: the number of workers with a `group.instance.id`; the others have none.
        properties: librdkafka's, of all workers.
    """

    static: int = 2
    dynamic: int = 1
    properties: Mapping[str, object] = field(default_factory=lambda: PROPERTIES)

    @property
    def workers(self) -> int:
        """The number of workers."""
        return self.static + self.dynamic


@dataclass
class Storm:
    """One storm.

    Args:
        draw: the source of all random choices.

    Attributes:
        frozen_s: the longest time that readers of a partition waited for an open transaction of a worker.
    """

    cluster: Cluster
    cache: LocalValkey
    draw: random.Random
    membership: Membership = field(default_factory=Membership)
    faults: Counter[str] = field(default_factory=Counter)
    frozen_s: float = 0.0
    _broker_down: LocalKafka | None = None
    _heal: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def run(self, goal: Goal, told: Callable[[str], None]) -> tuple[Account, Counter[str]]:
        """Run faults until *goal*, wait until everything has settled, and count."""
        admin = AdminClient({"bootstrap.servers": self.cluster.bootstrap_servers}, logger=QUIET)
        topics = create_topics(admin, replication=3, ahead_ms=ANY_TIME_MS)
        self._ledger = ledger = Ledger(self.cluster.bootstrap_servers, topics, self.draw)
        visibility = Visibility(self.cluster.bootstrap_servers, [topics.output, topics.dlq])
        with Fleet(
            self._environment(topics),
            static=self.membership.static,
            dynamic=self.membership.dynamic,
            draw=self.draw,
            # By default, a client notices new partitions after five minutes.
            properties={**self.membership.properties, "topic.metadata.refresh.interval.ms": 5000},
            servers=self.cluster.proxied_servers,
        ) as fleet:
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
            self.frozen_s = visibility.close()
        return account, self.faults

    def _settle(self, ledger: Ledger, fleet: Fleet) -> Account:
        """Wait for all results. A worker that ends meanwhile is restarted, as always."""
        give_up_at = time.monotonic() + PATIENCE_S
        while ledger.answered < ledger.sent and time.monotonic() < give_up_at:
            ledger.read(1.0)
            fleet.tend()
        return ledger.settle(patience_s=30.0)

    def _environment(self, topics: Topics) -> dict[str, str]:
        return {
            **topics.environment(""),
            "EMOTAG_CACHE__URL": self.cache.url,
            "EMOTAG_CACHE__MEMORY_ENTRIES": "0",  # every lookup must meet the faults of Redis
            "EMOTAG_CACHE__HASH_SECRET": "of the storm",
            "EMOTAG_OUTPUT__ALL_SCORES": "true",
            # While partitions are added, the topics have different numbers of them; `auto` would then choose `key`.
            "EMOTAG_OUTPUT__PARTITION": "input",
            "EMOTAG_BATCH__MAX_RECORDS": "32",
            "EMOTAG_KAFKA__TRANSACTION_TIMEOUT_S": "6",
            "EMOTAG_KAFKA__BROKER_TIMEOUT_S": "30",
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
            (2, "isolation", self._isolate),
            (2, "upstream", self._transact_upstream),
        ]
        if self._ledger.topics.partitions < MOST_PARTITIONS:
            faults.append((1, "partitions", lambda: self._ledger.add_partitions(1)))
        if self.faults["broker_restarts"] < goal.broker_restarts:
            faults.append((4, "broker", self._harm_broker))
        weights = [weight for weight, _, _ in faults]
        ((_, name, strike),) = self.draw.choices(faults, weights)
        self.faults[name] += 1
        strike()

    def _harm_broker(self) -> None:
        """Harm one of the three brokers at a time, because a transaction needs two in sync."""
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
        how = self.draw.choice(("kill", "pause", "garbage", "full", "readonly"))
        self.faults[f"cache_{how}"] += 1
        match how:
            case "kill":
                self.cache.kill()
                self.cache.start()
            case "pause":
                self.cache.pause()
                self._later(2.0, self.cache.resume)
            case "garbage":
                self._tell_cache(self._corrupt_entries)
            case "full":
                self._tell_cache(lambda client: client.config_set("maxmemory", "1"))
                self._later(3.0, lambda: self._tell_cache(lambda client: client.config_set("maxmemory", "0")))
            case "readonly":
                self._tell_cache(lambda client: client.replicaof("127.0.0.1", "1"))
                self._later(3.0, lambda: self._tell_cache(lambda client: client.replicaof("NO", "ONE")))

    def _tell_cache(self, command: Callable[[redis.Redis], object]) -> None:
        """Run a command on the cache, which another fault may have paused or restarted just now."""
        give_up_at = time.monotonic() + CACHE_S
        while True:
            self.cache.resume()
            try:
                command(redis.Redis.from_url(self.cache.url, socket_timeout=1.0))
                return
            except (redis.ConnectionError, redis.TimeoutError):
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.1)  # there is no event to wait for

    def _corrupt_entries(self, client: redis.Redis) -> None:
        for key in client.scan_iter(count=1000):
            with contextlib.suppress(redis.ResponseError):  # the cache is full or read-only
                client.set(key, _corrupt(cast("bytes", client.get(key) or b""), self.draw))

    def _harm_network(self) -> None:
        """Harm the connections of all workers to one node."""
        node = self.draw.randrange(len(self.cluster.nodes))
        self._harm_connections("network", [own[node] for own in self.cluster.proxies])

    def _isolate(self) -> None:
        """Harm the connections of one worker: to one node, to the group's coordinator, or to all nodes."""
        own = self.draw.choice(self.cluster.proxies)
        match self.draw.choice(("node", "coordinator", "all")):
            case "node":
                self._harm_connections("isolation", [self.draw.choice(own)])
            case "coordinator":
                with contextlib.suppress(KafkaException):  # no node answers
                    coordinator = self.cluster.find_coordinator(self._ledger.topics.group)
                    self._harm_connections("isolation_from_coordinator", [own[coordinator]])
            case "all":
                self._harm_connections("isolation_from_all", own)

    def _harm_connections(self, name: str, proxies: Sequence[Proxy]) -> None:
        how = self.draw.choice(("cut", "hold", "hold", "slow"))
        self.faults[f"{name}_{how}"] += 1
        seconds = self.draw.choice((2.0, 8.0))
        for proxy in proxies:
            match how:
                case "cut":
                    proxy.cut()
                case "hold":
                    proxy.hold()
                    self._later(seconds, proxy.heal)
                case "slow":
                    proxy.slow(0.2)
                    self._later(seconds, proxy.heal)

    def _transact_upstream(self) -> None:
        """Let a producer of the input commit or abort a transaction, at once or after a while."""
        transaction = self._ledger.open_transaction(self.draw.randint(1, 60))
        how, end = self.draw.choice((("commit", transaction.commit), ("abort", transaction.abort)))
        self.faults[f"upstream_{how}"] += 1
        self._later(self.draw.choice((0.0, 4.0)), end)

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        self._heal.append((time.monotonic() + seconds, what))

    def _heal_what_is_due(self, now: float) -> None:
        due = [what for at, what in self._heal if at <= now]
        self._heal = [(at, what) for at, what in self._heal if at > now]
        for what in due:
            what()


def _corrupt(entry: bytes, draw: random.Random) -> bytes:
    """Return the entry cut off, extended, with one bit flipped, or replaced."""
    match draw.randrange(4):
        case 0:
            return entry[: draw.randrange(len(entry) + 1)]
        case 1:
            return entry + draw.randbytes(draw.randrange(1, 9))
        case 2 if entry:
            bit = draw.randrange(8 * len(entry))
            return (int.from_bytes(entry) ^ (1 << bit)).to_bytes(len(entry))
    return draw.randbytes(draw.randrange(200))
