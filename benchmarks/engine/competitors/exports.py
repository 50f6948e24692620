"""The shipped weights in the formats of other libraries, written once to the user's cache."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.files import find_cache_folder


class Exports:
    """The exports of one artifact: files and folders by name, written on first use."""

    def __init__(self, trained: Artifact, folder: Path | None = None) -> None:
        self.trained = trained
        root = folder or find_cache_folder() / "benchmarks"
        self.folder = root / trained.version.removeprefix("sha256:")[:12]

    def build_model(self) -> DistilBertCNN:
        """Return the reference model, in torch."""
        return DistilBertCNN.of(self.trained.config, self.trained.weights)

    def make_once(self, name: str, make: Callable[[Path], None]) -> Path:
        """Return the path of the export called *name*, which *make* writes if it does not exist.

        Args:
            name: include the version of the library, so that another version writes its own export.
            make: writes a file or a folder to the path that it gets. If it fails, no file is left behind.
        """
        path = self.folder / name
        if path.exists():
            return path
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / f"{os.getpid()}-{name}"
        try:
            make(unfinished)
            try:
                unfinished.rename(path)
            except OSError:
                # Two competitors may need the same export at the same time. The first one to finish keeps it.
                if not path.exists():
                    raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.unlink(missing_ok=True)
        return path
