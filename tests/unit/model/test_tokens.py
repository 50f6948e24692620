"""From texts to token ids."""

import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from emotag_model.artifact import DEFAULT, Artifact, load
from emotag_model.engines.native import library
from emotag_model.long_texts.windows import read_windows
from emotag_model.tokens import MAX_CHARACTERS, Tokens, normalize, original_positions, pad, round_width
from tests.numerics.conftest import byte_level_tokenizer, tiny_tokenizer, unigram_tokenizer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("  a \t b\r\n", "a b"), ("a  b", "a b"), ("a\ud800", "a\ufffd"), ("é É ② ﬁ ！", "é É ② ﬁ ！"), ("", "")),
        *(("𝓘 ℎ𝕒𝖙ⓔ", "I hate"), ("Ｉ ｈａｔｅ １０ 𝟙𝟘", "I hate 10 10"), ("I h\u0430te 𝔂\u043eu", "I hate you")),
    ],
)
def test_blanks_become_one_space_styled_letters_plain_and_surrogates_are_replaced(text: str, expected: str) -> None:
    assert expected == normalize(text)
    assert expected == normalize(expected)


def test_each_character_of_the_normalized_text_has_its_place_in_the_original() -> None:
    assert [1, 2, 4, 5] == original_positions(" a \tb\n")
    draw = random.Random(0)
    for _ in range(500):
        text = "".join(draw.choices("ab \t\r\n中é😀\ud800\u00a0", k=draw.randint(0, 30)))
        normalized, positions = normalize(text), original_positions(text)
        assert len(normalized) + 1 == len(positions)
        for number, character in enumerate(normalized):
            original = text[positions[number]]
            assert original == character or (character == " " and original in "\t\r\n") or character == "\ufffd"
        for start, end in ((0, len(normalized)), (len(normalized) // 3, len(normalized) // 2)):
            span = text[positions[start] : positions[end]]
            assert normalize(span) == normalized[start:end].strip(" ")


@pytest.mark.parametrize("text", [" a" * MAX_CHARACTERS, " " + "a" * 2 * MAX_CHARACTERS, "ab " * MAX_CHARACTERS])
def test_places_end_where_reading_ends(text: str) -> None:
    """A text of a megabyte must not cost a list of a million places."""
    positions, read = original_positions(text), normalize(text)[:MAX_CHARACTERS]
    assert MAX_CHARACTERS + 1 == len(positions)
    assert read == "".join(text[place] for place in positions[:-1])


def test_a_long_text_keeps_its_first_tokens_and_its_last() -> None:
    tokens = Tokens(tiny_tokenizer(), max_tokens=5)
    short, long = tokens(["a b c", "a b c d"])
    assert (5, False) == (len(short.ids), short.truncated)
    assert (5, True) == (len(long.ids), long.truncated)
    assert short.ids == long.ids
    assert 3 == long.ids[-1]  # [SEP]


def test_a_huge_text_is_truncated_even_if_its_tokens_fit() -> None:
    tokens = Tokens(tiny_tokenizer(), max_tokens=5)
    assert tokens(["☃" * (MAX_CHARACTERS + 1)])[0].truncated


def test_the_result_is_the_same_without_the_library(shipped: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [
        "",
        "I’m  so\texcited 😂",
        "𝓘 h4te😡 𝔂𝓸𝓾",
        "😡 ",
        "[SEP] 中\ud800",
        "unbelievable " * 9,
        "a " * MAX_CHARACTERS,
    ]
    found = Tokens(shipped.tokenizer, max_tokens=9)(texts)
    assert [False, False, False, False, False, True, True] == [text.truncated for text in found]
    monkeypatch.setattr(library, "is_compiled", lambda: False)
    plain = Tokens(shipped.tokenizer, max_tokens=9)
    assert found == plain(texts)
    assert [] == plain([])


def test_a_text_at_the_limit_is_corrected_and_located_alike(shipped: Artifact) -> None:
    """The correction shortens it, so that another part of it would fit."""
    tokens = Tokens(shipped.tokenizer, max_tokens=128)
    text = " ".join(["so" + "o" * 28] * 5 + ["a" * 160] * 200)[: MAX_CHARACTERS + 135]
    (found,), (offsets,) = tokens([text]), tokens.locate([text])
    assert found.truncated
    assert len(found.ids) == len(offsets)


def test_a_window_without_room_for_both_special_tokens_has_none_of_the_library(shipped: Artifact) -> None:
    assert [(102,)] == [text.ids for text in Tokens(shipped.tokenizer, max_tokens=1)(["a b"])]


def test_a_token_that_the_vocabulary_lacks_is_reported() -> None:
    tokens = Tokens(tiny_tokenizer(), max_tokens=5)
    assert 1 == tokens.id_of("[NONE]", "[UNK]")
    with pytest.raises(ValueError, match=r"\[NONE\]"):
        tokens.id_of("[NONE]")


@pytest.mark.parametrize(("make", "unknown"), [(byte_level_tokenizer, 0), (unigram_tokenizer, 2), (tiny_tokenizer, 2)])
def test_unknown_tokens_are_counted(make: Callable[[], Tokenizer], unknown: int) -> None:
    """RoBERTa has none: its tokens are bytes. XLM-R's piece for an unknown character is one of many pieces."""
    (found,) = Tokens(make(), max_tokens=32)(["so 中 so ☃"])
    assert unknown == found.unknown


@pytest.mark.parametrize("make", [byte_level_tokenizer, unigram_tokenizer])
def test_other_tokenizers_read_texts_without_the_library(make: Callable[[], Tokenizer]) -> None:
    """And a text that is too long keeps the last special token."""
    plain = make()
    tokens = Tokens(Tokenizer.from_str(plain.to_str()), max_tokens=12)
    texts = ["", "so  calm\n", "a<mask>b", "glad to see you again 😂", "so sour and calm, wonderful " * 3]
    expected = [plain.encode(normalize(text)).ids for text in texts]
    for text, ids in zip(tokens(texts), expected, strict=True):
        assert (len(ids) > 12, [0, 2]) == (text.truncated, [text.ids[0], text.ids[-1]])
        assert text.ids == tuple(ids if len(ids) <= 12 else [*ids[:11], 2])


def test_rows_become_a_rectangle_with_a_mask() -> None:
    ids_BL, mask_BL = pad([[1, 2, 3], [4]], pad_id=9, round_to=2)
    assert [[1, 2, 3, 9], [4, 9, 9, 9]] == ids_BL.tolist()
    assert [3, 1] == np.count_nonzero(mask_BL, axis=1).tolist()


@pytest.mark.parametrize(("length", "widest", "width"), [(9, None, 16), (8, None, 8), (9, 12, 12), (3, 12, 8)])
def test_a_width_is_rounded_up_but_not_beyond_the_widest(length: int, widest: int | None, width: int) -> None:
    assert width == round_width(length, round_to=8, widest=widest)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("So good!", ["So", "good", "!"]),
        ("lmao  good", ["lmao"] * 3 + ["good"]),
        ("𝓼𝓸  good❤️😡 𝓱4𝓽𝓮", ["so", "good", "❤️😡", "h4te"]),
        (" ❤️ 😡", ["❤️", "😡", "😡"]),
        ("I h4te  d e a d ends", ["I", "h4te", "d e a d", "ends"]),
        ("dont \U0001f602 \u4e2d\u6587", ["dont"] * 3 + ["\U0001f602", "\u4e2d", "\u6587"]),
    ],
)
def test_a_token_is_located_at_its_word_as_it_was_written(shipped: Artifact, text: str, words: list[str]) -> None:
    tokens = Tokens(shipped.tokenizer, max_tokens=128)
    (offsets_L2,) = tokens.locate([text])
    assert len(tokens([text])[0].ids) == len(offsets_L2)
    assert [[0, 0], [0, 0]] == offsets_L2[[0, -1]].tolist()
    assert words == [normalize(text)[start:end] for start, end in offsets_L2[1:-1].tolist()]


@pytest.mark.parametrize("beginning", ["", "h4te "])
def test_a_word_at_the_end_of_what_is_read_has_tokens_and_places_alike(shipped: Artifact, beginning: str) -> None:
    """Whole, it stays because of its last letter, a Russian one. What is left of it is a Latin word with one Cyrillic
    letter."""
    left = " thankyouthankyouthanky\u0501"
    read = beginning + "x" * (MAX_CHARACTERS - len(beginning) - len(left)) + left
    text = read + "\u043c and more"
    assert normalize(read) == normalize(text)[:MAX_CHARACTERS] == read[:-1] + "d"
    tokens = Tokens(shipped.tokenizer, max_tokens=128)
    (whole,), (alone,) = tokens([text]), tokens([read])
    assert whole.ids == alone.ids
    assert len(whole.ids) == len(tokens.locate([text])[0])
    window = read_windows(tokens, text)
    assert (whole.ids, True) == (window.ids, window.truncated)


TOKENS = Tokens(load(DEFAULT).tokenizer, max_tokens=12)


@given(
    st.lists(
        st.lists(
            st.sampled_from(
                [
                    *("h4te", "d e a d", "sooooo", "dont", "😡", "x❤️", ":)", "[SEP]", "\u0130", "e\u0301", " "),
                    *("a" * 101, "h\u0430te", "\u0430", "\u043c", "ᴴ"),
                ]
            )
        )
        | st.lists(st.characters() | st.sampled_from(" \t\nab@$4"), max_size=40),
        max_size=4,
    )
)
def test_every_token_of_any_text_is_located_inside_of_it(parts: list[list[str]]) -> None:
    tokens = TOKENS
    texts = [" ".join(part) if number % 2 else "".join(part) for number, part in enumerate(parts)]
    for text, ids, offsets_L2 in zip(texts, tokens(texts), tokens.locate(texts), strict=True):
        length = len(normalize(text))
        assert (len(ids.ids), 2) == offsets_L2.shape
        for start, end in offsets_L2[1:-1].tolist():
            assert 0 <= start < end <= length
