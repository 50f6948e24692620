"""The error tree: catch `ModelError` for all errors. Also the install hint for missing extras."""

from pathlib import Path
from typing import Literal

ExtraName = Literal["cuda", "train", "trackers", "traces", "local"]


class ModelError(Exception):
    """Base of every error that `emotag_model` raises for its callers."""


class ArtifactError(ModelError):
    """An artifact that must not be served. The message names the file and the reason."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"{path}: {reason}")


class DeviceUnknown(ModelError):
    """A device, engine or precision that cannot run this model on this machine. The message names those that can."""


class DeviceFailed(ModelError):
    """The device cannot run the model at all, not even on a harmless text."""


def explain_install(extra: ExtraName) -> str:
    """Return how to install an extra, for error messages: `in the clone of emotag, run: pip install …`.

    emotag is not on PyPI, where anyone could publish a package of that name.
    """
    return f"in the clone of emotag, run: pip install ./schemas '.[{extra}]'"
