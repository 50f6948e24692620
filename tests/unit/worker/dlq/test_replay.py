"""Replays of a topic in memory, into a sink in memory."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import Consumer

from emotag_schemas.dead_letter import split_attempts
from emotag_worker.dlq import replay
from emotag_worker.dlq.replay import Count, Replay, Selection, parse_selection, render_count
from emotag_worker.dlq.replay_progress import NotingProducer
from emotag_worker.errors import (
    BatchAborted,
    Fenced,
    MayBeRepeated,
    NoSuchReason,
    NotJson,
    RecordsRefused,
    ReplayRefused,
    TakenOver,
    TransactionFailed,
)
from emotag_worker.kafka.output.sink import MAX_ABORTS
from emotag_worker.settings import loader
from emotag_worker.wire.record import Outgoing, Partition, Refusal

from .scripted import DeadLetters, Letter, dead_letter_headers, stub_headers

DLQ = ("texts.dlq", 0)


class Written:
    """A sink that raises the given errors first, then writes, and keeps the notes of each transaction."""

    transactional = True

    def __init__(self, failures: Sequence[Exception] = ()) -> None:
        self.producer = cast("NotingProducer", SimpleNamespace(notes={}))
        self.records: list[Outgoing] = []
        self.commits: list[tuple[int, str]] = []
        self._failures = list(failures)

    def open(self) -> None:
        pass

    def write(
        self,
        records: Sequence[Outgoing],
        offsets: Mapping[Partition, int],
        group: Any,
        *,
        flush_after: Collection[int] = (),
    ) -> None:
        if self._failures:
            raise self._failures.pop(0)
        self.records += records
        self.commits.append((offsets[DLQ], self.producer.notes[DLQ]))


def start(topic: DeadLetters, selection: Selection = Selection(), **batch: int) -> Replay:  # noqa: B008  (frozen)
    given = loader.load(flags={"dlq": {"topic": "texts.dlq"}, "kafka": {"group_id": "emotag"}, "batch": batch})
    return Replay(cast("Consumer", topic), given, selection)


def put_back(topic: DeadLetters, selection: Selection, sink: Written, **batch: int) -> Count:
    return start(topic, selection, **batch).put_back(sink, sink.producer)


def both() -> list[Letter]:
    return [Letter(0, dead_letter_headers()), Letter(1, dead_letter_headers(NotJson("no")))]


def test_a_record_is_put_back_as_it_was_with_the_number_of_attempts() -> None:
    own = [("a", b"\xff"), ("a", None)]
    sink = Written()
    found = put_back(DeadLetters([Letter(0, dead_letter_headers(own=own))], end=1), Selection(), sink)
    assert {"NoText": 1} == found.due
    (record,) = sink.records
    assert ("texts", b"key", b"value", 5) == (record.topic, record.key, record.value, record.timestamp_ms)
    assert (own, 1) == split_attempts(record.headers)
    assert [(1, "")] == sink.commits


def test_a_replay_of_one_reason_leaves_the_others_and_notes_it() -> None:
    sink = Written()
    found = put_back(DeadLetters(both(), end=2), Selection("NotJson"), sink)
    assert ({"NotJson": 1}, {replay.OTHER_REASONS: 1}) == (found.due, found.left)
    assert [(0, '{"NotJson":2}')] == sink.commits


def test_what_an_earlier_replay_put_back_is_not_put_back_again() -> None:
    sink = Written()
    found = put_back(DeadLetters(both(), end=2, committed_=(0, '{"NotJson":2}')), Selection(), sink)
    assert {"NoText": 1} == found.due
    assert [(2, "")] == sink.commits


def test_every_full_batch_is_committed() -> None:
    sink = Written()
    put_back(DeadLetters(both(), end=2), Selection(), sink, max_records=1)
    assert [(1, ""), (2, ""), (2, "")] == sink.commits


def test_a_survey_finds_the_same_and_writes_nothing() -> None:
    topic = DeadLetters(both(), end=2)
    assert {"NoText": 1, "NotJson": 1} == start(topic).survey().due


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ((), replay.STRANGE),
        (dead_letter_headers(group="another"), replay.OTHERS),
        (dead_letter_headers(own=[("emotag.errors.attempts", b"4")]), replay.TRIED.format(times=5)),
    ],
)
def test_what_is_left_is_counted_with_the_reason(headers: Sequence[tuple[str, bytes | None]], why: str) -> None:
    assert {why: 1} == start(DeadLetters([Letter(0, headers)], end=1)).survey().left


def test_a_stub_is_not_put_back() -> None:
    """There is no record to put back, and one without a value would only become the next dead letter."""
    sink = Written()
    found = put_back(DeadLetters([Letter(0, stub_headers(), value=None)], end=1), Selection(), sink)
    assert ({}, {replay.STUBS: 1}, []) == (found.due, found.left, sink.records)


def test_a_record_that_the_input_topic_refuses_is_left_and_the_others_are_put_back() -> None:
    """It must not block every later replay."""
    refused = RecordsRefused({0: Refusal("texts", 0, "size", "too large")}, [0, 1])
    sink = Written([refused])
    found = put_back(DeadLetters(both(), end=2), Selection(), sink)
    assert ({"NotJson": 1}, [(2, "")]) == (found.due, sink.commits[:1])
    ((why, number),) = found.left.items()
    assert 1 == number
    assert "refuse for texts (too large); change the topic's settings" in why
    assert "--from PARTITION:OFFSET" in why
    assert 1 == len(sink.records)


def test_a_refused_record_counts_once_however_often_its_batch_is_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "compute_pause_s", lambda _: 0.0)
    refused = RecordsRefused({0: Refusal("texts", 0, "size", "too large")}, [0, 1])
    aborted = BatchAborted("aborted")
    sink = Written([refused, aborted, aborted, aborted, refused])
    found = put_back(DeadLetters(both(), end=2), Selection(), sink)
    assert ({"NotJson": 1}, [1]) == (found.due, list(found.left.values()))


def test_old_dead_letters_without_progress_may_have_been_put_back_before() -> None:
    """Brokers delete the progress of a group after a week."""
    old = dead_letter_headers(failed_at=datetime.now(UTC) - timedelta(days=8))
    sink = Written()
    with pytest.raises(MayBeRepeated):
        put_back(DeadLetters([Letter(0, old)], end=1), Selection(), sink)
    assert [] == sink.records
    assert {"NoText": 1} == put_back(DeadLetters([Letter(0, old)], end=1), Selection(all_over=True), sink).due


def test_a_replay_begins_where_it_is_told() -> None:
    assert {"NotJson": 1} == start(DeadLetters(both(), end=2), Selection(first={0: 1})).survey().due
    with pytest.raises(ReplayRefused, match="no partition 7"):
        start(DeadLetters(both(), end=2), Selection(first={7: 1}))


def test_a_replay_does_not_begin_after_the_end() -> None:
    """Stored as progress, the offset would skip the dead letters that are yet to come."""
    with pytest.raises(ReplayRefused, match=r"--from 0:3: partition 0 of texts\.dlq ends at 2; .*emotag dlq list"):
        start(DeadLetters(both(), end=2), Selection(first={0: 3}))
    assert {} == start(DeadLetters(both(), end=2), Selection(first={0: 2})).survey().due


def test_an_aborted_batch_is_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "compute_pause_s", lambda _: 0.0)
    sink = Written([BatchAborted("aborted")] * 2)
    put_back(DeadLetters(both(), end=2), Selection(), sink)
    assert 2 == len(sink.records)
    with pytest.raises(TransactionFailed):
        put_back(DeadLetters(both(), end=2), Selection(), Written([BatchAborted("aborted")] * (MAX_ABORTS + 1)))


def test_a_replay_that_another_one_replaces_says_how_many_it_put_back() -> None:
    with pytest.raises(TakenOver, match="records put back before: 0"):
        put_back(DeadLetters(both(), end=2), Selection(), Written([Fenced("fenced")]))


def test_options_are_parsed() -> None:
    assert Selection("NotJson", 3, {0: 5, 12: 0}) == parse_selection("NotJson", 3, ["0:5", "12:0"])
    assert parse_selection(None, 5, ["beginning"]).all_over
    with pytest.raises(ReplayRefused, match="not 5"):
        parse_selection(None, 5, ["5"])
    with pytest.raises(NoSuchReason):
        parse_selection("Nothing", 5, [])


def test_a_count_is_rendered_as_lines() -> None:
    count = Count()
    count.due.update({"NotJson": 2})
    count.left.update({replay.STRANGE: 1})
    assert ["2 put back on texts", "  NotJson                  2", f"1 left: {replay.STRANGE}"] == render_count(
        count, done=True, topic="texts"
    ).split("\n")
    assert render_count(count, done=False, topic="texts").startswith("2 to put back on texts")


def test_the_reason_in_a_count_controls_no_terminal() -> None:
    """Anyone can write the headers of a dead letter."""
    count = Count()
    count.due.update({"\x1b[2J\u202e": 1})
    assert render_count(count, done=True, topic="texts").replace("\n", "").isprintable()
