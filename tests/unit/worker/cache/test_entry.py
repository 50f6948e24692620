"""Entries are encoded, decoded, and checked for damage and forgery."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from emotag_model.long_texts.windows import MOST_WINDOWS
from emotag_model.scope.rules import Scope
from emotag_model.tokens import MAX_CHARACTERS
from emotag_worker.cache.entry import (
    CODES,
    FLAGS_BYTE,
    LANGUAGE_BYTE,
    MAC_BYTES,
    MAX_COUNT,
    NO_PROBABILITIES,
    REASONS,
    SCOPE_BYTE,
    SCOPES,
    WINDOWS,
    Codec,
    Entry,
    Seal,
    WindowEntry,
    quantize,
    unpack,
)

PROBABILITIES = st.lists(st.floats(0, 1, width=32), min_size=28, max_size=28)
CODEC, SEAL = Codec(28), Seal("of the tests")
KEY = "emotag:m:1"


def pack(entry: Entry, *, key: str = KEY, seal: Seal = SEAL) -> bytes:
    """Return the bytes that Redis stores for an entry."""
    (raw,) = seal.seal([key], CODEC.encode([entry]))
    return raw


def entry_of(value: float) -> Entry:
    return Entry(quantize(np.full(28, value, dtype=np.float32)), truncated=False)


PACKED = pack(entry_of(0.25))


@given(PROBABILITIES, st.booleans(), st.sampled_from(SCOPES), st.sampled_from(CODES))
def test_a_decoded_entry_equals_the_encoded_one(
    values: list[float], truncated: bool, scope: Scope, language: str | None
) -> None:
    """Computed probabilities are quantized too, so that a result from the cache is equal bit for bit."""
    entry = Entry(quantize(np.array(values, dtype=np.float32)), truncated, 9, 1, scope, language)
    found = unpack({KEY: pack(entry)}, seal=SEAL, codec=CODEC)[KEY]
    assert (truncated, 9, 1) == (found.truncated, found.tokens, found.unknown)
    assert (scope, language) == (found.scope, found.language)
    assert np.array_equal(entry.probabilities_K, found.probabilities_K)


def long_entry(windows: int) -> Entry:
    """The entry of a text that was read in windows, with another probability in each."""
    parts = [WindowEntry(250 * n, 250 * n + 260, quantize(np.full(28, n / 100, np.float32))) for n in range(windows)]
    return Entry(
        NO_PROBABILITIES, truncated=False, tokens=250, unknown=2, scope="ok", language="en", windows=tuple(parts)
    )


def assert_equal(expected: Entry, found: Entry) -> None:
    for name in ("truncated", "tokens", "unknown", "scope", "language"):
        assert getattr(expected, name) == getattr(found, name)
    assert np.array_equal(expected.probabilities_K, found.probabilities_K)
    for one, other in zip(expected.windows, found.windows, strict=True):
        assert (one.start, one.end) == (other.start, other.end)
        assert np.array_equal(one.probabilities_K, other.probabilities_K)


def test_entries_with_windows_are_decoded_among_others_in_order() -> None:
    entries = [entry_of(0.25), long_entry(2), entry_of(0.75), long_entry(MOST_WINDOWS)]
    keys = [f"emotag:m:{n}" for n in range(len(entries))]
    raw = dict(zip(keys, SEAL.seal(keys, CODEC.encode(entries)), strict=True))
    found = unpack(raw, seal=SEAL, codec=CODEC)
    assert keys == list(found)
    for key, entry in zip(keys, entries, strict=True):
        assert_equal(entry, found[key])


@pytest.mark.parametrize("position", range(8 + 2 * 60 + MAC_BYTES))
def test_an_entry_with_windows_and_a_flipped_bit_is_corrupt(position: int) -> None:
    raw = bytearray(pack(long_entry(2)))
    raw[position] ^= 0x10
    assert {} == unpack({KEY: bytes(raw)}, seal=SEAL, codec=CODEC)


@pytest.mark.parametrize(
    "body",
    [
        CODEC.encode([long_entry(2)])[0][:-1],
        CODEC.encode([long_entry(2)])[0] + bytes(30),
        CODEC.encode([long_entry(3)])[0][: 8 + 60],
        CODEC.encode([long_entry(MOST_WINDOWS)])[0] + bytes(60),
        CODEC.encode([entry_of(0.5)])[0] + bytes(60),
        bytes([*PACKED[:FLAGS_BYTE], WINDOWS, *PACKED[FLAGS_BYTE + 1 : -MAC_BYTES]]),
        b"",
    ],
    ids=["a byte less", "half a window more", "one window", "too many windows", "no flag", "a flag alone", "empty"],
)
def test_an_entry_of_another_size_than_its_windows_is_corrupt(body: bytes) -> None:
    """Without a secret, anybody can compute a valid MAC."""
    (raw,) = SEAL.seal([KEY], [body])
    assert {} == unpack({KEY: raw}, seal=SEAL, codec=CODEC)


@pytest.mark.parametrize(
    ("spans", "valid"),
    [
        ([(0, 9), (9, 18)], True),
        ([(0, 9), (8, MAX_CHARACTERS)], True),
        ([(0, 9), (8, MAX_CHARACTERS + 1)], False),
        ([(60_000, 61_000), (62_000, 65_000)], False),
        ([(0, 9), (9, 9)], False),
        ([(9, 0), (12, 18)], False),
        ([(0, 9), (0, 18)], False),
        ([(0, 9), (3, 9)], False),
        ([(0, 9), (20, 30), (10, 40)], False),
    ],
)
def test_windows_that_no_text_can_have_are_corrupt(spans: list[tuple[int, int]], valid: bool) -> None:
    """Without a secret, anybody can compute a valid MAC."""
    windows = tuple(WindowEntry(start, end, np.zeros(28, np.float32)) for start, end in spans)
    raw = pack(Entry(NO_PROBABILITIES, truncated=False, windows=windows), seal=Seal())
    assert valid == bool(unpack({KEY: raw}, seal=Seal(), codec=CODEC))


def test_every_place_in_a_text_that_is_read_fits_into_an_entry() -> None:
    assert MAX_CHARACTERS <= MAX_COUNT


@given(PROBABILITIES)
def test_quantization_changes_probabilities_by_less_than_1e_5(values: list[float]) -> None:
    exact = np.array(values, dtype=np.float32)
    assert np.abs(quantize(exact) - exact).max() < 1e-5


def test_a_count_above_the_largest_is_stored_as_the_largest() -> None:
    entry = Entry(quantize(np.zeros(28, np.float32)), truncated=True, tokens=70_000, unknown=65_536)
    (found,) = CODEC.decode(CODEC.encode([entry]))
    assert (65_535, 65_535) == (found.tokens, found.unknown)


@pytest.mark.parametrize("seal", [SEAL, Seal()], ids=["with a secret", "without a secret"])
@pytest.mark.parametrize("position", range(len(PACKED)))
def test_an_entry_with_a_flipped_bit_is_corrupt(position: int, seal: Seal) -> None:
    raw = bytearray(pack(entry_of(0.25), seal=seal))
    raw[position] ^= 0x10
    assert {} == unpack({KEY: bytes(raw)}, seal=seal, codec=CODEC)


@given(st.binary(max_size=100))
@example(b"")
@example(b"\x00" * len(PACKED))
@example(PACKED[:-1])
@example(PACKED * 2)
def test_random_bytes_are_corrupt(raw: bytes) -> None:
    assert {} == unpack({KEY: raw}, seal=SEAL, codec=CODEC)


@pytest.mark.parametrize(("place", "codes"), [(SCOPE_BYTE, len(SCOPES)), (LANGUAGE_BYTE, len(CODES))])
def test_a_code_without_a_meaning_is_corrupt(place: int, codes: int) -> None:
    """Without a secret, anybody can compute a valid MAC."""
    (body,) = CODEC.encode([entry_of(0.25)])
    for code, valid in ((codes - 1, True), (codes, False), (255, False)):
        changed = body[:place] + bytes([code]) + body[place + 1 :]
        (raw,) = SEAL.seal([KEY], [changed])
        assert valid == bool(unpack({KEY: raw}, seal=SEAL, codec=CODEC)), code


def test_an_entry_has_64_bytes() -> None:
    """With its MAC and Redis' header of 4 bytes, it fits an allocation of 80."""
    assert 64 == CODEC.size


