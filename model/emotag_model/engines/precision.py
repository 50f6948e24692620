"""The table of precisions: everything about a number format except the kernels that compute it.

To add a precision, add a row here and a kernel to each engine that the row names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

PrecisionName = Literal["fp32", "bf16", "fp16", "int8"]
EngineName = Literal["native", "openvino", "torch", "reference"]

ENGINES: tuple[EngineName, ...] = get_args(EngineName)
"""Names of the engines, the preferred one first; the reference serves only models that no other engine supports."""


@dataclass(frozen=True)
class Precision:
    """A number format for weights and activations.

    Attributes:
        engines: the engines that compute it. (torch also imitates int8 on a CPU; no start uses that.)
        worth: how many times as fast as fp32 it must be on a CPU before `auto` chooses it; None: `auto` never measures
            it on a CPU.
        handicap: the factor on its measured time when it is compared with another precision that is worth its rounding.
        largest_f1_loss: `auto` takes it only if the artifact's metrics report a smaller loss of macro F1; None: always.
        instructions: OpenVINO needs one of these from the processor; empty: it needs none.
        capability: OpenVINO has to report this for the processor; empty: nothing.
        usual_with: if nothing can be measured, `auto` takes it on a processor with one of these instructions; with
            several such precisions, the first in the table.
    """

    engines: tuple[EngineName, ...]
    worth: float | None
    handicap: float = 1.0
    largest_f1_loss: float | None = None
    instructions: frozenset[str] = frozenset()
    capability: str = ""
    usual_with: frozenset[str] = frozenset()


INT8_INSTRUCTIONS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})

PRECISIONS: Mapping[PrecisionName, Precision] = {
    "fp32": Precision(engines=("openvino", "torch", "reference"), worth=1.0),
    # bf16 moves probabilities in the third decimal, int8 in the second: if noise could change the choice, a text would
    # get other scores after a restart. So each `worth` is a figure that no processor came near: bf16 is four times as
    # fast with AMX and 0.5 to 1.9 times without; int8 with AVX-512 VNNI, without AMX, is 1.88 to 3 times as fast.
    "bf16": Precision(engines=("openvino", "torch"), worth=2.5, capability="BF16", usual_with=frozenset({"amx_bf16"})),
    "fp16": Precision(engines=("torch",), worth=None),
    "int8": Precision(
        engines=("native", "openvino"),
        worth=1.5,
        # int8 is coarser than bf16. The figure is a judgement: no processor with AMX was available, and on none without
        # AMX is bf16 worth its rounding.
        handicap=1.25,
        largest_f1_loss=0.002,
        # Without these instructions, sums of two 8-bit products are cut off at 16 bits.
        instructions=INT8_INSTRUCTIONS,
        usual_with=INT8_INSTRUCTIONS,
    ),
}

GPU_PRECISIONS: tuple[PrecisionName, ...] = ("fp16", "fp32")
"""For `auto` on a GPU, the first that the engine computes. Tensor cores run fp16 as fast as bf16, and fp16 keeps
probabilities ten times closer to those of fp32."""


def is_tolerable(precision: PrecisionName, metrics: Mapping[str, Any]) -> bool:
    """Return True if `auto` may take the precision: its loss of quality is in an artifact's metrics, and is small."""
    largest = PRECISIONS[precision].largest_f1_loss
    if largest is None:
        return True
    try:
        return float(metrics["dev"][precision]["macro_f1_loss"]) < largest
    except (KeyError, TypeError, ValueError):
        return False
