"""The scope of real texts: English ones are in scope, and those in other languages are not."""

from collections import Counter
from pathlib import Path

import pytest

from emotag_model.scope.rules import TextScope
from emotag_model.tagger import EmotionTagger

SENTENCES = [
    tuple(line.split("\t")) for line in (Path(__file__).parent / "languages.tsv").read_text("utf-8").splitlines()
]
"""(code, text): six sentences of at least 20 characters in each language, written for this test."""


def find_scopes(tagger: EmotionTagger, texts: list[str]) -> list[TextScope]:
    return tagger.find_scopes(texts, tagger.tokenize(texts))


def test_at_most_one_percent_of_english_texts_are_out_of_scope(tagger: EmotionTagger, goemotions: Path) -> None:
    """On GoEmotions' dev split, whose texts contain slang, names, typing errors and noise."""
    rows = (goemotions / "dev.tsv").read_text("utf-8").splitlines()
    found = Counter(each.scope for each in find_scopes(tagger, [row.split("\t")[0] for row in rows]))
    assert found["ok"] >= 0.99 * found.total(), found


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
        ("lol", ("ok", None)),
        ("thanks!", ("ok", None)),
        ("I h4te y0u", ("ok", None)),
        ("𝓘 𝓱𝓪𝓽𝓮 𝔂𝓸𝓾", ("ok", None)),
        ("I hate you😡", ("ok", None)),
        ("😂😂😂", ("ok", None)),
        ("😡 🍕 🍕 🍕", ("ok", None)),
        ("♪ 😂", ("ok", None)),
        ("🍕", ("unreadable", None)),
        ("🎉 Congratulations 🎉", ("ok", None)),
        (":)", ("ok", None)),
        ("♪♫♪", ("unreadable", None)),
        ("That is so funny 😂😂", ("ok", "en")),
        ("10/10", ("too_short", None)),
        ("", ("too_short", None)),
    ],
)
def test_a_text_has_its_scope(tagger: EmotionTagger, text: str, expected: tuple[str, str | None]) -> None:
    (tagging,) = tagger.tag([text])
    assert expected == (tagging.scope, tagging.language)
