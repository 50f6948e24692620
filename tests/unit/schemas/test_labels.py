"""The 28 labels and their groups."""

import json
from pathlib import Path

from emotag_schemas import EKMAN, LABELS, SENTIMENT
from emotag_schemas.labels import derive_ekman, derive_sentiment


def test_every_label_has_one_sentiment_and_all_but_neutral_one_basic_emotion() -> None:
    assert sorted(LABELS) == sorted(label for labels in SENTIMENT.values() for label in labels)
    assert sorted(set(LABELS) - {"neutral"}) == sorted(label for labels in EKMAN.values() for label in labels)
    assert 28 == len(LABELS)


def test_labels_and_groups_are_the_data_sets_own(goemotions: Path) -> None:
    assert list(LABELS) == (goemotions / "emotions.txt").read_text().split()
    ekman = json.loads((goemotions / "ekman_mapping.json").read_text())
    assert {group: list(labels) for group, labels in EKMAN.items()} == ekman
    sentiment = json.loads((goemotions / "sentiment_mapping.json").read_text())
    assert {name: set(labels) for name, labels in sentiment.items()} == {
        name: set(labels) for name, labels in SENTIMENT.items() if name != "neutral"
    }


def test_sentiment_is_the_group_with_the_largest_sum() -> None:
    assert "negative" == derive_sentiment({"joy": 0.5, "anger": 0.3, "fear": 0.3})
    assert "neutral" == derive_sentiment({})
    assert "neutral" == derive_sentiment({"a label of another data set": 1.0})
    assert "positive" == derive_sentiment({"anger": 0.5, "joy": 0.5})


def test_basic_emotions_come_strongest_first() -> None:
    assert ["sadness", "joy"] == derive_ekman({"joy": 0.5, "grief": 0.3, "remorse": 0.3, "neutral": 0.9})


def test_a_text_without_groups_has_no_basic_emotions() -> None:
    assert [] == derive_ekman({}) == derive_ekman({"neutral": 0.9, "a label of another data set": 1.0})
