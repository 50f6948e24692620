"""The texts that a model gets most wrong: the right ones, and of nobody's data but GoEmotions'."""

from dataclasses import replace

import numpy as np
import pytest

from schemas.labels import LABELS
from training.data import Split
from training.failures import MOST_CHARACTERS, OF_EACH_KIND, of_texts
from training.goemotions import SHA256
from training.metrics import Floats

CUTS = (0.5,) * len(LABELS)
ANGER, JOY, NEUTRAL = (LABELS.index(name) for name in ("anger", "joy", "neutral"))


def split(texts: int) -> Split:
    """Texts that nobody gave a label."""
    targets_NK = np.zeros((texts, len(LABELS)), np.float32)
    return Split(tuple(f"text {row}" for row in range(texts)), targets_NK, LABELS, SHA256["dev.tsv"])


def sure(rows: int, given: dict[tuple[int, int], float]) -> Floats:
    """Probabilities that are 0.1 but where they are *given*, by row and column."""
    probabilities_NK = np.full((rows, len(LABELS)), 0.1, np.float32)
    for place, probability in given.items():
        probabilities_NK[place] = probability
    return probabilities_NK


def test_the_surest_mistakes_come_first_those_given_and_then_those_missed() -> None:
    dev = split(4)
    for place in ((2, JOY), (3, NEUTRAL), (3, ANGER), (1, JOY)):
        dev.targets_NK[place] = 1
    given = {(0, ANGER): 0.7, (2, JOY): 0.01, (3, NEUTRAL): 0.02, (3, ANGER): 0.9, (1, JOY): 0.95, (1, NEUTRAL): 0.8}
    assert [
        {
            "text": "text 1",
            "raters": ["joy"],
            "given": {"joy": 0.95, "neutral": 0.8},
            "mistake": "given",
            "label": "neutral",
            "probability": 0.8,
        },
        {
            "text": "text 0",
            "raters": [],
            "given": {"anger": 0.7},
            "mistake": "given",
            "label": "anger",
            "probability": 0.7,
        },
        {"text": "text 2", "raters": ["joy"], "given": {}, "mistake": "missed", "label": "joy", "probability": 0.01},
    ] == of_texts(dev, sure(4, given), CUTS)  # neutral, which text 3 lacks, has had its turn


def test_there_are_a_handful_and_no_label_or_text_stands_there_twice() -> None:
    """Of as many labels as there are, each wrong in several texts, and of texts that are there more than once."""
    rng = np.random.default_rng(0)
    dev = split(200)
    dev.targets_NK[:] = rng.random(dev.targets_NK.shape) < 0.3
    dev = replace(dev, texts=tuple(f"text {row // 2}" for row in range(200)))
    probabilities_NK = rng.random(dev.targets_NK.shape).astype(np.float32)
    found = of_texts(dev, probabilities_NK, CUTS)
    assert ["given"] * OF_EACH_KIND + ["missed"] * OF_EACH_KIND == [of["mistake"] for of in found]
    assert 2 * OF_EACH_KIND == len({of["label"] for of in found}) == len({of["text"] for of in found})
    assert found == of_texts(dev, probabilities_NK, CUTS)


def test_a_long_text_is_not_shown() -> None:
    dev = split(2)
    given = {(0, ANGER): 0.9, (1, JOY): 0.8}
    longest, too_long = "x" * MOST_CHARACTERS, "x" * (MOST_CHARACTERS + 1)
    assert [longest] == [of["text"] for of in of_texts(replace(dev, texts=(too_long, longest)), sure(2, given), CUTS)]


@pytest.mark.parametrize("other", [{"sha256": "0" * 64}, {"labels": tuple(reversed(LABELS))}])
def test_texts_of_anybody_elses_data_are_never_written(other: dict[str, object]) -> None:
    """Though they have its labels: they may be private, and a card is pushed to a hub."""
    dev, probabilities_NK = split(1), sure(1, {(0, ANGER): 0.9})
    assert of_texts(dev, probabilities_NK, CUTS)
    assert [] == of_texts(replace(dev, **other), probabilities_NK, CUTS)  # type: ignore[arg-type]
