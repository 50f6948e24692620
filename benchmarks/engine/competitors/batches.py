"""Batches of texts of similar length, and the batch size at which a competitor is fastest."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from emotag_model.tokens import TokenIds, pad

from . import Competitor, Probabilities, Setting

Ids: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Logits: TypeAlias = npt.NDArray[np.float32]

Forward = Callable[[Ids, Mask], Logits]
"""Converts ids_BL and mask_BL, true on real tokens, to logits_BK."""

Forwards = Callable[[Sequence[tuple[Ids, Mask]]], list[Logits]]
"""Converts many batches, in order. A library may work on several of them at a time."""

Run = Callable[[Sequence[TokenIds]], Probabilities]

SIZES = (4, 8, 16, 32, 64)
USUAL_SIZE = 32


def one_by_one(forward: Forward) -> Forwards:
    """Return a function that runs one batch after the other."""
    return lambda batches: [forward(ids_BL, mask_BL) for ids_BL, mask_BL in batches]


def side_by_side(forward: Forward, *, at_a_time: int) -> Forwards:
    """Return a function that runs several batches at a time, each in its own thread. The threads are kept."""
    pool = ThreadPoolExecutor(at_a_time)
    return lambda batches: list(pool.map(lambda batch: forward(*batch), batches))


def split_into_batches(forwards: Forwards, *, size: int, sort: bool = True, width: int | None = None) -> Run:
    """Return a function that runs *forwards* on batches of *size* texts.

    Args:
        sort: group texts of similar length; otherwise keep their order.
        width: pad each batch to this many tokens; by default to its longest text.
    """

    def run(tokens: Sequence[TokenIds]) -> Probabilities:
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row].ids)) if sort else range(len(tokens))
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        logits_NK: Logits = np.concatenate(
            forwards([pad([tokens[row].ids for row in rows], pad_id=0, round_to=width or 1) for rows in batches])
        )
        result_NK = np.empty_like(logits_NK)
        result_NK[np.asarray(order)] = 1 / (1 + np.exp(-logits_NK))
        return result_NK

    return run


def choose_fastest(
    name: str, configurations: Mapping[str, Forwards], setting: Setting, *, note: str = ""
) -> Competitor:
    """Return a competitor with the configuration and the batch size that are fastest on the setting's tokens.

    Args:
        configurations: by their description. A quick run takes the first one, with `USUAL_SIZE`.
    """
    runs = {
        ", ".join(filter(None, [configuration, f"batches of {size}"])): split_into_batches(forwards, size=size)
        for configuration, forwards in configurations.items()
        for size in ((USUAL_SIZE,) if setting.quick else SIZES)
    }
    if setting.configuration:
        best = setting.configuration
    elif setting.quick:
        best = next(iter(runs))
    else:
        best = min(runs, key=lambda description: measure_seconds(runs[description], setting.tokens))
    return Competitor(name, "tokens", runs[best], ", ".join(filter(None, [note, best])), best)  # type: ignore[arg-type]


def measure_seconds(run: Run, tokens: Sequence[TokenIds]) -> float:
    """Return the seconds of the faster of two runs, after one to warm up."""
    run(tokens)
    taken_s = []
    for _ in range(2):
        began = time.perf_counter()
        run(tokens)
        taken_s.append(time.perf_counter() - began)
    return min(taken_s)
