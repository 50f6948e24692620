"""A label is rare by its share of the training texts."""

from emotag_model import artifact
from emotag_training.evaluation.rare_labels import find_rare_labels


def test_a_label_is_rare_below_one_text_in_a_hundred() -> None:
    assert ("b",) == find_rare_labels({"a": 0.01, "b": 0.0099, "c": 0.5})


def test_five_labels_of_goemotions_are_rare() -> None:
    stats = artifact.load(artifact.DEFAULT).reference_stats
    assert stats is not None
    assert ("embarrassment", "grief", "nervousness", "pride", "relief") == find_rare_labels(stats.label_rates)
