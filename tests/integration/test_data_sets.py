"""Any labelled texts train, whatever they are written as: the same rows in every format are the very same split."""

import csv
import hashlib
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import kagglehub
import kagglehub.exceptions
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from model import artifact
from model.tagger import EmotionTagger
from schemas.labels import LABELS
from tests.integration.test_training import mistake, run
from training.cli import app
from training.data import DataError, Split
from training.data_set import KAGGLE_HANDLE, find, train_and_dev
from training.labelled import load_split, read_labelled

TOPICS = {
    "billing": ("invoice", "refund", "charged"),
    "delivery": ("parcel", "courier", "late"),
    "login": ("password", "locked", "signin"),
    "praise": ("lovely", "thanks", "superb"),
    "screen": ("cracked", "pixel", "flicker"),
}
"""What customers write about, by the words that give it away."""

Rows = list[tuple[str, list[str]]]

FORMATS = [
    "tsv with a header",
    "tsv of ids",
    "csv",
    "csv, label",
    "parquet of names",
    "parquet of ids",
    "parquet of texts",
    "parquet by datasets",
    "saved by datasets",
    "datasets:",
]


def tickets(count: int, seed: int) -> Rows:
    """Texts of one to three topics, in random order, with commas and quotes in them; some of no topic at all."""
    rng = random.Random(seed)
    rows: Rows = []
    for _ in range(count):
        topics = sorted(rng.sample(sorted(TOPICS), rng.choice((0, 1, 1, 1, 2, 3))))
        words = [rng.choice(TOPICS[topic]) for topic in topics] + rng.choices(("my", "the", "is", "so"), k=2)
        rng.shuffle(words)
        rows.append((rng.choice(("{}", 'well, "{}"', "{} ; again")).format(" ".join(words)), topics))
    return rows


TRAIN, DEV = tickets(200, 0), tickets(80, 1)


def write(rows: Rows, path: Path, kind: str) -> None:
    """One file of *rows*; its folder has a labels.txt where ids need one."""
    texts, labels = [text for text, _ in rows], [topics for _, topics in rows]
    match kind:
        case "csv" | "csv, label" | "tsv with a header":
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, delimiter="\t" if kind.startswith("tsv") else ",")
                writer.writerow(["id", "label" if kind.endswith("label") else "labels", "text"])
                writer.writerows([row, ";".join(topics), text] for row, (text, topics) in enumerate(rows))
        case "parquet of names":
            pq.write_table(pa.table({"text": texts, "labels": pa.array(labels, pa.list_(pa.string()))}), path)
        case "parquet of ids":
            pq.write_table(pa.table({"labels": pa.array(ids_of(labels), pa.list_(pa.int64())), "text": texts}), path)
            (path.parent / "labels.txt").write_text("\n".join(sorted(TOPICS)) + "\n")
        case "parquet of texts":
            pq.write_table(pa.table({"text": texts, "labels": ["|".join(topics) for topics in labels]}), path)
        case "parquet by datasets":
            as_dataset(rows).to_parquet(str(path))
        case "tsv of ids":
            ids = (",".join(map(str, row)) for row in ids_of(labels))
            path.write_text("".join(f"{text}\t{row}\tx\n" for text, row in zip(texts, ids, strict=True)))
            (path.parent / "labels.txt").write_text("\n".join(sorted(TOPICS)) + "\n")


def ids_of(labels: list[list[str]]) -> list[list[int]]:
    return [[sorted(TOPICS).index(topic) for topic in topics] for topics in labels]


def as_dataset(rows: Rows, names: Sequence[str] = tuple(sorted(TOPICS))) -> Any:
    features = datasets.Features(
        {"text": datasets.Value("string"), "labels": datasets.List(datasets.ClassLabel(names=list(names)))}
    )
    content = {"text": [text for text, _ in rows], "labels": [[names.index(t) for t in topics] for _, topics in rows]}
    return datasets.Dataset.from_dict(content, features=features)


