"""Mistakes in a data set are named in one plain line."""

from pathlib import Path
from typing import Any

import datasets
import kagglehub
import kagglehub.exceptions
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from emotag_schemas.labels import LABELS
from emotag_training.cli import app
from emotag_training.data.sources import KAGGLE_HANDLE, find_data_set, read_train_and_dev
from emotag_training.data.table import load_split, read_labelled
from emotag_training.errors import DataError, Unreachable
from tests.integration.training.test_training import mistake

from .test_data_sets import DEV, TRAIN, Rows, as_dataset, write


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,labels\nx,joy\ny\n", r"a\.csv, line 3: it has fewer columns than the header"),
        (
            "a.csv",
            "text,topic\nx,joy\n",
            r"a\.csv: the first line names no column labels or label \(columns: 2\); name the columns text and labels",
        ),
        ("a.csv", "Hello you,joy\n", r"the first line names no column text or labels or label \(columns: 2\)"),
        ("a.csv", "words\nx\n", r"\(columns: 1\); name the columns .* there, with a comma between them"),
        ("a.csv", "text;labels\nx;joy\n", r"seem to be divided by semicolons; save it with a comma between them"),
        ("a.txt", "text,labels\nx,joy\n", r"a\.txt: the format \.txt is unknown; save the table as"),
        (
            "a.csv",
            'text,labels\nx,joy\n"y,joy\nz,joy\n',
            r"a\.csv, line 3: not CSV: unexpected end .* double the quotes within it",
        ),
        ("a.csv", 'text,labels\n"x\ny",joy\n\n"z" z,joy\n', r"a\.csv, line 5: not CSV"),
        (
            "a.csv",
            "text,labels\nx,joy\nHello, world,joy\n",
            r"a\.csv, line 3: it has more columns than the header; put a text that contains a comma into double quotes",
        ),
        ("a.tsv", "text\tlabels\nHello\tworld\tjoy\n", r"a\.tsv, line 2: it has more .* contains a tab into double"),
        ("a.tsv", 'text\tlabels\nw\tjoy\n"x\tjoy\ny\tjoy\n', r"a\.tsv, line 3: not CSV: unexpected end of data"),
        (
            "a.tsv",
            "text\tlabels\n\"I can't.\tjoy\nI won't.\"\tjoy\nz\tjoy\n",
            r"a\.tsv, line 2: a cell contains a tab and a line break: is a double quote not closed\? .*, or use CSV",
        ),
        ("a.csv", "text,labels\nx,\n", r"a\.csv: no text has a label"),
        ("a.csv", "text,labels\n", "contains no texts"),
        ("a.tsv", "text\tlabels\nx\tjoy\ny\n", r"a\.tsv, line 3: it has fewer"),
        (
            "a.tsv",
            "x\t0\ny\t28\n",
            r"a\.tsv, line 2: not text, tab, label ids below 28.*label 28 is not an id from 0 to 27",
        ),
        ("a.tsv", "x\t-1\n", r"a\.tsv, line 1: .*label -1 is not an id"),
        ("a.tsv", "x\tjoy\n", r"a\.tsv, line 1: .*if the labels are names, name the columns text and labels"),
        ("a.tsv", "x\t0\n\ny\t0\n", r"a\.tsv, line 2: not text, tab"),
        ("a.tsv", "a\u2028b\t0\ny\tjoy\n", r"a\.tsv, line 2: not text, tab"),
        ("a.tsv", "", r"a\.tsv contains no texts"),
        ("a.csv", "text,labels\nx,joy\n,joy\n", r"a\.csv, line 3: the text is empty"),
        ("a.tsv", " \t0\nx\t0\n", r"a\.tsv, line 1: the text is empty"),
        ("a.csv", b"text,labels\n\xff,joy\n", r"a\.csv: not in UTF-8: .*; save the table as \.csv or \.tsv in UTF-8"),
        ("a.csv", "text,labels\nx,joy\n".encode("utf-16"), r"a\.csv: it is in UTF-16, not in UTF-8; save the table as"),
        ("a.xlsx", b"PK\x03\x04\xff", r"a\.xlsx: the format \.xlsx is unknown; save the table as .*, or as \.parquet"),
        ("a", b"\xff", r"a: the format of a file without extension is unknown; save the table as"),
        ("a.parquet", b"PAR1 and no more", r"a\.parquet: not Parquet"),
        (
            "a.parquet",
            {"text": ["x"], "topic": ["joy"]},
            r"a\.parquet: its columns are text, topic; it needs text and labels \(or label\); rename",
        ),
        ("a.parquet", {"text": ["x", None], "labels": ["a", "b"]}, r"row 2: text has the type NoneType; use a string"),
        ("a.parquet", {"text": ["x", "y"], "labels": ["a", None]}, r"row 2: labels is None; use a list of names"),
        ("a.parquet", {"text": ["x"], "labels": [[0.5]]}, r"row 1: labels is \[0\.5\]; use"),
        ("a.parquet", {"text": ["x"], "labels": [[True]]}, r"row 1: labels is \[True\]; use"),
        ("a.parquet", {"text": ["x"], "labels": [[3]]}, r"row 1: label 3 is an id without a name"),
        ("a.parquet", {"text": [7], "labels": [["a"]]}, r"row 1: text has the type int; use a string"),
    ],
)
def test_a_row_that_is_no_data_is_named_with_what_it_takes(
    tmp_path: Path, name: str, content: str | bytes | dict[str, list[Any]], message: str
) -> None:
    path = tmp_path / name
    if isinstance(content, dict):
        pq.write_table(pa.table(content), path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError, match=message) as caught:
        load_split(path)
    assert "\n" not in str(caught.value)
    assert "Hello" not in str(caught.value)


