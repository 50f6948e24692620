"""Which texts share a forward pass."""

from hypothesis import given
from hypothesis import strategies as st

from model.batching import plan_batches

LENGTHS = st.lists(st.integers(1, 128), max_size=300)


@given(LENGTHS, st.integers(1, 4096), st.integers(1, 64))
def test_every_text_is_planned_once_within_the_budget(lengths: list[int], max_tokens: int, max_texts: int) -> None:
    """Texts x longest text stays within the budget, but for a text that is over it alone."""
    batches = plan_batches(lengths, max_tokens=max_tokens, max_texts=max_texts)
    assert sorted(range(len(lengths))) == sorted(index for batch in batches for index in batch)
    for batch in batches:
        assert len(batch) <= max_texts
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= max_tokens


@given(LENGTHS)
def test_texts_go_shortest_first(lengths: list[int]) -> None:
    order = [lengths[index] for batch in plan_batches(lengths, max_tokens=512) for index in batch]
    assert sorted(lengths) == order
