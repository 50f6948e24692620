"""The supply of texts for streams has no duplicates."""

from benchmarks.texts import TextSupply
from emotag_model.tokens import normalize


def test_no_text_is_returned_twice_even_after_the_end_of_the_data_set() -> None:
    supply = TextSupply()
    texts = supply.take(20_000)
    assert 20_000 == len({normalize(text) for text in texts})
    assert texts[0] not in supply.take(10)
