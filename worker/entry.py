"""What the cache keeps of one text: its probabilities, in 62 bytes, checked when read.

version (1) · flags (1) · one 16-bit fraction per label (2 K) · CRC-32 of all before it (4)
"""

import struct
import zlib
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

VERSION = 1
TRUNCATED = 1
STEPS = 65_535
"""Probabilities are kept in 65,536 steps: 8e-6 off at most, far below what rounding of the weights costs."""


class Entry(msgspec.Struct, frozen=True):
    """One text's answer, thresholds not yet applied."""

    probabilities_K: npt.NDArray[np.float32]
    truncated: bool


def quantise(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Probabilities as the cache gives them back. Computed ones pass through here too, so that a repeat is equal."""
    return np.rint(probabilities * STEPS).astype(np.float32) / np.float32(STEPS)


def pack(entry: Entry) -> bytes:
    """The entry as bytes."""
    body = struct.pack("<BB", VERSION, TRUNCATED if entry.truncated else 0)
    body += np.rint(entry.probabilities_K * STEPS).astype("<u2").tobytes()
    return body + struct.pack("<I", zlib.crc32(body))


def unpack(raw: Sequence[bytes], *, labels: int) -> list[Entry | None]:
    """The entries in *raw*; None where the bytes are anything else: another version, cut short, rubbish."""
    good = [_is_entry(value, labels) for value in raw]
    kept = b"".join(value[2:-4] for value, is_good in zip(raw, good, strict=True) if is_good)
    rows = iter(np.frombuffer(kept, dtype="<u2").reshape(-1, labels).astype(np.float32) / np.float32(STEPS))
    return [
        Entry(next(rows), bool(value[1] & TRUNCATED)) if is_good else None
        for value, is_good in zip(raw, good, strict=True)
    ]


def _is_entry(raw: bytes, labels: int) -> bool:
    return (
        len(raw) == 2 + 2 * labels + 4
        and raw[0] == VERSION
        and raw[1] <= TRUNCATED
        and zlib.crc32(raw[:-4]) == int.from_bytes(raw[-4:], "little")
    )
