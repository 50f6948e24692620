"""The pipeline between a scripted consumer group and a scripted sink: the order of a batch, and batches that fail."""

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from emotag_model.tokens import TokenIds, Window
from emotag_worker import pipeline as pipeline_
from emotag_worker.batch_budget import BatchBudget
from emotag_worker.cache.entry import NO_PROBABILITIES, Entry, WindowEntry
from emotag_worker.cache.redis_cache import NoCache
from emotag_worker.errors import DeviceLost, NotJson, TransactionFailed
from emotag_worker.kafka.output.sink import MAX_ABORTS
from emotag_worker.observability.instruments import STAGES
from emotag_worker.observability.telemetry import Telemetry
from emotag_worker.pipeline import Pipeline
from emotag_worker.settings import Settings
from emotag_worker.wire.record import Record
from tests.unit.worker.kafka.scripted import TOPIC, Turn
from tests.unit.worker.scripted import POISON, OneLabel, Recorded, ScriptedSink, advance, build, message


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an abort the pipeline waits for the broker to recover. These tests have no broker."""
    monkeypatch.setattr("time.sleep", lambda _: None)


def run(pipeline: Pipeline, *, rounds: int) -> None:
    """Run until a signal in the last round."""
    stop, ended = threading.Event(), 0

    def count() -> None:
        nonlocal ended
        ended += 1
        if ended == rounds:
            stop.set()

    pipeline.run(stop, after_each_round=count)
    assert rounds == ended


def test_a_pipeline_that_stops_finishes_its_batches_first() -> None:
    sink = ScriptedSink()
    pipeline, _ = build(sink, message(0, 1), Turn(), message(0, 2))
    run(pipeline, rounds=3)
    assert [{(TOPIC, 0): 2}, {(TOPIC, 0): 3}] == [offsets for _, offsets in sink.written]


def test_an_abort_while_the_pipeline_stops_is_left_to_the_next_owner() -> None:
    """To read the batch again here would take more time than there is."""
    sink, telemetry = ScriptedSink(aborts=1), Telemetry()
    pipeline, consumer = build(sink, message(0, 1), Turn(), telemetry=telemetry)
    run(pipeline, rounds=2)
    assert ([], {}) == (sink.written, consumer.seeks)
    assert 1.0 == telemetry.metrics.registry.get_sample_value("emotag_aborted_batches_total")


def test_a_committed_batch_is_counted_with_every_stage() -> None:
    telemetry = Telemetry()
    pipeline, _ = build(ScriptedSink(), message(0, 1), message(0, 2, POISON), message(0, 3), telemetry=telemetry)
    advance(pipeline, 2)
    pipeline.finish()

    def value(name: str, **labels: str) -> float | None:
        return telemetry.metrics.registry.get_sample_value(f"emotag_{name}", labels)

    assert [1.0] * len(STAGES) == [value("stage_seconds_count", stage=stage) for stage in STAGES]
    assert (3.0, 1.0) == (value("records_total"), value("commits_total"))
    assert (1.0, 1.0) == (value("results_total", source="computed"), value("results_total", source="repeat"))
    assert 1.0 == value("dead_letters_total", reason="DeviceRejected")


def test_a_batch_that_is_aborted_is_not_counted() -> None:
    telemetry = Telemetry()
    pipeline, _ = build(ScriptedSink(aborts=1), message(0, 1), Turn(), telemetry=telemetry)
    advance(pipeline, 3)
    assert 0.0 == telemetry.metrics.registry.get_sample_value("emotag_records_total")


def test_an_aborted_batch_and_the_one_behind_it_are_read_again_from_the_first_record() -> None:
    """Nothing of either batch is written before it was read again."""
    sink = ScriptedSink(aborts=1)
    pipeline, consumer = build(sink, message(0, 1), message(0, 2), Turn(), message(0, 3), message(1, 9), Turn())
    advance(pipeline, 3)
    assert [] == sink.written
    assert {0: 1, 1: 9} == consumer.seeks
    consumer.turns = [message(0, 1), message(0, 2), message(0, 3), message(1, 9)]
    advance(pipeline, 2)
    assert [(["emotions"] * 4, {(TOPIC, 0): 4, (TOPIC, 1): 10})] == sink.written


def test_a_batch_that_is_aborted_again_and_again_ends_the_worker() -> None:
    sink = ScriptedSink(aborts=100)
    pipeline, _ = build(sink, *[message(0, 1), Turn()] * 100)
    with pytest.raises(TransactionFailed):
        advance(pipeline, 100)
    assert 100 - MAX_ABORTS - 1 == sink.aborts


def test_what_is_under_way_is_committed_before_its_partitions_go() -> None:
    sink = ScriptedSink()
    pipeline, consumer = build(sink, message(0, 1), Turn())
    advance(pipeline, 2)
    assert [] == sink.written
    consumer.turns = [Turn(revoked=[0])]
    advance(pipeline, 1)
    assert [{(TOPIC, 0): 2}] == [offsets for _, offsets in sink.written]


def test_what_is_under_way_is_never_written_once_its_partitions_are_lost() -> None:
    """Their new owner writes it."""
    sink = ScriptedSink()
    pipeline, consumer = build(sink, message(0, 1), Turn())
    advance(pipeline, 2)
    consumer.turns = [Turn(lost=[0, 1])]
    advance(pipeline, 2)
    assert [] == sink.written


def test_a_device_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(pipeline_, "DEVICE_PATIENCE_S", 0.05)
    monkeypatch.setattr(OneLabel, "probabilities_or_errors", lambda *_: released.wait())
    pipeline, _ = build(ScriptedSink(), message(0, 1), Turn())
    advance(pipeline, 2)
    pipeline.close()
    released.set()


@pytest.mark.usefixtures("stays_often")
def test_a_device_that_does_not_come_back_is_said_to_be_slow_and_then_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that waited without end would keep its partitions and do nothing."""
    monkeypatch.setattr(pipeline_, "SLOW", 2)
    monkeypatch.setattr(pipeline_, "HUNG", 4)
    tagger = Slow()
    pipeline, consumer = build(ScriptedSink(), message(0, 1), Turn(), tagger=tagger)
    advance(pipeline, 2)
    consumer.turns = [Turn()] * 5
    with pytest.raises(DeviceLost, match="one batch has taken more than"):
        pipeline.finish()
    tagger.released.set()