def test_an_entry_with_another_number_of_labels_is_corrupt() -> None:
    assert {} == unpack({KEY: PACKED}, seal=SEAL, codec=Codec(27))


def test_a_corrupt_entry_does_not_affect_others() -> None:
    entries = {"a": entry_of(0.25), "c": entry_of(0.75)}
    raw = {key: pack(entry, key=key) for key, entry in entries.items()}
    found = unpack({"a": raw["a"], "b": b"corrupt", "c": raw["c"]}, seal=SEAL, codec=CODEC)
    assert list(entries) == list(found)
    for key, entry in entries.items():
        assert np.array_equal(entry.probabilities_K, found[key].probabilities_K)


@pytest.mark.parametrize("secret", ["", "a guess", "of the test"])
def test_without_the_secret_nobody_can_make_an_entry(secret: str) -> None:
    forged = pack(entry_of(1.0), seal=Seal(secret))
    assert {} == unpack({KEY: forged}, seal=SEAL, codec=CODEC)


def test_a_valid_entry_does_not_count_under_another_key() -> None:
    """Somebody who can write to Redis cannot answer one text with the scores of another."""
    moved = pack(entry_of(0.25), key="emotag:m:2")
    assert {} == unpack({KEY: moved}, seal=SEAL, codec=CODEC)


