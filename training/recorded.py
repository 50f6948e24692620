"""Steps on a GPU, recorded once for each shape and then replayed.

A step of a small model is a thousand kernels of a few microseconds, and to launch one takes longer than to run it. So
the first batch of a shape is computed as usual, the second is recorded as a CUDA graph, and every later one replays
that: a step then costs what its kernels do. Widths are rounded, so shapes are few.

Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#whole-network-capture, whose rules this keeps: all that a
recorded step reads is written to the same memory, nothing in it waits for the device, and one stream sees it all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
Step = Callable[..., Tensor]
"""From tensors on the device to the loss, the weights moved; the same kernels for tensors of the same shapes."""


@dataclass(frozen=True)
class Recording:
    """One shape's: write *inputs*, replay *graph*, read *loss*."""

    graph: torch.cuda.CUDAGraph
    inputs: Sequence[Tensor]
    loss: Tensor


class RecordedSteps:
    """A step by its recordings."""

    def __init__(self, step: Step, device: torch.device) -> None:
        self._step = step
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()  # one for all: no two replay at a time
        self._recordings: dict[tuple[torch.Size, ...], Recording | None] = {}

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The loss of a step on these inputs."""
        shapes = tuple(tensor.shape for tensor in inputs)
        if shapes not in self._recordings:
            self._recordings[shapes] = None
            return self._beside(lambda: self._step(*inputs))
        found = self._recordings[shapes]
        if found is None:
            found = self._recordings[shapes] = self._beside(lambda: self._recorded(inputs))
        for own, given in zip(found.inputs, inputs, strict=True):
            own.copy_(given)
        found.graph.replay()
        return found.loss

    def _recorded(self, inputs: Sequence[Tensor]) -> Recording:
        own = [tensor.clone() for tensor in inputs]
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            loss = self._step(*own)
        return Recording(graph, own, loss)

    def _beside(self, work: Callable[[], T]) -> T:
        """On the stream that is recorded, after all that went before; what comes later waits for it."""
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            done = work()
        current.wait_stream(self._stream)
        return done
