"""Competitors run in their own processes, and the cause of a failure reaches the report."""

import importlib
import time

import numpy as np
import pytest

from benchmarks.engine.competitor_process import (
    CompetitorFailed,
    CompetitorProcess,
    Sample,
    build,
    make_setting,
    measure_passes,
)
from benchmarks.engine.competitors import MODULES, Probabilities, emotag
from emotag_model.tagger import EmotionTagger

TEXTS = ["I'm so happy!", "what a sad day this is", "ok"]


@pytest.mark.parametrize("module", ["emotag", *MODULES])
def test_each_competitor_can_be_imported_without_its_library(module: str) -> None:
    competitor = importlib.import_module(f"benchmarks.engine.competitors.{module}")
    assert isinstance(competitor.NAME, str)
    assert callable(competitor.build)


def test_a_competitor_that_cannot_be_built_fails_with_the_cause() -> None:
    process = CompetitorProcess("no_such_competitor", Sample([], []), quick=True)
    with pytest.raises(CompetitorFailed, match=r"ModuleNotFoundError: .*no_such_competitor"):
        process.wait()


def test_plain_torch_returns_the_probabilities_of_the_tagger() -> None:
    tagger = EmotionTagger.load(engine="torch", precision="fp32")
    tokens = tagger.tokenize(TEXTS)
    process = CompetitorProcess("plain_torch", Sample(tokens, TEXTS), quick=True)
    process.wait()
    once = process.run(tokens, TEXTS)
    process.close()
    np.testing.assert_allclose(once.probabilities_BK, tagger.probabilities(tokens), atol=1e-5)
    assert once.seconds > 0


def test_a_fast_competitor_runs_as_often_as_the_round_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass takes one second of the clock, and two of the processor."""
    passes: list[str] = []

    def run(inputs: str) -> Probabilities:
        passes.append(inputs)
        return np.zeros((1, 1), np.float32)

    monkeypatch.setattr(time, "perf_counter", lambda: float(len(passes)))
    monkeypatch.setattr(time, "process_time", lambda: 2.0 * len(passes))
    measured = measure_passes(run, "texts", least_s=2.5)
    assert (3, 1.0, 2.0) == (len(passes), measured.seconds, measured.spent_s)
    measure_passes(run, "texts", least_s=0)
    assert 4 == len(passes)


def test_a_module_may_name_a_function_and_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    monkeypatch.setattr(emotag, "build_engine", lambda setting, *names: built.append((setting, *names)))
    build("emotag:build_engine:openvino:int8", make_setting(Sample([], []), quick=True))
    ((_, *names),) = built
    assert ["openvino", "int8"] == names
