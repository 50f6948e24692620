"""Checks of paths and names before torch is imported: a typo is reported at once, not after seconds of loading."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emotag_training.data.columns import Columns
    from emotag_training.recipe import Recipe


def check_run(recipe: "Recipe", out: Path, trackers: Sequence[str]) -> None:
    """Check everything that a run reads from disk, its output directory and its trackers.

    Raises:
        TrainingError: a file or folder is missing, --out cannot be written to, or a tracker is unknown or missing.
    """
    from emotag_training.errors import TeacherError
    from emotag_training.loop.trackers import require_trackers

    _check_directory(out)
    check_encoder(recipe.encoder.name)
    teacher = recipe.distillation.teacher
    if teacher and not Path(teacher).is_file():
        raise TeacherError(f"distillation.teacher = {teacher!r}: file not found; write it with `emotag-train distill`")
    require_trackers(trackers)
    check_data_set(recipe.data.source, recipe.data.columns)


def check_data_set(data: str, columns: "Columns | None" = None) -> None:
    """Read one file, and check that a folder has files to train on and to measure on.

    Other data sets are checked when they are read.

    Raises:
        DataError: the file or folder, or a file in it, is missing, a split has several files, or a row of the one file
            is not in the format.
    """
    from emotag_training.data.columns import Columns
    from emotag_training.data.sources import Files, OneFile, find_local_files

    match find_local_files(data, columns or Columns()):
        case Files() as local:
            for split in ("train", "dev"):
                local.find(split)
        case OneFile() as local:
            local.read("dev")


def check_encoder(name: str) -> None:
    """Check that an encoder named by a path is a folder with an encoder; a short name never means a folder.

    Raises:
        EncoderError: the folder or its config.json is missing.
    """
    from emotag_training.encoders.names import ORIGINS
    from emotag_training.errors import EncoderError

    if name in ORIGINS:
        return
    folder = Path(name)
    is_path = folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1 or folder.is_dir()
    if is_path and not (folder / "config.json").is_file():
        reason = "it has no config.json" if folder.is_dir() else "folder not found"
        raise EncoderError(
            f"--encoder {name}: {reason}; name a folder that transformers' save_pretrained wrote, `minilm`, or a hub id"
            " such as distilbert-base-uncased"
        )


def check_runs(runs: Sequence[Path], out: Path) -> None:
    """Check that there are runs to average, and a directory to write.

    Raises:
        RecipeError: there is one run, or a path has no recipe.
        OutputError: --out cannot be written to.
    """
    from emotag_training.errors import RecipeError
    from emotag_training.recipe import FILE

    if len(runs) < 2:
        raise RecipeError("a mean needs two runs or more: emotag-train average RUN RUN … --out DIR")
    for run in runs:
        if not (run / FILE).is_file():
            raise RecipeError(f"{run}: it has no {FILE}; name a directory that `emotag-train fit` wrote")
    _check_directory(out)


def check_teachers(paths: Sequence[Path]) -> None:
    """Check that the models and predictions to distill from exist.

    Raises:
        TeacherError: a path does not exist.
    """
    from emotag_training.errors import TeacherError

    for path in paths:
        if not path.exists():
            raise TeacherError(
                f"{path}: not found; name a model's directory, or a file that `emotag-train distill` wrote"
            )


def _check_directory(out: Path) -> None:
    from emotag_training.errors import OutputError

    # Path.exists would raise an error below a directory that this user may not search.
    nearest = next(path for path in (out, *out.absolute().parents) if os.path.exists(path))  # noqa: PTH110
    if not nearest.is_dir():
        what = "it" if nearest is out else nearest
        raise OutputError(f"--out {out}: {what} is a file; name a directory")
    if not os.access(nearest, os.W_OK | os.X_OK):  # found now, not after an epoch of training
        raise OutputError(f"--out {out}: you may not write to {nearest}; name another directory")
