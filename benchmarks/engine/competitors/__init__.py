"""Ways to run the same weights. Each follows its own documentation and uses its fastest configuration."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from emotag_model.tokens import TokenIds

from .exports import Exports

Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Competitor:
    """A way to run the model, loaded and warm.

    Attributes:
        takes: `tokens`, or `texts` if the competitor tokenizes them itself.
        run: converts tokens or texts to probabilities [B, K], in order.
        note: its configuration, for a reader.
        configuration: the part of the note that was chosen by measurement; `Setting.configuration` repeats the choice.
    """

    name: str
    takes: Literal["tokens", "texts"]
    run: Callable[[Sequence[TokenIds] | Sequence[str]], Probabilities]
    note: str = ""
    configuration: str = ""


@dataclass(frozen=True)
class Setting:
    """The input of `build`.

    Attributes:
        exports: the weights, and their copies in other formats.
        tokens, texts: a sample, to warm up with and to choose a batch size on.
        cores: the number of threads that it may use.
        instructions: the processor's, as in `emotag_model.engines.device.MATRIX_INSTRUCTIONS`.
        quick: measure no alternatives, take the usual configuration.
        configuration: measure no alternatives, take this configuration; empty: measure.
    """

    exports: Exports
    tokens: Sequence[TokenIds]
    texts: Sequence[str]
    cores: int
    instructions: Sequence[str]
    quick: bool
    configuration: str = ""


MODULES = (
    "plain_torch",
    "hugging_face",
    "onnx_int8",
    "openvino_float",
    "openvino_int8",
    "ctranslate_int8",
)
"""The other libraries, and the way of the reference's notebook.

Each has `NAME` and `build(setting) -> Competitor`. `build` imports the library: if it fails, the report says so.
"""
