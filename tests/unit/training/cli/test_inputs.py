"""The texts that a command measures on: dev of the file that a model was trained on, all texts of any other file."""

from pathlib import Path

import pytest

from emotag_training.cli.inputs import find_columns, read_labelled_texts
from emotag_training.data.columns import Columns
from emotag_training.data.sources import OneFile
from emotag_training.errors import DataError


class Trained:
    """The parts of an artifact that name its data."""

    class config:  # noqa: N801
        labels = ("joy", "anger")

    def __init__(self, sha256: str = "", source: str = "goemotions") -> None:
        recipe = {"data": {"source": source, "text_column": "body", "label_columns": "mood"}}
        self.training = {"data": {"train_sha256": sha256}, "recipe": recipe}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    rows = "".join(f"text {row},{'joy' if row % 2 else 'anger'}\n" for row in range(40))
    (tmp_path / "own.csv").write_text(f"body,mood\n{rows}")
    return tmp_path / "own.csv"


def test_the_file_that_a_model_was_trained_on_is_measured_by_its_dev(own: Path) -> None:
    parts = OneFile(own, Columns("body", ("mood",)))
    rows, shared_with = read_labelled_texts(str(own), "dev", Trained(parts.read("train").sha256))  # type: ignore[arg-type]
    assert parts.read("dev").texts == rows.texts
    assert ("joy", "anger") == rows.labels
    assert shared_with is not None
    assert 30 == len(shared_with)


def test_another_file_is_measured_as_a_whole(own: Path) -> None:
    rows, shared_with = read_labelled_texts(str(own), "dev", Trained("0" * 64))  # type: ignore[arg-type]
    assert (40, None) == (len(rows), shared_with)


def test_a_split_that_is_a_file_is_measured_whatever_the_data_is(own: Path) -> None:
    (own.parent / "test.csv").write_text("body,mood\nHello,joy\n")
    rows, shared_with = read_labelled_texts(str(own), str(own.parent / "test.csv"), Trained("0" * 64))  # type: ignore[arg-type]
    assert (("Hello",), None) == (rows.texts, shared_with)
    sha256 = OneFile(own, Columns("body", ("mood",))).read("train").sha256
    rows, shared_with = read_labelled_texts(str(own), str(own.parent / "test.csv"), Trained(sha256))  # type: ignore[arg-type]
    assert ("Hello",) == rows.texts
    assert shared_with is not None
    assert sha256 == shared_with.sha256


@pytest.mark.parametrize("split", ["test", "train"])
def test_another_file_has_no_splits(own: Path, split: str) -> None:
    with pytest.raises(DataError, match=rf"--split {split}: the model was not trained on .*own\.csv"):
        read_labelled_texts(str(own), split, Trained("0" * 64))  # type: ignore[arg-type]


def test_a_file_that_has_changed_since_the_training_is_refused(own: Path) -> None:
    with pytest.raises(DataError, match=r"own\.csv: a model was trained on this file"):
        read_labelled_texts(str(own), "dev", Trained("0" * 64, source=str(own)))  # type: ignore[arg-type]


@pytest.mark.parametrize("first", [True, False], ids=["the first", "the second"])
def test_two_models_are_measured_on_texts_that_are_new_to_both(own: Path, first: bool) -> None:
    """If either was trained on the file."""
    sha256 = OneFile(own, Columns("body", ("mood",))).read("train").sha256
    models = [Trained("0" * 64), Trained(sha256)][:: -1 if first else 1]
    rows, shared_with = read_labelled_texts(str(own), "dev", models[0], models[1:])  # type: ignore[arg-type]
    assert 10 == len(rows)
    assert shared_with is not None
    assert sha256 == shared_with.sha256


@pytest.mark.parametrize("other", ["0" * 64, None], ids=["the other is foreign", "the other was trained on it"])
def test_a_file_that_has_changed_since_the_training_of_a_second_model_is_refused(own: Path, other: str | None) -> None:
    sha256 = other or OneFile(own, Columns("body", ("mood",))).read("train").sha256
    models = Trained(sha256), [Trained("1" * 64, source=str(own))]
    with pytest.raises(DataError, match=r"own\.csv: a model was trained on this file"):
        read_labelled_texts(str(own), "dev", *models)  # type: ignore[arg-type]


def test_columns_are_those_that_the_model_was_trained_on(own: Path) -> None:
    older = Trained()
    assert Columns("body", ("mood",)) == find_columns(older)  # type: ignore[arg-type]
    older.training = {"recipe": {"data": {"source": "goemotions"}}}
    assert Columns() == find_columns(older)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="the first line names no column text or labels or label"):
        read_labelled_texts(str(own), "dev", older)  # type: ignore[arg-type]
