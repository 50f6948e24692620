"""Noisy spelling of words that the vocabulary has; everything else stays as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers

from emotag_model.artifact import DEFAULT, load
from emotag_model.spelling.emoji import WORDS as EMOJI_WORDS
from emotag_model.spelling.noise import MOST_CHARACTERS, Spelling

UNITS = ("", "s", "m", "k", "x", "am", "pm", "ft", "in", "th", "st", "mph", "yrs", "$")

WORDS = (
    *("hate", "dead", "so", "good", "happy", "really", "shit", "fuck", "damn", "dick", "that", "this", "you", "bad"),
    *("soo", "1st", "ps", "psa", "not", "was", "to", "goo", "ass", "ist", "love", "god", "wasn"),
    *("live", "alive", "about", "bout", "uss"),
)
VOCABULARY = {
    piece: number
    for number, piece in enumerate(("[UNK]", "[CLS]", "[SEP]", *"abcdefghijkl*@$!:)", *WORDS, "##a", "dog"))
}
WITHOUT_EMOJI = Spelling(VOCABULARY)
VOCABULARY |= {
    word: len(VOCABULARY) + number
    for number, word in enumerate(dict.fromkeys(" ".join(EMOJI_WORDS.values()).split()))
    if word not in VOCABULARY
}
SPELLING = Spelling(VOCABULARY | {f"rare{number}": len(VOCABULARY) + number for number in range(len(VOCABULARY))})


@pytest.mark.parametrize(
    ("noisy", "corrected"),
    [
        ("I h4te th1s", "I hate this"),
        ("@ss", "ass"),
        ("b4d!!", "bad!!"),
        ("i am d e a d", "i am dead"),
        ("D E A D.", "D E A D."),
        ("soooooo gooood", "so good"),
        ("haaaaappyyyyy?!", "happy?!"),
        ("sh*t, f**k! F***", "shit, fuck! fuck"),
        ("d**n, not d*mn", "damn, not damn"),
        ("d@mn @ss $hit", "damn ass shit"),
        ("@bout", "about"),
        ("rae raelly htat", "rae really that"),
        ("wasnt", "wasn't"),
        ("h4te❤️d e a d", "hate ❤️ dead"),
        ("😡!!", " angry furious !!"),
        ("xDDD", " funny lol haha "),
    ],
)
def test_noise_is_undone(noisy: str, corrected: str) -> None:
    assert corrected == SPELLING.correct(noisy)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "So good, you ass!",
        "1st ps4 ps5 100% $100 4 2day",
        "us$ 20",
        "@live @god",
        "dgo",  # the word that it would be is rare
        "a b",
        "a b c",  # together no word
        "***** @#$%! *ate",
        "zzzzzzz",
        "Soooooó",
        "s" + "o" * 40,
        "snake_case hate_you",
        "so5 dick10 a** A&S",  # a word with a number, a grade, a firm
        "h4te" + "s" * 40,
    ],
)
def test_everything_else_stays_as_it_is(text: str) -> None:
    assert text == SPELLING.correct(text)


def test_only_the_beginning_of_a_long_text_is_corrected() -> None:
    between = " you" * (MOST_CHARACTERS // 4)
    assert f"hate{between} h4te" == SPELLING.correct(f"h4te{between} h4te")


@given(st.text(alphabet="adeht4*!$ _'\u00e9😡🍕\ufe0f:)xD", max_size=60))
def test_a_corrected_text_has_nothing_left_to_correct(text: str) -> None:
    """Otherwise the result would depend on how often a text went through the tokenizer."""
    corrected = SPELLING.correct(" ".join(text.split()))
    assert corrected == SPELLING.correct(corrected)


@pytest.mark.parametrize(
    ("pieces", "suspect"),
    [
        (["[CLS]", "hate", "you", "!", "[SEP]"], False),
        (["[CLS]", "hate", "##a", "[SEP]"], True),
        (["[CLS]", "a", "b", "hate", "c", "[SEP]"], False),
        (["[CLS]", "a", "b", "c", "[SEP]"], True),
        (["[CLS]", "hate", "*", "[SEP]"], True),
        (["[CLS]", "so", "!", "a", "[SEP]"], True),
        (["[CLS]", "hate", "[UNK]", "[SEP]"], True),
        (["[CLS]", "[SEP]"], True),
    ],
)
def test_the_tokens_of_a_text_show_if_it_may_have_noise(pieces: list[str], suspect: bool) -> None:
    clean = [VOCABULARY[piece] for piece in ("[CLS]", "hate", "a", "b", "[SEP]")]
    row = [VOCABULARY[piece] for piece in pieces]
    assert [1] * suspect == SPELLING.find_suspects([clean, row, clean])


@pytest.mark.parametrize(
    ("pieces", "suspect"), [(["[CLS]", ":", ")", "[SEP]"], True), (["[CLS]", ":", ")", "hate", "[SEP]"], False)]
)
def test_a_text_without_a_word_may_be_an_emoticon(pieces: list[str], suspect: bool) -> None:
    row = [VOCABULARY[piece] for piece in pieces]
    assert [0] * suspect == SPELLING.find_suspects([row])
    assert [] == WITHOUT_EMOJI.find_suspects([row])


def test_emoji_stay_as_they_are_if_the_vocabulary_does_not_have_the_words() -> None:
    assert "😡 :)" == WITHOUT_EMOJI.correct("😡 :)")


def test_emoji_alone_in_a_part_of_a_text_stay_as_they_are() -> None:
    """The words of the other parts decide."""
    assert " 😡 :)" == SPELLING.correct(" 😡 :)", is_part=True) == SPELLING.trace(" 😡 :)", is_part=True)[0]


@pytest.mark.parametrize("end", ["", " h4te"])
def test_a_long_text_without_blanks_is_corrected_up_to_its_limit(end: str) -> None:
    text = "h4te." * MOST_CHARACTERS + end
    corrected = SPELLING.correct(text)
    assert corrected.startswith("hate.hate.")
    assert corrected.endswith(text[-9:])


def test_emoji_alone_in_a_huge_text_stay_as_they_are() -> None:
    assert " angry furious " in SPELLING.correct("😡" * MOST_CHARACTERS)
    assert "angry" not in SPELLING.correct("😡" * (MOST_CHARACTERS + 1))


def test_without_a_text_there_is_no_suspect() -> None:
    assert [] == SPELLING.find_suspects([])


@pytest.mark.parametrize("lowercase", [True, False])
def test_only_a_wordpiece_tokenizer_in_lower_case_has_words_to_correct_with(lowercase: bool) -> None:
    wordpiece = Tokenizer(models.WordPiece(VOCABULARY, unk_token="[UNK]"))
    assert Spelling.of(wordpiece) is None
    wordpiece.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    assert lowercase == (Spelling.of(wordpiece) is not None)
    assert Spelling.of(Tokenizer(models.BPE())) is None


def test_quantities_and_names_with_numbers_are_no_noise() -> None:
    """With the vocabulary of the shipped model, which has nearly every short string of letters."""
    spelling = Spelling.of(load(DEFAULT).tokenizer)
    assert spelling is not None
    quantities = [f"{sign}{number}{unit}" for number in range(600) for sign in ("", "$") for unit in UNITS]
    names = [f"{name}{number}" for name in ("ps", "win", "top", "area", "season", "k", "co") for number in range(200)]
    assert [] == [word for word in (*quantities, *names) if spelling.correct(word) != word]


def test_long_words_are_not_kept() -> None:
    """A producer could fill the memory of a worker with them."""
    spelling = Spelling(VOCABULARY)
    spelling.correct("x" * 2_000 + " " + "\U0001d4ea" * 40)
    assert 0 == spelling._correct_word.cache_info().currsize


@pytest.mark.parametrize(
    ("noisy", "word", "written"),
    [
        ("I h4te th1s", "hate", "h4te"),
        ("i am d e a d now", "dead", "d e a d"),
        ("so b4d!!", "bad", "b4d!!"),
        ("it wasnt", "wasn't", "wasnt"),
        ("this is sooooo good", "is", "is"),
        ("so b4d😡", "bad", "b4d"),
        (":( 😡😡", "furious", "😡"),
        ("(...) <333", "love", "<333"),
    ],
)
def test_each_character_stands_for_the_word_that_was_written(noisy: str, word: str, written: str) -> None:
    corrected, starts, ends = SPELLING.trace(noisy)
    assert SPELLING.correct(noisy) == corrected
    at = corrected.index(word)
    assert written == noisy[starts[at] : ends[at + len(word) - 1]]


SIGNS = ("😡", "😡😡so", "❤️", "<3", ":)))", "🤷🏽‍♀️")


@given(st.lists(st.sampled_from([*UNITS, *WORDS, "h4te", "d e a d", "sooooo", "wasnt", "@ss", " ", "x" * 900, *SIGNS])))
def test_a_traced_text_is_the_corrected_one(parts: list[str]) -> None:
    text = " ".join(" ".join(parts).split())
    corrected, starts, ends = SPELLING.trace(text)
    assert SPELLING.correct(text) == corrected
    assert len(corrected) == len(starts) == len(ends)
    assert all(0 <= start < end <= len(text) for start, end in zip(starts, ends, strict=True))
    assert (starts, ends) == (sorted(starts), sorted(ends))
