"""What is tagged in the benchmarks: GoEmotions' dev split, real lengths in their real order."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.labelled import load_split

ROOT = Path(__file__).parents[1]
DEV = ROOT.parent / "shared" / "data" / "goemotions" / "dev.tsv"
SAMPLES = ROOT / "worker" / "samples.txt"
REPEATS = 27
"""Samples repeated so often are as many as dev's texts."""


@dataclass(frozen=True)
class Texts:
    """Texts, and what the raters said of them.

    Attributes:
        targets_NK: 1.0 where a text has a label; None where nobody rated them.
        origin: what they are, for a reader.
    """

    texts: list[str]
    targets_NK: npt.NDArray[np.float32] | None
    origin: str

    def take(self, count: int) -> "Texts":
        """*count* of them (all, where there are no more), evenly from beginning to end."""
        rows = np.linspace(0, len(self.texts) - 1, min(count, len(self.texts))).astype(int)
        targets_NK = None if self.targets_NK is None else self.targets_NK[rows]
        return Texts([self.texts[row] for row in rows], targets_NK, self.origin)


def load() -> Texts:
    """GoEmotions' dev split where it lies beside the project, otherwise the project's samples over and over."""
    if DEV.is_file():
        split = load_split(DEV)
        return Texts(list(split.texts), split.targets_NK, "GoEmotions, dev split")
    samples = [line for line in SAMPLES.read_text(encoding="utf-8").splitlines() if line.strip()]
    return Texts(samples * REPEATS, None, f"{SAMPLES.name}, {REPEATS} times: GoEmotions is not beside the project")
