"""What the cache keeps of one text: its probabilities, in 62 bytes, checked when read.

version (1) · flags (1) · one 16-bit fraction per label (2 K) · CRC-32 of all before it (4)
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

VERSION = 1
TRUNCATED = 1
STEPS = 65_535
"""Probabilities are kept in 65,536 steps: 8e-6 off at most, far below what rounding of the weights costs."""


@dataclass(frozen=True)
class Entry:
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


def unpack(raw: bytes, *, labels: int) -> Entry | None:
    """The entry in *raw*; None where the bytes are anything else: another version, cut short, rubbish."""
    if len(raw) != 2 + 2 * labels + 4 or raw[0] != VERSION or raw[1] > TRUNCATED:
        return None
    if zlib.crc32(raw[:-4]) != struct.unpack("<I", raw[-4:])[0]:
        return None
    probabilities_K = np.frombuffer(raw[2:-4], dtype="<u2").astype(np.float32) / np.float32(STEPS)
    return Entry(probabilities_K, bool(raw[1] & TRUNCATED))
