"""Data sets that `--data` names: a folder of files, a data set of the `datasets` library, or GoEmotions itself.

    FILE              one .csv, .tsv, .jsonl or .parquet; a part of its texts becomes dev (`stratify.py`)
    FOLDER            train.csv and dev.csv (or another format; validation is another name of dev), and test if any
    FOLDER            as `datasets.DatasetDict.save_to_disk` wrote it
    datasets:NAME     by `datasets.load_dataset`; datasets:NAME:CONFIG if it has several configurations
    goemotions        GoEmotions from the repository that its authors publish in
    kaggle            GoEmotions from Kaggle, with your Kaggle credentials

`table.py` describes the format of the tables. A file is identified by its sha256, a split of `datasets` by the sha256
of its content (`table.hash_content`), because its storage depends on versions and on the disk. The files of
`goemotions` are checked against the sums of those that its authors published.

Source of GoEmotions: Demszky et al. 2020, "GoEmotions: A Dataset of Fine-Grained Emotions" (ACL 2020; CC BY 4.0).
"""

import hashlib
import logging
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol
from urllib.error import URLError
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from emotag_model.files import find_cache_folder
from emotag_training.errors import DataError, Unreachable
from emotag_training.record import read_section

from .columns import Columns
from .goemotions import SHA256
from .label_cells import shorten
from .split import Split
from .stratify import choose_dev, choose_dev_share
from .table import DEFAULT, FORMATS, Labelled, read_arrow, read_labelled

TAKES = (
    "a folder with train.csv and dev.csv, one file (.csv, .tsv, .jsonl or .parquet), datasets:NAME, goemotions or"
    " kaggle"
)
SAVED = "dataset_dict.json"
HUB = "datasets:"
KAGGLE_HANDLE = "debarshichanda/goemotions"
OR_A_FOLDER = "try again, or put train.tsv, dev.tsv and emotions.txt into a folder and name it: --data FOLDER"
FEWEST_TEXTS = 20
SPLIT_SEED = 0
"""Not the seed of the run: runs with several seeds are compared on the same dev."""
ORIGIN = "https://raw.githubusercontent.com/google-research/google-research/master/goemotions/data/"


class DataSet(Protocol):
    """Labelled texts in splits: `train`, `dev` (or `validation`, which is the same), `test`, or others."""

    def has(self, split: str) -> bool:
        """Return True if there is such a split, without reading it."""

    def read(self, split: str) -> Labelled:
        """Read one split.

        Raises:
            DataError: the split is missing, or is not in the format.
        """


def find_local_files(data: str, columns: Columns = DEFAULT) -> "OneFile | Files | None":
    """Return the file or the folder of files that *data* names.

    None if *data* names something to download or to load by `datasets`.

    Raises:
        DataError: there is no such file or folder.
    """
    if data in ("goemotions", "kaggle") or data.startswith(HUB):
        return None
    path = Path(data)
    if path.is_dir():
        return None if (path / SAVED).is_file() else Files(path, columns)
    if path.is_file():
        return OneFile(path, columns)
    unknown = "no such file or folder" if path.suffix else "folder not found"
    reason = "file not found" if path.suffix[1:] in FORMATS else unknown
    raise DataError(f"--data {path}: {reason}; name {TAKES}")


def find_data_set(data: str, columns: Columns = DEFAULT, *, cache: Path | None = None) -> DataSet:
    """Return the data set that *data* names.

    Args:
        columns: of a file, or of the files in a folder.
        cache: the folder to download `goemotions` to, once; default: `~/.cache/emotag/goemotions`.

    Raises:
        DataError: there is no such file, folder or data set, or it was changed since it was published.
        Unreachable: the download failed.
    """
    if (local := find_local_files(data, columns)) is not None:
        return local
    if data == "kaggle":
        return Files(_download_from_kaggle(), columns)
    if data == "goemotions":
        return Files(_download_goemotions(cache or find_cache_folder() / "goemotions"), columns)
    if data.startswith(HUB):
        name, _, config = data.removeprefix(HUB).partition(":")
        return Tables(data, _load_splits(data, lambda datasets: datasets.load_dataset(name, config or None)), columns)
    splits = _load_splits(data, lambda datasets: datasets.load_from_disk(data))
    return Tables(data, splits, columns, beside=Path(data))


