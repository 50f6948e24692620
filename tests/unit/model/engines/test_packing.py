"""Texts of one forward pass, their tokens in one row, and the conversion between this row and a rectangle."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emotag_model.engines.packing import pack, plan_batches

ROWS = st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=9), min_size=1, max_size=9)
LENGTHS = st.lists(st.integers(1, 128), max_size=300)


@given(ROWS, st.integers(1, 8))
def test_every_text_can_be_read_back_from_the_row(rows: list[list[int]], round_to: int) -> None:
    batch = pack(rows, round_to=round_to, fill_id=7)
    assert 0 == len(batch.ids_T) % round_to
    for row, start in zip(rows, batch.starts_B, strict=True):
        assert row == batch.ids_T[start : start + len(row)].tolist()
        assert list(range(len(row))) == batch.positions_T[start : start + len(row)].tolist()
    assert {7} >= set(batch.ids_T[sum(map(len, rows)) :].tolist())


@given(ROWS, st.integers(1, 8))
def test_the_way_to_the_rectangle_and_back_changes_nothing(rows: list[list[int]], round_to: int) -> None:
    """Empty places of the rectangle repeat a token of the same text."""
    batch = pack(rows, round_to=round_to)
    tokens_T = np.arange(len(batch.ids_T))
    rectangle_BL = tokens_T[batch.rectangle_BL()]
    real = sum(map(len, rows))
    assert tokens_T[:real].tolist() == rectangle_BL.reshape(-1)[batch.back_T()][:real].tolist()
    for row, start, found_L in zip(rows, batch.starts_B, rectangle_BL, strict=True):
        assert set(range(start, start + len(row))) == set(found_L.tolist())


@given(ROWS, st.integers(0, 3), st.integers(1, 8))
def test_texts_in_the_spaced_row_are_apart_by_the_gap(rows: list[list[int]], gap: int, round_to: int) -> None:
    """With only zeros in the gap, which a convolution ignores."""
    batch = pack(rows, round_to=round_to)
    ids_S = np.append(batch.ids_T, 0)[batch.spaced_S(gap)]
    expected = [0] * gap
    for row in rows:
        expected += [*row, *[0] * gap]
    assert expected == ids_S[: len(expected)].tolist()
    assert not ids_S[len(expected) :].any()
    assert batch.ids_T[: sum(map(len, rows))].tolist() == ids_S[batch.in_spaced_T(gap)].tolist()


@given(LENGTHS, st.integers(1, 4096))
def test_every_text_is_planned_once_within_the_budget(lengths: list[int], max_tokens: int) -> None:
    """Texts x longest text stays within the budget; a text that is longer than the budget gets its own batch."""
    batches = plan_batches(lengths, max_tokens=max_tokens)
    assert sorted(range(len(lengths))) == sorted(index for batch in batches for index in batch)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= max_tokens


@given(LENGTHS)
def test_texts_go_shortest_first(lengths: list[int]) -> None:
    order = [lengths[index] for batch in plan_batches(lengths, max_tokens=512) for index in batch]
    assert sorted(lengths) == order


@given(LENGTHS, st.integers(1, 4096))
def test_a_batch_ends_only_where_the_next_text_would_exceed_the_budget(lengths: list[int], max_tokens: int) -> None:
    """So the largest batch has the whole budget, however short its texts are."""
    batches = plan_batches(lengths, max_tokens=max_tokens)
    for batch, after in pairwise(batches):
        assert (len(batch) + 1) * lengths[after[0]] > max_tokens
    assert [20_000] == [len(batch) for batch in plan_batches([3] * 20_000, max_tokens=60_000)]
