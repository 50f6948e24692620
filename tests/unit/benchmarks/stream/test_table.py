"""The goals of the stream are ratios to the engine and to the best competitor."""

import pytest

from benchmarks.measurements import Measurements
from benchmarks.stream import table
from benchmarks.stream.comparison import BATCHES, COLD, ENGINE, PLAIN, QUIX


def test_the_stream_is_compared_with_the_best_competitor() -> None:
    rates = Measurements("stream", "messages/s")
    for name, rate in {ENGINE: 100.0, BATCHES: 90.0, COLD: 88.0, PLAIN: 80.0, QUIX: 60.0}.items():
        rates.add(name, 0, rate)
    to_engine, to_best, one_core = table.compute_goals(rates, {})
    assert to_engine.measured == pytest.approx(0.88)
    assert to_best.measured == pytest.approx(1.1)
    assert PLAIN in to_best.why
    assert one_core.measured is None
