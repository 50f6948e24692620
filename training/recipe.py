"""How a model is trained: every choice in one frozen value, and the presets by name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """One way of training.

    Attributes:
        epochs: passes over the training texts.
        batch_size: texts per step.
        learning_rate: of the trunk's last layer.
        head_learning_rate: of convolution and classifier, which start from nothing.
        layer_decay: each layer's rate is the next one's times this (Howard and Ruder 2018); 1 gives all the same.
        trainable_layers: how many of the last layers learn, the rest and the embeddings frozen. None: all learn.
        weight_decay: of AdamW, on matrices only.
        warmup: share of all steps over which the rate rises.
        per_epoch_cosine: the rate falls once an epoch, as the original does; otherwise at every step.
        head_dropout: before the classifier.
        hidden_tokens: share of tokens replaced by [MASK] in training, anew at every step: 43,000 texts are few, and a
            model that may not lean on any one word overfits later.
        ema: decay per step of the averaged weights that are evaluated and exported; 0 takes the weights as they are.
        max_tokens: the model's window.
        threshold: `f1` tunes one threshold per label on dev; `fixed:t` takes t for all.
    """

    epochs: int = 5
    batch_size: int = 32
    learning_rate: float = 1.5e-4
    head_learning_rate: float = 1e-3
    layer_decay: float = 0.85
    trainable_layers: int | None = None
    weight_decay: float = 0.01
    warmup: float = 0.05
    per_epoch_cosine: bool = False
    head_dropout: float = 0.3
    hidden_tokens: float = 0.1
    ema: float = 0.999
    max_tokens: int = 128
    threshold: str = "f1"


PRESETS = {
    "default": Recipe(),
    # The seed's own: DistilBERT's last three layers, one rate for all, one threshold for every label.
    "original": Recipe(
        epochs=5,
        learning_rate=7e-5,
        head_learning_rate=7e-5,
        layer_decay=1.0,
        trainable_layers=3,
        warmup=0.0,
        per_epoch_cosine=True,
        head_dropout=0.42,
        hidden_tokens=0.0,
        ema=0.0,
        threshold="fixed:0.51",
    ),
}
