"""Emoji and emoticons in texts: found, described in words, and separated from words."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotag_model.spelling.emoji import (
    MEANINGS,
    WORDS,
    describe,
    is_alone,
    needs_words,
    remove,
    replace_signs,
    separate,
)
from emotag_schemas.labels import LABELS

SIGNS = " ".join(MEANINGS.values()).split()
ANGRY, LOVE = (f" {WORDS[label]} " for label in ("anger", "love"))
VOCABULARY = {word for words in WORDS.values() for word in words.split()}


def replace(text: str) -> str:
    pattern, replacement = replace_signs(text)
    return pattern.sub(replacement, text)


def test_every_label_has_signs_and_every_label_but_neutral_has_words() -> None:
    assert set(LABELS) == set(MEANINGS) == {*WORDS, "neutral"}


def test_no_sign_is_twice_under_one_label() -> None:
    for signs in MEANINGS.values():
        assert len(signs.split()) == len(set(signs.split()))


@pytest.mark.parametrize(
    ("sign", "words"),
    [
        ("😡", WORDS["anger"]),
        (":(", f"{WORDS['disappointment']} {WORDS['sadness']}"),
        ("😴", "sleeping"),  # neutral: a name, without FACE
        ("🍕", "slice pizza"),
        ("☁", "cloud"),
        ("⬛", "large square"),
        ("\U0001fafe", ""),  # not assigned in Unicode 14
    ],
)
def test_a_sign_is_described_by_its_labels_or_its_name(sign: str, words: str) -> None:
    assert words == describe(sign)


@pytest.mark.parametrize("text", [*SIGNS, "🤷‍♀️", "👍🏽👍", "10/10 😂", "...😡!!!", ":)))", "xDDD :(", ":)😂", "🙂 🙃"])
def test_a_text_of_signs_alone_is_found(text: str) -> None:
    assert is_alone(text)


@pytest.mark.parametrize(
    "text", ["", "10/10", "!?", "©", "♪", "Love ❤", "❤ it", "xDave", "XD lol", "(:)", "D :", "你好😂"]
)
def test_a_text_with_words_or_without_signs_is_not(text: str) -> None:
    assert not is_alone(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("😡", ANGRY),
        ("😡😡😡", f"{ANGRY}  "),
        ("!😡!", f"!{ANGRY}!"),
        ("❤️ <3333 ❤", f"{LOVE} {LOVE}  "),
        ("🤷🏽‍♀️", f" {WORDS['confusion']} "),
        ("👨‍👩", " man \u200d woman "),
        ("10 \U0001fafe", "10 \U0001fafe"),
    ],
)
def test_the_first_of_equal_signs_is_replaced_by_words_and_the_others_by_a_blank(text: str, words: str) -> None:
    assert words == replace(text)


@given(st.lists(st.sampled_from([*"😡❤🍕\u200d\ufe0f🏽♀ :()!1", *SIGNS])).map("".join))
def test_in_a_text_of_signs_alone_every_sign_is_replaced(text: str) -> None:
    if is_alone(text):
        assert re.search("[a-z]", replace(text))
        assert not is_alone(replace(text))


@pytest.mark.parametrize(
    ("text", "separated"),
    [
        ("love❤️", "love ❤️ "),
        ("❤️love", " ❤️ love"),
        ("so😂😂👍🏽so", "so 😂😂👍🏽 so"),
        ("2❤", "2 ❤ "),
        ("love 😂! 😂", "love 😂! 😂"),
        ("😂", "😂"),
        ("日本©", "日本©"),
    ],
)
def test_emoji_are_separated_from_the_words_that_they_touch(text: str, separated: str) -> None:
    step = separate(text)
    assert step is not None
    assert separated == step[0].sub(step[1], text)


def test_a_text_in_ascii_has_no_emoji_to_separate() -> None:
    assert separate("2<3 :)") is None


@pytest.mark.parametrize(("text", "rest"), [("I hate you😡😡", "I hate you "), ("👍🏽 ok :)", "  ok :)"), ("né", "né")])
def test_emoji_are_removed(text: str, rest: str) -> None:
    assert rest == remove(text)


def test_a_vocabulary_needs_words_if_it_has_them_and_no_emoji() -> None:
    assert needs_words(VOCABULARY)
    assert not needs_words({*VOCABULARY, "😂"})
    assert not needs_words(VOCABULARY - {WORDS["grief"].split()[0]})


@pytest.mark.parametrize("part", ["😂", "😂a", ":", "^", "<3 ", "🤷‍♀️", "xD", "(", "D:"])
def test_no_text_takes_long(part: str) -> None:
    """Time grows with the length of a text, not with its square: a square would take minutes."""
    text = part * 20_000
    begin = time.process_time()
    for work in (is_alone, replace, remove, separate):
        work(text)
    assert time.process_time() - begin < 5
