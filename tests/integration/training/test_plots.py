"""`emotag-train plot`: pictures that show the figures, and a page without other files."""

import base64
import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from sklearn.metrics import precision_score, recall_score
from typer.testing import CliRunner

from emotag_model import artifact
from emotag_model.thresholds import Thresholds
from emotag_training.cli import app
from emotag_training.evaluation.metrics import compute_calibration_errors
from emotag_training.report import plots
from tests.integration.training.conftest import build_untrained
from tests.integration.training.test_training import run

RNG = np.random.default_rng(0)
N = 150
LABELS = ("joy", "anger", "calm", "grief")
TARGETS_NK = (RNG.random((N, 4)) < (0.5, 0.2, 0.1, 0.0)).astype(np.float32)
PROBABILITIES_NK = np.clip(0.3 * TARGETS_NK + 0.69 * RNG.random((N, 4)), 0.001, 0.999).astype(np.float32)
CUTS = Thresholds(LABELS, (0.4, 0.55, 0.3, 0.6), "fixed")
NAMES = {"learning", "f1", "precision_recall", "reliability", "confusion", "cooccurrence", "scores"}
EPOCHS: list[dict[str, Any]] = [
    {"epoch": 1, "train_loss": 0.5, "macro_f1_cross_validated": 0.1, "roc_auc": None, "mean_average_precision": 0.2},
    {"epoch": 2, "train_loss": 0.4, "macro_f1_cross_validated": 0.3, "roc_auc": 0.7, "mean_average_precision": 0.4},
    {"epoch": 3, "train_loss": 0.3, "macro_f1_cross_validated": 0.2, "roc_auc": 0.6, "mean_average_precision": 0.3},
]


def named(axes: Axes, gid: str) -> list[Any]:
    """Return the elements of a panel that have a name."""
    return [artist for artist in axes.get_children() if artist.get_gid() == gid]


def point(line: Any) -> list[float]:
    """Return x and y of a line's first point."""
    found: list[float] = line.get_xydata()[0].tolist()
    return found


def parsed(page: Path) -> ElementTree.Element:
    """Parse the page as a tree, which fails if a tag is not closed or a character not escaped."""
    return ElementTree.fromstring(page.read_text(encoding="utf-8").removeprefix("<!DOCTYPE html>"))


def row(page: ElementTree.Element, title: str) -> list[str]:
    """Return the cells of the row *title*, which only one table has."""
    (found,) = (line for line in page.iter("tr") if line[0].text == title)
    return [cell.text or "" for cell in found[1:]]


@pytest.mark.timeout(300)
def test_a_report_holds_the_figures_of_metrics_json_and_every_picture(folder: Path, toy: Path, tmp_path: Path) -> None:
    """With the recipe and the data of the artifact, and without references to other files."""
    run("tune", "--data", str(folder), "--model", str(toy), "--policy", "f1")
    tuned = artifact.load(toy)
    record = {**tuned.training, "epochs": EPOCHS, "best_epoch": 2, "command": "emotag-train fit --name 'a & b'"}
    artifact.save(replace(tuned, training=record), toy, card="")
    out = tmp_path / "report"
    run("plot", "--data", str(folder), "--model", str(toy), "--out", str(out))
    assert {"report.html", *(f"{name}.png" for name in NAMES)} == {file.name for file in out.iterdir()}
    for name in NAMES:
        pixels = imread(out / f"{name}.png")
        assert min(pixels.shape[:2]) > 150, name
        assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 10, name  # not blank

    page, made = parsed(out / "report.html"), artifact.load(toy)
    figures = json.loads((toy / artifact.METRICS).read_text())["dev"]
    assert f"{figures['macro_f1_cross_validated']:.4f}" == row(page, "macro F1, thresholds cross-validated")[0]
    low, high = figures["intervals"]["roc_auc"]
    assert [f"{figures['roc_auc']:.4f}", f"{low:.4f} to {high:.4f}"] == row(page, "ROC-AUC, macro")
    assert f"{figures['per_label']['anger']['f1']:.4f}" == row(page, "anger")[4]
    assert f"{figures['slices']['all']['micro_f1']:.4f}" in (line[2].text for line in page.iter("tr") if len(line) == 4)
    facts = " ".join(fact.text or "" for fact in page.iter("dd"))
    for fact in (made.version, made.thresholds_version, figures["data_sha256"], record["command"]):
        assert fact in facts
    assert made.name == page.findtext(".//h1")

    sources = [image.attrib["src"].split(",") for image in page.iter("img")]
    assert {"data:image/png;base64"} == {kind for kind, _ in sources}
    embedded = {base64.b64decode(content, validate=True) for _, content in sources}
    assert embedded == {(out / f"{name}.png").read_bytes() for name in NAMES}
    assert len(list(page.iter("figcaption"))) == len(NAMES)
    assert not {"script", "link", "iframe", "object"} & {element.tag for element in page.iter()}
    assert not [element for element in page.iter() if "href" in element.attrib or "srcset" in element.attrib]
    written = "".join(page.itertext())
    assert not [outside for outside in ("http:", "https:", "url(", "@import") if outside in written]


