"""Converted encoders compute what transformers computes, and encoders that no model computes are refused."""

import re
from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
    GPT2Config,
    GPT2Model,
    MPNetConfig,
    MPNetModel,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from emotag_training.encoders.conversion import convert
from emotag_training.encoders.pretrained import PretrainedEncoder
from emotag_training.errors import EncoderError
from tests.numerics.conftest import tiny_tokenizer

POSITIONS = 40
"""Positions that a text can have."""

BERT_SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
DISTILBERT_SIZES = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}

ENCODERS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "DistilBERT": (DistilBertModel, DistilBertConfig, DISTILBERT_SIZES),
    "BERT": (BertModel, BertConfig, BERT_SIZES),
    "BERT with another epsilon": (BertModel, BertConfig, {**BERT_SIZES, "layer_norm_eps": 1e-5}),
    "ELECTRA": (ElectraModel, ElectraConfig, {**BERT_SIZES, "embedding_size": 32}),
    "RoBERTa": (RobertaModel, RobertaConfig, {**BERT_SIZES, "layer_norm_eps": 1e-5, "type_vocab_size": 1}),
    "XLM-R": (XLMRobertaModel, XLMRobertaConfig, {**BERT_SIZES, "layer_norm_eps": 1e-5, "type_vocab_size": 1}),
    "MPNet": (MPNetModel, MPNetConfig, {**BERT_SIZES, "layer_norm_eps": 1e-5}),
}
WITH_UNUSED_POSITIONS = ("RoBERTa", "XLM-R", "MPNet")


def build(name: str, **changes: Any) -> Any:
    """Return a random encoder of transformers, whose weights all differ from 0 and 1."""
    model, config, settings = ENCODERS[name]
    torch.manual_seed(0)
    unused = 2 if name in WITH_UNUSED_POSITIONS else 0
    made = model(config(vocab_size=64, max_position_embeddings=POSITIONS + unused, **{**settings, **changes}))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return made.eval()


@pytest.mark.parametrize("length", [6, POSITIONS])
@pytest.mark.parametrize("name", ENCODERS)
def test_a_converted_encoder_gives_the_hidden_states_of_transformers(name: str, length: int) -> None:
    """Up to the last position, and next to padding."""
    reference = build(name)
    kind, settings, weights = convert(name, reference)
    assert POSITIONS == settings["max_position_embeddings"]
    start = PretrainedEncoder(name, settings, weights, tiny_tokenizer(), model=kind)
    model = start.grow(labels=("a", "b"), max_tokens=POSITIONS).eval()
    pad_id = model.config.pad_token_id
    ids_BL = torch.randint(2, 64, (2, length))
    ids_BL[1, 3:] = pad_id
    mask_BL = ids_BL != pad_id
    with torch.inference_mode():
        expected_BLC = reference(ids_BL, attention_mask=mask_BL.long()).last_hidden_state
        found_BLC = model.encoder(ids_BL, mask_BL)
    assert (expected_BLC - found_BLC)[mask_BL].abs().max() < 1e-5


def test_an_electra_with_narrow_embeddings_is_refused() -> None:
    """As the small one that was published: a linear layer after the first norm cannot be part of a table."""
    with pytest.raises(EncoderError, match=r"embeddings of 16 numbers and layers of 32 .*electra-base"):
        convert("mine", build("ELECTRA", embedding_size=16))


@pytest.mark.parametrize("name", ["BERT", "RoBERTa", "ELECTRA", "MPNet"])
def test_another_activation_is_refused(name: str) -> None:
    with pytest.raises(EncoderError, match="'mine' has the activation relu; use one with gelu"):
        convert("mine", build(name, hidden_act="relu"))


@pytest.mark.parametrize(
    ("name", "place", "refused"),
    [
        ("BERT", "encoder.layer.1", "encoder.layer.1.adapter.weight"),
        ("BERT", "encoder.layer.1.output.dense", "encoder.layer.1.output.dense.adapter.weight"),
        ("DistilBERT", "transformer.layer.0.ffn", "transformer.layer.0.ffn.adapter.weight"),
        ("BERT", "embeddings", "embeddings.adapter.weight"),
        ("MPNet", "embeddings", "embeddings.adapter.weight"),
        ("DistilBERT", "embeddings", "embeddings.adapter.weight"),
    ],
)
def test_an_encoder_with_a_parameter_more_is_refused_by_its_name(name: str, place: str, refused: str) -> None:
    """For example, with an adapter in each layer, or with another table of embeddings."""
    encoder = build(name)
    encoder.get_submodule(place).adapter = torch.nn.Linear(32, 32)
    with pytest.raises(
        EncoderError, match=rf"has the parameter {re.escape(refused)}, and emotag cannot compute it; use"
    ):
        convert("mine", encoder)


def test_a_parameter_more_in_a_linear_layer_is_refused() -> None:
    encoder = build("BERT")
    encoder.encoder.layer[0].output.dense.scale = torch.nn.Parameter(torch.ones(32))
    with pytest.raises(EncoderError, match=r"has the parameter encoder\.layer\.0\.output\.dense\.scale, and emotag"):
        convert("mine", encoder)


def test_counted_positions_of_older_files_are_no_parameter() -> None:
    encoder = build("BERT")
    encoder.embeddings.register_buffer("position_ids", torch.arange(POSITIONS), persistent=True)
    assert "embeddings.position_ids" in encoder.state_dict()
    assert "embeddings.position_ids" not in convert("mine", encoder)[2]


@pytest.mark.parametrize("name", ["BERT", "RoBERTa", "ELECTRA"])
def test_relative_positions_are_refused(name: str) -> None:
    with pytest.raises(EncoderError, match="'mine' has the position_embedding_type relative_key"):
        convert("mine", build(name, position_embedding_type="relative_key"))


@pytest.mark.parametrize("changes", [{"activation": "relu"}, {"sinusoidal_pos_embds": True}])
def test_another_distilbert_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(EncoderError, match="use one with gelu and learned positions"):
        convert("mine", build("DistilBERT", **changes))


def test_an_mpnet_with_other_distances_is_refused() -> None:
    with pytest.raises(EncoderError, match="published MPNet in relative_attention_num_buckets"):
        convert("mine", build("MPNet", relative_attention_num_buckets=16))


def test_any_other_encoder_is_refused_with_those_that_are_supported() -> None:
    with pytest.raises(EncoderError, match=r"'mine' is a GPT2Model; use a DistilBERT, .*RoBERTa, XLM-R or ELECTRA"):
        convert("mine", GPT2Model(GPT2Config(vocab_size=64, n_embd=32, n_layer=1, n_head=4)))
