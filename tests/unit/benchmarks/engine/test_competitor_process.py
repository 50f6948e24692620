"""Competitors run in their own processes, and the cause of a failure reaches the report."""

import importlib

import numpy as np
import pytest

from benchmarks.engine.competitor_process import CompetitorFailed, CompetitorProcess, Sample
from benchmarks.engine.competitors import MODULES
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
    probabilities_BK, seconds = process.run(tokens, TEXTS)
    process.close()
    np.testing.assert_allclose(probabilities_BK, tagger.probabilities(tokens), atol=1e-5)
    assert seconds > 0
