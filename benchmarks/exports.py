"""The shipped weights in other libraries' formats, made once and kept in the user's cache."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from model.artifact import Artifact
from model.distilbert_cnn import DistilBertCNN


class Exports:
    """One artifact's exports: files and folders by name, made by whoever first asks for them."""

    def __init__(self, trained: Artifact, folder: Path | None = None) -> None:
        self.trained = trained
        root = folder or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emotag" / "benchmarks"
        self.folder = root / trained.version.removeprefix("sha256:")[:12]

    def model(self) -> DistilBertCNN:
        """The reference, in torch."""
        return DistilBertCNN.of(self.trained.config, self.trained.weights)

    def once(self, name: str, make: Callable[[Path], None]) -> Path:
        """The export called *name*; *make* writes it to the path it is given, if it is not there yet.

        Args:
            name: with the version of the library that makes it, so that another version makes its own.
            make: may write a file or a folder; one that fails leaves nothing behind.
        """
        path = self.folder / name
        if path.exists():
            return path
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / f"{os.getpid()}-{name}"
        try:
            make(unfinished)
            unfinished.rename(path)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.unlink(missing_ok=True)
        return path
