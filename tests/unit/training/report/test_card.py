"""The model card shows the artifact's figures and record, and claims nothing else."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from huggingface_hub import ModelCard

from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_training.report.card import render_card
from emotag_training.report.html_page import _render_headline, _render_slices

Change = Callable[[dict[str, Any], dict[str, Any]], object]


@pytest.fixture(scope="module")
def shipped() -> Artifact:
    """The shipped artifact, whose figures and record a test changes."""
    return artifact.load(artifact.DEFAULT)


def changed(made: Artifact, change: Change) -> Artifact:
    """Return *made* with copies of its dev figures and training record, changed by *change*."""
    metrics, record = copy.deepcopy(dict(made.metrics)), copy.deepcopy(dict(made.training))
    change(metrics["dev"], record)
    return replace(made, metrics=metrics, training=record)


def on_the_hub(written: str) -> Any:
    """Return the data that huggingface_hub reads from a card."""
    return ModelCard(written).data


def test_a_label_with_a_bar_has_one_cell(shipped: Artifact) -> None:
    def named(figures: dict[str, Any], _: object) -> None:
        for part in (figures["per_label"], figures["calibration"]["as_is"]["per_label"]):
            part["late|lost"] = part.pop("anger")

    written = render_card(changed(shipped, named))
    assert r"| late\|lost | 195 |" in written
    assert "late|lost" not in written


def test_the_card_counts_parameters_without_reading_weights(shipped: Artifact) -> None:
    """Each read converts an array to float32."""
    assert "22.8 M parameters" in render_card(replace(shipped, weights={}))


def test_a_record_from_elsewhere_gives_a_card_without_its_origin(shipped: Artifact) -> None:
    written = render_card(replace(shipped, training={"data": [], "recipe": "mine"}))
    assert "Training data: not on record" in written


def test_varieties_of_english_stand_in_card_and_page_where_they_were_measured(shipped: Artifact) -> None:
    """Older figures are shown without them."""
    rates = {"dialect_negative_false_positive_rate": {"general": 0.125, "another": 0.25}}
    new = changed(shipped, lambda figures, _: figures.update(rates))
    old = changed(shipped, lambda figures, _: [figures.pop(name, None) for name in rates])
    assert "| in | negative by mistake |\n| --- | --- |\n| general | 0.1250 |\n| another | 0.2500 |" in render_card(new)
    assert '("The bus usually comes at eight.", "The bus be coming at eight.")' in render_card(new)
    assert "two varieties" not in render_card(old)
    of_page = ["".join(_render_slices(made.metrics["dev"])) for made in (new, old)]
    assert [True, False] == ["two varieties" in part for part in of_page]
    assert '<th scope="row">another</th><td>0.2500</td>' in of_page[0]


def test_examples_of_failures_are_shown_as_text_where_there_are_any(shipped: Artifact) -> None:
    """One row each, whatever characters a comment contains."""
    failure: dict[str, Any] = {
        "text": "so | `rm`\n<img src=x>",
        "annotators": ["joy", "love"],
        "given": {"anger": 0.9123},
    }
    failure |= {"mistake": "missed", "label": "joy", "probability": 0.0011}
    written = render_card(changed(shipped, lambda figures, _: figures.update(failures=[failure])))
    row = r"| so \| \`rm\` &lt;img src=x&gt; | joy, love | anger 0.9123 | joy missed, 0.0011 |"
    assert row in written.splitlines()
    assert "at most 120 characters" in written
    assert "## Examples of failures" in written
    without = render_card(changed(shipped, lambda figures, _: figures.update(failures=[])))
    assert without == render_card(changed(shipped, lambda figures, _: figures.pop("failures", None)))
    assert "failures" not in without


def test_the_shipped_models_card_speaks_of_goemotions_and_of_its_licence(shipped: Artifact) -> None:
    """Because its data and encoder are known."""
    written = render_card(shipped)
    assert "\nlicense: apache-2.0\nlanguage: en\n" in written
    assert "\ndatasets: [google-research-datasets/go_emotions]\n" in written
    assert "Reddit comments of 2005 to 2019" in written
    assert "less than 1% of the training texts have them" in written
    assert "## Figures on GoEmotions dev (5,426 texts)" in written
    assert "        name: GoEmotions\n" in written


def test_of_anybodys_texts_with_the_28_labels_nothing_is_claimed_but_what_a_model_of_emotions_is_not_for(
    shipped: Artifact,
) -> None:
    def others(figures: dict[str, Any], record: dict[str, Any]) -> None:
        record["data"] = {"train_sha256": "0" * 64, "dev_sha256": "1" * 64}
        figures |= {"data_sha256": "1" * 64, "failures": []}

    written = render_card(changed(shipped, others))
    claims = ("GoEmotions", "go_emotions", "Reddit", "from India", "Rare labels", "nglish text", "language:", "license")
    assert not [claim for claim in claims if claim in written]
    assert "any of 28 emotions" in written
    assert "not how a person feels" in written
    assert "Do not use it to decide\nabout people." in written
    assert "library_name: emotag\n" in written
    assert "emotag" == on_the_hub(written).library_name  # the hub accepts it without a license


def test_what_is_measured_on_goemotions_dev_says_so_whatever_was_learnt_from(shipped: Artifact) -> None:
    written = render_card(changed(shipped, lambda _, record: record["data"].update(train_sha256="0" * 64)))
    assert "## Figures on GoEmotions dev" in written
    assert "Reddit" not in written


@pytest.mark.parametrize(
    ("encoder", "licensed"),
    [
        ("sentence-transformers/all-MiniLM-L6-v2", True),
        ("BAAI/bge-small-en-v1.5", True),
        ("someone/their-own-bert", False),
        ("/home/someone/encoder", False),
    ],
)
def test_a_licence_is_written_where_the_encoders_is_known(shipped: Artifact, encoder: str, licensed: bool) -> None:
    written = render_card(changed(shipped, lambda _, record: record.update(encoder=encoder)))
    assert licensed == ("\nlicense:" in written)
    assert "Reddit comments" in written


def test_the_recipes_own_word_on_a_licence_stands_above_what_is_known(shipped: Artifact) -> None:
    """Also for an unknown encoder and unknown data."""

    def named(_: object, record: dict[str, Any]) -> None:
        record["recipe"]["run"]["license"] = "mit"
        record["encoder"], record["data"] = "someone/their-own-bert", {}

    assert "mit" == on_the_hub(render_card(changed(shipped, named))).license


def test_calibration_on_more_texts_than_the_run_saw_is_counted_by_itself(shipped: Artifact) -> None:
    """A run with a limit, calibrated afterwards on all of dev."""

    def calibrated(figures: dict[str, Any], record: dict[str, Any]) -> None:
        record["recipe"]["data"]["limit"] = 1000
        record["calibration"]["texts"] = figures["texts"]

    written = render_card(changed(shipped, calibrated))
    assert "mean average precision on some of them, and Platt scaling was fitted on them all" in written


def test_labels_that_some_figures_leave_out_are_named(shipped: Artifact) -> None:
    absent = changed(shipped, lambda figures, _: figures.update(left_out_of_ranking=["grief", "a|b"]))
    assert "All or none of the texts have these labels: grief, a\\|b. ROC-AUC" in render_card(absent)
    assert "All or none" not in render_card(shipped)


def test_a_run_held_to_the_first_texts_says_so_and_counts_none_of_the_others(shipped: Artifact) -> None:
    """Although its record has the hash of the whole file."""
    measured_anew = changed(shipped, lambda _, record: record["recipe"]["data"].update(limit=1000))
    written = render_card(changed(measured_anew, lambda figures, _: figures.update(texts=1000)))
    first = "on no more than the first 1,000 texts of its training data"
    assert f"{first}, and it was measured on no more than" in written
    assert "        name: GoEmotions, the first 1,000 texts\n" in written
    assert {"GoEmotions, the first 1,000 texts"} == {result.dataset_name for result in on_the_hub(written).eval_results}
    assert "mean average precision on them, and Platt scaling was fitted on them all" in written
    later = render_card(measured_anew)
    assert f"{first} (`data.limit`" in later
    assert "mean average precision on some of them, and Platt scaling was fitted on some of them" in later
    assert "no more than the first" not in render_card(shipped)


@pytest.mark.parametrize(
    ("change", "said", "not_said"),
    [
        ({}, ["the epoch (2 of 3) with the best mean average precision on them", "scaling was fitted on them"], []),
        ({"epochs": [{}]}, ["Choices were made on these texts: Platt"], ["the epoch ("]),
        ({"best_epoch": None}, ["Choices were made on these texts: Platt"], ["the epoch ("]),
        ({"calibration": None}, ["the epoch (2 of 3)"], ["Platt scaling was fitted"]),
        ({"calibration": {"data_sha256": "0" * 64}}, ["the epoch (2 of 3)"], ["Platt scaling was fitted on them"]),
        ({"data": {"dev_sha256": "0" * 64}}, ["Choices were made on these texts: Platt"], ["the epoch ("]),
        ({"data": {}, "calibration": None}, [], ["Choices were made"]),
        ({"recipe": {"run": {"best_of_seeds": 3}}}, ["the seed is the one of 3 with the best mean average"], []),
        ({"recipe": {"run": {"best_of_seeds": 1}}}, [], ["the seed is the one of"]),
    ],
)
def test_what_was_chosen_on_the_measured_texts_is_owned_up_to(
    shipped: Artifact, change: dict[str, Any], said: list[str], not_said: list[str]
) -> None:
    """In card and page, as far as the record contains it; None removes a key."""

    def with_record(figures: dict[str, Any], record: dict[str, Any]) -> None:
        record.update({"best_epoch": 2, "epochs": [{}] * 3, "recipe": {}} | change)
        for key in [key for key, value in record.items() if value is None]:
            del record[key]

    made = changed(shipped, with_record)
    for written in (render_card(made), "".join(_render_headline(made, made.metrics["dev"]))):
        assert not [part for part in said if part not in written]
        assert not [part for part in not_said if part in written]


@pytest.mark.parametrize("metrics", [{}, {"dev": {"texts": 1}}, {"measured_with": "float16 weights"}])
def test_without_figures_a_card_says_what_the_rest_says(shipped: Artifact, metrics: dict[str, Any]) -> None:
    written = render_card(replace(shipped, metrics=metrics, name="mine"))
    assert "# mine\n" in written
    assert "## Figures\n\nNo figures are on record.\n" in written
    assert "Training data: GoEmotions train" in written
    assert not [part for part in ("model-index", "metrics.json", "measured with") if part in written]


def test_a_card_says_with_which_weights_its_figures_were_measured(shipped: Artifact) -> None:
    made = replace(shipped, metrics={**shipped.metrics, "measured_with": "other weights"})
    assert (
        f"{render_card(shipped)}\n## Precision\n\nThe figures above were measured with other weights.\n"
        == render_card(made)
    )
