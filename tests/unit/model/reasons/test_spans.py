"""The spans of labels, from the maxima of channels."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from emotag_model.reasons.spans import LEVELS, SPANS, Maxima, ReasonSpan, Weigher, read_reasons

KERNEL = 5


def offsets_of(words: int) -> npt.NDArray[np.int32]:
    """Two special tokens around words of two characters, with a blank between them."""
    inner = [(3 * word, 3 * word + 2) for word in range(words)]
    return np.array([(0, 0), *inner, (0, 0)], np.int32)


def weigh(terms: dict[int, float], *, words: int) -> list[tuple[int, int, float]]:
    """Return the spans of one label whose logit has these terms, by token."""
    channels = max(len(terms), 1)
    values_BF, positions_BF = np.zeros((1, channels), np.float32), np.zeros((1, channels), np.int32)
    values_BF[0, : len(terms)] = np.abs(list(terms.values()))
    positions_BF[0, : len(terms)] = list(terms)
    signs_KF = np.ones((1, channels), np.float32)
    signs_KF[0, : len(terms)] = np.sign(list(terms.values()))
    found = Weigher(signs_KF, kernel=KERNEL)(Maxima(values_BF, positions_BF), [offsets_of(words)])
    return [(start, end, round(share / LEVELS, 3)) for start, end, share in found[0, 0].tolist() if share]


def test_a_span_is_the_window_around_the_largest_terms_and_its_share_is_of_what_speaks_for_the_label() -> None:
    """Tokens 8 to 12 are words 7 to 11; the negative term does not count."""
    assert [(21, 35, 0.75), (0, 11, 0.25)] == weigh({10: 3.0, 2: 1.0, 17: -5.0}, words=20)


def test_terms_next_to_each_other_belong_to_one_span() -> None:
    assert [(9, 23, 1.0)] == weigh({5: 1.0, 6: 1.0, 7: 1.0}, words=20)


def test_at_most_three_spans_that_do_not_overlap() -> None:
    """With windows of five tokens, those around tokens 4 and 7 would overlap."""
    found = weigh({4: 4.0, 7: 3.0, 13: 2.0, 18: 1.0}, words=20)
    assert SPANS == len(found)
    places = sorted((start, end) for start, end, _ in found)
    assert all(end <= start for (_, end), (start, _) in pairwise(places))
    assert [0.4, 0.3, 0.2] == [share for *_, share in found]


@pytest.mark.parametrize("words", [0, 3])
def test_a_label_for_which_nothing_speaks_has_no_spans(words: int) -> None:
    assert [] == weigh({1: -1.0}, words=words)
    assert [] == weigh({}, words=words)


def test_terms_of_special_tokens_belong_to_the_words_next_to_them() -> None:
    assert [(0, 8, 1.0)] == weigh({0: 1.0}, words=9)
    assert [(18, 26, 1.0)] == weigh({10: 1.0}, words=9)
    assert [] == weigh({0: 1.0}, words=0)


def test_a_term_whose_words_all_belong_to_a_span_takes_the_place_of_no_other() -> None:
    """The special token at the end is next to words of the first span."""
    assert [(21, 35, 0.4), (6, 20, 0.2), (0, 5, 0.1)] == weigh({10: 4.0, 13: 3.0, 5: 2.0, 1: 1.0}, words=12)


def test_a_word_in_pieces_is_whole_and_belongs_to_one_span() -> None:
    """Tokens 6 to 9 are one word: the second window has three of them, and the first window takes the word."""
    offsets_L2 = offsets_of(14)
    offsets_L2[6:10] = (15, 26)
    values_BF, positions_BF = np.array([[2.0, 1.0]], np.float32), np.array([[4, 9]], np.int32)
    weigher = Weigher(np.ones((1, 2), np.float32), kernel=KERNEL)
    first, second, _ = weigher(Maxima(values_BF, positions_BF), [offsets_L2])[0, 0, :, :2].tolist()
    assert [[3, 26], [27, 32]] == [first, second]


def test_a_text_has_the_same_spans_in_any_batch() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 60, 80).tolist()
    weigher = Weigher(rng.normal(size=(7, 32)).astype(np.float32), kernel=KERNEL)
    values_BF = rng.random((80, 32)).astype(np.float32)
    positions_BF = np.array([rng.integers(0, words + 2, 32) for words in lengths], np.int32)
    offsets = [offsets_of(words) for words in lengths]
    together = weigher(Maxima(values_BF, positions_BF), offsets)
    assert together[:, :, :, 2].any()
    for row in range(80):
        maxima = Maxima(values_BF, positions_BF).select(slice(row, row + 1))
        assert np.array_equal(together[row], weigher(maxima, offsets[row : row + 1])[0])


def test_shares_are_sorted_and_add_up_to_at_most_one() -> None:
    rng = np.random.default_rng(1)
    weigher = Weigher(rng.normal(size=(28, 128)).astype(np.float32), kernel=KERNEL)
    positions_BF = rng.integers(0, 42, (50, 128)).astype(np.int32)
    spans = weigher(Maxima(rng.random((50, 128)).astype(np.float32), positions_BF), [offsets_of(40)] * 50)
    shares_BKS = spans[:, :, :, 2].astype(int)
    assert (np.diff(shares_BKS, axis=2) <= 0).all()
    assert (shares_BKS.sum(axis=2) <= LEVELS).all()


def test_spans_are_read_as_characters_of_the_text_as_it_was_written() -> None:
    """Of a window that begins at character 2 of the normalized text, with two blanks after the first word."""
    positions = [0, 1, 3, 4, 5, 6]
    assert (ReasonSpan(3, 5, 1.0),) == read_reasons([[0, 2, LEVELS], [0, 0, 0], [0, 0, 0]], positions, start=2)


def test_maxima_of_a_part_are_filled_in() -> None:
    maxima = Maxima.allocate(3, 2)
    maxima.fill(slice(1, 2), Maxima(np.ones((1, 2), np.float32), np.full((1, 2), 7, np.int32)))
    assert [[0, 0], [1, 1], [0, 0]] == maxima.values_BF.tolist()
    assert [[7, 7]] == maxima.select(slice(1, 2)).positions_BF.tolist()
