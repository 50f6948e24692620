"""DistilBertCNN: a DistilBERT encoder, one convolution over its tokens, a global max pool, a linear layer.

    token ids → encoder (DistilBERT) → [self-attention] → Conv1d 128×5 → ReLU → max over time → dropout 0.42 → linear 28

The self-attention between encoder and convolution is an option (`ModelConfig.attention_heads`).

The encoder is written out here and not imported: it is eighty lines, its parameter names are those of
`transformers.DistilBertModel` (so any such checkpoint loads unchanged), a test compares the two, and a worker starts
without the ten seconds that importing transformers takes.

Padding never changes a result. Attention masks padding, the convolution sees zeros in its place (the same as after the
end of a text), and the pool leaves it out. Masking the pool alone would still let padding leak in through the kernel.

Sources: DistilBERT, Sanh et al. 2019 (arXiv:1910.01108); convolution over tokens, Kim 2014 (arXiv:1408.5882).
"""

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
import torch.nn.functional as F  # noqa: N812  (the field's own name for it)
from torch import Tensor, nn

from .config import ModelConfig
from .weights import Array


class Embeddings(nn.Module):
    """The sum of token and position embedding, normalized."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.dim, padding_idx=config.pad_token_id)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.dim)
        self.LayerNorm = nn.LayerNorm(config.dim, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.encoder_dropout)

    def forward(self, ids_BL: Tensor) -> Tensor:
        embedded_BLC = self.word_embeddings(ids_BL) + self.position_embeddings.weight[: ids_BL.shape[1]]
        return self.dropout(self.LayerNorm(embedded_BLC))  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Multi-head self-attention within each text."""

    def __init__(self, config: ModelConfig, *, heads: int) -> None:
        super().__init__()
        self.n_heads = heads
        self.dropout_p = config.encoder_dropout
        self.q_lin = nn.Linear(config.dim, config.dim)
        self.k_lin = nn.Linear(config.dim, config.dim)
        self.v_lin = nn.Linear(config.dim, config.dim)
        self.out_lin = nn.Linear(config.dim, config.dim)

    def forward(self, hidden_BLC: Tensor, attend_B11L: Tensor) -> Tensor:
        B, L, C = hidden_BLC.shape

        def heads(x_BLC: Tensor) -> Tensor:
            return x_BLC.view(B, L, self.n_heads, C // self.n_heads).transpose(1, 2)

        context_BHLD = F.scaled_dot_product_attention(
            heads(self.q_lin(hidden_BLC)),
            heads(self.k_lin(hidden_BLC)),
            heads(self.v_lin(hidden_BLC)),
            attn_mask=attend_B11L,
            dropout_p=self.dropout_p if self.training else 0.0,
        )
        return self.out_lin(context_BHLD.transpose(1, 2).reshape(B, L, C))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """Two linear layers around an exact GELU."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.lin1 = nn.Linear(config.dim, config.hidden_dim)
        self.lin2 = nn.Linear(config.hidden_dim, config.dim)
        self.dropout = nn.Dropout(config.encoder_dropout)

    def forward(self, hidden_BLC: Tensor) -> Tensor:
        return self.dropout(self.lin2(F.gelu(self.lin1(hidden_BLC))))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """One post-norm transformer layer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention = Attention(config, heads=config.n_heads)
        self.sa_layer_norm = nn.LayerNorm(config.dim, eps=config.layer_norm_eps)
        self.ffn = FeedForward(config)
        self.output_layer_norm = nn.LayerNorm(config.dim, eps=config.layer_norm_eps)

    def forward(self, hidden_BLC: Tensor, attend_B11L: Tensor) -> Tensor:
        hidden_BLC = self.sa_layer_norm(self.attention(hidden_BLC, attend_B11L) + hidden_BLC)
        return self.output_layer_norm(self.ffn(hidden_BLC) + hidden_BLC)  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """The stack of layers."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.n_layers))

    def forward(self, hidden_BLC: Tensor, attend_B11L: Tensor) -> Tensor:
        for layer in self.layer:
            hidden_BLC = layer(hidden_BLC, attend_B11L)
        return hidden_BLC


class Encoder(nn.Module):
    """DistilBERT without a head, with the parameter names and the output of transformers' DistilBertModel."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.transformer = Transformer(config)

    def forward(self, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """Return hidden states [B, L, C]; mask_BL is true on real tokens."""
        attend_B11L = mask_BL[:, None, None, :]
        return self.transformer(self.embeddings(ids_BL), attend_B11L)  # type: ignore[no-any-return]


class HeadAttention(nn.Module):
    """One self-attention between encoder and convolution, with residual and post-norm."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention = Attention(config, heads=config.attention_heads)
        self.norm = nn.LayerNorm(config.dim, eps=config.layer_norm_eps)

    def forward(self, hidden_BLC: Tensor, mask_BL: Tensor) -> Tensor:
        attended_BLC = self.attention(hidden_BLC, mask_BL[:, None, None, :])
        return self.norm(attended_BLC + hidden_BLC)  # type: ignore[no-any-return]


class DistilBertCNN(nn.Module):
    """The reference forward pass, as trained. Faster implementations must equal it.

    Attributes:
        encoder_type: the class of its encoder.
    """

    encoder_type: ClassVar[type[Encoder]] = Encoder

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = self.encoder_type(config)
        self.head_attention = HeadAttention(config) if config.attention_heads else None
        self.conv = nn.Conv1d(config.dim, config.channels, config.kernel_size, padding=config.kernel_size // 2)
        self.dropout = nn.Dropout(config.head_dropout)
        self.classifier = nn.Linear(config.channels, len(config.labels))

    @classmethod
    def of(cls, config: ModelConfig, weights: Mapping[str, Array]) -> Self:
        """Return a model with these weights, for inference."""
        model = cls(config)
        model.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
        return model.eval().requires_grad_(requires_grad=False)

    def weights(self) -> dict[str, Array]:
        """Return every parameter by its name, as an artifact stores them."""
        return {name: tensor.detach().float().cpu().numpy() for name, tensor in self.state_dict().items()}

    def forward(self, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """Return the logits of every label.

        Args:
            ids_BL: token ids, int64, padded with any id at the end of each row.
            mask_BL: bool, true on real tokens; every row has at least one.

        Returns:
            logits_BK, float32 whatever the precision of the weights.
        """
        return self.head(self.encoder(ids_BL, mask_BL), mask_BL)

    def head(self, hidden_BLC: Tensor, mask_BL: Tensor) -> Tensor:
        """Return logits [B, K] from the encoder's hidden states, float32."""
        logits_BK: Tensor = self.classifier(self.dropout(self.pooled(hidden_BLC, mask_BL)))
        return logits_BK.float()

    def pooled(self, hidden_BLC: Tensor, mask_BL: Tensor) -> Tensor:
        """Return the classifier's input for each text, [B, F]: the maximum of every feature over the tokens."""
        return self.features(hidden_BLC, mask_BL).amax(dim=1)

    def features(self, hidden_BLC: Tensor, mask_BL: Tensor) -> Tensor:
        """Return the output of the convolution for each token after ReLU, [B, L, F]; zeros on padding."""
        if self.head_attention is not None:
            hidden_BLC = self.head_attention(hidden_BLC, mask_BL)
        hidden_BLC = hidden_BLC * mask_BL.unsqueeze(-1)
        features_BFL = torch.relu(self.conv(hidden_BLC.transpose(1, 2)))
        # After the ReLU no value is below zero, so zero is the neutral element of the maximum.
        return (features_BFL * mask_BL.unsqueeze(1)).transpose(1, 2)


def find_first(features_BLF: Tensor, pooled_BF: Tensor) -> Tensor:
    """Return the first token that has the largest value of each feature, [B, F], int32."""
    length = features_BLF.shape[1]
    tokens_L1 = torch.arange(length, dtype=torch.int32, device=features_BLF.device).unsqueeze(1)
    # Of equal values, `max` returns any on a GPU.
    return torch.where(features_BLF == pooled_BF.unsqueeze(1), tokens_L1, length - 1).amin(dim=1)
