"""The model card says what the artifact's figures and record hold, and claims nothing that they do not."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from model import artifact
from model.artifact import Artifact
from training.card import card
from training.page import _slices

Change = Callable[[dict[str, Any], dict[str, Any]], None]


@pytest.fixture(scope="module")
def shipped() -> Artifact:
    """The artifact that ships: a whole one, whose figures and record a test changes."""
    return artifact.load(artifact.DEFAULT)


def changed(made: Artifact, change: Change) -> Artifact:
    """*made* with the dev figures and the training record that *change* leaves of copies of its own."""
    metrics, record = copy.deepcopy(dict(made.metrics)), copy.deepcopy(dict(made.training))
    change(metrics["dev"], record)
    return replace(made, metrics=metrics, training=record)


def test_a_label_with_a_bar_has_one_cell(shipped: Artifact) -> None:
    def named(figures: dict[str, Any], record: dict[str, Any]) -> None:
        for part in (figures["per_label"], figures["calibration"]["as_is"]["per_label"]):
            part["late|lost"] = part.pop("anger")

    written = card(changed(shipped, named))
    assert r"| late\|lost | 195 |" in written
    assert "late|lost" not in written


def test_varieties_of_english_stand_in_card_and_page_where_they_were_measured(shipped: Artifact) -> None:
    """Figures of before they were are shown without them."""

    def rates(figures: dict[str, Any], record: dict[str, Any]) -> None:
        figures["dialect_negative_false_positive_rate"] = {"general": 0.125, "another": 0.25}

    def none(figures: dict[str, Any], record: dict[str, Any]) -> None:
        figures.pop("dialect_negative_false_positive_rate", None)

    new, old = changed(shipped, rates), changed(shipped, none)
    assert "| in | negative by mistake |\n| --- | --- |\n| general | 0.1250 |\n| another | 0.2500 |" in card(new)
    assert '("The bus usually comes at eight.", "The bus be coming at eight.")' in card(new)
    assert "two varieties" not in card(old)
    of_page = ["".join(_slices(made.metrics["dev"])) for made in (new, old)]
    assert [True, False] == ["two varieties" in part for part in of_page]
    assert '<th scope="row">another</th><td>0.2500</td>' in of_page[0]


def test_examples_of_failures_are_shown_as_text_where_there_are_any(shipped: Artifact) -> None:
    """One row each, whatever signs a comment has."""
    failure = {
        "text": "so | `rm`\n<img src=x>",
        "raters": ["joy", "love"],
        "given": {"anger": 0.9123},
        "mistake": "missed",
        "label": "joy",
        "probability": 0.0011,
    }

    def one(figures: dict[str, Any], record: dict[str, Any]) -> None:
        figures["failures"] = [failure]

    def none(figures: dict[str, Any], record: dict[str, Any]) -> None:
        figures["failures"] = []

    def as_before(figures: dict[str, Any], record: dict[str, Any]) -> None:
        figures.pop("failures", None)

    written = card(changed(shipped, one))
    row = r"| so \| \`rm\` &lt;img src=x&gt; | joy, love | anger 0.9123 | joy missed, 0.0011 |"
    assert row in written.splitlines()
    assert "at most 120 characters" in written
    assert "## Examples of failures" in written
    assert card(changed(shipped, none)) == card(changed(shipped, as_before))
    assert "failures" not in card(changed(shipped, none))
