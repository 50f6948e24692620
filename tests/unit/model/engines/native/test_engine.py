"""The engine around the library: batches, threads and errors."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from emotag_model.artifact import Artifact
from emotag_model.engines.native import engine as module
from emotag_model.engines.native.engine import BATCH_TOKENS, NativeEngine


@pytest.fixture(scope="module")
def engine(shipped: Artifact) -> NativeEngine:
    return NativeEngine(shipped)


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_batches_share_the_tokens_evenly_and_contain_each_text_once(
    shipped: Artifact, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "count_usable_cores", lambda: cores)
    made = NativeEngine(shipped)
    lengths = np.random.default_rng(0).integers(1, 60, 300)
    plan = made._plan(np.cumsum(lengths))
    assert list(range(300)) == [text for first, last in plan for text in range(first, last)]
    tokens = [int(lengths[first:last].sum()) for first, last in plan]
    assert max(tokens) <= BATCH_TOKENS + 2 * 60
    assert max(tokens) - min(tokens) <= 3 * 60


def test_no_texts_give_no_rows(engine: NativeEngine, shipped: Artifact) -> None:
    assert (0, len(shipped.config.labels)) == engine.probabilities([]).shape


@pytest.mark.parametrize("wrong", [[[-1]], [[10**6]], [[5] * 10_000]])
def test_ids_and_lengths_out_of_range_are_refused(engine: NativeEngine, wrong: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="out of the model's range"):
        engine.probabilities([[101, 102], *wrong])


def test_a_text_without_tokens_is_refused(engine: NativeEngine) -> None:
    with pytest.raises(ValueError, match="no tokens"):
        engine.probabilities([[101, 102], []])


def test_calls_at_the_same_time_do_not_mix(engine: NativeEngine) -> None:
    rows = [[101, 1000 + number, 102] * (1 + number % 9) for number in range(120)]
    expected = engine.probabilities(rows)
    with ThreadPoolExecutor(max_workers=6) as threads:
        parts = [rows[start::7] for start in range(7)] * 3
        for number, found in enumerate(threads.map(engine.probabilities, parts)):
            assert np.array_equal(expected[number % 7 :: 7], found)


def test_it_counts_the_tokens_that_it_has_computed_with_the_filling(
    shipped: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "count_usable_cores", lambda: 1)
    made = NativeEngine(shipped)
    made.probabilities([[101, 102], [101, 2000, 102], [101, 102]])
    assert 12 == made.computed_tokens


def test_a_text_whose_numbers_overflow_has_no_probabilities_and_its_neighbors_have_theirs(shipped: Artifact) -> None:
    """Otherwise a broken model would publish labels; the tagger notices what is not finite."""
    name, word = "encoder.embeddings.word_embeddings.weight", 2000
    broken = shipped.weights[name].copy()
    broken[word] = np.inf
    made = NativeEngine(replace(shipped, weights={**shipped.weights, name: broken}))
    found = made.probabilities([[101, 3000, 102], [101, word, 102], [101, 3000, 102]])
    assert [True, False, True] == np.isfinite(found).all(axis=1).tolist()
    assert np.array_equal(found[0], found[2])