def test_refused_data_leaves_no_empty_output_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.csv").write_text("text,labels\na,joy\nb,\n")
    (tmp_path / "dev.csv").write_text("text,labels\nc,joy\n")
    told = mistake(monkeypatch, capsys, f"fit --data {tmp_path} --out {tmp_path / 'runs' / 'out'}")
    assert "dev.csv: its texts all have the same labels" in told
    assert not (tmp_path / "runs").exists()


def test_names_that_share_a_cell_are_the_same_with_spaces_around_them(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,labels\na,joy\nb,joy ; sad\nc, sad ;; joy;\nd, ; \ne,not sad\n")
    split = load_split(tmp_path / "a.csv")
    assert ("joy", "not sad", "sad") == split.labels
    assert [[1, 0, 0], [1, 0, 1], [1, 0, 1], [0, 0, 0], [0, 1, 0]] == split.targets_NK.tolist()


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_row_of_ids_ends_where_its_line_does_and_nowhere_else(tmp_path: Path, ending: str) -> None:
    """Texts contain other line separators of Unicode, and quotes, which are ordinary characters here."""
    texts = ("a\u2028b", "c\u0085d", "e\x0cf", "g\x1eh", '"i', 'j"')
    rows = ending.join(f"{text}\t{label}" for label, text in enumerate(texts))
    for content in (rows, rows + ending):
        (tmp_path / "a.tsv").write_bytes(content.encode())
        table = read_labelled(tmp_path / "a.tsv")
        assert texts == table.texts
        assert tuple((name,) for name in LABELS[: len(texts)]) == table.given
        assert "line 6" == table.places[-1]


def test_a_quoted_text_may_have_several_lines_and_stands_where_it_begins(tmp_path: Path) -> None:
    rows: Rows = [("a\nb", ["x"]), ('"c"\n\nd', ["y"]), ("e", ["x", "y"])]
    for kind in ("csv", "tsv with a header"):
        write(rows, tmp_path / f"a.{kind[:3]}", kind)
        table = read_labelled(tmp_path / f"a.{kind[:3]}")
        assert tuple(text for text, _ in rows) == table.texts
        assert ("line 2", "line 4", "line 7") == table.places
    rows = [("one, a\ttab\nand a line", ["x"]), ("f", ["x"])]
    write(rows, tmp_path / "a.csv", "csv")
    assert tuple(text for text, _ in rows) == read_labelled(tmp_path / "a.csv").texts


@pytest.mark.parametrize(("names", "message"), [("a\nb\na\n", "'a' is listed twice"), ("\n", "empty")])
def test_a_file_of_names_that_names_nothing_or_one_twice_is_refused(tmp_path: Path, names: str, message: str) -> None:
    (tmp_path / "labels.txt").write_text(names)
    write(DEV, tmp_path / "dev.csv", "csv")
    with pytest.raises(DataError, match=rf"labels\.txt: {message}"):
        load_split(tmp_path / "dev.csv")


def test_a_data_set_without_what_is_needed_says_what_it_has(tmp_path: Path) -> None:
    datasets.DatasetDict({"train": as_dataset(TRAIN), "test": as_dataset(DEV)}).save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(DataError, match="has the splits train, test, but no dev or validation"):
        read_train_and_dev(find_data_set(str(tmp_path / "saved")))
    assert find_data_set(str(tmp_path / "saved")).has("test")
    with pytest.raises(DataError, match=r"contains no train\.tsv or train\.csv or train\.jsonl or"):
        find_data_set(str(tmp_path)).read("train")


def test_what_is_no_data_set_of_splits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset", lambda name, config: as_dataset(DEV))
    with pytest.raises(DataError, match="datasets:one: it is a Dataset; use a DatasetDict"):
        find_data_set("datasets:one")


def test_a_data_set_that_cannot_be_reached_is_one_plain_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(name: str, config: str | None) -> None:
        raise ConnectionError(f"Couldn't reach {name!r} on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(Unreachable, match="cannot download datasets:someone/gone: Couldn't reach 'someone/gone'"):
        find_data_set("datasets:someone/gone")


def test_a_data_set_that_is_a_script_is_one_plain_line(tmp_path: Path) -> None:
    """The library no longer supports scripts, and raises a RuntimeError."""
    (tmp_path / "tickets").mkdir()
    (tmp_path / "tickets" / "tickets.py").write_text("raise SystemExit\n")
    with pytest.raises(DataError, match=r"tickets: Dataset scripts are no longer supported.*tickets\.py"):
        find_data_set(f"datasets:{tmp_path / 'tickets'}")


def test_a_mistake_in_the_data_is_one_line_on_the_command_line(tmp_path: Path) -> None:
    write([("a", ["x"]), ("b", [])], tmp_path / "train.csv", "csv")
    done = CliRunner().invoke(app, ["fit", "--data", str(tmp_path), "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, DataError)
    assert "contains no dev.tsv or dev.csv" in str(done.exception)


@pytest.mark.parametrize("error", ["DataCorruptionError", "UnauthenticatedError", "BackendError"])
def test_what_kaggle_refuses_is_one_line_and_says_what_else_to_do(
    error: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: str) -> str:
        raise getattr(kagglehub.exceptions, error)("not today")

    monkeypatch.setattr("kagglehub.dataset_download", refuse)
    told = mistake(monkeypatch, capsys, "evaluate --data kaggle", code=1)
    assert f"cannot download https://www.kaggle.com/datasets/{KAGGLE_HANDLE}" in told
    assert "--data FOLDER" in told
