"""Emoji alone have emotions of their own, and emoji that touch a word do not hide it."""

import random
from pathlib import Path

import pytest

from emotag_model import EmotionTagger
from emotag_model.emoji import MEANINGS
from emotag_training.data.table import load_split

from . import probes


@pytest.fixture(scope="module")
def tagger() -> EmotionTagger:
    return EmotionTagger.load()


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


def test_texts_keep_their_top_label_if_an_emoji_touches_the_last_word(tagger: EmotionTagger, goemotions: Path) -> None:
    """Without a blank between them, 73 % do."""
    draw = random.Random(0)
    texts = [text for text in load_split(goemotions / "dev.tsv").texts if text.isascii() and text[-1].isalpha()]
    signs = sorted({sign for written in MEANINGS.values() for sign in written.split() if not sign.isascii()})
    pairs = [(text, text + draw.choice(signs)) for text in draw.sample(texts, 500)]
    assert probes.share_kept(tagger, pairs) >= 0.8
