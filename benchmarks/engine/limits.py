"""Limits of the instruction set, so that one machine also measures what an older processor would do."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from emotag_model.engines import device


@dataclass(frozen=True)
class Limit:
    """Environment variables that keep libraries from newer instructions.

    Attributes:
        environment: each library reads its variable when it first computes, so set them before that.
        instructions: those that emotag may find in the processor; None: all of them.
        unlimited: modules of `competitors` whose library cannot be limited, with the reason.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    instructions: Sequence[str] | None = None
    unlimited: Mapping[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def apply(self) -> Iterator[None]:
        """Apply the limit to this process and the processes that it starts, until the block ends.

        emotag stores its choice of engine with the instructions in its key, so a limited process chooses for itself.
        """
        before, known = dict(os.environ), device.MATRIX_INSTRUCTIONS
        os.environ.update(self.environment)
        if self.instructions is not None:
            device.MATRIX_INSTRUCTIONS = tuple(name for name in known if name in self.instructions)
        try:
            yield
        finally:
            device.MATRIX_INSTRUCTIONS = known
            for name in self.environment:
                os.environ.pop(name)
                os.environ.update({name: before[name]} if name in before else {})


NONE = Limit()

AVX2 = Limit(
    environment={
        "ONEDNN_MAX_CPU_ISA": "AVX2",  # torch, OpenVINO and CTranslate2 contain oneDNN
        "CT2_FORCE_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "EMOTAG_NATIVE_PATH": "avx2",
    },
    instructions=("avx2",),
    unlimited={
        "onnx_int8": "onnxruntime cannot be limited: its kernels ask the processor, and no option hides an instruction"
    },
)
