"""Partitions that the client stopped are continued: at once, later, or never."""

import time
from collections.abc import Sequence
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from structlog.testing import capture_logs

from emotag_worker.errors import BrokerUnavailable, DataLoss
from emotag_worker.kafka.input import positions as positions_
from emotag_worker.kafka.input.positions import Positions
from emotag_worker.kafka.input.progress import ReadProgress
from emotag_worker.kafka.input.start import START_NOTE
from emotag_worker.kafka.offsets import Committed
from emotag_worker.observability.telemetry import Telemetry
from tests.unit.worker.kafka.scripted import TOPIC, ChosenOffsets, Connected, all_of

NONE_STORED = KafkaError(KafkaError._AUTO_OFFSET_RESET, "no previously committed offset available")
OUT_OF_RANGE = KafkaError(KafkaError._AUTO_OFFSET_RESET, "Broker: Offset out of range")
TRUNCATED = KafkaError(
    KafkaError._AUTO_OFFSET_RESET,
    "Partition log truncation detected at offset 18 (leader epoch 0): broker end offset is 15 "
    "(offset leader epoch 3). Reset to INVALID.",
)
"""As librdkafka 2.16 reports it with `auto.offset.reset=error`: without an offset of its own."""


class Client(Connected):
    """A consumer of two partitions, which notes how they are given to it."""

    def __init__(self) -> None:
        self.commits: list[tuple[int, int, str]] = []
        self.read_from: dict[int, int] = {}
        self.refusals: list[int] = []
        self.seeks: dict[int, int] = {}
        self.busy: int | None = None
        self.progress = ReadProgress()

    def commit(self, *, offsets: Sequence[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        if self.refusals:
            raise KafkaException(KafkaError(self.refusals.pop(0)))
        self.commits += [(at.partition, at.offset, at.metadata or "") for at in offsets]
        return []

    def seek(self, at: TopicPartition) -> None:
        if self.busy is not None:
            raise KafkaException(KafkaError(self.busy))
        self.seeks[at.partition] = at.offset

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)]

    def incremental_unassign(self, partitions: Sequence[TopicPartition]) -> None:
        pass

    def incremental_assign(self, partitions: Sequence[TopicPartition]) -> None:
        self.read_from |= {at.partition: at.offset for at in partitions}

    assign = incremental_assign


def positions_of(client: Client, brokers: ChosenOffsets, **given: Any) -> Positions:
    made = Positions(brokers.as_reader(), deadline_s=60, telemetry=Telemetry(), **{"start": "earliest", **given})
    made.attach(cast("Consumer", client), client.progress)
    return made


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions_, "RETRY_S", 0.0)
    monkeypatch.setattr(positions_, "PAUSE_RATIO", 0.0)


def test_a_chosen_start_is_committed_before_it_is_read_from() -> None:
    positions = positions_of(client := Client(), ChosenOffsets({}), start="latest")
    for partition in all_of(2):
        positions.note_stopped(partition, None, NONE_STORED)
    positions.settle()
    assert [(0, 20, f"{START_NOTE}2"), (1, 20, f"{START_NOTE}2")] == sorted(client.commits)
    assert {0: 20, 1: 20} == client.read_from
    positions.settle()
    assert 2 == len(client.commits)


def test_a_late_report_of_a_partition_that_has_begun_does_not_begin_it_again() -> None:
    """With eager assignment, the client reports a partition once for each time that it is given to the client."""
    positions = positions_of(client := Client(), ChosenOffsets({}), eager=True)
    positions.note_stopped((TOPIC, 0), None, NONE_STORED)
    positions.settle()
    client.progress.note_record((TOPIC, 0), 14)
    positions.note_stopped((TOPIC, 0), None, NONE_STORED)
    positions.settle()
    assert [(0, 10, f"{START_NOTE}2")] == client.commits


def test_a_start_that_cannot_be_committed_yet_is_tried_again() -> None:
    """The group rebalances: without the commit, a restart could choose another start."""
    positions = positions_of(client := Client(), ChosenOffsets({}))
    client.refusals = [KafkaError.REBALANCE_IN_PROGRESS, KafkaError._TIMED_OUT]
    positions.note_stopped((TOPIC, 0), None, NONE_STORED)
    for expected in ({}, {}, {0: 10}):
        positions.settle()
        assert expected == client.read_from


