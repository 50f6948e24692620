"""The times and figures of one batch."""

from collections import Counter
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from emotag_model.scope.rules import TextScope
from emotag_worker.batch import Batch, BatchOutput, CompletedBatch, Computation, DeviceUse, StageTimes, count_batch
from emotag_worker.cache.entry import Entry
from emotag_worker.errors import NotJson
from emotag_worker.observability.instruments import STAGES
from emotag_worker.observability.traces import NoTraces
from emotag_worker.wire.decode import Decoded
from emotag_worker.wire.record import Answer, Record
from tests.unit.worker.kafka.scripted import NoGroup

ENTRY = Entry(np.ones(1, np.float32), truncated=False)


def computation(began: float, ended: float, texts: int = 1) -> Computation:
    return Computation({str(number): ENTRY for number in range(texts)}, began, ended)


def test_every_stage_takes_the_time_since_the_mark_before() -> None:
    times = StageTimes(10.0)
    for stage, now in (("read", 10.5), ("decode", 11.0), ("lookup", 13.0), ("tokenize", 13.25)):
        times.mark(stage, now)
    times.mark_device(computation(began=14.0, ended=16.0), now=17.0)
    times.mark("encode", 17.5)
    times.mark("hold", 17.75)
    times.mark("write", 19.75)
    assert {
        "read": 0.5,
        "decode": 0.5,
        "lookup": 2.0,
        "tokenize": 0.25,
        "wait": 0.75,
        "device": 2.0,
        "encode": 0.5,
        "hold": 0.25,
        "write": 2.0,
    } == times.seconds
    assert list(STAGES) == list(times.seconds)
    assert 0.5 + 2.0 + 0.25 + 0.5 == times.host_s
    assert 19.75 == times.last


def test_a_batch_without_new_texts_has_no_time_on_the_device() -> None:
    """Zeros would move the quantiles of batches that have some."""
    times = StageTimes(10.0)
    times.mark_device(computation(began=11.0, ended=11.0, texts=0), now=12.0)
    times.mark("encode", 12.5)
    assert {"encode": 0.5} == times.seconds


def test_a_device_that_was_free_before_the_submission_was_noted_was_not_waited_for() -> None:
    times = StageTimes(10.0)
    times.mark_device(computation(began=9.9, ended=11.0), now=11.0)
    assert 0.0 == times.seconds["wait"]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(1.0, 2.0), (2.0, 4.0)], [1.0, 2.0]),
        ([(1.0, 2.0), (5.0, 6.0)], [1.0, 1.0]),
        ([(1.0, 4.0), (2.0, 5.0)], [3.0, 1.0]),
        ([(1.0, 4.0), (2.0, 3.0)], [3.0, 0.0]),
        ([(1.0, 4.0), (2.0, 3.0), (3.5, 6.0)], [3.0, 0.0, 2.0]),
    ],
    ids=["one after the other", "with a pause", "overlapping", "one within another", "after one within another"],
)
def test_no_second_of_the_device_is_charged_twice(spans: list[tuple[float, float]], expected: list[float]) -> None:
    """If an engine computes several batches at a time, each batch is charged the time that it added."""
    use = DeviceUse(computed_tokens=0)
    assert expected == [use.charge_time(computation(began, ended)) for began, ended in spans]


def test_tokens_are_charged_once_and_not_those_before_the_first_batch() -> None:
    """The calibration at the start computes some."""
    use = DeviceUse(computed_tokens=700)
    assert [300, 0, 24] == [use.charge_tokens(tokens) for tokens in (1000, 1000, 1024)]


def test_the_figures_of_a_batch_are_those_of_its_parts() -> None:
    records = [Record("texts", 0, offset, None, b"{}") for offset in range(3)]
    times = StageTimes(10.0)
    times.mark("read", 11.0)
    times.mark("write", 13.0)
    batch = Batch(
        records,
        [Decoded("a", "1"), Decoded("b", "2"), NotJson("it is null")],
        ["x", "y", ""],
        {"y": ENTRY},
        new=1,
        windows=1,
        tokens=5,
        computing=Future(),
        polled=11.0,
        polled_at=1_700_000_000.0,
        times=times,
        member=NoGroup(),
        trace=NoTraces(),
    )
    kinds: list[dict[str, Any]] = [
        {"source": "computed", "truncated": True},
        {"source": "cache"},
        {"reason": "NotJson"},
    ]
    scopes = Counter({TextScope("ok", "en"): 2})
    output = BatchOutput([Answer(records[0], None, **kind) for kind in kinds], scopes)
    completed = CompletedBatch(batch, output, device_s=0.5, computed_tokens=8)
    counts = count_batch(completed, committed_at=1_700_000_002.0)
    assert records == counts.records
    assert {"computed": 1, "cache": 1} == counts.sources
    assert {"NotJson": 1} == counts.dead_letters
    assert {("ok", "en"): 2} == counts.scopes
    assert (1, 1, 5, 8) == (counts.truncated, counts.texts, counts.tokens, counts.computed_tokens)
    assert (2.0, 0.5) == (counts.seconds, counts.device_seconds)
    assert {"read": 1.0, "write": 2.0} == counts.stages
    assert (1_700_000_000.0, 1_700_000_002.0) == (counts.polled_at, counts.committed_at)
    assert counts.tagged is None
