"""The texts of a run."""

from pathlib import Path

import pytest

from emotag_training.errors import DataError
from emotag_training.recipe import DataSection, DistillationSection
from emotag_training.texts import read_texts


def write_texts(folder: Path, *, dev: str) -> DataSection:
    (folder / "train.tsv").write_text("text\tlabels\n" + "glad\tjoy\nsour\tanger\n" * 20)
    (folder / "dev.tsv").write_text("text\tlabels\n" + dev)
    (folder / "labels.txt").write_text("joy\nanger\n")
    return DataSection(source=str(folder), limit=32)


def test_a_limit_keeps_the_first_rows_of_both_splits(tmp_path: Path) -> None:
    texts = read_texts(write_texts(tmp_path, dev="glad\tjoy\nsour\tanger\n" * 20), DistillationSection())
    assert (32, 32) == (len(texts.train), len(texts.dev))
    assert texts.train is texts.annotated
    assert texts.teacher is None


@pytest.mark.parametrize(("limit", "subject"), [(None, "its texts"), (32, "the first 32 of its texts")])
def test_dev_texts_that_all_have_the_same_labels_are_refused_with_what_dev_needs(
    tmp_path: Path, limit: int | None, subject: str
) -> None:
    data = write_texts(tmp_path, dev="glad\tjoy\n" * 32 + "sour\tanger\n" * bool(limit))
    with pytest.raises(DataError, match=rf"dev\.tsv: {subject} all have the same labels.*; for at least one") as caught:
        read_texts(data.model_copy(update={"limit": limit}), DistillationSection())
    assert "texts with it and texts without it: split all texts at random" in str(caught.value)
    assert str(caught.value).endswith("raise data.limit") == bool(limit)
