"""Any labeled texts can train a model: the same rows in every format give the same split."""

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
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emotag_model import artifact
from emotag_model.tagger import EmotionTagger
from emotag_training.data.sources import KAGGLE_HANDLE, find_data_set, read_train_and_dev
from emotag_training.data.split import Split
from emotag_training.data.table import load_split
from emotag_training.errors import DataError
from tests.integration.training.test_training import run

TOPICS = {
    "billing": ("invoice", "refund", "charged"),
    "delivery": ("parcel", "courier", "late"),
    "login": ("password", "locked", "signin"),
    "praise": ("lovely", "thanks", "superb"),
    "screen": ("cracked", "pixel", "flicker"),
}
"""{topic of a customer's text: words that indicate it}"""

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
    """Return texts with up to three topics, in random order, some with commas and quotes."""
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
    """Write one file of *rows*, and a labels.txt if the rows have ids."""
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
    """Write the tickets in one of the formats; return the value for --data."""
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
    """The format of GoEmotions cannot express a text without a label."""
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
    train, dev = read_train_and_dev(find_data_set(named))
    assert equal(train, expected[0])
    assert equal(dev, expected[1])
    assert not find_data_set(named).has("test")
    assert 64 == len(train.sha256)
    assert train.sha256 != dev.sha256


@pytest.mark.timeout(300)
def test_other_labels_train_a_model_by_naming_the_data_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is better than chance: the average precision of random guesses is the frequency of the label."""
    named = written(tmp_path / "data", "parquet by datasets", monkeypatch)
    out = tmp_path / "tickets"
    changes = [
        "encoder.token_masking=0",
        "schedule.ema=0.9",
        "schedule.learning_rate=2e-3",
        "schedule.batch_size=16",
        "schedule.epochs=6",
        "run.precision=fp32",
    ]
    common = [part for change in changes for part in ("--set", change)]
    run("fit", "--data", named, "--encoder", str(folder / "encoder"), *common, "--out", str(out))
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
    """Columns get the model's order, whatever the order in the file."""
    run("fit", "--smoke", "--data", str(folder), "--encoder", str(folder / "encoder"), "--out", str(tmp_path / "toy"))
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
    assert find_data_set(str(tmp_path)).read("dev") == find_data_set(str(tmp_path)).read("validation")
    write(DEV, tmp_path / "dev.parquet", "parquet of names")
    with pytest.raises(DataError, match=r"contains dev\.parquet and validation\.csv: remove all but one"):
        find_data_set(str(tmp_path)).read("dev")


def test_labels_are_those_that_occur_where_nothing_names_them_and_dev_has_no_others(tmp_path: Path) -> None:
    write([("a", ["x", "z"]), ("b", [])], tmp_path / "train.csv", "csv")
    write([("c", ["z"])], tmp_path / "dev.csv", "csv")
    train, dev = read_train_and_dev(find_data_set(str(tmp_path)))
    assert (("x", "z"), ("x", "z")) == (train.labels, dev.labels)
    assert [[0.0, 1.0]] == dev.targets_NK.tolist()
    write([("c", ["z"]), ("d", ["y"])], tmp_path / "dev.csv", "csv")
    with pytest.raises(DataError, match=r"dev\.csv, line 3: 'y' is not one of the labels 'x', 'z'"):
        read_train_and_dev(find_data_set(str(tmp_path)))
    (tmp_path / "labels.txt").write_text("z\ny\nx\n")
    train, dev = read_train_and_dev(find_data_set(str(tmp_path)))
    assert ("z", "y", "x") == train.labels == dev.labels


def test_ids_mean_what_their_own_split_calls_them(tmp_path: Path) -> None:
    """The ClassLabel of dev has another order than that of train."""
    as_dataset(TRAIN).to_parquet(str(tmp_path / "train.parquet"))
    as_dataset(DEV, tuple(sorted(TOPICS, reverse=True))).to_parquet(str(tmp_path / "dev.parquet"))
    assert equal(read_train_and_dev(find_data_set(str(tmp_path)))[1], DEV)
    as_dataset([("a", ["billing"])], ("billing",)).to_parquet(str(tmp_path / "dev.parquet"))
    with pytest.raises(
        DataError, match=r"dev\.parquet has the labels 'billing', but .*train\.parquet has 'billing', 'delivery'"
    ):
        read_train_and_dev(find_data_set(str(tmp_path)))


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
    whole, pieces, loaded = (
        read_train_and_dev(find_data_set(str(name))) for name in (tmp_path / "one", tmp_path / "pieces", hub)
    )
    assert [split.sha256 for split in whole] == [split.sha256 for split in pieces] == [s.sha256 for s in loaded]
    changed = [*TRAIN[:-1], (TRAIN[-1][0], ["login"] if TRAIN[-1][1] != ["login"] else [])]
    datasets.DatasetDict({"train": as_dataset(changed)}).save_to_disk(str(tmp_path / "other"))
    assert whole[0].sha256 != find_data_set(str(tmp_path / "other")).read("train").sha256


def test_the_hash_of_content_is_the_documented_one(tmp_path: Path) -> None:
    """Artifacts and teachers' files identify their data by this hash."""
    train = as_dataset([("é a", ["y", "x"]), ("b", [])], ("y", "x"))
    datasets.DatasetDict({"train": train}).save_to_disk(str(tmp_path))
    lines = '["y","x"]\n["é a",["y","x"]]\n["b",[]]\n'
    assert hashlib.sha256(lines.encode()).hexdigest() == find_data_set(str(tmp_path)).read("train").sha256


def test_a_data_set_is_loaded_by_the_library_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a local folder instead of a name on the hub: the same builder reads both."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    written(tmp_path / "data", "parquet by datasets", monkeypatch)
    train, dev = read_train_and_dev(find_data_set(f"datasets:{tmp_path / 'data'}"))
    assert equal(train, TRAIN)
    assert equal(dev, DEV)


def test_texts_need_neither_datasets_nor_pyarrow() -> None:
    program = (
        "import sys, emotag_training.data.sources\n"
        "assert not {'datasets', 'pyarrow', 'pandas'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=100)
    assert 0 == done.returncode, done.stderr


def test_what_kaggle_gives_is_a_folder_of_files(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In any folder of the download; the library itself downloads."""
    shutil.copytree(folder, tmp_path / "data" / "data")
    monkeypatch.setattr("kagglehub.dataset_download", {KAGGLE_HANDLE: str(tmp_path)}.__getitem__)
    assert load_split(folder / "dev.tsv").texts == find_data_set("kaggle").read("dev").split().texts
