"""GoEmotions, and any data set in its format: texts and the labels that at least two raters agreed on.

A data folder holds `train.tsv`, `dev.tsv` and, where one has it, `test.tsv`: text, comma-separated label ids, comment
id; tab-separated, no header. `emotions.txt` beside them names the labels, one a line, in id order.

Source: Demszky et al. 2020, "GoEmotions: A Dataset of Fine-Grained Emotions" (ACL 2020; CC BY 4.0).
"""

import hashlib
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from schemas.labels import LABELS

KAGGLE_HANDLE = "debarshichanda/goemotions"
ORIGIN = "https://raw.githubusercontent.com/google-research/google-research/master/goemotions/data/"
FILES = ("train.tsv", "dev.tsv", "test.tsv", "emotions.txt")


class DataError(Exception):
    """A data folder or file that cannot be used: which one, and why."""


@dataclass(frozen=True)
class Split:
    """One file of labelled texts.

    Attributes:
        texts: N texts.
        targets_NK: 1.0 where a text has a label.
        labels: the K label names, in column order.
        sha256: of the file.
    """

    texts: tuple[str, ...]
    targets_NK: npt.NDArray[np.float32]
    labels: tuple[str, ...]
    sha256: str

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> "Split":
        """The same split with only these rows, in this order."""
        return Split(tuple(self.texts[row] for row in rows), self.targets_NK[rows], self.labels, self.sha256)


def find_folder(data: str, *, cache: Path | None = None) -> Path:
    """The folder that *data* names.

    Args:
        data: a local folder, `kaggle` (through kagglehub, which asks for its own credentials), or `origin` (the
            repository the authors publish in).
        cache: where `origin` is downloaded to, once; `~/.cache/emotag/goemotions` where none is given.

    Raises:
        DataError: there is no such folder, or the download failed.
    """
    if data == "kaggle":
        import kagglehub  # only who asks for it pays for its import

        root = Path(kagglehub.dataset_download(KAGGLE_HANDLE))
        found = sorted(root.rglob("train.tsv"))
        if not found:
            raise DataError(f"{KAGGLE_HANDLE} was downloaded to {root}, but holds no train.tsv")
        return found[0].parent
    if data == "origin":
        cache = cache or Path.home() / ".cache" / "emotag" / "goemotions"
        cache.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            if not (cache / name).is_file():
                _download(ORIGIN + name, cache / name)
        return cache
    folder = Path(data)
    if not folder.is_dir():
        raise DataError(
            f"{folder} is not a folder; --data takes a folder with train.tsv and dev.tsv, kaggle, or origin"
        )
    return folder


def load_split(path: Path) -> Split:
    """Read one TSV file; labels come from `emotions.txt` beside it, or are GoEmotions' own.

    Raises:
        DataError: the file is missing, or a line is not in the format (says which).
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    names = path.parent / "emotions.txt"
    labels = tuple(names.read_text(encoding="utf-8").split()) if names.is_file() else LABELS
    raw = path.read_bytes()
    lines = raw.decode("utf-8").splitlines()
    texts = []
    targets_NK = np.zeros((len(lines), len(labels)), dtype=np.float32)
    for row, line in enumerate(lines):
        try:
            text, ids, *_ = line.split("\t")
            targets_NK[row, [int(label) for label in ids.split(",")]] = 1.0
        except (ValueError, IndexError) as error:
            raise DataError(f"{path}, line {row + 1}: not text, tab, label ids below {len(labels)}: {error}") from error
        texts.append(text)
    return Split(tuple(texts), targets_NK, labels, hashlib.sha256(raw).hexdigest())


def shared_rows(split: Split, other: Split) -> npt.NDArray[np.int64]:
    """Rows of *split* whose very text also stands in *other*; figures are to be given with and without them."""
    seen = set(other.texts)
    return np.flatnonzero([text in seen for text in split.texts])


def bucketed_batches(
    lengths: Sequence[int], *, batch_size: int, rng: np.random.Generator, pool_batches: int = 50
) -> Iterator[npt.NDArray[np.int64]]:
    """One epoch of batches of like length, in random order: little padding, and yet a fresh mixture every epoch.

    Args:
        lengths: tokens per text.
        batch_size: texts per batch; the last one of the epoch may be smaller.
        pool_batches: texts are sorted by length within random pools of this many batches.
    """
    order = rng.permutation(len(lengths))
    length_of = np.asarray(lengths)
    pool = batch_size * pool_batches
    batches: list[npt.NDArray[np.int64]] = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows = rows[np.argsort(length_of[rows], kind="stable")]
        batches.extend(rows[first : first + batch_size] for first in range(0, len(rows), batch_size))
    for index in rng.permutation(len(batches)):
        yield batches[index]


def _download(url: str, path: Path) -> None:
    try:
        with urllib.request.urlopen(url, timeout=60) as response:  # nosec B310  # noqa: S310  (a constant https address)
            path.write_bytes(response.read())
    except OSError as error:
        raise DataError(
            f"could not download {url}: {error}; put the files into a folder and give --data FOLDER"
        ) from error
