"""The settings of the machinery, as the docs describe them."""

from pathlib import Path

import pytest

from emotag_model.engines.measurement import PATIENCE_S
from emotag_model.engines.precision import PRECISIONS, PrecisionName


@pytest.mark.parametrize("page", ["send-texts.md", "train-your-own.md", "settings.md", "operations.md"])
def test_the_docs_state_how_long_the_first_start_measures(page: str) -> None:
    text = (Path(__file__).parents[4] / "docs" / page).read_text(encoding="utf-8")
    assert f"up to {PATIENCE_S:g} s" in text


@pytest.mark.parametrize("name", PRECISIONS)
def test_the_docs_state_when_a_precision_is_chosen(name: PrecisionName) -> None:
    page = (Path(__file__).parents[4] / "docs" / "settings.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` | ")]
    precision = PRECISIONS[name]
    figures = [precision.worth, precision.handicap, precision.largest_f1_loss]
    assert [] == [each for each in figures if each not in (None, 1.0) and f"{each:g}" not in row]
