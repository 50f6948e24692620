"""Batches of like length, and the size of batch at which a rival is fastest."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from model.tokens import TokenIds

from . import Probabilities, Rival, Setting

Ids: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Logits: TypeAlias = npt.NDArray[np.float32]

Forward = Callable[[Ids, Mask], Logits]
"""ids_BL and mask_BL, true on real tokens, to logits_BK."""

Forwards = Callable[[Sequence[tuple[Ids, Mask]]], list[Logits]]
"""Many batches, in order: a library may be at several of them at a time."""

Run = Callable[[Sequence[TokenIds]], Probabilities]

SIZES = (16, 32, 64)
USUAL_SIZE = 32


def one_by_one(forward: Forward) -> Forwards:
    """One batch after the other."""
    return lambda batches: [forward(ids_BL, mask_BL) for ids_BL, mask_BL in batches]


def in_batches(forwards: Forwards, *, size: int, sort: bool = True, width: int | None = None) -> Run:
    """Run *forwards* on batches of *size* texts.

    Args:
        sort: batches are of like length; otherwise in the order in which the texts came.
        width: every batch is padded to it; to its longest text where none is given.
    """

    def run(tokens: Sequence[TokenIds]) -> Probabilities:
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row].ids)) if sort else range(len(tokens))
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        logits_NK: Logits = np.concatenate(
            forwards([rectangle([tokens[row].ids for row in rows], width) for rows in batches])
        )
        result_NK = np.empty_like(logits_NK)
        result_NK[np.asarray(order)] = 1 / (1 + np.exp(-logits_NK))
        return result_NK

    return run


def rectangle(rows: Sequence[Sequence[int]], width: int | None = None) -> tuple[Ids, Mask]:
    """ids_BL, padded with zeros to *width* or the longest row, and mask_BL."""
    lengths_B = np.array([len(row) for row in rows])
    mask_BL = np.arange(width or lengths_B.max()) < lengths_B[:, None]
    ids_BL = np.zeros(mask_BL.shape, dtype=np.int64)
    ids_BL[mask_BL] = np.concatenate([np.asarray(row) for row in rows])
    return ids_BL, mask_BL


def fastest(name: str, configurations: Mapping[str, Forwards], setting: Setting, *, note: str = "") -> Rival:
    """A rival with the configuration and the batch size that are fastest on the setting's tokens.

    Args:
        configurations: by what the note says of them. A quick run takes the first, in batches of the usual size.
    """
    if setting.quick:
        configurations = dict([next(iter(configurations.items()))])
    best, found = float("inf"), ""
    chosen: Run | None = None
    for configuration, forwards in configurations.items():
        for size in (USUAL_SIZE,) if setting.quick else SIZES:
            run = in_batches(forwards, size=size)
            taken_s = seconds(run, setting.tokens)
            if taken_s < best:
                best, chosen, found = taken_s, run, ", ".join(filter(None, [configuration, f"batches of {size}"]))
    assert chosen is not None
    return Rival(name, "tokens", chosen, ", ".join(filter(None, [note, found])))  # type: ignore[arg-type]


def seconds(run: Run, tokens: Sequence[TokenIds]) -> float:
    """The better of two runs, after one that warms up."""
    run(tokens)
    taken_s = []
    for _ in range(2):
        began = time.perf_counter()
        run(tokens)
        taken_s.append(time.perf_counter() - began)
    return min(taken_s)
