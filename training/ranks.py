"""The processes that train one model together, as torchrun starts them; one alone where nobody started more.

    torchrun --nproc-per-node 4 -m training fit ...

Each computes its share of every batch, the gradients are averaged over the batch, and so every process has the same
weights after every step: those that one process alone would have, but for the order in which numbers are added. What
is drawn at random (dropout, hidden tokens) is drawn by each for itself.
"""

import importlib
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Ranks:
    """How many there are, and which of them this process is. The first one writes and shows what comes of it."""

    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the first one."""
        return self.rank == 0

    def wrapped(self, model: nn.Module, device: torch.device) -> nn.Module:
        """*model* as its gradients are averaged over all processes; alone, the model itself."""
        if self.world == 1:
            return model
        return DistributedDataParallel(model, device_ids=None if device.type == "cpu" else [device])

    def share(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """This process's rows of a batch that is sorted by length: every so-many-th, so that all have as much to do.

        All rows, where there are fewer than processes: each then computes the whole batch.
        """
        return rows if len(rows) < self.world else rows[self.rank :: self.world]

    def weight(self, own: int, batch: int) -> float:
        """What this process's mean loss counts for, so that the average over processes is the mean over the batch."""
        return 1.0 if batch < self.world else own * self.world / batch

    def agree(self, loss: float, *flags: bool) -> tuple[float, ...]:
        """The mean of everybody's weighted loss; each flag is set where anyone's is. All processes have to ask."""
        if self.world == 1:
            return (loss, *flags)
        told = torch.tensor([loss, *flags], dtype=torch.float64, device=_of_messages())
        dist.all_reduce(told)
        total, *asked = told.tolist()
        return (total / self.world, *(count > 0 for count in asked))

    def gathered(self, states: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        """Everybody's, in order of rank. All processes have to ask."""
        everybody: list[dict[str, Tensor]] = [states] * self.world
        if self.world > 1:
            dist.all_gather_object(everybody, {name: state.cpu() for name, state in states.items()})
        return everybody


ALONE = Ranks()


@contextmanager
def joined(device: str) -> Iterator[tuple[Ranks, torch.device]]:
    """This process among those that torchrun started with it, and the device that is its own.

    Args:
        device: `cpu`, or `cuda`: then each process on a machine has one GPU of it. `cuda:N` is for one process alone.

    Raises:
        ValueError: more than one process is to share a named GPU.
    """
    world = processes()
    if world == 1:
        yield ALONE, torch.device(device)
        return
    if device.startswith("cuda:"):
        raise ValueError(f"device {device!r} is one GPU, and there are {world} processes: give --device cuda")
    own = torch.device(device, int(os.environ["LOCAL_RANK"])) if device == "cuda" else torch.device(device)
    if own.type == "cuda":
        torch.cuda.set_device(own)
    # DistributedDataParallel imports it, and its functions keep as a default the group that there is by then. There is
    # to be none: a group that outlives `joined` has threads, one that frees a tensor while Python ends aborts the
    # process, and torchrun then ends the others.
    importlib.import_module("torch.distributed.nn.functional")
    dist.init_process_group("nccl" if own.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), world), own
    finally:
        dist.destroy_process_group()


def processes() -> int:
    """How many there are, on all machines."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def processes_here() -> int:
    """How many of them share this machine's cores."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def speaks() -> bool:
    """Whether this is the process that says what all of them have to say."""
    return os.environ.get("RANK", "0") == "0"


def typed(*arguments: str) -> str:
    """How somebody types `emotag-train` with these arguments, so that as many processes as now are started.

    Where there are several machines, how they find one another is left to who types it on each.
    """
    here, world = processes_here(), processes()
    if world == 1:
        return shlex.join(["emotag-train", *arguments])
    machines = ["--nnodes", str(world // here)] if world > here else []
    return shlex.join(["torchrun", *machines, "--nproc-per-node", str(here), "-m", "training", *arguments])


def _of_messages() -> torch.device:
    """Where a number has to lie to be sent."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
