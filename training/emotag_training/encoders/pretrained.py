"""The pretrained encoder of a model: any DistilBERT or BERT; to distill from, any MPNet.

A BERT encoder equals a DistilBERT encoder once the embedding of the first token type is added to every position's
embedding; only the parameters' names differ. A test holds the two to 1e-5.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer
from torch import Tensor

from emotag_model.config import ModelConfig
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_training.errors import EncoderError, Unreachable

from .mpnet import NORM_EPSILON as MPNET_EPSILON
from .mpnet import RANGES, UNUSED_POSITIONS, MpnetCNN
from .names import ORIGINS, find_encoder


@dataclass(frozen=True)
class UnpackedEncoder:
    """An encoder that a package carries as ONNX, and that is unpacked once.

    Attributes:
        graph: the file in the package's archive.
        tokenizer: the file of the tokenizer.
        sha256: of the graph.
        heads: attention heads, the only dimension that the weights do not contain.
    """

    graph: str
    tokenizer: str
    sha256: str
    heads: int


UNPACKED = {
    "bge-small": UnpackedEncoder(
        graph="bge-small-en-v1.5.onnx",
        tokenizer="bge-small-en-v1.5-tokenizer.json",
        sha256="828e1496d7fabb79cfa4dcd84fa38625c0d3d21da474a00f08db0f559940cf35",
        heads=12,
    )
}

BERT = {"layer_norm_eps": 1e-12}
"""The settings that `Encoder` supports."""

MPNET = {
    "layer_norm_eps": MPNET_EPSILON,
    "relative_attention_num_buckets": RANGES,
    "pad_token_id": UNUSED_POSITIONS - 1,
}
"""The settings that `MpnetEncoder` supports."""

POSITIONS = "embeddings.position_embeddings.weight"

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


@dataclass(frozen=True)
class PretrainedEncoder:
    """An encoder as it was published.

    Attributes:
        origin: its published name, or the folder it was read from.
        weights: by DistilBERT's names.
        model: the class of the model on it.
    """

    origin: str
    dimensions: dict[str, int]
    weights: dict[str, Tensor]
    tokenizer: Tokenizer
    model: type[DistilBertCNN] = DistilBertCNN

    @property
    def only_teaches(self) -> bool:
        """True if no engine computes this encoder, so that no artifact can hold its model."""
        return self.model is not DistilBertCNN

    def grow(self, **settings: Any) -> DistilBertCNN:
        """Return a model on this encoder, with an untrained head.

        Args:
            settings: the rest of `ModelConfig`: labels, max_tokens, dropouts, attention_heads (default 0: none).
        """
        shape: dict[str, Any] = {**self.dimensions, **settings}
        model = self.model(ModelConfig(**shape))
        model.encoder.load_state_dict(self.weights)
        return model


def load_encoder(name: str) -> PretrainedEncoder:
    """Load an encoder by short name, folder or hub id (`distilbert-base-uncased`).

    Raises:
        EncoderError: the encoder cannot be found, or is not a DistilBERT, BERT or MPNet.
        Unreachable: the hub cannot be reached.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError
    from transformers import AutoModel, AutoTokenizer  # takes ten seconds
    from transformers.utils.logging import disable_progress_bar

    # It reports every parameter of the pre-training head that an encoder has no use for.
    logging.getLogger("transformers").setLevel(logging.ERROR)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # reports each attempt to reach the hub
    disable_progress_bar()  # type: ignore[no-untyped-call]  # the bar of loading; a download keeps its bar
    location = find_encoder(name)
    try:
        # The user chooses the revision together with the name; a folder has no revision.
        encoder = AutoModel.from_pretrained(location)  # nosec B615
        tokenizer = AutoTokenizer.from_pretrained(location)  # nosec B615
    except (OSError, ValueError) as error:
        if isinstance(error.__cause__, LocalEntryNotFoundError):
            raise Unreachable(
                f"cannot download encoder {name!r} from https://huggingface.co: no connection; try again, or run"
                f" `hf download {name} --local-dir DIR` where you have a network, and name the folder: --encoder DIR"
            ) from error
        raise EncoderError(f"encoder {name!r} cannot be loaded: {error}") from error
    model, dimensions, weights = _convert(name, encoder)
    return PretrainedEncoder(
        ORIGINS.get(name, name),
        dimensions,
        weights,
        Tokenizer.from_str(tokenizer.backend_tokenizer.to_str()),
        model=model,
    )


