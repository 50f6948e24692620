"""The scope of real texts: English ones are in scope, and those in other languages are not."""

from collections import Counter
from pathlib import Path

import pytest

from emotag_model.scope.detector import ENGLISH_FILE, list_words
from emotag_model.scope.rules import TextScope
from emotag_model.tagger import EmotionTagger


def read_pairs(name: str) -> list[tuple[str, str]]:
    lines = (Path(__file__).parent / name).read_text("utf-8").splitlines()
    return [(code, text) for code, text in (line.split("\t") for line in lines)]


SENTENCES = read_pairs("languages.tsv")
"""(code, text): six sentences of at least 20 characters in each language, written for this test."""
PHRASES = read_pairs("phrases.tsv")
"""(code, text): short phrases in other languages than English, written for this test."""


def find_scopes(tagger: EmotionTagger, texts: list[str]) -> list[TextScope]:
    return tagger.find_scopes(texts, tagger.tokenize(texts))


def read_texts(file: Path) -> list[str]:
    return [row.split("\t")[0] for row in file.read_text("utf-8").splitlines()]


def test_few_english_texts_are_out_of_scope(tagger: EmotionTagger, goemotions: Path) -> None:
    """On GoEmotions' dev split, whose texts contain slang, names, typing errors and noise."""
    texts = read_texts(goemotions / "dev.tsv")
    for longest, least in ((len(max(texts, key=len)), 0.995), (19, 0.98)):
        some = [text for text in texts if len(text) <= longest]
        found = Counter(each.scope for each in find_scopes(tagger, some))
        assert found["ok"] >= least * len(some), found


def test_few_english_texts_have_no_certain_language(tagger: EmotionTagger, goemotions: Path) -> None:
    found = find_scopes(tagger, read_texts(goemotions / "dev.tsv"))
    assert sum(each.language is None for each in found) <= 0.03 * len(found)


def test_the_common_english_words_are_those_of_ten_training_texts(goemotions: Path) -> None:
    counts = Counter(word for text in read_texts(goemotions / "train.tsv") for word in set(list_words(text)))
    common = sorted(word for word, texts in counts.items() if texts >= 10)
    assert common == ENGLISH_FILE.read_text("ascii").split()


def test_most_short_phrases_in_other_languages_are_found_and_none_is_english(tagger: EmotionTagger) -> None:
    found = find_scopes(tagger, [text for _, text in PHRASES])
    assert "en" not in {each.language for each in found}
    assert sum(each.scope == "other_language" for each in found) >= 0.78 * len(PHRASES)


def test_at_least_95_percent_of_the_texts_in_other_languages_are_found(tagger: EmotionTagger) -> None:
    codes = Counter(code for code, _ in SENTENCES)
    assert len(codes) >= 20
    assert {6} == set(codes.values())
    assert all(len(text) >= 20 for _, text in SENTENCES)
    found = find_scopes(tagger, [text for _, text in SENTENCES])
    assert sum(each.scope == "other_language" for each in found) >= 0.95 * len(SENTENCES)
    right = sum(each.language == code for each, (code, _) in zip(found, SENTENCES, strict=True))
    assert right >= 0.95 * len(SENTENCES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Te odio, eres lo peor", ("other_language", "es")),
        ("Ich hasse dich", ("other_language", "de")),
        ("lol", ("ok", "en")),
        ("thanks!", ("ok", "en")),
        ("I h4te y0u", ("ok", None)),
        ("𝓘 𝓱𝓪𝓽𝓮 𝔂𝓸𝓾", ("ok", "en")),
        ("I hate you😡", ("ok", "en")),
        ("😂😂😂", ("ok", None)),
        ("😡 🍕 🍕 🍕", ("ok", None)),
        ("♪ 😂", ("ok", None)),
        ("🍕", ("unreadable", None)),
        ("🎉 Congratulations 🎉", ("ok", "en")),
        (":)", ("ok", None)),
        ("♪♫♪", ("unreadable", None)),
        ("𐌰𐌱𐌲 " * 130 + "😂 a" * 100, ("unreadable", None)),
        ("𐌰𐌱𐌲 " * 130 + "😂 great " * 400, ("ok", None)),
        ("𐌰 😂 𐌱 😂 hm", ("unreadable", None)),
        ("That is so funny 😂😂", ("ok", "en")),
        ("10/10", ("too_short", None)),
        ("", ("too_short", None)),
    ],
)
def test_a_text_has_its_scope(tagger: EmotionTagger, text: str, expected: tuple[str, str | None]) -> None:
    (tagging,) = tagger.tag([text])
    assert expected == (tagging.scope, tagging.language)


def test_emoji_behind_the_end_of_a_cut_text_do_not_make_its_beginning_readable() -> None:
    tagger = EmotionTagger.load(long_texts="first")
    (found,) = find_scopes(tagger, ["𐌰𐌱𐌲 " * 130 + "😂 great " * 400])
    assert "unreadable" == found.scope