def test_the_hash_secret_itself_is_not_the_key_of_the_mac() -> None:
    """Cache keys are made with the hash of the secret; the key of the MAC is another one."""
    import hashlib

    body = PACKED[:-MAC_BYTES]
    with_key_of_texts = hashlib.blake2b(
        KEY.encode() + body, key=hashlib.blake2b(b"of the tests").digest(), digest_size=MAC_BYTES
    ).digest()
    assert PACKED[-MAC_BYTES:] != with_key_of_texts


EXPLAINED = Codec(28, reasons=True)


def explained_entries() -> list[Entry]:
    """Return the entries of a short and of a long text, with other spans for each label and window."""
    spans = np.arange(3 * 28 * 9, dtype=np.uint16).reshape(3, 28, 3, 3)
    windows = tuple(
        replace(window, spans_KS3=each) for window, each in zip(long_entry(2).windows, spans[1:], strict=True)
    )
    return [replace(entry_of(0.25), spans_KS3=spans[0]), replace(long_entry(2), windows=windows)]


def test_spans_are_decoded_as_they_were_encoded() -> None:
    keys, entries = ["emotag:m:1", "emotag:m:2"], explained_entries()
    raw = dict(zip(keys, SEAL.seal(keys, EXPLAINED.encode(entries)), strict=True))
    short, long = unpack(raw, seal=SEAL, codec=EXPLAINED).values()
    assert np.array_equal(entries[0].spans_KS3, short.spans_KS3)  # type: ignore[arg-type]
    for expected, found in zip(entries[1].windows, long.windows, strict=True):
        assert np.array_equal(expected.spans_KS3, found.spans_KS3)  # type: ignore[arg-type]
    assert_equal(entries[0], short)
    assert_equal(entries[1], long)


def test_entries_with_and_without_spans_are_not_confused() -> None:
    """By their size, and by a flag: some numbers of windows give the same size."""
    for entry, without in zip(explained_entries(), [entry_of(0.25), long_entry(2)], strict=True):
        (explained,) = SEAL.seal([KEY], EXPLAINED.encode([entry]))
        assert {} == unpack({KEY: explained}, seal=SEAL, codec=CODEC)
        assert {} == unpack({KEY: pack(without)}, seal=SEAL, codec=EXPLAINED)
        forged = bytearray(EXPLAINED.encode([entry])[0])
        forged[FLAGS_BYTE] &= ~REASONS
        (sealed,) = SEAL.seal([KEY], [bytes(forged)])
        assert {} == unpack({KEY: sealed}, seal=SEAL, codec=EXPLAINED)