def test_another_model_stands_beside_it_with_the_difference_and_its_interval(
    folder: Path, toy: Path, tmp_path: Path
) -> None:
    """So the report shows if the model is better than the one that it replaces."""
    artifact.save(
        build_untrained(folder, labels=("joy", "anger", "calm"), name="noise & co"), tmp_path / "noise", card=""
    )
    data, mine = ["--data", str(folder)], str(tmp_path / "mine")
    run("fit", *data, "--encoder", str(folder / "encoder"), "--epochs", "4", "--out", mine)
    run("plot", *data, "--model", mine, "--compare-with", str(tmp_path / "noise"), "--out", str(tmp_path / "report"))
    page = parsed(tmp_path / "report" / "report.html")
    beside = f"Compared with noise & co {artifact.load(tmp_path / 'noise').version[:15]}"
    assert beside in [title.text for title in page.iter("h2")]
    said = json.loads(run("compare", str(tmp_path / "noise"), mine, *data, "--json"))["differences"]
    for figure, d in said.items():
        low, high = d["interval"]
        cells = [
            f"{d['b']:.4f}",
            f"{d['a']:.4f}",
            f"{d['difference']:+.4f}",
            f"{low:.4f} to {high:.4f}",
            f"{d['p']:.3f}",
        ]
        assert cells == row(page, figure)
    assert said["mean_average_precision"]["shown"]


def test_the_same_weights_tuned_otherwise_stand_beside_it_twice(folder: Path, toy: Path, tmp_path: Path) -> None:
    """They have the same version, and two names in the report."""
    made, beside = artifact.load(toy), []
    for threshold in (0.3, 0.6):
        path = tmp_path / str(threshold)
        artifact.save(replace(made, thresholds=Thresholds.fixed(made.config.labels, threshold)), path, card="")
        beside += ["--compare-with", str(path)]
    run("plot", "--data", str(folder), "--model", str(toy), *beside, "--out", str(tmp_path / "report"))
    titles = [str(title.text) for title in parsed(tmp_path / "report" / "report.html").iter("h2")]
    first, second = (title for title in titles if title.startswith("Compared with toy"))
    assert f"{first}, thresholds {artifact.load(tmp_path / '0.6').thresholds_version[:15]}" == second


def test_what_a_record_has_not_is_said_and_not_drawn(folder: Path, toy: Path, tmp_path: Path) -> None:
    run("plot", "--data", str(folder), "--model", str(toy), "--out", str(tmp_path / "report"))
    page = parsed(tmp_path / "report" / "report.html")
    assert not (tmp_path / "report" / "learning.png").exists()
    assert len(NAMES) - 1 == len(list(page.iter("img")))
    assert "the training record has no epochs" in "".join(page.itertext())
    assert "The thresholds were not tuned on these texts." in "".join(page.itertext())


def test_names_are_text_whatever_signs_they_have(folder: Path, tmp_path: Path) -> None:
    """Not tags, entities or formulas."""
    labels = ("<b>joy", "a&amp;b", "$\\frac$")
    artifact.save(build_untrained(folder, labels=labels, name="<i>toy & co"), tmp_path / "odd", card="")
    shutil.copy(folder / "dev.tsv", tmp_path / "dev.tsv")
    (tmp_path / "emotions.txt").write_text("\n".join(labels))
    run("plot", "--data", str(tmp_path), "--model", str(tmp_path / "odd"), "--out", str(tmp_path / "report"))
    page = parsed(tmp_path / "report" / "report.html")
    assert "<i>toy & co" == page.findtext(".//h1")
    for label in labels:
        assert 8 == len(row(page, label))
    assert not {"b", "i"} & {element.tag for element in page.iter()}


