"""The tree of errors."""

import inspect
import tomllib
from pathlib import Path
from typing import get_args

from emotag_model import errors
from emotag_model.errors import ArtifactError, ExtraName, ModelError, explain_install


def test_every_error_has_the_root() -> None:
    """So that a caller can catch all of them at once."""
    found = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, Exception)]
    assert len(found) >= 4
    assert all(issubclass(error, ModelError) for error in found)


def test_an_error_of_an_artifact_names_the_file_first() -> None:
    error = ArtifactError(Path("a/config.json"), "not JSON")
    assert ("a/config.json: not JSON", Path("a/config.json")) == (str(error), error.path)


def test_a_hint_can_be_run_in_a_clone() -> None:
    assert "in the clone of emotag, run: pip install ./schemas '.[cuda]'" == explain_install("cuda")


def test_every_extra_is_one_of_the_distribution() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(get_args(ExtraName)) <= set(project["optional-dependencies"])
