"""What the cache keeps of one text: its probabilities, in 66 bytes, checked when read.

version (1) · flags (1) · tokens (2) · unknown tokens (2) · one 16-bit fraction per label (2 K) · CRC-32 of all before
it (4)
"""

import struct
import zlib
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

VERSION = 2
TRUNCATED = 1
HEAD = struct.Struct("<BBHH")
MOST = 65_535
"""The largest count that is kept; no window has so many tokens."""
STEPS = 65_535
"""Probabilities are kept in 65,536 steps: 8e-6 off at most, far below what rounding of the weights costs."""


class Entry(msgspec.Struct, frozen=True):
    """One text's answer, thresholds not yet applied.

    Attributes:
        tokens, unknown: how many tokens of it the model was given, and how many of those its vocabulary does not have.
            A repeat is no less traffic for not having been tokenised: drift is watched over all results.
    """

    probabilities_K: npt.NDArray[np.float32]
    truncated: bool
    tokens: int = 0
    unknown: int = 0


def quantise(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Probabilities as the cache gives them back. Computed ones pass through here too, so that a repeat is equal."""
    return np.rint(probabilities * STEPS).astype(np.float32) / np.float32(STEPS)


def pack(entry: Entry) -> bytes:
    """The entry as bytes."""
    flags = TRUNCATED if entry.truncated else 0
    body = HEAD.pack(VERSION, flags, min(entry.tokens, MOST), min(entry.unknown, MOST))
    body += np.rint(entry.probabilities_K * STEPS).astype("<u2").tobytes()
    return body + struct.pack("<I", zlib.crc32(body))


def unpack(raw: Sequence[bytes], *, labels: int) -> list[Entry | None]:
    """The entries in *raw*; None where the bytes are anything else: another version, cut short, rubbish."""
    good = [_is_entry(value, labels) for value in raw]
    kept = b"".join(value[HEAD.size : -4] for value, is_good in zip(raw, good, strict=True) if is_good)
    rows = iter(np.frombuffer(kept, dtype="<u2").reshape(-1, labels).astype(np.float32) / np.float32(STEPS))
    return [_entry(next(rows), value) if is_good else None for value, is_good in zip(raw, good, strict=True)]


def _entry(probabilities_K: npt.NDArray[np.float32], raw: bytes) -> Entry:
    _, flags, tokens, unknown = HEAD.unpack_from(raw)
    return Entry(probabilities_K, bool(flags & TRUNCATED), tokens, unknown)


def _is_entry(raw: bytes, labels: int) -> bool:
    return (
        len(raw) == HEAD.size + 2 * labels + 4
        and raw[0] == VERSION
        and raw[1] <= TRUNCATED
        and zlib.crc32(raw[:-4]) == int.from_bytes(raw[-4:], "little")
    )
