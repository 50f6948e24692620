"""Models for the numeric tests: a tiny random one, and the one that ships."""

import string
from collections.abc import Callable

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_model.config import ModelConfig
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.tagger import EmotionTagger
from emotag_model.thresholds import Thresholds

LABELS = ("anger", "joy", "neutral")


def tiny_tokenizer() -> Tokenizer:
    """A WordPiece tokenizer of single letters."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.ascii_lowercase]
    pieces += [f"##{letter}" for letter in string.ascii_lowercase]
    tokenizer = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


LINES = ("glad to see you again", "so sour and calm", "what a wonderful day, thank you!")
ROBERTA_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
"""In the order of their ids, as published."""


def byte_level_tokenizer() -> Tokenizer:
    """A tokenizer as RoBERTa's: pairs of bytes, and a blank is part of the word after it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=ROBERTA_TOKENS, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(LINES, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer


def unigram_tokenizer() -> Tokenizer:
    """A tokenizer as XLM-R's: the likeliest pieces."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=ROBERTA_TOKENS, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(LINES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def tiny_config(**changes: object) -> ModelConfig:
    shape: dict[str, object] = {
        "vocab_size": 64,
        "max_position_embeddings": 40,
        "dim": 32,
        "n_layers": 2,
        "n_heads": 4,
        "hidden_dim": 64,
        "labels": LABELS,
        "max_tokens": 32,
        "channels": 16,
    }
    return ModelConfig(**(shape | changes))  # type: ignore[arg-type]


@pytest.fixture
def tiny_artifact() -> Callable[[], Artifact]:
    """Return a function that makes artifacts of a tiny model with fixed random weights."""

    def make() -> Artifact:
        torch.manual_seed(0)
        model = DistilBertCNN(tiny_config()).eval()
        return Artifact("tiny", model.config, model.weights(), tiny_tokenizer(), Thresholds.fixed(LABELS, 0.5), {}, {})

    return make


def build_faint_artifact(epsilon: float) -> Artifact:
    """Return a tiny model whose probabilities depend on the epsilon of every layer norm.

    All norms read values with a variance of 1e-6 or less. Each engine supports the shape.
    """
    torch.manual_seed(0)
    model = DistilBertCNN(tiny_config(dim=64, layer_norm_eps=epsilon)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("_embeddings.weight", "orm.weight")) or ".out_lin." in name or ".lin2." in name:
                parameter.mul_(1e-3)
        model.conv.weight.mul_(1e4)
    return Artifact("faint", model.config, model.weights(), tiny_tokenizer(), Thresholds.fixed(LABELS, 0.5), {}, {})


@pytest.fixture(scope="session")
def shipped() -> Artifact:
    """The shipped artifact, loaded."""
    return artifact.load(artifact.DEFAULT)


@pytest.fixture(scope="session")
def tagger() -> EmotionTagger:
    """The shipped model in float32 on the CPU."""
    return EmotionTagger.load(on="cpu", precision="fp32")