def test_new_texts_beyond_what_a_batch_may_take_on_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the cache knew every text until now, a batch may contain thousands of records."""
    monkeypatch.setattr(BatchBudget, "max_new_texts", 2)
    sink = ScriptedSink()
    turns = [message(0, 1, "a"), message(1, 7, "a"), message(0, 2, "b"), message(0, 3, "a"), message(0, 4, "c")]
    pipeline, consumer = build(sink, *turns)
    advance(pipeline, 2)
    assert {0: 4, 1: 7} == consumer.seeks  # the batch takes the records of partition 0 first
    pipeline.finish()
    assert [(["emotions"] * 3, {(TOPIC, 0): 4})] == sink.written


def test_a_text_that_fails_the_tokenizer_is_dead_lettered_and_its_neighbors_are_tagged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also if it comes twice. Otherwise the worker would end at every start."""

    def tokenize(tagger: OneLabel, texts: Sequence[str]) -> list[TokenIds]:
        if POISON in texts:
            raise RuntimeError
        return [TokenIds((1,), truncated=False) for _ in texts]

    monkeypatch.setattr(OneLabel, "tokenize", tokenize)
    sink = ScriptedSink()
    pipeline, _ = build(sink, message(0, 1), message(0, 2, POISON), message(0, 3, "b"), message(0, 4, POISON))
    advance(pipeline, 2)
    pipeline.finish()
    assert [(["emotions", "dead", "emotions", "dead"], {(TOPIC, 0): 5})] == sink.written


class Slow(OneLabel):
    """A tagger that computes until the test releases it."""

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
def test_while_the_device_is_slow_the_group_is_polled_and_what_comes_is_the_next_batch() -> None:
    """Otherwise the group removes the worker after max.poll.interval.ms, and another worker does its work again."""
    sink, tagger = ScriptedSink(), Slow()
    pipeline, consumer = build(sink, message(0, 1), Turn(), tagger=tagger)
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
def test_partitions_that_are_revoked_while_the_device_is_slow_go_when_the_batch_is_committed() -> None:
    """It is committed once, although two places wait for it."""
    sink, tagger = ScriptedSink(), Slow()
    pipeline, consumer = build(sink, message(0, 1), Turn(), tagger=tagger)
    advance(pipeline, 2)
    consumer.turns = [Turn(), Turn(released=tagger.released, revoked=[0, 1])]
    pipeline.finish()
    assert [{(TOPIC, 0): 2}] == [offsets for _, offsets in sink.written]


@pytest.mark.usefixtures("stays_often")
def test_partitions_that_are_lost_while_the_device_is_slow_take_their_batch_with_them() -> None:
    sink, tagger = ScriptedSink(), Slow()
    pipeline, consumer = build(sink, message(0, 1), Turn(), tagger=tagger)
    advance(pipeline, 2)
    consumer.turns = [Turn(), Turn(lost=[0, 1])]
    pipeline.finish()
    tagger.released.set()
    assert [] == sink.written


