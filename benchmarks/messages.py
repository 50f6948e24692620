"""Texts as messages of a stream: new ones, each given out once, and repeats of those."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from model.tokens import normalise

ROOT = Path(__file__).parents[1]
DEV = ROOT.parent / "shared" / "data" / "goemotions" / "dev.tsv"
SAMPLES = ROOT / "worker" / "samples.txt"


class Supply:
    """Texts that nobody has seen, in the data set's order.

    Where a fast machine uses them all up, they come again with a number behind them: two tokens longer.

    Attributes:
        origin: what they are, for a reader.
    """

    def __init__(self) -> None:
        if DEV.is_file():
            lines = [line.split("\t")[0] for line in DEV.read_text(encoding="utf-8").splitlines()]
            self.origin = "GoEmotions, dev split"
        else:
            lines = SAMPLES.read_text(encoding="utf-8").splitlines()
            self.origin = f"{SAMPLES.name}, numbered: GoEmotions is not beside the project"
        # Equal under this, they are one text to the cache and to the model.
        self._texts = list({normalise(line): line for line in lines if line.strip()}.values())
        self._new = self._without_end()

    def take(self, count: int) -> list[str]:
        """The next *count* texts."""
        return [next(self._new) for _ in range(count)]

    def _without_end(self) -> Iterator[str]:
        yield from self._texts
        number = 2
        while True:
            yield from (f"{text} {number}" for text in self._texts)
            number += 1


def values(texts: Sequence[str], first_id: int) -> list[bytes]:
    """The records' values: JSON objects with ids that count up from *first_id*."""
    return [
        json.dumps({"text": text, "id": str(number)}, ensure_ascii=False).encode()
        for number, text in enumerate(texts, first_id)
    ]


def id_in(value: bytes) -> int:
    """The id of a result. It stands first in everybody's, so nothing needs to be parsed while a clock runs."""
    return int(value.split(b'"', 4)[3])
