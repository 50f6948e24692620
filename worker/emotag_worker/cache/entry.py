"""The cache entry of one text: its probabilities and scope in 64 bytes, and in Redis 8 more, which authenticate them.

version (1) · flags (1) · scope (1) · language (1) · tokens (2) · unknown tokens (2) · one 16-bit fraction per label
(2 K) · BLAKE2b over the key and the bytes before (8)

The entry of a text that was read in windows has one block per window in place of the fractions:

start (2) · end (2) · one 16-bit fraction per label (2 K)

If results have reasons, up to three spans per label follow the fractions, each with start, end and share (18 K).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

import msgspec
import numpy as np
import numpy.typing as npt

from emotag_model.long_texts.windows import MOST_WINDOWS
from emotag_model.reasons.spans import SPANS, Spans
from emotag_model.scope.languages import LANGUAGES
from emotag_model.scope.rules import Scope
from emotag_model.tokens import MAX_CHARACTERS

VERSION = 5
TRUNCATED, WINDOWS, REASONS = 1, 2, 4
"""The bits of the flags."""
MAX_COUNT = 65_535
"""Largest count, of tokens or characters, that an entry can store; every text that is read is far smaller."""

LEVELS = 65_535
"""Probabilities are stored as multiples of 1 / 65,535: an error of 8e-6 at most, far below that of rounded weights."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
CODES = (None, *LANGUAGES)
"""An entry stores the place of its scope and of its language in these tuples."""
_PLACES = {code: place for place, code in enumerate(CODES)}
FLAGS_BYTE, SCOPE_BYTE, LANGUAGE_BYTE = 1, 2, 3
"""The places of these three in an entry."""

MAC_BYTES = 8
"""Somebody who guesses succeeds once in 2^64 entries, each of which must be written to Redis and read by a worker. An
entry with a MAC of 16 bytes would need 96 bytes of memory in Redis instead of 80."""


NO_PROBABILITIES = np.empty(0, np.float32)
"""Of the entry of a text with windows."""


class WindowEntry(msgspec.Struct, frozen=True):
    """The model's output for one window of a long text.

    Attributes:
        start, end: its characters in the normalized text.
        spans_KS3: as in an entry, with places in the window.
    """

    start: int
    end: int
    probabilities_K: npt.NDArray[np.float32]
    spans_KS3: Spans | None = None


class Entry(msgspec.Struct, frozen=True):
    """The model's output for one text, before thresholds.

    Attributes:
        probabilities_K: empty for a text with windows, whose probabilities are joined after the cache.
        truncated: the text was longer than what the model read.
        tokens, unknown: number of tokens that the model read, and how many of them are not in its vocabulary. Entries
            contain both because drift is measured over all results, including those from the cache.
        scope, language: as in a result.
        windows: of a long text, in order; empty for every other text.
        spans_KS3: the spans of each label in the normalized text; None without reasons, and for a text with windows.
    """

    probabilities_K: npt.NDArray[np.float32]
    truncated: bool
    tokens: int = 0
    unknown: int = 0
    scope: Scope = "ok"
    language: str | None = None
    windows: tuple[WindowEntry, ...] = ()
    spans_KS3: Spans | None = None


