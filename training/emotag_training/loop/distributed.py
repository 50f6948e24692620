"""The processes that train one model together, as torchrun starts them; a single process without torchrun.

    torchrun --nproc-per-node 4 --no-python emotag-train fit ...

Each process computes its share of every batch, and the gradients are averaged over the batch. So every process has the
same weights after every batch: those of a single process, except for the order in which numbers are added. Each process
draws its own random numbers (dropout, masked tokens).
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

from emotag_training.errors import RecipeError


@dataclass(frozen=True)
class Ranks:
    """The number of processes, and the rank of this one. The first process writes and displays the results."""

    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """True for the first process."""
        return self.rank == 0

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """Return *model* with its gradients averaged over all processes; with a single process, the model itself."""
        if self.world == 1:
            return model
        return DistributedDataParallel(model, device_ids=None if device.type == "cpu" else [device])

    def share(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return this process's rows of a batch sorted by length: every n-th row, so that all do equal work.

        If there are fewer rows than processes, every process computes the whole batch.
        """
        return rows if len(rows) < self.world else rows[self.rank :: self.world]

    def weight(self, own: int, batch: int) -> float:
        """Return the weight of this process's loss: the average over processes is then the mean over the batch."""
        return 1.0 if batch < self.world else own * self.world / batch

    def agree(self, loss: float, *flags: bool) -> tuple[float, ...]:
        """Return the mean of all weighted losses, and for each flag whether any process set it.

        Every process must call this.
        """
        if self.world == 1:
            return (loss, *flags)
        message = torch.tensor([loss, *flags], dtype=torch.float64, device=_choose_message_device())
        dist.all_reduce(message)
        total, *asked = message.tolist()
        return (total / self.world, *(count > 0 for count in asked))

    def gather(self, states: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        """Return the states of all processes, in order of rank. Every process must call this."""
        everybody: list[dict[str, Tensor]] = [states] * self.world
        if self.world > 1:
            dist.all_gather_object(everybody, {name: state.cpu() for name, state in states.items()})
        return everybody


ALONE = Ranks()


@contextmanager
def join_processes(device: str) -> Iterator[tuple[Ranks, torch.device]]:
    """Join the processes that torchrun started; yield this one's rank and device.

    Args:
        device: `cpu`, or `cuda`: each process on a machine then has its own GPU. `cuda:N` is for a single process.

    Raises:
        RecipeError: more than one process would share a named GPU.
    """
    world = count_processes()
    if world == 1:
        yield ALONE, torch.device(device)
        return
    if device.startswith("cuda:"):
        raise RecipeError(f"run.device = {device!r} is one GPU, and there are {world} processes: use --device cuda")
    own = torch.device(device, int(os.environ["LOCAL_RANK"])) if device == "cuda" else torch.device(device)
    if own.type == "cuda":
        torch.cuda.set_device(own)
    # DistributedDataParallel imports this module, whose functions keep the process group of that moment as a default.
    # There must be none: a group that outlives `join_processes` has threads, a thread that frees a tensor while Python
    # ends aborts the process, and torchrun then ends the others.
    importlib.import_module("torch.distributed.nn.functional")
    dist.init_process_group("nccl" if own.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), world), own
    finally:
        dist.destroy_process_group()


def count_processes() -> int:
    """Return the number of processes on all machines."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def count_local_processes() -> int:
    """Return the number of processes that share this machine's cores."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def format_command(*arguments: str) -> str:
    """Return the shell command that runs `emotag-train` with these arguments in as many processes as now.

    With several machines, the options by which they find each other are left out.
    """
    here, world = count_local_processes(), count_processes()
    if world == 1:
        return shlex.join(["emotag-train", *arguments])
    machines = ["--nnodes", str(world // here)] if world > here else []
    return shlex.join(["torchrun", *machines, "--nproc-per-node", str(here), "--no-python", "emotag-train", *arguments])


def _choose_message_device() -> torch.device:
    """Return the device that messages between processes must be on."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