def written(folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch, *, train: Rows = TRAIN, dev: Rows = DEV) -> str:
    """The tickets in one of the formats; what --data calls them."""
    if kind in ("saved by datasets", "datasets:"):
        saved = datasets.DatasetDict({"train": as_dataset(train), "validation": as_dataset(dev)})
        if kind == "datasets:":
            loaded = {("someone/tickets", "plain"): saved}
            monkeypatch.setattr(datasets, "load_dataset", lambda name, config=None: loaded[name, config])
            return "datasets:someone/tickets:plain"
        saved.save_to_disk(str(folder))
        return str(folder)
    folder.mkdir(exist_ok=True)
    ending = kind[:3] if kind[:3] in ("tsv", "csv") else "parquet"
    write(train, folder / f"train.{ending}", kind)
    write(dev, folder / f"{'validation' if ending == 'parquet' else 'dev'}.{ending}", kind)
    return str(folder)


def with_a_label(rows: Rows) -> Rows:
    """GoEmotions' own format has no way to write a text without one."""
    return [row for row in rows if row[1]]


def equal(split: Split, rows: Rows) -> bool:
    expected_NK = np.array([[float(name in topics) for name in sorted(TOPICS)] for _, topics in rows], np.float32)
    assert tuple(sorted(TOPICS)) == split.labels
    assert tuple(text for text, _ in rows) == split.texts
    return split.targets_NK.dtype == np.float32 and bool((expected_NK == split.targets_NK).all())


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_reads_to_the_very_same_splits(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = (with_a_label(TRAIN), with_a_label(DEV)) if kind == "tsv of ids" else (TRAIN, DEV)
    named = written(tmp_path / "data", kind, monkeypatch, train=expected[0], dev=expected[1])
    train, dev = train_and_dev(find(named))
    assert equal(train, expected[0])
    assert equal(dev, expected[1])
    assert not find(named).has("test")
    assert 64 == len(train.sha256)
    assert train.sha256 != dev.sha256


@pytest.mark.timeout(300)
def test_other_labels_train_a_model_by_naming_the_data_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it beats chance: a label drawn by how often it occurs has an average precision of that frequency."""
    named = written(tmp_path / "data", "parquet by datasets", monkeypatch)
    out = tmp_path / "tickets"
    changes = ["hidden_tokens=0", "ema=0.9", "learning_rate=2e-3", "batch_size=16", "epochs=6", "precision=fp32"]
    common = [part for change in changes for part in ("--set", change)]
    run("fit", "--data", named, "--trunk", str(folder / "trunk"), *common, "--out", str(out))
    made = artifact.load(out)
    assert tuple(sorted(TOPICS)) == made.config.labels
    chance = load_split(tmp_path / "data" / "validation.parquet").targets_NK.mean()
    assert chance < 0.35
    assert made.metrics["dev"]["mean_average_precision"] > 0.7
    assert load_split(tmp_path / "data" / "train.parquet").sha256 == made.training["data"]["train_sha256"]
    card = (out / artifact.CARD).read_text()
    assert not [word for word in ("GoEmotions", "Reddit", "emotion", "Muslim", "language: en") if word in card]
    tagged = EmotionTagger.load(out, on="cpu", precision="fp32").tag(["my parcel is late"])[0]
    assert "delivery" == tagged.top(1)[0].label


def test_a_model_is_measured_on_a_file_of_any_format(folder: Path, tmp_path: Path) -> None:
    """Its columns come in the model's order, whatever order the file has them in."""
    run("fit", "--smoke", "--data", str(folder), "--trunk", str(folder / "trunk"), "--out", str(tmp_path / "toy"))
    rows: Rows = [("glad now", ["joy"]), ("sour now", ["anger"]), ("calm, glad", ["calm", "joy"])]
    command = ["evaluate", "--model", str(tmp_path / "toy"), "--json", "--data"]
    found = []
    for kind, name in (("csv", "a.csv"), ("tsv with a header", "b.tsv"), ("parquet of names", "c.parquet")):
        write(rows, tmp_path / name, kind)
        found.append(json.loads(run(*command, str(tmp_path / name))))
    as_dataset(rows, ("calm", "anger", "joy")).to_parquet(str(tmp_path / "d.parquet"))
    found.append(json.loads(run(*command, str(folder), "--split", str(tmp_path / "d.parquet"))))
    assert ["joy", "anger", "calm"] == list(found[0]["per_label"])
    assert {3} == {figures["texts"] for figures in found}
    assert 1 == len({json.dumps(figures["per_label"]) for figures in found})


def test_validation_is_another_name_of_dev(tmp_path: Path) -> None:
    write(DEV, tmp_path / "validation.csv", "csv")
    assert find(str(tmp_path)).read("dev") == find(str(tmp_path)).read("validation")
    write(DEV, tmp_path / "dev.parquet", "parquet of names")
    with pytest.raises(DataError, match=r"holds dev\.parquet and validation\.csv: only one can be meant"):
        find(str(tmp_path)).read("dev")


def test_labels_are_those_that_occur_where_nothing_names_them_and_dev_has_no_others(tmp_path: Path) -> None:
    write([("a", ["x", "z"]), ("b", [])], tmp_path / "train.csv", "csv")
    write([("c", ["z"])], tmp_path / "dev.csv", "csv")
    train, dev = train_and_dev(find(str(tmp_path)))
    assert (("x", "z"), ("x", "z")) == (train.labels, dev.labels)
    assert [[0.0, 1.0]] == dev.targets_NK.tolist()
    write([("c", ["z"]), ("d", ["y"])], tmp_path / "dev.csv", "csv")
    with pytest.raises(DataError, match=r"dev\.csv, line 3: 'y' is none of the labels: 'x', 'z'"):
        train_and_dev(find(str(tmp_path)))
    (tmp_path / "labels.txt").write_text("z\ny\nx\n")
    train, dev = train_and_dev(find(str(tmp_path)))
    assert ("z", "y", "x") == train.labels == dev.labels


def test_ids_mean_what_their_own_split_calls_them(tmp_path: Path) -> None:
    """dev's ClassLabel has another order than train's."""
    as_dataset(TRAIN).to_parquet(str(tmp_path / "train.parquet"))
    as_dataset(DEV, tuple(sorted(TOPICS, reverse=True))).to_parquet(str(tmp_path / "dev.parquet"))
    assert equal(train_and_dev(find(str(tmp_path)))[1], DEV)
    as_dataset([("a", ["billing"])], ("billing",)).to_parquet(str(tmp_path / "dev.parquet"))
    with pytest.raises(DataError, match=r"dev\.parquet has other labels than .*train\.parquet"):
        train_and_dev(find(str(tmp_path)))


def test_one_label_a_text_is_a_list_of_one(tmp_path: Path) -> None:
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    single = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    single.to_parquet(str(tmp_path / "a.parquet"))
    assert [[0.0, 1.0], [1.0, 0.0]] == load_split(tmp_path / "a.parquet").targets_NK.tolist()


def test_a_data_sets_hash_is_of_what_is_learnt_from_and_not_of_how_it_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = datasets.DatasetDict({"train": as_dataset(TRAIN), "validation": as_dataset(DEV)})
    saved.save_to_disk(str(tmp_path / "one"))
    shuffled = as_dataset(TRAIN[::-1]).add_column("note", ["x"] * len(TRAIN)).select(range(len(TRAIN))[::-1])
    datasets.DatasetDict({"train": shuffled, "dev": as_dataset(DEV)}).save_to_disk(
        str(tmp_path / "pieces"), num_shards={"train": 3, "dev": 1}
    )
    hub = written(tmp_path, "datasets:", monkeypatch)
    whole, pieces, loaded = (train_and_dev(find(str(name))) for name in (tmp_path / "one", tmp_path / "pieces", hub))
    assert [split.sha256 for split in whole] == [split.sha256 for split in pieces] == [s.sha256 for s in loaded]
    changed = [*TRAIN[:-1], (TRAIN[-1][0], ["login"] if TRAIN[-1][1] != ["login"] else [])]
    datasets.DatasetDict({"train": as_dataset(changed)}).save_to_disk(str(tmp_path / "other"))
    assert whole[0].sha256 != find(str(tmp_path / "other")).read("train").sha256


def test_the_hash_of_content_is_the_documented_one(tmp_path: Path) -> None:
    """Held here, because artifacts and teachers' files name their data by it."""
    train = as_dataset([("é a", ["y", "x"]), ("b", [])], ("y", "x"))
    datasets.DatasetDict({"train": train}).save_to_disk(str(tmp_path))
    lines = '["y","x"]\n["é a",["y","x"]]\n["b",[]]\n'
    assert hashlib.sha256(lines.encode()).hexdigest() == find(str(tmp_path)).read("train").sha256


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,labels\nx,joy\ny\n", r"a\.csv, line 3: it has fewer columns than the header"),
        (
            "a.csv",
            "text,topic\nx,joy\n",
            r"a\.csv: the first line has to name the columns text and labels",
        ),
        ("a.csv", 'text,labels\nx,joy\n"y,joy\nz,joy\n', r"a\.csv, line 3: not CSV: unexpected end .* ends with one"),
        ("a.csv", 'text,labels\n"x\ny",joy\n\n"z" z,joy\n', r"a\.csv, line 5: not CSV"),
        (
            "a.csv",
            "text,labels\nx,joy\nHello, world,joy\n",
            r"a\.csv, line 3: it has more columns than the header; a text with a comma in it takes double quotes",
        ),
        ("a.tsv", "text\tlabels\nHello\tworld\tjoy\n", r"a\.tsv, line 2: it has more .* with a tab in it takes double"),
        ("a.tsv", 'text\tlabels\nw\tjoy\n"x\tjoy\ny\tjoy\n', r"a\.tsv, line 3: not CSV: unexpected end of data"),
        (
            "a.tsv",
            "text\tlabels\n\"I can't.\tjoy\nI won't.\"\tjoy\nz\tjoy\n",
            r"a\.tsv, line 2: a cell has a tab and a line break in it: is a double quote not closed\? .* takes both",
        ),
        ("a.csv", "text,labels\nx,\n", r"a\.csv: no text has a label"),
        ("a.tsv", "text\tlabels\nx\tjoy\ny\n", r"a\.tsv, line 3: it has fewer"),
        ("a.tsv", "x\t0\ny\t28\n", r"a\.tsv, line 2: not text, tab, label ids below 28.*label 28 is no id within"),
        ("a.tsv", "x\t-1\n", r"a\.tsv, line 1: .*label -1 is no id"),
        ("a.tsv", "x\tjoy\n", r"a\.tsv, line 1: .*does not name the columns text and labels"),
        ("a.tsv", "x\t0\n\ny\t0\n", r"a\.tsv, line 2: not text, tab"),
        ("a.tsv", "a\u2028b\t0\ny\tjoy\n", r"a\.tsv, line 2: not text, tab"),
        ("a.tsv", "", r"a\.tsv holds no texts"),
        ("a.csv", "text,labels\nx,joy\n,joy\n", r"a\.csv, line 3: the text is empty"),
        ("a.tsv", " \t0\nx\t0\n", r"a\.tsv, line 1: the text is empty"),
        ("a.csv", b"text,labels\n\xff,joy\n", r"a\.csv: not in UTF-8"),
        ("a.parquet", b"PAR1 and no more", r"a\.parquet: not Parquet"),
        ("a.parquet", {"text": ["x"], "topic": ["joy"]}, r"a\.parquet: it needs the columns .*, and has text, topic"),
        ("a.parquet", {"text": ["x", None], "labels": ["a", "b"]}, r"a\.parquet, row 2: text is None"),
        ("a.parquet", {"text": ["x", "y"], "labels": ["a", None]}, r"row 2: labels is None; it takes a list of names"),
        ("a.parquet", {"text": ["x"], "labels": [[0.5]]}, r"row 1: labels is \[0\.5\]; it takes"),
        ("a.parquet", {"text": ["x"], "labels": [[True]]}, r"row 1: labels is \[True\]; it takes"),
        ("a.parquet", {"text": ["x"], "labels": [[3]]}, r"row 1: label 3 is an id, and nothing names it"),
        ("a.parquet", {"text": [7], "labels": [["a"]]}, r"row 1: text is 7; it takes a string"),
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


def test_names_that_share_a_cell_are_the_same_with_spaces_around_them(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,labels\na,joy\nb,"joy , sad"\nc, sad ;; joy|\nd, ; \ne,not sad\n')
    split = load_split(tmp_path / "a.csv")
    assert ("joy", "not sad", "sad") == split.labels
    assert [[1, 0, 0], [1, 0, 1], [1, 0, 1], [0, 0, 0], [0, 1, 0]] == split.targets_NK.tolist()


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_row_of_ids_ends_where_its_line_does_and_nowhere_else(tmp_path: Path, ending: str) -> None:
    """Other characters that Unicode ends lines at stand in people's texts; a quote is a letter."""
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


@pytest.mark.parametrize(("names", "message"), [("a\nb\na\n", "'a' stands twice"), ("\n", "empty")])
def test_a_file_of_names_that_names_nothing_or_one_twice_is_refused(tmp_path: Path, names: str, message: str) -> None:
    (tmp_path / "labels.txt").write_text(names)
    write(DEV, tmp_path / "dev.csv", "csv")
    with pytest.raises(DataError, match=rf"labels\.txt: {message}"):
        load_split(tmp_path / "dev.csv")


def test_a_data_set_without_what_is_needed_says_what_it_has(tmp_path: Path) -> None:
    datasets.DatasetDict({"train": as_dataset(TRAIN), "test": as_dataset(DEV)}).save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(DataError, match="has the splits train, test; it takes dev or validation"):
        train_and_dev(find(str(tmp_path / "saved")))
    assert find(str(tmp_path / "saved")).has("test")
    with pytest.raises(DataError, match=r"holds no train\.tsv or train\.csv or train\.parquet"):
        find(str(tmp_path)).read("train")


def test_what_is_no_data_set_of_splits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset", lambda name, config: as_dataset(DEV))
    with pytest.raises(DataError, match="datasets:one is a Dataset; it takes a DatasetDict"):
        find("datasets:one")


def test_a_data_set_that_cannot_be_reached_is_one_plain_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(name: str, config: str | None) -> None:
        raise ConnectionError(f"Couldn't reach {name!r} on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(DataError, match="datasets:someone/gone cannot be loaded: Couldn't reach 'someone/gone'"):
        find("datasets:someone/gone")


def test_a_data_set_that_is_a_script_is_one_plain_line(tmp_path: Path) -> None:
    """The library has given those up, and says so by a RuntimeError."""
    (tmp_path / "tickets").mkdir()
    (tmp_path / "tickets" / "tickets.py").write_text("raise SystemExit\n")
    with pytest.raises(
        DataError, match=r"tickets cannot be loaded: Dataset scripts are no longer supported.*tickets\.py"
    ):
        find(f"datasets:{tmp_path / 'tickets'}")


def test_a_data_set_is_loaded_by_the_library_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local folder in the place of a name on the hub: the same builder reads both."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    written(tmp_path / "data", "parquet by datasets", monkeypatch)
    train, dev = train_and_dev(find(f"datasets:{tmp_path / 'data'}"))
    assert equal(train, TRAIN)
    assert equal(dev, DEV)


def test_texts_need_neither_datasets_nor_pyarrow() -> None:
    program = (
        "import sys, training.data_set\n"
        "assert not {'datasets', 'pyarrow', 'pandas'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=100)
    assert 0 == done.returncode, done.stderr


def test_a_mistake_in_the_data_is_one_line_on_the_command_line(tmp_path: Path) -> None:
    write([("a", ["x"]), ("b", [])], tmp_path / "train.csv", "csv")
    done = CliRunner().invoke(app, ["fit", "--data", str(tmp_path), "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, DataError)
    assert "holds no dev.tsv or dev.csv" in str(done.exception)


def test_what_kaggle_gives_is_a_folder_of_files(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever in the download they lie; the downloading itself is its library's."""
    shutil.copytree(folder, tmp_path / "data" / "data")
    monkeypatch.setattr("kagglehub.dataset_download", {KAGGLE_HANDLE: str(tmp_path)}.__getitem__)
    assert load_split(folder / "dev.tsv").texts == find("kaggle").read("dev").split().texts


@pytest.mark.parametrize("error", ["DataCorruptionError", "UnauthenticatedError", "BackendError"])
def test_what_kaggle_refuses_is_one_line_and_says_what_else_to_do(
    error: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: str) -> str:
        raise getattr(kagglehub.exceptions, error)("not today")

    monkeypatch.setattr("kagglehub.dataset_download", refuse)
    told = mistake(monkeypatch, capsys, "evaluate --data kaggle")
    assert f"could not download {KAGGLE_HANDLE} from Kaggle" in told
    assert "give --data FOLDER" in told