class Codec:
    """Encodes the entries of a batch at once, and decodes them.

    Args:
        labels: number of probabilities per entry.
        reasons: entries have spans. Entries of the other kind are not valid.
    """

    def __init__(self, labels: int, *, reasons: bool = False) -> None:
        header = [
            ("version", "u1"),
            ("flags", "u1"),
            ("scope", "u1"),
            ("language", "u1"),
            ("tokens", "<u2"),
            ("unknown", "<u2"),
        ]
        block: list[Any] = [("fractions_K", "<u2", (labels,))]
        if reasons:
            block.append(("spans_KS3", "<u2", (labels, SPANS, 3)))
        self._header = np.dtype(header)
        self._layout = np.dtype([*header, *block])
        self._window = np.dtype([("start", "<u2"), ("end", "<u2"), *block])
        self._labels = labels
        self._reasons = reasons
        self.size = self._layout.itemsize
        """Bytes of an encoded entry without windows."""

    def encode(self, entries: Sequence[Entry]) -> list[bytes]:
        """Return each entry as bytes: `size` of them for a text without windows."""
        plain = [entry for entry in entries if not entry.windows]
        rows = self._fill(plain, self._layout)
        self._fill_blocks(rows, plain)
        raw = rows.tobytes()
        bodies = [raw[begin : begin + self.size] for begin in range(0, len(raw), self.size)]
        if len(plain) == len(entries):
            return bodies
        rest = iter(bodies)
        return [self._encode_windows(entry) if entry.windows else next(rest) for entry in entries]

    def decode(self, bodies: Sequence[bytes]) -> list[Entry]:
        """Return the entries of bytes from `encode`."""
        size = self.size
        plain = [body for body in bodies if len(body) == size]
        rows = np.frombuffer(b"".join(plain), self._layout)
        spans = self._read_spans(rows)
        entries = list(
            map(Entry, _to_probabilities(rows["fractions_K"]), *_read_header(rows), [()] * len(plain), spans)
        )
        if len(plain) == len(bodies):
            return entries
        rest = iter(entries)
        return [next(rest) if len(body) == size else self._decode_windows(body) for body in bodies]

    def is_whole(self, body: bytes) -> bool:
        """Return True if an encoded entry has the size that its flags and its version require, and possible windows.

        Windows are not empty, both their starts and their ends rise, and they end within what is read of a text.
        """
        if len(body) < self.size or body[0] != VERSION or bool(body[FLAGS_BYTE] & REASONS) != self._reasons:
            return False
        if not body[FLAGS_BYTE] & WINDOWS:
            return len(body) == self.size
        windows, rest = divmod(len(body) - self._header.itemsize, self._window.itemsize)
        if rest or not 2 <= windows <= MOST_WINDOWS:
            return False
        blocks = np.frombuffer(body, self._window, offset=self._header.itemsize)
        starts, ends = blocks["start"].astype(np.int32), blocks["end"].astype(np.int32)
        rise = (np.diff(starts) > 0).all() and (np.diff(ends) > 0).all()
        return bool(rise and (starts < ends).all() and ends[-1] <= MAX_CHARACTERS)

    def _fill(self, entries: Sequence[Entry], layout: np.dtype[np.void]) -> npt.NDArray[np.void]:
        """Return a row per entry whose header is complete."""
        rows = np.empty(len(entries), layout)
        rows["version"] = VERSION
        rows["flags"] = [entry.truncated for entry in entries]  # True is the bit TRUNCATED
        rows["flags"] |= REASONS if self._reasons else 0
        rows["scope"] = [SCOPES.index(entry.scope) for entry in entries]
        rows["language"] = [_PLACES[entry.language] for entry in entries]
        rows["tokens"] = np.minimum([entry.tokens for entry in entries], MAX_COUNT)
        rows["unknown"] = np.minimum([entry.unknown for entry in entries], MAX_COUNT)
        return rows

    def _fill_blocks(self, rows: npt.NDArray[np.void], found: Sequence[Entry | WindowEntry]) -> None:
        rows["fractions_K"] = self._to_fractions(each.probabilities_K for each in found)
        if self._reasons:
            rows["spans_KS3"] = np.array([each.spans_KS3 for each in found]).reshape(rows["spans_KS3"].shape)

    def _read_spans(self, rows: npt.NDArray[np.void]) -> Iterable[Spans | None]:
        return rows["spans_KS3"] if self._reasons else [None] * len(rows)

    def _to_fractions(self, rows_BK: Iterable[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        joined = b"".join([row_K.data for row_K in rows_BK])
        return np.rint(np.frombuffer(joined, np.float32).reshape(-1, self._labels) * LEVELS)

    def _encode_windows(self, entry: Entry) -> bytes:
        header = self._fill([entry], self._header)
        header["flags"] |= WINDOWS
        blocks = np.empty(len(entry.windows), self._window)
        blocks["start"] = [window.start for window in entry.windows]
        blocks["end"] = [window.end for window in entry.windows]
        self._fill_blocks(blocks, entry.windows)
        return header.tobytes() + blocks.tobytes()

    def _decode_windows(self, body: bytes) -> Entry:
        header = np.frombuffer(body, self._header, count=1)
        blocks = np.frombuffer(body, self._window, offset=self._header.itemsize)
        rows_WK = _to_probabilities(blocks["fractions_K"])
        places = (blocks["start"].tolist(), blocks["end"].tolist())
        windows = map(WindowEntry, *places, rows_WK, self._read_spans(blocks))
        return next(map(Entry, [NO_PROBABILITIES], *_read_header(header), [tuple(windows)]))


def _to_probabilities(fractions_BK: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    return fractions_BK.astype(np.float32) / np.float32(LEVELS)


def _read_header(rows: npt.NDArray[np.void]) -> tuple[Iterable[Any], ...]:
    """Return the fields of entries that follow their probabilities, each as a column."""
    flags, tokens, unknown = (rows[name].tolist() for name in ("flags", "tokens", "unknown"))
    scopes = [SCOPES[place] for place in rows["scope"].tolist()]
    languages = [CODES[place] for place in rows["language"].tolist()]
    return (bool(each & TRUNCATED) for each in flags), tokens, unknown, scopes, languages


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

    def open(self, key: str, raw: bytes, *, codec: Codec) -> bytes | None:
        """Return the encoded entry; None if the bytes are damaged, forged, or of another version or size."""
        body = raw[:-MAC_BYTES]
        if not codec.is_whole(body) or raw[-MAC_BYTES:] != self._compute(key, body):
            return None
        # Without a secret, anybody can compute the MAC of any bytes.
        if body[SCOPE_BYTE] >= len(SCOPES) or body[LANGUAGE_BYTE] >= len(CODES):
            return None
        return body

    def _compute(self, key: str, body: bytes) -> bytes:
        mac = self._start.copy()  # saves the hash of the secret, which is the same for all entries
        mac.update(key.encode() + body)  # no key contains the first byte of a body, so the two cannot be confused
        return mac.digest()


def quantize(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Round probabilities to the cache's precision.

    Computed probabilities are rounded too, so that a result from the cache is identical.
    """
    return np.rint(probabilities * LEVELS).astype(np.float32) / np.float32(LEVELS)


def unpack(raw: Mapping[str, bytes], *, seal: Seal, codec: Codec) -> dict[str, Entry]:
    """Return the valid entries of the values in Redis, by cache key."""
    opened = {key: seal.open(key, value, codec=codec) for key, value in raw.items()}
    bodies = {key: body for key, body in opened.items() if body is not None}
    return dict(zip(bodies, codec.decode(list(bodies.values())), strict=True))
