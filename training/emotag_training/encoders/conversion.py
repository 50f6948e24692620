"""Encoders of transformers under DistilBERT's names: DistilBERT, BERT, RoBERTa, XLM-R, ELECTRA and MPNet.

All but MPNet equal a DistilBERT once their embeddings are rewritten; only the names of the parameters differ. Tests
compare each with transformers, to 1e-5. Two things are rewritten:

- The embedding of the first token type is added to the embedding of each position: a text has no other token types.
- RoBERTa, XLM-R and MPNet count positions from the id after the padding's, so the positions before are dropped.

ELECTRA's small models have narrow embeddings: a linear layer widens them after the first layer norm. No table of
embeddings has the same effect, because a layer norm is not linear. Such a model is refused.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_training.errors import EncoderError

from .mpnet import PADDING_ID, RANGES, MpnetCNN

Weights = dict[str, Tensor]

POSITIONS = "embeddings.position_embeddings.weight"

TYPES = "embeddings.token_type_embeddings.weight"
EMBEDDINGS = (
    *("embeddings.word_embeddings.weight", POSITIONS),
    *("embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias"),
)
"""Parameters with equal names in all encoders."""

DROPPED = (TYPES, "embeddings.token_type_ids", "embeddings.position_ids")
"""The first one is added to the positions. The others, which older files have, count up or are zero."""

BERT_TO_DISTILBERT = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}

OF_DISTILBERT = {module: module for module in BERT_TO_DISTILBERT.values()}

MPNET_TO_DISTILBERT = {
    "attention.attn.q": "attention.q_lin",
    "attention.attn.k": "attention.k_lin",
    "attention.attn.v": "attention.v_lin",
    "attention.attn.o": "attention.out_lin",
    "attention.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}


def convert(name: str, encoder: Any) -> tuple[type[DistilBertCNN], dict[str, Any], Weights]:
    """Return the model that fits an encoder, the settings of `ModelConfig` that it decides, and its weights.

    Args:
        name: of the encoder, for errors.
        encoder: a model of transformers.

    Raises:
        EncoderError: no model computes what this encoder does, or it has a parameter that no model has.
    """
    from transformers import BertModel, DistilBertModel, ElectraModel, MPNetModel, RobertaModel, XLMRobertaModel

    config, weights = encoder.config, dict(encoder.state_dict())
    model = DistilBertCNN
    _require_absolute_positions(name, config)
    match encoder:
        case DistilBertModel():
            return model, _describe_distilbert(name, config), _rename_weights(weights, OF_DISTILBERT)
        case BertModel() | ElectraModel():
            _require_equal_sizes(name, config)
            weights = convert_bert(weights)
        case RobertaModel() | XLMRobertaModel():
            weights = convert_bert(weights, unused_positions=config.pad_token_id + 1)
        case MPNetModel():
            _require_published_mpnet(name, config)
            model, weights = MpnetCNN, convert_mpnet(weights)
        case _:
            raise EncoderError(
                f"encoder {name!r} is a {type(encoder).__name__}; use a DistilBERT, BERT, RoBERTa, XLM-R or ELECTRA, or"
                " to distill from, an MPNet"
            )
    return model, _describe_bert(name, config, positions=len(weights[POSITIONS])), weights


def _describe_distilbert(name: str, config: Any) -> dict[str, Any]:
    """Return the settings of a DistilBERT, whose config has other names than BERT's."""
    if config.activation != "gelu" or config.sinusoidal_pos_embds:
        raise EncoderError(
            f"encoder {name!r} has the activation {config.activation} or fixed positions; use one with gelu and"
            " learned positions"
        )
    return {
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_position_embeddings,
        "dim": config.dim,
        "n_layers": config.n_layers,
        "n_heads": config.n_heads,
        "hidden_dim": config.hidden_dim,
        "pad_token_id": config.pad_token_id or 0,
    }


