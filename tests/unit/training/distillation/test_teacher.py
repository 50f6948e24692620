"""A teacher's predictions count only if its models had not trained on the texts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emotag_training.data.split import Split
from emotag_training.distillation.teacher import Teacher, average_teachers, find_held_out, find_unseen, load_teacher
from emotag_training.errors import TeacherError

TRAIN = Split(("x", "y", "z"), np.eye(3, 2, dtype=np.float32), ("a", "b"), "sha")
DEV = TRAIN.take([0])
TEACHER = Teacher(np.full((3, 2), 0.5, np.float32), TRAIN.labels, TRAIN.sha256, ("v1", "v2"))


def predict(version: str, models: list[int] | None) -> Teacher:
    """Return a teacher of one model that predicted the texts marked 1, or all texts."""
    shown_NK = np.full((3, 2), 0.25, np.float32) * (1 if models is None else np.array(models)[:, None])
    counts_N = None if models is None else np.array(models)
    return Teacher(shown_NK.astype(np.float32), ("a", "b"), "sha", (version,), models_N=counts_N)


def test_folds_that_cover_all_texts_are_held_out() -> None:
    teacher = average_teachers([predict("one", [1, 0, 0]), predict("two", [0, 1, 1])])
    found = find_held_out(teacher, TRAIN)
    assert found is not None
    assert (found.probabilities_NK == 0.25).all()
    assert ("sha", True) == (found.data_sha256, (found.targets_NK == TRAIN.targets_NK).all())


def test_models_that_predicted_everything_have_trained_on_it() -> None:
    assert find_held_out(predict("one", None), TRAIN) is None


def test_one_such_model_among_folds_spoils_them_also_in_a_file(tmp_path: Path) -> None:
    folds = [predict("one", [1, 0, 0]), predict("two", [0, 1, 1])]
    average_teachers([*folds, predict("three", None)]).save(tmp_path / "mixed")
    average_teachers(folds).save(tmp_path / "folds")
    assert [None, True] == [find_held_out(load_teacher(tmp_path / name), TRAIN) and True for name in ("mixed", "folds")]


def test_folds_that_are_missing_are_an_error() -> None:
    with pytest.raises(TeacherError, match="no predictions for 1 of the texts"):
        find_held_out(predict("one", [1, 1, 0]), TRAIN)


def test_a_text_is_unseen_if_the_models_of_folds_predicted_it() -> None:
    folds = replace(TEACHER, models_N=np.array([1, 0, 1]), dev_MK=np.ones((1, 2), np.float32))
    of_train_NK, of_dev_MK = find_unseen(folds, TRAIN, DEV)
    assert [False, True, False] == np.isnan(of_train_NK[:, 0]).tolist()
    assert [[1.0, 1.0]] == of_dev_MK.tolist()


def test_one_model_that_predicted_all_texts_among_folds_has_seen_them() -> None:
    mixed = replace(TEACHER, models_N=np.array([2, 1, 2]), mixed=True)
    assert np.isnan(find_unseen(mixed, TRAIN, DEV)[0]).all()


def test_without_folds_the_models_were_trained_on_all_texts() -> None:
    of_train_NK, of_dev_MK = find_unseen(TEACHER, TRAIN, DEV)
    assert np.isnan(of_train_NK).all()
    assert np.isnan(of_dev_MK).all()


def test_predictions_of_other_texts_are_refused() -> None:
    with pytest.raises(TeacherError, match="made from other texts than these"):
        find_unseen(replace(TEACHER, data_sha256="1" * 64), TRAIN, DEV)
