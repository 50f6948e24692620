"""The order of a step, and what becomes of steps that fail: the pipeline between a scripted group and such a sink."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from model.tagger import EmotionTagger
from model.thresholds import Thresholds
from model.tokens import TokenIds
from worker import pipeline as pipeline_
from worker.batching import StepBudget
from worker.cache import NoCache
from worker.encode import Encoder
from worker.entry import Entry
from worker.errors import DeviceLost, StepAborted, TransactionFailed
from worker.offsets import Partition
from worker.pipeline import Pipeline
from worker.record import Outgoing
from worker.settings import Settings
from worker.sink import MAX_ABORTS
from worker.telemetry import Telemetry

from .scripted import TOPIC, ScriptedConsumer, ScriptedMessage, Turn, source_of

POISON = "poison"


class OneLabel(EmotionTagger):
    """Finds joy in every text but the poisonous one, on which it fails."""

    name, version, thresholds_version, precision = "one", "sha256:0", "sha256:1", "fp32"
    labels = ("joy",)
    thresholds = Thresholds.fixed(labels, 0.5)
    concurrency = 1
    computed_tokens = 0

    def __init__(self) -> None:
        pass

    def tokenise(self, texts: Sequence[str]) -> list[TokenIds]:
        return [TokenIds((len(text),), truncated=False) for text in texts]

    def probabilities_or_errors(
        self, texts: Sequence[TokenIds]
    ) -> tuple[npt.NDArray[np.float32], dict[int, Exception]]:
        found = np.ones((len(texts), 1), dtype=np.float32)
        return found, {row: RuntimeError() for row, text in enumerate(texts) if text.ids == (len(POISON),)}

    def emotions(self, probabilities_BK: npt.NDArray[np.float32]) -> Any:
        return [()] * len(probabilities_BK)


@dataclass
class ScriptedSink:
    """Fails as often as it is told, then writes."""

    aborts: int = 0
    written: list[tuple[list[str], Mapping[Partition, int]]] = field(default_factory=list)

    def open(self) -> None:
        pass

    def write(self, records: Sequence[Outgoing], offsets: Mapping[Partition, int], group: object) -> None:
        if self.aborts:
            self.aborts -= 1
            raise StepAborted("aborted")
        self.written.append(([record.topic for record in records], offsets))


def message(partition: int, offset: int, words: str = "hello") -> Turn:
    return Turn(message=ScriptedMessage((partition, offset), b'{"text": "%b"}' % words.encode()))


def made(sink: ScriptedSink, *turns: Turn, tagger: EmotionTagger | None = None) -> tuple[Pipeline, ScriptedConsumer]:
    """A pipeline that owns partitions 0 and 1, and the consumer it reads."""
    consumer = ScriptedConsumer([Turn(assigned=[0, 1]), *turns])
    source = source_of(consumer)
    built = Pipeline(
        source=source,
        cache=NoCache(),
        tagger=tagger or OneLabel(),
        sink=sink,
        encoder=Encoder({"name": "one"}, "emotions", "dead", "group", "0"),
        budget=StepBudget(objective_s=1.0, most=256, record_s=0.001),
        settings=Settings(),
        telemetry=Telemetry(),
    )
    source.subscribe(before_revoke=built.finish, when_lost=built.forget)
    return built, consumer


def advance(pipeline: Pipeline, times: int) -> None:
    for _ in range(times):
        pipeline.advance()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an abort the pipeline waits for the broker to recover; here there is none."""
    monkeypatch.setattr("time.sleep", lambda _: None)


def test_steps_are_written_in_the_order_they_were_read() -> None:
    sink = ScriptedSink()
    pipeline, _ = made(sink, message(0, 1), Turn(), message(0, 2), Turn(), message(1, 5))
    advance(pipeline, 4)
    pipeline.finish()
    assert [{(TOPIC, 0): 2}, {(TOPIC, 0): 3}, {(TOPIC, 1): 6}] == [offsets for _, offsets in sink.written]


def test_an_aborted_step_and_the_one_behind_it_are_read_again_from_the_first_record() -> None:
    """Nothing is written of either until it has been read anew."""
    sink = ScriptedSink(aborts=1)
    pipeline, consumer = made(sink, message(0, 1), message(0, 2), Turn(), message(0, 3), message(1, 9), Turn())
    advance(pipeline, 3)
    assert [] == sink.written
    assert {0: 1, 1: 9} == consumer.seeks
    consumer.turns = [message(0, 1), message(0, 2), message(0, 3), message(1, 9)]
    advance(pipeline, 2)
    assert [(["emotions"] * 4, {(TOPIC, 0): 4, (TOPIC, 1): 10})] == sink.written


def test_a_step_that_is_aborted_again_and_again_ends_the_worker() -> None:
    sink = ScriptedSink(aborts=100)
    pipeline, _ = made(sink, *[message(0, 1), Turn()] * 100)
    with pytest.raises(TransactionFailed):
        advance(pipeline, 100)
    assert 100 - MAX_ABORTS - 1 == sink.aborts


def test_what_is_under_way_is_committed_before_its_partitions_go() -> None:
    sink = ScriptedSink()
    pipeline, consumer = made(sink, message(0, 1), Turn())
    advance(pipeline, 2)
    assert [] == sink.written
    consumer.turns = [Turn(revoked=[0])]
    advance(pipeline, 1)
    assert [{(TOPIC, 0): 2}] == [offsets for _, offsets in sink.written]