def _describe_bert(name: str, config: Any, *, positions: int) -> dict[str, Any]:
    """Return the settings of any other encoder."""
    if config.hidden_act != "gelu":
        raise EncoderError(f"encoder {name!r} has the activation {config.hidden_act}; use one with gelu")
    return {
        "vocab_size": config.vocab_size,
        "max_position_embeddings": positions,
        "dim": config.hidden_size,
        "n_layers": config.num_hidden_layers,
        "n_heads": config.num_attention_heads,
        "hidden_dim": config.intermediate_size,
        "pad_token_id": config.pad_token_id or 0,
        "layer_norm_eps": config.layer_norm_eps,
    }


def _require_equal_sizes(name: str, config: Any) -> None:
    narrow = getattr(config, "embedding_size", config.hidden_size)
    if narrow != config.hidden_size:
        raise EncoderError(
            f"encoder {name!r} has embeddings of {narrow} numbers and layers of {config.hidden_size} (embedding_size,"
            " hidden_size in config.json), and emotag cannot compute the layer between them; use an encoder with equal"
            " sizes, for example google/electra-base-discriminator"
        )


def _require_absolute_positions(name: str, config: Any) -> None:
    kind = getattr(config, "position_embedding_type", "absolute")
    if kind != "absolute":
        raise EncoderError(
            f"encoder {name!r} has the position_embedding_type {kind} (config.json); use one with absolute positions"
        )


def _require_published_mpnet(name: str, config: Any) -> None:
    published = {"relative_attention_num_buckets": RANGES, "pad_token_id": PADDING_ID}
    if unlike := ", ".join(key for key, value in published.items() if getattr(config, key) != value):
        raise EncoderError(f"encoder {name!r} differs from the published MPNet in {unlike}; emotag cannot compute it")


def convert_bert(weights: Mapping[str, Tensor], *, unused_positions: int = 0) -> Weights:
    """Return the encoder parameters of a BERT, RoBERTa, XLM-R or ELECTRA under DistilBERT's names.

    Args:
        unused_positions: the number of positions at the start of the table that no token of a text has.
    """
    renamed = _rename_weights(weights, BERT_TO_DISTILBERT)
    renamed[POSITIONS] = renamed[POSITIONS][unused_positions:] + weights[TYPES][0]
    return renamed


def convert_mpnet(weights: Mapping[str, Tensor]) -> Weights:
    """Return MPNet's encoder parameters under the names of `MpnetEncoder`."""
    renamed = _rename_weights(weights, MPNET_TO_DISTILBERT)
    renamed[POSITIONS] = renamed[POSITIONS][PADDING_ID + 1 :]
    renamed["bias_RH"] = weights["encoder.relative_attention_bias.weight"]
    return renamed


def _rename_weights(weights: Mapping[str, Tensor], modules: Mapping[str, str]) -> Weights:
    """Return layers and embeddings under DistilBERT's names, without the others; *modules* renames parts of a layer.

    Raises:
        EncoderError: a layer has a part that *modules* does not name, or the embeddings have a part that emotag cannot
            compute.
    """
    renamed: Weights = {}
    for name, tensor in weights.items():
        if name.startswith(("encoder.layer.", "transformer.layer.")):
            _, _, layer, *rest = name.split(".")
            module, parameter = ".".join(rest[:-1]), rest[-1]
            if module not in modules or parameter not in ("weight", "bias"):
                raise _refuse_parameter(name)
            renamed[f"transformer.layer.{layer}.{modules[module]}.{parameter}"] = tensor
        elif name.startswith("embeddings.") and name not in DROPPED:
            if name not in EMBEDDINGS:
                raise _refuse_parameter(name)
            renamed[name] = tensor
    return renamed


def _refuse_parameter(name: str) -> EncoderError:
    return EncoderError(
        f"the encoder has the parameter {name}, and emotag cannot compute it; use an encoder as it was published"
    )
