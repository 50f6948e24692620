"""The protocol of an engine, and the table of engines.

`native` is for CPUs, in int8: a library in C that is compiled when emotag is installed. `openvino` is for CPUs too, in
every precision: it starts in a second and needs no torch. `torch` is for GPUs, and may be faster on some processors:
`choice` measures that. `reference` runs any model, slowly, and serves those that no other engine supports.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, assert_never

import numpy as np
import numpy.typing as npt

from emotag_model.artifact import Artifact
from emotag_model.config import ModelConfig
from emotag_model.errors import DeviceUnknown, explain_install
from emotag_model.reasons.spans import Maxima

from .device import is_installed
from .native.library import MULTIPLES, is_compiled
from .precision import ENGINES, PRECISIONS, EngineName, PrecisionName


class Engine(Protocol):
    """A model's weights on one device, in one precision.

    Attributes:
        concurrency: the most simultaneous calls that raise its throughput; 1: a second call does not raise it.
        computed_tokens: tokens that its linear layers have computed so far, filling included; it only grows.
    """

    name: str
    device: str
    precision: str
    concurrency: int
    computed_tokens: int

    def probabilities(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """Return the probabilities [B, K] of texts given as their token ids, in order; any number of texts.

        A text's row does not depend on the others. Raises whatever the device raises.
        """

    def explain(self, rows: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.float32], Maxima]:
        """Return the bits of `probabilities`, and the maxima that they were computed from.

        The engine must have been opened for it; see `open_engine`.
        """

    def recover(self) -> None:
        """Release what the device still holds after a failure."""


@dataclass(frozen=True)
class EngineKind:
    """The requirements of an engine and the models that it supports.

    Attributes:
        package: the package that has to be installed; empty: none, but a library that was compiled with emotag.
        runs_on_gpu: it runs on CUDA devices too; every engine runs on a CPU.
        multiples: the model's sizes have to be multiples of these numbers.
        supports_attention: it computes a head with attention.
    """

    package: str
    runs_on_gpu: bool
    supports_attention: bool
    multiples: Mapping[str, int] = field(default_factory=dict)

    def supports(self, config: ModelConfig) -> bool:
        """Return True if the engine computes every part of the model, and has kernels for its sizes."""
        return (self.supports_attention or not config.attention_heads) and not self.find_odd_sizes(config)

    def find_odd_sizes(self, config: ModelConfig) -> dict[str, int]:
        """Return the sizes of the model that are no multiples of the numbers in `multiples`, by name."""
        sizes = {
            "dim": config.dim,
            "hidden_dim": config.hidden_dim,
            "channels": config.channels,
            "dim / n_heads": config.dim // config.n_heads,
        }
        return {name: size for name, size in sizes.items() if size % self.multiples.get(name, 1)}

    @property
    def is_installed(self) -> bool:
        """True if the engine's package is installed, or its library was compiled."""
        return is_installed(self.package) if self.package else is_compiled()


ENGINE_KINDS: Mapping[EngineName, EngineKind] = {
    "native": EngineKind("", runs_on_gpu=False, supports_attention=False, multiples=MULTIPLES),
    "openvino": EngineKind("openvino", runs_on_gpu=False, supports_attention=False),
    "torch": EngineKind("torch", runs_on_gpu=True, supports_attention=False),
    "reference": EngineKind("torch", runs_on_gpu=True, supports_attention=True),
}


def find_engines(device: str, config: ModelConfig) -> list[EngineName]:
    """Return the installed engines for this model on *device*, the preferred one first.

    The reference is among them only if no other engine supports the model.
    """
    supporting = [name for name in ENGINES if ENGINE_KINDS[name].supports(config)]
    fast = [name for name in supporting if name != "reference"]
    return [name for name in fast or supporting if ENGINE_KINDS[name].is_installed and _runs_on(name, device)]


def require_engine(engine: EngineName, device: str) -> None:
    """Check that the engine is installed and runs on *device*.

    Raises:
        DeviceUnknown: the engine is not installed, or does not run on *device*.
    """
    kind = ENGINE_KINDS[engine]
    if not kind.is_installed and not kind.package:
        raise DeviceUnknown(
            f"engine {engine} was not compiled when emotag was installed: install a C compiler (Debian: gcc and "
            "libc6-dev), and then emotag again; or set the engine to auto"
        )
    if not kind.is_installed:
        raise DeviceUnknown(f"engine {engine} needs {kind.package}, which is not installed; {explain_install('cuda')}")
    if not _runs_on(engine, device):
        raise DeviceUnknown(f"engine {engine!r} does not run on {device}; use auto or torch, or device cpu")


def require_support(engine: EngineName, config: ModelConfig) -> None:
    """Check that the engine computes every part of the model.

    Raises:
        DeviceUnknown: the engine does not.
    """
    kind = ENGINE_KINDS[engine]
    if odd := kind.find_odd_sizes(config):
        shown = ", ".join(f"{name} {size} is not a multiple of {kind.multiples[name]}" for name, size in odd.items())
        raise DeviceUnknown(f"engine {engine} cannot run this model: {shown}; set the engine to auto or openvino")
    if not kind.supports(config):
        raise DeviceUnknown(
            f"engine {engine} cannot run this model: the engine does not compute the attention in the model's head "
            f"(attention_heads {config.attention_heads}); set the engine to auto or reference"
        )


def is_possible(engine: EngineName, precision: PrecisionName) -> bool:
    """Return True if an installed engine computes this precision on this CPU, fast or not."""
    if engine == "openvino":
        from .openvino_engine import is_exact

        return is_exact(precision)
    return engine in PRECISIONS[precision].engines


def open_engine(
    trained: Artifact, *, engine: EngineName, device: str, precision: PrecisionName, explained: bool = False
) -> Engine:
    """Return the engine of that name, ready.

    Args:
        explained: `Engine.explain` will be called.

    Raises:
        DeviceUnknown: it is not installed, or does not support this model, precision or device.
    """
    require_engine(engine, device)
    require_support(engine, trained.config)
    match engine:
        case "native":
            from .native.engine import NativeEngine

            if precision != NativeEngine.precision:
                raise DeviceUnknown(f"precision {precision!r} is not available with engine native; use auto or int8")
            return NativeEngine(trained)
        case "openvino":
            from .openvino_engine import OpenVinoEngine

            return OpenVinoEngine(trained, precision=precision, explained=explained)
        case "torch":
            from .torch_engine import TorchEngine

            return TorchEngine(trained, device=device, precision=precision)
        case "reference":
            from .reference_engine import ReferenceEngine

            if precision != ReferenceEngine.precision:
                raise DeviceUnknown(f"precision {precision!r} is not available with engine reference; use auto or fp32")
            return ReferenceEngine(trained, device=device)
        case _:
            assert_never(engine)


def _runs_on(engine: EngineName, device: str) -> bool:
    return device == "cpu" or ENGINE_KINDS[engine].runs_on_gpu
