"""What `--data` names: a folder of files, a data set that `datasets` saved or loads, or GoEmotions from its sources.

    FOLDER            train.tsv and dev.tsv (or .csv, or .parquet; validation is another name of dev), and test if any
    FOLDER            as `datasets.DatasetDict.save_to_disk` wrote it
    datasets:NAME     by `datasets.load_dataset`; datasets:NAME:CONFIG where it has several
    origin, kaggle    GoEmotions: the repository that its authors publish in; Kaggle, by its own credentials

`labelled` says what the tables in them look like. A file is known by its sha256, a split of `datasets` by that of its
content (`labelled.content_sha256`): how it is stored depends on versions and on the disk. `origin` is held to the sums
of what its authors published.

Source of GoEmotions: Demszky et al. 2020, "GoEmotions: A Dataset of Fine-Grained Emotions" (ACL 2020; CC BY 4.0).
"""

import hashlib
import logging
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from .data import DataError, Split
from .goemotions import SHA256
from .labelled import FORMATS, Labelled, from_arrow, read_labelled

TAKES = (
    "a folder with train.tsv and dev.tsv (or .csv, .parquet), one that datasets saved, datasets:NAME, kaggle, or origin"
)
SAVED = "dataset_dict.json"
HUB = "datasets:"
KAGGLE_HANDLE = "debarshichanda/goemotions"
OR_A_FOLDER = "put the files into a folder and give --data FOLDER"
ORIGIN = "https://raw.githubusercontent.com/google-research/google-research/master/goemotions/data/"


class DataSet(Protocol):
    """Labelled texts in splits: `train`, `dev` (or `validation`, which is the same), `test`, or what else it has."""

    def has(self, split: str) -> bool:
        """Whether there is such a split; nothing of it is read."""

    def read(self, split: str) -> Labelled:
        """Read one split.

        Raises:
            DataError: there is none, or it is not in the format.
        """


def find(data: str, *, cache: Path | None = None) -> DataSet:
    """The data set that *data* names.

    Args:
        cache: where `origin` is downloaded to, once; `~/.cache/emotag/goemotions` where none is given.

    Raises:
        DataError: there is no such folder or data set, or the download failed or is not what was published.
    """
    if data == "kaggle":
        return Files(_from_kaggle())
    if data == "origin":
        return Files(_from_origin(cache or Path.home() / ".cache" / "emotag" / "goemotions"))
    if data.startswith(HUB):
        name, _, config = data.removeprefix(HUB).partition(":")
        return Tables(data, _loaded(data, lambda datasets: datasets.load_dataset(name, config or None)))
    folder = Path(data)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; --data takes {TAKES}")
    if (folder / SAVED).is_file():
        saved = _loaded(data, lambda datasets: datasets.load_from_disk(str(folder)))
        return Tables(data, saved, beside=folder)
    return Files(folder)


def train_and_dev(data: DataSet) -> tuple[Split, Split]:
    """What is learnt from and what is measured on, their labels in the same order.

    Raises:
        DataError: one of them is missing or not in the format, or they have not the same labels.
    """
    learnt, measured = data.read("train"), data.read("dev")
    train = learnt.split()
    dev = measured.split(train.labels)
    if dev.labels != train.labels:
        raise DataError(f"{measured.source} has other labels than {learnt.source}")
    return train, dev


class Files:
    """A folder with a file for each split."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, split: str) -> bool:
        return bool(self._paths(split))

    def read(self, split: str) -> Labelled:
        paths = self._paths(split)
        if not paths:
            wanted = " or ".join(f"{name}.{kind}" for name in _names(split) for kind in FORMATS)
            raise DataError(f"{self._folder} holds no {wanted}")
        if len(paths) > 1:
            raise DataError(f"{self._folder} holds {' and '.join(path.name for path in paths)}: only one can be meant")
        return read_labelled(paths[0])

    def _paths(self, split: str) -> list[Path]:
        paths = (self._folder / f"{name}.{kind}" for name in _names(split) for kind in FORMATS)
        return [path for path in paths if path.is_file()]


class Tables:
    """A data set as `datasets` has it: a mapping of splits.

    Args:
        beside: the folder that may hold `labels.txt`.
    """

    def __init__(self, name: str, splits: Mapping[str, Any], *, beside: Path | None = None) -> None:
        self._name, self._splits, self._beside = name, splits, beside

    def has(self, split: str) -> bool:
        return any(name in self._splits for name in _names(split))

    def read(self, split: str) -> Labelled:
        name = next((name for name in _names(split) if name in self._splits), None)
        if name is None:
            raise DataError(
                f"{self._name} has the splits {', '.join(self._splits)}; it takes {' or '.join(_names(split))}"
            )
        # As Arrow: rows that a filter or a shuffle left out are left out, and nothing is decoded.
        table = self._splits[name].with_format("arrow")[:]
        return from_arrow(table, f"{self._name}, split {name}", beside=self._beside)


def _names(split: str) -> tuple[str, ...]:
    return ("dev", "validation") if split in ("dev", "validation") else (split,)


def _loaded(data: str, load: Callable[[Any], Any]) -> Mapping[str, Any]:
    import datasets  # seconds, and only for who has such a data set

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it reports each try to reach the hub
    try:
        found = load(datasets)
    # RuntimeError is what it has for a data set that is a script.
    except (OSError, RuntimeError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"{data} cannot be loaded: {error}") from error
    if not isinstance(found, datasets.DatasetDict):
        raise DataError(f"{data} is a {type(found).__name__}; it takes a DatasetDict with the splits train and dev")
    splits: Mapping[str, Any] = found
    return splits


def _from_kaggle() -> Path:
    import kagglehub  # only who asks for it pays for its import
    from kagglehub import exceptions

    kinds = [kind for kind in vars(exceptions).values() if isinstance(kind, type)]  # they have no ancestor of their own
    errors: tuple[type[Exception], ...] = (OSError, *(kind for kind in kinds if issubclass(kind, Exception)))
    try:
        root = Path(kagglehub.dataset_download(KAGGLE_HANDLE))
    except errors as error:
        raise DataError(f"could not download {KAGGLE_HANDLE} from Kaggle: {error}; {OR_A_FOLDER}") from error
    found = sorted(root.rglob("train.tsv"))
    if not found:
        raise DataError(f"{KAGGLE_HANDLE} was downloaded to {root}, but holds no train.tsv")
    return found[0].parent


def _from_origin(cache: Path) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    for name, sha256 in SHA256.items():
        path = cache / name
        if not path.is_file():
            _download(ORIGIN + name, path, sha256)
        elif (found := hashlib.sha256(path.read_bytes()).hexdigest()) != sha256:
            raise DataError(
                f"{path} has the sha256 {found}, and {name} as published has {sha256}: delete {path}, and it is"
                " downloaded again"
            )
    return cache


def _download(url: str, path: Path, sha256: str) -> None:
    """The file appears in its place whole or not at all, however many processes download it at once."""
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with urllib.request.urlopen(url, timeout=60) as response:  # nosec B310  # noqa: S310  (a constant https address)
            content: bytes = response.read()
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise DataError(f"{url} has the sha256 {found}, and as published it has {sha256}; {OR_A_FOLDER}")
        draft.write_bytes(content)
        draft.replace(path)
    except (HTTPException, OSError) as error:
        raise DataError(f"could not download {url}: {error}; {OR_A_FOLDER}") from error
    finally:
        draft.unlink(missing_ok=True)
