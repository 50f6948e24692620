"""An encoder is loaded from a folder with its tokenizer, as `--encoder FOLDER` and `--encoder HUB-ID` do it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, processors
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.thresholds import Thresholds
from emotag_training.encoders.pretrained import load_encoder
from emotag_training.errors import EncoderError, RecipeError
from emotag_training.recipe import HeadSection
from tests.encoders import save_encoder
from tests.numerics.conftest import LABELS, byte_level_tokenizer, tiny_config, tiny_tokenizer, unigram_tokenizer

TEXTS = ("", "glad to see you", "a b <mask> c", "wonderful 😂")

ENCODERS: dict[str, tuple[Any, Any, Callable[[], Tokenizer], int]] = {
    "BERT": (BertModel, BertConfig, tiny_tokenizer, 0),
    "ELECTRA": (ElectraModel, ElectraConfig, tiny_tokenizer, 0),
    "RoBERTa": (RobertaModel, RobertaConfig, byte_level_tokenizer, 1),
    "XLM-R": (XLMRobertaModel, XLMRobertaConfig, unigram_tokenizer, 1),
}
"""Model, config, tokenizer and the id of the padding."""

SIZES: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_is_loaded_with_its_tokenizer(name: str, tmp_path: Path) -> None:
    """Whose special tokens and padding have the ids that the encoder was trained with."""
    model, config, make, pad_id = ENCODERS[name]
    tokenizer = make()
    sizes = config(vocab_size=300, embedding_size=32, layer_norm_eps=1e-5, **SIZES)
    save_encoder(tmp_path, model, sizes, tokenizer)
    encoder = load_encoder(str(tmp_path))
    config_ = encoder.grow(labels=("a", "b"), max_tokens=16).config
    assert (pad_id, 1e-5, 32) == (config_.pad_token_id, config_.layer_norm_eps, config_.dim)
    assert [tokenizer.encode(text).ids for text in TEXTS] == [encoder.tokenizer.encode(text).ids for text in TEXTS]
    assert not encoder.only_teaches


def test_a_distilbert_is_loaded_too(tmp_path: Path) -> None:
    """Its config has other names than BERT's, and no epsilon."""
    config = DistilBertConfig(vocab_size=64, dim=32, n_heads=4, n_layers=1)
    save_encoder(tmp_path, DistilBertModel, config, tiny_tokenizer())
    loaded = load_encoder(str(tmp_path)).grow(labels=("a", "b"), max_tokens=16).config
    assert (32, 1e-12) == (loaded.dim, loaded.layer_norm_eps)


def test_a_tokenizer_with_other_special_tokens_is_refused(tmp_path: Path) -> None:
    """A model's window begins and ends with one."""
    tokenizer = byte_level_tokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s> </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    save_encoder(tmp_path, BertModel, BertConfig(vocab_size=300, **SIZES), tokenizer)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    with pytest.raises(EncoderError, match="adds 3 special tokens to a text, and emotag needs one at each end"):
        load_encoder(str(tmp_path))


def test_an_encoder_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="nowhere"):
        load_encoder(str(tmp_path / "nowhere"))


@pytest.fixture
def saved(tmp_path: Path) -> Artifact:
    """A tiny artifact, in `tmp_path`."""
    model = DistilBertCNN(tiny_config())
    thresholds = Thresholds.fixed(model.config.labels, 0.5)
    record = {"encoder": "tiny-encoder"}
    made = Artifact("tiny", model.config, model.weights(), tiny_tokenizer(), thresholds, {}, record)
    artifact.save(made, tmp_path, card="", dtype="fp32")
    return made


def test_the_encoder_of_an_artifact_is_loaded_without_its_head(saved: Artifact, tmp_path: Path) -> None:
    encoder = load_encoder(str(tmp_path))
    assert ("tiny-encoder", f"tiny ({artifact.load(tmp_path).version})") == (encoder.origin, encoder.continued_from)
    grown = encoder.grow(labels=saved.config.labels, max_tokens=32, channels=16).weights()
    assert all(np.array_equal(values, grown[name]) for name, values in saved.weights.items() if "encoder" in name)
    assert saved.weights["classifier.bias"].tolist() != grown["classifier.bias"].tolist()


def test_the_head_of_an_artifact_is_continued_on_request(saved: Artifact, tmp_path: Path) -> None:
    encoder = load_encoder(str(tmp_path))
    model = encoder.grow(labels=saved.config.labels, max_tokens=32, channels=16)
    encoder.continue_head(model, HeadSection())
    assert all(np.array_equal(values, saved.weights[name]) for name, values in model.weights().items())


@pytest.mark.parametrize(
    ("labels", "head", "message"),
    [
        (("a", "b"), {}, r"tiny \(sha256:.*\) has other labels than the data; remove the key"),
        (LABELS, {"kernel_sizes": "3+5"}, r"head.kernel_sizes = '3\+5', but tiny .* has '5'; set head.kernel_sizes=5,"),
        (LABELS, {"attention_heads": 2}, "head.attention_heads = 2, but tiny .* has 0; set head.attention_heads=0,"),
    ],
    ids=["labels", "kernels", "attention"],
)
def test_a_head_that_does_not_fit_is_refused(
    saved: Artifact, tmp_path: Path, labels: tuple[str, ...], head: dict[str, Any], message: str
) -> None:
    encoder = load_encoder(str(tmp_path))
    attention = {"attention_heads": head["attention_heads"]} if "attention_heads" in head else {}
    model = encoder.grow(labels=labels, max_tokens=32, channels=16, **attention)
    with pytest.raises(RecipeError, match=message):
        encoder.continue_head(model, HeadSection(**head))


def test_a_published_encoder_has_no_head_to_continue(tmp_path: Path) -> None:
    config = DistilBertConfig(vocab_size=64, dim=32, n_heads=4, n_layers=1)
    save_encoder(tmp_path, DistilBertModel, config, tiny_tokenizer())
    encoder = load_encoder(str(tmp_path))
    with pytest.raises(
        RecipeError, match=r"head\.continued = true: .* has no head; name the folder of a trained model"
    ):
        encoder.continue_head(encoder.grow(labels=("a", "b"), max_tokens=16), HeadSection())
