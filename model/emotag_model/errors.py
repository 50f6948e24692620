"""Errors, as one tree: catch `ModelError` for all of them."""

from pathlib import Path


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
