"""The reference forward as an engine."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.engines.reference_engine import ReferenceEngine

ROWS: Sequence[Sequence[int]] = [[2, *range(5, 25), 3], [2, 5, 3], [2, 7, 8, 9, 3]]


@pytest.fixture
def engine(tiny_artifact: Callable[[], Artifact]) -> ReferenceEngine:
    """The tiny model on the reference."""
    return ReferenceEngine(tiny_artifact(), device="cpu")


def test_it_gives_the_probabilities_of_the_network(
    engine: ReferenceEngine, tiny_artifact: Callable[[], Artifact]
) -> None:
    """In the order of the rows."""
    made = tiny_artifact()
    model = DistilBertCNN.of(made.config, made.weights)
    with torch.inference_mode():
        logits = [model(torch.tensor([row]), torch.ones(1, len(row), dtype=torch.bool)) for row in ROWS]
    assert np.allclose(torch.sigmoid(torch.cat(logits)).numpy(), engine.probabilities(ROWS), atol=1e-6)


def test_computed_tokens_include_the_padding(engine: ReferenceEngine) -> None:
    engine.probabilities(ROWS)
    assert 3 * 32 == engine.computed_tokens
    engine.probabilities([])
    engine.recover()
    assert 3 * 32 == engine.computed_tokens
