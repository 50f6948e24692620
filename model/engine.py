"""What runs the model: one small protocol, and the way to an engine by its name.

`openvino` is what a CPU wants: it starts in a second, and needs no torch. `torch` is the reference, what GPUs need, and
what may be faster on some processors: `choice` measures that.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from .artifact import Artifact
from .device import DeviceUnknown, installed

ENGINES = ("openvino", "torch")
PRECISIONS = ("fp32", "bf16", "fp16", "int8")


class Engine(Protocol):
    """A model's weights on one device, in one precision.

    Attributes:
        concurrency: calls at a time that it gains from; one that gains from no second serves one thread at a time.
        computed_tokens: tokens that its linear layers have computed so far, filling included; it only grows.
    """

    name: str
    device: str
    precision: str
    concurrency: int
    computed_tokens: int

    def probabilities(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """Probabilities [B, K] of texts given as their token ids, in order; any number of texts.

        A text's row does not depend on the others. Raises whatever the device raises.
        """

    def recover(self) -> None:
        """After a failure: give back what the device still holds for it."""


def engines_here(device: str) -> list[str]:
    """Names of the engines that are installed and can use *device*, the preferred one first."""
    return [name for name in ENGINES if installed(name) and (name == "torch" or device == "cpu")]


def require(engine: str, device: str) -> None:
    """See that the engine can run on *device*.

    Raises:
        DeviceUnknown: it is for other devices, or not installed.
    """
    if not installed(engine):
        package = "'emotag[cuda]'" if engine == "torch" else engine
        raise DeviceUnknown(f"engine {engine} is not installed: pip install {package}")
    if engine not in engines_here(device):
        raise DeviceUnknown(f"engine {engine} does not run on {device}; torch does")


def possible(engine: str, precision: str) -> bool:
    """Whether an engine that is installed can do this precision on this CPU; says nothing of whether that is fast."""
    if engine == "openvino":
        from .openvino_engine import is_exact

        return is_exact(precision)
    return precision != "int8"  # torch only imitates it


def open_engine(trained: Artifact, *, engine: str, device: str, precision: str) -> Engine:
    """The engine of that name, ready.

    Raises:
        DeviceUnknown: it is not installed, or cannot do this precision, or not on this device.
    """
    require(engine, device)
    if engine == "openvino":
        from .openvino_engine import OpenVinoEngine

        return OpenVinoEngine(trained, precision=precision)
    from .torch_engine import TorchEngine

    return TorchEngine(trained, device=device, precision=precision)
