"""Neutral sentences, and the negative labels that are counted for them."""

import numpy as np
import pytest

from emotag_training.evaluation import slices

NAMES = ("anger", "joy")


def test_each_fact_is_said_once_in_each_variety() -> None:
    """All in the first variety, then all in the second, in the same order; no sentence is in both."""
    said = slices.list_variety_sentences()
    half = len(slices.SAID_IN_BOTH)
    assert list(slices.SAID_IN_BOTH) == list(zip(said[:half], said[half:], strict=True))
    assert 2 * half == len(set(said))


@pytest.mark.parametrize(("variety", "rates"), [(0, (0.3, 0.0)), (1, (0.0, 0.3))])
def test_what_is_negative_counts_for_its_own_variety(variety: int, rates: tuple[float, float]) -> None:
    """At the label's threshold; labels that are not negative do not count."""
    said_NK = np.tile(np.array([0.49, 0.99], np.float32), (len(slices.list_variety_sentences()), 1))
    first = variety * len(slices.SAID_IN_BOTH)
    said_NK[first : first + 3, 0] = 0.5
    assert dict(zip(slices.VARIETIES, rates, strict=True)) == slices.measure_varieties(said_NK, (0.5, 0.5), NAMES)


def test_without_a_negative_label_nothing_is_counted() -> None:
    said_NK = np.ones((len(slices.list_variety_sentences()), 1), np.float32)
    assert dict.fromkeys(slices.VARIETIES) == slices.measure_varieties(said_NK, (0.5,), ("joy",))


def test_people_are_counted_each_by_their_own_sentences() -> None:
    about_NK = np.zeros((len(slices.list_people_sentences()), 2), np.float32)
    about_NK[slices.list_people_sentences().index("My neighbour is a Muslim."), 0] = 1
    found = slices.measure_people(about_NK, (0.5, 0.5), NAMES)
    assert {"all": 0.0056, "a Muslim": 0.1667} == {who: rate for who, rate in found.items() if rate}
    assert ["all", *slices.PEOPLE] == list(found)
