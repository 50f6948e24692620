"""What a text is learnt with: repeated texts, and labels that a teacher contradicts."""

import numpy as np
import pytest

from training.data import Split, with_mean_of_repeats
from training.teacher import Teacher, TeacherError, corrected

LABELS = ("joy", "anger")


def split(texts: str, targets: list[list[float]]) -> Split:
    return Split(tuple(texts.split()), np.array(targets, dtype=np.float32), LABELS, "sha")


def test_a_repeated_text_has_the_mean_of_its_raters_labels_wherever_it_stands() -> None:
    found = with_mean_of_repeats(split("b a b c b", [[1, 0], [0, 1], [0, 1], [1, 1], [1, 0]]))
    assert ("b", "a", "b", "c", "b") == found.texts
    mean = [pytest.approx(2 / 3), pytest.approx(1 / 3)]
    assert [mean, [0, 1], mean, [1, 1], mean] == found.targets_NK.tolist()
    assert np.float32 == found.targets_NK.dtype
    assert "sha" == found.sha256


def test_texts_that_stand_once_keep_their_labels_to_the_bit() -> None:
    once = split("a b", [[1, 0], [0.3, 1]])
    assert np.array_equal(once.targets_NK, with_mean_of_repeats(once).targets_NK)


def said(values: list[list[float]]) -> Teacher:
    return Teacher(np.array(values, dtype=np.float32), LABELS, "sha", ("sha256:a",))


def test_what_a_teacher_confidently_contradicts_becomes_its_probability() -> None:
    """Sure of joy is 0.6 here, the mean over those who have it; sure of its absence 0.75."""
    train = split("a b c d e f", [[1, 0], [1, 0], [1, 0], [0, 0], [0, 0], [0, 0]])
    teacher = said([[0.9, 0], [0.8, 0], [0.1, 0], [0.65, 0], [0.05, 0], [0.05, 0]])
    found = corrected(train, teacher)
    expected = [1, 1, 0.1, 0.65, 0, 0]
    assert np.allclose(expected, found.targets_NK[:, 0])
    assert np.array_equal(train.targets_NK[:, 1], found.targets_NK[:, 1])  # nobody has it: there is no telling


def test_where_both_ways_are_sure_the_likelier_holds() -> None:
    """Of a rare label a teacher is never sure: 0.3 is as much as it says of those who have it."""
    train = split("a b c d", [[1, 0], [1, 0], [0, 0], [0, 0]])
    found = corrected(train, said([[0.3, 0], [0.3, 0], [0.4, 0], [0.5, 0]]))
    # Sure of absence is 0.55: c is both, and 0.4 is below one half; d is sure of joy alone.
    assert np.allclose([0.3, 0.3, 0, 0.5], found.targets_NK[:, 0])


def test_raters_who_are_known_to_disagree_are_left_alone() -> None:
    train = split("a b c", [[1, 0], [0.5, 0], [0, 0]])
    found = corrected(train, said([[0.9, 0], [0.99, 0], [0.1, 0]]))
    assert np.array_equal(train.targets_NK, found.targets_NK)


def test_a_teacher_of_other_texts_corrects_nothing() -> None:
    with pytest.raises(TeacherError, match="other texts"):
        corrected(split("a", [[1, 0]]), Teacher(np.zeros((1, 2), np.float32), LABELS, "another", ()))
