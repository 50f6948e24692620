"""The probabilities of figures: by the fastest engine that is exact, and equal to the reference forward."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models

from emotag_model.artifact import Artifact
from emotag_model.config import ModelConfig
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.engines.protocol import open_engine
from emotag_model.forward import compute_probabilities
from emotag_model.thresholds import Thresholds
from emotag_model.tokens import TokenIds
from emotag_training.data.split import Split, TokenizedSplit
from emotag_training.errors import DataError
from emotag_training.evaluation import prediction
from emotag_training.evaluation.prediction import compute_in, predict

LABELS = ("a", "b")
RNG = np.random.default_rng(3)
IDS = [TokenIds(tuple(RNG.integers(5, 60, length).tolist()), truncated=False) for length in (3, 9, 30, 4)]
TEXTS = TokenizedSplit(Split(("x",) * 4, np.zeros((4, 2), np.float32), LABELS, "sha"), IDS)


def build(attention_heads: int = 0) -> tuple[Artifact, DistilBertCNN]:
    torch.manual_seed(0)
    config = ModelConfig(vocab_size=64, max_position_embeddings=40, dim=32, n_layers=2, n_heads=4, hidden_dim=64,
                         labels=LABELS, max_tokens=32, channels=16, attention_heads=attention_heads)  # fmt: skip
    model = DistilBertCNN(config).eval()
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    return Artifact("tiny", config, model.weights(), tokenizer, Thresholds.fixed(LABELS, 0.5), {}, {}), model


@pytest.mark.parametrize(("attention_heads", "engine"), [(0, "openvino"), (4, "reference")])
def test_the_fast_engine_is_as_exact_as_the_reference(
    attention_heads: int, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head with attention has no fast engine, so the reference itself predicts."""
    trained, model = build(attention_heads)
    opened = []

    def spy(*args: object, **options: object) -> object:
        opened.append((options["engine"], options["precision"]))
        return open_engine(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(prediction, "open_engine", spy)
    expected_NK = compute_probabilities(model, IDS, device=torch.device("cpu"))
    assert np.allclose(expected_NK, predict(trained, TEXTS), atol=1e-5)
    assert [(engine, "fp32")] == opened


def test_int8_loses_a_little() -> None:
    trained, _ = build()
    difference = np.abs(compute_in("int8", trained, IDS) - predict(trained, TEXTS)).max()
    assert 0 < difference < 0.02


def test_texts_with_other_labels_are_refused() -> None:
    trained, _ = build()
    texts = TokenizedSplit(Split(("x",) * 4, np.zeros((4, 2), np.float32), LABELS[::-1], "sha"), IDS)
    with pytest.raises(DataError, match="other labels than the data set"):
        predict(trained, texts)
