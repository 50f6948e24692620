"""Long texts are split into windows that cover them, and that fit into the model's window."""

import random
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from tokenizers import Tokenizer

from emotag_model.artifact import Artifact
from emotag_model.long_texts.windows import (
    MOST_WINDOWS,
    OVERLAP,
    WINDOW_TOKENS,
    estimate_windows,
    find_deciding_windows,
    join_texts,
    join_windows,
    read_windows,
    split,
)
from emotag_model.tokens import MAX_CHARACTERS, TokenIds, Tokens, Window, normalize
from tests.numerics.conftest import byte_level_tokenizer, tiny_tokenizer, unigram_tokenizer

PIECES = [
    *("word", "dont", "h4te", "a b c d", "sooooo", "x" * 150, "thank you!", "No. ", "“Why?” ", "…", "中文字。", "하다"),
    *("😀", "👩‍👩‍👧", "é" * 9, "e\u0301", "\u200d", "\x00", "\x1b[31m", "\ufdfa", "\ud800", " ", "\n\n", "\t", "."),
]
"""Parts of fuzzed texts: spelling that is corrected, long words, other scripts, emoji, and control characters."""

GOLDEN_SPANS = [
    [(0, 204), (205, 409), (410, 573)],
    [(0, 181), (129, 307), (255, 433), (381, 559)],
    [(0, 60), (60, 114), (114, 168), (168, 210), (210, 240)],
]

WITHOUT_TOKENS = ["\x00" * (MAX_CHARACTERS + 1), "\u200b" * (MAX_CHARACTERS + 1)]
"""Texts that are too long, and whose beginning has no token for some tokenizers."""


def draw_texts(seed: int) -> list[str]:
    """Return texts of many pieces, each of a few kinds, some without blanks."""
    draw = random.Random(seed)
    return [
        draw.choice([" ", ""]).join(draw.choices(draw.sample(PIECES, draw.randint(1, 6)), k=draw.randint(1, 400)))
        for _ in range(30)
    ]


def assert_covers(text: str, found: TokenIds) -> None:
    """Assert that the windows are in order, and that nothing but blanks is between them."""
    spans = [(window.start, window.end) for window in found.windows]
    assert spans[0][0] == 0
    assert all(start < end for start, end in spans)
    for (start, end), (next_start, next_end) in pairwise(spans):
        assert start < next_start
        assert end < next_end
        assert text[end:next_start] in ("", " ")
    if not found.truncated:
        assert spans[-1][1] == len(text)


def test_emoji_between_words_without_blanks_have_few_windows(shipped: Artifact) -> None:
    """If such a text counted as one token, each window would be halved until it fits: 64 windows for half of it."""
    tokens = Tokens(shipped.tokenizer, max_tokens=128)
    found = read_windows(tokens, "a😡" * 1_000)
    assert not found.truncated
    assert len(found.windows) <= 2_000 / (WINDOW_TOKENS - OVERLAP - 2)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", ["shipped", tiny_tokenizer, byte_level_tokenizer, unigram_tokenizer])
def test_the_windows_of_any_text_cover_it_in_order_and_fit(
    make: str | Callable[[], Tokenizer], seed: int, shipped: Artifact
) -> None:
    tokenizer = shipped.tokenizer if isinstance(make, str) else make()
    tokens = Tokens(tokenizer, max_tokens=32)
    long = 0
    for text in [*draw_texts(seed), *WITHOUT_TOKENS]:
        if not tokens([text])[0].truncated:
            continue
        normalized = normalize(text)
        found = read_windows(tokens, text)
        if not found.windows:  # a huge text of few tokens
            continue
        long += 1
        assert_covers(normalized, found)
        assert len(found.windows) == MOST_WINDOWS or not found.truncated or len(normalized) > MAX_CHARACTERS
        for window in found.windows:
            assert not window.tokens.truncated
            assert tokens([normalized[window.start : window.end]], are_parts=True) == [window.tokens]
        assert found.unknown == sum(window.tokens.unknown for window in found.windows)
        assert found.length == sum(len(window.tokens.ids) for window in found.windows)
    assert long > 5


