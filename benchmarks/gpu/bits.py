"""Does a text get the same bits alone and among others, and what does it cost to guarantee that?

A GPU's library selects a kernel by the number of rows, and kernels add in different orders. With filling texts, every
device batch has the same number of tokens and texts, and so the same kernels.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.measurements import Measurements
from benchmarks.results import Row

from .subject import REAL, Model, Subject

TABLE = "bits"
LONGEST = 60
"""Tokens of the longest text: all texts of a filled call then fit into one device batch."""

FEW = 256
REPEATS = 20

ALONE = 32
"""Texts that are computed alone."""

Probabilities = npt.NDArray[np.float32]
Ids = Sequence[Sequence[int]]


class Sizes(NamedTuple):
    """The tokens and texts of every filled batch."""

    tokens: int
    texts: int


FIXED, QUICK = Sizes(8_192, 512), Sizes(256, 16)


def measure(subject: Subject) -> list[Row]:
    """Return the texts whose bits depend on their batch, and the cost of filled batches, for each model."""
    return [row for model in subject.models for row in _measure_model(subject, model)]


def _measure_model(subject: Subject, model: Model) -> list[Row]:
    tokens = [text for text in model.tagger.tokenize(subject.take(REAL, 2 * FEW)) if len(text.ids) <= LONGEST]
    ids = [text.ids for text in tokens[:FEW]]
    plain: Callable[[Ids], Probabilities] = model.engine.probabilities
    fixed = QUICK if subject.quick else FIXED
    filled: Callable[[Ids], Probabilities] = partial(_compute_filled, model, fixed)
    rows = [
        _count_changes(f"{model.name}: texts with other bits alone than among {len(ids)}", ids, plain),
        _count_changes(f"{model.name}: texts with other bits alone than among {len(ids)}, filled", ids, filled),
    ]
    names = [f"{model.name}, calls of {len(ids)} texts{kind}" for kind in ("", ", filled")]
    rates = Measurements(TABLE, "texts/s")
    runs = {
        name: partial(_measure_rate, compute, ids, repeats=1 if subject.quick else REPEATS)
        for name, compute in ((names[0], plain), (names[1], filled))
    }
    rates.interleave(runs, rounds=subject.rounds, pause_s=0.0)
    note = f"each device batch has {fixed.tokens:,} tokens and {fixed.texts} texts"
    return [*rows, *rates.rows(against=names[0], notes={names[1]: note})]


def _count_changes(name: str, ids: Ids, compute: Callable[[Ids], Probabilities]) -> Row:
    together_BK = compute(ids)
    some = range(0, len(ids), max(1, len(ids) // ALONE))
    alone_BK = np.concatenate([compute([ids[text]]) for text in some])
    different = np.abs(together_BK[list(some)] - alone_BK)
    count = int(different.any(axis=1).sum())
    note = f"of {len(some)}; largest change {different.max():.2g}"
    return Row(TABLE, name, count, "texts", count, count, note=note)


def _compute_filled(model: Model, fixed: Sizes, ids: Ids) -> Probabilities:
    """Compute texts with filling ones, in one device batch of fixed sizes."""
    filling = list_filling(Sizes(sum(map(len, ids)), len(ids)), fixed)
    return model.engine.probabilities([*ids, *([0] * length for length in filling)])[: len(ids)]


def list_filling(real: Sizes, fixed: Sizes) -> list[int]:
    """Return the lengths of the texts that fill a batch of *real* texts up to the *fixed* sizes."""
    count = fixed.texts - real.texts
    each, more = divmod(fixed.tokens - real.tokens, count)
    return [each + 1] * more + [each] * (count - more)


def _measure_rate(compute: Callable[[Ids], Probabilities], ids: Ids, *, repeats: int) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        compute(ids)
    return repeats * len(ids) / (time.perf_counter() - began)
