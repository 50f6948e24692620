"""Emoji change the emotions of a text, and have emotions of their own."""

import random
from pathlib import Path

import pytest

from emotag_model import EmotionTagger
from emotag_training.data.table import load_split

from . import probes


@pytest.fixture(scope="module")
def tagger() -> EmotionTagger:
    return EmotionTagger.load()


@pytest.mark.parametrize("text", probes.FITTING)
def test_emoji_alone_get_a_fitting_label_and_are_in_scope(tagger: EmotionTagger, text: str) -> None:
    (tagging,) = tagger.tag([text])
    assert ("ok", None) == (tagging.scope, tagging.language)
    assert tagging.emotions
    assert tagging.emotions[0].label in probes.FITTING[text]


def test_the_same_words_with_another_emoji_have_other_emotions(tagger: EmotionTagger) -> None:
    taggings = tagger.tag([f"I can't believe it {emoji}" for emoji in probes.ADDED])
    for fitting, tagging in zip(probes.ADDED.values(), taggings, strict=True):
        assert {each.label for each in tagging.emotions} & fitting


def test_most_texts_get_the_emotion_of_an_emoji(tagger: EmotionTagger, goemotions: Path) -> None:
    texts = [text for text in load_split(goemotions / "dev.tsv").texts if text.isascii()]
    assert probes.share_given(tagger, random.Random(0).sample(texts, 400)) >= 0.5