def read_train_and_dev(data: DataSet) -> tuple[Split, Split]:
    """Return the splits to train on and to measure on, their labels in the same order.

    Raises:
        DataError: a split is missing or not in the format, or the two have different labels.
    """
    learnt, measured = data.read("train"), data.read("dev")
    train = learnt.split()
    dev = measured.split(train.labels)
    if dev.labels != train.labels:
        raise DataError(
            f"{measured.source} has the labels {_list_labels(dev.labels)}, but {learnt.source} has"
            f" {_list_labels(train.labels)}: use the same labels in both"
        )
    return train, dev


def _list_labels(labels: Sequence[str]) -> str:
    return ", ".join(map(shorten, labels[:5])) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")


class OneFile:
    """One file, a part of which is dev. The same texts and labels are always divided in the same way."""

    def __init__(self, path: Path, columns: Columns) -> None:
        self._path, self._columns = path, columns

    @cached_property
    def whole(self) -> Labelled:
        """The table of all texts."""
        return read_labelled(self._path, self._columns)

    @cached_property
    def is_dev_N(self) -> npt.NDArray[np.bool_]:
        """Which of all texts are dev, [N]."""
        table = self.whole
        if len(table.texts) < FEWEST_TEXTS:
            raise DataError(
                f"{self._path} has {len(table.texts)} texts: too few to train on some and to measure on the others;"
                f" label at least {FEWEST_TEXTS}, better a few hundred"
            )
        share = choose_dev_share(len(table.texts))
        return choose_dev(table.texts, table.split().targets_NK, share=share, seed=SPLIT_SEED)

    def is_source_of(self, record: Mapping[str, Any]) -> bool:
        """Return True if the record of a model (training.json) names this file's train."""
        learned = read_section(record, "data").get("train_sha256")
        return learned is not None and len(self.whole.texts) >= FEWEST_TEXTS and self.read("train").sha256 == learned

    def refuse_change_since(self, record: Mapping[str, Any]) -> None:
        """Raise `DataError` if most texts of this file are training texts of a model, and nothing shows which.

        The model was trained on this file, and texts or labels in it have changed since.
        """
        source = read_section(record, "recipe", "data").get("source")
        if isinstance(source, str) and Path(source).resolve() == self._path.resolve() and not self.is_source_of(record):
            raise DataError(
                f"{self._path}: a model was trained on this file, and its texts or labels have changed since, or are"
                " read from other columns: nothing shows which texts are new to the model. Restore the file and the"
                " columns, train a new model, or put the new texts into a file of their own"
            )

    def has(self, split: str) -> bool:
        return split == "train" or "dev" in _list_names(split)

    def read(self, split: str) -> Labelled:
        if not self.has(split):
            raise DataError(f"{self._path} is one file, which is divided into train and dev; it has no {split}")
        wanted_N = self.is_dev_N if "dev" in _list_names(split) else ~self.is_dev_N
        return replace(self.whole.take(np.flatnonzero(wanted_N).tolist()), source=f"{self._path} ({split})")


class Files:
    """A folder with a file for each split."""

    def __init__(self, folder: Path, columns: Columns = DEFAULT) -> None:
        self._folder, self._columns = folder, columns

    def has(self, split: str) -> bool:
        return bool(self._paths(split))

    def read(self, split: str) -> Labelled:
        return read_labelled(self.find(split), self._columns)

    def find(self, split: str) -> Path:
        """Return the file of a split.

        Raises:
            DataError: there is none, or more than one.
        """
        paths = self._paths(split)
        if not paths:
            wanted = " or ".join(f"{name}.{kind}" for name in _list_names(split) for kind in FORMATS)
            raise DataError(f"{self._folder} contains no {wanted}")
        if len(paths) > 1:
            raise DataError(f"{self._folder} contains {' and '.join(path.name for path in paths)}: remove all but one")
        return paths[0]

    def _paths(self, split: str) -> list[Path]:
        paths = (self._folder / f"{name}.{kind}" for name in _list_names(split) for kind in FORMATS)
        return [path for path in paths if path.is_file()]