def test_a_label_that_no_text_has_is_owned_up_to(toy: Path, tmp_path: Path) -> None:
    """Three texts are enough for a page."""
    (tmp_path / "mine.csv").write_text('text,labels\n"glad, very",joy\nsour glad,"joy,anger"\nnothing,\n')
    done = CliRunner().invoke(
        app, ["plot", "--data", str(tmp_path / "mine.csv"), "--model", str(toy), "--out", str(tmp_path / "report")]
    )
    assert 0 == done.exit_code, done.output
    assert "only 3 texts" in done.stderr
    page = parsed(tmp_path / "report" / "report.html")
    assert ["0", "0.5000", "–", "–", "–", "", "–"] == row(page, "calm")[:7]
    assert "–" not in row(page, "joy")
    assert "No text has calm:" in "".join(page.itertext())
    assert "Measured on" in (term.text for term in page.iter("dt"))
    assert any("mine.csv, 3 texts" in (fact.text or "") for fact in page.iter("dd"))


def test_the_point_on_a_precision_recall_curve_is_where_the_threshold_cuts() -> None:
    panels = plots.plot_precision_recall(PROBABILITIES_NK, TARGETS_NK, CUTS).axes
    assert len(LABELS) == len(panels)
    for k in range(3):
        given_N = PROBABILITIES_NK[:, k] >= np.float32(CUTS.values[k])
        expected = recall_score(TARGETS_NK[:, k], given_N), precision_score(TARGETS_NK[:, k], given_N)
        (cut,), (curve,) = named(panels[k], "threshold"), named(panels[k], "curve")
        assert pytest.approx(expected) == tuple(point(cut))
        assert np.isclose(curve.get_xydata(), expected).all(axis=1).any()
    assert [] == named(panels[3], "curve") + named(panels[3], "threshold")
    assert "no text has it" == named(panels[3], "absent")[0].get_text()


def test_a_label_that_is_never_given_has_no_point() -> None:
    never = Thresholds(LABELS, (1.0, 0.5, 0.5, 0.5), "precision@0.99")
    panel = plots.plot_precision_recall(PROBABILITIES_NK, TARGETS_NK, never).axes[0]
    assert [] == named(panel, "threshold")
    assert "never given" in [text.get_text() for text in panel.texts]


def test_confusion_counts_every_text_once() -> None:
    for k, panel in enumerate(plots.plot_confusion(PROBABILITIES_NK, TARGETS_NK, CUTS).axes):
        counts = {text.get_position()[::-1]: int(text.get_text()) for text in named(panel, "count")}
        pairs = [
            (int(not true), int(score < np.float32(CUTS.values[k])))
            for true, score in zip(TARGETS_NK[:, k], PROBABILITIES_NK[:, k], strict=True)
        ]
        assert {(r, c): pairs.count((r, c)) for r in (0, 1) for c in (0, 1)} == counts
        assert N == sum(counts.values())
        assert ["has it", "not"] == [tick.get_text() for tick in panel.get_yticklabels()]
        assert ["given", "not"] == [tick.get_text() for tick in panel.get_xticklabels()]


def test_the_bins_of_a_reliability_diagram_give_the_calibration_error() -> None:
    """With ten texts in each of fifteen bins, it is the mean distance from the diagonal."""
    errors_K = compute_calibration_errors(PROBABILITIES_NK, TARGETS_NK)
    for k, panel in enumerate(plots.plot_reliability(PROBABILITIES_NK, TARGETS_NK, LABELS).axes):
        (bins,) = named(panel, "bins")
        promised, true = bins.get_data()
        assert 15 == len(promised)
        assert pytest.approx(TARGETS_NK[:, k].mean(), abs=1e-6) == true.mean()
        assert pytest.approx(errors_K[k], abs=1e-6) == abs(promised - true).mean()
        assert f"{LABELS[k]}, {errors_K[k]:.4f}" == panel.get_title()


def test_the_distributions_hold_every_score_on_its_side_and_the_threshold() -> None:
    for k, panel in enumerate(plots.plot_scores(PROBABILITIES_NK, TARGETS_NK, CUTS).axes):
        for gid, rows_N in (("with the label", TARGETS_NK[:, k] == 1), ("without", TARGETS_NK[:, k] == 0)):
            ((counts, edges, _),) = (steps.get_data() for steps in named(panel, gid))
            scores = PROBABILITIES_NK[rows_N, k]
            expected = [sum(low <= score < high for score in scores) for low, high in pairwise(edges)]
            assert expected == counts.tolist()
        (line,) = named(panel, "threshold")
        assert {CUTS.values[k]} == set(line.get_xdata())
    assert "log" == panel.get_yscale()


