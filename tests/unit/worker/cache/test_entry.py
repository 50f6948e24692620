"""Entries are encoded, decoded, and checked for damage and forgery."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emotag_model.scope.rules import Scope
from emotag_worker.cache.entry import (
    CODES,
    LANGUAGE_BYTE,
    MAC_BYTES,
    SCOPE_BYTE,
    SCOPES,
    Codec,
    Entry,
    Seal,
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