def _convert(name: str, encoder: Any) -> tuple[type[DistilBertCNN], dict[str, int], dict[str, Tensor]]:
    """Return the model that fits an encoder, its dimensions, and its weights by DistilBERT's names.

    Raises:
        EncoderError: no model computes what this encoder does.
    """
    from transformers import BertModel, DistilBertModel, MPNetModel

    config = encoder.config
    shared = {"vocab_size": config.vocab_size, "pad_token_id": config.pad_token_id or 0}
    positions = config.max_position_embeddings
    if isinstance(encoder, DistilBertModel):
        if config.activation != "gelu" or config.sinusoidal_pos_embds:
            raise EncoderError(
                f"encoder {name!r} has the activation {config.activation} or fixed positions; use one with gelu and"
                " learned positions"
            )
        dimensions = {
            "dim": config.dim,
            "n_layers": config.n_layers,
            "n_heads": config.n_heads,
            "hidden_dim": config.hidden_dim,
        }
        return DistilBertCNN, {**dimensions, **shared, "max_position_embeddings": positions}, dict(encoder.state_dict())
    if not isinstance(encoder, BertModel | MPNetModel):
        raise EncoderError(f"encoder {name!r} is a {type(encoder).__name__}; use a DistilBERT, a BERT or an MPNet")
    if config.hidden_act != "gelu":
        raise EncoderError(f"encoder {name!r} has the activation {config.hidden_act}; use one with gelu")
    published = MPNET if isinstance(encoder, MPNetModel) else BERT
    if unlike := ", ".join(key for key, value in published.items() if getattr(config, key) != value):
        kind = type(encoder).__name__.removesuffix("Model")
        raise EncoderError(f"encoder {name!r} differs from the published {kind} in {unlike}; emotag cannot compute it")
    dimensions = {
        "dim": config.hidden_size,
        "n_layers": config.num_hidden_layers,
        "n_heads": config.num_attention_heads,
        "hidden_dim": config.intermediate_size,
        **shared,
    }
    if isinstance(encoder, BertModel):
        weights = convert_bert(dict(encoder.state_dict()))
        return DistilBertCNN, {**dimensions, "max_position_embeddings": positions}, weights
    weights = convert_mpnet(dict(encoder.state_dict()))
    return MpnetCNN, {**dimensions, "max_position_embeddings": positions - UNUSED_POSITIONS}, weights


def convert_bert(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return BERT's encoder parameters under DistilBERT's names, the first token type folded into the positions."""
    renamed = _rename_weights(weights, BERT_TO_DISTILBERT)
    renamed[POSITIONS] = renamed[POSITIONS] + weights["embeddings.token_type_embeddings.weight"][0]
    return renamed


def convert_mpnet(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return MPNet's encoder parameters under the names of `MpnetEncoder`."""
    renamed = _rename_weights(weights, MPNET_TO_DISTILBERT)
    renamed[POSITIONS] = renamed[POSITIONS][UNUSED_POSITIONS:]
    renamed["bias_RH"] = weights["encoder.relative_attention_bias.weight"]
    return renamed


def _rename_weights(weights: dict[str, Tensor], modules: Mapping[str, str]) -> dict[str, Tensor]:
    """Return layers and embeddings under DistilBERT's names, without the others; *modules* renames parts of a layer."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if name.startswith("encoder.layer."):
            _, _, layer, *rest = name.split(".")
            module, parameter = ".".join(rest[:-1]), rest[-1]
            renamed[f"transformer.layer.{layer}.{modules[module]}.{parameter}"] = tensor
        elif name.startswith("embeddings.") and "token_type" not in name and "position_ids" not in name:
            renamed[name] = tensor
    return renamed
