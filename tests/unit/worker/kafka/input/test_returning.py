"""A worker whose last run the group has not removed yet."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError

from emotag_worker.errors import IdentityHeld
from emotag_worker.kafka.broker_errors import HELD
from emotag_worker.kafka.input import returning
from emotag_worker.kafka.input.source import KafkaSource
from emotag_worker.observability.telemetry import Telemetry
from tests.unit.worker.kafka.scripted import (
    TOPIC,
    ScriptedConsumer,
    ScriptedMessage,
    Turn,
    no_positions,
    nothing,
    nothing_forgotten,
    places,
)

REFUSED = KafkaError(KafkaError._FATAL, f"Fatal error: Broker: {HELD} in the consumer group")


class Joining(ScriptedConsumer):
    """A KIP-848 client: its member epoch shows that it is a member; without it, the coordinator has not responded."""

    is_member = False

    def consumer_group_metadata(self) -> str:
        return super().consumer_group_metadata() if self.is_member else "no member"


class Refused(Joining):
    def close(self) -> None:
        pass


def subscribe(consumers: list[ScriptedConsumer]) -> KafkaSource:
    """Return a source whose clients are *consumers*, one after the other."""
    source = KafkaSource(TOPIC, deadline_s=1, telemetry=Telemetry(), positions=no_positions(), broker_assigns=True)
    source.attach(cast("Callable[[], Consumer]", lambda: consumers.pop(0)))
    source.subscribe(before_revoke=nothing, when_lost=nothing_forgotten)
    return source


def refuse() -> ScriptedConsumer:
    return Refused([Turn(message=ScriptedMessage(failure=REFUSED))])


def poll_often(source: KafkaSource) -> None:
    for _ in range(100):
        places(source)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """A clock that only pauses move."""
    times = [1_000.0]

    def sleep(seconds: float) -> None:
        times[0] += seconds

    fake: Any = type("Clock", (), {"monotonic": staticmethod(lambda: times[0]), "sleep": staticmethod(sleep)})
    monkeypatch.setattr(returning, "time", fake)
    return lambda: times[0]


def test_a_worker_joins_with_new_clients_until_its_last_session_has_ended(clock: Callable[[], float]) -> None:
    """The client calls the refusal fatal, and never joins again."""
    source = subscribe([refuse(), refuse(), ScriptedConsumer([Turn(assigned=[0], message=ScriptedMessage((0, 5)))])])
    assert [[], [], [(0, 5)]] == [places(source) for _ in range(3)]
    assert clock() == 1_000 + 2 * returning.TRY_S
    assert 1 == source.assigned


def test_an_identity_that_is_held_longer_than_any_session_is_that_of_another_worker(clock: Callable[[], float]) -> None:
    source = subscribe([refuse() for _ in range(100)])
    with pytest.raises(IdentityHeld, match="give each worker its own"):
        poll_often(source)
    assert clock() - 1_000 == pytest.approx(returning.RELEASE_S, abs=2 * returning.TRY_S)


@pytest.mark.usefixtures("clock")
def test_a_worker_whose_identity_is_held_has_not_joined() -> None:
    source = subscribe([refuse(), Joining([Turn(), Turn(assigned=[0])])])
    joined = [source.joined]
    for _ in range(3):
        places(source)
        joined.append(source.joined)
    assert [False, False, False, True] == joined


def test_a_worker_without_partitions_has_joined_when_its_client_is_a_member() -> None:
    """The client does not report an empty assignment: a worker that waits for it would never be ready."""
    source = subscribe([client := Joining([Turn(), Turn(), Turn(lost=[])])])
    joined = []
    for client.is_member in (False, True, True):
        places(source)
        joined.append(source.joined)
    assert [False, True, True] == joined


def test_a_worker_that_the_group_has_removed_has_joined_when_it_is_a_member_again() -> None:
    source = subscribe([client := Joining([Turn(assigned=[0]), Turn(lost=[0]), Turn(), Turn()])])
    client.is_member = True
    joined = []
    for client.generation in (1, 1, 1, 2):
        places(source)
        joined.append(source.joined)
    assert [True, False, False, True] == joined


def test_a_worker_without_partitions_has_returned_when_its_client_is_a_member(clock: Callable[[], float]) -> None:
    """If the group refuses it later, for example after a restart of the brokers, it tries again as long as at first."""
    member = Refused([Turn(), Turn(message=ScriptedMessage(failure=REFUSED))])
    member.is_member = True
    source = subscribe([refuse(), member, *(refuse() for _ in range(100))])
    places(source)
    places(source)
    returning.time.sleep(returning.RELEASE_S)  # type: ignore[attr-defined]
    began = clock()
    with pytest.raises(IdentityHeld):
        poll_often(source)
    assert clock() - began == pytest.approx(returning.RELEASE_S, abs=2 * returning.TRY_S)


def test_each_return_has_the_whole_time(clock: Callable[[], float]) -> None:
    once = returning.Return()
    assert once.await_next_try()
    once.note_success()
    for _ in range(int(returning.RELEASE_S)):
        assert once.await_next_try()
