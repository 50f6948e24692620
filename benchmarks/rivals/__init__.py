"""Other ways to run the same weights, each as its own documentation shows it, and at its best."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from benchmarks.exports import Exports
from model.tokens import TokenIds

Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Rival:
    """One way to run the model, ready and warm.

    Attributes:
        takes: `tokens` where tokenising is done beforehand, `texts` where it does that itself.
        run: tokens or texts to probabilities [B, K], in order.
        note: the choices it was measured with.
        close: ends what it started.
    """

    name: str
    takes: Literal["tokens", "texts"]
    run: Callable[[Sequence[TokenIds] | Sequence[str]], Probabilities]
    note: str = ""
    close: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Setting:
    """What a rival is built for.

    Attributes:
        exports: the weights, and where they are kept in other formats.
        tokens, texts: some of what will be tagged, to warm up and to choose a batch size on.
        cores: threads it may use.
        instructions: the processor's, as in `model.device.MATRIX_INSTRUCTIONS`.
        quick: choose nothing, take what usually is best.
    """

    exports: Exports
    tokens: Sequence[TokenIds]
    texts: Sequence[str]
    cores: int
    instructions: Sequence[str]
    quick: bool


MODULES = (
    "original",
    "hugging_face",
    "infinity",
    "onnx_float",
    "onnx_int8",
    "openvino_float",
    "openvino_int8",
    "ctranslate_int8",
)
"""Each has `NAME` and `build(setting) -> Rival`; what it needs is imported there, so that a missing one is named."""
