"""The worst mistakes of a model: the right texts, and only those of GoEmotions."""

from dataclasses import replace

import numpy as np
import pytest

from emotag_schemas.labels import LABELS
from emotag_training.data.goemotions import SHA256
from emotag_training.data.split import Split
from emotag_training.evaluation.failures import MOST_CHARACTERS, OF_EACH_KIND, find_failures
from emotag_training.evaluation.metrics import Floats

CUTS = (0.5,) * len(LABELS)
ANGER, JOY, NEUTRAL = (LABELS.index(name) for name in ("anger", "joy", "neutral"))


def split(texts: int) -> Split:
    """Texts without labels."""
    targets_NK = np.zeros((texts, len(LABELS)), np.float32)
    return Split(tuple(f"text {row}" for row in range(texts)), targets_NK, LABELS, SHA256["dev.tsv"])


def sure(rows: int, given: dict[tuple[int, int], float]) -> Floats:
    """Return probabilities of 0.1, except those that are *given* by row and column."""
    probabilities_NK = np.full((rows, len(LABELS)), 0.1, np.float32)
    for place, probability in given.items():
        probabilities_NK[place] = probability
    return probabilities_NK


def failure(*values: object) -> dict[str, object]:
    names = ("text", "annotators", "given", "mistake", "label", "probability")
    return dict(zip(names, values, strict=True))


def test_the_surest_mistakes_come_first_those_given_and_then_those_missed() -> None:
    dev = split(4)
    for place in ((2, JOY), (3, NEUTRAL), (3, ANGER), (1, JOY)):
        dev.targets_NK[place] = 1
    given = {(0, ANGER): 0.7, (2, JOY): 0.01, (3, NEUTRAL): 0.02, (3, ANGER): 0.9, (1, JOY): 0.95, (1, NEUTRAL): 0.8}
    assert [
        failure("text 1", ["joy"], {"joy": 0.95, "neutral": 0.8}, "given", "neutral", 0.8),
        failure("text 0", [], {"anger": 0.7}, "given", "anger", 0.7),
        failure("text 2", ["joy"], {}, "missed", "joy", 0.01),
    ] == find_failures(dev, sure(4, given), CUTS)  # neutral, which text 3 lacks, has had its turn


def test_there_are_a_handful_and_no_label_or_text_stands_there_twice() -> None:
    """With every label wrong in several texts, and with duplicate texts."""
    rng = np.random.default_rng(0)
    dev = split(200)
    dev.targets_NK[:] = rng.random(dev.targets_NK.shape) < 0.3
    dev = replace(dev, texts=tuple(f"text {row // 2}" for row in range(200)))
    probabilities_NK = rng.random(dev.targets_NK.shape).astype(np.float32)
    found = find_failures(dev, probabilities_NK, CUTS)
    assert ["given"] * OF_EACH_KIND + ["missed"] * OF_EACH_KIND == [of["mistake"] for of in found]
    assert 2 * OF_EACH_KIND == len({of["label"] for of in found}) == len({of["text"] for of in found})
    assert found == find_failures(dev, probabilities_NK, CUTS)


def test_a_long_text_is_not_shown() -> None:
    dev = split(2)
    given = {(0, ANGER): 0.9, (1, JOY): 0.8}
    longest, too_long = "x" * MOST_CHARACTERS, "x" * (MOST_CHARACTERS + 1)
    assert [longest] == [
        of["text"] for of in find_failures(replace(dev, texts=(too_long, longest)), sure(2, given), CUTS)
    ]


@pytest.mark.parametrize("other", [{"sha256": "0" * 64}, {"labels": tuple(reversed(LABELS))}])
def test_texts_of_anybody_elses_data_are_never_written(other: dict[str, object]) -> None:
    """Also if they have the same labels: they may be private, and a card is published."""
    dev, probabilities_NK = split(1), sure(1, {(0, ANGER): 0.9})
    assert find_failures(dev, probabilities_NK, CUTS)
    assert [] == find_failures(replace(dev, **other), probabilities_NK, CUTS)  # type: ignore[arg-type]
