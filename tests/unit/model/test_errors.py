"""The tree of errors."""

import inspect
from pathlib import Path

from emotag_model import errors
from emotag_model.errors import ArtifactError, ModelError


def test_every_error_has_the_root() -> None:
    """So that a caller can catch all of them at once."""
    found = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, Exception)]
    assert len(found) >= 4
    assert all(issubclass(error, ModelError) for error in found)


def test_an_error_of_an_artifact_names_the_file_first() -> None:
    error = ArtifactError(Path("a/config.json"), "not JSON")
    assert ("a/config.json: not JSON", Path("a/config.json")) == (str(error), error.path)
