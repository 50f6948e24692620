"""Brokers that restart, freeze or are hard to reach, under a worker that continues when they are back."""

import random
import time
from collections.abc import Callable, Iterator
from typing import Self

import pytest
from confluent_kafka.admin import AdminClient

from emotag_worker.local import LocalKafka
from emotag_worker.local.server import LocalServer, find_free_ports
from tests.conftest import QUIET, create_topics
from tests.stream import Place, Reader, send, text

from .rig.fleet import Fleet
from .rig.proxy import Proxy

COUNT = 400
BROKER_TIMEOUT_S = 60
"""The default of `EMOTAG_KAFKA__BROKER_TIMEOUT_S`."""

HELD_S = 7.0
"""Time without a byte on a connection, longer than a session."""


class Work:
    """A supervised worker under load.

    Args:
        address: of the brokers, as the worker reaches them.
        transaction_timeout_s: after this time the broker aborts an open transaction.
    """

    def __init__(self, broker: LocalKafka, address: str, *, transaction_timeout_s: int = 15) -> None:
        self._broker = broker
        self._topics = create_topics(AdminClient({"bootstrap.servers": broker.bootstrap_servers}, logger=QUIET))
        self._placed: set[Place] = set()
        self.send()
        self._reader = Reader(broker.bootstrap_servers, self._topics)
        environment = {
            **self._topics.environment(address),
            "EMOTAG_KAFKA__TRANSACTION_TIMEOUT_S": str(transaction_timeout_s),
            "EMOTAG_BATCH__MAX_RECORDS": "16",
        }
        self.fleet = Fleet(environment, static=1, dynamic=0, draw=random.Random(0))

    def __enter__(self) -> Self:
        self.fleet.launch()
        while self._reader.read.answered < 50:
            self.go_on(0.2)
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self.fleet.__exit__()

    def send(self) -> None:
        """Send `COUNT` more texts."""
        texts = [text(f"so sad {len(self._placed) + number}") for number in range(COUNT)]
        self._placed |= send(self._broker.bootstrap_servers, self._topics.input, texts).keys()

    def go_on(self, seconds: float) -> None:
        """Read results; restart the worker if it has ended, like a supervisor."""
        self._reader.take_for(seconds)
        self.fleet.tend()

    def finish(self) -> None:
        """Check that each record has one result, with a new consumer: the old one may be stuck after the fault."""
        self._reader.close()
        self._reader = Reader(self._broker.bootstrap_servers, self._topics)
        give_up_at = time.monotonic() + 90
        while self._reader.read.answered < len(self._placed) and time.monotonic() < give_up_at:
            self.go_on(0.5)
        read = self._reader.until(len(self._placed), timeout_s=30)
        assert dict.fromkeys(self._placed, 1) == read.times()


@pytest.mark.timeout(240)
def test_a_broker_that_restarts_in_order_is_waited_for(own_kafka: LocalKafka) -> None:
    """The worker continues, or, if its client is stuck, its successor does, long before the deadline.

    No records are in flight: a single broker that stops may forget the markers of a transaction that it has
    just accepted (docs/guarantees.md). Three do not, and are stopped under load in test_storm.py.
    """
    with Work(own_kafka, own_kafka.bootstrap_servers) as work:
        work.finish()
        own_kafka.stop()
        work.go_on(1.0)  # the fault itself: no broker at all
        own_kafka.start()
        began = time.monotonic()
        work.send()
        work.finish()
        # A stuck client ends after 17 s at the earliest; then a worker starts.
        assert time.monotonic() - began < 0.75 * BROKER_TIMEOUT_S, work.fleet.log_tails()


@pytest.mark.timeout(240)
def test_a_broker_that_freezes_past_every_time_out_loses_and_repeats_nothing(own_kafka: LocalKafka) -> None:
    """The freeze is longer than the session and transaction timeouts: the open transaction is aborted and repeated."""
    with Work(own_kafka, own_kafka.bootstrap_servers, transaction_timeout_s=3) as work:
        own_kafka.pause()
        time.sleep(9.0)  # the fault itself
        own_kafka.resume()
        work.finish()


@pytest.fixture
def far_kafka(shown_on_failure: Callable[[LocalServer], None]) -> Iterator[tuple[LocalKafka, Proxy]]:
    """A broker, and the proxy through which a worker reaches it."""
    (inner,) = find_free_ports(1)
    with Proxy(inner) as proxy:
        broker = LocalKafka()
        direct, controller = broker.bootstrap_servers, f"CONTROLLER://127.0.0.1:{broker.controller_port}"
        broker.properties |= {
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "listeners": f"PLAINTEXT://{direct},PROXIED://127.0.0.1:{inner},{controller}",
            "advertised.listeners": f"PLAINTEXT://{direct},PROXIED://127.0.0.1:{proxy.port}",
        }
        with broker:
            broker.start()
            shown_on_failure(broker)
            yield broker, proxy
            broker.kill()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("how", ["cut", "slow", "half-open"])
def test_connections_that_are_cut_slow_or_half_open_lose_and_repeat_nothing(
    far_kafka: tuple[LocalKafka, Proxy], how: str
) -> None:
    broker, proxy = far_kafka
    with Work(broker, f"127.0.0.1:{proxy.port}") as work:
        for _ in range(3):
            if how == "cut":
                proxy.cut()
            elif how == "slow":
                proxy.slow(0.3)
            else:
                proxy.hold()
            work.go_on(HELD_S if how == "half-open" else 3.0)
            proxy.heal()
            work.go_on(1.0)
        work.finish()
