"""Emoji and emoticons in texts: found, described in words, and separated from words."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotag_model.spelling.emoji import DESCRIPTIONS, MEANINGS, WORDS, describe, has_words, is_alone, remove, separate
from emotag_schemas.labels import LABELS

VOCABULARY = {word for words in WORDS.values() for word in words.split()}


def describe_sign(sign: str) -> str:
    return f" {DESCRIPTIONS[sign]} "


ANGRY, LOVE, CONFUSED = map(describe_sign, "😡❤🤷")


def replace(text: str) -> str:
    pattern, replacement = describe(text)
    return pattern.sub(replacement, text)


def test_every_label_has_signs_and_words() -> None:
    assert set(LABELS) == set(MEANINGS) == set(WORDS)


def test_no_sign_is_twice_under_one_label() -> None:
    for signs in MEANINGS.values():
        assert len(signs.split()) == len(set(signs.split()))


def test_a_sign_has_the_words_of_all_its_labels() -> None:
    assert WORDS["anger"] == DESCRIPTIONS["😡"]
    assert f"{WORDS['disappointment']} {WORDS['sadness']}" == DESCRIPTIONS[":("]


@pytest.mark.parametrize("sign", DESCRIPTIONS)
def test_a_sign_alone_is_found_and_replaced_however_often_it_is_repeated(sign: str) -> None:
    for text in (sign, f"{sign} {sign}", sign + sign[-1] * 8, f"“{sign}”!", f"{sign}❤️", f"🍕{sign}"):
        assert is_alone(text), text
        assert set(DESCRIPTIONS[sign].split()) <= set(re.findall("[a-z]+", replace(text))), text


@pytest.mark.parametrize(
    "text",
    [
        *("🤷‍♀️", "👍🏽👍", "...😡!!!", ":)😂", "🙂 👨‍🚀", "♪ 😂"),
        *("\U0001fafe😂", "<3<3", "xDxD", "(:(", "_:D_"),
    ],
)
def test_a_text_of_signs_alone_is_found(text: str) -> None:
    assert is_alone(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "10/10", "!?", "©", "♪", "🍕", "🇺🇸", "👨‍🚀", "🙂‍↔️", "\U0001fafe"),
        *("Love ❤", "❤ it", "xDave", "XD lol", "HAHA 😂", "D :", "你好😂", "né 😂"),
        *("⭐ 1/5", "5 <3 2", "D: 95%", "1️⃣ 😂", "10:)", "8:30"),
    ],
)
def test_a_text_with_words_or_digits_or_without_signs_is_not(text: str) -> None:
    assert not is_alone(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("😡", ANGRY),
        ("😡😡😡", f"{ANGRY}    "),
        ("😡💢🤬😠", f"{ANGRY}     annoying annoyed "),
        ("😡!!!!!!!!", f"{ANGRY}!!!"),
        ("?!?!....😡", f"?!?!...{ANGRY}"),
        ("!😡!", f"!{ANGRY}!"),
        ("❤️ <3333 ❤", f"{LOVE}      "),
        ("🤷🏽‍♀️", CONFUSED),
        ("🍕🤷♪\U0001fafe👨‍🚀", f"  {CONFUSED}♪    "),
        ("(:(", f"({describe_sign(':(')}"),
    ],
)
def test_signs_are_replaced_by_words_each_of_them_once(text: str, words: str) -> None:
    assert words == replace(text)


@given(st.lists(st.sampled_from([*"🍕\u200d\ufe0f🏽♀ !(♪", *DESCRIPTIONS])).map("".join))
def test_a_text_of_signs_alone_has_the_words_of_all_signs_each_once(text: str) -> None:
    if not is_alone(text):
        return
    pattern, _ = describe(text)
    # The longest sign that a place begins with, for example `:)` of `:)))`, if it is not joined to another emoji.
    places = [found[0] for found in pattern.finditer(text) if not re.search("\u200d[^♀]", found[0])]
    signs = {max(begun, key=len) for place in places if (begun := list(filter(place.startswith, DESCRIPTIONS)))}
    expected = {word for sign in signs for word in DESCRIPTIONS[sign].split()}
    assert sorted(expected) == sorted(re.findall("[a-z]+", replace(text)))


@pytest.mark.parametrize(
    ("text", "separated"),
    [
        ("love❤️", "love ❤️"),
        ("❤️love", "❤️ love"),
        ("so😂😂👍🏽so", "so 😂😂👍🏽 so"),
        ("2❤\u200b", "2 ❤ \u200b"),
        ("cafe\u0301😂", "cafe\u0301 😂"),
        ("🏴\U000e0067\U000e007fEngland", "🏴\U000e0067\U000e007f England"),
        ("love 😂! 😂 ", "love 😂 ! 😂 "),
        ("love1️⃣0️⃣/10 #⃣", "love1 0 /10 # "),
        ("go▶️now", "go ▶️ now"),
        (" 😂 ", " 😂 "),
        ("日本©", "日本©"),
    ],
)
def test_emoji_are_separated_from_all_that_touches_them(text: str, separated: str) -> None:
    step = separate(text)
    assert step is not None
    assert separated == step[0].sub(step[1], text)


def test_a_text_in_ascii_has_no_emoji_to_separate() -> None:
    assert separate("2<3 :)") is None


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("I hate 😡 you😡😡", "I hate   you "),
        ("👍🏽 ok :)", "  ok :)"),
        ("né 1️⃣", "né 1️⃣"),
        ("ok :)", "ok :)"),
    ],
)
def test_each_run_of_emoji_becomes_a_blank(text: str, rest: str) -> None:
    assert rest == remove(text)


def test_a_vocabulary_has_words_for_emoji_if_it_has_no_emoji() -> None:
    assert has_words(VOCABULARY)
    assert not has_words({*VOCABULARY, "😂"})
    assert not has_words(VOCABULARY - {WORDS["grief"].split()[0]})


@pytest.mark.parametrize("part", ["😂", "😂a", ":", "^", "<3 ", "🤷‍♀️", "xD", "(", ":)", "D:"])
def test_no_text_takes_long(part: str) -> None:
    """Time grows with the length of a text, not with its square: a square would take minutes."""
    text = part * 100_000
    begin = time.process_time()
    for work in (is_alone, replace, remove, separate):
        work(text)
    assert time.process_time() - begin < 10