def test_what_is_under_way_is_never_written_once_its_partitions_are_lost() -> None:
    """Their new owner writes it."""
    sink = ScriptedSink()
    pipeline, consumer = made(sink, message(0, 1), Turn())
    advance(pipeline, 2)
    consumer.turns = [Turn(lost=[0, 1])]
    advance(pipeline, 2)
    assert [] == sink.written


def test_a_text_that_the_device_rejects_is_dead_lettered_among_the_results_of_its_neighbours() -> None:
    sink = ScriptedSink()
    pipeline, _ = made(sink, message(0, 1), message(0, 2, POISON), message(0, 3))
    advance(pipeline, 3)
    pipeline.finish()
    assert [(["emotions", "dead", "emotions"], {(TOPIC, 0): 4})] == sink.written


def test_a_device_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(pipeline_, "DEVICE_PATIENCE_S", 0.05)
    monkeypatch.setattr(OneLabel, "probabilities_or_errors", lambda *_: released.wait())
    pipeline, _ = made(ScriptedSink(), message(0, 1), Turn())
    advance(pipeline, 2)
    pipeline.close()
    released.set()


@pytest.mark.usefixtures("stays_often")
def test_a_device_that_does_not_come_back_is_said_to_be_slow_and_then_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that waited for ever would keep its partitions and do nothing."""
    monkeypatch.setattr(pipeline_, "SLOW", 2)
    monkeypatch.setattr(pipeline_, "HUNG", 4)
    tagger = Slow()
    pipeline, consumer = made(ScriptedSink(), message(0, 1), Turn(), tagger=tagger)
    advance(pipeline, 2)
    consumer.turns = [Turn()] * 5
    with pytest.raises(DeviceLost, match="one step has taken it more than"):
        pipeline.finish()
    tagger.released.set()


def test_new_texts_beyond_what_a_step_may_take_on_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the cache knew everything a moment ago, a step may hold thousands."""
    monkeypatch.setattr(StepBudget, "new_texts", lambda _: 2)
    sink = ScriptedSink()
    turns = [message(0, 1, "a"), message(1, 7, "b"), message(0, 2, "a"), message(0, 3, "c"), message(1, 8, "a")]
    pipeline, consumer = made(sink, *turns)
    advance(pipeline, 2)
    assert {0: 3, 1: 8} == consumer.seeks
    pipeline.finish()
    assert [(["emotions"] * 3, {(TOPIC, 0): 3, (TOPIC, 1): 8})] == sink.written


class Slow(OneLabel):
    """Takes until it is told to go on."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def probabilities_or_errors(
        self, texts: Sequence[TokenIds]
    ) -> tuple[npt.NDArray[np.float32], dict[int, Exception]]:
        assert self.released.wait(10)
        return super().probabilities_or_errors(texts)


@pytest.fixture
def stays_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_, "STAY_S", 0.01)


@pytest.mark.usefixtures("stays_often")
def test_while_the_device_is_slow_the_group_is_polled_and_what_comes_is_the_next_step() -> None:
    """Else the group would throw the worker out after max.poll.interval.ms, and another would do its work again."""
    sink, tagger = ScriptedSink(), Slow()
    pipeline, consumer = made(sink, message(0, 1), Turn(), tagger=tagger)
    advance(pipeline, 2)
    consumer.turns = [Turn(), Turn(), message(0, 2), Turn(), Turn(released=tagger.released)]
    pipeline.finish()
    assert [{(TOPIC, 0): 2}] == [offsets for _, offsets in sink.written]
    assert [] == consumer.turns
    consumer.turns = [message(0, 3)]
    advance(pipeline, 1)
    pipeline.finish()
    assert [{(TOPIC, 0): 2}, {(TOPIC, 0): 4}] == [offsets for _, offsets in sink.written]


@pytest.mark.usefixtures("stays_often")
def test_partitions_that_are_revoked_while_the_device_is_slow_go_when_the_step_is_committed() -> None:
    """Once, though two places wait for it."""
    sink, tagger = ScriptedSink(), Slow()
    pipeline, consumer = made(sink, message(0, 1), Turn(), tagger=tagger)
    advance(pipeline, 2)
    consumer.turns = [Turn(), Turn(released=tagger.released, revoked=[0, 1])]
    pipeline.finish()
    assert [{(TOPIC, 0): 2}] == [offsets for _, offsets in sink.written]


@pytest.mark.usefixtures("stays_often")
def test_partitions_that_are_lost_while_the_device_is_slow_take_their_step_with_them() -> None:
    sink, tagger = ScriptedSink(), Slow()
    pipeline, consumer = made(sink, message(0, 1), Turn(), tagger=tagger)
    advance(pipeline, 2)
    consumer.turns = [Turn(), Turn(lost=[0, 1])]
    pipeline.finish()
    tagger.released.set()
    assert [] == sink.written


def test_another_form_of_cache_entries_has_keys_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two builds side by side would else take each other's entries for rubbish, and write over them."""
    asked: list[str] = []

    def lookup(_: NoCache, keys: Sequence[str]) -> dict[str, Entry]:
        asked.extend(keys)
        return {}

    monkeypatch.setattr(NoCache, "lookup", lookup)
    for version in (1, 2):
        monkeypatch.setattr("worker.pipeline.VERSION", version)
        pipeline, _ = made(ScriptedSink(), message(0, 1), Turn())
        advance(pipeline, 2)
        pipeline.finish()
    assert 2 == len(set(asked)) == len(asked)