def test_the_begin_of_new_partitions_is_known_from_the_group_or_from_the_choice() -> None:
    positions = positions_of(Client(), ChosenOffsets({0: Committed(20)}), start="latest")
    positions.note_assigned(all_of(2))
    assert {(TOPIC, 0): 20} == positions.settle()
    positions.note_stopped((TOPIC, 1), None, NONE_STORED)
    assert {(TOPIC, 1): 10} == positions.settle()
    assert {} == positions.settle()


def test_a_partition_that_moved_on_is_forgotten() -> None:
    positions = positions_of(client := Client(), ChosenOffsets({}))
    positions.note_stopped((TOPIC, 0), None, NONE_STORED)
    positions.note_gone([(TOPIC, 0)])
    positions.settle()
    assert {} == client.read_from


@pytest.mark.parametrize(
    ("position", "error", "kind", "resumed"),
    [(3, OUT_OF_RANGE, "deleted", 10), (25, OUT_OF_RANGE, "truncated", 20), (18, TRUNCATED, "truncated", 15)],
)
def test_a_gap_is_reported_and_closed(position: int, error: KafkaError, kind: str, resumed: int) -> None:
    positions = positions_of(client := Client(), ChosenOffsets({0: Committed(position)}), start="latest")
    positions.note_stopped((TOPIC, 0), position, error)
    with capture_logs() as lines:
        positions.settle()
    assert ({0: resumed}, []) == (client.read_from, client.commits)
    assert [("data_lost", kind, resumed)] == [(line["event"], line["kind"], line["resumed_at"]) for line in lines]


@pytest.mark.parametrize("is_running", [True, False])
def test_a_truncation_that_is_reported_without_an_offset_is_closed(is_running: bool) -> None:
    positions = positions_of(client := Client(), ChosenOffsets({0: Committed(18)}))
    if is_running:
        client.progress.note_record((TOPIC, 0), 17)
    positions.note_stopped((TOPIC, 0), None, TRUNCATED)
    with capture_logs() as lines:
        positions.settle()
    assert ({0: 15}, []) == (client.read_from, client.commits)
    assert [("data_lost", "truncated", 18)] == [(line["event"], line["kind"], line["position"]) for line in lines]


def test_a_late_report_does_not_move_a_partition_beyond_the_batch_that_is_read_again() -> None:
    """The client delivers the report of a stop although the partition was given to it anew meanwhile."""
    positions = positions_of(client := Client(), ChosenOffsets({0: Committed(12)}))
    client.busy = KafkaError._STATE
    client.progress.note_rewound((TOPIC, 0), 12)
    positions.rewind((TOPIC, 0), 12)
    positions.note_stopped((TOPIC, 0), 18, OUT_OF_RANGE)
    positions.settle()
    assert {0: 12} == client.read_from
    client.progress.note_record((TOPIC, 0), 14)
    with capture_logs() as lines:
        positions.note_stopped((TOPIC, 0), 12, OUT_OF_RANGE)
        positions.settle()
    assert ({0: 15}, []) == (client.read_from, lines)


def test_a_late_report_of_a_truncation_does_not_repeat_what_was_read_since() -> None:
    positions = positions_of(client := Client(), ChosenOffsets({0: Committed(12)}))
    client.progress.note_record((TOPIC, 0), 18)
    with capture_logs() as lines:
        positions.note_stopped((TOPIC, 0), None, TRUNCATED)
        positions.settle()
    assert ({0: 19}, []) == (client.read_from, lines)


def test_a_record_that_exists_after_all_is_read_without_an_alarm() -> None:
    positions = positions_of(client := Client(), ChosenOffsets({0: Committed(12)}))
    positions.note_stopped((TOPIC, 0), 12, OUT_OF_RANGE)
    with capture_logs() as lines:
        positions.settle()
    assert ({0: 12}, []) == (client.read_from, lines)


def test_a_worker_that_is_to_stop_at_a_gap_does() -> None:
    positions = positions_of(client := Client(), ChosenOffsets({0: Committed(3)}), stop_at_gap=True)
    positions.note_stopped((TOPIC, 0), 3, OUT_OF_RANGE)
    with pytest.raises(DataLoss, match="offsets 3 to 9 of texts-0"):
        positions.settle()
    assert {} == client.read_from


