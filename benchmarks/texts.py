"""The texts of the benchmarks: GoEmotions' dev split, in its own order."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from emotag_model.tokens import normalize

ROOT = Path(__file__).resolve().parents[1]
DEV = ROOT.parent / "shared" / "data" / "goemotions" / "dev.tsv"
SAMPLES = ROOT / "worker" / "emotag_worker" / "samples.txt"
REPEATS = 27
"""Repeated this many times, the samples are as many as the texts of the dev split."""


@dataclass(frozen=True)
class Texts:
    """Texts and their labels.

    Attributes:
        targets_NK: 1.0 where a text has a label; None if the texts have no labels.
        description: the data set, for a reader.
    """

    texts: list[str]
    targets_NK: npt.NDArray[np.float32] | None
    description: str

    def take(self, count: int) -> "Texts":
        """Return at most *count* texts, evenly spaced from beginning to end."""
        rows = np.linspace(0, len(self.texts) - 1, min(count, len(self.texts))).astype(int)
        targets_NK = None if self.targets_NK is None else self.targets_NK[rows]
        return Texts([self.texts[row] for row in rows], targets_NK, self.description)


def read_texts() -> tuple[list[str], str]:
    """Return the texts of GoEmotions' dev split if it is next to the project, otherwise the samples; and a description.

    This needs no library: `python -m benchmarks.gpu` runs on machines that cannot import `emotag_training`.
    """
    if DEV.is_file():
        lines = DEV.read_text(encoding="utf-8").splitlines()
        return [line.partition("\t")[0] for line in lines], "GoEmotions, dev split"
    samples = [line for line in SAMPLES.read_text(encoding="utf-8").splitlines() if line.strip()]
    return samples, f"{SAMPLES.name}, repeated: GoEmotions is not next to the project"


def load() -> Texts:
    """Return as many texts as the dev split has, with their labels if it is next to the project."""
    texts, description = read_texts()
    if not DEV.is_file():
        return Texts(texts * REPEATS, None, description)
    from emotag_training.data.table import load_split

    return Texts(texts, load_split(DEV).targets_NK, description)


class TextSupply:
    """New texts for a stream, in the data set's order, each returned once.

    If a fast machine uses up all of them, they come again with a number appended: two tokens longer.

    Attributes:
        description: the data set, for a reader.
    """

    def __init__(self) -> None:
        texts, self.description = read_texts()
        # The cache and the model cannot distinguish texts that are equal after normalization.
        self._texts = list({normalize(text): text for text in texts}.values())
        self._new = self._generate()

    def take(self, count: int) -> list[str]:
        """Return the next *count* texts."""
        return [next(self._new) for _ in range(count)]

    def _generate(self) -> Iterator[str]:
        yield from self._texts
        number = 2
        while True:
            yield from (f"{text} {number}" for text in self._texts)
            number += 1
