"""The state of an unfinished run, in one file: enough to go on as if nothing had happened, bit for bit.

Beside it lie the recipe as it was settled and the command that began the run: all in a folder within the out folder,
which is no part of the artifact and goes when that is written. A new state takes the old one's place in one step:
whenever the power fails, one of the two is whole.

Nothing in it is unpickled: torch reads tensors and plain values (`weights_only`), the rest is JSON.
"""

import hashlib
import json
import os
import pickle  # nosec B403  # torch raises its error; nothing is unpickled
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .data import Split
from .recipe import FILE as RECIPE
from .recipe import Recipe, resolve

FOLDER, STATE, COMMAND = "checkpoint", "state.pt", "command"
FORMAT_VERSION = 2
FREE_TO_CHANGE = ("preset", "data", "name", "license", "calibrate", "threshold", "teacher")
"""Keys that decide nothing before the weights are there. Texts, and what a teacher says of them, are known by what they
are, not by where they lie."""


class CheckpointError(Exception):
    """A checkpoint that cannot be gone on from: which one, and why."""


class Interrupted(Exception):
    """A run stopped because it was asked to; its checkpoint is there."""


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Attributes:
        position: plain values: where the run is and what it has measured so far.
        tensors: state dictionaries and tensors: weights, averages, optimiser, best weights, random states.
    """

    position: Mapping[str, Any]
    tensors: Mapping[str, Any]


def begun(out: Path) -> Path:
    """The recipe of the unfinished run in *out*, as it was settled.

    Raises:
        CheckpointError: there is no such run.
    """
    kept = out / FOLDER / RECIPE
    if not kept.is_file():
        raise CheckpointError(f"{out} holds no unfinished run: there is nothing to resume")
    return kept


class Checkpoints:
    """Where one run's checkpoint lies, and what it must have been made from."""

    def __init__(self, out: Path, recipe: Recipe, train: Split, dev: Split, *, processes: int = 1) -> None:
        self.folder = out / FOLDER
        self._path = self.folder / STATE
        self._identity = {**identity(recipe, train, dev), "processes": processes}

    def begin(self, recipe: Recipe, command: str, *, again: bool = False) -> None:
        """Leave what a run that goes on has to know of sittings before: what `auto` came to, and how it was started.

        Here and not in the out folder: a model that is there stays whole until the run has another to put in its place.

        Args:
            recipe: as it was settled.
            command: as it was typed.
            again: the run goes on; its command is kept beside the first one only where it changed the recipe.

        Raises:
            CheckpointError: it cannot go on so, as `load` says; nothing was changed.
        """
        if again:
            self.load(torch.device("cpu"))
        self.folder.mkdir(parents=True, exist_ok=True)
        kept, commands = self.folder / RECIPE, [command]
        if again:
            changed = resolve(None, kept, {}) != recipe
            commands = [self.command, command] if changed else [self.command]
        kept.write_text(recipe.toml(), encoding="utf-8")
        (self.folder / COMMAND).write_text("\n".join([*commands, ""]), encoding="utf-8")

    @property
    def command(self) -> str:
        """How the run was started; and below it, on lines of their own, what changed its recipe on the way."""
        return (self.folder / COMMAND).read_text(encoding="utf-8").strip()

    def save(self, checkpoint: Checkpoint) -> None:
        """Write it in the place of the last one.

        Raises:
            OSError: it cannot be written; the last one is unharmed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        header = {"format_version": FORMAT_VERSION, "made_from": self._identity, "position": dict(checkpoint.position)}
        unfinished = self._path.with_suffix(".new")
        with unfinished.open("wb") as file:
            torch.save({"header": json.dumps(header), **checkpoint.tensors}, file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path)

    def load(self, device: torch.device) -> Checkpoint:
        """Read the last one.

        Raises:
            CheckpointError: there is none, it is broken, or it was made from another recipe or other texts.
        """
        if not self._path.is_file():
            raise CheckpointError(f"{self.folder} holds no checkpoint: there is nothing to resume")
        if not zipfile.is_zipfile(self._path):  # torch would try older formats of its own
            raise CheckpointError(f"{self._path} is not a checkpoint, or broken")
        try:
            tensors: dict[str, Any] = torch.load(self._path, map_location=device, weights_only=True)
            header = json.loads(tensors.pop("header"))
            version, made_from, position = (header[key] for key in ("format_version", "made_from", "position"))
        except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CheckpointError(f"{self._path} is not a checkpoint, or broken: {why:.200}") from error
        if version != FORMAT_VERSION:
            raise CheckpointError(f"{self._path} is of format {version}; this emotag reads {FORMAT_VERSION}")
        changed = first_change(made_from, self._identity)
        if changed is not None:
            raise CheckpointError(
                f"{self._path} was made with {changed}: resume without that change (its recipe is"
                f" {self.folder / RECIPE}), or delete {self.folder} to start anew"
            )
        return Checkpoint(position, tensors)

    @property
    def there(self) -> bool:
        """Whether there is one to resume."""
        return self._path.exists()

    def refuse_unfinished(self) -> None:
        """See that no unfinished run would be lost by a new one in its place.

        Raises:
            CheckpointError: there is one.
        """
        if self.there:
            raise CheckpointError(
                f"{self.folder.parent} holds an unfinished run: go on with --resume, or delete {self.folder}"
            )

    def remove(self) -> None:
        """The run has left its artifact, and no more needs this."""
        shutil.rmtree(self.folder, ignore_errors=True)


def identity(recipe: Recipe, train: Split, dev: Split) -> dict[str, Any]:
    """All that decides what a run comes to, as plain values."""
    return {
        **recipe.model_dump(exclude=set(FREE_TO_CHANGE)),
        "training texts": train.sha256,
        "training targets": hashlib.sha256(train.targets_NK.tobytes()).hexdigest(),
        "dev texts": dev.sha256,
        "labels": list(train.labels),
    }


def first_change(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first key in which two identities differ, as `seed 42, not 1`; None where they are the same."""
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            return f"{key} {_short(before.get(key))}, not {_short(now.get(key))}"
    return None


def random_states(device: torch.device) -> dict[str, Tensor]:
    """Of every generator that a step draws from: dropout and hidden tokens. Batches are drawn by seed and epoch."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_states(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Let every generator go on from where it was."""
    torch.set_rng_state(states["cpu"].cpu())
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"].cpu(), device)


def _short(value: object) -> str:
    return f"{value!r:.40}"
