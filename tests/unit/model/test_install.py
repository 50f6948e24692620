"""Hints at optional parts name the clone: emotag is not on PyPI."""

import tomllib
from pathlib import Path
from typing import get_args

from emotag_model.install import ExtraName, explain_install


def test_a_hint_can_be_run_in_a_clone() -> None:
    assert "in the clone of emotag, run: pip install ./schemas '.[cuda]'" == explain_install("cuda")


def test_every_extra_is_one_of_the_distribution() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(get_args(ExtraName)) <= set(project["optional-dependencies"])
