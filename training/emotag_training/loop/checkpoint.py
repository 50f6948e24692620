"""The state of an unfinished run, in one file: enough to resume it and end with the same bits.

Next to the file are the run's recipe and the command that began it. All of them are in a folder inside the out folder,
which is deleted when the artifact is written. A new state replaces the old one in one atomic step: if the power fails,
one of the two is complete.

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

from emotag_training.data.split import Split
from emotag_training.errors import CheckpointError
from emotag_training.presets import resolve
from emotag_training.recipe import FILE as RECIPE
from emotag_training.recipe import Recipe

FOLDER, STATE, COMMAND = "checkpoint", "state.pt", "command"
FORMAT_VERSION = 3
FREE_TO_CHANGE = frozenset(
    {
        "preset",
        "data.source",
        "data.label_columns",
        "data.languages",
        "distillation.teacher",
        "run.name",
        "run.license",
        "run.calibrate",
        "run.threshold",
        "run.best_of_seeds",
    }
)
"""Keys that may change when a run is resumed, because they do not affect the weights.

Texts, targets and a teacher's probabilities are compared by content, not by path. The column of the texts is not free:
the content of a file is the same, whichever column is read.
"""


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint file.

    Attributes:
        position: plain values: the progress of the run, and its measurements so far.
        tensors: state dictionaries and tensors: weights, averages, optimiser, best weights, random states.
    """

    position: Mapping[str, Any]
    tensors: Mapping[str, Any]


def find_unfinished_recipe(out: Path) -> Path:
    """Return the recipe file of the unfinished run in *out*.

    Raises:
        CheckpointError: there is no such run.
    """
    kept = out / FOLDER / RECIPE
    if not kept.is_file():
        raise CheckpointError(f"--out {out}: no unfinished run to resume; remove --resume to begin one")
    return kept


class Checkpoints:
    """The checkpoint of one run, and the recipe and texts that it must have been made from."""

    def __init__(
        self, out: Path, recipe: Recipe, train: Split, dev: Split, *, processes: int = 1, start: str = ""
    ) -> None:
        self.folder = out / FOLDER
        self._path = self.folder / STATE
        self._identity = {**identify(recipe, train, dev), "processes": processes}
        if start:
            self._identity["artifact"] = start

    def begin(self, recipe: Recipe, command: str, *, again: bool = False) -> None:
        """Store what a resumed run needs: the recipe with `auto` resolved, and the command that began the run.

        They are in the checkpoint folder, because a model in the out folder stays complete until the run replaces it.

        Args:
            recipe: with `auto` resolved.
            command: as the user typed it.
            again: the run is resumed; its command is added to the first one only if it changed the recipe.

        Raises:
            CheckpointError: the run cannot be resumed, for the reasons of `load`; nothing was changed.
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
        """The command that began the run, and on further lines the commands that changed its recipe."""
        return (self.folder / COMMAND).read_text(encoding="utf-8").strip()

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the last checkpoint.

        Raises:
            OSError: the file cannot be written; the last checkpoint is unharmed.
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
        """Read the last checkpoint.

        Raises:
            CheckpointError: there is no checkpoint, it is broken, or it belongs to another recipe or other texts.
        """
        if not self._path.is_file():
            raise CheckpointError(f"{self.folder} contains no checkpoint: start the run without --resume")
        if not zipfile.is_zipfile(self._path):  # torch would try its older formats
            raise CheckpointError(f"{self._path} is damaged, or not a checkpoint; delete {self.folder} to start again")
        try:
            tensors: dict[str, Any] = torch.load(self._path, map_location=device, weights_only=True)
            header = json.loads(tensors.pop("header"))
            version, made_from, position = (header[key] for key in ("format_version", "made_from", "position"))
        except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CheckpointError(
                f"{self._path} is damaged, or not a checkpoint: {reason:.200}; delete {self.folder} to start again"
            ) from error
        if version != FORMAT_VERSION:
            raise CheckpointError(
                f"{self._path} has format {version}, this emotag reads {FORMAT_VERSION}: delete {self.folder} to"
                " start again"
            )
        changed = find_first_change(made_from, self._identity)
        if changed is not None:
            raise CheckpointError(
                f"{self._path} was made with {changed}: resume without that change (its recipe is"
                f" {self.folder / RECIPE}), or delete {self.folder} to start again"
            )
        return Checkpoint(position, tensors)

    @property
    def exists(self) -> bool:
        """True if there is a checkpoint to resume from."""
        return self._path.exists()

    def refuse_unfinished(self) -> None:
        """Raise `CheckpointError` if a new run would overwrite an unfinished one."""
        if self.exists:
            raise CheckpointError(
                f"{self.folder.parent} contains an unfinished run: continue it with --resume, or delete {self.folder}"
            )

    def remove(self) -> None:
        """Delete the checkpoint of a run that has written its artifact."""
        shutil.rmtree(self.folder, ignore_errors=True)


def identify(recipe: Recipe, train: Split, dev: Split) -> dict[str, Any]:
    """Return everything that affects the weights of a run, as plain values."""
    return {
        **{key: value for key, value in recipe.flatten().items() if key not in FREE_TO_CHANGE},
        "training texts": train.sha256,
        "training targets": hashlib.sha256(train.targets_NK.tobytes()).hexdigest(),
        "dev texts": dev.sha256,
        "labels": list(train.labels),
    }


def find_first_change(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Return the first difference of two identities, as `run.seed 42, not 1`; None if they are equal.

    A recipe key that one of them lacks has its default there: an unfinished run can be resumed by an emotag that has
    more keys.
    """
    before, now = ({**Recipe().flatten(), **values} for values in (before, now))
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            return f"{key} {_shorten(before.get(key))}, not {_shorten(now.get(key))}"
    return None


def read_random_states(device: torch.device) -> dict[str, Tensor]:
    """Return the state of every generator that a training step draws from: dropout and masked tokens."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_states(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Set every generator to a state that `read_random_states` returned."""
    torch.set_rng_state(states["cpu"].cpu())
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"].cpu(), device)


def _shorten(value: object) -> str:
    return f"{value!r:.40}"
