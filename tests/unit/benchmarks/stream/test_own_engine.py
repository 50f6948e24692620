"""The do-it-yourself stack has an engine of the benchmark of engines."""

from benchmarks.engine.competitors import MODULES
from benchmarks.stream.own_engine import LIBRARIES


def test_its_libraries_are_competitors_of_the_engine() -> None:
    assert set(LIBRARIES) <= set(MODULES)
