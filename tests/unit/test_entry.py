"""What the cache keeps of one text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.entry import Entry, pack, quantise, unpack

PROBABILITIES = st.lists(st.floats(0, 1, width=32), min_size=28, max_size=28)


@given(PROBABILITIES, st.booleans())
def test_an_entry_comes_back_as_it_was_kept(values: list[float], truncated: bool) -> None:
    """What was computed passes through quantise, so a repeat from the cache equals it bit for bit."""
    entry = Entry(quantise(np.array(values, dtype=np.float32)), truncated)
    (found,) = unpack([pack(entry)], labels=28)
    assert found is not None
    assert truncated == found.truncated
    assert np.array_equal(entry.probabilities_K, found.probabilities_K)


@given(PROBABILITIES)
def test_what_is_kept_is_off_by_less_than_anyone_can_see(values: list[float]) -> None:
    exact = np.array(values, dtype=np.float32)
    assert np.abs(quantise(exact) - exact).max() < 1e-5


@pytest.mark.parametrize("position", range(66))
def test_a_flipped_bit_anywhere_makes_it_no_entry(position: int) -> None:
    raw = bytearray(pack(Entry(np.full(28, 0.25, dtype=np.float32), truncated=False)))
    raw[position] ^= 0x10
    assert [None] == unpack([bytes(raw)], labels=28)


@given(st.binary(max_size=100))
def test_rubbish_is_no_entry(raw: bytes) -> None:
    assert [None] == unpack([raw], labels=28)


def test_an_entry_of_another_number_of_labels_is_no_entry() -> None:
    assert [None] == unpack([pack(Entry(np.zeros(28, dtype=np.float32), truncated=False))], labels=27)


def test_rubbish_harms_no_entry_beside_it() -> None:
    entries = [Entry(quantise(np.full(28, value, dtype=np.float32)), truncated=False) for value in (0.25, 0.75)]
    first, rubbish, second = unpack([pack(entries[0]), b"rubbish", pack(entries[1])], labels=28)
    assert rubbish is None
    for expected, found in zip(entries, (first, second), strict=True):
        assert found is not None
        assert np.array_equal(expected.probabilities_K, found.probabilities_K)