class Tables:
    """A data set as `datasets` has it: a mapping of splits.

    Args:
        beside: the folder that can contain `labels.txt`.
    """

    def __init__(
        self, name: str, splits: Mapping[str, Any], columns: Columns = DEFAULT, *, beside: Path | None = None
    ) -> None:
        self._name, self._splits, self._columns, self._beside = name, splits, columns, beside

    def has(self, split: str) -> bool:
        return any(name in self._splits for name in _list_names(split))

    def read(self, split: str) -> Labelled:
        name = next((name for name in _list_names(split) if name in self._splits), None)
        if name is None:
            raise DataError(
                f"{self._name} has the splits {', '.join(self._splits)}, but no {' or '.join(_list_names(split))}"
            )
        # As Arrow: a filter or a shuffle is respected, and nothing is decoded.
        table = self._splits[name].with_format("arrow")[:]
        return read_arrow(table, f"{self._name}, split {name}", self._columns, beside=self._beside)


def _list_names(split: str) -> tuple[str, ...]:
    return ("dev", "validation") if split in ("dev", "validation") else (split,)


def _load_splits(data: str, load: Callable[[Any], Any]) -> Mapping[str, Any]:
    import datasets  # takes seconds

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # reports each attempt to reach the hub
    try:
        found = load(datasets)
    except ConnectionError as error:
        raise Unreachable(
            f"cannot download {data}: {error}; try again, or save the data set with save_to_disk where you have a"
            " network, and name its folder: --data FOLDER"
        ) from error
    # `datasets` raises RuntimeError for a data set that is a script.
    except (OSError, RuntimeError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"--data {data}: {error}") from error
    if not isinstance(found, datasets.DatasetDict):
        raise DataError(
            f"--data {data}: it is a {type(found).__name__}; use a DatasetDict with the splits train and dev"
        )
    splits: Mapping[str, Any] = found
    return splits


def _download_from_kaggle() -> Path:
    import kagglehub  # takes a second
    from kagglehub import exceptions

    kinds = [kind for kind in vars(exceptions).values() if isinstance(kind, type)]  # they share no base class
    errors: tuple[type[Exception], ...] = (OSError, *(kind for kind in kinds if issubclass(kind, Exception)))
    try:
        root = Path(kagglehub.dataset_download(KAGGLE_HANDLE))
    except errors as error:
        raise Unreachable(
            f"cannot download https://www.kaggle.com/datasets/{KAGGLE_HANDLE}: {error}; {OR_A_FOLDER}"
        ) from error
    found = sorted(root.rglob("train.tsv"))
    if not found:
        raise DataError(f"{KAGGLE_HANDLE} was downloaded to {root}, but contains no train.tsv")
    return found[0].parent


def _download_goemotions(cache: Path) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    for name, sha256 in SHA256.items():
        path = cache / name
        if not path.is_file():
            _download(ORIGIN + name, path, sha256)
        elif (found := hashlib.sha256(path.read_bytes()).hexdigest()) != sha256:
            raise DataError(
                f"{path} was changed: its sha256 is {found}, that of {name} as published is {sha256}. Delete {path} to"
                " download it again"
            )
    return cache


def _download(url: str, path: Path, sha256: str) -> None:
    """Download a file atomically: several processes may do so at once, and none sees a part of it."""
    try:
        with urllib.request.urlopen(url, timeout=60) as response:  # nosec B310  # noqa: S310  (a constant https address)
            content: bytes = response.read()
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise DataError(f"{url} has changed: its sha256 is {found}, as published it is {sha256}; {OR_A_FOLDER}")
    except (HTTPException, OSError) as error:
        raise Unreachable(f"cannot download {url}: {_explain_failure(error)}; {OR_A_FOLDER}") from error
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error}") from error
    finally:
        draft.unlink(missing_ok=True)


def _explain_failure(error: Exception) -> str:
    """Return the cause of a failed request. The text of a plain URLError is Python's form of its reason."""
    return str(error.reason if type(error) is URLError else error)