def test_other_entries_engines_and_precisions_have_other_cache_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two versions would find each other's entries corrupt; a cached answer must have the bits of a computed one."""
    asked: list[str] = []

    def lookup(_: NoCache, keys: Sequence[str]) -> dict[str, Entry]:
        asked.extend(keys)
        return {}

    monkeypatch.setattr(NoCache, "lookup", lookup)
    for version, engine, precision in ("1xf", "2xf", "1nf", "1ni"):
        monkeypatch.setattr("emotag_worker.cache.rules.VERSION", version)
        monkeypatch.setattr(OneLabel, "engine", engine)
        monkeypatch.setattr(OneLabel, "precision", precision)
        pipeline, _ = build(ScriptedSink(), message(0, 1), Turn())
        advance(pipeline, 2)
        pipeline.finish()
    assert 4 == len(set(asked)) == len(asked)


def test_the_error_of_a_bad_record_does_not_keep_its_batch_in_memory() -> None:
    pipeline, _ = build(ScriptedSink())
    error = pipeline._decode(Record("texts", 0, 3, None, b"{"))
    assert isinstance(error, NotJson)
    assert (None, None) == (error.__traceback__, error.__context__)


def test_a_batch_is_cut_by_the_windows_of_its_texts() -> None:
    """One of three texts with about eleven windows each fits into a batch of twenty; three short ones fit."""
    sink = ScriptedSink()
    long = [message(0, offset, f"{offset} " * 1300) for offset in (1, 2, 3)]
    pipeline, consumer = build(sink, *long, record_s=0.05)
    advance(pipeline, 2)
    pipeline.finish()
    assert [{(TOPIC, 0): 2}] == [offsets for _, offsets in sink.written]
    assert {0: 2} == consumer.seeks
    short = ScriptedSink()
    pipeline, _ = build(short, *(message(0, offset, f"{offset} ") for offset in (1, 2, 3)), record_s=0.05)
    advance(pipeline, 2)
    pipeline.finish()
    assert [{(TOPIC, 0): 4}] == [offsets for _, offsets in short.written]


def test_an_entry_whose_windows_end_after_its_text_is_computed_again() -> None:
    """Somebody can forge it if the cache has no secret."""
    windows = tuple(WindowEntry(at, at + 9, np.ones(1, np.float32)) for at in (0, 10))
    cache = Recorded(Entry(NO_PROBABILITIES, truncated=False, windows=windows))
    sink = ScriptedSink()
    pipeline, _ = build(sink, message(0, 1), cache=cache)
    advance(pipeline, 2)
    pipeline.finish()
    assert [["emotions"]] == [topics for topics, _ in sink.written]
    (computed,) = cache.remembered.values()
    assert () == computed.windows


def test_entries_with_reasons_have_keys_of_their_own() -> None:
    keys = []
    for reasons in (False, True):
        cache = Recorded()
        settings = Settings.model_validate({"output": {"reasons": reasons}})
        pipeline, _ = build(ScriptedSink(), message(0, 1), cache=cache, settings=settings)
        advance(pipeline, 2)
        pipeline.finish()
        keys += cache.keys
    assert 2 == len(set(keys))


def test_the_budget_learns_from_the_windows_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    class Long(OneLabel):
        def tokenize(self, texts: Sequence[str]) -> list[TokenIds]:
            row = TokenIds((1,), truncated=False)
            return [TokenIds((1,), truncated=False, windows=(Window(0, 2, row), Window(2, 5, row))) for _ in texts]

    learned: list[int] = []
    monkeypatch.setattr(BatchBudget, "learn", lambda _, *, new, **times: learned.append(new))
    pipeline, _ = build(ScriptedSink(), message(0, 1), tagger=Long())
    advance(pipeline, 2)
    pipeline.finish()
    assert [2] == learned


def test_a_batch_keeps_no_cached_entry_of_a_record_that_it_leaves_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    known, cache = Entry(NO_PROBABILITIES, truncated=False), Recorded()
    monkeypatch.setattr(cache, "lookup", lambda keys: {keys[2]: known})
    monkeypatch.setattr("emotag_worker.batch_budget.BatchBudget.count_fitting", lambda *_: 1)
    pipeline, _ = build(ScriptedSink(), *(message(0, at, f"text {at}") for at in (1, 2, 3)), cache=cache)
    advance(pipeline, 2)
    (batch,) = pipeline._in_flight
    assert ([1], {}) == ([record.offset for record in batch.records], batch.known)
    pipeline.close()
