"""One file is a data set: a part of its texts is dev, the same part in every run."""

import json
from pathlib import Path

import pytest

from emotag_training.data.columns import Columns
from emotag_training.data.sources import OneFile, find_data_set, read_train_and_dev
from emotag_training.errors import DataError

ROWS = [(f"text {row}", ["anger"] * (row % 5 == 0) + ["joy"] * (row % 2)) for row in range(100)]


def write(path: Path) -> Columns:
    """Write the rows in one of the forms; return their columns."""
    match path.name:
        case "lists.csv":
            path.write_text("text,labels\n" + "".join(f"{text},{';'.join(names)}\n" for text, names in ROWS))
        case "mapped.tsv":
            path.write_text("mood\tbody\n" + "".join(f"{'|'.join(names)}\t{text}\n" for text, names in ROWS))
            return Columns.parse("body", "mood")
        case "one_hot.csv":
            cells = (f"{text},{int('anger' in names)},{int('joy' in names)}\n" for text, names in ROWS)
            path.write_text("text,anger,joy\n" + "".join(cells))
            return Columns.parse("text", "anger,joy")
        case "lists.jsonl":
            path.write_text("".join(json.dumps({"text": text, "labels": names}) + "\n" for text, names in ROWS))
    return Columns()


@pytest.mark.parametrize("name", ["mapped.tsv", "one_hot.csv", "lists.jsonl"])
def test_every_form_of_the_same_rows_gives_the_same_two_splits(name: str, tmp_path: Path) -> None:
    write(tmp_path / "lists.csv")
    expected = read_train_and_dev(find_data_set(str(tmp_path / "lists.csv")))
    found = read_train_and_dev(find_data_set(str(tmp_path / name), write(tmp_path / name)))
    assert [(75, ("anger", "joy")), (25, ("anger", "joy"))] == [(len(split), split.labels) for split in found]
    for one, other in zip(expected, found, strict=True):
        assert (one.texts, one.sha256) == (other.texts, other.sha256)
        assert one.targets_NK.tolist() == other.targets_NK.tolist()
    assert {text for text, _ in ROWS} == {*found[0].texts, *found[1].texts}


def test_a_file_is_recognised_by_the_record_of_a_model_that_was_trained_on_it(tmp_path: Path) -> None:
    write(tmp_path / "lists.csv")
    one = OneFile(tmp_path / "lists.csv", Columns())
    record = {"data": {"train_sha256": one.read("train").sha256}}
    assert one.is_source_of(record)
    assert not one.is_source_of({"data": {"train_sha256": one.whole.sha256}})
    assert not one.is_source_of({})
    assert not one.is_source_of({"data": []})
    (tmp_path / "lists.csv").write_text("text,labels\nfew,joy\n")
    assert not OneFile(tmp_path / "lists.csv", Columns()).is_source_of(record)


def test_a_file_that_has_changed_since_a_model_was_trained_on_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "lists.csv")
    monkeypatch.chdir(tmp_path)
    sha256 = OneFile(Path("lists.csv"), Columns()).read("train").sha256
    record = {"data": {"train_sha256": sha256}, "recipe": {"data": {"source": "lists.csv"}}}
    OneFile(tmp_path / "lists.csv", Columns()).refuse_change_since(record)
    with (tmp_path / "lists.csv").open("a") as file:
        file.write("one text more,joy\n")
    changed = OneFile(tmp_path / "lists.csv", Columns())
    changed.refuse_change_since({**record, "recipe": {"data": {"source": "other.csv"}}})
    changed.refuse_change_since({**record, "recipe": []})
    with pytest.raises(DataError, match=r"lists\.csv: a model was trained on this file, .* have changed since"):
        changed.refuse_change_since(record)


def test_messages_show_no_label_of_several_words(tmp_path: Path) -> None:
    """If the wrong column is named, such a label is somebody's text."""
    (tmp_path / "train.csv").write_text("text,labels\na,joy\nb,Hello you\n")
    (tmp_path / "dev.csv").write_text("text,labels\na,joy\nb,Hello me\n")
    with pytest.raises(DataError, match=r"a text of 8 characters is not one of .* a text of 9 characters") as caught:
        read_train_and_dev(find_data_set(str(tmp_path)))
    assert "Hello" not in str(caught.value)


def test_one_file_has_no_test_split(tmp_path: Path) -> None:
    write(tmp_path / "lists.csv")
    found = find_data_set(str(tmp_path / "lists.csv"))
    assert (True, True, True, False) == tuple(found.has(name) for name in ("train", "dev", "validation", "test"))
    with pytest.raises(DataError, match=r"lists\.csv is one file, which is divided into train and dev; it has no test"):
        found.read("test")


def test_a_file_of_few_texts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,labels\n" + "a,joy\n" * 19)
    with pytest.raises(DataError, match=r"a\.csv has 19 texts: too few .* label at least 20, better a few hundred"):
        find_data_set(str(tmp_path / "a.csv")).read("train")
