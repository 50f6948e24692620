"""The cache entry of one text: its probabilities and scope in 64 bytes, and in Redis 8 more, which authenticate them.

version (1) · flags (1) · scope (1) · language (1) · tokens (2) · unknown tokens (2) · one 16-bit fraction per label
(2 K) · BLAKE2b over the key and the bytes before (8)
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import get_args

import msgspec
import numpy as np
import numpy.typing as npt

from emotag_model.scope.languages import LANGUAGES
from emotag_model.scope.rules import Scope

VERSION = 4
TRUNCATED = 1
MAX_COUNT = 65_535
"""Largest token count that an entry can store; every model's window is far smaller."""

LEVELS = 65_535
"""Probabilities are stored as multiples of 1 / 65,535: an error of 8e-6 at most, far below that of rounded weights."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
CODES = (None, *LANGUAGES)
"""An entry stores the place of its scope and of its language in these tuples."""
_PLACES = {code: place for place, code in enumerate(CODES)}
SCOPE_BYTE, LANGUAGE_BYTE = 2, 3
"""The places of these two in an entry."""

MAC_BYTES = 8
"""Somebody who guesses succeeds once in 2^64 entries, each of which must be written to Redis and read by a worker. An
entry with a MAC of 16 bytes would need 96 bytes of memory in Redis instead of 80."""


class Entry(msgspec.Struct, frozen=True):
    """The model's output for one text, before thresholds.

    Attributes:
        truncated: the text was longer than the model's window.
        tokens, unknown: number of tokens that the model read, and how many of them are not in its vocabulary. Entries
            contain both because drift is measured over all results, including those from the cache.
        scope, language: as in a result.
    """

    probabilities_K: npt.NDArray[np.float32]
    truncated: bool
    tokens: int = 0
    unknown: int = 0
    scope: Scope = "ok"
    language: str | None = None


class Codec:
    """Encodes the entries of a batch at once, and decodes them.

    Args:
        labels: number of probabilities per entry.
    """

    def __init__(self, labels: int) -> None:
        self._layout = np.dtype(
            [
                ("version", "u1"),
                ("flags", "u1"),
                ("scope", "u1"),
                ("language", "u1"),
                ("tokens", "<u2"),
                ("unknown", "<u2"),
                ("fractions_K", "<u2", (labels,)),
            ]
        )
        self._labels = labels
        self.size = self._layout.itemsize
        """Bytes of an encoded entry."""

    def encode(self, entries: Sequence[Entry]) -> list[bytes]:
        """Return each entry in `size` bytes."""
        joined = b"".join([entry.probabilities_K.data for entry in entries])
        rows = np.empty(len(entries), self._layout)
        rows["version"] = VERSION
        rows["flags"] = [entry.truncated for entry in entries]  # True is the bit TRUNCATED
        rows["scope"] = [SCOPES.index(entry.scope) for entry in entries]
        rows["language"] = [_PLACES[entry.language] for entry in entries]
        rows["tokens"] = np.minimum([entry.tokens for entry in entries], MAX_COUNT)
        rows["unknown"] = np.minimum([entry.unknown for entry in entries], MAX_COUNT)
        rows["fractions_K"] = np.rint(np.frombuffer(joined, np.float32).reshape(-1, self._labels) * LEVELS)
        raw = rows.tobytes()
        return [raw[begin : begin + self.size] for begin in range(0, len(raw), self.size)]

    def decode(self, bodies: Sequence[bytes]) -> list[Entry]:
        """Return the entries of bytes from `encode`."""
        rows = np.frombuffer(b"".join(bodies), self._layout)
        rows_BK = rows["fractions_K"].astype(np.float32) / np.float32(LEVELS)
        flags, tokens, unknown = (rows[name].tolist() for name in ("flags", "tokens", "unknown"))
        scopes = [SCOPES[place] for place in rows["scope"].tolist()]
        languages = [CODES[place] for place in rows["language"].tolist()]
        return list(map(Entry, rows_BK, (bool(each & TRUNCATED) for each in flags), tokens, unknown, scopes, languages))


class Seal:
    """The keyed MAC of entries, bound to their cache keys.

    With a secret, somebody who can write to Redis and does not have the secret can neither make an entry nor move one
    to another key. Without a secret, the MAC is only a checksum.
    """

    def __init__(self, secret: str | None = None) -> None:
        # Another `person` than the hash of texts has: its outputs are in Redis, and reveal nothing about this key.
        key = hashlib.blake2b(secret.encode(), person=b"emotag-cache-mac").digest() if secret else b""
        self._start = hashlib.blake2b(key=key, digest_size=MAC_BYTES)

    def seal(self, keys: Sequence[str], bodies: Sequence[bytes]) -> list[bytes]:
        """Return the bytes that Redis stores for each key."""
        return [body + self._compute(key, body) for key, body in zip(keys, bodies, strict=True)]

    def open(self, key: str, raw: bytes, *, size: int) -> bytes | None:
        """Return the encoded entry; None if the bytes are damaged, forged, or of another version or size."""
        body = raw[:-MAC_BYTES]
        if len(body) != size or body[0] != VERSION or raw[size:] != self._compute(key, body):
            return None
        # Without a secret, anybody can compute the MAC of any bytes.
        if body[SCOPE_BYTE] >= len(SCOPES) or body[LANGUAGE_BYTE] >= len(CODES):
            return None
        return body

    def _compute(self, key: str, body: bytes) -> bytes:
        mac = self._start.copy()  # saves the hash of the secret, which is the same for all entries
        mac.update(key.encode() + body)  # all bodies have one length, so the two cannot be confused
        return mac.digest()


def quantize(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Round probabilities to the cache's precision.

    Computed probabilities are rounded too, so that a result from the cache is identical.
    """
    return np.rint(probabilities * LEVELS).astype(np.float32) / np.float32(LEVELS)


def unpack(raw: Mapping[str, bytes], *, seal: Seal, codec: Codec) -> dict[str, Entry]:
    """Return the valid entries of the values in Redis, by cache key."""
    opened = {key: seal.open(key, value, size=codec.size) for key, value in raw.items()}
    bodies = {key: body for key, body in opened.items() if body is not None}
    return dict(zip(bodies, codec.decode(list(bodies.values())), strict=True))