def test_labels_that_go_together_are_shares_of_the_rows_texts() -> None:
    figure = plots.plot_cooccurrence(PROBABILITIES_NK, TARGETS_NK, CUTS)
    sides = {"true": TARGETS_NK == 1, "predicted": np.array(CUTS.values, dtype=np.float32) <= PROBABILITIES_NK}
    maps = {panel.get_title(): panel.images[0] for panel in figure.axes[:2]}
    assert sides.keys() == maps.keys()
    for title, side_NK in sides.items():
        masked_KK: Any = maps[title].get_array()
        drawn_KK = np.ma.filled(masked_KK, np.nan)
        for a in range(4):
            for b in range(4):
                having = [text_K for text_K in side_NK if text_K[a]]
                expected = np.mean([text_K[b] for text_K in having]) if having and a != b else np.nan
                assert pytest.approx(expected, nan_ok=True) == drawn_KK[a, b]
    assert maps["true"].get_clim() == maps["predicted"].get_clim()  # one scale


def test_learning_curves_have_a_gap_where_a_figure_was_undefined_and_a_ring_around_the_best_epoch() -> None:
    figure = plots.plot_learning_curves(EPOCHS, 2)
    panels = {panel.get_title(): panel for panel in figure.axes}
    (curve,) = named(panels["ROC-AUC, macro"], "curve")
    assert pytest.approx([np.nan, 0.7, 0.6], nan_ok=True) == list(curve.get_ydata())
    rings = {title: [point(line) for line in of.lines[1:]] for title, of in panels.items()}
    expected = {
        "training loss": 0.4,
        "macro F1, cross-validated": 0.3,
        "mean average precision": 0.4,
        "ROC-AUC, macro": 0.7,
    }
    assert {title: [[2, value]] for title, value in expected.items()} == rings


def test_f1_stands_in_its_interval_and_the_best_label_above() -> None:
    per_label = {
        "joy": {"support": 4, "f1": 0.5, "f1_interval": [0.2, 0.6]},
        "grief": {"support": 0, "f1": 0.0, "f1_interval": [0.0, 0.0]},
        "calm": {"support": 1200, "f1": 0.7, "f1_interval": [0.65, 0.8]},
    }
    (panel,) = plots.plot_label_f1(per_label).axes
    assert ["grief (0)", "joy (4)", "calm (1,200)"] == [tick.get_text() for tick in panel.get_yticklabels()]
    assert [(0.5, 1), (0.7, 2)] == [tuple(point(dot)) for dot in named(panel, "f1")]
    bars = [bar.get_segments()[0].tolist() for bar in panel.collections]  # type: ignore[attr-defined]
    assert [[[0.2, 1], [0.6, 1]], [[0.65, 2], [0.8, 2]]] == bars
    assert [(0.01, 0)] == [text.get_position() for text in named(panel, "absent")]


@pytest.mark.parametrize("labels", [1, 5])
def test_any_number_of_labels_is_drawn(labels: int) -> None:
    """The last row of panels can be short, and no text has any of the labels."""
    names = [f"label {k} of an extraordinary length" for k in range(labels)]
    scores_NK = np.full((20, labels), 0.1, dtype=np.float32)
    nothing_NK, cuts = np.zeros_like(scores_NK), Thresholds.fixed(names, 0.5)
    drawings: Sequence[Figure] = (
        plots.plot_precision_recall(scores_NK, nothing_NK, cuts),
        plots.plot_reliability(scores_NK, nothing_NK, names),
        plots.plot_confusion(scores_NK, nothing_NK, cuts),
        plots.plot_scores(scores_NK, nothing_NK, cuts),
    )
    assert [labels] * 4 == [len(figure.axes) for figure in drawings]
    assert ["0", "0", "0", "20"] == [text.get_text() for text in named(drawings[2].axes[-1], "count")]
    assert "label 0 of an extraor… (0)" == drawings[0].axes[0].get_title()
    for figure in (plots.plot_cooccurrence(scores_NK, nothing_NK, cuts), drawings[2]):
        assert imread(io.BytesIO(plots.encode_png(figure))).size
