"""What a member of the group makes of rebalances, errors and odd records."""

from collections.abc import Callable, Mapping

import pytest
from confluent_kafka import KafkaError

from worker import errors
from worker.offsets import Partition
from worker.source import Source
from worker.telemetry import Telemetry

from .scripted import TOPIC, ScriptedConsumer, ScriptedMessage, Turn, source_of


def nothing() -> None:
    pass


def nothing_forgotten() -> Mapping[Partition, int]:
    return {}


def subscribed(
    *turns: Turn,
    before_revoke: Callable[[], None] = nothing,
    when_lost: Callable[[], Mapping[Partition, int]] = nothing_forgotten,
) -> tuple[Source, ScriptedConsumer]:
    """A source that owns partitions 0 and 1, and the consumer behind it with *turns* to come."""
    consumer = ScriptedConsumer([Turn(assigned=[0, 1]), *turns])
    source = source_of(consumer)
    source.subscribe(before_revoke=before_revoke, when_lost=when_lost)
    assert [] == source.poll(10, 1_000_000, timeout_s=0)
    return source, consumer


def places(source: Source) -> list[tuple[int, int]]:
    return [(record.partition, record.offset) for record in source.poll(10, 1_000_000, timeout_s=0)]


def joined_after_each_of(polls: int, source: Source) -> list[bool]:
    found = []
    for _ in range(polls):
        assert [] == places(source)
        found.append(source.joined)
    return found


def test_a_record_that_comes_beside_a_failed_revoke_is_read_again() -> None:
    """One poll revoked partition 0, whose last step was aborted, and returned a record of partition 1, which stays."""

    def aborted() -> None:
        raise errors.StepAborted("aborted")

    source, consumer = subscribed(
        Turn(message=ScriptedMessage((1, 7))),
        Turn(revoked=[0], message=ScriptedMessage((1, 8))),
        before_revoke=aborted,
    )
    with pytest.raises(errors.StepAborted):
        source.poll(10, 1_000_000, timeout_s=0)
    assert {1: 7} == consumer.seeks


def test_a_record_that_comes_alone_beside_a_failed_revoke_is_read_again_too() -> None:
    def aborted() -> None:
        raise errors.StepAborted("aborted")

    source, consumer = subscribed(Turn(revoked=[0], message=ScriptedMessage((1, 8))), before_revoke=aborted)
    with pytest.raises(errors.StepAborted):
        source.poll(10, 1_000_000, timeout_s=0)
    assert {1: 8} == consumer.seeks


def test_records_of_revoked_partitions_are_left_to_their_new_owner() -> None:
    """Those gathered before the revoke go, those of partitions that stay remain; what is under way is finished."""
    finished: list[str] = []
    source, consumer = subscribed(
        Turn(message=ScriptedMessage((0, 3))),
        Turn(message=ScriptedMessage((1, 5))),
        Turn(revoked=[0], message=ScriptedMessage((1, 6))),
        before_revoke=lambda: finished.append("finished"),
    )
    assert [(1, 5), (1, 6)] == places(source)
    assert ["finished"] == finished
    assert 1 == source.assigned
    source.rewind({("texts", 0): 3, ("texts", 1): 5})
    assert {1: 5} == consumer.seeks


def test_partitions_that_are_lost_are_not_worked_on_any_more() -> None:
    """Another worker may be at them already: nothing is finished, all is forgotten."""
    told: list[str] = []

    def forget() -> Mapping[Partition, int]:
        told.append("forget")
        return {(TOPIC, 0): 2, (TOPIC, 1): 5}

    source, consumer = subscribed(
        Turn(message=ScriptedMessage((0, 3))),
        Turn(lost=[0, 1]),
        before_revoke=lambda: told.append("finish"),
        when_lost=forget,
    )
    assert [] == places(source)
    assert ["forget"] == told
    assert 0 == source.assigned
    assert {} == consumer.seeks


def test_a_worker_for_whom_no_partition_is_left_has_joined_all_the_same() -> None:
    """A rollout starts workers beyond the partitions, and waits until they are ready."""
    source = source_of(consumer := ScriptedConsumer([Turn(), Turn(assigned=[])]))
    source.subscribe(before_revoke=nothing, when_lost=nothing_forgotten)
    assert [False, True] == joined_after_each_of(2, source)
    assert 0 == source.assigned
    assert [] == consumer.turns


def test_a_worker_that_lost_its_partitions_has_not_joined_until_it_is_assigned_anew() -> None:
    source, _ = subscribed(Turn(lost=[0, 1]), Turn(assigned=[]))
    assert source.joined
    assert [False, True] == joined_after_each_of(2, source)


def test_where_the_broker_assigns_a_worker_counts_as_joined() -> None:
    """Its client says nothing of an empty assignment: a worker that waited for it would never be ready."""
    assert Source(TOPIC, deadline_s=1, telemetry=Telemetry(), broker_assigns=True).joined


def test_what_was_forgotten_with_lost_partitions_and_is_still_ours_is_read_again() -> None:
    """A step may hold records of both; so may the very poll that tells of the loss."""
    source, consumer = subscribed(
        Turn(message=ScriptedMessage((1, 7))),
        Turn(lost=[0], message=ScriptedMessage((1, 8))),
        when_lost=lambda: {(TOPIC, 0): 2, (TOPIC, 1): 5},
    )
    assert [] == places(source)
    assert {1: 5} == consumer.seeks


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (KafkaError.INCONSISTENT_GROUP_PROTOCOL, errors.GroupRefused),
        (KafkaError.INVALID_SESSION_TIMEOUT, errors.GroupRefused),
        (KafkaError._AUTO_OFFSET_RESET, errors.OffsetGone),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, errors.TopicMissing),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, errors.StopWorker),
    ],
)
def test_an_error_that_will_not_pass_stops_the_worker(code: int, expected: type[errors.StopWorker]) -> None:
    """The client would ask again for ever, and the worker idle in silence."""
    source, _ = subscribed(Turn(message=ScriptedMessage(failure=KafkaError(code))))
    with pytest.raises(expected):
        source.poll(10, 1_000_000, timeout_s=0)


