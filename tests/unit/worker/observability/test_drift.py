"""The distance of a window of results from the reference."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from emotag_model.reference_stats import ReferenceStats
from emotag_model.tokens import TokenIds
from emotag_worker.observability.drift import Distances, Drift, compute_stability_index

RATES = {"joy": 0.5, "anger": 0.1}


def scores(texts: int, seed: int, *, shift: float = 1.0) -> npt.NDArray[np.float32]:
    drawn = np.random.default_rng(seed).beta(0.4, 2.0, (texts, 2))
    drawn[:, 0] **= shift
    return drawn.astype(np.float32)


def ints(values: Any) -> npt.NDArray[np.int64]:
    return np.asarray(values, np.int64)


REFERENCE = ReferenceStats.of(
    scores(5000, 0), [TokenIds((7,) * (4 + n % 20), False, n % 50 == 0) for n in range(5000)], RATES
)


def filled(*, shift: float = 1.0, longer: int = 0, unknown: int = 0, texts: int = 2000) -> Drift:
    drift = Drift(REFERENCE, window=2000, least=1000)
    lengths = ints([4 + longer + n % 20 for n in range(texts)])
    drift.add(scores(texts, 1, shift=shift), lengths, ints([unknown] * texts), np.arange(texts))
    return drift


def measured(drift: Drift) -> Distances:
    found = drift.measure_distances()
    assert found is not None
    return found


def test_the_index_is_the_sum_its_definition_gives() -> None:
    p, q = (np.array([[10.5, 30.5]]) / 41), (np.array([[20.5, 20.5]]) / 41)
    expected = ((p - q) * np.log(p / q)).sum()
    assert compute_stability_index(ints([[10, 30]]), ints([[20, 20]]))[0] == pytest.approx(expected)


def test_the_same_shares_have_no_distance_and_an_empty_bin_has_a_finite_one() -> None:
    assert compute_stability_index(ints([[5, 5]]), ints([[5, 5]]))[0] == 0
    assert 1 < compute_stability_index(ints([[100, 0]]), ints([[0, 100]]))[0] < 20


def test_texts_like_the_reference_have_not_drifted() -> None:
    found = measured(filled())
    assert found.scores_K.max() < 0.02
    assert found.length < 0.02


def test_only_the_label_whose_scores_moved_has_drifted() -> None:
    found = measured(filled(shift=0.4))
    assert found.scores_K[0] > 0.25
    assert found.scores_K[1] < 0.02


def test_longer_texts_have_drifted_in_length() -> None:
    found = measured(filled(longer=30))
    assert found.length > 0.25


def test_the_share_of_unknown_tokens_is_of_all_tokens() -> None:
    found = measured(filled(unknown=1))
    assert found.unknown_rate == pytest.approx(1 / 13.5)


def test_too_few_texts_have_no_distance() -> None:
    assert filled(texts=999).measure_distances() is None


def test_the_window_slides() -> None:
    """Older results do not count, whatever the sizes of the batches."""
    drift = filled(shift=0.4)
    for seed in range(7):
        rows = scores(300, 10 + seed)
        drift.add(rows, ints([4 + n % 20 for n in range(300)]), ints([0] * 300), np.arange(300))
    found = measured(drift)
    assert found.texts == 2000
    assert found.scores_K[0] < 0.03


def test_a_batch_larger_than_the_window_leaves_its_last_results() -> None:
    drift = Drift(REFERENCE, window=1000, least=1000)
    rows = np.concatenate([scores(3000, 1, shift=0.4), scores(1000, 2)])
    drift.add(rows, ints([4 + n % 20 for n in range(4000)]), ints([0] * 4000), np.arange(4000))
    found = measured(drift)
    assert found.texts == 1000
    assert found.scores_K[0] < 0.04


def test_a_repeat_counts_each_time() -> None:
    """One text a thousand times is a thousand results."""
    drift = Drift(REFERENCE, window=2000, least=1000)
    drift.add(scores(1, 1), ints([9]), ints([0]), np.zeros(1000, np.int64))
    found = measured(drift)
    assert found.texts == 1000
    assert found.length > 1
