"""Rare labels: so few texts of dev have them that chance decides their F1."""

from collections.abc import Mapping

RARE_SHARE = 0.01
"""A label is rare if a smaller share of the training texts has it. Five of GoEmotions' 28 labels are, with 13 to 35
texts of dev each; they cause two thirds of the sampling variance of macro F1."""


def find_rare_labels(rates: Mapping[str, float]) -> tuple[str, ...]:
    """Return the rare labels, in the order of *rates*: the share of the training texts that have each label."""
    return tuple(label for label, rate in rates.items() if rate < RARE_SHARE)
