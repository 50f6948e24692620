"""Emoji change the emotions of a text, and have emotions of their own."""

import random
from pathlib import Path

import pytest

from emotag_model import EmotionTagger
from emotag_training.augmentation.meanings import MEANINGS
from emotag_training.data.table import load_split

FITTING = {
    "😡😡😡": {"anger", "annoyance"},
    "🤬": {"anger", "annoyance"},
    "😂": {"amusement", "joy"},
    "🤣🤣": {"amusement", "joy"},
    "😭": {"sadness", "grief"},
    "💔": {"sadness", "grief"},
    "❤️": {"love"},
    "😍😍": {"love", "admiration"},
    "👍🏽": {"approval"},
    "👏👏👏": {"admiration", "approval"},
    "🙏": {"gratitude", "caring", "optimism"},
    "🤮": {"disgust"},
    "😱": {"fear", "surprise"},
    "🤔": {"curiosity", "confusion"},
    "🎉🎉": {"excitement", "joy"},
    "😳": {"embarrassment", "surprise"},
    "😢": {"sadness"},
    "😊": {"joy"},
    "🙄": {"annoyance"},
    "🤷‍♀️": {"confusion"},
}
ADDED = {"😂": {"amusement"}, "😡": {"anger", "annoyance"}, "😭": {"sadness", "grief"}, "❤️": {"love"}}


@pytest.fixture(scope="module")
def tagger() -> EmotionTagger:
    return EmotionTagger.load()


@pytest.mark.parametrize("text", FITTING)
def test_emoji_alone_get_a_fitting_label_and_are_in_scope(tagger: EmotionTagger, text: str) -> None:
    (tagging,) = tagger.tag([text])
    assert ("ok", None) == (tagging.scope, tagging.language)
    assert tagging.emotions
    assert tagging.emotions[0].label in FITTING[text]


def test_the_same_words_with_another_emoji_have_other_emotions(tagger: EmotionTagger) -> None:
    taggings = tagger.tag([f"I can't believe it {emoji}" for emoji in ADDED])
    for fitting, tagging in zip(ADDED.values(), taggings, strict=True):
        assert {each.label for each in tagging.emotions} & fitting


def test_an_emoji_raises_its_own_emotion_in_dev_texts(tagger: EmotionTagger, goemotions: Path) -> None:
    """Also emoji that no training text of GoEmotions has: made by rule from dev texts without emoji."""
    draw = random.Random(0)
    texts = [text for text in load_split(goemotions / "dev.tsv").texts if text.isascii()]
    plain = draw.sample(texts, 400)
    signs = [(sign, label) for label, written in MEANINGS.items() if label != "neutral" for sign in written.split()[:3]]
    chosen = [draw.choice([each for each in signs if not each[0].isascii()]) for _ in plain]
    before, after = (
        tagger.probabilities(tagger.tokenize(side))
        for side in (plain, [f"{text} {sign}" for text, (sign, _) in zip(plain, chosen, strict=True)])
    )
    raised = [
        after[row, tagger.labels.index(label)] > before[row, tagger.labels.index(label)]
        for row, (_, label) in enumerate(chosen)
    ]
    assert sum(raised) >= 0.9 * len(raised)
