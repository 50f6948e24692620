"""Compare the bits of texts over many random batches: `python -m tests.numerics.regroupings`.

`test_bits.py` compares a few hundred batches. This command compares 10,000 for each engine and precision that runs on
this processor, and takes about half an hour.
"""

import argparse
import hashlib
import os
import random
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_model.engines.native import library
from emotag_model.engines.precision import PRECISIONS
from emotag_model.engines.protocol import Engine, is_possible, open_engine
from emotag_model.tokens import Tokens
from emotag_worker.local.demo_records import read_sample_texts

SIZES = (1, 2, 3, 5, 8, 13, 40)
"""Texts per batch."""

Rows = Sequence[Sequence[int]]


def count_changes(engine: Engine, rows: Rows, *, batches: int, seed: int = 0) -> tuple[int, float]:
    """Compute random *batches* of the texts; return how many have other bits, and the largest difference."""
    rng = random.Random(seed)
    expected_NK: npt.NDArray[np.float32] = engine.probabilities(rows)
    changed, largest = 0, 0.0
    for _ in range(batches):
        texts = rng.choices(range(len(rows)), k=rng.choice(SIZES))
        found_BK = engine.probabilities([rows[text] for text in texts])
        changed += not np.array_equal(found_BK, expected_NK[texts])
        largest = max(largest, float(np.abs(found_BK - expected_NK[texts]).max()))
    return changed, largest


def open_engines(trained: Artifact) -> Iterator[tuple[str, Engine]]:
    """Yield each engine in each precision that this processor can run; the native engine once for each path."""
    for path in library.list_paths():
        os.environ[library.PATH_VARIABLE] = name = path.contents.name.decode()
        yield f"native, int8, {name}", open_engine(trained, engine="native", device="cpu", precision="int8")
    for precision, row in PRECISIONS.items():
        for engine in row.engines:
            if engine != "native" and is_possible(engine, precision):
                opened = open_engine(trained, engine=engine, device="cpu", precision=precision)
                yield f"{engine}, {precision}", opened


def main() -> int:
    """Print one line for each engine; return 1 if a bit changed."""
    parser = argparse.ArgumentParser(prog="python -m tests.numerics.regroupings", description=__doc__)
    parser.add_argument("--batches", type=int, default=10_000, help="random batches for each engine")
    parser.add_argument("--only", default="", help="the beginning of the engines' names")
    options = parser.parse_args()
    trained = artifact.load(artifact.DEFAULT)
    tokens = Tokens(trained.tokenizer, max_tokens=trained.config.max_tokens)
    rows = [text.ids for text in tokens(read_sample_texts())]
    worst = 0
    for name, engine in open_engines(trained):
        if not name.startswith(options.only):
            continue
        whole = hashlib.sha256(engine.probabilities(rows).tobytes()).hexdigest()[:12]
        changed, largest = count_changes(engine, rows, batches=options.batches)
        line = f"{name}: {changed} of {options.batches} batches changed, at most by {largest:.1e}; bits {whole}"
        print(line, flush=True)  # noqa: T201
        worst = max(worst, changed)
    return int(worst > 0)


if __name__ == "__main__":
    sys.exit(main())
