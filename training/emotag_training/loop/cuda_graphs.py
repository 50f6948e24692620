"""Training steps on a GPU, recorded once for each shape and then replayed.

A step of a small model runs a thousand kernels of a few microseconds, and launching a kernel takes longer than running
it. So the first batch of a shape is computed as usual, the second is recorded as a CUDA graph, and every later batch
replays the graph: a step then costs the time of its kernels. Widths are rounded, so there are few shapes.

Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#whole-network-capture, whose rules this code
follows: a recorded step reads from fixed memory, nothing in it waits for the device, and all of it is on one stream.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
Step = Callable[..., Tensor]
"""A function that moves the weights and returns the loss, with the same kernels for tensors of the same shapes."""


@dataclass(frozen=True)
class Recording:
    """The recording of one shape: write *inputs*, replay *graph*, read *loss*."""

    graph: torch.cuda.CUDAGraph
    inputs: Sequence[Tensor]
    loss: Tensor


class RecordedSteps:
    """A training step that is recorded and replayed."""

    def __init__(self, step: Step, device: torch.device) -> None:
        self._step = step
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()  # one for all graphs: no two replay at a time
        self._recordings: dict[tuple[torch.Size, ...], Recording | None] = {}

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Return the loss of a step on these inputs."""
        shapes = tuple(tensor.shape for tensor in inputs)
        if shapes not in self._recordings:
            self._recordings[shapes] = None
            return self._run_on_stream(lambda: self._step(*inputs))
        found = self._recordings[shapes]
        if found is None:
            found = self._recordings[shapes] = self._run_on_stream(lambda: self._record(inputs))
        for own, given in zip(found.inputs, inputs, strict=True):
            own.copy_(given)
        found.graph.replay()
        return found.loss

    def _record(self, inputs: Sequence[Tensor]) -> Recording:
        own = [tensor.clone() for tensor in inputs]
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            loss = self._step(*own)
        return Recording(graph, own, loss)

    def _run_on_stream(self, work: Callable[[], T]) -> T:
        """Run *work* on the recorded stream, after all earlier work; later work waits for it."""
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            done = work()
        current.wait_stream(self._stream)
        return done