def cut(text: str, starts: Sequence[int], *, most_tokens: int, overlap: int = 16) -> list[str]:
    """Return the windows of a text whose parts have no more tokens alone than within it."""
    fits = TokenIds((0,), truncated=False)
    found = split(text, starts, lambda part: fits, most_tokens=most_tokens, overlap=overlap)
    return [text[window.start : window.end] for window in found]


def test_a_window_ends_with_a_sentence_and_the_next_one_begins_there() -> None:
    text = "one two three. four five six. seven eight nine. ten"
    starts = [at for at in range(len(text)) if at == 0 or text[at - 1] == " "]
    assert ["one two three. four five six.", "seven eight nine. ten"] == cut(text, starts, most_tokens=6)


def test_windows_that_cut_a_sentence_overlap() -> None:
    assert ["a b c d e f", "e f g h i j"] == cut("a b c d e f g h i j", range(0, 20, 2), most_tokens=8, overlap=2)


def test_a_text_without_blanks_is_cut_between_tokens() -> None:
    assert ["中文字中", "中文字中"] == cut("中文字中文字中", range(7), most_tokens=4)


def test_a_text_that_fits_is_one_window() -> None:
    assert ["a b"] == cut("a b", [0, 2], most_tokens=2)


def test_windows_have_similar_lengths() -> None:
    """A last window of few tokens would be judged without its context."""
    words = [len(part.split()) for part in cut(" ".join("a" * 130), range(0, 260, 2), most_tokens=126)]
    assert [73, 73] == words


def test_a_part_that_has_too_many_tokens_alone_is_shortened() -> None:
    """A correction of the spelling can add tokens."""
    text = "aa bb cc dd ee ff gg hh"

    def read(part: str) -> TokenIds:
        return TokenIds((0,), truncated=len(part) > 6)

    found = list(split(text, range(0, 24, 3), read, most_tokens=5, overlap=1))
    assert ["aa bb", "bb cc", "cc dd", "dd ee", "ee ff", "ff gg", "gg hh"] == [text[w.start : w.end] for w in found]
    assert not any(window.tokens.truncated for window in found)


def test_the_number_of_windows_is_limited() -> None:
    tokens = Tokens(tiny_tokenizer(), max_tokens=8)
    found = read_windows(tokens, "a " * 1000)
    assert found.truncated
    assert MOST_WINDOWS == len(found.windows)


def test_a_text_of_more_characters_than_are_read_is_truncated() -> None:
    tokens = Tokens(tiny_tokenizer(), max_tokens=8)
    found = read_windows(tokens, "z" * 1000 + " " + "☃" * MAX_CHARACTERS)
    assert found.truncated
    assert () == found.windows, "two unknown words are one window"


def test_one_character_of_too_many_tokens_is_read_in_part() -> None:
    """Otherwise it would be halved forever."""
    tokens = Tokens(byte_level_tokenizer(), max_tokens=4)
    found = read_windows(tokens, "😀😀")
    assert [True, True] == [window.tokens.truncated for window in found.windows]
    assert found.truncated


def test_the_estimate_grows_with_the_text_up_to_the_limit() -> None:
    texts = ("a", "a" * 600, "한" * 150, "a" * 99_999)
    assert [1, 3, 3, MOST_WINDOWS] == [estimate_windows(text) for text in texts]


@pytest.mark.parametrize(
    "text",
    [
        "It is a wonderfully long afternoon for the people of this small town. " * 8,
        "It’s a very long day for the people of this town 😀 " * 9,
        "中" * 126,
        "é" * 126,
    ],
)
def test_a_text_that_is_not_split_counts_as_one(text: str, shipped: Artifact) -> None:
    """Otherwise batches of such texts would be cut although they fit."""
    assert not Tokens(shipped.tokenizer, max_tokens=128)([text])[0].truncated
    assert 1 == estimate_windows(text)


