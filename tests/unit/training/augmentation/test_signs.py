"""What a sign says about the labels, and the targets of a text that it is added to."""

import numpy as np
import pytest

from emotag_training.augmentation.signs import BELIEF, FEWEST_TEXTS, GIVEN, MOST_TEXTS, NOT_GIVEN, SIGN_WEIGHT, Signs
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
    assert [GIVEN[0], NOT_GIVEN / 3, NOT_GIVEN / 3] == pytest.approx(signs.shares["😡"].tolist())


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


def test_next_to_a_text_that_says_nothing_a_sign_decides() -> None:
    signs = build()
    anger, joy, neutral = signs.shift(np.array([0.0, 0.0, 1.0], np.float32), "😡").tolist()
    assert [anger, neutral] == pytest.approx([signs.shares["😡"][0], signs.shares["😡"][2]])
    assert joy < 0.05


def test_next_to_an_emotion_a_sign_has_a_part_of_its_weight_and_the_emotion_stays() -> None:
    anger, joy, neutral = build().shift(np.array([0.0, 1.0, 0.0], np.float32), "😡").tolist()
    assert anger == pytest.approx(SIGN_WEIGHT * GIVEN[0])
    assert joy > 0.5
    assert neutral == pytest.approx(SIGN_WEIGHT * NOT_GIVEN / 3)


def test_a_sign_confirms_the_emotion_of_a_text_and_lowers_others() -> None:
    anger, joy, _ = build().shift(np.array([0.5, 0.3, 0.2], np.float32), "😡").tolist()
    assert anger > 0.7
    assert joy < 0.2


def test_data_without_neutral_has_signs_too() -> None:
    texts, targets_NK = ("a", "b") * 10, np.tile(np.eye(2, dtype=np.float32), (10, 1))
    signs = Signs.of(Split(texts, targets_NK, ("anger", "joy"), "sha256"))
    assert signs.neutral is None
    assert signs.shift(np.zeros(2, np.float32), "😡")[0] == pytest.approx(GIVEN[0])


def test_a_sign_without_meaning_changes_nothing() -> None:
    before = np.array([0.05, 0.05, 0.9], np.float32)
    assert before.tolist() == build().shift(before, "🍕").tolist()


def test_certain_targets_stay_finite() -> None:
    shifted = build().shift(np.array([0.0, 1.0, 0.0], np.float32), "😡")
    assert np.isfinite(shifted).all()
    assert shifted[1] > 0.5
