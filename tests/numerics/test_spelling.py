"""Texts with noise, made by rule from dev, keep the emotion of the clean text, and emoji alone have emotions."""

import random
from pathlib import Path

import pytest

from emotag_model import EmotionTagger
from emotag_model.spelling.emoji import DESCRIPTIONS, MEANINGS
from emotag_training.data.table import load_split

from . import probes


@pytest.fixture(scope="module")
def tagger() -> EmotionTagger:
    return EmotionTagger.load()


@pytest.fixture(scope="module")
def texts(goemotions: Path) -> list[str]:
    return random.Random(0).sample(list(load_split(goemotions / "dev.tsv").texts), 2_500)


@pytest.mark.parametrize(
    ("noise", "least"),
    [
        (probes.write_digits, 0.94),
        (probes.space_letters, 0.92),
        (probes.repeat_letters, 0.95),
        (probes.mask_words, 0.95),
        (probes.drop_apostrophes, 0.94),
        (probes.swap_letters, 0.95),
    ],
)
def test_noisy_texts_keep_their_top_label(
    tagger: EmotionTagger, texts: list[str], noise: probes.Noise, least: float
) -> None:
    """Without `spelling/noise.py`, the shares are 0.77, 0.81, 0.80, 0.60, 0.96 and 0.86."""
    pairs = probes.make_pairs(texts, noise)
    assert len(pairs) >= 75
    assert probes.share_kept(tagger, pairs) >= least


@pytest.mark.parametrize("text", probes.FITTING)
def test_emoji_alone_have_a_fitting_label_and_are_in_scope(tagger: EmotionTagger, text: str) -> None:
    (tagging,) = tagger.tag([text])
    assert ("ok", None) == (tagging.scope, tagging.language)
    assert tagging.emotions
    assert tagging.emotions[0].label in probes.FITTING[text]


def test_nearly_every_sign_of_the_table_has_one_of_its_labels_and_is_in_scope(tagger: EmotionTagger) -> None:
    pairs = [(sign, label) for label, signs in MEANINGS.items() for sign in signs.split()]
    signs = list(dict.fromkeys(sign for sign, _ in pairs))
    taggings = tagger.tag(signs)
    assert {("ok", None)} == {(tagging.scope, tagging.language) for tagging in taggings}
    fitting = [(sign, tagging.emotions[0].label) in pairs for sign, tagging in zip(signs, taggings, strict=True)]
    assert sum(fitting) >= 0.97 * len(signs)


@pytest.mark.parametrize("text", [" ".join(DESCRIPTIONS), "😡" + "!" * 200, "?" * 200 + "😡"])
def test_a_long_text_of_signs_alone_fits_into_the_models_window(tagger: EmotionTagger, text: str) -> None:
    (tokens,) = tagger.tokenize([text])
    assert tokens.is_described
    assert not tokens.truncated


def test_a_text_of_signs_alone_that_does_not_fit_is_read_in_windows_as_it_is(tagger: EmotionTagger) -> None:
    (tagging,) = tagger.tag(["?!" * 100 + "😡"])
    assert tagging.parts
    assert not tagging.truncated


def test_a_window_of_emoji_does_not_decide_about_a_text_with_words(tagger: EmotionTagger) -> None:
    (tagging,) = tagger.tag(["The meeting is on Monday at ten in room four. " * 14 + "😡 " * 70])
    assert tagging.parts is not None
    assert ["neutral"] == [each.label for each in tagging.emotions]


def test_texts_keep_their_top_label_if_an_emoji_touches_the_last_word(tagger: EmotionTagger, goemotions: Path) -> None:
    """Without a blank between them, 73 % do."""
    draw = random.Random(0)
    texts = [text for text in load_split(goemotions / "dev.tsv").texts if text.isascii() and text[-1].isalpha()]
    signs = sorted({sign for written in MEANINGS.values() for sign in written.split() if not sign.isascii()})
    pairs = [(text, text + draw.choice(signs)) for text in draw.sample(texts, 500)]
    assert probes.share_kept(tagger, pairs) >= 0.8