def test_a_lone_surrogate_is_estimated_like_any_character() -> None:
    assert 1 < estimate_windows("\ud800" * 400)


@pytest.mark.parametrize("mark", ["!", ".", "…", "?)"])
def test_a_run_of_marks_costs_no_more_than_its_length(mark: str) -> None:
    """One pass takes milliseconds of a core. A new pass from each mark took 4 s."""
    text = mark * (MAX_CHARACTERS // len(mark))
    began = time.thread_time()
    cut(text, range(len(text)), most_tokens=62)
    assert time.thread_time() - began < 1


@pytest.mark.parametrize("text", WITHOUT_TOKENS)
def test_a_text_whose_beginning_has_no_token_is_read(text: str, shipped: Artifact) -> None:
    found = read_windows(Tokens(shipped.tokenizer, max_tokens=128), text)
    assert (True, ()) == (found.truncated, found.windows)


def test_the_cuts_of_texts_stay_the_same(shipped: Artifact) -> None:
    """Cached entries contain windows. If you change the rules of the cut, their hash in the keys must change, too."""
    tokens = Tokens(shipped.tokenizer, max_tokens=128)
    texts = ["This is a sentence of nine words, is it? " * 14, "no end " * 80, "天気がいい。" * 40]
    found = [[(window.start, window.end) for window in read_windows(tokens, text).windows] for text in texts]
    assert GOLDEN_SPANS == found


def test_texts_are_joined_only_if_they_have_windows() -> None:
    short = TokenIds((0,), truncated=False)
    long = TokenIds((0,), truncated=False, windows=(Window(0, 1, short), Window(1, 2, short)))
    rows_NK = np.array([[0.1, 0.2], [0.3, 0.9], [0.4, 0.5], [0.6, 0.7]], np.float32)
    expected = np.array([[0.1, 0.2], [0.4, 0.5], [0.6, 0.7]], np.float32)
    np.testing.assert_array_equal(expected, join_texts([short, long, short], rows_NK, ("joy", "neutral")))
    assert join_texts([short] * 4, rows_NK, ("joy", "neutral")) is rows_NK


@pytest.mark.parametrize(("last", "expected"), [("fear", [0.8, 0.9, 0.2]), ("neutral", [0.8, 0.9, 0.1])])
def test_a_text_has_the_label_of_any_window_and_is_neutral_if_all_are(last: str, expected: list[float]) -> None:
    windows_WK = np.array([[0.1, 0.9, 0.2], [0.8, 0.3, 0.1]], np.float32)
    found_K = join_windows(windows_WK, ("joy", "anger", last))
    np.testing.assert_array_equal(np.array(expected, np.float32), found_K)


@pytest.mark.parametrize(("last", "expected"), [("fear", [1, 0, 0]), ("neutral", [1, 0, 1])])
def test_the_score_of_neutral_comes_from_the_least_neutral_window(last: str, expected: list[int]) -> None:
    """The first of equal windows decides."""
    windows_WK = np.array([[0.1, 0.9, 0.2], [0.8, 0.9, 0.1], [0.8, 0.3, 0.1]], np.float32)
    assert expected == find_deciding_windows(windows_WK, ("joy", "anger", last)).tolist()


def test_windows_are_shorter_than_the_models_window(shipped: Artifact) -> None:
    """The model finds more emotions in short texts. A text that fits into the model's window is not split."""
    tokens = Tokens(shipped.tokenizer, max_tokens=128)
    assert not tokens(["word " * 126])[0].truncated
    lengths = [len(window.tokens.ids) for window in read_windows(tokens, "word " * 155).windows]
    assert WINDOW_TOKENS == max(lengths)
    assert 3 == len(lengths)
