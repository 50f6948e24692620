"""The work of a forward pass by kind: operations of products and attention, and bytes of everything between them."""

from collections.abc import Sequence
from dataclasses import dataclass

from emotag_model.config import ModelConfig

FLOAT_BYTES = 4


@dataclass(frozen=True)
class Work:
    """The work that texts need, without padding. A multiplication and an addition count as two operations.

    Attributes:
        products: operations of the linear layers, the convolution and the classifier.
        attention: operations of the two products within each text's attention.
        moved_bytes: of norms, activations and softmax. Each tensor between two products is read and written once in
            float32, as in an engine that fuses everything it can.
    """

    products: float
    attention: float
    moved_bytes: float

    @property
    def flops(self) -> float:
        """All operations. Norms, activations and softmax are not counted, as is usual: they are about 1 %."""
        return self.products + self.attention

    def divide(self, count: int) -> "Work":
        """Return the work of one of *count* texts on average."""
        return Work(self.products / count, self.attention / count, self.moved_bytes / count)


def count_work(config: ModelConfig, lengths: Sequence[int]) -> Work:
    """Return the work of one forward pass over texts of these lengths."""
    C, hidden, tokens = config.dim, config.hidden_dim, sum(lengths)
    squares = sum(length * length for length in lengths)
    per_token = config.n_layers * (4 * 2 * C * C + 2 * 2 * C * hidden)
    per_token += 2 * config.kernel_size * C * config.channels
    # In each layer: two norms with their residuals, an activation, a softmax. Then the norm of the embeddings, and the
    # activation of the convolution.
    elements = tokens * (config.n_layers * (2 * C + hidden) + C + config.channels)
    elements += config.n_layers * config.n_heads * squares
    return Work(
        products=per_token * tokens + len(lengths) * 2 * config.channels * len(config.labels),
        attention=config.n_layers * 2 * 2 * C * squares,
        moved_bytes=2 * FLOAT_BYTES * elements,
    )
