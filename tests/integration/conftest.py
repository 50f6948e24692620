"""A data set and a trunk for training, small enough to learn in seconds."""

import random
from pathlib import Path

import pytest
import torch
from transformers import DistilBertConfig, DistilBertModel

from model import artifact
from model.artifact import Artifact
from model.thresholds import Thresholds
from tests.numerics.conftest import tiny_tokenizer
from training.trunk import load_trunk

WORDS = {0: "glad", 1: "sour", 2: "calm"}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts whose labels are the words in them, and a random trunk."""
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
    torch.manual_seed(0)
    config = DistilBertConfig(vocab_size=64, max_position_embeddings=128, dim=48, n_layers=2, n_heads=4, hidden_dim=96)
    DistilBertModel(config).save_pretrained(root / "trunk")
    tiny_tokenizer().save(str(root / "trunk" / "tokenizer.json"))
    return root


@pytest.fixture
def toy(folder: Path, tmp_path: Path) -> Path:
    """An artifact that has learnt nothing, with figures and a card of thresholds that it no longer has."""
    made = untrained(folder, labels=("joy", "anger", "calm"))
    artifact.save(made, tmp_path / "toy", card="# stale\n")
    return tmp_path / "toy"


def untrained(folder: Path, *, labels: tuple[str, ...], name: str = "toy") -> Artifact:
    """What `toy` is made of."""
    torch.manual_seed(0)
    model = load_trunk(str(folder / "trunk")).grow(labels=labels, max_tokens=16)
    thresholds = Thresholds.fixed(labels, 0.5)
    stale = {"dev": {"texts": 1}, "test": {"texts": 2}}
    record = {"seed": 7, "command": "emotag-train fit"}
    return Artifact(name, model.config, model.weights(), tiny_tokenizer(), thresholds, stale, record)