def test_an_error_that_may_pass_is_logged_and_reading_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    source, _ = subscribed(
        Turn(message=ScriptedMessage(failure=KafkaError(KafkaError._MAX_POLL_EXCEEDED))),
        Turn(message=ScriptedMessage((0, 1))),
    )
    seen: list[str] = []
    monkeypatch.setattr(source._telemetry, "broker_error", seen.append)
    assert [(0, 1)] == places(source)
    assert ["_MAX_POLL_EXCEEDED"] == seen


def test_the_same_error_is_logged_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers that are gone give dozens a second, among which no other line would be seen."""
    source, _ = subscribed()
    seen: list[str] = []
    monkeypatch.setattr(source._telemetry, "broker_error", seen.append)
    for code in [KafkaError._TRANSPORT, KafkaError._RESOLVE, KafkaError._TRANSPORT] * 20:
        source.note_error(KafkaError(code))
    assert ["_TRANSPORT", "_RESOLVE"] == seen


def test_a_refusal_that_only_the_error_callback_hears_stops_the_worker() -> None:
    """A wrong password shows nowhere else."""
    source, _ = subscribed()
    source.note_error(KafkaError(KafkaError._AUTHENTICATION))
    with pytest.raises(errors.StopWorker, match="refuse this client"):
        source.poll(10, 1_000_000, timeout_s=0)


@pytest.mark.parametrize(
    ("code", "said", "check"),
    [
        (
            KafkaError._AUTHENTICATION,
            "sasl_ssl://b:9092/1: SASL authentication error: invalid credentials (after 3ms in state AUTH_REQ)",
            "sasl.password in EMOTAG_KAFKA__PROPERTIES",
        ),
        (
            KafkaError._SSL,
            "ssl://b:9092/1: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker "
            "certificate could not be verified, verify that ssl.ca.location is correctly configured or root CA "
            "certificates are installed (brew install openssl) (after 9ms in state SSL_HANDSHAKE)",
            "ssl.ca.location in EMOTAG_KAFKA__PROPERTIES",
        ),
        (
            KafkaError._TRANSPORT,
            "ssl://b:9092/1: Receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate required: SSL alert "
            "number 116 (after 0ms in state APIVERSION_QUERY)",
            "ssl.certificate.location and ssl.key.location in EMOTAG_KAFKA__PROPERTIES",
        ),
        (
            KafkaError._SSL,
            "ssl://b:9092/1: SSL handshake failed: error:0A000418:SSL routines::tlsv1 alert unknown ca: SSL alert "
            "number 48 (after 2ms in state SSL_HANDSHAKE)",
            "ssl.certificate.location",
        ),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, "Broker: Group authorization failed", "the ACLs of its user"),
    ],
)
def test_whoever_is_not_let_in_is_told_what_to_check(code: int, said: str, check: str) -> None:
    """And who said what, without the client's own timings and the advice it has for other machines."""
    source, _ = subscribed()
    source.note_error(KafkaError(code, said))
    source.note_error(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
    with pytest.raises(errors.Denied) as caught:
        source.poll(10, 1_000_000, timeout_s=0)
    assert check in str(caught.value)
    assert "brew" not in str(caught.value)
    assert "in state" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (KafkaError._SSL, "ssl://b:9092/1: SSL handshake failed: error:0A000126:SSL routines::unexpected eof"),
        (
            KafkaError._TRANSPORT,
            "ssl://b:9092/1: SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker?",
        ),
        (KafkaError._TRANSPORT, "ssl://b:9092/1: Connect to ipv4#10.0.0.1:9092 failed: Connection refused"),
    ],
)
def test_a_connection_that_breaks_off_is_no_refusal(code: int, said: str) -> None:
    """Brokers that restart do that: there is a deadline for it."""
    source, _ = subscribed(Turn(message=ScriptedMessage((0, 1))))
    source.note_error(KafkaError(code, said))
    assert [(0, 1)] == places(source)


@pytest.mark.parametrize(
    ("code", "expected"), [(KafkaError.FENCED_INSTANCE_ID, errors.Fenced), (KafkaError._FATAL, errors.StopWorker)]
)
def test_only_who_was_replaced_is_told_so(code: int, expected: type[errors.StopWorker]) -> None:
    failure = KafkaError(code, "for good", True)
    source, _ = subscribed(Turn(message=ScriptedMessage(failure=failure)))
    with pytest.raises(errors.StopWorker) as caught:
        source.poll(10, 1_000_000, timeout_s=0)
    assert expected is type(caught.value)


def test_headers_the_client_cannot_read_are_told_from_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka lets a name through that is no UTF-8; the client raises SystemError for it."""

    def unreadable(_: ScriptedMessage) -> None:
        raise SystemError

    monkeypatch.setattr(ScriptedMessage, "headers", unreadable)
    source, _ = subscribed(Turn(message=ScriptedMessage((0, 1))))
    (record,) = source.poll(10, 1_000_000, timeout_s=0)
    assert record.headers is None


def test_a_poll_ends_with_the_record_that_fills_the_bytes_of_a_step() -> None:
    """However few records that is: memory is bounded by what is in them, not by how many they are."""
    turns = [Turn(message=ScriptedMessage((0, offset), b"x" * 100)) for offset in range(5)]
    source, _ = subscribed(*turns)
    assert [3, 2] == [len(source.poll(10, 250, timeout_s=0)) for _ in range(2)]
