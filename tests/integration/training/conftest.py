"""A data set and an encoder for training, small enough to learn in seconds."""

import random
from pathlib import Path

import pytest
import torch
from transformers import DistilBertConfig, DistilBertModel

from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_model.thresholds import Thresholds
from emotag_training.encoders.pretrained import load_encoder
from tests.encoders import save_encoder
from tests.numerics.conftest import tiny_tokenizer

WORDS = {0: "glad", 1: "sour", 2: "calm"}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts whose words are their labels, and a random encoder."""
    root = tmp_path_factory.mktemp("toy")
    rng = random.Random(0)
    for name, rows in (("train", 640), ("dev", 160)):
        lines = []
        for row in range(rows):
            labels = sorted(rng.sample(sorted(WORDS), rng.choice((1, 1, 2))))
            filler = ["".join(rng.choices("xyz", k=3)) for _ in range(rng.randint(0, 3))]
            words = [WORDS[label] for label in labels] + filler
            rng.shuffle(words)
            lines.append(f"{' '.join(words)}\t{','.join(map(str, labels))}\tid{row}")
        (root / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    (root / "emotions.txt").write_text("joy\nanger\ncalm\n")
    config = DistilBertConfig(vocab_size=64, max_position_embeddings=128, dim=48, n_layers=2, n_heads=4, hidden_dim=96)
    save_encoder(root / "encoder", DistilBertModel, config, tiny_tokenizer())
    return root


@pytest.fixture
def toy(folder: Path, tmp_path: Path) -> Path:
    """An untrained artifact whose figures and card belong to other thresholds."""
    made = build_untrained(folder, labels=("joy", "anger", "calm"))
    artifact.save(made, tmp_path / "toy", card="# stale\n")
    return tmp_path / "toy"


def build_untrained(folder: Path, *, labels: tuple[str, ...], name: str = "toy", seed: int = 0) -> Artifact:
    """Build the artifact of `toy`."""
    torch.manual_seed(seed)
    model = load_encoder(str(folder / "encoder")).grow(labels=labels, max_tokens=16)
    thresholds = Thresholds.fixed(labels, 0.5)
    stale = {"dev": {"texts": 1}, "test": {"texts": 2}}
    record = {"seed": 7, "command": "emotag-train fit"}
    return Artifact(name, model.config, model.weights(), tiny_tokenizer(), thresholds, stale, record)