def test_brokers_that_do_not_answer_end_the_worker_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    brokers = ChosenOffsets({})
    brokers.failing = True
    positions = positions_of(Client(), brokers)
    positions.note_stopped((TOPIC, 0), None, NONE_STORED)
    positions.settle()
    monkeypatch.setattr(positions, "_deadline_s", -1)
    with pytest.raises(BrokerUnavailable):
        positions.settle()


def test_with_eager_assignment_other_partitions_are_read_on_where_they_were() -> None:
    """All partitions must be given to the client at once, and those that were read have uncommitted batches."""
    positions = positions_of(client := Client(), ChosenOffsets({0: Committed(3)}), eager=True)
    client.progress.note_record((TOPIC, 1), 15)
    client.progress.note_rewound((TOPIC, 1), 15)
    positions.note_stopped((TOPIC, 0), 3, OUT_OF_RANGE)
    positions.settle()
    assert {0: 10, 1: 15} == client.read_from


def test_an_assignment_is_logged_unless_brokers_do_not_answer() -> None:
    """It is only a log line: the worker continues without it."""
    brokers = ChosenOffsets({0: Committed(12)})
    positions = positions_of(Client(), brokers)
    positions.note_assigned(all_of(2))
    with capture_logs() as lines:
        positions.settle()
    assert [("partition_started", 0, 12, 8)] == [
        (line["event"], line["partition"], line["committed"], line["records_ahead"]) for line in lines
    ]
    brokers.failing = True
    positions.note_assigned(all_of(1))
    with capture_logs() as lines:
        positions.settle()
    assert [] == lines


def test_a_failure_before_a_rebalance_does_not_count_for_the_next_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lookup failed, then the partition went to another worker; an hour later, another lookup fails."""
    brokers = ChosenOffsets({})
    brokers.failing = True
    positions = positions_of(Client(), brokers)
    positions.note_stopped((TOPIC, 0), None, NONE_STORED)
    positions.settle()
    positions.note_gone([(TOPIC, 0)])
    positions.settle()
    hour_later = time.monotonic() + 3600
    monkeypatch.setattr(time, "monotonic", lambda: hour_later)
    positions.note_stopped((TOPIC, 0), None, NONE_STORED)
    positions.settle()


def test_an_assignment_during_a_pause_is_logged_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions_, "RETRY_S", 3600.0)
    brokers = ChosenOffsets({1: Committed(12)})
    brokers.failing = True
    positions = positions_of(Client(), brokers)
    positions.note_stopped((TOPIC, 0), 3, OUT_OF_RANGE)
    positions.settle()
    positions.note_assigned([(TOPIC, 1)])
    positions.settle()
    brokers.failing = False
    monkeypatch.setattr(positions, "_next_try", 0.0)
    with capture_logs() as lines:
        positions.settle()
    assert "partition_started" in [line["event"] for line in lines]


@pytest.mark.parametrize(
    ("position", "error", "beginning_at"), [(25, OUT_OF_RANGE, 12), (18, TRUNCATED, 12), (None, NONE_STORED, 12)]
)
def test_a_stopped_partition_continues_where_its_batches_begin_again(
    position: int | None, error: KafkaError, beginning_at: int
) -> None:
    """Its last batch was aborted after the client stopped: those records exist, and none is skipped."""
    positions = positions_of(client := Client(), ChosenOffsets({0: Committed(12)}))
    positions.note_stopped((TOPIC, 0), position, error)
    for at in all_of(2):
        positions.rewind(at, beginning_at)
    positions.settle()
    assert {0: beginning_at} == client.read_from
    assert {1: beginning_at} == client.seeks


@pytest.mark.parametrize("code", [KafkaError._STATE, KafkaError._PREV_IN_PROGRESS])
def test_a_partition_that_the_client_has_only_just_been_given_is_given_again(code: int) -> None:
    """A batch from before a gap can be aborted while the client begins to read after the gap."""
    positions = positions_of(client := Client(), ChosenOffsets({0: Committed(12)}))
    client.busy = code
    positions.rewind((TOPIC, 0), 12)
    positions.settle()
    assert {0: 12} == client.read_from
