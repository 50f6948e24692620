"""The shape of a model: everything but its weights."""

from dataclasses import dataclass

MOST = 2**24
"""Largest value of any count here: a thousand times what models of this kind have, and small enough to multiply."""
MOST_LAYERS = 256
LEAST_EPSILON, MOST_EPSILON = 1e-12, 1e-2
"""Within these, an epsilon of a layer norm is above zero in float32, and below what it is added to."""


@dataclass(frozen=True)
class ModelConfig:
    """Everything that decides the shape of the model; stored in the artifact next to the weights.

    Attributes:
        layer_norm_eps: epsilon of every layer norm, the head's included; 1e-12 in the published DistilBERT, BERT and
            ELECTRA, 1e-5 in RoBERTa and XLM-R.
        attention_heads: heads of one self-attention between encoder and convolution; 0 for a head without attention.
    """

    vocab_size: int
    max_position_embeddings: int
    dim: int
    n_layers: int
    n_heads: int
    hidden_dim: int
    labels: tuple[str, ...]
    pad_token_id: int = 0
    max_tokens: int = 128
    channels: int = 128
    kernel_size: int = 5
    head_dropout: float = 0.42
    encoder_dropout: float = 0.1
    attention_heads: int = 0
    layer_norm_eps: float = 1e-12

    def __post_init__(self) -> None:
        for name in (
            "vocab_size",
            "max_position_embeddings",
            "dim",
            "n_heads",
            "hidden_dim",
            "channels",
            "kernel_size",
        ):
            self._within(name, MOST)
        self._within("n_layers", MOST_LAYERS)
        if self.dim % self.n_heads:
            raise ValueError(f"dim {self.dim} is not a multiple of n_heads {self.n_heads}")
        self._within("attention_heads", MOST, least=0)
        if self.attention_heads and self.dim % self.attention_heads:
            raise ValueError(f"dim {self.dim} is not a multiple of attention_heads {self.attention_heads}")
        if not isinstance(self.layer_norm_eps, float) or not LEAST_EPSILON <= self.layer_norm_eps <= MOST_EPSILON:
            raise ValueError(
                f"layer_norm_eps {self.layer_norm_eps!r:.40} is not a number within [{LEAST_EPSILON}, {MOST_EPSILON}]"
            )
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {self.kernel_size} is even; an odd size keeps the length of a text")
        if not 3 <= self.max_tokens <= self.max_position_embeddings:  # two special tokens, and one of the text
            raise ValueError(f"max_tokens {self.max_tokens} is not within [3, {self.max_position_embeddings}]")

    def _within(self, name: str, most: int, *, least: int = 1) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"{name} {value!r:.40} is not a whole number within [{least}, {most}]")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter of `DistilBertCNN` by its name, without torch."""
        C, M = self.dim, self.hidden_dim
        found: dict[str, tuple[int, ...]] = {
            "encoder.embeddings.word_embeddings.weight": (self.vocab_size, C),
            "encoder.embeddings.position_embeddings.weight": (self.max_position_embeddings, C),
            "conv.weight": (self.channels, C, self.kernel_size),
            "conv.bias": (self.channels,),
        }

        def linear(name: str, outputs: int, inputs: int) -> None:
            found[f"{name}.weight"], found[f"{name}.bias"] = (outputs, inputs), (outputs,)

        def norm(name: str) -> None:
            found[f"{name}.weight"], found[f"{name}.bias"] = (C,), (C,)

        norm("encoder.embeddings.LayerNorm")
        for layer in (f"encoder.transformer.layer.{number}" for number in range(self.n_layers)):
            for name in ("q_lin", "k_lin", "v_lin", "out_lin"):
                linear(f"{layer}.attention.{name}", C, C)
            norm(f"{layer}.sa_layer_norm")
            linear(f"{layer}.ffn.lin1", M, C)
            linear(f"{layer}.ffn.lin2", C, M)
            norm(f"{layer}.output_layer_norm")
        if self.attention_heads:
            for name in ("q_lin", "k_lin", "v_lin", "out_lin"):
                linear(f"head_attention.attention.{name}", C, C)
            norm("head_attention.norm")
        linear("classifier", len(self.labels), self.channels)
        return found
