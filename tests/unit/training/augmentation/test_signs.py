"""What a sign says about the labels, and the targets of a text that it is added to."""

import numpy as np
import pytest

from emotag_training.augmentation.signs import BELIEF, FEWEST_TEXTS, GIVEN, MOST_TEXTS, Signs
from emotag_training.data.split import Split

LABELS = ("anger", "joy", "neutral")


def split(*rows: tuple[str, list[float]]) -> Split:
    targets_NK = np.array([targets for _, targets in rows], np.float32)
    return Split(tuple(text for text, _ in rows), targets_NK, LABELS, "sha256")


def build(*rows: tuple[str, list[float]]) -> Signs:
    """Signs of a data set with ten texts of each label, and more texts."""
    plain = [("a", [1.0, 0, 0]), ("b", [0, 1.0, 0]), ("c", [0, 0, 1.0])] * 10
    return Signs.of(split(*plain, *rows))


def test_a_sign_of_the_table_says_its_label_although_no_text_has_it() -> None:
    signs = build()
    assert [pytest.approx(GIVEN[0]), pytest.approx(0.1), pytest.approx(0.1)] == signs.shares["😡"].tolist()


def test_texts_with_a_sign_correct_the_table_up_to_a_limit() -> None:
    few, many = (build(*[("x 😡", [0, 1.0, 0])] * count) for count in (1, 15))
    assert build().shares["😡"][1] < few.shares["😡"][1] < many.shares["😡"][1] < 0.5
    assert MOST_TEXTS / (BELIEF + MOST_TEXTS) < many.shares["😡"][1]


def test_a_sign_that_the_table_lacks_needs_texts() -> None:
    rows: list[tuple[str, list[float]]] = [("x 🦀", [0, 1.0, 0])] * FEWEST_TEXTS
    assert "🦀" in build(*rows).shares
    assert "🦀" in build(*rows[1:]).others


def test_signs_of_labels_that_the_data_lacks_say_nothing() -> None:
    assert "❤" not in build().shares


def test_a_sign_raises_its_label_and_lowers_neutral() -> None:
    signs = build()
    before = np.array([0.05, 0.05, 0.9], np.float32)
    anger, joy, neutral = signs.shift(before, "😡").tolist()
    assert (anger > 0.15, joy < 0.05, neutral < 0.9) == (True, True, True)


def test_a_sign_without_meaning_changes_nothing() -> None:
    before = np.array([0.05, 0.05, 0.9], np.float32)
    assert before.tolist() == build().shift(before, "🍕").tolist()


def test_certain_targets_stay_finite() -> None:
    shifted = build().shift(np.array([0.0, 1.0, 0.0], np.float32), "😡")
    assert np.isfinite(shifted).all()
    assert shifted[1] > 0.5
